use std::net::SocketAddr;

use crossbeam::queue::ArrayQueue;

/// Messages that came to the UDP port of an interface by way of the kernel: those that it had to put together from fragments, and what came
/// in through interfaces that are not ours. Bounded; what finds no room is lost, as in a socket.
#[derive(Debug)]
pub struct Inbox(ArrayQueue<Datagram>);

/// A message, and where it came from.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) bytes: Box<[u8]>,
    pub(super) remote: SocketAddr,
}

impl Default for Inbox {
    fn default() -> Self {
        Self(ArrayQueue::new(Self::MOST))
    }
}

impl Inbox {
    /// How many wait at most.
    const MOST: usize = 512;

    /// Adds a message; `false` if there is no room.
    pub fn push(&self, message: &[u8], remote: SocketAddr) -> bool {
        self.0.push(Datagram { bytes: message.into(), remote }).is_ok()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn pop(&self) -> Option<Datagram> {
        self.0.pop()
    }
}
