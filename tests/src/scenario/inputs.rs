//! The packets of every scenario: `tests/scenarios/<name>/input.pcap` is what is written here.

use etherparse::IpNumber;

use super::{malformed, offload, policies};
use crate::packets::{
    Capture, End, Link, Tcp, echo, ethernet, fragment, fragments, icmp_error, identified, inside, inside6,
    ip, outside, outside6, payload, tagged, udp,
};

/// EtherType of an 802.1Q tag.
const DOT1Q: u16 = 0x8100;
/// EtherType of an 802.1ad tag, the outer one of QinQ.
const DOT1AD: u16 = 0x88a8;

/// Every scenario's name and packets, in alphabetical order.
pub fn all() -> Vec<(&'static str, Capture)> {
    vec![
        ("allow-deny", allow_deny()),
        ("both-ends", policies::both_ends()),
        ("endpoints", policies::endpoints()),
        ("fragments", fragments_of_all_kinds()),
        ("fragment-table-full", fragment_table_full()),
        ("flow-table-full", flow_table_full()),
        ("icmp-errors", icmp_errors()),
        ("icmp-types", policies::icmp_types()),
        ("ipv6", ipv6()),
        ("link-cooked", link(Link::Cooked)),
        ("link-cooked2", link(Link::Cooked2)),
        ("link-null", link(Link::Null)),
        ("link-raw", link(Link::Raw)),
        ("malformed", malformed::all()),
        ("midstream", midstream()),
        ("named-ports", policies::named_ports()),
        ("non-ip", non_ip()),
        ("partial-checksums", offload::captures().0),
        ("rate-limit", policies::rate_limit()),
        ("reject", policies::reject()),
        ("retransmissions", retransmissions()),
        ("staged", policies::staged()),
        ("tcp-close", tcp_close()),
        ("tcp-flags", tcp_flags()),
        ("tiers", policies::tiers()),
        ("unknown-deny", policies::unknown_deny()),
        ("vlan", vlan()),
    ]
}

/// A request and a reply.
pub(super) fn request(capture: &mut Capture, client: End, server: End) {
    capture.push(&udp(client, server, 30)).wait(2).push(&udp(server, client, 100)).wait(10);
}

/// A short connection in both directions, closed in order.
pub(super) fn visit(capture: &mut Capture, client: End, server: End) {
    let mut tcp = Tcp::new(client, server);
    tcp.open(capture, 5);
    tcp.client(capture, "PA", 120);
    tcp.server(capture.wait(5), "PA", 900);
    tcp.client(capture, "A", 0);
    tcp.close(capture, 5);
    capture.wait(10);
}

fn allow_deny() -> Capture {
    let mut capture = Capture::new();
    visit(&mut capture, outside(1), inside(1).at(80));
    // Nobody answers a connection attempt that is dropped, so the client tries again.
    let mut telnet = Tcp::new(outside(1).at(40_001), inside(1).at(23));
    let attempt = telnet.client(&mut capture, "S", 0);
    capture.wait(1_000).push(&attempt).wait(2_000).push(&attempt);
    request(&mut capture, outside(2), inside(2).at(53));
    // No rule speaks of this one; the default does.
    capture.push(&udp(outside(3), inside(2).at(9_999), 10));
    // Allowed for one network only, and this is another.
    capture.push(&udp(outside(200), inside(2).at(53), 10));
    capture
}

fn tcp_close() -> Capture {
    let mut capture = Capture::new();
    visit(&mut capture, outside(1), inside(1));
    // Reset by the server.
    let mut refused = Tcp::new(outside(1).at(40_001), inside(1).at(81));
    refused.client(&mut capture, "S", 0);
    refused.server(capture.wait(3), "RA", 0);
    // Open at the end of the capture.
    Tcp::new(outside(1).at(40_002), inside(1)).open(&mut capture, 7);
    // Idle for longer than its state allows: a later packet of the same ends is another flow.
    let mut idle = Tcp::new(outside(1).at(40_003), inside(1));
    idle.client(&mut capture, "S", 0);
    capture.wait(60_000);
    Tcp::new(outside(1).at(40_003), inside(1)).open(&mut capture, 9);
    capture
}

fn retransmissions() -> Capture {
    let mut capture = Capture::new();
    let mut tcp = Tcp::new(outside(1), inside(1));
    tcp.open(&mut capture, 20);
    let lost = tcp.client(&mut capture, "PA", 500);
    capture.wait(200).push(&lost).wait(400).push(&lost);
    tcp.server(capture.wait(20), "A", 0);
    let answer = tcp.server(capture.wait(1), "PA", 1_000);
    capture.wait(300).push(&answer);
    tcp.client(&mut capture, "A", 0);
    tcp.server_window(&mut capture, 0);
    tcp.server_window(capture.wait(50), 64_240);
    tcp.close(&mut capture, 20);
    capture
}

fn ipv6() -> Capture {
    let mut capture = Capture::new();
    visit(&mut capture, outside6(1), inside6(1));
    request(&mut capture, outside6(2), inside6(1).at(53));
    capture.push(&echo(outside6(1), inside6(1), 7, 1, false)).wait(3);
    capture.push(&echo(inside6(1), outside6(1), 7, 1, true));
    // A datagram behind a hop-by-hop header and destination options: the rule for its port must find it.
    let datagram = udp(outside6(3), inside6(1).at(4_444), 16);
    let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let chain = [&options(60)[..], &options(17), &datagram[54..]].concat();
    capture.push(&ip(outside6(3), inside6(1), IpNumber(0), &chain));
    // Neighbour discovery crosses without asking the rules.
    let mut solicitation = ip(
        outside6(1),
        inside6(1),
        IpNumber::IPV6_ICMP,
        &[&[135, 0, 0, 0, 0, 0, 0, 0], &ipv6_octets(inside6(1))[..]].concat(),
    );
    solicitation[21] = 255;
    capture.push(&solicitation);
    capture
}

fn vlan() -> Capture {
    let mut capture = Capture::new();
    let (there, back) = (udp(outside(1), inside(1), 20), udp(inside(1), outside(1), 20));
    // The same ends in five networks are five flows.
    let networks: [&[(u16, u16)]; 4] = [&[], &[(DOT1Q, 10)], &[(DOT1Q, 20)], &[(DOT1AD, 100), (DOT1Q, 10)]];
    for tags in networks.into_iter().chain([[(DOT1Q, 100), (DOT1Q, 20)].as_slice()]) {
        capture.push(&tagged(&there, tags)).wait(2).push(&tagged(&back, tags));
    }
    // Priority bits do not make another flow, and tag 0 is no network.
    capture.push(&tagged(&there, &[(DOT1Q, 10 | (5 << 13))]));
    capture.push(&tagged(&there, &[(DOT1Q, 0)]));
    capture
}

/// A datagram of 3000 bytes of UDP payload with its own identification.
fn large(identification: u16, port: u16) -> Vec<u8> {
    identified(&udp(outside(1), inside(1).at(port), 3_000), identification)
}

fn fragments_of_all_kinds() -> Capture {
    let mut capture = Capture::new();
    let thirds = [0, 1_480, 2_960];
    // Whole, allowed; then denied: the later fragments, which show no port, follow the first.
    for (identification, port) in [(1, 80), (2, 23)] {
        for piece in fragments(&large(identification, port), &thirds) {
            capture.push(&piece);
        }
    }
    // The later fragments come first: nobody can judge them.
    for piece in fragments(&large(3, 80), &thirds).iter().rev() {
        capture.push(piece);
    }
    // The second fragment overlaps the first.
    let datagram = large(4, 80);
    let pieces = fragments(&datagram, &thirds);
    capture.push(&pieces[0]).push(&fragment(&datagram, 1_472, &datagram[34..834], true)).push(&pieces[2]);
    // A first fragment too small for its header; a second one that starts inside the header of TCP.
    let segment = Tcp::new(outside(1), inside(1)).client(&mut Capture::new(), "A", 100);
    capture.push(&fragment(&identified(&segment, 5), 0, &segment[34..42], true));
    capture.push(&fragment(&identified(&segment, 6), 8, &segment[42..], false));
    // More follow, but the length is not a multiple of 8; and one that ends beyond 65535 bytes.
    let datagram = large(7, 80);
    capture.push(&fragment(&datagram, 0, &datagram[34..1_001], true));
    capture.push(&fragment(&large(8, 80), 65_528, &payload(100), false));
    // Every second piece is missing, more of them than anybody keeps in mind.
    let datagram = large(9, 80);
    for place in (0..32).map(|piece| piece * 16) {
        capture.push(&fragment(&datagram, place, &datagram[34 + place..42 + place], true));
    }
    // The same whole in IPv6.
    let datagram = udp(outside6(1), inside6(1), 2_000);
    for (offset, end, more) in [(0, 1_000, true), (1_000, 2_008, false)] {
        let place = (offset as u16) | u16::from(more);
        let header = [&[17, 0], &place.to_be_bytes()[..], &9_u32.to_be_bytes()].concat();
        let piece = [&header, &datagram[54 + offset..54 + end]].concat();
        capture.push(&ip(outside6(1), inside6(1), IpNumber(44), &piece));
    }
    capture
}

fn fragment_table_full() -> Capture {
    let mut capture = Capture::new();
    // Twenty datagrams begin, sixteen fit; after the timeout there is room again.
    let begin = |identification| fragments(&large(identification, 80), &[0, 1_480])[0].clone();
    for identification in 1..=20 {
        capture.push(&begin(identification));
    }
    capture.wait(60_000).push(&begin(21));
    capture
}

fn flow_table_full() -> Capture {
    let mut capture = Capture::new();
    // The table holds 1024. All of these are answered, so none of them may be evicted.
    for port in 0..1_024 {
        let client = outside(1).at(10_000 + port);
        capture.push(&udp(client, inside(1), 1)).push(&udp(inside(1), client, 1));
    }
    for port in 0..10 {
        capture.push(&udp(outside(2).at(10_000 + port), inside(1), 1));
    }
    // Those that are in still pass.
    capture.push(&udp(outside(1).at(10_000), inside(1), 1));
    capture
}

fn icmp_errors() -> Capture {
    let mut capture = Capture::new();
    // Answered by an error, which belongs to the flow that it is about.
    let datagram = udp(outside(1), inside(1).at(7_777), 30);
    capture.push(&datagram).wait(1).push(&icmp_error(inside(1), outside(1), [3, 3], &datagram));
    // From a router on the way, about the same flow.
    capture.push(&icmp_error(inside(254), outside(1), [11, 0], &datagram));
    // About a flow that is denied.
    let denied = udp(outside(1), inside(1).at(23), 30);
    capture.push(&denied).push(&icmp_error(inside(1), outside(1), [3, 3], &denied));
    // About nothing that was ever seen.
    capture.push(&icmp_error(inside(1), outside(1), [3, 1], &udp(outside(9), inside(9).at(9), 1)));
    let datagram = udp(outside6(1), inside6(1).at(7_777), 30);
    capture.push(&datagram).wait(1).push(&icmp_error(inside6(1), outside6(1), [1, 4], &datagram));
    // Ping, and a ping with another identifier.
    for identifier in [1, 2] {
        capture.push(&echo(outside(1), inside(1), identifier, 1, false)).wait(4);
        capture.push(&echo(inside(1), outside(1), identifier, 1, true));
    }
    capture
}

fn midstream() -> Capture {
    let mut capture = Capture::new();
    // Its handshake was before the capture began.
    let mut old = Tcp::new(outside(1), inside(1));
    old.client(&mut capture, "PA", 100);
    old.server(&mut capture, "A", 0);
    visit(&mut capture, outside(2), inside(1));
    capture
}

fn tcp_flags() -> Capture {
    let mut capture = Capture::new();
    for flags in ["", "SF", "SR", "FR"] {
        Tcp::new(outside(1), inside(1)).client(&mut capture, flags, 0);
    }
    visit(&mut capture, outside(2), inside(1));
    capture
}

fn non_ip() -> Capture {
    let mut capture = Capture::new();
    let [a, b, c, d, e, f] = outside(1).mac;
    let arp =
        [&[0, 1, 8, 0, 6, 4, 0, 1, a, b, c, d, e, f, 192, 0, 2, 1][..], &[0; 6], &[192, 0, 2, 2]].concat();
    capture.push(&[&ethernet(outside(1), inside(1), 0x0806)[..], &arp].concat());
    let lldp =
        [&[1, 0x80, 0xc2, 0, 0, 0x0e, a, b, c, d, e, f, 0x88, 0xcc][..], &[2, 7, 4, a, b, c, d, e, f, 0, 0]];
    capture.push(&lldp.concat());
    // A configuration BPDU, IEEE 802.1D section 9: LLC frame to the bridge group address.
    let mut bpdu = [&[1, 0x80, 0xc2, 0, 0, 0, a, b, c, d, e, f, 0, 38][..], &[0x42, 0x42, 3]].concat();
    bpdu.resize(60, 0);
    capture.push(&bpdu);
    // An EtherType for experiments, IEEE 802 section 9.
    capture.push(&[&ethernet(outside(1), inside(1), 0x88b5)[..], &payload(46)].concat());
    capture
}

fn link(link: Link) -> Capture {
    let mut capture = Capture::of(link);
    visit(&mut capture, outside(1), inside(1));
    visit(&mut capture, outside6(1), inside6(1));
    capture
}

fn ipv6_octets(end: End) -> [u8; 16] {
    match end.ip {
        std::net::IpAddr::V6(address) => address.octets(),
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
    }
}
