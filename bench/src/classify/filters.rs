//! Rule sets and headers after ClassBench (Taylor and Turner, INFOCOM 2005): what its seeds acl1, fw1 and ipc1 look like in
//! prefix lengths, ports, protocols and how often an address is used again, from a generator of our own; or read from a file
//! in its format.

use std::{
    collections::HashSet,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ravelin_config::types::{IpNet, PortRange, Protocol};
use ravelin_dataplane::policy::{
    AddressSet,
    classifier::{Key, Position, ProtocolMatch, Rule, SetId},
};

use crate::traffic::splitmix;

/// Repeatable random numbers.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(splitmix(seed))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        splitmix(self.0)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// One of `items`.
    pub(super) fn pick<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// One of items that come with a weight.
    fn weighted<'i, T>(&mut self, items: &'i [(u32, T)]) -> &'i T {
        let mut left = self.below(items.iter().map(|(weight, _)| u64::from(*weight)).sum());
        for (weight, item) in items {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return item,
            }
        }
        unreachable!("the weights were summed up")
    }

    /// A number below `end`, the low ones far more often: Zipf's law, roughly, with exponent 1.
    pub(super) fn zipf(&mut self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (((end + 1) as f64).powf(unit) as u64 - 1).min(end - 1)
    }
}

/// Which kind of rule set.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// Access control lists: hosts, exact destination ports.
    Acl,
    /// Firewalls: one end is often anywhere, source ports.
    Fw,
    /// IP chains: nets and hosts, half of the rules without ports.
    Ipc,
}

/// Kinds of port ranges.
#[derive(Clone, Copy, Debug)]
enum Ports {
    All,
    Exact,
    Range,
    High,
}

/// Weighted protocol, source ports and destination ports.
type Service = (u32, (Option<u8>, Ports, Ports));

use Ports::{All, Exact, High, Range};

const TCP: Option<u8> = Some(6);
const UDP: Option<u8> = Some(17);

impl Profile {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Fw => "fw",
            Self::Ipc => "ipc",
        }
    }

    /// Weighted pairs of prefix lengths.
    const fn lengths(self) -> &'static [(u32, (u8, u8))] {
        match self {
            Self::Acl => &[
                (300, (32, 32)),
                (140, (31, 32)),
                (127, (32, 31)),
                (45, (31, 31)),
                (38, (32, 30)),
                (35, (23, 32)),
                (34, (32, 22)),
                (21, (31, 22)),
                (20, (32, 24)),
                (19, (30, 32)),
                (19, (24, 31)),
                (19, (31, 23)),
                (30, (30, 22)),
                (30, (16, 32)),
                (30, (24, 24)),
                (20, (20, 28)),
                (12, (8, 32)),
                (12, (0, 32)),
                (8, (32, 0)),
                (6, (16, 16)),
                (2, (8, 8)),
                (1, (0, 8)),
                (1, (0, 0)),
            ],
            Self::Fw => &[
                (190, (0, 31)),
                (141, (0, 32)),
                (116, (1, 32)),
                (66, (1, 31)),
                (63, (0, 30)),
                (45, (31, 0)),
                (40, (32, 0)),
                (29, (32, 1)),
                (29, (2, 32)),
                (20, (30, 0)),
                (17, (31, 1)),
                (36, (32, 32)),
                (20, (32, 31)),
                (30, (24, 24)),
                (20, (16, 24)),
                (9, (1, 0)),
                (9, (0, 1)),
                (6, (0, 0)),
            ],
            Self::Ipc => &[
                (77, (32, 32)),
                (39, (31, 32)),
                (32, (23, 32)),
                (30, (24, 32)),
                (26, (32, 31)),
                (22, (25, 32)),
                (21, (23, 24)),
                (20, (24, 31)),
                (19, (24, 24)),
                (17, (32, 25)),
                (16, (0, 32)),
                (16, (0, 31)),
                (15, (24, 23)),
                (15, (1, 32)),
                (60, (16, 24)),
                (60, (24, 16)),
                (40, (28, 28)),
                (12, (32, 0)),
                (10, (8, 24)),
                (8, (16, 16)),
                (3, (0, 1)),
                (2, (0, 0)),
            ],
        }
    }

    const fn services(self) -> &'static [Service] {
        match self {
            Self::Acl => &[
                (596, (TCP, All, Exact)),
                (169, (TCP, All, All)),
                (111, (TCP, All, Range)),
                (82, (None, All, All)),
                (30, (Some(1), All, All)),
                (11, (UDP, All, Exact)),
            ],
            Self::Fw => &[
                (447, (TCP, All, Exact)),
                (138, (UDP, All, Exact)),
                (102, (UDP, Exact, All)),
                (88, (TCP, All, All)),
                (52, (Some(47), All, All)),
                (39, (Some(1), All, All)),
                (39, (TCP, High, High)),
                (24, (UDP, High, High)),
                (23, (UDP, Exact, Exact)),
                (20, (UDP, High, Exact)),
                (17, (UDP, Exact, High)),
                (9, (None, All, All)),
                (2, (UDP, Range, High)),
            ],
            Self::Ipc => &[
                (317, (None, All, All)),
                (230, (UDP, All, Exact)),
                (137, (TCP, All, Exact)),
                (84, (UDP, Exact, All)),
                (77, (TCP, Exact, All)),
                (62, (UDP, All, High)),
                (22, (TCP, All, All)),
                (20, (TCP, All, Range)),
                (14, (TCP, Range, All)),
                (12, (Some(1), All, All)),
                (6, (UDP, All, Range)),
                (4, (Some(47), All, All)),
                (4, (UDP, High, All)),
            ],
        }
    }

    /// Hosts that rules of each side are about, and nets of 16 bits that these lie in, for so many rules.
    const fn hosts(self, rules: usize) -> [(usize, usize); 2] {
        match self {
            Self::Acl => [(rules * 2 / 5 + 8, rules / 80 + 8), (rules / 14 + 8, rules / 160 + 8)],
            Self::Fw => [(rules / 3 + 8, rules / 3 + 8), (rules * 2 / 3 + 8, rules * 2 / 3 + 8)],
            Self::Ipc => [(rules / 6 + 8, rules / 50 + 8), (rules / 4 + 8, rules / 35 + 8)],
        }
    }
}

/// A rule as ClassBench writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Filter {
    source: (u32, u8),
    destination: (u32, u8),
    source_ports: (u16, u16),
    destination_ports: (u16, u16),
    protocol: Option<u8>,
}

/// `count` different filters, the more special ones rather first. Fewer, where there are no more.
pub(super) fn generate(profile: Profile, count: usize, seed: u64) -> Vec<Filter> {
    let mut random = Random::new(seed);
    let sides = profile.hosts(count).map(|(hosts, nets)| hosts_in(&mut random, hosts, nets));
    let mut known = HashSet::new();
    let mut filters = Vec::new();
    for _ in 0..count * 20 {
        if filters.len() == count {
            break;
        }
        let (source_length, destination_length) = *random.weighted(profile.lengths());
        let mut prefix = |side: &[u32], length: u8| (cut(*random.pick(side), length), length);
        let (source, destination) = (prefix(&sides[0], source_length), prefix(&sides[1], destination_length));
        let (protocol, source_ports, destination_ports) = *random.weighted(profile.services());
        let filter = Filter {
            source,
            destination,
            source_ports: ports(&mut random, source_ports),
            destination_ports: ports(&mut random, destination_ports),
            protocol,
        };
        if known.insert(filter) {
            let special = u64::from(source_length + destination_length);
            filters.push((std::cmp::Reverse(special + random.below(16)), filter));
        }
    }
    filters.sort_by_key(|(special, _)| *special);
    filters.into_iter().map(|(_, filter)| filter).collect()
}

/// Hosts in nets of 16 bits, some of which have many; within a net, in subnets of 24 bits likewise.
fn hosts_in(random: &mut Random, hosts: usize, nets: usize) -> Vec<u32> {
    let nets: Vec<u32> = (0..nets).map(|_| (random.next() as u32) << 16).collect();
    (0..hosts)
        .map(|_| {
            let net = nets[if random.below(2) == 0 {
                random.zipf(nets.len() as u64)
            } else {
                random.below(nets.len() as u64)
            } as usize];
            let subnet = (splitmix(u64::from(net) + random.zipf(64)) as u32 & 0xff) << 8;
            net | subnet | (random.next() as u32 & 0xff)
        })
        .collect()
}

fn cut(address: u32, length: u8) -> u32 {
    address & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

fn ports(random: &mut Random, kind: Ports) -> (u16, u16) {
    const EXACT: u64 = 200;
    match kind {
        All => (0, u16::MAX),
        High => (1024, u16::MAX),
        Exact => {
            let port = splitmix(random.zipf(EXACT)) as u16 % 10_000;
            (port, port)
        }
        Range => {
            let kind = splitmix(1_000 + random.zipf(40));
            let first = (kind as u16) % 60_000;
            (first, first + [9, 49, 99, 999][(kind >> 32) as usize % 4])
        }
    }
}

impl Filter {
    fn last((first, length): (u32, u8)) -> u32 {
        first | u32::MAX.checked_shr(u32::from(length)).unwrap_or(0)
    }

    /// A header that it matches.
    fn header(&self, random: &mut Random) -> Key {
        let within = |random: &mut Random, (first, last): (u32, u32)| {
            first + random.below(u64::from(last - first) + 1) as u32
        };
        let address = |random: &mut Random, prefix: (u32, u8)| {
            IpAddr::V4(Ipv4Addr::from_bits(within(random, (prefix.0, Self::last(prefix)))))
        };
        let port = |random: &mut Random, (first, last): (u16, u16)| {
            within(random, (first.into(), last.into())) as u16
        };
        Key {
            source: address(random, self.source),
            destination: address(random, self.destination),
            protocol: Protocol(self.protocol.unwrap_or_else(|| *random.pick(&[6, 17, 1]))),
            source_port: port(random, self.source_ports),
            destination_port: port(random, self.destination_ports),
            zones: Key::NO_ZONES,
        }
    }

    /// The line of a filter file.
    fn line(&self, into: &mut String) {
        let prefix = |(first, length): (u32, u8)| format!("{}/{length}", Ipv4Addr::from_bits(first));
        let (source, destination) = (prefix(self.source), prefix(self.destination));
        let ports = |(first, last): (u16, u16)| format!("{first} : {last}");
        let (source_ports, destination_ports) = (ports(self.source_ports), ports(self.destination_ports));
        let protocol =
            self.protocol.map_or("0x00/0x00".to_owned(), |protocol| format!("{protocol:#04x}/0xFF"));
        writeln!(into, "@{source}\t{destination}\t{source_ports}\t{destination_ports}\t{protocol}")
            .expect("a string takes everything");
    }
}

/// The filters of a file in ClassBench's format; what it says beyond the protocol is left out.
pub(super) fn parse(text: &str) -> Vec<Filter> {
    fn filter(line: &str) -> Option<Filter> {
        let mut fields = line.strip_prefix('@')?.split('\t');
        let prefix = |text: &str| {
            let (address, length) = text.split_once('/')?;
            let length = length.parse().ok()?;
            Some((cut(address.parse::<Ipv4Addr>().ok()?.to_bits(), length), length))
        };
        let range = |text: &str| {
            let (first, last) = text.split_once(':')?;
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        };
        Some(Filter {
            source: prefix(fields.next()?)?,
            destination: prefix(fields.next()?)?,
            source_ports: range(fields.next()?)?,
            destination_ports: range(fields.next()?)?,
            protocol: {
                let (protocol, mask) = fields.next()?.split_once('/')?;
                let protocol = u8::from_str_radix(protocol.strip_prefix("0x")?, 16).ok()?;
                (mask.trim() != "0x00").then_some(protocol)
            },
        })
    }
    let mut known = HashSet::new();
    text.lines().filter_map(filter).filter(|filter| known.insert(*filter)).collect()
}

/// Which headers come how often.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Headers {
    /// Every one matches a rule, all rules alike.
    Uniform,
    /// A sixteenth of that many different ones, few of which are seen most of the time.
    Zipf,
}

/// `count` headers.
pub(super) fn headers(filters: &[Filter], kind: Headers, count: usize, seed: u64) -> Vec<Key> {
    let mut random = Random::new(seed);
    let header = |random: &mut Random| random.pick(filters).header(random);
    match kind {
        Headers::Uniform => (0..count).map(|_| header(&mut random)).collect(),
        Headers::Zipf => {
            let distinct: Vec<Key> = (0..count / 16 + 1).map(|_| header(&mut random)).collect();
            (0..count).map(|_| distinct[random.zipf(distinct.len() as u64) as usize]).collect()
        }
    }
}

/// The filters as Ravelin takes them: each prefix a set, the place in the file the position.
pub(super) fn rules(filters: &[Filter]) -> (Vec<Arc<AddressSet>>, Vec<Rule>) {
    let mut sets = Vec::new();
    let mut numbers = std::collections::HashMap::new();
    let mut set = |(first, length): (u32, u8)| {
        if length == 0 {
            return SetId::ANY;
        }
        *numbers.entry((first, length)).or_insert_with(|| {
            let net: IpNet = format!("{}/{length}", Ipv4Addr::from_bits(first)).parse().expect("a net");
            sets.push(Arc::new(AddressSet::of_nets([&net])));
            SetId(sets.len() as u32 - 1)
        })
    };
    let range = |(first, last)| PortRange::new(first, last).expect("a range");
    let rules = (0..)
        .zip(filters)
        .map(|(position, filter)| Rule {
            position: Position(position),
            source: set(filter.source),
            destination: set(filter.destination),
            protocol: filter.protocol.map_or(ProtocolMatch::Any, |p| ProtocolMatch::Is(Protocol(p))),
            source_ports: range(filter.source_ports),
            destination_ports: range(filter.destination_ports),
            outcome: position % 7,
        })
        .collect();
    (sets, rules)
}

/// The filters as a file.
pub(super) fn filter_file(filters: &[Filter]) -> String {
    let mut text = String::new();
    filters.iter().for_each(|filter| filter.line(&mut text));
    text
}

/// The headers as a file.
pub(super) fn trace_file(keys: &[Key]) -> String {
    let mut text = String::new();
    for key in keys {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = (key.source, key.destination) else { continue };
        writeln!(
            text,
            "{}\t{}\t{}\t{}\t{}",
            source.to_bits(),
            destination.to_bits(),
            key.source_port,
            key.destination_port,
            key.protocol.0
        )
        .expect("a string takes everything");
    }
    text
}
