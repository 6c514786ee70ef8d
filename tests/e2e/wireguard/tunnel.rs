//! A gateway with peers, for tests of what it does as one end of tunnels.

use std::{fs, path::PathBuf};

use ravelin_tests::{
    gateway::{OUTSIDE, SERVER, gateway, routes, start},
    netns::Namespace,
    ravelin::Ravelin,
    topology::{Lab, ping_all},
    wireguard::{Keys, Kind, Peer, Remote, preshared_key},
};

use crate::routing::{fetch, web};

/// What the gateway has in the tunnel, and the peer.
pub(super) const OURS: [&str; 2] = ["10.9.0.1", "fd09::1"];
pub(super) const THEIRS: [&str; 2] = ["10.9.0.2", "fd09::2"];
pub(super) const PORT: u16 = 51_820;

/// A gateway with a peer of this kind at the client's, which do not know where the other is.
pub(super) struct Tunnel {
    pub(super) lab: Lab,
    pub(super) peer: Peer,
    pub(super) keys: Keys,
    pub(super) preshared: String,
}

impl Tunnel {
    pub(super) fn new(kind: Kind) -> Option<Self> {
        let lab = gateway(&[&["ping", "curl", "busybox"], kind.programs().as_slice()].concat())?;
        let peer = Peer::start(&lab.client, kind, "wg0");
        peer.listen(PORT);
        peer.address(&format!("{}/24", THEIRS[0]));
        peer.address(&format!("{}/64", THEIRS[1]));
        let (keys, preshared) = (Keys::new(), preshared_key());
        for (name, key) in [("wg0.key", &keys.private), ("peer.psk", &preshared)] {
            secret(&lab, name, key);
        }
        Some(Self { lab, peer, keys, preshared })
    }

    /// Starts the gateway; `more` are lines that say more about the peer.
    pub(super) fn start(&self, more: &str) -> Ravelin {
        start(&self.lab, &self.section(more))
    }

    pub(super) fn section(&self, more: &str) -> String {
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
    pub(super) fn tell_peer(&self, endpoint: Option<&str>) {
        self.peer.add_peer(&Remote {
            endpoint,
            preshared_key: Some(&self.preshared),
            ..Remote::new(&self.keys.public, "10.9.0.0/24,10.8.2.0/24,fd09::/64,fd08:2::/64")
        });
        // What is behind the gateway, through the tunnel.
        self.peer.route("10.8.2.0/24");
        self.peer.route("fd08:2::/64");
    }

    /// Starts another peer at the client's. Its number is the end of its name, its address, and its port.
    pub(super) fn other(&self, number: u16) -> Other {
        let peer = Peer::start(&self.lab.client, Kind::Go, &format!("wg{number}"));
        peer.listen(PORT + number);
        let other = Other { peer, number };
        other.address(&self.lab.client, &format!("10.9.0.{number}"));
        other
    }

    /// The whole configuration; `more` is as for [`Tunnel::start`].
    pub(super) fn config(&self, more: &str) -> String {
        let interfaces = ["outside", "inside"].map(|name| routes(name, "")).concat();
        format!("{interfaces}{}", self.section(more))
    }

    /// Traffic of all kinds, both ways.
    pub(super) fn use_it(&self) {
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

/// Another peer than the first.
pub(super) struct Other {
    pub(super) peer: Peer,
    pub(super) number: u16,
}

impl Other {
    /// Gives it an address. What is from there leaves through it, and not through the first peer of the same host.
    pub(super) fn address(&self, client: &Namespace, address: &str) {
        self.peer.address(&format!("{address}/32"));
        let table = 100 + self.number;
        client.ip(&format!("route replace default dev wg{} table {table}", self.number));
        client.ip(&format!("rule add from {address} lookup {table}"));
    }

    /// What a configuration says of it, with lines that say more.
    pub(super) fn section(&self, more: &str) -> String {
        self.section_with(&format!("10.9.0.{}/32", self.number), more)
    }

    /// The same with other allowed IPs.
    pub(super) fn section_with(&self, allowed_ips: &str, more: &str) -> String {
        format!(
            "[[wireguard.peer]]\nname = \"wg{}\"\npublic_key = \"{}\"\nallowed_ips = [\"{allowed_ips}\"]\n{more}\n",
            self.number,
            self.peer.public_key(),
        )
    }

    /// Tells it where the gateway is, and who.
    pub(super) fn tell(&self, gateway: &str) {
        let endpoint = format!("{}:{PORT}", OUTSIDE[0]);
        self.peer.add_peer(&Remote {
            endpoint: Some(&endpoint),
            ..Remote::new(gateway, "10.9.0.0/24,10.8.2.0/24")
        });
    }

    /// Whether the gateway answers it in the tunnel.
    pub(super) fn pings(&self, client: &Namespace) -> bool {
        client.succeeds(&format!("ping -n -q -c 2 -i 0.2 -W 2 -I 10.9.0.{} {}", self.number, OURS[0]))
    }
}

/// Writes a file that only its owner reads.
pub(super) fn secret(lab: &Lab, name: &str, text: &str) -> PathBuf {
    let path = lab.folder().join(name);
    fs::write(&path, text).expect("the folder is writable");
    ravelin_tests::process::run(std::process::Command::new("chmod").arg("600").arg(&path));
    path
}

/// A peer as the gateway shows it.
pub(super) fn shown(ravelin: &Ravelin, name: &str) -> serde_json::Value {
    let text = ravelin.ask(&["wg", "show", "--json"]).expect("an answer");
    let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let peers = all[0]["peers"].as_array().expect("a list of peers");
    peers.iter().find(|peer| peer["name"] == name).unwrap_or_else(|| panic!("no {name} in {text}")).clone()
}
