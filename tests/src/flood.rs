//! Connection attempts from addresses that do not exist, as fast as one core sends them.

use std::net::SocketAddrV4;

use etherparse::{IpNumber, Ipv4Header, TcpHeader};
use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, SendFlags, SocketType, sendto, socket},
};
use serde_json::Value;

use crate::netns::Namespace;

/// Sends `count` SYN segments from `host` to `target`, each of its own flow: addresses out of 198.18.0.0/15, which is
/// set aside for such tests (RFC 2544), and ports. Returns how many of them the link took.
pub fn syn_flood(host: &Namespace, target: SocketAddrV4, count: u32) -> u64 {
    let before = lost(host);
    host.inside(|| {
        // IPPROTO_RAW: we bring the IP header, the kernel the route and the link header (raw(7)).
        let raw = Protocol::from_raw(255.try_into().expect("not zero"));
        let socket = socket(AddressFamily::INET, SocketType::RAW, Some(raw)).expect("root has raw sockets");
        let mut packet = syn(target);
        for number in 0..count {
            aim(&mut packet, number);
            while let Err(error) = sendto(&socket, &packet, SendFlags::empty(), &target) {
                let full = matches!(error, Errno::NOBUFS | Errno::AGAIN | Errno::INTR);
                assert!(full, "the flood cannot be sent: {error}");
            }
        }
    });
    u64::from(count) - (lost(host) - before)
}

/// Frames that the link of `host` lost: the ring of a veth pair is full while its reader waits for a core.
fn lost(host: &Namespace) -> u64 {
    let links: Value = serde_json::from_str(&host.ip("-s -j link show eth0")).expect("it is JSON");
    links[0]["stats64"]["tx"]["dropped"].as_u64().expect("a number of frames")
}

fn syn(target: SocketAddrV4) -> Vec<u8> {
    let mut tcp = TcpHeader::new(0, target.port(), 1, 1024);
    tcp.syn = true;
    let ip = Ipv4Header::new(20, 64, IpNumber::TCP, [0; 4], target.ip().octets()).expect("packets are short");
    [ip.to_bytes().as_slice(), &tcp.to_bytes()].concat()
}

/// Makes the segment that of flow `number`: 17 bits of address, then the port. The kernel fills in the IP checksum; that
/// of TCP stays wrong, which only the target would notice.
fn aim(packet: &mut [u8], number: u32) {
    const NETWORK: u32 = 0xc612_0000; // 198.18.0.0/15
    let address = NETWORK | (number & 0x1_ffff);
    let port = u16::try_from(1024 + (number >> 17)).expect("fewer than two thousand million flows");
    packet[12..16].copy_from_slice(&address.to_be_bytes());
    packet[20..22].copy_from_slice(&port.to_be_bytes());
}
