use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// `GET /wireguard`: one entry for each interface.
///
/// No secret is here: whoever may ask has no need to know private and preshared keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardInterface {
    /// The interface.
    pub name: String,
    /// The bridge on whose outside it encrypts, if it is none of the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Who is on the inside of that bridge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_ips: Vec<String>,
    /// Its public key, in base64.
    pub public_key: String,
    /// Where its private key came from, in words.
    #[serde(default)]
    pub private_key_place: String,
    /// The key that it had before, while that is still served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<WireguardPrevious>,
    /// The file that has its private key and nothing else; absent if that comes from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_file: Option<PathBuf>,
    /// The UDP port at which peers reach it.
    pub listen_port: u16,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<String>,
    /// Its peers.
    pub peers: Vec<WireguardPeer>,
    /// Over all peers, and what belongs to none of them.
    pub totals: WireguardTraffic,
}

/// The key that an interface had before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardPrevious {
    /// The public key, in base64.
    pub public_key: String,
    /// When it is no longer served.
    pub until: String,
}

/// `POST /wireguard/keys`: has an interface take over the keys that its files hold now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardKeys {
    /// The interface.
    pub interface: String,
}

/// A peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardPeer {
    /// What the configuration calls it.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its public key, in base64.
    pub public_key: String,
    /// Whether there is a preshared key.
    pub has_preshared_key: bool,
    /// Where that came from, in words; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preshared_key_place: Option<String>,
    /// Whether it is as the configuration has it.
    #[serde(default)]
    pub origin: Origin,
    /// Where packets for it are sent, `address:port`; absent if that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The address of ours that packets for it are sent from; absent if that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_address: Option<String>,
    /// What may be sent to it and come from it.
    pub allowed_ips: Vec<String>,
    /// When the last handshake was completed, in seconds since 1970 as wg(8) says it; 0 if none was.
    pub latest_handshake: u64,
    /// How long the answer to the last handshake that we began took; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handshake_rtt_us: Option<u32>,
    /// What came from it, what went to it, and what did not.
    #[serde(flatten)]
    pub traffic: WireguardTraffic,
    /// How often something is sent to it whatever happens; absent if that is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_keepalive_seconds: Option<u16>,
    /// Whether packets can be sent to it now.
    pub session: Session,
    /// Whether that is under the key that the interface had before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_under_previous_key: bool,
    /// The worker that owns it.
    pub worker: u8,
}

/// Where a peer comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// From the configuration, which it is like.
    #[default]
    Configuration,
    /// From the configuration, and was changed while the process runs.
    Changed,
    /// It was added while the process runs.
    Added,
}

/// `POST /wireguard/NAME/peers`: what changes about the peers of an interface, one after the other, until the next reload; all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireguardChange {
    /// Whether peers go that are not named.
    #[serde(default)]
    pub replace_peers: bool,
    /// What changes about those that are.
    pub peers: Vec<WireguardPeerChange>,
}

/// What changes about a peer. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireguardPeerChange {
    /// Its public key, in base64.
    pub public_key: String,
    /// Whether it goes.
    #[serde(default)]
    pub remove: bool,
    /// Whether nothing is done unless it is there.
    #[serde(default)]
    pub update_only: bool,
    /// Its preshared key; empty for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preshared_key: Option<SentKey>,
    /// Where it is: address or name, and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// How often something is sent to it whatever happens; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_keepalive_seconds: Option<u16>,
    /// All that may be sent to it and come from it; with `+` or `-` before any, what joins and leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_ips: Option<Vec<String>>,
}

/// A secret key in base64, on its way to the process. The only form of it that shows what it is is that of the request.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SentKey(pub Zeroizing<String>);

impl Serialize for SentKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SentKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for SentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The answer to that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardChanged {
    /// The number of the configuration in force now.
    pub generation: u32,
    /// What differs from before, in words of the configuration.
    pub changes: Vec<String>,
    /// The configuration, which says nothing of it, and from which the next reload takes everything.
    pub config: String,
    /// Workers that had not taken it over when the answer was given.
    pub behind: Vec<u8>,
}

/// What was received, sent and counted. Bytes are those of UDP payloads, as wg(8) counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardTraffic {
    /// Packets received.
    pub received_packets: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Packets sent.
    pub sent_packets: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// What else was counted, by name.
    pub counters: BTreeMap<String, u64>,
}

impl WireguardTraffic {
    /// Counters of what happened without a packet being lost. Every other one is a cause for which packets were dropped.
    pub const EVENTS: [&str; 6] = [
        "cookies_received",
        "handshakes",
        "handshakes_sent",
        "keepalives_received",
        "roams",
        "through_kernel",
    ];

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.received_packets += other.received_packets;
        self.received_bytes += other.received_bytes;
        self.sent_packets += other.sent_packets;
        self.sent_bytes += other.sent_bytes;
        for (name, count) in &other.counters {
            *self.counters.entry(name.clone()).or_default() += count;
        }
    }

    /// The causes for which packets were dropped, each with how many.
    pub fn drops(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.counters.iter().map(|(name, count)| (name.as_str(), *count));
        all.filter(|(name, count)| *count > 0 && !Self::EVENTS.contains(name))
    }
}

/// Whether packets can be sent to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Session {
    /// There are no keys, and nobody has asked for any.
    #[default]
    None,
    /// A handshake is under way; packets wait for it.
    Waiting,
    /// There are keys.
    Up,
}

impl Session {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Waiting => "waiting",
            Self::Up => "up",
        }
    }
}
