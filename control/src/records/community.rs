use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use ravelin_config::types::Protocol;
use ravelin_dataplane::flow::{FlowKey, Side};
use sha1::{Digest, Sha1};

/// A flow's name among all tools that use Community ID, version 1 with seed 0 (specification: corelight/community-id-spec).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommunityId {
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
        let mut input = Input { bytes: [0; Input::CAPACITY], length: 0 };
        input.push(&[0, 0]);
        for address in [low, high] {
            match address {
                IpAddr::V4(address) => input.push(&address.octets()),
                IpAddr::V6(address) => input.push(&address.octets()),
            }
        }
        input.push(&[protocol.0, 0]);
        for port in ports.into_iter().flatten() {
            input.push(&port.to_be_bytes());
        }
        Self { digest: Sha1::digest(&input.bytes[..input.length]).into(), specified }
    }

    /// The first eight bytes of the digest, whether or not the specification names the flow.
    pub(super) fn hash(&self) -> u64 {
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
