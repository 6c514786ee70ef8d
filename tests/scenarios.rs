//! Runs every scenario under `tests/scenarios/`, and checks that together they show every way to drop a packet that a
//! capture can show.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, SocketAddr},
};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use ravelin_dataplane::verdict::{DropGroup, DropReason};
use ravelin_tests::{
    packets::frames,
    scenario::{self, folder, inputs, malformed, offload, replay},
    topology::Folder,
};

macro_rules! scenarios {
    ($($name:ident,)+) => {
        /// The names of the tests, which are those of the folders but for the line between words.
        const NAMES: &[&str] = &[$(stringify!($name),)+];

        $(
            #[test]
            fn $name() {
                scenario::check(&stringify!($name).replace('_', "-"));
            }
        )+
    };
}

scenarios! {
    allow_deny,
    both_ends,
    endpoints,
    flow_table_full,
    fragment_table_full,
    fragments,
    icmp_errors,
    icmp_types,
    ipv6,
    link_cooked,
    link_cooked2,
    link_null,
    link_raw,
    malformed,
    midstream,
    named_ports,
    non_ip,
    partial_checksums,
    rate_limit,
    reject,
    retransmissions,
    staged,
    tcp_close,
    tcp_flags,
    tiers,
    unknown_deny,
    vlan,
}

#[test]
fn every_scenario_has_a_test_packets_and_an_explanation() {
    let tests: BTreeSet<String> = NAMES.iter().map(|name| name.replace('_', "-")).collect();
    let entries = fs::read_dir(folder()).expect("the folder is there").map(|entry| entry.expect("an entry"));
    let folders: BTreeSet<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let made: BTreeSet<String> = inputs::all().iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(tests, folders);
    assert_eq!(tests, made);
    for name in made {
        let readme = fs::read_to_string(folder().join(&name).join("README.md")).unwrap_or_default();
        assert!(readme.trim().ends_with('.'), "{name}/README.md says in sentences what the scenario shows");
    }
}

#[test]
fn each_malformed_packet_is_dropped_for_its_own_reason() {
    let drops = replay(&folder().join("malformed"), &[]).drops();
    let expected: BTreeSet<(String, u64)> =
        malformed::REASONS.iter().map(|reason| ((*reason).to_owned(), 1)).collect();
    assert_eq!(drops.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn partial_checksums_leave_completed() {
    let output = Folder::new();
    let output = output.0.join("output.pcap");
    replay(&folder().join("partial-checksums"), &["--write", &output.display().to_string()]);
    let (partial, whole) = offload::captures();
    let left = frames(&output);
    assert_eq!(left.len(), partial.len());
    for (number, (left, whole)) in left.iter().zip(whole.frames()).enumerate() {
        assert!(left == whole, "frame {number}:\n    left {left:02x?}\nexpected {whole:02x?}");
    }
}

#[test]
fn reject_answers_the_sender() {
    let output = Folder::new();
    let output = output.0.join("output.pcap");
    let replay = replay(&folder().join("reject"), &["--write", &output.display().to_string()]);
    let left = frames(&output);
    let answers: Vec<String> = left.iter().filter_map(|frame| answer(frame)).collect();
    assert_eq!(
        answers,
        [
            "198.51.100.1:23 > 192.0.2.1:40000 reset of 1001",
            "198.51.100.1:23 > 192.0.2.1:40000 reset of 1001",
            // The errors end with 576 bytes, and with 1280.
            "198.51.100.1 > 192.0.2.1 prohibits, quoting 548 bytes",
            "198.51.100.1 > 192.0.2.1 prohibits, quoting 60 bytes",
            "[2001:db8:2::1]:23 > [2001:db8:1::1]:40000 reset of 1001",
            "[2001:db8:2::1]:23 > [2001:db8:1::1]:40000 reset of 1001",
            "2001:db8:2::1 > 2001:db8:1::1 prohibits, quoting 648 bytes",
            "2001:db8:2::1 > 2001:db8:1::1 prohibits, quoting 80 bytes",
            "198.51.100.1 > 192.0.2.1 prohibits, quoting 548 bytes",
        ]
    );
    assert_eq!(replay.summary["injected"], answers.len());
    assert_eq!(replay.summary["forwarded"], left.len());
}

/// A reset that acknowledges, or an error that says that communication is administratively prohibited, in words; panics if
/// one of its checksums is wrong.
fn answer(frame: &[u8]) -> Option<String> {
    let packet = SlicedPacket::from_ethernet(frame).expect("a whole packet");
    let (source, destination): (IpAddr, IpAddr) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            (header.source.into(), header.destination.into())
        }
        NetSlice::Ipv6(ip) => (ip.header().source().into(), ip.header().destination().into()),
        NetSlice::Arp(_) => return None,
    };
    let quoting = |length: usize| Some(format!("{source} > {destination} prohibits, quoting {length} bytes"));
    match (packet.transport.as_ref()?, packet.net.as_ref()?) {
        (TransportSlice::Tcp(tcp), net) if tcp.rst() && tcp.ack() => {
            let header = tcp.to_header();
            let expected = match net {
                NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
                NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
                NetSlice::Arp(_) => return None,
            };
            assert_eq!(expected, Ok(tcp.checksum()));
            let from = SocketAddr::new(source, tcp.source_port());
            let to = SocketAddr::new(destination, tcp.destination_port());
            Some(format!("{from} > {to} reset of {}", tcp.acknowledgment_number()))
        }
        (TransportSlice::Icmpv4(icmp), _) if (icmp.type_u8(), icmp.code_u8()) == (3, 13) => {
            assert_eq!(icmp.header().icmp_type.calc_checksum(icmp.payload()), icmp.checksum());
            quoting(icmp.payload().len())
        }
        (TransportSlice::Icmpv6(icmp), NetSlice::Ipv6(ip)) if (icmp.type_u8(), icmp.code_u8()) == (1, 1) => {
            assert!(icmp.is_checksum_valid(ip.header().source(), ip.header().destination()));
            quoting(icmp.payload().len())
        }
        _ => None,
    }
}

#[test]
fn every_drop_reason_that_a_capture_can_show_is_shown() {
    let mut shown = BTreeSet::new();
    for name in NAMES {
        let text = fs::read_to_string(folder().join(name.replace('_', "-")).join("expect.toml"));
        let table: toml::Table = text.unwrap_or_default().parse().expect("TOML");
        let drops = table.get("drops").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        shown.extend(drops.into_iter().map(|(reason, _)| reason));
    }
    let missing: Vec<&str> = DropReason::ALL
        .iter()
        .filter(|reason| needs_scenario(**reason) && !shown.contains(reason.name()))
        .map(|reason| reason.name())
        .collect();
    assert!(missing.is_empty(), "no scenario drops a packet for: {missing:?}");
}

/// Whether packets can be dropped for this reason without real interfaces, routes, several workers and a change of policy.
fn needs_scenario(reason: DropReason) -> bool {
    match reason.group() {
        DropGroup::Decode | DropGroup::Fragment | DropGroup::Flow => true,
        DropGroup::Policy => !matches!(reason, DropReason::FlowCut | DropReason::FlowReset),
        DropGroup::Kernel | DropGroup::Handoff | DropGroup::Wireguard | DropGroup::Fault => false,
        DropGroup::Forward => !matches!(
            reason,
            DropReason::MtuExceeded
                | DropReason::NoDestination
                | DropReason::TransmitFull
                | DropReason::TransmitDown
                | DropReason::Martian
                | DropReason::ReversePath
                | DropReason::RouteBlackhole
                | DropReason::TtlExpired
                | DropReason::NatUntracked
                | DropReason::NatProtocol
                | DropReason::NatExhausted
        ),
    }
}

#[test]
fn records_do_not_depend_on_the_batch_size() {
    for name in ["allow-deny", "fragments", "retransmissions"] {
        let scenario = folder().join(name);
        let expected = fs::read_to_string(scenario.join("expect.jsonl")).expect("scenarios have records");
        for batch in ["1", "3", "256"] {
            assert_eq!(
                replay(&scenario, &["--batch", batch]).records,
                expected,
                "{name} in batches of {batch}"
            );
        }
    }
}
