//! The whole pipeline on one core, packets from memory: what our own code costs, without the kernel.

use std::{hint::black_box, sync::Arc, time::Duration};

use ravelin_config::types::Direction;
use ravelin_control::{feeds::Library, policy::Engine};
use ravelin_dataplane::{
    batch::Batch,
    command::CommandQueue,
    counters::CounterBlock,
    flow::{FlowTable, RawRecord, RecordLost, RecordSink, SteerStage},
    forward::{NonIp, Plan, Port},
    handoff::{Handoff, WorkerId},
    hash::FlowHasher,
    io::{Frame, PacketIo, PortId},
    parse::FragmentTable,
    pipeline::Pipeline,
    policy::PolicySet,
    snapshot::{Publisher, Snapshot},
    wake::Waker,
    worker::{Links, Worker},
};

use crate::{
    harness::{Report, interleave, nanos_per_item, ratios, state_calibration},
    traffic::{Mix, Order, TrafficIo},
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Flows in the table.
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000,10000000")]
    pub(crate) flows: Vec<u32>,
    /// Frame lengths.
    #[arg(long, value_delimiter = ',', default_value = "64,imix")]
    mix: Vec<Mix>,
    /// Packets per batch.
    #[arg(long, default_value_t = 64)]
    pub(crate) batch: usize,
    /// Packets per run.
    #[arg(long, default_value_t = 4_000_000)]
    pub(crate) packets: u64,
    /// Runs.
    #[arg(long, default_value_t = 7)]
    pub(crate) rounds: usize,
    /// Measure how two workers on two cores compare with one, and nothing else.
    #[arg(long)]
    scaling: bool,
    /// Measure established flows and new ones under so many rules each, and nothing else.
    #[arg(long, value_delimiter = ',')]
    rules: Vec<usize>,
    /// Measure what routing adds to a bridge, and nothing else.
    #[arg(long)]
    route: bool,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    if options.scaling {
        return scaling(report, options);
    }
    if options.route {
        return super::route::pipeline::run(report, options);
    }
    if !options.rules.is_empty() {
        return under_rules(report, options);
    }
    for &flows in &options.flows {
        for &mix in &options.mix {
            established(report, options, flows, mix);
        }
    }
    for &flows in options.flows.iter().filter(|flows| **flows <= 1_000_000) {
        opening(report, options, flows);
    }
}

/// Established flows, random over the table, both directions.
fn established(report: &Report, options: &Options, flows: u32, mix: Mix) {
    report.heading(&format!("pipeline, {flows} established flows, {}, batch {}", mix.name(), options.batch));
    let mut worker = warm(flows, mix, options.batch);
    let mut bare = TrafficIo::new(flows, mix);
    let mut batch = Batch::new(options.batch);
    let before = worker.counters().clone();
    let results = interleave(
        options.rounds,
        &mut [&mut || turns(&mut worker, options.packets), &mut || {
            bounce(&mut bare, &mut batch, options.packets)
        }],
    );
    let after = worker.counters();
    assert_eq!(after.balance(), Ok(()), "the conservation law");
    assert_eq!(after.drops.total(), before.drops.total(), "nothing is dropped");
    assert_eq!(after.flows_created, before.flows_created, "no flow is opened anew");
    assert_eq!(after.forwarded, worker.io().transmitted(), "what was counted was sent");

    let [whole, baseline] = &results[..] else { unreachable!("two candidates") };
    let own: Vec<f64> = whole.iter().zip(baseline).map(|(whole, bare)| whole - bare).collect();
    let must = (flows == 1_000_000).then_some("must 120, aim 60");
    let must = if flows == 10_000 { Some("aim 40") } else { must };
    report.figure("turn of the worker, whole", whole, "ns/packet", None);
    report.figure("making the packets alone (baseline)", baseline, "ns/packet", None);
    report.figure("the pipeline", &own, "ns/packet", must);
}

/// The same flows under policies of different sizes.
fn under_rules(report: &Report, options: &Options) {
    let flows = options.flows.first().copied().unwrap_or(10_000);
    report.heading(&format!("pipeline under rules, {flows} flows, 64 B, batch {}", options.batch));
    let policies: Vec<_> = options.rules.iter().map(|rules| rules_for(*rules)).collect();
    for new in [false, true] {
        let mut workers: Vec<_> = policies
            .iter()
            .map(|policy| match new {
                false => warm_under(flows, Mix::Small, options.batch, policy.clone()),
                true => {
                    let io = TrafficIo::new(flows, Mix::Small);
                    worker_under(io, flows as usize, options.batch, policy.clone())
                }
            })
            .collect();
        let run = |worker: &mut _| if new { turnover(worker) } else { turns(worker, options.packets) };
        let mut runs: Vec<_> = workers.iter_mut().map(|worker| || run(worker)).collect();
        let mut candidates: Vec<&mut dyn FnMut() -> f64> =
            runs.iter_mut().map(|run| run as &mut dyn FnMut() -> f64).collect();
        let results = interleave(options.rounds, &mut candidates);
        let (what, unit) = if new { ("new", "ns/flow") } else { ("established", "ns/packet") };
        let first = &results[0];
        for (rules, result) in options.rules.iter().zip(&results) {
            report.figure(&format!("{what} flows, {rules} rules"), result, unit, None);
            let must = (!new).then_some("must be 1");
            let name = format!("{what} flows, {rules} rules / {} rules", options.rules[0]);
            report.figure(&name, &ratios(result, first), "x", must);
        }
    }
}

/// So many rules, none or of which only the last lets the traffic of the generator pass: in policies of a thousand.
fn rules_for(count: usize) -> PolicySet {
    if count == 0 {
        return PolicySet::default();
    }
    let mut text = String::from(
        "[[endpoint]]\nname = \"all\"\naddresses = [\"0.0.0.0/0\"]\nprofiles = [\"default-allow\"]\n",
    );
    for rule in 0..count.saturating_sub(1) {
        if rule % 1000 == 0 {
            text.push_str(&format!(
                "[[policy]]\nname = \"p{rule:06}\"\norder = {rule}\ntypes = [\"ingress\"]\n"
            ));
        }
        let (a, b, c) = (rule >> 16, rule >> 8 & 0xff, rule & 0xff);
        text.push_str(&format!(
            "[[policy.ingress]]\naction = \"deny\"\nprotocol = \"tcp\"\nsource.nets = [\"192.{a}.{b}.{c}/32\"]\ndestination.ports = [{}]\n",
            1 + rule % 60_000
        ));
    }
    text.push_str(
        "[[policy]]\nname = \"last\"\ntypes = [\"ingress\"]\n[[policy.ingress]]\naction = \"allow\"\n",
    );
    let config = ravelin_config::parse(&text, "rules").unwrap_or_else(|report| panic!("{report}")).config;
    Engine::of(&config, &Library::default()).expect("it compiles").policy().clone()
}

/// One worker with one million flows, then two on two cores with half a million each.
fn scaling(report: &Report, options: &Options) {
    const FLOWS: u32 = 1_000_000;
    report.heading(&format!("two workers against one, {FLOWS} flows in all, 64 B, batch {}", options.batch));
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let [first, second, ..] = cores[..] else { return report.note("left out: there is only one core") };
    // Each worker is made on its own core and stays there; a turn of the bench asks it for a run.
    let rate = |cores: &[core_affinity::CoreId], flows: u32, packets: u64, rounds: usize| -> Vec<f64> {
        let barrier = std::sync::Barrier::new(cores.len());
        let times: Vec<Vec<f64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = cores
                .iter()
                .map(|&core| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        core_affinity::set_for_current(core);
                        let mut worker = warm(flows, Mix::Small, 64);
                        (0..rounds)
                            .map(|_| {
                                barrier.wait();
                                turns(&mut worker, packets)
                            })
                            .collect()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect()
        });
        (0..rounds).map(|round| times.iter().map(|times| 1e3 / times[round]).sum()).collect()
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        one.extend(rate(&[second], FLOWS, options.packets, options.rounds.div_ceil(3)));
        two.extend(rate(&[first, second], FLOWS / 2, options.packets, options.rounds.div_ceil(3)));
    }
    report.figure("one worker", &one, "Mpps", None);
    report.figure("two workers", &two, "Mpps", None);
    report.figure("two / one", &ratios(&two, &one), "x", Some("must 1.8"));
}

/// A worker whose flows are all open, in both directions, and that will receive packets of any of them.
pub(crate) fn warm(flows: u32, mix: Mix, batch: usize) -> Worker<TrafficIo, Discard> {
    warm_under(flows, mix, batch, PolicySet::default())
}

fn warm_under(flows: u32, mix: Mix, batch: usize, policy: PolicySet) -> Worker<TrafficIo, Discard> {
    opened(worker_under(TrafficIo::new(flows, mix), flows as usize, batch, policy), flows)
}

/// The worker with all flows open.
pub(crate) fn opened(mut worker: Worker<TrafficIo, Discard>, flows: u32) -> Worker<TrafficIo, Discard> {
    for order in [Order::Opening, Order::Answering] {
        worker.io_mut().set_order(order);
        while !worker.io().is_exhausted() {
            worker.turn();
        }
    }
    assert_eq!(worker.counters().flows_active, u64::from(flows), "every flow is open");
    worker.io_mut().set_order(Order::Random);
    worker
}

/// New flows: each packet opens one, and as many expire.
fn opening(report: &Report, options: &Options, flows: u32) {
    report.heading(&format!("new flows with expiry, {flows} at a time, batch {}", options.batch));
    let mut worker = worker(TrafficIo::new(flows, Mix::Small), flows as usize, options.batch);
    let runs: Vec<f64> = (0..options.rounds).map(|_| turnover(&mut worker)).collect();
    report.figure("open, judge, forward, expire, record", &runs, "ns/flow", None);
    let millions: Vec<f64> = runs.iter().map(|nanos| 1e3 / nanos).collect();
    report.figure("new flows", &millions, "million/s", Some("must 1, aim 3"));
}

/// Opens all flows of the generator, and has them expire; nanoseconds a flow.
pub(crate) fn turnover(worker: &mut Worker<TrafficIo, Discard>) -> f64 {
    let nanos = nanos_per_item(|| {
        let created = worker.counters().flows_created;
        worker.io_mut().set_order(Order::Opening);
        while !worker.io().is_exhausted() {
            worker.turn();
        }
        // All of them have been idle for longer than any timeout; the turns end them.
        let later = worker.io().time() + Duration::from_secs(86_400);
        worker.io_mut().set_time(later);
        while worker.turn() {}
        worker.counters().flows_created - created
    });
    let counters = worker.counters();
    assert_eq!(counters.flows_active, 0, "every flow expired");
    assert_eq!(counters.flows_created, counters.flows_expired, "and was counted");
    nanos
}

/// Nanoseconds per packet of the worker's turns.
pub(crate) fn turns(worker: &mut Worker<TrafficIo, Discard>, packets: u64) -> f64 {
    nanos_per_item(|| {
        let start = worker.counters().received;
        while worker.counters().received - start < packets {
            worker.turn();
        }
        worker.counters().received - start
    })
}

/// Nanoseconds per packet of receiving and sending without looking.
fn bounce(io: &mut TrafficIo, batch: &mut Batch<<TrafficIo as PacketIo>::Frame>, packets: u64) -> f64 {
    nanos_per_item(|| {
        let mut done = 0;
        while done < packets {
            let now = io.now();
            done += io.receive(now, batch) as u64;
            for (frame, meta) in batch.drain() {
                black_box(frame.bytes().first());
                if let Err((_, frame)) = io.transmit(meta.port, frame) {
                    io.release(frame);
                }
            }
            io.flush();
        }
        done
    })
}

/// Takes records and forgets them; looks at each, so that it is really made.
#[derive(Debug, Default)]
pub(crate) struct Discard;

impl RecordSink for Discard {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        black_box(record);
        Ok(())
    }
}

/// A worker over one bridge that allows everything.
pub(crate) fn worker<I: PacketIo>(io: I, flows: usize, batch: usize) -> Worker<I, Discard> {
    worker_under(io, flows, batch, PolicySet::default())
}

/// A worker over one bridge, under a policy.
fn worker_under<I: PacketIo>(io: I, flows: usize, batch: usize, policy: PolicySet) -> Worker<I, Discard> {
    worker_with(io, flows, batch, Snapshot { forward: bridge(), policy, ..Snapshot::default() })
}

/// Two ports that are the ends of a bridge.
pub(crate) fn bridge() -> Plan {
    let port = |twin, direction| Port::Bridge {
        twin: PortId(twin),
        direction,
        non_ip: NonIp::default(),
        complete_checksums: true,
        mtu: 1500,
    };
    Plan::new(vec![port(1, Direction::Ingress), port(0, Direction::Egress)])
}

/// A worker that knows all this.
pub(crate) fn worker_with<I: PacketIo>(
    io: I,
    flows: usize,
    batch: usize,
    snapshot: Snapshot,
) -> Worker<I, Discard> {
    let id = WorkerId(0);
    let pipeline = Pipeline::new(
        SteerStage::new(FlowHasher::fixed(1)),
        FlowTable::new(flows, id),
        FragmentTable::new(4096),
    );
    let waker = Waker::new().expect("an eventfd");
    let links = Links {
        id,
        handoff: Handoff::new(64, Arc::new([waker])),
        reader: Publisher::new(snapshot, 1).reader(id),
        commands: Arc::new(CommandQueue::new(1)),
        block: Arc::new(CounterBlock::new(2)),
    };
    Worker::new(io, pipeline, Discard, links, batch, 2)
}
