//! One socket: one queue of one interface, with its four rings, owned by one worker.
//!
//! Promises: at most a ring's length of frames is in receive (fill ring and receive ring together), so the fill ring
//! always has room for what is missing; a transmitted frame was given a place in the ring, so it is never lost
//! between `transmit` and the kernel. An interface that is down or gone makes calls fail, and nothing else.
//! Refuses: to block. Read next: `backend.rs`.

use std::{
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    sync::Arc,
    time::Duration,
};

use crossbeam::queue::ArrayQueue;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue, Umem};

use super::{CopyMode, frame::XdpFrame, outlet::Outlet, pool::FramePool};
use crate::{
    batch::Batch,
    clock::Timestamp,
    io::{IoCounters, PortId, TransmitError},
};

/// Descriptors that are moved between a ring and our side at once.
const SCRATCH: usize = 64;
/// How often a port that was down is tried again.
const PROBE: Duration = Duration::from_millis(10);

/// Frames that other workers want to send through this queue, because the interface has fewer queues than there are
/// workers. A socket's rings have one producer, so the owner of the queue sends for them.
pub(super) type Relay = ArrayQueue<XdpFrame>;

pub(super) struct PortQueue {
    port: PortId,
    umem: &'static Umem,
    rx: RxQueue,
    tx: TxQueue,
    fill: FillQueue,
    completion: CompQueue,
    relay: Option<Arc<Relay>>,
    scratch: Vec<FrameDesc>,
    /// Frames that leave at the next flush; each has a place in the transmit ring.
    staged: Vec<FrameDesc>,
    /// Places in the transmit ring that are not spoken for.
    room: usize,
    /// Entries of the transmit ring.
    ring: usize,
    /// Frames that the fill ring lacks.
    missing: usize,
    busy_poll: bool,
    /// Whether the interface can send; shared with the port's other queues and those who use their relays.
    outlet: Arc<Outlet>,
    mode: CopyMode,
    /// Not before then is the interface asked again how it is.
    ask: Timestamp,
}

/// What a queue is made of.
pub(super) struct Parts {
    pub port: PortId,
    pub umem: &'static Umem,
    pub rx: RxQueue,
    pub tx: TxQueue,
    pub fill: FillQueue,
    pub completion: CompQueue,
    pub relay: Option<Arc<Relay>>,
    pub outlet: Arc<Outlet>,
    pub mode: CopyMode,
    pub ring: u32,
    pub busy_poll: bool,
}

impl PortQueue {
    pub(super) fn new(parts: Parts) -> Self {
        let ring = parts.ring as usize;
        Self {
            port: parts.port,
            umem: parts.umem,
            rx: parts.rx,
            tx: parts.tx,
            fill: parts.fill,
            completion: parts.completion,
            relay: parts.relay,
            scratch: vec![FrameDesc::default(); SCRATCH],
            staged: Vec::with_capacity(ring),
            room: ring,
            ring,
            missing: ring,
            busy_poll: parts.busy_poll,
            outlet: parts.outlet,
            mode: parts.mode,
            ask: Timestamp::ZERO,
        }
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.rx.fd().as_raw_fd()
    }

    /// Appends up to `limit` received packets to `batch`; the batch must have that much room.
    pub(super) fn receive(&mut self, now: Timestamp, limit: usize, batch: &mut Batch<XdpFrame>) -> usize {
        let mut received = 0;
        while received < limit {
            let wanted = (limit - received).min(SCRATCH);
            let Some(scratch) = self.scratch.get_mut(..wanted) else { break };
            // SAFETY: each descriptor that the kernel returns is overwritten in `scratch` once and claimed once, below.
            let count = unsafe { self.rx.consume(scratch) };
            for desc in scratch.iter().take(count) {
                let length = u32::try_from(desc.lengths().data()).unwrap_or(u32::MAX);
                // SAFETY: the kernel gave the buffer up by putting it into the receive ring, and `consume` has just
                // taken it from there; it is of the UMEM that the socket was made with.
                let frame = unsafe { XdpFrame::claim(*desc, self.umem) };
                let pushed = batch.receive(frame, self.port, now, length);
                debug_assert!(pushed.is_ok(), "the caller's limit is the batch's room");
            }
            received += count;
            if count < wanted {
                break;
            }
        }
        self.missing += received;
        received
    }

    /// Queues a frame to leave at the next flush.
    pub(super) fn transmit(&mut self, frame: XdpFrame) -> Result<(), (TransmitError, XdpFrame)> {
        if self.outlet.is_down() {
            return Err((TransmitError::Down, frame));
        }
        if self.room == 0 {
            self.look_for_room();
            if self.room == 0 {
                return Err((TransmitError::Full, frame));
            }
        }
        self.room -= 1;
        self.staged.push(frame.into_desc());
        Ok(())
    }

    /// Sends what is staged, takes back what was sent, refills what receives.
    pub(super) fn flush(
        &mut self,
        now: Timestamp,
        pool: &mut FramePool<XdpFrame>,
        counters: &mut IoCounters,
    ) {
        self.take_relayed(pool, counters);
        self.send(now, counters);
        self.reclaim(pool);
        self.refill(pool, counters);
    }

    /// Whether frames wait in the transmit ring for the kernel to take them.
    pub(super) fn is_sending(&mut self) -> bool {
        !self.outlet.is_down() && (self.tx.nb_free_exact() as usize) < self.ring
    }

    /// Whether other workers have left frames here.
    pub(super) fn has_relayed(&self) -> bool {
        self.relay.as_ref().is_some_and(|relay| !relay.is_empty())
    }

    fn look_for_room(&mut self) {
        self.room = (self.tx.nb_free_exact() as usize).saturating_sub(self.staged.len());
    }

    fn take_relayed(&mut self, pool: &mut FramePool<XdpFrame>, counters: &mut IoCounters) {
        let Some(relay) = self.relay.clone() else { return };
        // Bounded by what is there now; the others go on sending.
        for _ in 0..relay.len() {
            if self.room == 0 {
                self.look_for_room();
            }
            if self.room == 0 && !self.outlet.is_down() {
                return; // stays in the relay, which says that it is full in due course
            }
            let Some(frame) = relay.pop() else { return };
            if let Err((_down, frame)) = self.transmit(frame) {
                counters.relay_dropped += 1;
                pool.give(frame);
            }
        }
    }

    fn send(&mut self, now: Timestamp, counters: &mut IoCounters) {
        if !self.staged.is_empty() {
            // SAFETY: each staged descriptor came out of a token by `into_desc`, so nobody else has the buffer, and it
            // is of this UMEM, the only one that there is.
            let sent = unsafe { self.tx.produce(&self.staged) };
            debug_assert_eq!(sent, self.staged.len(), "a staged frame has a place in the ring");
            self.staged.clear();
        }
        let due =
            if self.outlet.is_down() { self.may_ask(now) && self.outlet.works() } else { self.is_sending() };
        if due {
            self.kick(now, counters);
        }
    }

    /// Whether it is time to ask the interface how it is.
    fn may_ask(&mut self, now: Timestamp) -> bool {
        let due = now >= self.ask;
        if due {
            self.ask = now + PROBE;
        }
        due
    }

    /// Tells the kernel to send, until it has taken everything or wants to be left alone.
    fn kick(&mut self, now: Timestamp, counters: &mut IoCounters) {
        let mut free = self.tx.nb_free_exact() as usize;
        let mut works = true;
        // In copy mode a call sends 32 frames on kernels where that cannot be raised (see `socket.rs`).
        for _ in 0..=self.ring / 32 {
            if !self.outlet.is_down() && !self.tx.needs_wakeup() {
                return;
            }
            counters.transmit_wakeups += 1;
            // SAFETY: the socket is open as long as `self.tx`.
            let socket = unsafe { BorrowedFd::borrow_raw(self.tx.fd().as_raw_fd()) };
            match send(socket, &[], SendFlags::DONTWAIT) {
                Ok(_) => {
                    // Also said of an empty ring, which a link that is down leaves once it has refused everything.
                    self.outlet.set_down(!works);
                    return;
                }
                // There is more to do, or no memory to do it with; only in the first case did it get on.
                Err(Errno::AGAIN) => {
                    self.outlet.set_down(!works);
                    let before = std::mem::replace(&mut free, self.tx.nb_free_exact() as usize);
                    if free == before || free == self.ring {
                        return;
                    }
                }
                // The kernel has dropped one frame and looked no further (`NET_XMIT_DROP` in `xsk_generic_xmit`): a link
                // without a carrier does that to all of them, and what comes next is better not sent at all.
                Err(Errno::BUSY) if self.mode == CopyMode::Copy => {
                    counters.errors += 1;
                    if works && self.may_ask(now) {
                        works = self.outlet.works();
                        self.outlet.set_down(!works);
                    }
                }
                // The driver's own ring is full or it is in the middle of something; the next flush tries again.
                Err(Errno::BUSY | Errno::NOBUFS) => return,
                Err(_down_or_gone) => {
                    counters.errors += 1;
                    self.ask = now + PROBE;
                    self.outlet.set_down(true);
                    return;
                }
            }
        }
    }

    /// Takes back the frames that the kernel has sent.
    fn reclaim(&mut self, pool: &mut FramePool<XdpFrame>) {
        // Bounded: the completion ring is as long as the transmit ring.
        for _ in 0..=self.ring / SCRATCH {
            // SAFETY: each descriptor that the kernel returns is claimed once, below.
            let count = unsafe { self.completion.consume(&mut self.scratch) };
            for desc in self.scratch.iter().take(count) {
                // SAFETY: the kernel gave the buffer up by putting it into the completion ring, and `consume` has just
                // taken it from there; it is of the UMEM that the socket was made with.
                pool.give(unsafe { XdpFrame::claim(*desc, self.umem) });
            }
            if count < SCRATCH {
                return;
            }
        }
    }

    /// Gives the kernel frames to receive into.
    pub(super) fn refill(&mut self, pool: &mut FramePool<XdpFrame>, counters: &mut IoCounters) {
        while self.missing > 0 {
            let wanted = self.missing.min(SCRATCH);
            let mut count = 0;
            for slot in self.scratch.iter_mut().take(wanted) {
                let Some(frame) = pool.take() else { break };
                *slot = frame.into_desc();
                count += 1;
            }
            let Some(descs) = self.scratch.get(..count).filter(|descs| !descs.is_empty()) else {
                counters.pool_empty += 1;
                break;
            };
            // SAFETY: each descriptor came out of a token by `into_desc`, so nobody else has the buffer, and it is of
            // this UMEM, the only one that there is.
            let filled = unsafe { self.fill.produce(descs) };
            self.missing -= filled;
            // The kernel shows packets before it shows that it took their buffers (`xsk_flush`), so for a moment the ring
            // may look fuller than it is: what does not fit comes back, and the next refill tries again.
            for desc in descs.iter().skip(filled) {
                // SAFETY: the descriptor came out of a token above, and the ring has not taken it.
                pool.give(unsafe { XdpFrame::claim(*desc, self.umem) });
            }
            if filled < count {
                break;
            }
        }
        if self.busy_poll || self.fill.needs_wakeup() {
            counters.receive_wakeups += 1;
            // SAFETY: the socket is open as long as `self.rx`.
            let socket = unsafe { BorrowedFd::borrow_raw(self.rx.fd().as_raw_fd()) };
            // What fails here fails in `kick` as well, where it is counted and has consequences.
            let _ignored = recv(socket, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
    }
}
