//! Files as wg(8) takes them to change the peers of a running process.

use super::peers;
use crate::report::{Code, Findings, Place, Report};
use crate::schema::reader::At;
use crate::wireguard::{Conf, PrivateKey, WireguardPeer};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What a file says of peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeersFile {
    /// Its peers, in its order.
    pub peers: Vec<WireguardPeer>,
    /// Whether there is something in it that nobody else may read.
    pub holds_secrets: bool,
    /// What has no effect.
    pub warnings: Report,
}

/// How an interface is, of which a file may say so, and nothing else.
pub struct Standing<'s> {
    /// What it is called.
    pub name: &'s str,
    /// Its UDP port.
    pub listen_port: u16,
    /// Whether a private key is its own.
    pub has_key: &'s dyn Fn(&PrivateKey) -> bool,
}

impl fmt::Debug for Standing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads the peers of a file of wg(8), which is called `file_name` in diagnostics. No secret is in the answer to what is wrong.
///
/// # Errors
/// A [`Report`] of everything that is wrong, or is to change what cannot change in a running process.
pub fn read_peers(text: &str, file_name: &str, standing: &Standing<'_>) -> Result<PeersFile, Report> {
    let mut findings = Findings::default();
    let conf = Conf::read(text, PathBuf::from(file_name), &mut findings);
    interface(&conf, standing, &mut findings);
    let holds_secrets = conf.holds_secrets();
    let peers = peers::peers((conf.peers, Path::new(file_name)), Vec::new(), &mut Vec::new(), &mut findings);
    let is_wrong = findings.has_errors();
    let warnings = findings.into_report();
    if is_wrong { Err(warnings) } else { Ok(PeersFile { peers, holds_secrets, warnings }) }
}

/// Reports what the file would have the interface be, and it is not.
fn interface(conf: &Conf, standing: &Standing<'_>, findings: &mut Findings) {
    let name = standing.name;
    if let Some(At { value, range }) = conf.private_key.given()
        && !(standing.has_key)(value)
    {
        let message = format!("this is not the private key that `{name}` has, which stays while it runs");
        let finding = findings.add(Code::Combination, range, message);
        finding.help("leave it out; a key is changed by `ravelin wg rotate`, or in the file that the configuration names and `ravelin reload`");
    }
    if let Some(At { value, range }) = conf.listen_port.given()
        && ![0, standing.listen_port].contains(value)
    {
        let port = standing.listen_port;
        let message = format!("expected {port}, the port that `{name}` has while it runs, found {value}");
        let finding = findings.add(Code::Combination, range, message);
        finding
            .help("leave it out; another is the matter of `listen_port` of [[wireguard]], and of a restart");
    }
    let given = [
        ("Address", "addresses", conf.addresses.first().map(|at| &at.range)),
        ("MTU", "mtu", conf.mtu.given().map(|at| &at.range)),
        ("Table", "routes", conf.routes.given().map(|at| &at.range)),
    ];
    for (key, ours, place) in given {
        let Some(place): Option<&Place> = place else { continue };
        let message = format!("`{key}` is no matter of wg(8), but of wg-quick(8)");
        let finding = findings.add(Code::Combination, place, message);
        finding.help(format!("`wg-quick strip` leaves it out; here it is `{ours}` of [[wireguard]]"));
    }
}
