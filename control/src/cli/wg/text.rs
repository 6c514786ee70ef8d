//! Interfaces and peers in the words of wg(8).

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use super::plain::{HIDDEN, allowed_ips};
use crate::{
    api::view::{Origin, WireguardInterface, WireguardPeer, WireguardPrevious, WireguardTraffic},
    cli::show::number::milliseconds,
};

/// For how long a peer is what no file says.
const UNTIL: &str = "until the next reload";

/// An interface with its peers, the last handshake first, `now` seconds after the beginning of 1970.
pub(super) fn interface(it: &WireguardInterface, now: u64) -> String {
    let mut lines = vec![format!("interface: {}", it.name)];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name}: {value}"));
    line("public key", &it.public_key);
    if let Some(WireguardPrevious { public_key, until }) = &it.previous {
        line("previous public key", &format!("{public_key} (until {until})"));
    }
    line("private key", HIDDEN);
    line("listening port", &it.listen_port.to_string());
    if let Some(bridge) = &it.bridge {
        line("bridge", bridge);
        line("local ips", &it.local_ips.join(", "));
    }
    if let Some(dropped) = dropped_for_no_peer(it) {
        line("dropped", &dropped);
    }
    let mut peers: Vec<_> = it.peers.iter().collect();
    peers.sort_by_key(|peer| Reverse(peer.latest_handshake));
    let blocks = [lines.join("\n")].into_iter().chain(peers.into_iter().map(|it| peer(it, now)));
    blocks.collect::<Vec<_>>().join("\n\n")
}

fn peer(it: &WireguardPeer, now: u64) -> String {
    let mut lines = vec![format!("peer: {}", it.public_key)];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name}: {value}"));
    if !it.name.is_empty() {
        line("name", &it.name);
    }
    if it.has_preshared_key {
        line("preshared key", HIDDEN);
    }
    if let Some(endpoint) = &it.endpoint {
        line("endpoint", endpoint);
    }
    line("allowed ips", &allowed_ips(it, ", "));
    if it.latest_handshake > 0 {
        line("latest handshake", &ago(it.latest_handshake, now));
    }
    let WireguardTraffic { received_bytes, sent_bytes, .. } = it.traffic;
    if received_bytes > 0 || sent_bytes > 0 {
        line("transfer", &format!("{} received, {} sent", bytes(received_bytes), bytes(sent_bytes)));
    }
    if let Some(seconds) = it.persistent_keepalive_seconds {
        line("persistent keepalive", &format!("every {}", span(seconds.into())));
    }
    match it.origin {
        Origin::Configuration => {}
        Origin::Changed => line("changed", UNTIL),
        Origin::Added => line("added", UNTIL),
    }
    line("session", &session(it));
    if let Some(dropped) = list(it.traffic.drops()) {
        line("dropped", &dropped);
    }
    lines.join("\n")
}

/// Whether packets can be sent to a peer, and how.
fn session(it: &WireguardPeer) -> String {
    let trip = it.handshake_rtt_us.map(|us| format!(", round trip {}", milliseconds(us)));
    let local = it.local_address.as_ref().map(|address| format!(", from {address}"));
    let key = it.is_under_previous_key.then(|| " under previous key".to_owned());
    let parts = [key, trip, local, Some(format!(", worker {}", it.worker))];
    [it.session.name().to_owned()].into_iter().chain(parts.into_iter().flatten()).collect()
}

/// What was dropped without being any peer's.
fn dropped_for_no_peer(it: &WireguardInterface) -> Option<String> {
    let of_peers = |cause: &str| it.peers.iter().filter_map(|peer| peer.traffic.counters.get(cause)).sum();
    let rest = |(cause, count): (_, u64)| (cause, count.saturating_sub(of_peers(cause)));
    list(it.totals.drops().map(rest).filter(|(_, count)| *count > 0))
}

/// Causes, and how many packets were dropped for each.
fn list<'a>(drops: impl Iterator<Item = (&'a str, u64)>) -> Option<String> {
    let all: Vec<_> = drops.map(|(cause, count)| format!("{count} {cause}")).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// How long something is over. A clock that was set back is what wg(8) warns of.
fn ago(then: u64, now: u64) -> String {
    match now.checked_sub(then) {
        None => "(System clock wound backward; connection problems may ensue.)".to_owned(),
        Some(0) => "Now".to_owned(),
        Some(seconds) => format!("{} ago", span(seconds)),
    }
}

/// A time span: all of its units. A year has 365 days.
fn span(seconds: u64) -> String {
    let units = [(31_536_000, "year"), (86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in units {
        let count = rest / size;
        rest %= size;
        match count {
            0 => {}
            1 => parts.push(format!("1 {name}")),
            _ => parts.push(format!("{count} {name}s")),
        }
    }
    parts.join(", ")
}

/// A number of bytes, in powers of 1024.
fn bytes(count: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) => format!("{:.2} {unit}", approximate(count) / approximate(size)),
        None => format!("{count} B"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits behind the point")]
fn approximate(count: u64) -> f64 {
    count as f64
}
