use super::ReversePath;
use crate::resources::Labels;
use crate::schema::{
    entry,
    parser::{
        boolean, credential, duration, integer, interface_address, labels, list, mss_clamp, name, path,
        peer_endpoint, prefix, public_key, resource_name, wireguard_routes, word,
    },
    reader::At,
};
use crate::types::{BridgeName, IfName, IpNet, MssClamp};
use crate::wireguard::{PeerEndpoint, PublicKey, WireguardRoutes};
use std::{path::PathBuf, time::Duration};

/// What is long enough for every link, and what IPv4 needs at least (RFC 791).
pub(crate) const MTU: std::ops::RangeInclusive<u64> = 576..=9000;

/// How long a key is served that another has taken the place of.
const ROTATION_GRACE: Duration = Duration::from_hours(24);

entry! {
    /// An interface of WireGuard: packets are routed through it as through an interface with `mode = "route"`, of which there has to be
    /// one. Or, with `bridge`, encryption between two bridges, which nobody else notices. It has exactly one of `conf`, `private_key_file` and `private_key_credential`: a private key does not stand in TOML. At
    /// most 16.
    struct WireguardModel in "wireguard" {
        /// What the kernel and commands call it. At most 10 characters, and no other interface has it.
        name: IfName = Required => name("name of an interface"), Restart;
        /// The bridge on whose outside it encrypts: packets from `local_ips` to allowed IPs of a peer leave there in messages that have the same
        /// addresses, of hardware too. The peer is a bridge before the receivers. Then `local_ips` and `listen_port` are needed, the host has no
        /// such interface, and `conf`, `addresses`, `zone`, `routes`, `reverse_path` and endpoints of peers have no meaning.
        bridge: BridgeName = Means("none: it is an interface of the host") => name("name of a bridge"), Restart;
        /// With `bridge`: who is on its inside. What others send through it, or get, is not encrypted.
        local_ips: Vec<At<IpNet>> = Means("none") => list("addresses or prefixes", prefix()), Live;
        /// A file as wg-quick(8) has it, which others must not be able to read: `chmod 600`. What it says does not stand here again.
        /// Commands (`PostUp`) and `DNS` in it have no effect.
        conf: PathBuf = Means("none") => path(), Live;
        /// A file with the private key in one line, as `wg genkey` writes it, which others must not be able to read.
        private_key_file: PathBuf = Means("none") => path(), Live;
        /// The same, as a credential of systemd: the name of a file in `$CREDENTIALS_DIRECTORY`.
        private_key_credential: String = Means("none") => credential(), Live;
        /// How long the key before is served beside that of `private_key_file`: for so long after `FILE.previous` was written, which
        /// `ravelin wg rotate` does.
        rotation_grace: Duration = Or(ROTATION_GRACE) => duration(Duration::from_secs(1)..=Duration::from_hours(24 * 365)), Live;
        /// The UDP port at which peers reach it.
        listen_port: u16 = Means("any, or that of `conf`") => integer(1..=65535), Restart;
        /// Addresses of the host on it, with the lengths of their networks.
        addresses: Vec<At<IpNet>> = Means("none, or those of `conf`") => list("addresses, with or without the length of their network", interface_address()), Live;
        /// The longest packet that it takes, in bytes.
        mtu: u16 = Means("what the shortest route to a peer leaves, or that of `conf`") => integer(MTU), Restart;
        /// What kind of place it leads to, as of an interface.
        zone: IfName = Means("none") => name("name of a zone"), Live;
        /// Whether there are routes to the allowed IPs of its peers, and in which table if not in the main one.
        routes: WireguardRoutes = Or(WireguardRoutes::Auto) => wireguard_routes(), Live;
        /// Whether packets to allowed IPs of its peers are dropped rather than sent another way, unencrypted. With `bridge`: whether packets are
        /// dropped that come from there unencrypted; the bridge has `fail = "closed"` then.
        require_encryption: bool = Or(false) => boolean(), Live;
        /// Whether TCP connections through it are held to segments that fit, or to how many bytes, as of an interface.
        mss_clamp: MssClamp = Or(MssClamp::Path) => mss_clamp(), Live;
        /// Whether a packet out of it is dropped if no route leads back to its source (`loose`), or none through it (`strict`). What its peer
        /// may not send from is dropped in any case.
        reverse_path: ReversePath = Or(ReversePath::Loose) => word(), Live;
    }
    entries {
        /// Who is at the other end. At most 65536, each with another key.
        peer: WireguardPeerModel;
    }
    refused {
        /// name the file that it stands in: private_key_file = "/etc/ravelin/wg0.key", made with (umask 077; wg genkey > FILE)
        private_key;
    }
}

entry! {
    /// A peer of an interface of WireGuard. One that has the public key of a peer in `conf` gives that its name and labels.
    ///
    /// A peer with a name or labels is a network set of its allowed IPs, with these labels, `ravelin.io/wireguard` and `ravelin.io/peer`, so
    /// that selectors of policies find it. The set is called as the peer, or else after the interface and the first characters of the key.
    struct WireguardPeerModel in "wireguard.peer" {
        /// What people call it. No network set and no other peer has it.
        name: String = Means("its public key") => resource_name(), Live;
        /// By which it is known: 44 characters of base64, as `wg pubkey` writes them.
        public_key: PublicKey = Required => public_key(), Live;
        /// A file with the key in one line that the two ends have beside their own, as `wg genpsk` writes it, which others must not be able
        /// to read.
        preshared_key_file: PathBuf = Means("none") => path(), Live;
        /// The same, as a credential of systemd.
        preshared_key_credential: String = Means("none") => credential(), Live;
        /// Where it is, until it is heard from elsewhere: address or name of a host, and port. Without, it has to speak first.
        endpoint: PeerEndpoint = Means("none") => peer_endpoint(), Live;
        /// What it may send from, and what is sent to it. No two peers of an interface have the same.
        allowed_ips: Vec<At<IpNet>> = Means("none") => list("addresses or prefixes", prefix()).or_empty(), Live;
        /// After how many seconds of silence a packet is sent to it, so that a NAT on the way keeps its mapping.
        persistent_keepalive: u16 = Means("never") => integer(1..=65535), Live;
        /// What selectors see.
        labels: Labels = Means("none") => labels(), Live;
    }
    refused {
        /// name the file that it stands in: preshared_key_file = "/etc/ravelin/peer.psk", made with (umask 077; wg genpsk > FILE)
        preshared_key;
    }
}
