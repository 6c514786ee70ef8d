//! Tunnels over a path that loses messages and reorders them.

use std::{net::SocketAddr, time::Duration};

use ravelin_tests::{
    gateway::{OUTSIDE, SERVER},
    lossy::{Faults, Path},
    netns::Namespace,
    process::wait_for,
    topology::pings,
    wireguard::Kind,
};

use super::tunnel::{OURS, PORT, THEIRS, Tunnel, shown};
use crate::routing::{fetch, web};

/// Where the peer finds the path.
const NEAR: u16 = 51_000;
/// One message of a hundred is lost, and one of twenty comes late, far within the window of either end.
const FAULTS: Faults = Faults { loss: 100, reorder: 20, distance: 60, patience: Duration::from_millis(50) };

fn over(gateway: &str, near: &str) {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let (lab, address) = (&tunnel.lab, |text: &str| text.parse::<SocketAddr>().expect("an address"));
    let ravelin = tunnel.start("");
    let near = format!("{near}:{NEAR}");
    let path = Path::open(&lab.client, address(&near), address(&format!("{gateway}:{PORT}")), FAULTS);
    tunnel.tell_peer(Some(&near));
    assert!(answered(&lab.client, SERVER[0]) >= 150 && answered(&lab.client, OURS[1]) >= 150);

    let page = lab.random_file("page", 20_000_000);
    let _servers = [web(lab, &lab.server, 80), web(lab, &lab.client, 80)];
    for (from, to) in [(&lab.client, SERVER[0]), (&lab.server, THEIRS[0]), (&lab.server, THEIRS[1])] {
        fetch(lab, from, to, 80, &page);
    }
    let peer = shown(&ravelin, "client");
    let (counters, done) = (ravelin.counters(), path.close());
    println!("{done:?}");
    assert!(done.received > 20_000 && done.lost > done.received / 200, "{done:?}");
    assert!(done.reordered > done.received / 50, "{done:?}");
    assert_eq!(counters.dropped("wireguard_replay"), 0, "{peer}");
    assert_eq!(peer["counters"]["replay"], 0, "{peer}");
    // Whoever asks for what was lost on the way is not answered; all the rest has come out.
    let counters = ravelin.finish(&[]);
    assert!(counters["wireguard_opened"] > 15_000 && counters["wireguard_sealed"] > 15_000, "{counters:?}");
}

/// How many of 200 echo requests are answered.
fn answered(host: &Namespace, target: &str) -> u32 {
    let (_, report, _) = ravelin_tests::process::attempt(
        &mut host.split(&format!("ping -n -q -c 200 -i 0.005 -W 2 {target}")),
    );
    assert!(!report.contains("duplicates"), "{report}");
    let count = report.split(" received").next().and_then(|text| text.rsplit(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("ping says {report}"))
}

#[test]
fn what_is_lost_or_late_on_the_way_costs_no_more_than_that_over_ipv4() {
    over(OUTSIDE[0], "127.0.0.1");
}

#[test]
fn what_is_lost_or_late_on_the_way_costs_no_more_than_that_over_ipv6() {
    over(&format!("[{}]", OUTSIDE[1]), "[::1]");
}

#[test]
fn what_comes_later_than_the_window_is_dropped_as_if_it_had_come_before() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let (lab, address) = (&tunnel.lab, |text: &str| text.parse::<SocketAddr>().expect("an address"));
    let ravelin = tunnel.start("");
    let near = format!("127.0.0.1:{NEAR}");
    let late = Faults { loss: 0, reorder: 300, distance: 5_000, patience: Duration::from_secs(30) };
    let path = Path::open(&lab.client, address(&near), address(&format!("{}:{PORT}", OUTSIDE[0])), late);
    tunnel.tell_peer(Some(&near));
    // Before it speaks, nobody knows where the peer is.
    wait_for("a session", || pings(&lab.client, SERVER[0]));
    let page = lab.random_file("page", 20_000_000);
    let _server = web(lab, &lab.client, 80);
    fetch(lab, &lab.server, THEIRS[0], 80, &page);
    println!("{:?}", path.close());
    let counters = ravelin.finish(&["wireguard_replay"]);
    assert!(counters.dropped("wireguard_replay") > 0, "{counters:?}");
}
