use std::net::{IpAddr, SocketAddr};

use crate::{
    forward::{fold, sum},
    route::Mac,
};

/// What a message of a gateway travels in: Ethernet, IP and UDP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope {
    /// Hardware addresses: of who is next, and ours.
    pub(super) macs: [Mac; 2],
    /// Where it comes from.
    pub(super) local: IpAddr,
    pub(super) local_port: u16,
    /// Where it goes.
    pub(super) remote: SocketAddr,
    /// Bits of explicit congestion notification, which are those of the packet inside (RFC 6040).
    pub(super) ecn: u8,
    /// The number of the datagram, for whoever makes fragments of it.
    pub(super) id: u16,
}

/// Lengths of headers.
pub(super) const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: usize = 8;
const HOPS: u8 = 64;
/// In the byte of flags (RFC 791).
const DONT_FRAGMENT: u8 = 0x40;

impl Envelope {
    /// How long the headers in front of a message are that goes to an address.
    pub(super) const fn headers(remote: IpAddr) -> usize {
        ETHERNET + Datagram::headers(remote.is_ipv4())
    }

    /// Writes the headers in front of a message that stands in `frame` already, and ends with it. Fails if there is no room, or if the
    /// addresses are of different versions.
    #[inline]
    pub(super) fn write(&self, frame: &mut [u8]) -> Option<()> {
        let (ethernet, packet) = frame.split_first_chunk_mut::<ETHERNET>()?;
        let [destination, source] = self.macs;
        ethernet.get_mut(..6)?.copy_from_slice(&destination);
        ethernet.get_mut(6..12)?.copy_from_slice(&source);
        ethernet.get_mut(12..)?.copy_from_slice(&ethertype(self.remote.ip().to_canonical().is_ipv4()));
        let datagram = Datagram {
            addresses: [self.local, self.remote.ip()],
            ports: [self.local_port, self.remote.port()],
            ecn: self.ecn,
            id: Some(self.id),
        };
        datagram.write(packet)
    }
}

/// The type of an Ethernet frame with a packet of IPv4, or else of IPv6.
pub(super) const fn ethertype(is_v4: bool) -> [u8; 2] {
    if is_v4 { [0x08, 0x00] } else { [0x86, 0xdd] }
}

/// The headers of IP and UDP in front of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram {
    /// Where it comes from and where it goes.
    pub(super) addresses: [IpAddr; 2],
    pub(super) ports: [u16; 2],
    /// Bits of explicit congestion notification.
    pub(super) ecn: u8,
    /// The number of the datagram, if fragments of it may be made.
    pub(super) id: Option<u16>,
}

impl Datagram {
    /// How long the headers are.
    pub(super) const fn headers(is_v4: bool) -> usize {
        UDP + if is_v4 { IPV4 } else { IPV6 }
    }

    /// Writes them in front of a message that stands in `packet` already, and ends with it. Fails if there is no room, or if the addresses
    /// are of different versions.
    #[inline]
    pub(super) fn write(&self, packet: &mut [u8]) -> Option<()> {
        let length = u16::try_from(packet.len()).ok()?;
        let ports = self.ports;
        let [source, destination] = self.addresses;
        match (source.to_canonical(), destination.to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let (header, datagram) = packet.split_first_chunk_mut::<IPV4>()?;
                let (id, flags) = self.id.map_or((0, DONT_FRAGMENT), |id| (id, 0));
                let mut words = [
                    0x4500_0000 | u32::from(self.ecn) << 16 | u32::from(length),
                    u32::from(id) << 16 | u32::from(flags) << 8,
                    u32::from(HOPS) << 24 | 17 << 16,
                    source.to_bits(),
                    destination.to_bits(),
                ];
                // Summed before they are written: who reads what was written a moment ago in other pieces has to wait.
                let checksum = !fold(words.iter().map(|word| u64::from(*word)).sum());
                words[2] |= u32::from(checksum);
                for (to, word) in header.as_chunks_mut().0.iter_mut().zip(words) {
                    *to = word.to_be_bytes();
                }
                // Without a checksum, as RFC 768 allows: each message has its own, and a better one.
                udp(datagram, ports, length.checked_sub(IPV4 as u16)?)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let (header, datagram) = packet.split_first_chunk_mut::<IPV6>()?;
                let length = length.checked_sub(IPV6 as u16)?;
                let [high, low] = length.to_be_bytes();
                header.get_mut(..8)?.copy_from_slice(&[0x60, self.ecn << 4, 0, 0, high, low, 17, HOPS]);
                header.get_mut(8..24)?.copy_from_slice(&source.octets());
                header.get_mut(24..)?.copy_from_slice(&destination.octets());
                udp(datagram, ports, length)?;
                // There it is demanded (RFC 8200 section 8.1).
                let pseudo = sum(header.get(8..)?) + u64::from(length) + 17;
                let checksum = match !fold(pseudo + sum(datagram)) {
                    0 => 0xffff,
                    checksum => checksum,
                };
                datagram.get_mut(6..8)?.copy_from_slice(&checksum.to_be_bytes());
                Some(())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
        }
    }
}

/// Writes a UDP header without checksum.
#[inline]
fn udp(datagram: &mut [u8], [source, destination]: [u16; 2], length: u16) -> Option<()> {
    let header = datagram.first_chunk_mut::<UDP>()?;
    let ([a, b], [c, d], [e, f]) = (source.to_be_bytes(), destination.to_be_bytes(), length.to_be_bytes());
    *header = [a, b, c, d, e, f, 0, 0];
    Some(())
}

/// What the bits of explicit congestion notification of a packet become that came in another with `outer` (RFC 6040 section 4.2);
/// none if it has to be dropped: it knows nothing of congestion, and there was some.
pub(super) const fn congestion(outer: u8, inner: u8) -> Option<u8> {
    const EXPERIENCED: u8 = 3;
    match (outer & 3, inner & 3) {
        (EXPERIENCED, 0) => None,
        (EXPERIENCED, _) => Some(EXPERIENCED),
        // ECT(1) over ECT(0).
        (1, 2) => Some(1),
        (_, inner) => Some(inner),
    }
}

/// The bits of explicit congestion notification of an IP packet.
pub(super) fn ecn(packet: &[u8]) -> u8 {
    match packet {
        [first, second, ..] if first >> 4 == 6 => (second >> 4) & 3,
        [_, second, ..] => second & 3,
        [] | [_] => 0,
    }
}

/// Sets the bits of explicit congestion notification of an IP packet.
pub(super) fn set_ecn(packet: &mut [u8], ecn: u8) {
    match packet {
        [first, second, ..] if *first >> 4 == 6 => *second = (*second & !0x30) | (ecn << 4),
        [_, second, ..] => {
            *second = (*second & !3) | ecn;
            if let Some(header) = packet.first_chunk_mut::<IPV4>() {
                // Not by what has changed: this is rare.
                let length = usize::from(header[0] & 15) * 4;
                (header[10], header[11]) = (0, 0);
                let Some(covered) = packet.get(..length) else { return };
                let checksum = (!fold(sum(covered))).to_be_bytes();
                if let Some(field) = packet.get_mut(10..12) {
                    field.copy_from_slice(&checksum);
                }
            }
        }
        [] | [_] => {}
    }
}
