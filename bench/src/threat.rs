//! Which feeds name an address: the indicator set, against what else could hold as many entries.
//!
//! Entries are nineteen scattered IPv4 addresses to one prefix of 22 to 29 bits, of eight feeds; or IPv6 prefixes of 48, 56, 64
//! and 128 bits in 20,000 allocations, few of which have most. Peers are asked one address after the other, since none
//! of them can be asked otherwise; the processor overlaps their lookups as far as it can.

use std::{
    fs,
    hint::black_box,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Instant,
};

use hashbrown::HashSet;
use poptrie::Poptrie;
use prefix_trie::PrefixMap;
use ravelin_dataplane::threat::{Feeds, Indicator, IndicatorSet};

use crate::{
    harness::{Report, interleave, nanos, nanos_per_item, ratios, resident, state_calibration},
    traffic::splitmix,
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// IPv4 entries, one set for each number.
    #[arg(long, value_delimiter = ',', default_value = "1000,1000000,10000000")]
    entries: Vec<u64>,
    /// IPv6 prefixes, one set for each number.
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    prefixes: Vec<u64>,
    /// Addresses that are looked up in one run.
    #[arg(long, default_value_t = 1_000_000)]
    lookups: u64,
    /// Runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// Ends that are looked up together.
const BATCH: usize = 64;
/// Entries for which DIR-24-8 and poptrie would need gigabytes: they are left out.
const TOO_MANY: usize = 5_000_000;

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    for count in &options.entries {
        family::<u32>(report, options, *count, &format!("{count} IPv4 entries"));
    }
    for count in &options.prefixes {
        family::<u128>(report, options, *count, &format!("{count} IPv6 prefixes"));
    }
}

fn family<A: Address>(report: &Report, options: &Options, count: u64, title: &str) {
    report.heading(title);
    let prefixes: Vec<(A, u8)> = (0..count).map(A::prefix).collect();
    let set = build::<A>(report, options, &prefixes);
    let mut peers = A::peers(&prefixes);
    for (name, memory) in peers.iter().map(|peer| (peer.name, peer.memory)) {
        report.figure(&format!("memory, {name}"), &[memory / count as f64], "B/prefix", None);
    }

    let near = &|counter: u64| {
        let (first, length) = prefixes[(splitmix(counter) % count) as usize];
        (first, length, splitmix(counter ^ 0x4ea2))
    };
    let named = |address: &A| !set.feeds(address.address(), 1).is_empty();
    let numbers = 0..options.lookups;
    let kinds: [(&str, Vec<A>); 3] = [
        (
            "hit",
            numbers.clone().map(near).map(|(first, length, random)| first.within(length, random)).collect(),
        ),
        ("miss, anywhere", numbers.clone().map(A::anywhere).filter(|at| !named(at)).collect()),
        (
            "miss, near an entry",
            numbers
                .map(near)
                .map(|(first, length, random)| first.beside(length, random))
                .filter(|at| !named(at))
                .collect(),
        ),
    ];
    for (kind, addresses) in &kinds {
        let expected = if *kind == "hit" { addresses.len() } else { 0 };
        // What is asked for in a batch has just been written, as that of packets which have just been read.
        let mut own = || {
            let (mut ends, mut out) = ([(addresses[0].address(), 443); BATCH], [Feeds::EMPTY; BATCH]);
            let (mut hits, mut taken) = (0, 0.0);
            for addresses in addresses.chunks(BATCH) {
                let ends = &mut ends[..addresses.len()];
                ends.iter_mut().zip(addresses).for_each(|(end, address)| end.0 = address.address());
                let start = Instant::now();
                set.feeds_of_batch(black_box(ends), &mut out);
                taken += nanos(start.elapsed());
                hits += black_box(&out[..ends.len()]).iter().filter(|feeds| !feeds.is_empty()).count();
            }
            assert_eq!(hits, expected, "{kind}");
            taken / addresses.len() as f64
        };
        let mut alone = || {
            nanos_per_item(|| {
                let named = |at: &&A| !set.feeds(black_box(at.address()), 443).is_empty();
                let hits = addresses.iter().filter(named).count();
                assert_eq!(hits, expected, "{kind}");
                addresses.len() as u64
            })
        };
        let names: Vec<(&str, bool)> = peers.iter().map(|peer| (peer.name, peer.exact)).collect();
        let mut asked: Vec<Box<dyn FnMut() -> f64>> = Vec::new();
        for peer in &mut peers {
            asked.push(Box::new(move || {
                nanos_per_item(|| {
                    let hits = (peer.ask)(addresses);
                    assert!(
                        hits == expected || (peer.exact && hits <= expected),
                        "{}: {hits} of {expected}",
                        peer.name
                    );
                    addresses.len() as u64
                })
            }));
        }
        let mut candidates: Vec<&mut dyn FnMut() -> f64> = vec![&mut own, &mut alone];
        candidates.extend(asked.iter_mut().map(|asked| &mut **asked as &mut dyn FnMut() -> f64));
        let results = interleave(options.rounds, &mut candidates);
        report.figure(
            &format!("{kind}: ravelin, batches of 64"),
            &results[0],
            "ns/lookup",
            Some("must 10, aim 5"),
        );
        report.figure(&format!("{kind}: ravelin, one by one"), &results[1], "ns/lookup", None);
        for ((name, _), result) in names.iter().zip(&results[2..]) {
            report.figure(&format!("{kind}: {name}"), result, "ns/lookup", None);
            report.figure(&format!("{kind}: {name} / ravelin"), &ratios(result, &results[0]), "x", None);
        }
    }
}

/// Builds the set several times, and says what that takes.
fn build<A: Address>(report: &Report, options: &Options, prefixes: &[(A, u8)]) -> IndicatorSet {
    let indicators = || {
        (0u64..).zip(prefixes).map(|(number, (first, length))| Indicator {
            first: first.address(),
            last: first.last(*length).address(),
            port: None,
            // One feed has half of the entries, the next a quarter.
            feed: splitmix(number).trailing_ones().min(7) as u8,
        })
    };
    let count = prefixes.len() as f64;
    let before = resident();
    reset_peak();
    let mut set = IndicatorSet::new(indicators());
    let most = peak().saturating_sub(before) as f64;
    let mut times = Vec::new();
    for _ in 0..options.rounds {
        drop(set);
        let start = Instant::now();
        set = black_box(IndicatorSet::new(indicators()));
        times.push(nanos(start.elapsed()) / 1e6);
    }
    report.figure("build", &times, "ms", None);
    report.figure("memory", &[set.bytes() as f64 / count], "B/prefix", Some("must 16, aim 8"));
    report.figure("memory while it is built / afterwards", &[most / set.bytes() as f64], "x", Some("must 2"));
    let start = Instant::now();
    assert!(set.differing(&set).is_empty(), "a set is like itself");
    report.figure("compared with another as large", &[nanos(start.elapsed()) / 1e6], "ms", None);
    set
}

/// Something else that knows addresses.
struct Peer<A> {
    name: &'static str,
    memory: f64,
    /// It knows single addresses only.
    exact: bool,
    /// How many of the addresses it knows.
    ask: Ask<A>,
}

type Ask<A> = Box<dyn FnMut(&[A]) -> usize>;

impl<A: Address> Peer<A> {
    /// Makes one of `make`, and asks it with `ask`.
    fn new<T: 'static>(
        name: &'static str,
        exact: bool,
        make: impl FnOnce() -> T,
        ask: impl Fn(&T, A) -> bool + 'static,
    ) -> Self {
        let before = resident();
        let made = make();
        let memory = resident().saturating_sub(before) as f64;
        let ask = move |addresses: &[A]| addresses.iter().filter(|at| ask(&made, black_box(**at))).count();
        Self { name, memory, exact, ask: Box::new(ask) }
    }
}

/// Addresses of one family.
trait Address: Copy + 'static {
    /// The entry of a number: its first address and length.
    fn prefix(number: u64) -> (Self, u8);
    fn last(self, length: u8) -> Self;
    fn within(self, length: u8, random: u64) -> Self;
    /// Near an entry that begins here, mostly not in one.
    fn beside(self, length: u8, random: u64) -> Self;
    /// One of all addresses that are in use.
    fn anywhere(number: u64) -> Self;
    fn address(self) -> IpAddr;
    fn peers(prefixes: &[(Self, u8)]) -> Vec<Peer<Self>>;
}

impl Address for u32 {
    fn prefix(number: u64) -> (Self, u8) {
        let random = splitmix(number);
        let address = (random >> 32) as u32;
        let length = if random.is_multiple_of(20) { 22 + (random >> 8 & 7) as u8 } else { 32 };
        (address & (u32::MAX << (32 - length)), length)
    }

    fn last(self, length: u8) -> Self {
        self | !u32::MAX.unbounded_shl(32 - u32::from(length))
    }

    fn within(self, length: u8, random: u64) -> Self {
        self | random as u32 & !u32::MAX.unbounded_shl(32 - u32::from(length))
    }

    fn beside(self, length: u8, random: u64) -> Self {
        let offset = 1 + (random % 40) as u32;
        if random >> 63 == 0 { self.wrapping_sub(offset) } else { self.last(length).wrapping_add(offset) }
    }

    fn anywhere(number: u64) -> Self {
        splitmix(!number) as u32
    }

    fn address(self) -> IpAddr {
        Ipv4Addr::from_bits(self).into()
    }

    fn peers(prefixes: &[(Self, u8)]) -> Vec<Peer<Self>> {
        let singles = || prefixes.iter().filter(|(_, length)| *length == 32).map(|(at, _)| *at);
        let mut peers = vec![
            Peer::new(
                "hashbrown, single addresses only",
                true,
                || singles().collect::<HashSet<u32, ahash::RandomState>>(),
                |set, at| set.contains(&at),
            ),
            Peer::new(
                "prefix-trie",
                false,
                || prefixes.iter().map(|prefix| (*prefix, 1u8)).collect::<PrefixMap<(u32, u8), u8>>(),
                |trie, at| trie.get_lpm(&(at, 32)).is_some(),
            ),
        ];
        if prefixes.len() < TOO_MANY {
            peers.push(Peer::new("DIR-24-8", false, || Dir24::new(prefixes), |table, at| table.get(at) != 0));
            peers.push(Peer::new(
                "poptrie",
                false,
                || prefixes.iter().map(|prefix| (*prefix, 1u8)).collect::<Poptrie<(u32, u8), u8>>(),
                |trie, at| trie.lookup(at).is_some(),
            ));
        }
        peers
    }
}

impl Address for u128 {
    fn prefix(number: u64) -> (Self, u8) {
        let random = splitmix(number ^ 0x6666);
        // The lower of two: allocations with a low number have more.
        let allocation = (random % 20_000).min(random >> 32 & 0x7fff);
        let upper = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00, 0x2a0d][(splitmix(allocation) % 6) as usize];
        let upper = (upper << 16) + (splitmix(!allocation) & 0x7f_ffff);
        let below = splitmix(random);
        let length = [48, 48, 48, 56, 64, 64, 64, 64, 128, 128][(random >> 20) as usize % 10];
        // Few of the subnets of an allocation are used.
        let subnet = below & 0xffff_00ff;
        let address = u128::from(upper << 32 | subnet) << 64 | u128::from(splitmix(below));
        (address & (u128::MAX << (128 - length)), length)
    }

    fn last(self, length: u8) -> Self {
        self | !u128::MAX.unbounded_shl(128 - u32::from(length))
    }

    fn within(self, length: u8, random: u64) -> Self {
        let random = u128::from(random) << 64 | u128::from(splitmix(random));
        self | random & !u128::MAX.unbounded_shl(128 - u32::from(length))
    }

    fn beside(self, length: u8, random: u64) -> Self {
        let offset = u128::from(1 + random % 40) << (128 - length).min(64);
        if random >> 63 == 0 { self.wrapping_sub(offset) } else { self.last(length).wrapping_add(offset) }
    }

    fn anywhere(number: u64) -> Self {
        let random = splitmix(number ^ 0x6a11);
        u128::from(random >> 3 | 1 << 61) << 64 | u128::from(splitmix(random))
    }

    fn address(self) -> IpAddr {
        Ipv6Addr::from_bits(self).into()
    }

    fn peers(prefixes: &[(Self, u8)]) -> Vec<Peer<Self>> {
        vec![
            Peer::new(
                "poptrie",
                false,
                || prefixes.iter().map(|prefix| (*prefix, 1u8)).collect::<Poptrie<(u128, u8), u8>>(),
                |trie, at| trie.lookup(at).is_some(),
            ),
            Peer::new(
                "prefix-trie",
                false,
                || prefixes.iter().map(|prefix| (*prefix, 1u8)).collect::<PrefixMap<(u128, u8), u8>>(),
                |trie, at| trie.get_lpm(&(at, 128)).is_some(),
            ),
        ]
    }
}

/// A table over the upper 24 bits, and for those that are divided one of the lower eight; as plain as it can be.
struct Dir24 {
    upper: Vec<u32>,
    lower: Vec<[u8; 256]>,
}

const DIVIDED: u32 = 1 << 31;

impl Dir24 {
    fn new(prefixes: &[(u32, u8)]) -> Self {
        let mut sorted = prefixes.to_vec();
        sorted.sort_unstable_by_key(|(_, length)| *length);
        let mut table = Self { upper: vec![0; 1 << 24], lower: Vec::new() };
        for (first, length) in sorted {
            let last = first.last(length);
            if length <= 24 {
                table.upper[(first >> 8) as usize..=(last >> 8) as usize].fill(1);
                continue;
            }
            let entry = &mut table.upper[(first >> 8) as usize];
            if *entry & DIVIDED == 0 {
                table.lower.push([*entry as u8; 256]);
                *entry = DIVIDED | (table.lower.len() - 1) as u32;
            }
            let below = &mut table.lower[(*entry & !DIVIDED) as usize];
            below[first as usize & 255..=last as usize & 255].fill(1);
        }
        table
    }

    fn get(&self, address: u32) -> u8 {
        let entry = self.upper[(address >> 8) as usize];
        if entry & DIVIDED == 0 {
            return entry as u8;
        }
        self.lower[(entry & !DIVIDED) as usize][address as usize & 255]
    }
}

/// Forgets how much memory the process once had.
fn reset_peak() {
    fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process reset its peak");
}

/// The most memory that the process has had since.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells what a process has had");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kb| kb.parse::<u64>().ok());
    kilobytes.expect("the line is there") * 1024
}
