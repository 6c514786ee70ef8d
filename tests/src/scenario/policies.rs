//! Packets for the scenarios about policy: who is an endpoint, and what may they do.

use etherparse::IpNumber;

use super::inputs::{request, visit};
use crate::packets::{
    Capture, End, Tcp, echo, fragments, identified, inside, inside6, ip, outside, outside6, udp,
};

/// A connection attempt that nobody answers, made twice.
fn attempt(capture: &mut Capture, client: End, server: End) {
    let segment = Tcp::new(client, server).client(capture, "S", 0);
    capture.wait(1_000).push(&segment).wait(10);
}

/// An ICMP or ICMPv6 message with type, code and 8 bytes.
fn icmp(from: End, to: End, kind: [u8; 2]) -> Vec<u8> {
    let protocol = if from.ip.is_ipv4() { IpNumber::ICMP } else { IpNumber::IPV6_ICMP };
    let [kind, code] = kind;
    ip(from, to, protocol, &[kind, code, 0, 0, 0, 7, 0, 1, 0, 0, 0, 0])
}

/// Tiers one after the other, with rules that log and pass.
pub fn tiers() -> Capture {
    let mut capture = Capture::new();
    // Allowed in the last of three tiers, and in the second.
    visit(&mut capture, outside(1), inside(1));
    request(&mut capture, outside(1), inside(1).at(161));
    // Denied in the first.
    attempt(&mut capture, outside(66), inside(1));
    // Noted in the first, denied at the end of the last.
    attempt(&mut capture, outside(1), inside(1).at(23));
    // No policy of the last tier governs this server, so its profile decides.
    visit(&mut capture, outside(1), inside(20).at(9_999));
    capture
}

/// What staged policies would change, and what they would not.
pub fn staged() -> Capture {
    let mut capture = Capture::new();
    visit(&mut capture, outside(1), inside(1));
    // Would be denied.
    visit(&mut capture, outside(1), inside(1).at(22));
    // Would be allowed.
    attempt(&mut capture, outside(1), inside(1).at(443));
    // The policy that allows it would go away.
    request(&mut capture, outside(1), inside(1).at(53));
    capture
}

/// What is rejected, over both versions of IP, with what must not be answered.
pub fn reject() -> Capture {
    let mut capture = Capture::new();
    for (client, server) in [(outside(1), inside(1)), (outside6(1), inside6(1))] {
        visit(&mut capture, client, server);
        attempt(&mut capture, client, server.at(23));
        capture.push(&udp(client, server.at(69), 600));
        capture.push(&echo(client, server, 7, 1, false));
        // Nobody answers a reset.
        Tcp::new(client.at(40_001), server.at(23)).client(&mut capture, "R", 0);
    }
    // A datagram in two fragments is one datagram: one answer.
    let datagram = identified(&udp(outside(1).at(40_002), inside(1).at(69), 2_000), 1);
    for piece in fragments(&datagram, &[0, 1_480]) {
        capture.push(&piece);
    }
    capture
}

/// The source's egress rules, then the destination's ingress rules.
pub fn both_ends() -> Capture {
    let mut capture = Capture::new();
    let (client, server) = (outside(1), inside(1));
    // Allowed by both.
    visit(&mut capture, client, server);
    // Allowed out, but not in.
    capture.push(&udp(client, server.at(53), 30));
    // Not allowed out, so nobody asks whether it may come in.
    attempt(&mut capture, client, server.at(443));
    // From somewhere that is no endpoint, so that only the server is asked, and to such a place.
    attempt(&mut capture, outside(200), server);
    attempt(&mut capture, client, inside(200));
    // The other way round: no policy governs what the server opens, and it has no profile.
    attempt(&mut capture, server.at(40_000), client.at(80));
    capture
}

/// Ports by name, and a service by name.
pub fn named_ports() -> Capture {
    let mut capture = Capture::new();
    // Each server calls another port `http`.
    visit(&mut capture, outside(1), inside(1).at(80));
    visit(&mut capture, outside(1), inside(2).at(8_080));
    attempt(&mut capture, outside(1), inside(1).at(8_080));
    attempt(&mut capture, outside(1), inside(2).at(80));
    // The service's own address, and what has the port but is not behind the service.
    attempt(&mut capture, outside(1), inside(100).at(80));
    attempt(&mut capture, outside(1), inside(3).at(80));
    capture
}

/// ICMP and ICMPv6 by type and code.
pub fn icmp_types() -> Capture {
    let mut capture = Capture::new();
    for (client, server) in [(outside(1), inside(1)), (outside6(1), inside6(1))] {
        capture.push(&echo(client, server, 7, 1, false)).wait(3);
        capture.push(&echo(server, client, 7, 1, true)).wait(3);
    }
    // Timestamp requests: one code is allowed, others are not. The answer belongs to the flow.
    let (client, server) = (outside(1), inside(1));
    capture.push(&icmp(client, server, [13, 0])).wait(3).push(&icmp(server, client, [14, 0])).wait(3);
    capture.push(&icmp(outside(2), server, [13, 1])).wait(3);
    // A question for the address mask (RFC 950), and one for a node's name (RFC 4620).
    capture.push(&icmp(outside(3), server, [17, 0])).wait(3);
    capture.push(&icmp(outside6(3), inside6(1), [139, 1]));
    capture
}

/// IPv6 endpoints within endpoints, and a network set with a hole.
pub fn endpoints() -> Capture {
    let mut capture = Capture::new();
    // The longer prefix is the endpoint of the address.
    visit(&mut capture, outside6(1), inside6(0x10));
    attempt(&mut capture, outside6(1), inside6(0x11));
    // Excepted from the set that may come in; and not in it at all.
    attempt(&mut capture, outside6(0x66), inside6(0x10));
    let stranger = End { ip: "2001:db8:99::1".parse().expect("an address"), ..outside6(1) };
    attempt(&mut capture, stranger, inside6(0x10));
    capture
}

/// More new flows than a rule lets through.
pub fn rate_limit() -> Capture {
    let mut capture = Capture::new();
    // Five in a second, and as many at once: the sixth to the eighth are too many.
    for port in 0..8 {
        Tcp::new(outside(1).at(40_000 + port), inside(1)).open(&mut capture, 1);
    }
    // The sixth tries again when there is room.
    capture.wait(1_000);
    Tcp::new(outside(1).at(40_005), inside(1)).open(&mut capture, 1);
    // Flows that are open are not counted again.
    for port in 0..5 {
        Tcp::new(outside(1).at(40_000 + port), inside(1)).client(&mut capture, "A", 100);
    }
    capture
}

/// Flows with one end, or none, that is an endpoint.
pub fn unknown_deny() -> Capture {
    let mut capture = Capture::new();
    visit(&mut capture, outside(1), inside(1));
    request(&mut capture, outside(1), inside(2).at(53));
    capture
}
