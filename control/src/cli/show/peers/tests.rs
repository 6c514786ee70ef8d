use super::*;
use crate::cli::wg::fixture::{NOW, interfaces};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_second(seconds.try_into().unwrap()).unwrap()
}

/// A table of this width, without the space at the ends of lines.
fn shown(width: u16, before: Before<'_, Vec<WireguardInterface>>) -> String {
    let mut table = peer_table(&interfaces(), before, at(NOW));
    table.set_width(width);
    fit(table).lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn peers_of_all_interfaces_are_one_table() {
    let text = shown(120, None);
    println!("{text}\n");
    assert_eq!(text, TABLE.trim_start_matches('\n'));
    let all = peers(&interfaces(), None, at(NOW));
    assert!(all.ends_with("\n\n3 in all, 1 with a session"), "{all}");
    assert_eq!(peers(&interfaces()[1..], None, at(NOW)), "there is no WireGuard peer");
    assert_eq!(peers(&[], None, at(NOW)), "there is no WireGuard peer");
}

#[test]
fn a_terminal_of_80_columns_shows_all_of_it() {
    let text = shown(80, None);
    println!("{text}\n");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for part in ["site-b", "192.0.2.2:51820", "10.20.0.0/16", "12.345 ms", "25000 / 3.2 MB >", "bad_tag 2"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn what_is_shown_again_has_rates_of_the_same_peer() {
    let mut before = interfaces();
    before[0].peers[1].traffic.sent_packets -= 1000;
    before[0].peers[1].traffic.sent_bytes -= 3_000_000;
    before[0].peers.swap(1, 2);
    before.reverse();
    let text = shown(120, Some((&before, 2.0)));
    assert!(text.contains("500 p/s / 1.5 MB/s >") && text.contains("0 p/s / 0 B/s <"), "{text}");
    before.clear();
    assert!(shown(120, Some((&before, 2.0))).contains("25000 / 3.2 MB >"), "a peer that is new");
}

const TABLE: &str = "
 peer, on        endpoint, from        allowed ips    session, handshake   traffic            dropped
────────────────────────────────────────────────────────────────────────────────────────────────────────
 laptop                                               none                        0 / 0 B <           0
 wg0, worker 0                                        never                       0 / 0 B >
 site-b          192.0.2.2:51820       10.20.0.0/16   up                   11000 / 1.2 kB <   bad_tag 2
 wg0, worker 0   198.51.100.1          fd20::/48      1m 3s ago            25000 / 3.2 MB >    replay 1
                                                      12.345 ms
 phone           [2001:db8::7]:40000   10.9.0.3/32    waiting                     0 / 0 B <           0
 wg0, worker 1                                        never                     4 / 592 B >";
