use super::*;

const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// What a packet of a kind of link looks like in the pipeline.
fn adapted(link: u32, packet: &[u8]) -> Seen {
    let build = Build { big: false };
    let mut capture = build.classic(MICROS, link);
    capture.extend(build.record(1, 0, length(packet), packet));
    let (mut seen, summary) = read(&capture);
    assert_eq!(summary.unwrap().packets, 1);
    let seen = seen.pop().unwrap();
    assert_eq!(seen.length, length(packet), "the length is that on its own link");
    seen
}

fn ethernet(source: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0; 6], &source[..], &ethertype.to_be_bytes(), payload].concat()
}

fn cooked(hardware: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
    let address = [&SENDER[..], &[0xaa, 0xbb]].concat();
    [&[0, 4][..], &hardware.to_be_bytes(), &[0, 6], &address, &protocol.to_be_bytes(), payload].concat()
}

fn cooked2(hardware: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
    let address = [&SENDER[..], &[0xaa, 0xbb]].concat();
    [&protocol.to_be_bytes()[..], &[0, 0, 0, 0, 0, 7], &hardware.to_be_bytes(), &[4, 6], &address, payload]
        .concat()
}

#[test]
fn raw_ip_of_either_version_gets_an_ethernet_header() {
    let (four, six) = (&udp([192, 0, 2, 1], 30)[14..], &udp6([8; 16], 30)[14..]);
    for link in [12, 14, 101] {
        assert_eq!(adapted(link, four).bytes, ethernet([0; 6], 0x0800, four));
        assert_eq!(adapted(link, six).bytes, ethernet([0; 6], 0x86dd, six));
        assert_eq!(adapted(link, &[0x15, 1, 2]).bytes, ethernet([0; 6], 0xffff, &[0x15, 1, 2]));
    }
    assert_eq!(adapted(228, four).bytes, ethernet([0; 6], 0x0800, four));
    assert_eq!(adapted(229, six).bytes, ethernet([0; 6], 0x86dd, six));
}

#[test]
fn null_and_loopback_families_of_every_system() {
    let (four, six) = (&udp([192, 0, 2, 1], 30)[14..], &udp6([8; 16], 30)[14..]);
    for link in [0, 108] {
        for bytes in [u32::to_le_bytes, u32::to_be_bytes] {
            let packet = |family: u32, packet: &[u8]| [&bytes(family)[..], packet].concat();
            assert_eq!(adapted(link, &packet(2, four)).bytes, ethernet([0; 6], 0x0800, four));
            for family in [10, 23, 24, 28, 30] {
                assert_eq!(adapted(link, &packet(family, six)).bytes, ethernet([0; 6], 0x86dd, six));
            }
            assert_eq!(adapted(link, &packet(7, four)).bytes, ethernet([0; 6], 0xffff, four));
        }
    }
}

#[test]
fn cooked_packets_keep_the_senders_address_and_type() {
    let four = &udp([192, 0, 2, 1], 30)[14..];
    let tagged = [&[0, 5, 0x08, 0x00], four].concat();
    let llc = [0x42, 0x42, 3, 0, 0];
    for (link, build) in [(113, cooked as fn(u16, u16, &[u8]) -> Vec<u8>), (276, cooked2)] {
        assert_eq!(adapted(link, &build(1, 0x0800, four)).bytes, ethernet(SENDER, 0x0800, four));
        assert_eq!(adapted(link, &build(1, 0x8100, &tagged)).bytes, ethernet(SENDER, 0x8100, &tagged));
        assert_eq!(adapted(link, &build(1, 4, &llc)).bytes, ethernet(SENDER, 5, &llc));
        // Novell's raw 802.3, and netlink, whose protocol is no EtherType.
        assert_eq!(adapted(link, &build(1, 1, &llc)).bytes, ethernet(SENDER, 0xffff, &llc));
        assert_eq!(adapted(link, &build(824, 0x0800, four)).bytes, ethernet(SENDER, 0xffff, four));
    }
    let mut without_address = cooked(65534, 0x0800, four);
    without_address[5] = 0;
    assert_eq!(adapted(113, &without_address).bytes, ethernet([0; 6], 0x0800, four));
}

#[test]
fn a_packet_shorter_than_its_link_header_stays_too_short() {
    for (link, header) in [(0, 4), (108, 4), (113, 16), (276, 20), (101, 1)] {
        for size in 0..header {
            let seen = adapted(link, &vec![0x45; size]);
            assert_eq!(seen.bytes, vec![0x45; size.min(13)], "link type {link}");
        }
    }
    for size in 0..14 {
        assert_eq!(adapted(1, &vec![0x45; size]).bytes.len(), size);
    }
}

#[test]
fn packets_cut_by_the_snap_length_are_filled_up_if_their_headers_are_there() {
    let build = Build { big: true };
    let filled = |link: u32, packet: &[u8], captured: usize| {
        let mut capture = build.classic(NANOS, link);
        capture.extend(build.record(1, 0, length(packet), &packet[..captured]));
        let (seen, summary) = read(&capture);
        assert_eq!(summary.unwrap().cut, 1);
        assert_eq!(seen[0].length, length(packet));
        seen[0].bytes.len()
    };
    let four = udp([192, 0, 2, 1], 500);
    assert_eq!(filled(1, &four, 42), four.len());
    assert_eq!(filled(1, &four, 41), 41, "zeros must not pass for a UDP header");
    let six = udp6([8; 16], 500);
    assert_eq!(filled(1, &six, 62), six.len());
    assert_eq!(filled(1, &six, 61), 61);
    let tagged = [&four[..12], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2], &four[12..]].concat();
    assert_eq!(filled(1, &tagged, 50), tagged.len());
    assert_eq!(filled(1, &tagged, 49), 49);
    assert_eq!(filled(101, &four[14..], 28), four.len());
    assert_eq!(filled(113, &cooked(1, 0x0800, &four[14..]), 44), four.len());

    let mut tcp = Vec::new();
    etherparse::PacketBuilder::ethernet2([0; 6], [0; 6])
        .ipv4([1; 4], [2; 4], 9)
        .tcp(1, 2, 3, 4)
        .write(&mut tcp, &[0; 200])
        .unwrap();
    assert_eq!((filled(1, &tcp, 54), filled(1, &tcp, 53)), (tcp.len(), 53));
    // A later fragment has no transport header.
    let mut later = four.clone();
    later[21] = 1;
    assert_eq!((filled(1, &later, 34), filled(1, &later, 33)), (later.len(), 33));
    let arp = [&[0; 12][..], &[8, 6], &[0; 46]].concat();
    assert_eq!(filled(1, &arp, 40), 40);
}

#[test]
fn packets_beyond_the_longest_frame_are_bounded_and_counted() {
    let build = Build { big: false };
    let head = udp([192, 0, 2, 1], 60);
    let long = [&head[..], &vec![0x77; 200_000]].concat();
    let mut capture = build.classic(MICROS, 1);
    capture.extend(build.record(1, 0, length(&long), &long));
    capture.extend(build.record(1, 0, u32::MAX, &head));
    let (seen, summary) = read(&capture);
    let summary = summary.unwrap();
    assert_eq!((summary.oversized, summary.cut), (2, 1));
    assert_eq!(summary.bytes, u64::from(length(&long)) + u64::from(u32::MAX));
    assert!(seen.iter().all(|seen| seen.bytes.len() == super::super::PcapFrame::MAX));
}

#[test]
fn packets_arrive_by_interface_name_then_by_source() {
    let ports = PortMap {
        names: Vec::new(),
        inside: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        inside_port: PortId(5),
        outside_port: PortId(6),
    };
    let mut inside6 = [0; 16];
    inside6[0] = 0xfd;
    let mut tagged = udp([10, 1, 2, 3], 5);
    tagged.splice(12..12, [0x81, 0, 0, 7]);
    let mut arp = [&[0; 12][..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]].concat();
    arp[28] = 10;
    let cases = [
        (udp([10, 1, 2, 3], 5), 5),
        (udp([11, 1, 2, 3], 5), 6),
        (udp6(inside6, 5), 5),
        (udp6([0x20; 16], 5), 6),
        (tagged, 5),
        (arp, 5),
        (vec![0; 20], 6),
        (vec![], 6),
    ];
    let build = Build { big: false };
    let mut capture = build.classic(MICROS, 1);
    for (frame, _) in &cases {
        capture.extend(build.record(1, 0, length(frame), frame));
    }
    let seen = packets(&mut open_with(&capture, ports).unwrap());
    assert_eq!(
        seen.iter().map(|seen| seen.port.0).collect::<Vec<_>>(),
        cases.iter().map(|(_, port)| *port).collect::<Vec<_>>()
    );
}
