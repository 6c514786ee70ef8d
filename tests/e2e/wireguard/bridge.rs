//! Two bridges that encrypt what those behind them say to each other, with a router between them.
//!
//! ```text
//!  client              near              router              far               server
//!  eth0 ---- inside, outside ---- eth0, eth1 ---- outside, inside ---- eth0
//!  10.8.1.2                         10.8.1.1, 10.8.2.1                       10.8.2.2
//! ```

use std::fs;

use ravelin_tests::{
    gateway::{CLIENT, INSIDE, OUTSIDE, SERVER, forward, give, give_hosts},
    netns::Namespace,
    process::{Process, wait_for},
    ravelin::Ravelin,
    topology::{Folder, Lab, Links, connect, ping_all, pings},
    wireguard::{Keys, preshared_key},
};
use rustix::process::Signal;

use super::tunnel::secret;
use crate::routing::{fetch, web};

const PORT: u16 = 51_871;

struct Line {
    lab: Lab,
    router: Namespace,
    far: Namespace,
    far_folder: Folder,
    keys: [Keys; 2],
}

/// Which of the two bridges.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    Near,
    Far,
}

impl Line {
    fn new(programs: &[&str]) -> Option<Self> {
        let lab = Lab::without_links(&[&["ping", "wg", "tcpdump"], programs].concat())?;
        let (router, far) = (Namespace::new("router"), Namespace::new("far"));
        let links = Links::default();
        connect(&lab.client, "eth0", &lab.appliance, "inside", links);
        connect(&lab.appliance, "outside", &router, "eth0", links);
        connect(&router, "eth1", &far, "outside", links);
        connect(&far, "inside", &lab.server, "eth0", links);
        forward(&router);
        give(&router, "eth0", OUTSIDE);
        give(&router, "eth1", INSIDE);
        give_hosts(&lab);
        wait_for("addresses of links", || router.ip("-6 address show tentative").is_empty());
        let preshared = preshared_key();
        let keys = [Keys::new(), Keys::new()];
        for (name, key) in
            [("near.key", &keys[0].private), ("far.key", &keys[1].private), ("psk", &preshared)]
        {
            secret(&lab, name, key);
        }
        Some(Self { lab, router, far, far_folder: Folder::new(), keys })
    }

    fn config(&self, which: Which, more: &str) -> String {
        let (name, core, local, peer, peers, key) = match which {
            Which::Near => ("near", 0, "1", "far", "2", &self.keys[1].public),
            Which::Far => ("far", 1, "2", "near", "1", &self.keys[0].public),
        };
        format!(
            r#"
[workers]
cores = [{core}]

[[bridge]]
name = "line"
ports = ["outside", "inside"]
fail = "closed"

[[wireguard]]
name = "nodes"
bridge = "line"
local_ips = ["10.8.{local}.0/24", "fd08:{local}::/64"]
private_key_file = "{folder}/{name}.key"
listen_port = {PORT}
require_encryption = true
{more}

[[wireguard.peer]]
name = "{peer}"
public_key = "{key}"
preshared_key_file = "{folder}/psk"
allowed_ips = ["10.8.{peers}.2/32", "fd08:{peers}::2/128"]
"#,
            folder = self.lab.folder().display(),
        )
    }

    fn start(&self, which: Which) -> Ravelin {
        let (namespace, folder) = match which {
            Which::Near => (&self.lab.appliance, self.lab.folder()),
            Which::Far => (&self.far, &*self.far_folder.0),
        };
        Ravelin::start(namespace, folder, &self.config(which, ""))
    }

    /// Writes down what the ends say to each other in the clear, as a router between them sees it.
    fn listen(&self) -> Process {
        let between = format!(
            "((host {} and host {}) or (host {} and host {})) and not udp port {PORT}",
            CLIENT[0], SERVER[0], CLIENT[1], SERVER[1]
        );
        let command = format!("exec tcpdump -i eth0 -n -U -Z root -w clear.pcap '{between}'");
        let mut clear = self.lab.shell(&self.router, &command);
        clear.wait_for_output("listening on eth0");
        clear
    }

    fn assert_silent(&self, mut clear: Process) {
        clear.signal(Signal::INT);
        clear.finish();
        let length = fs::metadata(self.lab.folder().join("clear.pcap")).expect("tcpdump wrote it").len();
        assert_eq!(length, 24, "something left in the clear");
    }
}

fn peer(ravelin: &Ravelin) -> serde_json::Value {
    let text = ravelin.ask(&["wg", "show", "--json"]).expect("an answer");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(all[0]["bridge"], "line");
    all[0]["peers"][0].clone()
}

#[test]
fn two_bridges_encrypt_for_each_other_and_nobody_else_notices() {
    let Some(line) = Line::new(&["curl", "busybox"]) else { return };
    let (near, far) = (line.start(Which::Near), line.start(Which::Far));
    let clear = line.listen();
    let Line { lab, .. } = &line;
    for (host, others) in [(&lab.client, SERVER), (&lab.server, CLIENT)] {
        for address in others {
            ping_all(host, address, 3, 56);
            ping_all(host, address, 3, 1300);
        }
    }
    let page = lab.random_file("page", 20_000_000);
    let _server = web(lab, &lab.server, 80);
    for address in SERVER {
        fetch(lab, &lab.client, address, 80, &page);
    }
    // As long as the wire allows without a tunnel: a host that sets the length down is told, one that does not gets by.
    lab.client.run(&format!("ping -n -q -c 2 -i 0.1 -W 5 -M dont -s 1472 {}", SERVER[0]));
    assert!(!lab.client.succeeds(&format!("ping -n -q -c 1 -W 2 -M do -s 1472 {}", SERVER[0])));
    let route = lab.client.ip(&format!("route get {}", SERVER[0]));
    assert!(route.contains("mtu 1420"), "{route}");
    // First the client is told, then the server.
    let reaches = || lab.client.succeeds(&format!("ping -n -q -c 1 -W 2 -s 1452 {}", SERVER[1]));
    wait_for("both ends to be told", reaches);
    ping_all(&lab.client, SERVER[1], 3, 1452);
    line.assert_silent(clear);

    // Whoever is no end of it is reached as ever, past the peer.
    for address in [OUTSIDE[0], INSIDE[1]] {
        ping_all(&lab.client, address, 3, 56);
    }
    let (near_peer, far_peer) = (peer(&near), peer(&far));
    assert_eq!((&near_peer["name"], &far_peer["name"]), (&"far".into(), &"near".into()));
    for shown in [near_peer, far_peer] {
        assert_eq!(shown["session"], "up", "{shown}");
    }
    let text = near.ask(&["wg", "show"]).expect("an answer");
    assert!(text.contains("bridge: line") && text.contains("local ips: 10.8.1.0/24, fd08:1::/64"), "{text}");
    let seen = near.finish(&["mtu_exceeded"]);
    assert!(seen["mss_clamped"] > 0 && seen["wireguard_sealed"] > 1000, "{seen:?}");
    far.finish(&["mtu_exceeded"]);
}

#[test]
fn a_bridge_that_dies_lets_nothing_out_and_the_line_comes_back() {
    let Some(line) = Line::new(&[]) else { return };
    let clear = line.listen();
    let Line { lab, .. } = &line;
    let near = line.start(Which::Near);
    // Nobody is there yet who would understand.
    assert!(!pings(&lab.client, SERVER[0]));
    let far = line.start(Which::Far);
    ping_all(&lab.client, SERVER[0], 3, 56);
    ping_all(&lab.server, CLIENT[1], 3, 56);
    near.kill();
    assert!(!pings(&lab.client, SERVER[0]));
    let near = line.start(Which::Near);
    ping_all(&lab.client, SERVER[0], 3, 56);
    ping_all(&lab.server, CLIENT[1], 3, 56);
    // Keys stay, others may come and go.
    near.rewrite(&line.config(Which::Near, "mss_clamp = 1200"));
    near.reload().expect("a good configuration is taken");
    ping_all(&lab.client, SERVER[0], 3, 56);
    line.assert_silent(clear);
    assert_eq!(peer(&near)["counters"]["handshakes"], 1, "{}", peer(&near));
    near.finish(&["wireguard_unknown_index", "wireguard_no_session"]);
    far.finish(&["wireguard_unknown_index", "wireguard_no_session", "wireguard_required"]);
}
