use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ravelin_config::types::IpNet;

use super::frame::payload;
use crate::io::PortId;

/// At which port the packets of a capture arrive: at the port named like the capture's interface; else, by who sent
/// them, at the inside or the outside port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMap {
    /// Interfaces by the name that a pcapng file gives them.
    pub names: Vec<(String, PortId)>,
    /// Addresses of the inside. Without any, everything comes from outside.
    pub inside: Vec<IpNet>,
    /// Where packets arrive whose IP source, or ARP sender, is inside.
    pub inside_port: PortId,
    /// Where all other packets arrive.
    pub outside_port: PortId,
}

impl PortMap {
    pub(super) fn named(&self, name: &str) -> Option<PortId> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, port)| *port)
    }

    #[inline]
    pub(super) fn by_source(&self, frame: &[u8]) -> PortId {
        let inside = !self.inside.is_empty()
            && source(frame).is_some_and(|source| self.inside.iter().any(|net| net.contains(&source)));
        if inside { self.inside_port } else { self.outside_port }
    }
}

/// The address of who sent a frame.
fn source(frame: &[u8]) -> Option<IpAddr> {
    let v4 = |bytes: &[u8]| bytes.first_chunk::<4>().map(|octets| IpAddr::V4(Ipv4Addr::from(*octets)));
    match payload(frame)? {
        ([0x08, 0x00], packet) => v4(packet.get(12..)?),
        ([0x08, 0x06], packet) => v4(packet.get(14..)?),
        ([0x86, 0xdd], packet) => {
            packet.get(8..)?.first_chunk::<16>().map(|octets| IpAddr::V6(Ipv6Addr::from(*octets)))
        }
        _ => None,
    }
}
