use std::path::Path;

use clap::Parser;
use ravelin_config::types::PrivateKey;

use super::{
    change::Running,
    secret,
    words::{PeerWords, Words},
};
use crate::{
    api::view::{SentKey, WireguardChange, WireguardPeerChange},
    cli::{Failure, target},
};

/// Changes peers of the running process, in the words of wg(8), until the next `ravelin reload` or restart.
///
/// All of what is said happens, or nothing. The configuration stays as it is, and is what holds again after a reload. A peer
/// that is not there is added, but with `update-only` it is not. Who is there keeps its session, unless its preshared key or keepalive changes: then it begins a new one. A prefix that another peer has is taken from that. Routes follow allowed IPs as `routes` of the interface says. Names and labels are
/// those that the configuration has for a key.
///
/// A file with a key must not be open to others; `/dev/stdin` and pipes are fine, and `/dev/null` stands for no key. `listen-port` and `private-key` may say what is so
/// already; to change them is a matter of the configuration. `fwmark` has no meaning here.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// The interface.
    interface: String,
    /// `[listen-port PORT] [private-key FILE] [fwmark MARK] [peer KEY [remove] [update-only] [preshared-key FILE] [endpoint ADDRESS:PORT]
    /// [persistent-keepalive SECONDS|off] [allowed-ips [+|-]PREFIX,...]]...`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "WORD")]
    words: Vec<String>,
}

/// What may stand behind the words as well, where it is one for whoever reads options.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Behind {
    #[command(flatten)]
    target: target::Target,
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let words = Words::parse(&args.words)?;
    let Behind { target, json: behind } = Behind::try_parse_from(&words.options).map_err(|error| {
        let text = error.to_string();
        Failure::usage(text.lines().next().unwrap_or_default().trim_start_matches("error: "))
    })?;
    let json = json || behind;
    let running = Running::find(&args.target.clone().or(target), &args.interface, json)?;
    standing(&words, &running)?;
    let peers = words.peers.into_iter().map(with_key).collect::<Result<_, _>>()?;
    running.change(&WireguardChange { replace_peers: false, peers }, json)
}

/// Reads the key that somebody has named a file for.
fn with_key(PeerWords { change, preshared_key }: PeerWords) -> Result<WireguardPeerChange, Failure> {
    let Some(path) = preshared_key else { return Ok(change) };
    let preshared_key = Some(secret::key(&path)?.unwrap_or_default());
    Ok(WireguardPeerChange { preshared_key, ..change })
}

/// Refuses what would change the interface itself.
fn standing(words: &Words, running: &Running) -> Result<(), Failure> {
    let (name, port) = (&running.interface.name, running.interface.listen_port);
    if let Some(asked) = words.listen_port.filter(|asked| *asked != port) {
        let error = format!("`{name}` has the port {port} while it runs, not {asked}");
        return Err(Failure::usage(error).help("change `listen_port` of [[wireguard]], and restart"));
    }
    if words.fwmark.is_some_and(|mark| mark != 0) {
        let error = "`fwmark` has no meaning here: packets to peers do not pass the rules of the host's routing, so that none can turn back into the tunnel";
        return Err(Failure::usage(error).help("leave it out"));
    }
    words.private_key.as_ref().map_or(Ok(()), |path| own_key(path, running))
}

/// Refuses a private key that is not the interface's.
fn own_key(path: &Path, running: &Running) -> Result<(), Failure> {
    let key = secret::key(path)?.and_then(|SentKey(text)| text.parse::<PrivateKey>().ok());
    if key.is_some_and(|key| running.has_key(&key)) {
        return Ok(());
    }
    let name = &running.interface.name;
    let error =
        format!("`{name}` keeps its private key while it runs, and that is not in `{}`", path.display());
    let place = &running.interface.private_key_place;
    Err(Failure::usage(error)
        .help(format_args!("`ravelin wg rotate` changes it; or change it in {place}, and `ravelin reload`")))
}
