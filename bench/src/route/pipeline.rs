//! What routing adds to the pipeline: the same packets over a bridge, and routed, with a few routes and with those of the Internet. And what
//! address translation adds to that.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use ravelin_config::types::{IpNet, MssClamp};
use ravelin_dataplane::{
    forward::{Plan, Port, Segment},
    io::PortId,
    nat::{External, NatPlan, Net, Pool, Source},
    parse::Address,
    route::{Change, Fib, Hop, Link, Neighbours, ReversePath, Rib, Routes, Target},
    snapshot::Snapshot,
    worker::Worker,
};

use super::{
    change,
    tables::{Family, Table},
};
use crate::{
    harness::{Report, interleave},
    pipeline::{Discard, Options, bridge, opened, turnover, turns, worker_with},
    traffic::{Mix, TrafficIo},
};

/// Next hops, as many as tables name and one more.
const TARGETS: u16 = 251;

/// What lies behind either interface.
const OURS: [(&str, u16); 2] = [("0.0.0.0/0", 0), ("172.16.0.0/12", 1)];

pub(crate) fn run(report: &Report, options: &Options) {
    let ours = OURS.map(parsed);
    let few = fib(&ours);
    let internet = Table::new(Family::V4, 1_000_000).routes;
    let internet = fib(&[&internet[..], &ours].concat());
    for &flows in options.flows.iter().filter(|flows| **flows <= 1_000_000) {
        report
            .heading(&format!("{flows} established flows, clients anywhere, 64 B, batch {}", options.batch));
        let bridged = Snapshot { forward: bridge(), ..Snapshot::default() };
        let mut bridged = worker(flows, options, bridged);
        let mut routed: Vec<_> = [
            ("two routes, path back not checked", &few, ReversePath::Off),
            ("two routes", &few, ReversePath::Loose),
            ("a million routes, path back not checked", &internet, ReversePath::Off),
            ("a million routes", &internet, ReversePath::Loose),
        ]
        .map(|(name, fib, reverse_path)| (name, worker(flows, options, routed(fib.clone(), reverse_path))))
        .into();
        let mut candidates: Vec<Box<dyn FnMut() -> f64 + '_>> =
            vec![Box::new(|| turns(&mut bridged, options.packets))];
        let names: Vec<&str> = routed.iter().map(|(name, _)| *name).collect();
        for (_, worker) in &mut routed {
            candidates.push(Box::new(|| turns(worker, options.packets)));
        }
        let mut borrowed: Vec<&mut dyn FnMut() -> f64> = Vec::new();
        borrowed.extend(candidates.iter_mut().map(|candidate| &mut **candidate as &mut dyn FnMut() -> f64));
        let results = interleave(options.rounds, &mut borrowed);
        drop(candidates);
        report.figure("turn of the worker over a bridge", &results[0], "ns/packet", None);
        for (name, result) in names.iter().zip(&results[1..]) {
            let added: Vec<f64> =
                result.iter().zip(&results[0]).map(|(routed, bridged)| routed - bridged).collect();
            report.figure(&format!("routing adds, {name}"), &added, "ns/packet", Some("must 15"));
        }
        translated(report, options, flows, &few);
        for (_, worker) in &routed {
            let counters = worker.counters();
            assert_eq!(counters.balance(), Ok(()), "the conservation law");
            assert_eq!(counters.forwarded, counters.received, "every packet was forwarded");
            assert_eq!(counters.forwarded, worker.io().transmitted(), "what was counted was sent");
        }
    }
}

/// A router of two routes with all flows open, which translates addresses or does not.
pub(crate) fn warm(flows: u32, translates: bool) -> Worker<TrafficIo, Discard> {
    let routes = fib(&OURS.map(parsed));
    let nat = Arc::new(if translates { hiding(enough(flows)) } else { NatPlan::default() });
    let io = TrafficIo::new(flows, Mix::Small).spread();
    let snapshot = Snapshot { nat, ..routed(routes, ReversePath::Loose) };
    opened(worker_with(io, flows as usize, 64, snapshot), flows)
}

/// The same packets routed, and routed under other addresses; then new flows, each with a mapping of its own.
fn translated(report: &Report, options: &Options, flows: u32, routes: &Fib) {
    let plain = || worker(flows, options, routed(routes.clone(), ReversePath::Loose));
    let hidden = |addresses| {
        let nat = Arc::new(hiding(addresses));
        worker(flows, options, Snapshot { nat, ..routed(routes.clone(), ReversePath::Loose) })
    };
    let (mut plain, mut hidden) = (plain(), [hidden(enough(flows)), hidden(MOST)]);
    let [few, most] = &mut hidden;
    let results = interleave(
        options.rounds,
        &mut [&mut || turns(&mut plain, options.packets), &mut || turns(few, options.packets), &mut || {
            turns(most, options.packets)
        }],
    );
    for (addresses, result) in [enough(flows), MOST].into_iter().zip(&results[1..]) {
        let added: Vec<f64> = result.iter().zip(&results[0]).map(|(hidden, plain)| hidden - plain).collect();
        let name = format!("address translation adds to that, outside addresses: {addresses}");
        report.figure(&name, &added, "ns/packet", Some("must 15"));
    }
    for hidden in &hidden {
        let counters = hidden.counters();
        assert_eq!(
            (counters.nat_translated, counters.drops.total()),
            (counters.forwarded, 0),
            "all were translated"
        );
    }
    let [_, mut hidden] = hidden;

    // All flows are open: they end first.
    let _open_already = (turnover(&mut plain), turnover(&mut hidden));
    let before = hidden.counters().nat_mappings_created;
    let results =
        interleave(options.rounds, &mut [&mut || turnover(&mut plain), &mut || turnover(&mut hidden)]);
    let added: Vec<f64> = results[1].iter().zip(&results[0]).map(|(hidden, plain)| hidden - plain).collect();
    report.figure("a new mapping adds to a new flow", &added, "ns/flow", None);
    let millions: Vec<f64> = results[1].iter().map(|nanos| 1e3 / nanos).collect();
    report.figure("new flows, each with a new mapping", &millions, "million/s", Some("must 1"));
    let made = hidden.counters().nat_mappings_created - before;
    // A few find theirs of before, which nobody has had time to give up.
    assert!(made >= u64::from(flows) * options.rounds as u64 * 3 / 4, "{made} mappings were made");
}

/// Outside addresses for any number of flows.
const MOST: u16 = 64;

/// Outside addresses that so many flows need: each has 64,512 ports.
fn enough(flows: u32) -> u16 {
    u16::try_from(flows.div_ceil(50_000)).unwrap_or(MOST).min(MOST)
}

/// What leaves through the second interface is known as one of so many addresses.
fn hiding(addresses: u16) -> NatPlan {
    let external = |address: u16| External {
        address: 0xc633_6400 + u32::from(address),
        ports: 1024..=u16::MAX,
        taken: Vec::new(),
    };
    let source = Source {
        exits: Segment::of([PortId(1)]),
        sources: vec![Net::new(Ipv4Addr::UNSPECIFIED, 0)],
        destinations: Vec::new(),
        pool: Pool((0..addresses).collect()),
    };
    NatPlan::new(vec![source], Vec::new(), (0..addresses).map(external).collect(), vec![None; 2])
}

fn parsed((prefix, next): (&str, u16)) -> (IpNet, u16) {
    (prefix.parse().expect("a prefix"), next)
}

fn fib(routes: &[(IpNet, u16)]) -> Fib {
    let changes: Vec<Change> = routes.iter().map(|(prefix, next)| change(*prefix, *next)).collect();
    Rib::new().apply(&changes)
}

fn worker(flows: u32, options: &Options, snapshot: Snapshot) -> Worker<TrafficIo, Discard> {
    let io = TrafficIo::new(flows, Mix::Small).spread();
    opened(worker_with(io, flows as usize, options.batch, snapshot), flows)
}

/// A router of two interfaces, each next hop behind a gateway of its own.
fn routed(fib: Fib, reverse_path: ReversePath) -> Snapshot {
    let route = Port::Route { complete_checksums: true, reverse_path, mss_clamp: MssClamp::Off };
    let gateway = |next: u16| IpAddr::from([192, 0, 2, next as u8]);
    let port = |next: u16| PortId((next & 1) as u8);
    let targets = (0..TARGETS).map(|next| {
        let gateway = Some(Address::from(gateway(next)));
        Target::Hops([Hop { port: port(next), gateway, mtu: 1500, weight: 1 }].into())
    });
    let neighbours = (0..TARGETS).map(|next| (port(next), gateway(next), [4, 0, 0, 0, 0, next as u8]));
    let link = |index: u8| {
        Some(Link {
            index: index.into(),
            mac: [2, 0, 0, 0, 0, index],
            table: 0,
            forwards: [true; 2],
            is_tunnel: false,
        })
    };
    let routes = Routes {
        fibs: Arc::new([fib]),
        targets: targets.collect(),
        links: Arc::new([link(0), link(1)]),
        neighbours: Arc::new(Neighbours::new(neighbours)),
    };
    Snapshot { forward: Plan::new(vec![route, route]), routes, ..Snapshot::default() }
}
