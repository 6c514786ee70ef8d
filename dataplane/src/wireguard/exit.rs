use std::net::SocketAddr;

use super::{Interface, envelope::Envelope, message::Message, wire::Ends};
use crate::{
    batch::{Meta, Passage},
    counters::WorkerCounters,
    handoff::{Handed, Handoff, WorkerId},
    io::{Frame, PacketIo, PortId},
    route::OwnWay,
    verdict::DropReason,
    worker::{forwarded, transmit_reason},
};

/// What a turn's end needs besides the tunnels.
pub(crate) struct Exit<'e, I: PacketIo> {
    pub(crate) io: &'e mut I,
    pub(crate) handoff: &'e Handoff<I::Frame>,
    pub(crate) counters: &'e mut WorkerCounters,
}

/// What became of a packet that was to be sealed, and the frame that is left.
pub(super) enum Sealed {
    /// It has left, or waits.
    Done,
    Dropped(DropReason),
    /// Its peer is another worker's.
    Elsewhere(WorkerId),
}

impl<I: PacketIo> Exit<'_, I> {
    /// Gives a packet that was to be sealed its disposition, unless it has it; returns which worker is to be woken, as a bit.
    pub(super) fn settle(&mut self, sealed: Sealed, frame: Option<I::Frame>, meta: &Meta) -> u64 {
        let (reason, frame) = match (sealed, frame) {
            (Sealed::Dropped(reason), Some(frame)) => (reason, frame),
            (Sealed::Elsewhere(worker), Some(frame)) => {
                let meta = Meta { passage: Passage::Sealing, ..*meta };
                match self.handoff.send(worker, Handed { frame, meta }) {
                    Ok(()) => {
                        self.counters.handed_off += 1;
                        return 1_u64.wrapping_shl(worker.0.into());
                    }
                    Err(Handed { frame, .. }) => (DropReason::HandoffFull, frame),
                }
            }
            (Sealed::Done, Some(frame)) => {
                self.io.release(frame);
                return 0;
            }
            (Sealed::Done | Sealed::Dropped(_) | Sealed::Elsewhere(_), None) => return 0,
        };
        self.counters.drops.add(reason);
        if let Some(port) = self.counters.ports.get_mut(meta.port.index()) {
            port.dropped += 1;
        }
        self.io.release(frame);
        0
    }

    pub(super) fn wake(&self, mut workers: u64) {
        while workers != 0 {
            let worker = workers.trailing_zeros();
            workers &= workers - 1;
            self.handoff.wake(WorkerId(u8::try_from(worker).unwrap_or_default()));
        }
    }

    /// Sends a frame that holds a message in its envelope.
    pub(super) fn transmit(&mut self, port: PortId, frame: I::Frame) {
        let length = u32::try_from(frame.bytes().len()).unwrap_or(u32::MAX);
        self.counters.injected += 1;
        match self.io.transmit(port, frame) {
            Ok(()) => forwarded(self.counters, port, length),
            Err((error, frame)) => {
                self.counters.drops.add(transmit_reason(error));
                self.io.release(frame);
            }
        }
    }

    /// Makes a frame of a message that is no packet, and sends it.
    pub(super) fn compose(&mut self, message: &[u8], way: &OwnWay, envelope: &Envelope) {
        let headers = Envelope::headers(envelope.remote.ip());
        self.compose_with(message, headers, way.exit, |bytes| envelope.write(bytes));
    }

    /// The same on the wire of a bridge.
    pub(super) fn compose_on_wire(&mut self, message: &[u8], interface: &Interface, ends: &Ends) {
        let port = interface.listen_port;
        self.compose_with(message, ends.headers(), interface.port, |bytes| ends.write(bytes, port, 0));
    }

    fn compose_with(
        &mut self,
        message: &[u8],
        headers: usize,
        exit: PortId,
        write: impl FnOnce(&mut [u8]) -> Option<()>,
    ) {
        let mut bytes = [0; Ends::HEADERS_MOST + Message::MOST];
        let total = headers + message.len();
        let Some(room) = bytes.get_mut(headers..total) else { return };
        room.copy_from_slice(message);
        let Some(bytes) = bytes.get_mut(..total) else { return };
        if write(bytes).is_none() {
            return;
        }
        if let Some(frame) = self.io.compose(bytes) {
            self.transmit(exit, frame);
        }
    }

    /// Has the kernel send a message, and says whether it took it. A system call: for what is rare.
    pub(super) fn ask_kernel(&mut self, interface: &Interface, message: &[u8], remote: SocketAddr) -> bool {
        let sent = interface.socket(remote).is_some_and(|socket| socket.send_to(message, remote).is_ok());
        self.counters.injected += 1;
        if sent {
            self.counters.local += 1;
            self.counters.wireguard_through_kernel += 1;
        } else {
            self.counters.drops.add(DropReason::WireguardUnroutable);
        }
        sent
    }
}
