//! The namespaces of a tunnel, with both ends in them.

use super::{
    super::topology::{Host, Topology},
    end::{End, Interface, Keys, Program, Remote},
    traffic::{Load, Outcome},
};

/// The UDP port of the gateway. Clients have the ones behind it.
pub(super) const PORT: u16 = 51820;
/// Where clients find it.
const GATEWAY: &str = "10.77.0.254:51820";

/// The server's address for a peer: each has one, so that routes say which tunnel leads there.
pub(super) fn server(peer: u8) -> String {
    format!("10.79.0.{}", 2 + peer)
}

/// The address of a peer in the tunnel.
fn inner(peer: u8) -> String {
    format!("10.9.0.{}", 2 + peer)
}

/// A gateway and its peers, who have all got through to the server.
pub(super) struct Place {
    gateway: End,
    clients: Vec<End>,
    topology: Topology,
}

impl Place {
    pub(super) fn new(gateway: Program, client: Program, peers: u8) -> Self {
        let topology = Topology::routed(1500);
        // There is no way past the tunnel.
        topology.ip(Host::Client, &["route", "delete", "10.79.0.0/24"]);
        topology.ip(Host::Server, &["route", "delete", "10.77.0.0/24"]);
        for peer in 1..peers {
            topology.ip(Host::Server, &["address", "add", &format!("{}/24", server(peer)), "dev", "b0"]);
        }
        topology.ip(Host::Server, &["route", "add", "10.9.0.0/24", "via", "10.79.0.254"]);
        let keys = Keys::new();
        let theirs: Vec<Keys> = (0..peers).map(|_| Keys::new()).collect();
        let remotes = theirs.iter().zip(0..).map(|(keys, peer)| Remote {
            public_key: keys.public.clone(),
            allowed_ips: format!("{}/32", inner(peer)),
            endpoint: None,
        });
        let interface = Interface {
            host: Host::Middle,
            name: "wg0".to_owned(),
            cores: "0-1",
            core: 1,
            ports: &["r0", "r1"],
            address: "10.9.0.1".to_owned(),
            listen_port: PORT,
            remotes: remotes.collect(),
        };
        let gateway = End::start(&topology, gateway, &keys, &interface);
        let ours = |peer: u8| Interface {
            host: Host::Client,
            name: format!("wg{peer}"),
            cores: "0-1",
            core: 0,
            ports: &["a0"],
            address: inner(peer),
            listen_port: PORT + 1 + u16::from(peer),
            remotes: vec![Remote {
                public_key: keys.public.clone(),
                allowed_ips: format!("{}/32", server(peer)),
                endpoint: Some(GATEWAY),
            }],
        };
        let clients =
            theirs.iter().zip(0..).map(|(keys, peer)| End::start(&topology, client, keys, &ours(peer)));
        let place = Self { gateway, clients: clients.collect(), topology };
        for peer in 0..peers {
            place.wait_for(peer);
        }
        place
    }

    /// Waits until the server answers a peer.
    fn wait_for(&self, peer: u8) {
        let answers = (0..50).any(|_| {
            let arguments = ["-c", "1", "-W", "0.2", "-q", &server(peer)];
            let ping = self.topology.command(Host::Client, "0-1", "ping", &arguments).output();
            ping.expect("ping is installed").status.success()
        });
        assert!(answers, "the server does not answer {} through the tunnel", inner(peer));
    }

    /// Sends something, and looks that it went through the tunnel.
    pub(super) fn measure(&self, load: &Load) -> Outcome {
        let transferred = || {
            let clients = self.clients.iter().map(|client| client.transferred(&self.topology)).sum::<u64>();
            [self.gateway.transferred(&self.topology), clients]
        };
        let before = transferred();
        let outcome = load.run(&self.topology);
        for (before, after) in before.into_iter().zip(transferred()) {
            let through = (after - before) as f64;
            assert!(through >= outcome.bytes, "of {} bytes {through} went through the tunnel", outcome.bytes);
        }
        outcome
    }

    /// What the kernel may leave to the gateway's interface, or leaves to others: segmentation, and putting segments together.
    pub(super) fn offloads(&self) -> String {
        let output = self.topology.command(Host::Middle, "0-1", "ethtool", &["-k", "wg0"]).output();
        let text = String::from_utf8(output.expect("ethtool is installed").stdout).expect("text");
        let wanted = [
            ("tcp-segmentation-offload", "tso"),
            ("tx-udp-segmentation", "uso"),
            ("generic-segmentation-offload", "gso"),
            ("generic-receive-offload", "gro"),
            ("tx-checksumming", "tx checksums"),
        ];
        let states = wanted.iter().filter_map(|(name, short)| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "))?;
            Some(format!("{short} {}", line.split(' ').next().unwrap_or_default()))
        });
        states.collect::<Vec<_>>().join(", ")
    }
}
