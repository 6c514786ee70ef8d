//! The table of WireGuard peers.

#[cfg(test)]
mod tests;

use comfy_table::{Cell, Row, Table};
use jiff::Timestamp;

use super::{
    Before, number,
    tables::{fit, right, table},
};
use crate::api::view::{Session, WireguardInterface, WireguardPeer};

/// The peers of all interfaces.
pub(super) fn peers(
    now: &[WireguardInterface],
    before: Before<'_, Vec<WireguardInterface>>,
    time: Timestamp,
) -> String {
    let count: usize = now.iter().map(|interface| interface.peers.len()).sum();
    if count == 0 {
        return "there is no WireGuard peer".to_owned();
    }
    let with_session = now.iter().flat_map(|interface| &interface.peers);
    let with_session = with_session.filter(|peer| peer.session == Session::Up).count();
    format!("{}\n\n{count} in all, {with_session} with a session", fit(peer_table(now, before, time)))
}

/// The same before it is fitted to the terminal.
pub(super) fn peer_table(
    now: &[WireguardInterface],
    before: Before<'_, Vec<WireguardInterface>>,
    time: Timestamp,
) -> Table {
    let mut table =
        table(&["peer, on", "endpoint, from", "allowed ips", "session, handshake", "traffic", "dropped"]);
    for interface in now {
        for peer in &interface.peers {
            let earlier =
                before.and_then(|(all, seconds)| Some((find(all, &interface.name, peer)?, seconds)));
            let ends = [&peer.endpoint, &peer.local_address].map(|end| end.as_deref().unwrap_or_default());
            table.add_row(Row::from(vec![
                Cell::new(format!("{}\n{}, worker {}", peer.name, interface.name, peer.worker)),
                Cell::new(ends.join("\n").trim_end()),
                Cell::new(peer.allowed_ips.join("\n")),
                Cell::new(session(peer, time)),
                right(traffic(peer, earlier)),
                right(drops(peer)),
            ]));
        }
    }
    table
}

/// The same peer, as it was.
fn find<'a>(
    all: &'a [WireguardInterface],
    interface: &str,
    peer: &WireguardPeer,
) -> Option<&'a WireguardPeer> {
    let interface = all.iter().find(|it| it.name == interface)?;
    interface.peers.iter().find(|it| it.public_key == peer.public_key)
}

fn session(peer: &WireguardPeer, time: Timestamp) -> String {
    let time = u64::try_from(time.as_second()).unwrap_or_default();
    let age = match peer.latest_handshake {
        0 => "never".to_owned(),
        then => format!("{} ago", number::duration(time.saturating_sub(then))),
    };
    let trip = peer.handshake_rtt_us.map(|us| format!("\n{}", number::milliseconds(us)));
    format!("{}\n{age}{}", peer.session.name(), trip.unwrap_or_default())
}

/// What came, and below it what went.
fn traffic(peer: &WireguardPeer, earlier: Option<(&WireguardPeer, f64)>) -> String {
    let line = |arrow: char, get: fn(&WireguardPeer) -> [u64; 2]| {
        let [packets, bytes] = get(peer);
        match earlier.map(|(earlier, seconds)| (get(earlier), seconds)) {
            Some(([packets_then, bytes_then], seconds)) => format!(
                "{} / {} {arrow}",
                number::rate(packets, packets_then, seconds, "p"),
                number::rate(bytes, bytes_then, seconds, "B")
            ),
            None => format!("{packets} / {} {arrow}", number::bytes(bytes)),
        }
    };
    let received = line('<', |peer| [peer.traffic.received_packets, peer.traffic.received_bytes]);
    let sent = line('>', |peer| [peer.traffic.sent_packets, peer.traffic.sent_bytes]);
    format!("{received}\n{sent}")
}

/// Each cause with how many.
fn drops(peer: &WireguardPeer) -> String {
    let causes: Vec<_> = peer.traffic.drops().map(|(cause, count)| format!("{cause} {count}")).collect();
    if causes.is_empty() { "0".to_owned() } else { causes.join("\n") }
}
