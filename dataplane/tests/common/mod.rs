//! Traffic of every kind that the pipeline knows, and a worker to pass it.

use std::{sync::Arc, time::Duration};

use etherparse::{IpFragOffset, IpNumber, Ipv4Header, PacketBuilder, VlanId};
use ravelin_config::types::{Direction, PortRange, Protocol};
use ravelin_dataplane::{
    capture::{CapturePlan, CaptureRing, Direction as CaptureDirection, Fates, Point, Selection},
    command::CommandQueue,
    counters::CounterBlock,
    flow::{FlowSettings, FlowTable, RawRecord, RecordLost, RecordSink, SteerStage},
    forward::{NonIp, Plan, Port},
    handoff::{Handoff, WorkerId},
    hash::FlowHasher,
    io::{PacketIo, PortId},
    parse::FragmentTable,
    pipeline::Pipeline,
    policy::{
        AddressSet, Classifier, Effect, Limit, OnChange, Outcome, PolicySet, Position, ProtocolMatch, Rule,
        RuleId, SetId, Sides, Zone, ZoneSet,
    },
    snapshot::{Publisher, Snapshot},
    wake::Waker,
    worker::{Links, Worker},
};

/// Frames with the port at which they arrive.
pub(crate) struct Traffic {
    pub(crate) frames: Vec<(u8, Vec<u8>)>,
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 80];
const CLIENT6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const SERVER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 80];
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);

/// A port that the worker's rules deny, and one that they reject.
const DENIED: u16 = 666;
const REJECTED: u16 = 667;

impl Traffic {
    /// Everything that the tables, stages and drop reasons of the pipeline are for.
    pub(crate) fn mixed() -> Self {
        let mut traffic = Self { frames: Vec::new() };
        // First, because later ones find the flow table full.
        traffic.tunnels();
        traffic.tcp();
        traffic.udp();
        traffic.icmp();
        traffic.fragments();
        traffic.tagged();
        traffic.not_ip();
        traffic.malformed();
        traffic
    }

    fn push(&mut self, port: u8, frame: Vec<u8>) {
        self.frames.push((port, frame));
    }

    /// Connections that are opened, used and closed or reset, and a flood of SYNs.
    fn tcp(&mut self) {
        for client_port in 1_000..1_040_u16 {
            let out =
                |sequence: u32| ethernet().ipv4(CLIENT, SERVER, 64).tcp(client_port, 443, sequence, 64_000);
            let back =
                |sequence: u32| ethernet().ipv4(SERVER, CLIENT, 60).tcp(443, client_port, sequence, 64_000);
            self.push(0, build(|bytes| out(1).syn().write(bytes, &[])));
            self.push(1, build(|bytes| back(9).syn().ack(2).write(bytes, &[])));
            self.push(0, build(|bytes| out(2).ack(10).write(bytes, &[])));
            self.push(0, build(|bytes| out(2).ack(10).psh().write(bytes, &[7; 300])));
            self.push(1, build(|bytes| back(10).ack(302).write(bytes, &[8; 1_400])));
            if client_port % 3 == 0 {
                self.push(0, build(|bytes| out(302).rst().write(bytes, &[])));
            } else {
                self.push(0, build(|bytes| out(302).fin().ack(1_410).write(bytes, &[])));
                self.push(1, build(|bytes| back(1_410).fin().ack(303).write(bytes, &[])));
            }
        }
        for port in 0..500 {
            let syn = ethernet().ipv4([172, 16, 1, 1], SERVER, 64).tcp(port, 80, 5, 1_024).syn();
            self.push(0, build(|bytes| syn.write(bytes, &[])));
        }
        for port in 0..20 {
            let syn = ethernet().ipv4(CLIENT, SERVER, 64).tcp(port, REJECTED, 5, 1_024).syn();
            self.push(0, build(|bytes| syn.write(bytes, &[])));
        }
        for flags in [0_u8, 0x03, 0x06, 0x05] {
            let packet = ethernet().ipv4(CLIENT, SERVER, 64).tcp(99, 443, 1, 1);
            let mut frame = build(|bytes| packet.write(bytes, &[]));
            frame[47] = flags;
            self.push(0, frame);
        }
    }

    /// More flows than the table holds, in both families, answered or not, and some that are denied.
    fn udp(&mut self) {
        for port in 2_000..2_600_u16 {
            let server_port = match port % 7 {
                0 => DENIED,
                1 => REJECTED,
                _ => 53,
            };
            let packet = ethernet().ipv4(CLIENT, SERVER, 64).udp(port, server_port);
            self.push(0, build(|bytes| packet.write(bytes, &[1; 40])));
            let packet = ethernet().ipv6(CLIENT6, SERVER6, 64).udp(port, server_port);
            self.push(0, build(|bytes| packet.write(bytes, &[1; 400])));
            if port % 2 == 0 {
                let packet = ethernet().ipv4(SERVER, CLIENT, 64).udp(server_port, port);
                self.push(1, build(|bytes| packet.write(bytes, &[2; 900])));
            }
        }
    }

    /// Pings, and errors that quote a packet of another flow.
    fn icmp(&mut self) {
        for id in 0..10 {
            let packet = ethernet().ipv4(CLIENT, SERVER, 64).icmpv4_echo_request(id, 1);
            self.push(0, build(|bytes| packet.write(bytes, &[3; 56])));
            let packet = ethernet().ipv4(SERVER, CLIENT, 64).icmpv4_echo_reply(id, 1);
            self.push(1, build(|bytes| packet.write(bytes, &[3; 56])));
            let packet = ethernet().ipv6(CLIENT6, SERVER6, 255).icmpv6_echo_request(id, 1);
            self.push(0, build(|bytes| packet.write(bytes, &[3; 56])));
        }
        let quoted = build(|bytes| ethernet().ipv4(CLIENT, SERVER, 1).udp(2_001, 53).write(bytes, &[1; 40]));
        let packet = ethernet().ipv4([192, 0, 2, 254], CLIENT, 64).icmpv4_raw(3, 3, [0; 4]);
        self.push(1, build(|bytes| packet.write(bytes, &quoted[14..42])));
        // Neighbour solicitation.
        let packet = ethernet().ipv6(CLIENT6, SERVER6, 255).icmpv6_raw(135, 0, [0; 4]);
        self.push(0, build(|bytes| packet.write(bytes, &SERVER6)));
    }

    /// Datagrams whole and with gaps, later fragments without a first one, overlaps and tiny ones; more than the table
    /// holds.
    fn fragments(&mut self) {
        for id in 0..100 {
            let mut datagram = vec![4; 1_008];
            datagram[..8].copy_from_slice(&[7, 208, 0, 53, 3, 240, 0, 0]);
            let parts: &[(u16, usize, bool)] = match id % 5 {
                0 => &[(0, 504, true), (63, 504, false)],
                1 => &[(63, 504, false)],
                2 => &[(0, 504, true), (62, 504, false)],
                3 => &[(0, 0, true), (1, 100, false)],
                _ => &[(0, 504, true), (63, 248, true), (94, 256, false)],
            };
            for (offset, length, more) in parts {
                let length = *length;
                let mut ip =
                    Ipv4Header::new(u16::try_from(length).unwrap(), 64, IpNumber::UDP, CLIENT, SERVER)
                        .unwrap();
                ip.identification = id;
                ip.fragment_offset = IpFragOffset::try_new(*offset).unwrap();
                ip.more_fragments = *more;
                ip.header_checksum = ip.calc_header_checksum();
                let start = usize::from(*offset) * 8;
                let payload = &datagram[start.min(datagram.len())..(start + length).min(datagram.len())];
                let mut payload = payload.to_vec();
                payload.resize(length, 0);
                self.push(0, [&header(0x0800)[..], &ip.to_bytes(), &payload].concat());
            }
        }
        for (offset, more) in [(0_u16, 1_u16), (64, 0)] {
            let mut frame = [&header(0x86dd)[..], &[0x60, 0, 0, 0, 2, 8, 44, 64]].concat();
            frame.extend(CLIENT6);
            frame.extend(SERVER6);
            frame.extend([17, 0]);
            frame.extend((offset << 3 | more).to_be_bytes());
            frame.extend([0, 0, 0, 1, 7, 208, 0, 53, 3, 240, 0, 0]);
            frame.resize(14 + 40 + 520, 5);
            self.push(0, frame);
        }
    }

    /// One tag, two, and more than are followed.
    fn tagged(&mut self) {
        let packet = ethernet().single_vlan(VlanId::try_new(7).unwrap()).ipv4(CLIENT, SERVER, 64).udp(1, 53);
        self.push(0, build(|bytes| packet.write(bytes, &[1; 40])));
        let packet = ethernet()
            .double_vlan(VlanId::try_new(7).unwrap(), VlanId::try_new(8).unwrap())
            .ipv6(CLIENT6, SERVER6, 64)
            .tcp(1, 53, 4, 5);
        let frame = build(|bytes| packet.write(bytes, &[1; 40]));
        let deeper = [&frame[..12], &[0x88, 0xa8, 0, 9], &frame[12..]].concat();
        self.push(0, frame);
        self.push(0, deeper);
    }

    /// Checksums that a local stack has left, in tunnels and of SCTP.
    fn tunnels(&mut self) {
        let mut inside =
            build(|bytes| ethernet().ipv4(SERVER, CLIENT, 64).tcp(443, 7, 1, 1).write(bytes, &[1; 400]));
        let pseudo = [&inside[26..34], &[0, 6, 1, 164]].concat();
        let sum: u32 = pseudo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        inside[50..52].copy_from_slice(&u16::try_from(sum % 0xffff).unwrap().to_be_bytes());
        let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0], &inside[..]].concat();
        let packet = ethernet().ipv6(CLIENT6, SERVER6, 64).udp(9, 4789);
        let mut frame = build(|bytes| packet.write(bytes, &vxlan));
        frame[60..62].fill(0);
        self.push(0, frame);
        for (protocol, payload) in
            [(4, &inside[14..]), (132, &[0, 7, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 4])]
        {
            let packet = ethernet().ipv4(CLIENT, SERVER, 64);
            self.push(0, build(|bytes| packet.write(bytes, IpNumber(protocol), payload)));
        }
    }

    /// What the rules do not judge.
    fn not_ip(&mut self) {
        let mut arp = [&header(0x0806)[..], &[0, 1, 8, 0, 6, 4, 0, 1]].concat();
        arp.resize(60, 1);
        self.push(0, arp);
        for ethertype in [0x88cc, 0x0026, 0x88b5] {
            let mut frame = header(ethertype).to_vec();
            if ethertype == 0x0026 {
                frame[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0]);
            }
            frame.resize(60, 0x42);
            self.push(1, frame);
        }
        // Longer than the port allows, received only, and from a port that nobody knows.
        let packet = ethernet().ipv4(CLIENT, SERVER, 64).udp(1, 54);
        self.push(0, build(|bytes| packet.write(bytes, &[1; 2_000])));
        for port in [2, 3] {
            let packet = ethernet().ipv4(CLIENT, SERVER, 64).udp(1, 55);
            self.push(port, build(|bytes| packet.write(bytes, &[1; 20])));
        }
    }

    /// Packets cut off at every length, and with every byte of their headers spoilt.
    fn malformed(&mut self) {
        let samples: Vec<_> = self.frames.iter().step_by(97).cloned().collect();
        for (port, frame) in samples {
            for cut in 0..frame.len().min(70) {
                self.push(port, frame[..cut].to_vec());
            }
            for place in 12..frame.len().min(60) {
                let mut frame = frame.clone();
                frame[place] ^= 0xff;
                self.push(port, frame);
            }
        }
    }
}

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2(MACS.0, MACS.1)
}

fn header(ethertype: u16) -> [u8; 14] {
    let mut header = [0; 14];
    header[..6].copy_from_slice(&MACS.1);
    header[6..12].copy_from_slice(&MACS.0);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    header
}

fn build<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap();
    bytes
}

/// Counts records. Refuses one in eight, as a full ring does.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    records: u64,
}

impl RecordSink for Sink {
    fn push(&mut self, _record: &RawRecord) -> Result<(), RecordLost> {
        self.records += 1;
        if self.records.is_multiple_of(8) { Err(RecordLost) } else { Ok(()) }
    }
}

/// A worker with small tables over a bridge of ports 0 and 1 and a monitor, port 2; who gives it other policies; and what it captures.
pub(crate) fn worker<I: PacketIo>(io: I) -> (Worker<I, Sink>, Publisher, Arc<CaptureRing>) {
    const PORTS: usize = 3;
    let id = WorkerId(0);
    let wakers: Arc<[Waker]> = [Waker::new().unwrap()].into();
    let publisher = Publisher::new(snapshot(policy()), 1);
    let links = Links {
        id,
        handoff: Handoff::new(64, wakers),
        reader: publisher.reader(id),
        commands: Arc::new(CommandQueue::new(4)),
        block: Arc::new(CounterBlock::new(PORTS)),
    };
    let mut pipeline = Pipeline::new(
        SteerStage::new(FlowHasher::fixed(1)),
        FlowTable::new(1_024, id),
        FragmentTable::new(64),
    );
    let ring = CaptureRing::new(4);
    pipeline.capture_into(Arc::clone(&ring));
    (Worker::new(io, pipeline, Sink::default(), links, 64, PORTS), publisher, ring)
}

pub(crate) fn snapshot(policy: PolicySet) -> Snapshot {
    let bridge = |twin, direction| Port::Bridge {
        twin: PortId(twin),
        direction,
        non_ip: NonIp { lldp: false, ..NonIp::default() },
        complete_checksums: true,
        mtu: 1_500,
    };
    Snapshot {
        flow: FlowSettings::default(),
        policy,
        capture: CapturePlan::new(vec![capture(0, Point::Received), capture(1, Point::Forwarded)]),
        forward: Plan::new(vec![bridge(1, Direction::Ingress), bridge(0, Direction::Egress), Port::Monitor]),
        ..Snapshot::default()
    }
}

/// Everything, whole.
fn capture(capture: u8, point: Point) -> Selection {
    Selection {
        capture,
        point,
        filter: None,
        addresses: None,
        direction: CaptureDirection::Both,
        fates: Fates::ANY,
        decided_by: None,
        sample: 1,
        snap: 2_000,
    }
}

/// Denies one port, rejects another and notes all of UDP; ends that are neither client nor server are unknown.
pub(crate) fn policy() -> PolicySet {
    let set = |nets: &[&str]| {
        let nets: Vec<_> = nets.iter().map(|net| net.parse().unwrap()).collect();
        Arc::new(AddressSet::of_nets(&nets))
    };
    let sets = vec![set(&["10.0.0.0/8", "fd00::/8"]), set(&["192.0.2.0/24", "2001:db8::/32"])];
    let effects = [
        (Effect::Log, ProtocolMatch::Is(Protocol::UDP), None),
        (Effect::Deny, ProtocolMatch::Is(Protocol::UDP), Some(DENIED)),
        (Effect::Reject, ProtocolMatch::Any, Some(REJECTED)),
        (Effect::Allow, ProtocolMatch::Any, None),
    ];
    let rules = effects.iter().zip(0..).map(|(&(_, protocol, port), place)| Rule {
        position: Position(place),
        source: SetId(0),
        destination: SetId(1),
        protocol,
        source_ports: PortRange::new(0, u16::MAX).unwrap(),
        destination_ports: PortRange::new(port.unwrap_or(0), port.unwrap_or(u16::MAX)).unwrap(),
        outcome: place,
    });
    let outcomes = effects.iter().zip(1..).map(|(&(effect, ..), rule)| Outcome {
        rule: RuleId(rule),
        effect,
        is_default: false,
        on_change: OnChange::default(),
        limit: None,
        captures: false,
        // Always so, but it has to be found out.
        zones: [ZoneSet::ANY.without(ZoneSet::of(Zone::new(0))); 2],
    });
    let ingress = Classifier::new(sets, rules.collect());
    let enforced = Sides { ingress, ..Sides::default() };
    PolicySet {
        pending: Some(enforced.clone()),
        enforced,
        outcomes: outcomes.collect(),
        answers: Limit::new(u32::MAX, Duration::from_secs(1)),
        ..PolicySet::default()
    }
}

/// Resets what was allowed so far.
pub(crate) fn another_policy() -> PolicySet {
    let policy = policy();
    let outcomes = (0..).map_while(|number| policy.outcomes.get(number));
    let outcomes =
        outcomes.map(|outcome| Outcome { effect: Effect::Deny, on_change: OnChange::Reset, ..*outcome });
    PolicySet { outcomes: outcomes.collect(), ..policy }
}
