mod community;
mod encode;
mod sink;
mod writer;

use std::{cell::RefCell, net::IpAddr, time::Duration};

use ravelin_config::types::{Action, Protocol};
use ravelin_dataplane::{
    batch::Meta,
    clock::Timestamp,
    counters::WorkerCounters,
    flow::{EndReason, FlowKey, FlowRecord, FlowState, FlowTable, RawRecord, RecordLost, RecordSink, Side},
    handoff::WorkerId,
    io::PortId,
    parse::{Headers, Vlans},
    pipeline::Context,
    policy::{DecisionId, DecisionLog},
    snapshot::Snapshot,
};

use super::Encoder;
use crate::{
    compile::Ports,
    feeds::Library,
    policy::{Engine, Teller},
    testing::decide,
};

/// 2024-03-26T10:11:12.123456Z.
const START: u64 = 1_711_447_872_123_456_000;

fn key(protocol: Protocol, source: (&str, u16), destination: (&str, u16), vlans: Vlans) -> (FlowKey, Side) {
    let end = |(address, port): (&str, u16)| (address.parse::<IpAddr>().unwrap().into(), port);
    FlowKey::new(end(source), end(destination), protocol, vlans)
}

/// A flow of one UDP packet.
fn record(source: (&str, u16), destination: (&str, u16)) -> FlowRecord {
    let (key, initiator) = key(Protocol::UDP, source, destination, Vlans::default());
    FlowRecord {
        key,
        initiator,
        first: Timestamp::from_nanos(START),
        last: Timestamp::from_nanos(START),
        ended: Timestamp::from_nanos(START + 30_000_000_000),
        packets: [1, 0],
        bytes: [60, 0],
        state: FlowState::New,
        reason: EndReason::Timeout,
        tcp: None,
        tcp_flags: [0, 0],
        smoothed_rtt_us: 0,
        handshake_rtt_us: 0,
        retransmissions: [0, 0],
        zero_windows: [0, 0],
        verdict: Action::Allow,
        decision: DecisionId::NONE,
        generation: 1,
        worker: WorkerId(0),
        port_in: PortId(0),
        port_out: PortId(1),
        nat: ravelin_dataplane::nat::NatFlow::default(),
    }
}

/// As a worker hands it over, whose flow had one packet at `first`.
fn raw_at(source: (&str, u16), destination: (&str, u16), first: Timestamp, ended: Timestamp) -> RawRecord {
    struct One(Option<RawRecord>);
    impl RecordSink for One {
        fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
            self.0 = Some(*record);
            Ok(())
        }
    }
    let (key, side) = key(Protocol::UDP, source, destination, Vlans::default());
    let snapshot = Snapshot::default();
    let cx = Context { now: first, snapshot: &snapshot, worker: WorkerId(0), workers: 1 };
    let headers = Headers { protocol: Protocol::UDP, ..Headers::default() };
    let meta = Meta { time: first, keyed: true, headers, key, side, ..Meta::default() };
    thread_local! {
        /// Made once: some tests make thousands of flows.
        static TABLE: RefCell<FlowTable> = RefCell::new(FlowTable::new(1, WorkerId(0)));
    }
    let (mut one, mut counters) = (One(None), WorkerCounters::new(1));
    TABLE.with_borrow_mut(|table| {
        table.run(&cx, &mut [meta], &mut one, &mut counters);
        table.drain(ended, EndReason::Shutdown, 1, &mut one, &mut counters);
    });
    one.0.expect("the flow has ended")
}

/// As a worker hands it over.
fn raw(source: (&str, u16), destination: (&str, u16)) -> RawRecord {
    let first = Timestamp::from_nanos(START);
    raw_at(source, destination, first, first + Duration::from_secs(30))
}

/// Two ports that need escaping, and policies about what 10.0.0.0/24 opens: one in force, one staged in front of it.
const CONFIG: &str = r#"
[[bridge]]
name = "b"
ports = ['o"ut', 'in\']

[[endpoint]]
name = "judged"
addresses = ["10.0.0.0/24"]

[[policy]]
name = "first"
egress = [{ action = "deny", protocol = "tcp" }, { action = "allow" }]

[[policy]]
name = "second"
staged = "set"
order = 1
types = ["egress"]
egress = [{ action = "reject", protocol = "udp" }]
"#;

/// An encoder, and the number of what is decided about `record`.
fn encoder_for(record: &mut FlowRecord) -> Encoder {
    let log = DecisionLog::new(8);
    record.decision = decide(CONFIG, &log, record.key, record.initiator);
    let config = ravelin_config::parse(CONFIG, "test.toml").unwrap().config;
    let book = Engine::of(&config, &Library::default()).unwrap().book();
    Encoder::new(&Ports::unlimited(&config).unwrap(), Teller::new(vec![log], book))
}

/// An encoder that knows of no decision.
fn encoder() -> Encoder {
    let config =
        ravelin_config::parse(CONFIG, "test.toml").unwrap_or_else(|report| panic!("{report}")).config;
    Encoder::new(&Ports::unlimited(&config).unwrap(), Teller::default())
}
