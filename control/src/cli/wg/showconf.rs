#[cfg(test)]
mod tests;

use super::show;
use crate::{
    api::{
        client,
        view::{WireguardInterface, WireguardPeer},
    },
    cli::{Failure, target},
};

/// Prints an interface as it is now, in the format of wg(8): to be kept, and given to `syncconf`.
///
/// Private and preshared keys are not in it: the process tells them to nobody. Comments say where they came from; `syncconf` and its like
/// leave those alone that a file does not have. Names are comments as well.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// The interface.
    interface: String,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let all: Vec<WireguardInterface> =
        target::block_on(async { Ok(client::get(&socket, "/wireguard").await?) })?;
    let text = conf(show::find(&all, &args.interface)?);
    if json { target::print_json(&text, false) } else { target::print(&text) }
}

fn conf(it: &WireguardInterface) -> String {
    let interface = [
        "[Interface]".to_owned(),
        format!("ListenPort = {}", it.listen_port),
        format!("# PrivateKey is not shown. It came from {}.", one_line(&it.private_key_place)),
    ];
    let blocks = [interface.join("\n")].into_iter().chain(it.peers.iter().map(peer));
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn peer(it: &WireguardPeer) -> String {
    let name = (!it.name.is_empty()).then(|| format!("# {}", one_line(&it.name)));
    let place = it.preshared_key_place.as_deref();
    let lines = [
        Some("[Peer]".to_owned()),
        name,
        Some(format!("PublicKey = {}", it.public_key)),
        place.map(|place| format!("# PresharedKey is not shown. It came from {}.", one_line(place))),
        (!it.allowed_ips.is_empty()).then(|| format!("AllowedIPs = {}", it.allowed_ips.join(", "))),
        it.endpoint.as_ref().map(|endpoint| format!("Endpoint = {endpoint}")),
        it.persistent_keepalive_seconds.map(|seconds| format!("PersistentKeepalive = {seconds}")),
    ];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// A path can have any character, and a comment ends with its line.
fn one_line(text: &str) -> String {
    text.replace(|character: char| character.is_control(), "?")
}
