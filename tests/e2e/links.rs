//! Interfaces that go down, come back, or vanish.

use ravelin_tests::{
    echo::Echo,
    process::wait_for,
    topology::{Lab, Links, SERVER, bridge, connect, ping_all, pings},
};

#[test]
fn an_interface_that_was_down_works_again_when_it_is_up() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    for interface in ["outside", "inside"] {
        ping_all(&lab.client, SERVER, 5, 56);
        lab.appliance.ip(&format!("link set {interface} down"));
        assert!(!pings(&lab.client, SERVER), "{interface} is down");
        lab.appliance.ip(&format!("link set {interface} up"));
        wait_for("ping to be answered again", || pings(&lab.client, SERVER));
    }
    // The other end of the cable.
    lab.server.ip("link set eth0 down");
    assert!(!pings(&lab.client, SERVER));
    lab.server.ip("link set eth0 up");
    wait_for("ping to be answered again", || pings(&lab.client, SERVER));
    ping_all(&lab.client, SERVER, 20, 56);
    ravelin.finish(&["transmit_down", "transmit_full"]);
}

#[test]
fn a_bridge_goes_on_when_an_interface_of_another_one_vanishes() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    for (host, peer, address) in [(&lab.client, "outside2", "10.7.0.1"), (&lab.server, "inside2", "10.7.0.2")]
    {
        connect(host, "eth1", &lab.appliance, peer, Links::default());
        host.ip(&format!("address add {address}/24 dev eth1"));
    }
    let second = "[[bridge]]\nname = \"second\"\nports = [\"outside2\", \"inside2\"]\n";
    let ravelin = lab.ravelin(second);
    ping_all(&lab.client, SERVER, 5, 56);
    ping_all(&lab.client, "10.7.0.2", 5, 56);

    let echo = Echo::start(&lab, SERVER, 4, 200);
    wait_for("traffic", || echo.returned() > 100);
    // Deleting one end deletes the other, in the appliance.
    lab.client.ip("link delete eth1");
    // The server goes on sending into the bridge that has lost its other side.
    assert!(!pings(&lab.server, "10.7.0.1"));
    let before = echo.returned();
    wait_for("traffic through the other bridge", || echo.returned() > before + 1_000);
    echo.finish().assert_lossless();
    ping_all(&lab.client, SERVER, 20, 56);
    ravelin.finish(&["transmit_down", "no_destination"]);
}

#[test]
fn a_missing_interface_is_named_at_start() {
    let Some(lab) = Lab::new(&[]) else { return };
    lab.appliance.ip("link delete inside");
    let mut ravelin = ravelin_tests::process::Process::start(
        "ravelin",
        {
            let path = lab.folder().join("ravelin.toml");
            let socket = lab.folder().join("control.sock");
            let text = format!("{}[control]\nsocket = \"{}\"\n", bridge("open"), socket.display());
            std::fs::write(&path, text).expect("the folder is writable");
            let mut command = lab.appliance.command(ravelin_tests::binary::ravelin());
            command.arg("run").arg("-c").arg(path);
            command
        },
        lab.folder(),
    );
    assert!(!ravelin.wait().success());
    assert!(ravelin.output().contains("inside"), "{}", ravelin.output());
    let links = lab.appliance.ip("-details link show dev outside");
    assert!(!links.contains("prog/xdp"), "a start that failed leaves nothing behind: {links}");
}
