//! Interfaces for tests: with three peers, and with none.

use std::collections::BTreeMap;

use crate::api::view::{Origin, Session, WireguardInterface, WireguardPeer, WireguardTraffic};

/// When they are shown.
pub(in crate::cli) const NOW: u64 = 1_800_000_000;

/// `wg0` with a peer that has everything, one that has not been heard of, and one that is new; `wg1` with nobody.
pub(in crate::cli) fn interfaces() -> Vec<WireguardInterface> {
    let mut wg0 = WireguardInterface {
        name: "wg0".to_owned(),
        public_key: key('0'),
        private_key_place: "/etc/ravelin/wg0.key".to_owned(),
        listen_port: 51_820,
        mtu: 1420,
        addresses: vec!["10.9.0.1/24".to_owned(), "fd09::1/64".to_owned()],
        peers: vec![
            WireguardPeer { name: "laptop".to_owned(), public_key: key('1'), ..WireguardPeer::default() },
            site(),
            WireguardPeer {
                name: "phone".to_owned(),
                public_key: key('3'),
                endpoint: Some("[2001:db8::7]:40000".to_owned()),
                allowed_ips: vec!["10.9.0.3/32".to_owned()],
                session: Session::Waiting,
                worker: 1,
                traffic: traffic([0, 0, 4, 592], &[("handshakes_sent", 3)]),
                ..WireguardPeer::default()
            },
        ],
        ..WireguardInterface::default()
    };
    wg0.totals = traffic(
        [11_000, 1_240, 25_004, 3_167_340],
        &[("bad_tag", 3), ("replay", 1), ("unknown_index", 5), ("bad_mac", 1), ("handshakes", 9)],
    );
    let wg1 = WireguardInterface {
        name: "wg1".to_owned(),
        public_key: key('9'),
        listen_port: 51_821,
        mtu: 1420,
        ..WireguardInterface::default()
    };
    vec![wg0, wg1]
}

/// A peer that has everything.
fn site() -> WireguardPeer {
    WireguardPeer {
        name: "site-b".to_owned(),
        labels: BTreeMap::from([("role".to_owned(), "branch".to_owned())]),
        public_key: key('2'),
        has_preshared_key: true,
        preshared_key_place: Some("the credential site\nb".to_owned()),
        origin: Origin::Configuration,
        endpoint: Some("192.0.2.2:51820".to_owned()),
        local_address: Some("198.51.100.1".to_owned()),
        allowed_ips: vec!["10.20.0.0/16".to_owned(), "fd20::/48".to_owned()],
        latest_handshake: NOW - 63,
        handshake_rtt_us: Some(12_345),
        traffic: traffic(
            [11_000, 1_240, 25_000, 3_166_748],
            &[
                ("bad_tag", 2),
                ("replay", 1),
                ("queue_full", 0),
                ("handshakes", 9),
                ("keepalives_received", 40),
            ],
        ),
        persistent_keepalive_seconds: Some(25),
        session: Session::Up,
        is_under_previous_key: false,
        worker: 0,
    }
}

fn traffic(counts: [u64; 4], counters: &[(&str, u64)]) -> WireguardTraffic {
    let [received_packets, received_bytes, sent_packets, sent_bytes] = counts;
    let counters = counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    WireguardTraffic { received_packets, received_bytes, sent_packets, sent_bytes, counters }
}

/// Something like a public key.
fn key(last: char) -> String {
    format!("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D{last}=")
}
