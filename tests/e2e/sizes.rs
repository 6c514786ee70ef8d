//! Small and large MTUs, and datagrams larger than either.

use std::fs;

use ravelin_tests::{
    echo::Echo,
    topology::{Lab, Links, SERVER, SERVER6, ping_all, wait_for_port},
};

/// Pings as large as the link carries, lossless UDP just as large, and a transfer.
fn crosses_with_mtu(mtu: u32) {
    let Some(lab) = Lab::with(Links { mtu, ..Links::default() }, &["ping", "nc"]) else { return };
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 20, mtu - 28);
    ping_all(&lab.client, SERVER6, 20, mtu - 48);
    assert!(!lab.client.succeeds(&format!("ping -n -q -c 1 -M do -s {} {SERVER}", mtu - 27)), "too large");

    let echo = Echo::start(&lab, SERVER, 4, mtu as usize - 28);
    let sent = lab.random_file("up", 10_000_000);
    let mut server = lab.shell(&lab.server, "nc -l -N 9000 > up.received");
    wait_for_port(&lab.server, 9000);
    lab.shell(&lab.client, &format!("nc -N {SERVER} 9000 < up")).finish();
    server.finish();
    assert!(fs::read(lab.folder().join("up.received")).expect("a file") == sent, "the upload differs");
    echo.finish().assert_lossless();
    ravelin.finish(&[]);
}

#[test]
fn mtu_of_1500_bytes() {
    crosses_with_mtu(1500);
}

#[test]
fn mtu_of_3000_bytes() {
    crosses_with_mtu(3000);
}

#[test]
fn datagrams_in_fragments_cross_both_ways() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 20, 4000);
    ping_all(&lab.client, SERVER6, 20, 4000);
    for address in [SERVER, SERVER6] {
        let echo = Echo::start(&lab, address, 2, 5000);
        ravelin_tests::process::wait_for("a thousand fragmented datagrams", || echo.returned() >= 1_000);
        echo.finish().assert_lossless();
    }
    ravelin.finish(&[]);
}

#[test]
fn a_frame_too_large_for_the_other_side_is_counted() {
    let Some(lab) = Lab::with(Links { mtu: 3000, ..Links::default() }, &["ping"]) else { return };
    lab.appliance.ip("link set inside mtu 1500");
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 5, 1000);
    assert!(!lab.client.succeeds(&format!("ping -n -q -c 3 -i 0.2 -W 1 -M do -s 2000 {SERVER}")));
    let counters = ravelin.finish(&["mtu_exceeded"]);
    assert_eq!(counters.dropped("mtu_exceeded"), 3);
}
