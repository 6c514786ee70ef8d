use std::borrow::Cow;

use ravelin_dataplane::{
    batch::Meta,
    flow::{FlowKey, Side},
    parse::{Address, FragmentKind, decode},
};

use crate::capture::{
    blocks::Packet,
    marks::Marks,
    mentions::{Mention, Mentions},
};

/// Whose packets are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Those of a flow: with the ICMP errors about it, and with all later fragments between its ends, which have no ports.
    Flow(FlowKey),
    /// All between two addresses: of an IP packet that has no flow, because it cannot be parsed or is a fragment alone.
    Hosts([Address; 2]),
    /// All that is not IP between two Ethernet addresses.
    Link([[u8; 6]; 2]),
}

impl Subject {
    /// Whose a packet is.
    pub(super) fn of(packet: &Packet<'_>) -> Self {
        let meta = parsed(packet);
        if meta.keyed {
            return Self::Flow(meta.key);
        }
        match addresses(packet.bytes) {
            Some(both) => Self::Hosts(sorted(both)),
            None => Self::Link(link(packet.bytes)),
        }
    }

    /// Whether a packet is one of them.
    pub(in crate::capture) fn has(&self, packet: &Packet<'_>) -> bool {
        match self {
            Self::Flow(key) => {
                let meta = parsed(packet);
                let is_later = meta.headers.fragment.kind == FragmentKind::Later;
                (meta.keyed && meta.key == *key) || (is_later && of_fragment(&meta) == ends(key))
            }
            Self::Hosts(both) => addresses(packet.bytes).map(sorted) == Some(*both),
            Self::Link(both) => addresses(packet.bytes).is_none() && link(packet.bytes) == *both,
        }
    }

    /// Whether such packets may be among those of an index. An ICMP error about a flow has one end of it.
    pub(in crate::capture) fn may_be_in(&self, mentions: &Mentions) -> bool {
        let has = |address: &Address| mentions.may_have(Mention::Address(*address));
        match self {
            Self::Flow(key) => ends(key).iter().any(has),
            Self::Hosts(both) => both.iter().all(has),
            Self::Link(_) => true,
        }
    }
}

/// Source and destination of an IP packet, whether or not the rest of it is right.
pub(super) fn addresses(frame: &[u8]) -> Option<[Address; 2]> {
    Marks::of(frame).map(|marks| [marks.source, marks.destination])
}

/// A packet as decode finds it. What was not kept of it is taken for zeros, so that its lengths are right.
fn parsed(packet: &Packet<'_>) -> Meta {
    /// More than any frame has.
    const MOST: usize = 1 << 17;
    let length = (packet.length as usize).min(MOST);
    let mut bytes = Cow::Borrowed(packet.bytes);
    if length > bytes.len() {
        bytes.to_mut().resize(length, 0);
    }
    decode(&bytes)
}

fn sorted<T: Ord>(mut both: [T; 2]) -> [T; 2] {
    both.sort();
    both
}

fn ends(key: &FlowKey) -> [Address; 2] {
    sorted([Side::Low, Side::High].map(|side| key.end(side).0.into()))
}

fn of_fragment(meta: &Meta) -> [Address; 2] {
    sorted([meta.headers.source, meta.headers.destination])
}

/// The Ethernet addresses of a frame; zeros where it is too short.
fn link(frame: &[u8]) -> [[u8; 6]; 2] {
    let mut both = [[0; 6]; 2];
    both.as_flattened_mut().iter_mut().zip(frame).for_each(|(place, byte)| *place = *byte);
    sorted(both)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use ravelin_config::types::Protocol;
    use ravelin_dataplane::{capture::Fate, clock::Timestamp, parse::Vlans};

    use super::*;

    fn packet(bytes: &[u8]) -> Packet<'_> {
        Packet {
            interface: 0,
            time: Timestamp::ZERO,
            length: bytes.len() as u32,
            bytes,
            fate: Fate::PASSED,
            worker: 0,
            decision: 0,
            captures: 1,
            block: &[],
        }
    }

    const A: [u8; 4] = [10, 0, 0, 1];
    const B: [u8; 4] = [192, 0, 2, 7];

    fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let made = PacketBuilder::ethernet2([2; 6], [3; 6]).ipv4(from.0, to.0, 64).udp(from.1, to.1);
        made.write(&mut bytes, &[7; 32]).unwrap();
        bytes
    }

    #[test]
    fn a_flow_is_what_passes_both_ways_between_its_ends() {
        let (there, back) = (udp((A, 1000), (B, 53)), udp((B, 53), (A, 1000)));
        let subject = Subject::of(&packet(&there));
        let end = |(address, port): ([u8; 4], u16)| (Address::v4(address), port);
        let (key, _) = FlowKey::new(end((A, 1000)), end((B, 53)), Protocol::UDP, Vlans::default());
        assert_eq!((subject, Subject::of(&packet(&back))), (Subject::Flow(key), subject));
        assert!(subject.has(&packet(&there)) && subject.has(&packet(&back)));
        for other in [udp((A, 1001), (B, 53)), udp((A, 1000), (B, 54)), udp((A, 1000), ([192, 0, 2, 8], 53))]
        {
            assert!(!subject.has(&packet(&other)));
        }
        // Of what was cut off when it was kept it is known how long it was.
        let cut = Packet { bytes: &there[..64], ..packet(&there) };
        assert!(there.len() > 64 && subject.has(&cut));
        assert_eq!(Subject::of(&cut), subject);
        // A fragment behind the first has no ports; with other addresses it is not meant.
        let later = |from, to| {
            let mut fragment = udp((from, 1000), (to, 53));
            // In the place of "do not fragment"; the sum is one's complement.
            assert_eq!(fragment[20..22], [0x40, 0]);
            fragment[20..22].copy_from_slice(&8_u16.to_be_bytes());
            let sum = u32::from(u16::from_be_bytes([fragment[24], fragment[25]]));
            let sum = (sum + 0x4000 + 0xffff - 8) % 0xffff;
            fragment[24..26].copy_from_slice(&(sum as u16).to_be_bytes());
            fragment
        };
        assert!(subject.has(&packet(&later(B, A))));
        assert!(!subject.has(&packet(&later(B, B))));
        assert_eq!(Subject::of(&packet(&later(A, B))), Subject::Hosts([A, B].map(Address::v4)));
        // The router's answer is about the flow, and says so.
        let mut error = Vec::new();
        let made = PacketBuilder::ethernet2([3; 6], [2; 6]).ipv4([10, 9, 9, 9], A, 64);
        made.icmpv4_raw(3, 1, [0; 4]).write(&mut error, &there[14..42]).unwrap();
        assert!(subject.has(&packet(&error)));
    }

    #[test]
    fn what_has_no_flow_is_known_by_its_addresses() {
        let good = udp((A, 1000), (B, 53));
        let mut bad = good.clone();
        bad[24] ^= 1;
        let hosts = Subject::of(&packet(&bad));
        assert_eq!(hosts, Subject::Hosts([A, B].map(Address::v4)));
        assert!(hosts.has(&packet(&good)) && hosts.has(&packet(&bad)));
        assert!(!hosts.has(&packet(&udp((A, 1000), (A, 53)))));
        let unknown = [[2; 6].as_slice(), &[3; 6], &[0x88, 0xb5, 1, 2, 3]].concat();
        let answer = [[3; 6].as_slice(), &[2; 6], &[0x88, 0xb6, 1]].concat();
        let link = Subject::of(&packet(&unknown));
        assert_eq!(link, Subject::Link([[2; 6], [3; 6]]));
        assert!(link.has(&packet(&unknown)) && link.has(&packet(&answer)));
        assert!(!link.has(&packet(&good)), "IP is not meant");
        assert_eq!(Subject::of(&packet(&[2, 2])), Subject::Link([[0; 6], [2, 2, 0, 0, 0, 0]]));
    }
}
