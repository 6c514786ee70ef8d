//! Interfaces that only receive.

use std::net::UdpSocket;

use ravelin_tests::topology::{Lab, Links, SERVER, connect, ping_all};

#[test]
fn a_monitor_receives_and_never_sends() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    connect(&lab.client, "eth1", &lab.appliance, "tap", Links::default());
    lab.client.ip("address add 10.6.0.1/24 dev eth1");
    // Nobody answers ARP behind a monitor.
    lab.client.ip("neighbour add 10.6.0.9 lladdr 02:00:00:00:00:09 dev eth1");
    let ravelin = lab.ravelin("[[interface]]\nname = \"tap\"\nmode = \"monitor\"\n");
    ping_all(&lab.client, SERVER, 5, 56);

    let socket = lab.client.inside(|| UdpSocket::bind("10.6.0.1:0")).expect("a socket");
    for _ in 0..100 {
        socket.send_to(b"seen, not answered", "10.6.0.9:514").expect("the client may send");
    }
    let flow = ravelin.wait_for_flow("--port 514", |flow| flow["packets"][0] == 100);
    assert_eq!((&flow["in"], &flow["verdict"]), (&"tap".into(), &"allow".into()));
    let interfaces = ravelin.show("interfaces");
    let tap = interfaces.as_array().expect("a list").iter().find(|interface| interface["name"] == "tap");
    let tap = tap.expect("the monitor is listed");
    assert_eq!(tap["sent_packets"], 0);
    let counters = ravelin.finish(&[]);
    assert!(counters["consumed"] >= 100);
}
