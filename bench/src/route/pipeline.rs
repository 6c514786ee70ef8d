//! What routing adds to the pipeline: the same packets over a bridge, and routed, with a few routes and with those of the Internet.

use std::{net::IpAddr, sync::Arc};

use ravelin_config::types::IpNet;
use ravelin_config::types::MssClamp;
use ravelin_dataplane::{
    forward::{Plan, Port},
    io::PortId,
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
    pipeline::{Discard, Options, bridge, opened, turns, worker_with},
    traffic::{Mix, TrafficIo},
};

/// Next hops, as many as tables name and one more.
const TARGETS: u16 = 251;

pub(crate) fn run(report: &Report, options: &Options) {
    let ours = [("0.0.0.0/0", 0), ("172.16.0.0/12", 1)].map(parsed);
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
        for (_, worker) in &routed {
            let counters = worker.counters();
            assert_eq!(counters.balance(), Ok(()), "the conservation law");
            assert_eq!(counters.forwarded, counters.received, "every packet was forwarded");
            assert_eq!(counters.forwarded, worker.io().transmitted(), "what was counted was sent");
        }
    }
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
        Some(Link { index: index.into(), mac: [2, 0, 0, 0, 0, index], table: 0, forwards: [true; 2] })
    };
    let routes = Routes {
        fibs: Arc::new([fib]),
        targets: targets.collect(),
        links: Arc::new([link(0), link(1)]),
        neighbours: Arc::new(Neighbours::new(neighbours)),
    };
    Snapshot { forward: Plan::new(vec![route, route]), routes, ..Snapshot::default() }
}
