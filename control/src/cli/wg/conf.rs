//! Peers of the running process as a file has them.

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use ravelin_config::{
    Report,
    wireguard::{PeersFile, Standing, WireguardPeer, read_peers},
};

use super::{change::Running, secret::Content};
use crate::{
    api::view::{SentKey, WireguardChange, WireguardInterface, WireguardPeerChange},
    cli::{Failure, target},
};

/// Has the running process have the peers of a file and no others, until the next `ravelin reload` or restart. Who stays keeps its sessions.
///
/// The file is in the format of wg(8), as `wg-quick strip` and `ravelin wg showconf` print it; `/dev/stdin` and pipes are fine. All of it
/// happens, or nothing. Without `AllowedIPs` or `PersistentKeepalive` a peer has none, and without `Endpoint` it is where it was, as in wg(8). But without
/// `PresharedKey` it keeps the one that it has, which is said. `PrivateKey` and `ListenPort` may say what is so already; what is wg-quick's
/// alone is refused. Two peers with the same key, or the same allowed IPs, are refused as well.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// The interface.
    interface: String,
    /// The file.
    file: PathBuf,
}

pub(super) fn run(args: &Args, replace_peers: bool, json: bool) -> Result<(), Failure> {
    let running = Running::find(&args.target, &args.interface, json)?;
    let content = Content::conf(&args.file)?;
    let interface = &running.interface;
    let has_key = |key: &_| running.has_key(key);
    let standing = Standing { name: &interface.name, listen_port: interface.listen_port, has_key: &has_key };
    let file = read_peers(content.text(), &args.file.to_string_lossy(), &standing)
        .map_err(|report| refused(&args.file, &report))?;
    if file.holds_secrets {
        content.private(&args.file)?;
    }
    if !json {
        tell(&file, interface, &args.file);
    }
    let peers = file.peers.iter().map(change).collect();
    running.change(&WireguardChange { replace_peers, peers }, json)
}

fn refused(path: &Path, report: &Report) -> Failure {
    let columns = target::columns(io::stderr());
    Failure::usage(format_args!(
        "`{}` cannot be used; nothing has changed\n\n{report:columns$}",
        path.display()
    ))
    .details(Some(serde_json::json!(report.diagnostics())), Vec::new())
}

/// Says what in the file has no effect, and what has one although it is not there.
fn tell(file: &PeersFile, interface: &WireguardInterface, path: &Path) {
    if !file.warnings.is_empty() {
        let columns = target::columns(io::stderr());
        eprintln!("{:columns$}", file.warnings);
    }
    for key in keeping(file, interface) {
        eprintln!("ravelin: {key} keeps its preshared key, of which `{}` says nothing", path.display());
    }
}

/// The peers with a preshared key that the file does not have.
fn keeping<'i>(file: &PeersFile, interface: &'i WireguardInterface) -> Vec<&'i str> {
    let without = file.peers.iter().filter(|peer| peer.preshared_key.is_none());
    let without: HashSet<_> = without.map(|peer| peer.public_key.to_string()).collect();
    let keeps = interface.peers.iter().filter(|peer| peer.has_preshared_key);
    keeps.map(|peer| peer.public_key.as_str()).filter(|key| without.contains(*key)).collect()
}

/// A peer as a file has it: what is not said of it is off. Where it is, others may know better.
fn change(peer: &WireguardPeer) -> WireguardPeerChange {
    WireguardPeerChange {
        public_key: peer.public_key.to_string(),
        remove: false,
        update_only: false,
        preshared_key: peer.preshared_key.as_ref().map(|key| SentKey(key.to_base64())),
        endpoint: peer.endpoint.as_ref().map(ToString::to_string),
        persistent_keepalive_seconds: Some(peer.persistent_keepalive.map_or(0, Into::into)),
        allowed_ips: Some(peer.allowed_ips.iter().map(ToString::to_string).collect()),
    }
}
