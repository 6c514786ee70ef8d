//! What peers cost: their handshakes, their memory, and their timers while they are idle.

use std::{sync::Arc, time::Duration};

use boringtun::noise::Tunn;
use ravelin_dataplane::wireguard::Identity;

use super::{
    gateway::{Gateway, OUTSIDE, Remote, Shape, peer},
    packets::timed,
};
use crate::harness::{Report, nanos, resident};

const PEERS: usize = 10_000;

/// What a peer takes, and a worker with many of them that it has nothing to do for; returns that gateway.
pub(super) fn memory(report: &Report, shape: Shape) -> Gateway {
    report.heading(&format!("memory of {PEERS} peers"));
    let identity = Arc::new(Identity::new([7; 32]));
    let before = resident();
    let peers: Vec<_> = (0..PEERS).map(|slot| peer(slot, &identity)).collect();
    let each = |bytes: u64| [bytes as f64 / PEERS as f64];
    report.figure("a peer and its state machine", &each(resident() - before), "bytes", None);
    report.figure("of that, the state machine", &[size_of::<Tunn>() as f64], "bytes", None);
    drop(peers);
    Gateway::new(shape)
}

/// Time that the timers of idle peers take, of each second.
pub(super) fn idle(report: &Report, gateway: &mut Gateway, peers: usize, rounds: usize) {
    report.heading(&format!("{peers} idle peers"));
    let before = gateway.worker.counters().received;
    let runs: Vec<f64> = (0..rounds)
        .map(|_| {
            let mut time = Duration::ZERO;
            for _ in 0..4 {
                gateway.worker.io_mut().pass(Duration::from_millis(250));
                time += timed(|| while gateway.worker.turn() {});
            }
            nanos(time) / 1e6
        })
        .collect();
    assert_eq!(gateway.worker.counters().received, before, "nothing was received");
    report.figure("timers, of each second", &runs, "ms", None);
}

/// Handshakes that peers begin, as fast as they are taken.
pub(super) fn handshakes(report: &Report, rounds: usize) {
    // Below the number from which on senders have to show first where they are.
    let shape = Shape { peers: 64, in_use: 64, addresses: 1 };
    /// As many as are taken in one turn.
    const TURN: usize = 4;
    report.heading(&format!("handshakes that peers begin, {TURN} in a turn"));
    let (mut rates, mut turns) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut gateway = Gateway::new(shape);
        let mut remotes: Vec<Remote> = (0..shape.peers).map(|slot| gateway.remote(slot)).collect();
        let mut time = Duration::ZERO;
        for remotes in remotes.chunks_mut(TURN) {
            for remote in &mut *remotes {
                gateway.worker.io_mut().push(OUTSIDE, |room| remote.begin(room));
            }
            let turn = gateway.turn();
            turns.push(nanos(turn) / 1e3);
            let answered = gateway.answer(remotes);
            assert_eq!(answered, TURN, "each is answered");
            time += turn + gateway.turn();
        }
        assert_eq!(gateway.worker.counters().wireguard_handshakes, shape.peers as u64);
        rates.push(shape.peers as f64 / time.as_secs_f64());
    }
    report.figure("handshakes, from the first message to the first packet", &rates, "/s", None);
    report.figure("a turn in which four are answered", &turns, "us", None);
}
