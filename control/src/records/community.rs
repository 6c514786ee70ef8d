use std::{fmt, net::IpAddr, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use ravelin_config::types::Protocol;
use ravelin_dataplane::flow::{FlowKey, Side};
use sha1::{Digest, Sha1};

/// A flow's name among all tools that use Community ID, version 1 with seed 0 (specification: corelight/community-id-spec).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CommunityId {
    digest: [u8; 20],
    /// Whether the specification gives the flow a name.
    specified: bool,
}

impl CommunityId {
    /// The name of the flow `key` that `initiator` opened.
    ///
    /// The specification names ICMP flows by type and code. A flow of ours is an echo if it has an identifier, and then its
    /// initiator sent the request. Other ICMP has no name, as its type is not part of a flow.
    pub(super) fn of(key: &FlowKey, initiator: Side) -> Self {
        let (low, low_port) = key.end(Side::Low);
        let (high, high_port) = key.end(Side::High);
        let protocol = key.protocol();
        let (ports, specified) = match (protocol, low_port) {
            (Protocol::ICMP | Protocol::ICMPV6, 0) => (None, false),
            (Protocol::ICMP, _) => (Some(echo([8, 0], initiator, low == high)), true),
            (Protocol::ICMPV6, _) => (Some(echo([128, 129], initiator, low == high)), true),
            _ if protocol.has_ports() => (Some([low_port, high_port]), true),
            _ => (None, true),
        };
        Self { digest: digest([low, high], protocol, ports), specified }
    }

    /// The name of the flow of a packet with these addresses, of sender and receiver, and these ports.
    pub(crate) fn of_ends(ends: [IpAddr; 2], protocol: Protocol, ports: Option<[u16; 2]>) -> Self {
        let [source, destination] = ends;
        let [source_port, destination_port] = ports.unwrap_or_default();
        let in_order = (source, source_port) <= (destination, destination_port);
        let (ends, ports) = if in_order { (ends, ports) } else { (swapped(ends), ports.map(swapped)) };
        Self { digest: digest(ends, protocol, ports), specified: true }
    }

    /// The name of the flow of an ICMP or ICMPv6 message of this type and code. Of a message that is answered by another type, that type stands in
    /// the place of the receiver's port; any other has its code there, and a flow one way only.
    pub(crate) fn of_message(ends: [IpAddr; 2], protocol: Protocol, [kind, code]: [u8; 2]) -> Self {
        let pairs = if protocol == Protocol::ICMPV6 { &ICMPV6[..] } else { &ICMP };
        let answer = pairs.iter().find_map(|&[one, other]| match kind {
            _ if kind == one => Some(other),
            _ if kind == other => Some(one),
            _ => None,
        });
        match answer {
            Some(answer) => Self::of_ends(ends, protocol, Some([kind, answer].map(u16::from))),
            None => {
                let numbers = Some([kind, code].map(u16::from));
                Self { digest: digest(ends, protocol, numbers), specified: true }
            }
        }
    }

    /// The first eight bytes of the digest, whether or not the specification names the flow.
    pub(crate) fn hash(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// The name behind its version, `1:`; `None` if the flow has none.
    pub(super) fn text(&self) -> Option<[u8; 28]> {
        let mut text = [0; 28];
        let encoded = STANDARD.encode_slice(self.digest, &mut text).is_ok();
        (self.specified && encoded).then_some(text)
    }
}

/// Something is no name of a flow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no Community ID of version 1, such as 1:LQU9qZlK+B5F3KDmev6m5PMibrg=")]
pub struct CommunityIdError(String);

impl FromStr for CommunityId {
    type Err = CommunityIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.strip_prefix("1:").and_then(|digest| STANDARD.decode(digest).ok()?.try_into().ok());
        digest.map(|digest| Self { digest, specified: true }).ok_or_else(|| CommunityIdError(text.to_owned()))
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1:{}", STANDARD.encode(self.digest))
    }
}

/// Types of ICMP that answer one another: echo, router discovery, timestamp, information, mask.
const ICMP: [[u8; 2]; 5] = [[8, 0], [10, 9], [13, 14], [15, 16], [17, 18]];
/// Those of ICMPv6: echo, listener, router and neighbour discovery, node information, home agent discovery.
const ICMPV6: [[u8; 2]; 6] = [[128, 129], [130, 131], [133, 134], [135, 136], [139, 140], [144, 145]];

fn swapped<T>([first, second]: [T; 2]) -> [T; 2] {
    [second, first]
}

/// The hash of seed 0, addresses, protocol and what stands for ports, in the order of the ends.
fn digest(ends: [IpAddr; 2], protocol: Protocol, ports: Option<[u16; 2]>) -> [u8; 20] {
    let mut input = Input { bytes: [0; Input::CAPACITY], length: 0 };
    input.push(&[0, 0]);
    for address in ends {
        match address {
            IpAddr::V4(address) => input.push(&address.octets()),
            IpAddr::V6(address) => input.push(&address.octets()),
        }
    }
    input.push(&[protocol.0, 0]);
    for port in ports.into_iter().flatten() {
        input.push(&port.to_be_bytes());
    }
    Sha1::digest(&input.bytes[..input.length]).into()
}

/// Request and reply in the place of ports, in the order of the ends.
fn echo([request, reply]: [u16; 2], initiator: Side, same_address: bool) -> [u16; 2] {
    match initiator {
        _ if same_address => [request.min(reply), request.max(reply)],
        Side::Low => [request, reply],
        Side::High => [reply, request],
    }
}

/// What is hashed: seed, addresses, protocol, padding, ports.
struct Input {
    bytes: [u8; Self::CAPACITY],
    length: usize,
}

impl Input {
    const CAPACITY: usize = 2 + 16 + 16 + 2 + 4;

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}
