//! One test for each way that a TCP connection can go.

use ravelin_config::types::Protocol;

use super::{A, B, Packet, SECOND, START, World};
use crate::{
    batch::Meta,
    clock::Timestamp,
    flow::{EndReason, FlowRecord, FlowSettings, FlowState, Midstream, Side, TcpState},
    parse::{
        FragmentKind, TcpFields,
        tcp_flags::{ACK, FIN, PSH, RST, SYN},
    },
    verdict::{DropReason, Verdict},
};

const ISN_A: u32 = 0xffff_ff00;
const ISN_B: u32 = 5_000;

/// A connection of `A` to `B`, both ends by hand.
struct Connection {
    world: World,
    now: i64,
}

impl Connection {
    fn new() -> Self {
        Self { world: World::new(16, FlowSettings::default()), now: 0 }
    }

    fn midstream(midstream: Midstream) -> Self {
        Self { world: World::new(16, FlowSettings { midstream, ..FlowSettings::default() }), now: 0 }
    }

    /// A connection that is established: A expects 0xffff_ff01 next of itself, B 5001.
    fn established() -> Self {
        let mut connection = Self::new();
        connection.a(SYN, 0, 0, 0);
        connection.b(SYN | ACK, 0, 1, 0);
        connection.a(ACK, 1, 1, 0);
        connection
    }

    /// A sends; numbers are relative to the initial ones.
    fn a(&mut self, flags: u8, sequence: u32, acknowledgement: u32, payload: u16) -> Meta {
        self.send(false, flags, ISN_A.wrapping_add(sequence), ISN_B.wrapping_add(acknowledgement), payload)
    }

    /// B sends.
    fn b(&mut self, flags: u8, sequence: u32, acknowledgement: u32, payload: u16) -> Meta {
        self.send(true, flags, ISN_B.wrapping_add(sequence), ISN_A.wrapping_add(acknowledgement), payload)
    }

    fn send(&mut self, back: bool, flags: u8, sequence: u32, acknowledgement: u32, payload: u16) -> Meta {
        self.now += 10_000;
        let packet = Packet::new(Protocol::TCP, A, B).at(self.now).payload(payload);
        let mut packet = if back { packet.back() } else { packet };
        packet.tcp = TcpFields { flags, sequence, acknowledgement, window: 1000 };
        self.world.one(packet)
    }

    fn flow(&self) -> FlowRecord {
        let flows = self.world.flows();
        assert_eq!(flows.len(), 1, "one flow");
        flows[0]
    }

    fn state(&self) -> TcpState {
        self.flow().tcp.unwrap()
    }
}

#[test]
fn handshake_establishes_and_is_timed() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    assert_eq!((c.state(), c.flow().state), (TcpState::SynSent, FlowState::New));
    c.b(SYN | ACK, 0, 1, 0);
    assert_eq!((c.state(), c.flow().state), (TcpState::SynRecv, FlowState::New));
    c.now += 5_000;
    c.a(ACK, 1, 1, 0);
    let flow = c.flow();
    assert_eq!((c.state(), flow.state), (TcpState::Established, FlowState::Established));
    assert_eq!(flow.handshake_rtt_us, 25_000);
    assert_eq!(flow.smoothed_rtt_us, 25_000);
    assert_eq!(flow.packets, [2, 1]);
    assert_eq!(flow.tcp_flags, [SYN | ACK, SYN | ACK]);
    assert_eq!(flow.retransmissions, [0, 0]);
    assert_eq!(flow.initiator, Side::Low);
    assert_eq!(c.world.counters.tcp_picked_up, 0);
    assert_eq!(c.world.counters.flows_created, 1);
    assert_eq!(c.world.counters.flows_active, 1);
}

#[test]
fn syn_ack_with_a_wrong_acknowledgement_does_not_answer() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.b(SYN | ACK, 0, 77, 0);
    assert_eq!(c.state(), TcpState::SynSent);
}

#[test]
fn acknowledgement_of_nothing_does_not_establish() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.b(SYN | ACK, 0, 1, 0);
    c.a(ACK, 1, 900_000, 0);
    assert_eq!(c.state(), TcpState::SynRecv);
}

#[test]
fn simultaneous_open() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.b(SYN, 0, 0, 0);
    assert_eq!(c.state(), TcpState::SynRecv);
    c.a(SYN | ACK, 0, 1, 0);
    assert_eq!(c.state(), TcpState::Established);
}

#[test]
fn handshake_whose_answer_went_another_way() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.b(ACK | PSH, 1, 1, 10);
    assert_eq!(c.state(), TcpState::Established);
    assert_eq!(c.flow().handshake_rtt_us, 0, "not seen whole");
}

#[test]
fn close_one_end_after_the_other() {
    let mut c = Connection::established();
    c.a(FIN | ACK, 1, 1, 0);
    assert_eq!((c.state(), c.flow().state), (TcpState::FinWait1, FlowState::Established));
    c.b(ACK, 1, 2, 0);
    assert_eq!(c.state(), TcpState::FinWait2);
    c.b(ACK, 1, 2, 100);
    assert_eq!(c.state(), TcpState::FinWait2, "the other end may go on sending");
    c.b(FIN | ACK, 101, 2, 0);
    assert_eq!((c.state(), c.flow().state), (TcpState::LastAck, FlowState::Closed));
    c.a(ACK, 2, 102, 0);
    assert_eq!(c.state(), TcpState::TimeWait);
    assert_eq!(c.flow().retransmissions, [0, 0]);
}

#[test]
fn close_from_both_ends_at_once() {
    let mut c = Connection::established();
    c.a(FIN | ACK, 1, 1, 0);
    c.b(FIN | ACK, 1, 1, 0);
    assert_eq!(c.state(), TcpState::LastAck);
    c.a(ACK, 2, 2, 0);
    assert_eq!(c.state(), TcpState::LastAck);
    c.b(ACK, 2, 2, 0);
    assert_eq!(c.state(), TcpState::TimeWait);
}

#[test]
fn fin_with_data_is_acknowledged_only_as_a_whole() {
    let mut c = Connection::established();
    c.a(FIN | ACK | PSH, 1, 1, 500);
    c.b(ACK, 1, 501, 0);
    assert_eq!(c.state(), TcpState::FinWait1);
    c.b(ACK, 1, 502, 0);
    assert_eq!(c.state(), TcpState::FinWait2);
}

#[test]
fn forged_fin_far_outside_the_window_closes_nothing() {
    let mut c = Connection::established();
    c.b(FIN | ACK, 0x7000_0000, 1, 0);
    assert_eq!(c.state(), TcpState::Established);
}

#[test]
fn reset_closes_if_it_lies_in_the_window() {
    for (sequence, closes) in [
        (1, true),
        (60_000, true),
        (0_u32.wrapping_sub(60_000), true),
        (70_000, false),
        (0_u32.wrapping_sub(70_000), false),
        (0x8000_0000, false),
    ] {
        let mut c = Connection::established();
        c.b(RST, sequence, 0, 0);
        let expected = if closes { TcpState::Closed } else { TcpState::Established };
        assert_eq!(c.state(), expected, "{sequence:#x}");
        assert_eq!(c.flow().packets, [2, 2], "it is counted in any case");
    }
}

#[test]
fn refusal_must_acknowledge_the_syn() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.send(true, RST | ACK, 0, ISN_A.wrapping_add(9), 0);
    assert_eq!(c.state(), TcpState::SynSent);
    c.send(true, RST | ACK, 0, ISN_A.wrapping_add(1), 0);
    assert_eq!((c.state(), c.flow().state), (TcpState::Closed, FlowState::Closed));
}

#[test]
fn reset_by_an_end_that_never_spoke_is_checked_against_what_the_other_acknowledged() {
    let mut c = Connection::midstream(Midstream::Pickup);
    c.a(ACK, 1000, 2000, 10);
    c.b(RST, 500_000, 0, 0);
    assert_eq!(c.state(), TcpState::Established);

    let mut c = Connection::midstream(Midstream::Pickup);
    c.a(ACK, 1000, 2000, 10);
    c.b(RST, 2000, 0, 0);
    assert_eq!(c.state(), TcpState::Closed);
}

#[test]
fn ports_of_a_closed_connection_are_used_again() {
    for close in [&[FIN][..], &[RST]] {
        let mut c = Connection::established();
        for flags in close {
            c.a(flags | ACK, 1, 1, 0);
            c.b(flags | ACK, 1, 2, 0);
        }
        let old = c.flow();
        assert_eq!(old.state, FlowState::Closed);
        c.a(SYN, 7_000_000, 0, 0);
        assert_eq!(c.state(), TcpState::SynSent);
        assert_eq!(c.flow().packets, [1, 0]);
        let ended = c.world.records.kept.pop().unwrap();
        assert_eq!((ended.reason, ended.packets), (EndReason::Forced, old.packets));
        assert_eq!(ended.ended, c.flow().first);
        assert_eq!(c.world.counters.flows_reopened, 1);
        assert_eq!(c.world.counters.flows_created, 2);
        assert_eq!(c.world.counters.flows_active, 1);
    }
}

#[test]
fn forged_syn_resets_nothing() {
    let mut c = Connection::established();
    c.a(SYN, 0x4000_0000, 0, 0);
    c.a(ACK, 1, 1, 10);
    c.b(ACK, 1, 11, 0);
    let flow = c.flow();
    assert_eq!(c.state(), TcpState::Established);
    assert_eq!(flow.retransmissions, [0, 0]);
    assert_eq!(c.world.counters.flows_created, 1);
}

#[test]
fn second_attempt_with_another_sequence_number() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.a(SYN, 1_000, 0, 0);
    c.b(SYN | ACK, 0, 1_001, 0);
    assert_eq!(c.state(), TcpState::SynRecv);
    c.a(ACK, 1_001, 1, 0);
    assert_eq!(c.state(), TcpState::Established);
    assert_eq!((c.flow().retransmissions, c.flow().handshake_rtt_us), ([0, 0], 0));
}

#[test]
fn retransmitted_handshake_is_not_timed() {
    let mut c = Connection::new();
    c.a(SYN, 0, 0, 0);
    c.a(SYN, 0, 0, 0);
    c.b(SYN | ACK, 0, 1, 0);
    c.a(ACK, 1, 1, 0);
    let flow = c.flow();
    assert_eq!(flow.retransmissions, [1, 0]);
    assert_eq!(flow.handshake_rtt_us, 0);
    assert_eq!(flow.smoothed_rtt_us, 10_000, "only the leg from SYN+ACK to ACK is unambiguous");
}

#[test]
fn retransmissions_are_counted_and_keep_alives_are_not() {
    let mut c = Connection::established();
    c.a(ACK | PSH, 1, 1, 100);
    c.a(ACK | PSH, 1, 1, 100);
    c.a(ACK | PSH, 51, 1, 100);
    assert_eq!(c.flow().retransmissions, [2, 0]);
    c.a(ACK, 150, 1, 0);
    c.a(ACK, 150, 1, 1);
    assert_eq!(c.flow().retransmissions, [2, 0], "the byte before the next is a keep-alive");
    c.a(ACK, 149, 1, 1);
    assert_eq!(c.flow().retransmissions, [3, 0]);
    c.b(ACK, 1, 151, 0);
    c.a(ACK | FIN, 151, 1, 0);
    c.a(ACK | FIN, 151, 1, 0);
    assert_eq!(c.flow().retransmissions, [4, 0], "a FIN counts");
    c.a(ACK, 1, 1, 0);
    assert_eq!(c.flow().retransmissions, [4, 0], "an old acknowledgement does not");
}

#[test]
fn data_that_was_lost_before_us_is_no_retransmission_when_it_jumps_ahead() {
    let mut c = Connection::established();
    c.a(ACK, 10_001, 1, 100);
    c.a(ACK, 10_101, 1, 100);
    assert_eq!(c.flow().retransmissions, [0, 0]);
    c.a(ACK, 1, 1, 100);
    assert_eq!(c.flow().retransmissions, [1, 0]);
}

#[test]
fn round_trips_are_smoothed_per_leg() {
    let mut c = Connection::established();
    assert_eq!(c.flow().smoothed_rtt_us, 20_000);
    // The leg to B takes 90 ms now: 10 * 7/8 + 90 / 8 = 20 ms.
    c.a(ACK | PSH, 1, 1, 100);
    c.now += 80_000;
    c.b(ACK, 1, 101, 0);
    assert_eq!(c.flow().smoothed_rtt_us, 30_000);
    // Sent twice: no sample.
    c.a(ACK | PSH, 101, 1, 100);
    c.a(ACK | PSH, 101, 1, 100);
    c.now += 500_000;
    c.b(ACK, 1, 201, 0);
    assert_eq!(c.flow().smoothed_rtt_us, 30_000);
    // Acknowledged in part: the sample waits for the rest.
    c.a(ACK | PSH, 201, 1, 100);
    c.b(ACK, 1, 250, 0);
    c.b(ACK, 1, 301, 0);
    assert_eq!(c.flow().smoothed_rtt_us, 30_000);
    // A measurement that nobody answered for a minute is given up.
    c.a(ACK | PSH, 301, 1, 100);
    c.now += 61_000_000;
    c.b(ACK, 1, 401, 0);
    assert_eq!(c.flow().smoothed_rtt_us, 30_000);
}

#[test]
fn zero_windows() {
    let mut c = Connection::established();
    let send = |c: &mut Connection, flags| {
        c.now += 1;
        let mut packet = Packet::new(Protocol::TCP, A, B).at(c.now).back();
        packet.tcp =
            TcpFields { flags, sequence: ISN_B + 1, acknowledgement: ISN_A.wrapping_add(1), window: 0 };
        c.world.one(packet);
    };
    for _ in 0..300 {
        send(&mut c, ACK);
    }
    assert_eq!(c.flow().zero_windows, [0, 255], "saturates");
    send(&mut c, RST);
    assert_eq!(c.state(), TcpState::Closed);
}

#[test]
fn combinations_that_no_stack_sends() {
    let mut c = Connection::new();
    for flags in [0, SYN | FIN, SYN | RST, FIN | RST, SYN | FIN | RST | ACK] {
        let meta = c.a(flags, 0, 0, 0);
        assert_eq!(meta.verdict, Verdict::Drop(DropReason::TcpFlags), "{flags:#x}");
        assert_eq!(meta.slot, None);
    }
    assert_eq!(c.world.table.len(), 0);
    assert_eq!(c.world.drops(DropReason::TcpFlags), 5);
}

#[test]
fn mid_stream_pick_up() {
    // From the port of a server: the other end opened it.
    let mut c = Connection::midstream(Midstream::Pickup);
    let meta = c.b(ACK, 100, 200, 10);
    let flow = c.flow();
    assert_eq!(flow.tcp, Some(TcpState::Established));
    assert_eq!(flow.initiator, meta.side.other());
    assert_eq!((flow.packets, flow.smoothed_rtt_us), ([0, 1], 0));
    assert_eq!(c.world.counters.tcp_picked_up, 1);
    // From any other: the sender did.
    let mut c = Connection::midstream(Midstream::Pickup);
    let meta = c.a(ACK, 100, 200, 10);
    assert_eq!(c.flow().initiator, meta.side);
    c.b(ACK, 200, 110, 0);
    assert_eq!(c.flow().packets, [1, 1]);
    assert_eq!(c.flow().smoothed_rtt_us, 10_000);
}

#[test]
fn mid_stream_answer_names_the_initiator() {
    let mut c = Connection::midstream(Midstream::Pickup);
    let meta = c.b(SYN | ACK, 0, 1, 0);
    let flow = c.flow();
    assert_eq!((flow.tcp, flow.initiator), (Some(TcpState::SynRecv), meta.side.other()));
    assert_eq!(c.world.counters.tcp_picked_up, 1);
    c.a(ACK, 1, 1, 0);
    assert_eq!((c.state(), c.flow().handshake_rtt_us), (TcpState::Established, 0));
}

#[test]
fn mid_stream_refused() {
    let mut c = Connection::midstream(Midstream::Drop);
    for flags in [ACK, SYN | ACK, FIN | ACK, RST, PSH] {
        let meta = c.a(flags, 1, 1, 0);
        assert_eq!(meta.verdict, Verdict::Drop(DropReason::TcpMidstream), "{flags:#x}");
    }
    assert_eq!(c.world.table.len(), 0);
    assert_eq!(c.world.drops(DropReason::TcpMidstream), 5);
    c.a(SYN, 0, 0, 0);
    assert_eq!(c.world.table.len(), 1);
}

#[test]
fn reset_without_a_flow_opens_none_and_is_judged() {
    let mut c = Connection::midstream(Midstream::Pickup);
    let meta = c.a(RST, 1, 1, 0);
    assert_eq!((meta.slot, meta.verdict), (None, Verdict::Allow));
    assert_eq!(c.world.table.len(), 0);
}

#[test]
fn packet_that_cannot_open_leaves_an_idle_flow_to_the_sweep() {
    let mut c = Connection::midstream(Midstream::Drop);
    c.a(SYN, 0, 0, 0);
    // 30 seconds and a bit later, but before the second is over, so that no sweep comes first.
    c.now = 30_000_000 + 900_000;
    c.world.expire_at(30 * SECOND);
    let meta = c.a(ACK, 1, 1, 0);
    assert_eq!(meta.verdict, Verdict::Drop(DropReason::TcpMidstream));
    assert_eq!(c.flow().packets, [1, 0]);
    c.world.expire_at(31 * SECOND);
    assert_eq!(c.world.table.len(), 0);
    assert_eq!(c.world.records.kept[0].ended, Timestamp::from_micros(START + 30_010_000));
}

#[test]
fn later_fragments_are_counted_and_have_no_tcp_header() {
    let mut c = Connection::established();
    let mut meta = c.world.meta(&Packet::new(Protocol::TCP, A, B).at(50_000).payload(800));
    meta.headers.fragment.kind = FragmentKind::Later;
    meta.headers.tcp = TcpFields::default();
    let mut metas = [meta];
    c.world.metas(&mut metas);
    assert!(metas[0].slot.is_some());
    let flow = c.flow();
    assert_eq!((flow.tcp, flow.packets, flow.zero_windows), (Some(TcpState::Established), [3, 1], [0, 0]));

    // Without a flow they are judged alone.
    let mut c = Connection::new();
    let mut metas = [meta];
    c.world.metas(&mut metas);
    assert_eq!((metas[0].slot, metas[0].verdict), (None, Verdict::Allow));
    assert_eq!(c.world.table.len(), 0);
}
