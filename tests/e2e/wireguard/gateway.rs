//! The gateway as one end of tunnels: a peer behind its outside interface reaches what is inside, and is reached.

use std::fs;

use ravelin_tests::{
    gateway::{OUTSIDE, SERVER, gateway, start},
    ravelin::Ravelin,
    topology::{Lab, ping_all},
    wireguard::{Keys, Kind, Peer, Remote, preshared_key},
};

use crate::routing::{fetch, web};

/// What the gateway has in the tunnel, and the peer.
const OURS: [&str; 2] = ["10.9.0.1", "fd09::1"];
const THEIRS: [&str; 2] = ["10.9.0.2", "fd09::2"];
const PORT: u16 = 51_820;

/// A gateway with a peer of this kind at the client's, which do not know where the other is.
struct Tunnel {
    lab: Lab,
    peer: Peer,
    keys: Keys,
    preshared: String,
}

impl Tunnel {
    fn new(kind: Kind) -> Option<Self> {
        let lab = gateway(&[&["ping", "curl", "busybox"], kind.programs().as_slice()].concat())?;
        let peer = Peer::start(&lab.client, kind, "wg0");
        peer.listen(PORT);
        peer.address(&format!("{}/24", THEIRS[0]));
        peer.address(&format!("{}/64", THEIRS[1]));
        let (keys, preshared) = (Keys::new(), preshared_key());
        for (name, key) in [("wg0.key", &keys.private), ("peer.psk", &preshared)] {
            let path = lab.folder().join(name);
            fs::write(&path, key).expect("the folder is writable");
            ravelin_tests::process::run(std::process::Command::new("chmod").arg("600").arg(path));
        }
        Some(Self { lab, peer, keys, preshared })
    }

    /// Starts the gateway; `more` are lines that say more about the peer.
    fn start(&self, more: &str) -> Ravelin {
        start(&self.lab, &self.section(more))
    }

    fn section(&self, more: &str) -> String {
        format!(
            r#"
[[wireguard]]
name = "wg0"
private_key_file = "{folder}/wg0.key"
listen_port = {PORT}
addresses = ["10.9.0.1/24", "fd09::1/64"]

[[wireguard.peer]]
name = "client"
public_key = "{key}"
preshared_key_file = "{folder}/peer.psk"
allowed_ips = ["10.9.0.2/32", "fd09::2/128"]
{more}
"#,
            folder = self.lab.folder().display(),
            key = self.peer.public_key(),
        )
    }

    /// Tells the peer who the gateway is, and where, if it is to begin.
    fn tell_peer(&self, endpoint: Option<&str>) {
        self.peer.add_peer(&Remote {
            endpoint,
            preshared_key: Some(&self.preshared),
            ..Remote::new(&self.keys.public, "10.9.0.0/24,10.8.2.0/24,fd09::/64,fd08:2::/64")
        });
        // What is behind the gateway, through the tunnel.
        self.peer.route("10.8.2.0/24");
        self.peer.route("fd08:2::/64");
    }

    /// Traffic of all kinds, both ways.
    fn use_it(&self) {
        for address in [SERVER, OURS].concat() {
            ping_all(&self.lab.client, address, 3, 1300);
            ping_all(&self.lab.client, address, 3, 56);
        }
        for address in THEIRS {
            ping_all(&self.lab.server, address, 3, 56);
            ping_all(&self.lab.appliance, address, 3, 56);
        }
        let page = self.lab.random_file("page", 20_000_000);
        let _server = web(&self.lab, &self.lab.server, 80);
        for address in SERVER {
            fetch(&self.lab, &self.lab.client, address, 80, &page);
        }
    }
}

/// The peer as the gateway shows it.
fn shown(ravelin: &Ravelin) -> serde_json::Value {
    let text = ravelin.ask(&["wg", "show", "--json"]).expect("an answer");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    all[0]["peers"][0].clone()
}

fn the_peer_begins(kind: Kind, endpoint: &str) {
    let Some(tunnel) = Tunnel::new(kind) else { return };
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(endpoint));
    tunnel.use_it();
    let peer = shown(&ravelin);
    assert_eq!((&peer["session"], &peer["name"]), (&"up".into(), &"client".into()), "{peer}");
    assert!(peer["sent_bytes"].as_u64() > Some(40_000_000), "{peer}");
    let counters = ravelin.finish(&[]);
    assert!(counters["wireguard_opened"] > 1000 && counters["wireguard_sealed"] > 10_000, "{counters:?}");
    // But for the first answer, if nobody had asked yet who the client is.
    assert!(counters["wireguard_through_kernel"] < 5, "{counters:?}");
}

#[test]
fn wireguard_go_begins_over_ipv4() {
    the_peer_begins(Kind::Go, &format!("{}:{PORT}", OUTSIDE[0]));
}

#[test]
fn wireguard_go_begins_over_ipv6() {
    the_peer_begins(Kind::Go, &format!("[{}]:{PORT}", OUTSIDE[1]));
}

#[test]
fn boringtun_begins() {
    the_peer_begins(Kind::Boringtun, &format!("{}:{PORT}", OUTSIDE[0]));
}

fn the_gateway_begins(kind: Kind, endpoint: &str) {
    let Some(tunnel) = Tunnel::new(kind) else { return };
    tunnel.tell_peer(None);
    let ravelin = tunnel.start(&format!("endpoint = \"{endpoint}:{PORT}\"\n"));
    for address in THEIRS {
        ping_all(&tunnel.lab.server, address, 3, 56);
    }
    tunnel.use_it();
    ravelin.finish(&[]);
}

#[test]
fn the_gateway_begins_with_wireguard_go() {
    the_gateway_begins(Kind::Go, "10.8.1.2");
    the_gateway_begins(Kind::Go, "[fd08:1::2]");
}

#[test]
fn the_gateway_begins_with_boringtun() {
    the_gateway_begins(Kind::Boringtun, "10.8.1.2");
}
