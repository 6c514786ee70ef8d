//! Packets of local stacks, put together byte by byte, with checksums computed as slowly and plainly as their definitions
//! say: nothing here is shared with what is tested.

use proptest::prelude::*;

/// A frame as it comes from a stack with checksum offload, and as it would come from one without.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) partial: Vec<u8>,
    pub(super) whole: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
    Sctp,
}

/// An IP packet with a transport header.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) v6: bool,
    pub(super) transport: Transport,
    pub(super) port: u16,
    pub(super) payload: Vec<u8>,
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Ip,
    Ethernet { tags: usize },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Vxlan { port: u16, policy: bool },
    Geneve { options: usize, content: Content },
    Gre { key: bool, sequence: bool, content: Content },
    Ip,
}

/// What the stack makes of the checksum of the tunnel itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    None,
    /// Partial, and the packet inside is whole: a stack leaves no more than one checksum to the card.
    Partial,
    /// Partial like the one inside.
    Both,
    /// Right for the packet inside once that is completed.
    Right,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel {
    pub(super) v6: bool,
    pub(super) kind: Kind,
    pub(super) outer: Outer,
}

impl Packet {
    /// The packet without anything around it, and its two versions.
    fn ip(&self) -> Sample {
        let whole = self.segment(true);
        let partial = self.segment(false);
        Sample {
            partial: ip(self.v6, self.protocol(), &partial),
            whole: ip(self.v6, self.protocol(), &whole),
        }
    }

    pub(super) fn frame(&self) -> Sample {
        self.ip().map(|packet| ethernet(self.v6, &[], packet))
    }

    pub(super) const fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
            Transport::Sctp => 132,
        }
    }

    fn segment(&self, whole: bool) -> Vec<u8> {
        let mut segment = vec![0x30, 0x39];
        segment.extend(self.port.to_be_bytes());
        let field = match self.transport {
            Transport::Tcp => {
                segment.extend([0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
                16
            }
            Transport::Udp => {
                segment.extend((8 + self.payload.len() as u16).to_be_bytes());
                segment.extend([0, 0]);
                6
            }
            Transport::Sctp => {
                segment.extend([0, 0, 0, 1, 0, 0, 0, 0]);
                8
            }
        };
        segment.extend(&self.payload);
        if self.transport == Transport::Sctp {
            if whole {
                let crc = crc32c(&segment).to_le_bytes();
                segment[field..field + 4].copy_from_slice(&crc);
            }
            return segment;
        }
        let pseudo = pseudo_header(self.v6, self.protocol(), segment.len());
        let value = if whole { checksum(&pseudo, &segment) } else { sum(&pseudo) };
        segment[field..field + 2].copy_from_slice(&value.to_be_bytes());
        segment
    }
}

impl Tunnel {
    /// The frame of a tunnel with this packet inside.
    pub(super) fn frame(&self, inner: &Packet) -> Sample {
        let ip = inner.ip();
        let whole = self.around(&ip.whole, inner.v6);
        let inside = if self.outer == Outer::Partial { &ip.whole } else { &ip.partial };
        let partial = self.around(inside, inner.v6);
        let (protocol, field) = self.field(inner.v6);
        let Some(field) = field else {
            return ip.map(|packet| self.wrap(packet, inner.v6));
        };
        let pseudo = match self.kind {
            Kind::Gre { .. } => Vec::new(),
            Kind::Vxlan { .. } | Kind::Geneve { .. } | Kind::Ip => {
                pseudo_header(self.v6, protocol, whole.len())
            }
        };
        let right = checksum(&pseudo, &whole);
        let left = if self.outer == Outer::Right { right } else { sum(&pseudo) };
        let around = |mut packet: Vec<u8>, value: u16| {
            packet[field..field + 2].copy_from_slice(&value.to_be_bytes());
            ethernet(self.v6, &[], &self::ip(self.v6, protocol, &packet))
        };
        Sample { partial: around(partial, left), whole: around(whole, right) }
    }

    /// The frame of a tunnel without a checksum with this IP packet inside.
    pub(super) fn wrap(&self, packet: &[u8], v6: bool) -> Vec<u8> {
        ethernet(self.v6, &[], &ip(self.v6, self.field(v6).0, &self.around(packet, v6)))
    }

    /// The IP protocol of the tunnel, and where in its packet the checksum stands, if there is one.
    fn field(&self, inner_v6: bool) -> (u8, Option<usize>) {
        let has = self.outer != Outer::None;
        match self.kind {
            Kind::Vxlan { .. } | Kind::Geneve { .. } => (17, has.then_some(6)),
            Kind::Gre { .. } => (47, has.then_some(4)),
            Kind::Ip => (if inner_v6 { 41 } else { 4 }, None),
        }
    }

    /// What the outer IP packet carries, without its checksum.
    fn around(&self, packet: &[u8], v6: bool) -> Vec<u8> {
        let (ethertype, content) = match self.content() {
            Content::Ip => (ethertype(v6), packet.to_vec()),
            Content::Ethernet { tags } => (0x6558, ethernet(v6, &[5, 6][..tags], packet)),
        };
        let mut bytes = Vec::new();
        match self.kind {
            Kind::Vxlan { port, policy } => {
                bytes.extend(udp(port, 8 + content.len()));
                bytes.extend([if policy { 0x88 } else { 0x08 }, 0, 0, u8::from(policy), 0, 0, 7, 0]);
            }
            Kind::Geneve { options, .. } => {
                bytes.extend(udp(6081, 8 + options * 4 + content.len()));
                bytes.extend([options as u8, 0]);
                bytes.extend(ethertype.to_be_bytes());
                bytes.extend([0, 0, 7, 0]);
                bytes.extend(vec![0x5a; options * 4]);
            }
            Kind::Gre { key, sequence, .. } => {
                let checksum = self.outer != Outer::None;
                bytes.extend([u8::from(checksum) << 7 | u8::from(key) << 5 | u8::from(sequence) << 4, 0]);
                bytes.extend(ethertype.to_be_bytes());
                for (is_there, value) in [(checksum, 0), (key, 0xabcd_u32), (sequence, 77)] {
                    bytes.extend(value.to_be_bytes().iter().filter(|_| is_there));
                }
            }
            Kind::Ip => {}
        }
        bytes.extend(content);
        bytes
    }

    const fn content(&self) -> Content {
        match self.kind {
            Kind::Vxlan { .. } => Content::Ethernet { tags: 0 },
            Kind::Geneve { content, .. } | Kind::Gre { content, .. } => content,
            Kind::Ip => Content::Ip,
        }
    }
}

impl Sample {
    fn map(&self, change: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        Self { partial: change(&self.partial), whole: change(&self.whole) }
    }
}

fn udp(port: u16, payload: usize) -> Vec<u8> {
    let mut header = vec![0xc0, 0x01];
    header.extend(port.to_be_bytes());
    header.extend((8 + payload as u16).to_be_bytes());
    header.extend([0, 0]);
    header
}

const fn ethertype(v6: bool) -> u16 {
    if v6 { 0x86dd } else { 0x0800 }
}

pub(super) fn ethernet(v6: bool, tags: &[u16], packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    for tag in tags {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(ethertype(v6).to_be_bytes());
    frame.extend(packet);
    frame
}

const ADDRESSES: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [198, 51, 100, 255]);
const ADDRESSES6: ([u8; 16], [u8; 16]) = ([0x20; 16], [0x3f; 16]);

pub(super) fn ip(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    if v6 {
        packet.extend([0x60, 0, 0, 0]);
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend(ADDRESSES6.0);
        packet.extend(ADDRESSES6.1);
    } else {
        packet.extend([0x45, 0]);
        packet.extend((20 + payload.len() as u16).to_be_bytes());
        packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
        packet.extend(ADDRESSES.0);
        packet.extend(ADDRESSES.1);
        let header = checksum(&[], &packet);
        packet[10..12].copy_from_slice(&header.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

/// RFC 9293 section 3.1 and RFC 8200 section 8.1.
pub(super) fn pseudo_header(v6: bool, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = Vec::new();
    if v6 {
        header.extend(ADDRESSES6.0);
        header.extend(ADDRESSES6.1);
        header.extend((length as u32).to_be_bytes());
        header.extend([0, 0, 0, protocol]);
    } else {
        header.extend(ADDRESSES.0);
        header.extend(ADDRESSES.1);
        header.extend([0, protocol]);
        header.extend((length as u16).to_be_bytes());
    }
    header
}

/// The ones' complement sum, RFC 1071, one addition after the other.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
        let (added, carry) = sum.overflowing_add(word);
        sum = added + u16::from(carry);
    }
    sum
}

/// The checksum over a pseudo-header and what follows, in which the field is zero.
pub(super) fn checksum(pseudo: &[u8], bytes: &[u8]) -> u16 {
    match !sum(&[pseudo, bytes].concat()) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// CRC32c, RFC 9260 appendix A, one bit after the other.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

pub(super) fn any_packet() -> impl Strategy<Value = Packet> {
    let transport = prop_oneof![Just(Transport::Tcp), Just(Transport::Udp), Just(Transport::Sctp)];
    let payload = proptest::collection::vec(any::<u8>(), 0..1_400);
    (any::<bool>(), transport, payload).prop_map(|(v6, transport, payload)| Packet {
        v6,
        transport,
        port: 443,
        payload,
    })
}

pub(super) fn any_tunnel() -> impl Strategy<Value = Tunnel> {
    let content = || prop_oneof![Just(Content::Ip), (0_usize..3).prop_map(|tags| Content::Ethernet { tags })];
    let kind = prop_oneof![
        (prop_oneof![Just(4789), Just(8472)], any::<bool>())
            .prop_map(|(port, policy)| Kind::Vxlan { port, policy }),
        (0_usize..64, content()).prop_map(|(options, content)| Kind::Geneve { options, content }),
        (any::<bool>(), any::<bool>(), content()).prop_map(|(key, sequence, content)| Kind::Gre {
            key,
            sequence,
            content
        }),
        Just(Kind::Ip),
    ];
    let outer = prop_oneof![Just(Outer::None), Just(Outer::Partial), Just(Outer::Both), Just(Outer::Right)];
    (any::<bool>(), kind, outer).prop_map(|(v6, kind, outer)| Tunnel { v6, kind, outer })
}
