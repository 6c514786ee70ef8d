//! What is found through the index is what one would pick by hand, also with an index that is damaged or missing.

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header};
use ravelin_config::types::Protocol;
use ravelin_dataplane::capture::{Chunk, Fate, Label};

use super::*;
use crate::records::CommunityId;

/// A packet of a small world, in which much is alike.
#[derive(Clone, Debug)]
struct Traffic {
    is_six: bool,
    tags: usize,
    hosts: [u8; 2],
    what: What,
    captures: u64,
    snap: usize,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Ports(Protocol, [u16; 2], Fragment),
    Icmp([u8; 2]),
    Gre,
    Arp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fragment {
    Whole,
    First,
    Later,
}

impl Traffic {
    fn addresses(&self) -> [IpAddr; 2] {
        self.hosts.map(|host| match self.is_six {
            true => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)]),
            false => IpAddr::from([10, 3, 0, host]),
        })
    }

    fn protocol(&self) -> Protocol {
        match (self.what, self.is_six) {
            (What::Ports(protocol, ..), _) => protocol,
            (What::Icmp(_), true) => Protocol::ICMPV6,
            (What::Icmp(_), false) => Protocol::ICMP,
            (What::Gre | What::Arp, _) => Protocol(47),
        }
    }

    /// The frame, and where the transport header begins.
    fn frame(&self) -> (Vec<u8>, usize) {
        let mut frame = vec![2; 12];
        for _ in 0..self.tags {
            frame.extend([0x81, 0, 0, 7]);
        }
        let (transport, fragment) = match self.what {
            What::Arp => {
                frame.extend([8, 6]);
                frame.extend([0; 46]);
                return (frame, 0);
            }
            What::Ports(_, [source, destination], fragment) => {
                ([source.to_be_bytes(), destination.to_be_bytes()].concat(), fragment)
            }
            What::Icmp(message) => (message.to_vec(), Fragment::Whole),
            What::Gre => (vec![0, 0, 8, 0], Fragment::Whole),
        };
        let payload = [transport, vec![0; 20]].concat();
        let offset = IpFragOffset::try_new(u16::from(fragment == Fragment::Later)).unwrap();
        let next = IpNumber(self.protocol().0);
        match self.addresses() {
            [IpAddr::V4(source), IpAddr::V4(destination)] => {
                frame.extend([8, 0]);
                let (source, destination) = (source.octets(), destination.octets());
                let mut header =
                    Ipv4Header::new(payload.len() as u16, 64, next, source, destination).unwrap();
                (header.more_fragments, header.fragment_offset) = (fragment == Fragment::First, offset);
                header.write(&mut frame).unwrap();
            }
            [IpAddr::V6(source), IpAddr::V6(destination)] => {
                frame.extend([0x86, 0xdd]);
                let extension = Ipv6FragmentHeader::new(next, offset, fragment == Fragment::First, 9);
                let is_whole = fragment == Fragment::Whole;
                let header = Ipv6Header {
                    next_header: if is_whole { next } else { IpNumber::IPV6_FRAGMENTATION_HEADER },
                    source: source.octets(),
                    destination: destination.octets(),
                    ..Ipv6Header::default()
                };
                header.write(&mut frame).unwrap();
                if !is_whole {
                    extension.write(&mut frame).unwrap();
                }
            }
            _ => unreachable!(),
        }
        let transport = frame.len();
        (frame.into_iter().chain(payload).collect(), transport)
    }

    fn kept(&self) -> Vec<u8> {
        let (mut frame, _) = self.frame();
        frame.truncate(self.snap);
        frame
    }

    /// The protocol, as far as it was kept: the fragment header of IPv6 names it.
    fn kept_protocol(&self) -> Protocol {
        let is_cut = self.snap < 14 + 4 * self.tags + 40 + 4;
        match self.what {
            What::Ports(_, _, Fragment::First | Fragment::Later) if self.is_six && is_cut => Protocol(44),
            What::Ports(..) | What::Icmp(_) | What::Gre | What::Arp => self.protocol(),
        }
    }

    /// Ports, or type and code, as far as they are in the packet and were kept of it.
    fn numbers(&self) -> Option<[u16; 2]> {
        let (_, transport) = self.frame();
        let reaches = |bytes| self.snap >= transport + bytes;
        match self.what {
            What::Ports(_, ports, Fragment::Whole | Fragment::First) if reaches(4) => Some(ports),
            What::Icmp(message) if reaches(2) => Some(message.map(u16::from)),
            What::Ports(..) | What::Icmp(_) | What::Gre | What::Arp => None,
        }
    }

    fn name(&self) -> Option<CommunityId> {
        let (ends, protocol) = (self.addresses(), self.protocol());
        match (self.what, self.numbers()) {
            (What::Ports(..), Some(ports)) => Some(CommunityId::of_ends(ends, protocol, Some(ports))),
            (What::Icmp(message), Some(_)) => Some(CommunityId::of_message(ends, protocol, message)),
            (What::Gre, _) => Some(CommunityId::of_ends(ends, protocol, None)),
            (What::Ports(..) | What::Icmp(_) | What::Arp, _) => None,
        }
    }

    /// Whether the addresses were kept.
    fn is_told(&self) -> bool {
        let network = 14 + 4 * self.tags;
        !matches!(self.what, What::Arp) && self.snap >= network + if self.is_six { 40 } else { 20 }
    }
}

/// What somebody asks for, in terms of this world.
#[derive(Clone, Debug)]
struct Question {
    host: Option<(bool, u8)>,
    protocol: Option<Protocol>,
    port: Option<u16>,
    flow: Option<Traffic>,
    community_id: Option<Traffic>,
}

impl Question {
    fn wanted(&self) -> Wanted {
        let host =
            self.host.map(|(is_six, host)| Traffic { is_six, hosts: [host; 2], ..arp() }.addresses()[0]);
        Wanted {
            host,
            protocol: self.protocol,
            port: self.port,
            flow: self.flow.as_ref().map(|flow| flow_of(flow).parse().unwrap()),
            community_id: self
                .community_id
                .as_ref()
                .and_then(Traffic::name)
                .map(|name| name.to_string().parse().unwrap()),
        }
    }

    fn wants(&self, packet: &Traffic) -> bool {
        let wanted = self.wanted();
        let ports = packet.numbers().filter(|_| packet.protocol().has_ports());
        let is_flow = |flow: &Traffic| {
            let theirs = flow.numbers().filter(|_| flow.protocol().has_ports());
            let way = |ends: [IpAddr; 2], numbers: Option<[u16; 2]>| {
                packet.addresses() == ends && (numbers.is_none() || ports == numbers)
            };
            let [one, other] = flow.addresses();
            packet.kept_protocol() == flow.protocol()
                && (way([one, other], theirs) || way([other, one], theirs.map(|[one, other]| [other, one])))
        };
        let name = self.community_id.as_ref().and_then(Traffic::name);
        wanted == Wanted::default()
            || packet.is_told()
                && wanted.host.is_none_or(|host| packet.addresses().contains(&host))
                && wanted.protocol.is_none_or(|protocol| packet.kept_protocol() == protocol)
                && wanted.port.is_none_or(|port| ports.is_some_and(|ports| ports.contains(&port)))
                && self.flow.as_ref().is_none_or(is_flow)
                && name.is_none_or(|name| packet.name() == Some(name))
    }
}

fn flow_of(packet: &Traffic) -> String {
    let [one, other] = packet.addresses();
    match packet.numbers().filter(|_| packet.protocol().has_ports()) {
        Some([first, second]) => {
            let [one, other] = [(one, first), (other, second)].map(std::net::SocketAddr::from);
            format!("{one}-{other}/{}", packet.protocol())
        }
        None => format!("{one}-{other}/{}", packet.protocol()),
    }
}

fn arp() -> Traffic {
    Traffic { is_six: false, tags: 0, hosts: [0; 2], what: What::Arp, captures: 1, snap: 2000 }
}

fn protocols() -> impl Strategy<Value = Protocol> {
    proptest::sample::select(vec![Protocol::TCP, Protocol::UDP, Protocol::SCTP])
}

fn traffic() -> impl Strategy<Value = Traffic> {
    let fragment = proptest::sample::select(vec![Fragment::Whole, Fragment::First, Fragment::Later]);
    let what = prop_oneof![
        4 => (protocols(), [1_u16..5, 1_u16..5], fragment).prop_map(|(protocol, ports, fragment)| {
            What::Ports(protocol, ports, fragment)
        }),
        1 => (proptest::sample::select(vec![0_u8, 3, 8, 11, 128, 129, 135, 136]), 0_u8..2)
            .prop_map(|(kind, code)| What::Icmp([kind, code])),
        1 => Just(What::Gre),
        1 => Just(What::Arp),
    ];
    let snap = prop_oneof![4 => Just(2000_usize), 1 => 14_usize..100];
    (any::<bool>(), 0_usize..3, [0_u8..6, 0_u8..6], what, 0_u64..4, snap).prop_map(
        |(is_six, tags, hosts, what, captures, snap)| Traffic { is_six, tags, hosts, what, captures, snap },
    )
}

fn questions() -> impl Strategy<Value = Question> {
    let flow = || {
        traffic().prop_filter("an IP packet of which all was kept", |packet| {
            !matches!(packet.what, What::Arp | What::Ports(_, _, Fragment::Later)) && packet.snap == 2000
        })
    };
    (
        proptest::option::weighted(0.3, (any::<bool>(), 0_u8..7)),
        proptest::option::weighted(0.3, prop_oneof![protocols(), Just(Protocol::ICMP), Just(Protocol(47))]),
        proptest::option::weighted(0.3, 1_u16..6),
        proptest::option::weighted(0.3, flow()),
        proptest::option::weighted(0.3, flow()),
    )
        .prop_map(|(host, protocol, port, flow, community_id)| Question {
            host,
            protocol,
            port,
            flow,
            community_id,
        })
}

/// What happens to the indexes on the disk.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    Removed,
    Cut,
    Turned,
}

impl Harm {
    fn happens(self, test: &Test) {
        let entries = fs::read_dir(test.root.file("ring")).into_iter().flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.to_str().unwrap().contains(".index")) {
            let mut index = fs::read(&path).unwrap();
            let middle = index.len() / 2;
            match self {
                Self::None => continue,
                Self::Removed => {
                    fs::remove_file(&path).unwrap();
                    continue;
                }
                Self::Cut => index.truncate(middle),
                Self::Turned => index[middle] ^= 0x10,
            }
            fs::write(&path, index).unwrap();
        }
    }
}

fn push(chunk: &mut Chunk, time: u64, packet: &Traffic) {
    let (bytes, _) = packet.frame();
    let label = Label {
        interface: 0,
        time: Timestamp::from_nanos(time),
        length: bytes.len() as u32,
        fate: Fate::PASSED,
        decision: 0,
        worker: 0,
        captures: packet.captures,
    };
    chunk.push(&label, &bytes, packet.snap.min(bytes.len()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_index_hides_nothing(
        chunks in proptest::collection::vec(proptest::collection::vec(traffic(), 1..30), 1..9),
        questions in proptest::collection::vec(questions(), 1..20),
        settings in proptest::sample::select(vec![MEMORY, DISK, BOTH]),
        harm in proptest::sample::select(vec![Harm::None, Harm::Removed, Harm::Cut, Harm::Turned]),
    ) {
        let mut test = Test::new(settings);
        let mut all = Vec::new();
        for packets in chunks {
            let mut chunk = Box::<Chunk>::default();
            let mut of_ring = 0;
            for packet in packets {
                push(&mut chunk, all.len() as u64, &packet);
                of_ring += packet.captures & 1;
                all.push(packet);
            }
            test.ring.take(chunk, of_ring, NOW, &mut test.budget);
            test.ring.settle(NOW, &mut test.budget);
        }
        harm.happens(&test);
        for question in questions {
            let by_hand: Vec<_> = all.iter().enumerate().filter(|(_, packet)| packet.captures & 1 != 0 && question.wants(packet)).map(|(time, packet)| (time as u64, packet.kept())).collect();
            let (_, file) = test.save(&of(question.wanted()));
            let found = read(file).0;
            prop_assert!(found == by_hand, "{question:?}: {found:?} {by_hand:?}");
        }
    }
}
