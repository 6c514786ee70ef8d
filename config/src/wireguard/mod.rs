//! WireGuard as the configuration asks for it: interfaces, their peers, and keys that nobody sees.
//!
//! A section `[[wireguard]]` says all of it in TOML, or names a file as wg-quick(8) has it (`conf/`); what comes out is the same
//! [`Wireguard`]. Promises: a [`PrivateKey`] or [`PresharedKey`] is shown by nothing, neither here nor in a report about the files
//! that hold it, and is overwritten when its owner goes. Refuses: keys that are not written as wg(8) writes them. Read next:
//! `key.rs`, then `validate/wireguard/` for how sections become interfaces; `change.rs` for what changes while a process runs.

pub mod change;
mod conf;
mod endpoint;
mod key;
mod mask;
mod place;
#[cfg(test)]
mod tests;

pub use crate::validate::{PeersFile, Standing, read_peers};
pub(crate) use conf::{Conf, ConfPeer};
pub use endpoint::{EndpointError, PeerEndpoint};
pub use key::{KeyError, PresharedKey, PrivateKey, PublicKey};
pub(crate) use mask::{secrets_of_toml, without_keys};
pub use place::KeyPlace;

use crate::model::ReversePath;
use crate::report::{Findings, Report};
use crate::resources::Labels;
use crate::types::{BridgeName, IfName, IpNet, MssClamp};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::{
    num::NonZeroU16,
    path::{Path, PathBuf},
    time::Duration,
};

/// What is found in a file of wg-quick(8): everything that is wrong with it, and what has no effect. `file_name` is what it is called
/// there. No key of the file is in the answer.
pub fn check_conf(text: &str, file_name: &str) -> Report {
    let mut findings = Findings::default();
    Conf::read(text, file_name.into(), &mut findings);
    findings.into_report()
}

/// An interface of WireGuard. Packets are routed through it as between interfaces with `mode = "route"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wireguard {
    /// What the kernel and commands call it: at most [`Self::NAME_MAX`] bytes.
    pub name: IfName,
    /// The bridge on whose outside it is, if it is none of the host's.
    pub bridge: Option<OnBridge>,
    /// Its own key.
    pub private_key: PrivateKey,
    /// Where that came from.
    #[serde(skip)]
    pub private_key_place: KeyPlace,
    /// The file that has nothing but that key, if there is one.
    pub private_key_file: Option<PathBuf>,
    /// The key that it had before, while that is still served.
    pub previous_key: Option<PreviousKey>,
    /// How long that is.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub rotation_grace: Duration,
    /// The UDP port at which peers reach it; any, if there is none.
    pub listen_port: Option<u16>,
    /// Addresses of the host on it, with the lengths of their networks. Host bits are kept.
    pub addresses: Vec<IpNet>,
    /// The longest packet that it takes, in bytes; what the way to the peers leaves, if there is none.
    pub mtu: Option<u16>,
    /// What kind of place it leads to.
    pub zone: Option<IfName>,
    /// Whether there are routes to the allowed IPs of its peers.
    pub routes: WireguardRoutes,
    /// Whether packets to allowed IPs of its peers are dropped where they would leave unencrypted.
    pub require_encryption: bool,
    /// To what TCP connections are held that are routed through it.
    pub mss_clamp: MssClamp,
    /// How sources of packets are checked that come out of it.
    pub reverse_path: ReversePath,
    /// Who is at the other end, each with another key, in the order of the files.
    pub peers: Vec<WireguardPeer>,
}

impl Wireguard {
    /// The most bytes of a name: our end is called `rvln-` and the name, and an interface name has at most 15 bytes.
    pub const NAME_MAX: usize = 10;
    /// The most interfaces.
    pub const MAX: usize = 16;
    /// The most peers of an interface.
    pub const PEERS_MAX: usize = 65_536;

    /// The file of the key before, beside that of a key.
    pub fn previous_key_file(key_file: &Path) -> PathBuf {
        let mut path = key_file.as_os_str().to_owned();
        path.push(".previous");
        path.into()
    }
}

/// The key that an interface had before, for peers that know no other yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreviousKey {
    /// The key.
    pub key: PrivateKey,
    /// When it is no longer served.
    pub until: Timestamp,
}

/// Where an interface of WireGuard is that is none of the host's: on the outside of a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnBridge {
    /// What the bridge is called.
    pub name: BridgeName,
    /// Its outside port.
    pub outside: IfName,
    /// Who is on its inside: what is encrypted is from and for these. Host bits are cleared.
    pub local_ips: Vec<IpNet>,
}

/// A peer of an interface of WireGuard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WireguardPeer {
    /// What people call it.
    pub name: Option<String>,
    /// By which it is known.
    pub public_key: PublicKey,
    /// What only the two ends know, beside their keys.
    pub preshared_key: Option<PresharedKey>,
    /// Where that came from, if there is one.
    #[serde(skip)]
    pub preshared_key_place: Option<KeyPlace>,
    /// Where it is, until it is heard from elsewhere; it has to speak first, if there is none.
    pub endpoint: Option<PeerEndpoint>,
    /// What it may send from, and what is sent to it. Host bits are cleared; no two peers of an interface have the same.
    pub allowed_ips: Vec<IpNet>,
    /// After how many seconds without a packet to it one is sent; none is, if there is none.
    pub persistent_keepalive: Option<NonZeroU16>,
    /// What selectors see of it.
    pub labels: Labels,
}

impl WireguardPeer {
    /// What it is called in lists: its name, or its public key.
    pub fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.public_key.to_string())
    }
}

/// Whether there are routes to the allowed IPs of an interface's peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireguardRoutes {
    /// In the main table.
    #[default]
    Auto,
    /// There are none.
    Off,
    /// In this table.
    Table(u32),
}

/// As a configuration says it.
impl std::fmt::Display for WireguardRoutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("true"),
            Self::Off => f.write_str("false"),
            Self::Table(table) => table.fmt(f),
        }
    }
}

impl Serialize for WireguardRoutes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_bool(true),
            Self::Off => serializer.serialize_bool(false),
            Self::Table(table) => serializer.serialize_u32(*table),
        }
    }
}
