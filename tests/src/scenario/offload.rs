//! Packets of local stacks that count on checksum offload, in tunnels and without, beside what must become of them.

use etherparse::{IpNumber, checksum::u32_16bit_word};

use crate::packets::{Capture, End, Tcp, datagram, echo, inside, inside6, ip, outside, outside6, udp};

/// Where the IP packet of an Ethernet frame without tags begins.
const PACKET: usize = 14;

/// The frames as stacks hand them over, and as they must leave.
pub fn captures() -> (Capture, Capture) {
    let (mut partial, mut whole) = (Capture::new(), Capture::new());
    for (left, right) in frames() {
        partial.push(&left);
        whole.push(&right);
    }
    (partial, whole)
}

fn frames() -> Vec<(Vec<u8>, Vec<u8>)> {
    let (a, b, a6, b6) = (outside(1), inside(1), outside6(1), inside6(1));
    let tcp = Tcp::new(outside(9), inside(9)).client(&mut Capture::new(), "PA", 120);
    let tcp6 = Tcp::new(outside6(9), inside6(9)).client(&mut Capture::new(), "PA", 120);
    let question = udp(outside(9), inside(9).at(53), 30);

    // Directly on IP, one behind padding.
    let mut frames: Vec<_> =
        [&tcp, &tcp6, &question].map(|frame| (offloaded(frame, PACKET), frame.clone())).into();
    let mut padded = (offloaded(&question, PACKET), question.clone());
    padded.0.resize(100, 0xa5);
    padded.1.resize(100, 0xa5);
    frames.push(padded);
    let sctp = |checksum| ip(outside(9), inside(9), IpNumber::SCTP, &init(checksum));
    frames.push((sctp([0; 4]), sctp(INIT_CHECKSUM)));

    // In tunnels with a checksum, which is right for the packet inside as it will be; and in the same without.
    let tunnels = [
        (vxlan(a, b.at(4789), &tcp), PACKET + 28 + 8 + PACKET),
        (vxlan(a, b.at(8472), &tcp6), PACKET + 28 + 8 + PACKET),
        (vxlan(a6, b6.at(4789), &question), PACKET + 48 + 8 + PACKET),
        (geneve(a, b.at(6081), &tcp6), PACKET + 28 + 16),
    ];
    for (tunnel, packet) in tunnels {
        let partial = offloaded(&tunnel, packet);
        frames.push((without_udp_checksum(&partial), without_udp_checksum(&tunnel)));
        frames.push((partial, tunnel));
    }
    let bridged = gre(a, b, 0x6558, &tcp);
    frames.push((offloaded(&bridged, PACKET + 28 + PACKET), bridged));

    // The tunnel itself is what the stack has left, because the packet inside has nothing to be left.
    let around = vxlan(a, b.at(4789), &echo(outside(9), inside(9), 7, 1, false));
    frames.push((offloaded(&around, PACKET), around));
    let routed = gre(a, b, 0x0800, &question[PACKET..]);
    let mut left = routed.clone();
    left[38..40].fill(0);
    frames.push((left, routed));

    // IP in IP.
    let (v4, v6) = (IpNumber::IPV4, IpNumber::IPV6);
    for (from, to, protocol, inner) in
        [(a, b, v4, &tcp), (a, b, v6, &tcp6), (a6, b6, v4, &tcp), (a6, b6, v6, &tcp6)]
    {
        let tunnel = ip(from, to, protocol, &inner[PACKET..]);
        let packet = tunnel.len() - inner.len() + PACKET;
        frames.push((offloaded(&tunnel, packet), tunnel));
    }
    frames
}

/// The frame from a stack with checksum offload: the checksum of the TCP segment or UDP datagram in the IP packet that
/// begins at `packet` is the sum over its pseudo-header.
fn offloaded(frame: &[u8], packet: usize) -> Vec<u8> {
    let (addresses, protocol, transport) = match frame[packet] >> 4 {
        4 => (&frame[packet + 12..packet + 20], frame[packet + 9], packet + 20),
        _ => (&frame[packet + 8..packet + 40], frame[packet + 6], packet + 40),
    };
    let length = u32::try_from(frame.len() - transport).expect("packets are short");
    let mut sum = u32_16bit_word::add_slice(0, addresses);
    sum = u32_16bit_word::add_slice(sum, &length.to_be_bytes());
    sum = u32_16bit_word::add_slice(sum, &[0, protocol]);
    let place = transport + if protocol == IpNumber::TCP.0 { 16 } else { 6 };
    let mut frame = frame.to_vec();
    frame[place..place + 2].copy_from_slice(&(!u32_16bit_word::ones_complement(sum)).to_ne_bytes());
    frame
}

/// The frame without the checksum of the UDP datagram directly on IP.
fn without_udp_checksum(frame: &[u8]) -> Vec<u8> {
    let place = PACKET + if frame[PACKET] >> 4 == 4 { 20 } else { 40 } + 6;
    let mut frame = frame.to_vec();
    frame[place..place + 2].fill(0);
    frame
}

fn vxlan(from: End, to: End, frame: &[u8]) -> Vec<u8> {
    datagram(from, to, &[&[8, 0, 0, 0, 0, 0, 7, 0], frame].concat())
}

/// With an option, and without an Ethernet header inside.
fn geneve(from: End, to: End, frame: &[u8]) -> Vec<u8> {
    let header = [2, 0, frame[12], frame[13], 0, 0, 7, 0, 0xff, 0xff, 1, 1, 1, 2, 3, 4];
    datagram(from, to, &[&header, &frame[PACKET..]].concat())
}

/// With a checksum.
fn gre(from: End, to: End, ethertype: u16, content: &[u8]) -> Vec<u8> {
    let [high, low] = ethertype.to_be_bytes();
    let mut packet = [&[0x80, 0, high, low, 0, 0, 0, 0], content].concat();
    let sum = u32_16bit_word::ones_complement(u32_16bit_word::add_slice(0, &packet));
    packet[4..6].copy_from_slice(&sum.to_ne_bytes());
    ip(from, to, IpNumber::GRE, &packet)
}

/// The CRC32c of [`init`], as tshark has it.
const INIT_CHECKSUM: [u8; 4] = [0x01, 0x5f, 0x17, 0x67];

/// A packet that opens an SCTP association, RFC 9260 section 3.3.2.
fn init(checksum: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![0x9c, 0x40, 0x0b, 0x59, 0, 0, 0, 0];
    packet.extend(checksum);
    packet.extend([1, 0, 0, 20, 0, 0, 0, 7, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1]);
    packet
}
