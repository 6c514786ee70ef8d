//! Routes: the longest prefix of an address, against DPDK's rte_fib where that is installed, and tries; and changes of routes.
//!
//! Tables are shaped like the Internet's ([`tables`]). Tries are asked one address after the other, since they cannot be
//! asked otherwise. rte_fib is asked by its own test program, which is given the same prefixes and addresses.

mod fib;
pub(crate) mod pipeline;
mod tables;
mod updates;

use std::{hint::black_box, time::Instant};

use poptrie::Poptrie;
use prefix_trie::PrefixMap;
use ravelin_config::types::IpNet;
use ravelin_dataplane::{
    parse::Address,
    route::{Change, Fib, NextHopId, Rib},
};
use rustix::time::{ClockId, clock_gettime};

use self::tables::{Family, Table};
use crate::harness::{Report, interleave, nanos, ratios, resident, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// IPv4 prefixes; 0 for none.
    #[arg(long, default_value_t = 1_000_000)]
    prefixes: usize,
    /// IPv6 prefixes; 0 for none.
    #[arg(long, default_value_t = 200_000)]
    prefixes6: usize,
    /// Addresses that are looked up in one run.
    #[arg(long, default_value_t = 1_000_000)]
    lookups: usize,
    /// Runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// No tries and no rte_fib.
    #[arg(long)]
    no_peers: bool,
}

/// How often all addresses are looked up in a run: what was looked at between two runs has taken the caches.
const PASSES: usize = 4;

/// Addresses that are looked up together.
const BATCH: usize = 64;

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    for (family, count) in [(Family::V4, options.prefixes), (Family::V6, options.prefixes6)] {
        if count > 0 {
            report.heading(&format!("{count} {} prefixes", family.name()));
            measure(report, options, &Table::new(family, count));
        }
    }
}

fn measure(report: &Report, options: &Options, table: &Table) {
    let count = table.routes.len() as f64;
    let before = resident();
    let start = Instant::now();
    let mut rib = Rib::new();
    let changes: Vec<Change> = table.routes.iter().map(|(prefix, next)| change(*prefix, *next)).collect();
    let mut fib = Fib::default();
    // As the kernel's routes come.
    for changes in changes.chunks(10_000) {
        fib = rib.apply(changes);
    }
    drop(changes);
    report.figure("build", &[nanos(start.elapsed()) / 1e6], "ms", None);
    let taken = resident().saturating_sub(before) as f64;
    report.figure("memory, what workers read", &[fib.bytes() as f64 / count], "B/prefix", Some("must 8"));
    report.figure("memory, all prefixes besides", &[(taken - fib.bytes() as f64) / count], "B/prefix", None);

    let mut peers = if options.no_peers { Vec::new() } else { peers(report, table) };
    for (kind, addresses) in table.addresses(options.lookups) {
        lookups(report, options, &fib, &mut peers, table, kind, &addresses);
    }
    updates::measure(report, options, table, rib);
}

fn change(prefix: IpNet, next: u16) -> Change {
    Change { prefix, next: NextHopId::new(next.into()) }
}

/// Something else that finds the longest prefix.
struct Peer {
    name: &'static str,
    ask: Box<dyn Fn(u128) -> Option<u16>>,
}

fn peers(report: &Report, table: &Table) -> Vec<Peer> {
    let bits = table.family.bits();
    let routes = || {
        table
            .routes
            .iter()
            .map(|(prefix, next)| (tables::number(prefix.network()), prefix.prefix_len(), *next))
    };
    let mut peers = Vec::new();
    let mut add = |name, make: &dyn Fn() -> Box<dyn Fn(u128) -> Option<u16>>| {
        let before = resident();
        let ask = make();
        let taken = resident().saturating_sub(before) as f64;
        report.figure(&format!("memory, {name}"), &[taken / table.routes.len() as f64], "B/prefix", None);
        peers.push(Peer { name, ask });
    };
    if table.family == Family::V4 {
        add("poptrie", &|| {
            let trie: Poptrie<(u32, u8), u16> =
                routes().map(|(first, length, next)| ((first as u32, length), next)).collect();
            Box::new(move |at| trie.lookup(at as u32).copied())
        });
        add("prefix-trie", &|| {
            let trie: PrefixMap<(u32, u8), u16> =
                routes().map(|(first, length, next)| ((first as u32, length), next)).collect();
            Box::new(move |at| trie.get_lpm(&(at as u32, bits)).map(|(_, next)| *next))
        });
    } else {
        add("poptrie", &|| {
            let trie: Poptrie<(u128, u8), u16> =
                routes().map(|(first, length, next)| ((first, length), next)).collect();
            Box::new(move |at| trie.lookup(at).copied())
        });
        add("prefix-trie", &|| {
            let trie: PrefixMap<(u128, u8), u16> =
                routes().map(|(first, length, next)| ((first, length), next)).collect();
            Box::new(move |at| trie.get_lpm(&(at, bits)).map(|(_, next)| *next))
        });
    }
    peers
}

fn lookups(
    report: &Report,
    options: &Options,
    fib: &Fib,
    peers: &mut [Peer],
    table: &Table,
    kind: &str,
    addresses: &[std::net::IpAddr],
) {
    let numbers: Vec<u128> = addresses.iter().map(|address| tables::number(*address)).collect();
    let given: Vec<Address> = addresses.iter().map(|address| Address::from(*address)).collect();
    for peer in &*peers {
        for (address, number) in addresses.iter().zip(&numbers) {
            let expected = fib.lookup(*address).map(|next| next.index() as u16);
            assert_eq!((peer.ask)(*number), expected, "{}: {address}", peer.name);
        }
    }
    let mut own = || batched(fib, &given);
    let mut alone = || {
        cpu_nanos_per_item(|| {
            for _ in 0..PASSES {
                let found = addresses.iter().filter(|at| fib.lookup(black_box(**at)).is_some()).count();
                black_box(found);
            }
            (PASSES * addresses.len()) as u64
        })
    };
    let program = (!options.no_peers).then(|| fib::Program::new(table, addresses)).flatten();
    let mut theirs = || program.as_ref().and_then(fib::Program::run).unwrap_or(f64::NAN);
    let mut asked: Vec<Box<dyn FnMut() -> f64 + '_>> = Vec::new();
    for peer in &*peers {
        asked.push(Box::new(|| {
            cpu_nanos_per_item(|| {
                for _ in 0..PASSES {
                    let found = numbers.iter().filter(|at| (peer.ask)(black_box(**at)).is_some()).count();
                    black_box(found);
                }
                (PASSES * numbers.len()) as u64
            })
        }));
    }
    let mut candidates: Vec<&mut dyn FnMut() -> f64> = vec![&mut own, &mut alone, &mut theirs];
    candidates.extend(asked.iter_mut().map(|asked| &mut **asked as &mut dyn FnMut() -> f64));
    let results = interleave(options.rounds, &mut candidates);
    report.figure(&format!("{kind}: ravelin, batches of {BATCH}"), &results[0], "ns/lookup", None);
    report.figure(&format!("{kind}: ravelin, one by one"), &results[1], "ns/lookup", None);
    if program.is_some() {
        report.figure(&format!("{kind}: rte_fib, bulks of {BATCH}"), &results[2], "ns/lookup", None);
        report.figure(
            &format!("{kind}: rte_fib / ravelin"),
            &ratios(&results[2], &results[0]),
            "x",
            Some("must 1.0, aim 2"),
        );
    }
    for (peer, result) in peers.iter().zip(&results[3..]) {
        report.figure(&format!("{kind}: {}", peer.name), result, "ns/lookup", None);
    }
}

/// Nanoseconds a lookup in batches.
fn batched(fib: &Fib, given: &[Address]) -> f64 {
    type Ask<'a> = &'a dyn Fn(&[Address], &mut [Option<NextHopId>]);
    let pass = |ask: Ask<'_>| {
        let (mut batch, mut out) = ([Address::default(); BATCH], [None; BATCH]);
        cpu_nanos_per_item(|| {
            for given in (0..PASSES).flat_map(|_| given.chunks(BATCH)) {
                let batch = &mut batch[..given.len()];
                batch.copy_from_slice(given);
                ask(black_box(batch), &mut out);
                black_box(&out);
            }
            (PASSES * given.len()) as u64
        })
    };
    pass(&|batch, out| fib.lookup_batch(batch, out)) - pass(&|_, _| ())
}

/// Nanoseconds of this thread per item of `work`: what else runs meanwhile does not count.
fn cpu_nanos_per_item(work: impl FnOnce() -> u64) -> f64 {
    let start = clock_gettime(ClockId::ThreadCPUTime);
    let items = work();
    let taken = clock_gettime(ClockId::ThreadCPUTime) - start;
    (taken.tv_sec as f64 * 1e9 + taken.tv_nsec as f64) / items as f64
}
