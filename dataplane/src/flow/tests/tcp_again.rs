//! Connections that are opened under a name that one end or both still know from before, and SYNs with data.

use ravelin_config::types::Protocol;

use super::{A, B, Packet, World};
use crate::{
    flow::{EndReason, FlowRecord, FlowSettings, Midstream, TcpState},
    parse::{
        TcpFields,
        tcp_flags::{ACK, FIN, PSH, RST, SYN},
    },
};

const OLD_A: u32 = 0x9000_0000;
const OLD_B: u32 = 0x1000_0000;
const ISN_A: u32 = 0x2000_0000;
const ISN_B: u32 = 0xc000_0000;

struct Connection {
    world: World,
    now: i64,
}

impl Connection {
    fn new() -> Self {
        let settings = FlowSettings { midstream: Midstream::Drop, ..FlowSettings::default() };
        Self { world: World::new(16, settings), now: 0 }
    }

    /// A connection with the old numbers that has carried data.
    fn old() -> Self {
        let mut c = Self::new();
        c.a(SYN, OLD_A, 0, 0);
        c.b(SYN | ACK, OLD_B, OLD_A + 1, 0);
        c.a(ACK | PSH, OLD_A + 1, OLD_B + 1, 100);
        c.b(ACK, OLD_B + 1, OLD_A + 101, 0);
        assert_eq!(c.state(), TcpState::Established);
        c
    }

    fn a(&mut self, flags: u8, sequence: u32, acknowledgement: u32, payload: u16) {
        self.send(Packet::new(Protocol::TCP, A, B), flags, sequence, acknowledgement, payload);
    }

    fn b(&mut self, flags: u8, sequence: u32, acknowledgement: u32, payload: u16) {
        self.send(Packet::new(Protocol::TCP, A, B).back(), flags, sequence, acknowledgement, payload);
    }

    fn send(&mut self, packet: Packet, flags: u8, sequence: u32, acknowledgement: u32, payload: u16) {
        self.now += 10_000;
        let mut packet = packet.at(self.now).payload(payload);
        packet.tcp = TcpFields { flags, sequence, acknowledgement, window: 1000 };
        assert!(self.world.one(packet).slot.is_some());
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
fn responder_that_remembers_an_old_connection_does_not_spoil_the_new_one() {
    // A challenge, data, the end, a reset: all of the old connection.
    for (flags, payload) in
        [(ACK, 0), (ACK | PSH, 100), (FIN | ACK, 0), (RST | ACK, 0), (RST, 0), (SYN | ACK, 0)]
    {
        let mut c = Connection::new();
        c.a(SYN, ISN_A, 0, 0);
        c.b(flags, OLD_B, OLD_A, payload);
        assert_eq!(c.state(), TcpState::SynSent, "{flags:#x}");
        c.a(RST, OLD_A, 0, 0);
        c.a(SYN, ISN_A, 0, 0);
        c.b(SYN | ACK, ISN_B, ISN_A + 1, 0);
        assert_eq!(c.state(), TcpState::SynRecv, "{flags:#x}");
        c.a(ACK, ISN_A + 1, ISN_B + 1, 0);
        assert_eq!(c.state(), TcpState::Established, "{flags:#x}");
        c.a(ACK | PSH, ISN_A + 1, ISN_B + 1, 10);
        c.b(ACK | PSH, ISN_B + 1, ISN_A + 11, 10);
        c.b(FIN | ACK, ISN_B + 11, ISN_A + 11, 0);
        assert_eq!(c.state(), TcpState::FinWait1, "{flags:#x}");
        assert_eq!(c.flow().retransmissions, [1, 0], "the SYN alone");
    }
}

#[test]
fn responder_that_starts_anew_during_the_handshake() {
    let mut c = Connection::new();
    c.a(SYN, ISN_A, 0, 0);
    c.b(SYN | ACK, OLD_B, ISN_A + 1, 0);
    c.b(SYN | ACK, ISN_B, ISN_A + 1, 0);
    assert_eq!((c.state(), c.flow().retransmissions), (TcpState::SynRecv, [0, 0]));
    c.b(SYN | ACK, ISN_B, ISN_A + 1, 0);
    assert_eq!((c.state(), c.flow().retransmissions), (TcpState::SynRecv, [0, 1]));
    c.a(ACK, ISN_A + 1, ISN_B + 1, 0);
    assert_eq!(c.state(), TcpState::Established);
}

#[test]
fn data_in_the_syn_is_taken_or_left() {
    for taken in [0, 500] {
        let mut c = Connection::new();
        c.a(SYN, ISN_A, 0, 500);
        c.b(SYN | ACK, ISN_B, ISN_A + 1 + taken, 0);
        assert_eq!(c.state(), TcpState::SynRecv, "{taken}");
        c.a(ACK | PSH, ISN_A + 1 + taken, ISN_B + 1, 500);
        assert_eq!(c.state(), TcpState::Established, "{taken}");
        c.b(ACK, ISN_B + 1, ISN_A + 501 + taken, 0);
        assert_eq!(c.flow().retransmissions, [u16::from(taken == 0), 0], "{taken}");
    }
    for wrong in [502, 0_u32.wrapping_sub(2000)] {
        let mut c = Connection::new();
        c.a(SYN, ISN_A, 0, 500);
        c.b(SYN | ACK, ISN_B, ISN_A.wrapping_add(wrong), 0);
        assert_eq!(c.state(), TcpState::SynSent);
    }
}

#[test]
fn connection_that_both_ends_forgot_ends_when_another_is_answered() {
    // Far away, a little ahead as clock-driven numbers are, and somewhat behind.
    for isn in [ISN_A, OLD_A + 1_000_000, OLD_A - 1_000_000] {
        for data in [0, 300] {
            let mut c = Connection::old();
            c.a(SYN, isn, 0, data);
            c.a(SYN, isn, 0, data);
            assert_eq!((c.state(), c.flow().packets), (TcpState::Established, [4, 2]));
            c.b(SYN | ACK, ISN_B, isn + 1, 0);
            assert_eq!((c.state(), c.flow().packets), (TcpState::SynRecv, [0, 1]), "{isn:#x}");
            let ended = c.world.records.kept.pop().unwrap();
            assert_eq!((ended.reason, ended.tcp), (EndReason::Forced, Some(TcpState::Established)));
            assert_eq!((ended.packets, ended.ended), ([4, 2], c.flow().first));
            assert_eq!((c.flow().initiator, c.flow().port_in), (ended.initiator, ended.port_in));
            c.a(ACK, isn + 1, ISN_B + 1, 0);
            c.a(ACK | PSH, isn + 1, ISN_B + 1, 50);
            c.b(FIN | ACK, ISN_B + 1, isn + 51, 0);
            assert_eq!(c.state(), TcpState::FinWait1);
            assert_eq!(
                (c.flow().tcp_flags, c.flow().handshake_rtt_us),
                ([SYN | ACK | PSH, SYN | ACK | FIN], 0)
            );
            assert_eq!(c.world.counters.flows_reopened, 1);
            assert_eq!(c.world.counters.flows_created, 2);
            assert_eq!(c.world.counters.tcp_picked_up, 0);
            assert_eq!(c.world.counters.flows_active, 1);
        }
    }
}

#[test]
fn forged_syn_alone_changes_nothing() {
    for isn in [ISN_A, OLD_A + 1_000_000] {
        let mut c = Connection::old();
        c.a(SYN, isn, 0, 0);
        // The responder's challenge, and answers that do not acknowledge that SYN or come from the wrong end.
        c.b(ACK, OLD_B + 1, OLD_A + 101, 0);
        c.b(SYN | ACK, ISN_B, isn + 2, 0);
        c.b(SYN | ACK, ISN_B, isn - 2000, 0);
        c.a(SYN | ACK, ISN_B, isn + 1, 0);
        assert_eq!((c.state(), c.world.counters.flows_created), (TcpState::Established, 1));
        // The connection goes on, and the SYN is forgotten with the data that does.
        c.a(ACK | PSH, OLD_A + 101, OLD_B + 1, 100);
        c.b(SYN | ACK, ISN_B, isn + 1, 0);
        assert_eq!((c.state(), c.world.counters.flows_created), (TcpState::Established, 1));
        c.b(ACK, OLD_B + 1, OLD_A + 201, 0);
        assert_eq!(c.flow().retransmissions, [0, 0]);
        c.a(FIN | ACK, OLD_A + 201, OLD_B + 1, 0);
        assert_eq!(c.state(), TcpState::FinWait1);
    }
}

#[test]
fn forged_syn_is_forgotten_in_a_minute() {
    let mut c = Connection::old();
    c.a(SYN, ISN_A, 0, 0);
    c.now += 61_000_000;
    c.b(SYN | ACK, ISN_B, ISN_A + 1, 0);
    assert_eq!((c.state(), c.world.counters.flows_created), (TcpState::Established, 1));
}
