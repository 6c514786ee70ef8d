//! [`AfXdpIo`]: a worker's sockets behind [`PacketIo`].
//!
//! Promises: receiving is fair over the sockets (each gets its share of a batch before any gets more, and a different one
//! starts each time); a port that is down or gone costs its own packets and nothing else.
//! Read next: `queue.rs`, then `setup.rs`, which makes the backends of all workers at once.

use std::{
    fmt,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
    time::Duration,
};

use super::{
    frame::XdpFrame,
    outlet::Outlet,
    pool::FramePool,
    queue::{PortQueue, Relay},
};
use crate::{
    batch::Batch,
    clock::{Clock, Timestamp},
    io::{IoCounters, PacketIo, PortId, TransmitError},
    wake::Waker,
};

/// How a worker sends through a port.
#[derive(Clone)]
pub(super) enum Route {
    /// Through one of its own queues, by its place in the list.
    Own(usize),
    /// Through a queue of another worker.
    Relay {
        /// Where the other worker takes frames from.
        relay: Arc<Relay>,
        /// Whether it is of use to leave frames there.
        outlet: Arc<Outlet>,
        /// That worker's place in the list of wakers.
        owner: usize,
    },
}

/// One worker's part of AF_XDP: a socket on its queue of each interface.
pub struct AfXdpIo {
    clock: Clock,
    now: Timestamp,
    queues: Vec<PortQueue>,
    /// By port.
    routes: Vec<Route>,
    pool: FramePool<XdpFrame>,
    /// The queue that is served first in the next batch.
    first: usize,
    counters: IoCounters,
    /// Wakers of all workers, for frames left in a relay.
    wakers: Arc<[Waker]>,
    worker: usize,
    /// Workers that got frames through a relay in this batch.
    to_wake: u64,
    poll: Vec<libc::pollfd>,
}

/// What a worker's backend is made of.
pub(super) struct Parts {
    pub worker: usize,
    pub queues: Vec<PortQueue>,
    pub routes: Vec<Route>,
    pub pool: FramePool<XdpFrame>,
    pub wakers: Arc<[Waker]>,
}

impl AfXdpIo {
    pub(super) fn new(parts: Parts) -> Self {
        let poll = Vec::with_capacity(parts.queues.len() + 2);
        let mut io = Self {
            clock: Clock::start(),
            now: Timestamp::ZERO,
            queues: parts.queues,
            routes: parts.routes,
            pool: parts.pool,
            first: 0,
            counters: IoCounters::default(),
            wakers: parts.wakers,
            worker: parts.worker,
            to_wake: 0,
            poll,
        };
        io.now = io.clock.now();
        for queue in &mut io.queues {
            queue.refill(&mut io.pool, &mut io.counters);
        }
        io
    }

    /// Nothing is sent, nothing was left by other workers: the worker may sleep for long.
    fn is_quiet(&mut self) -> bool {
        !self.queues.iter_mut().any(|queue| queue.is_sending() || queue.has_relayed())
    }

    fn sleep(&mut self, others: [&Waker; 2], timeout: Duration) {
        let milliseconds = timeout.as_micros().div_ceil(1000);
        let milliseconds = libc::c_int::try_from(milliseconds).unwrap_or(libc::c_int::MAX);
        let fds = self.queues.iter().map(PortQueue::raw_fd);
        let fds = fds.chain(others.into_iter().map(|waker| waker.as_fd().as_raw_fd()));
        self.poll.clear();
        self.poll.extend(fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }));
        let count = libc::nfds_t::try_from(self.poll.len()).unwrap_or(0);
        // SAFETY: pointer and length are those of the vector, which nobody else uses during the call. Whether it
        // ended by an event, the timeout or a signal makes no difference: the worker looks at everything anyway.
        let _any = unsafe { libc::poll(self.poll.as_mut_ptr(), count, milliseconds) };
    }
}

impl PacketIo for AfXdpIo {
    type Frame = XdpFrame;

    fn now(&mut self) -> Timestamp {
        self.now = self.clock.now();
        self.now
    }

    fn receive(&mut self, now: Timestamp, batch: &mut Batch<XdpFrame>) -> usize {
        let queues = self.queues.len();
        if queues == 0 {
            return 0;
        }
        self.first = (self.first + 1) % queues;
        let share = (batch.room() / queues).max(1);
        let mut received = 0;
        let mut more = false;
        // The first round gives each its share, the second gives away what others left.
        for limit in [share, usize::MAX] {
            let (later, sooner) = self.queues.split_at_mut(self.first);
            for queue in sooner.iter_mut().chain(later) {
                let limit = limit.min(batch.room());
                let count = queue.receive(now, limit, batch);
                more |= count == limit;
                received += count;
            }
            if !std::mem::take(&mut more) {
                break;
            }
        }
        received
    }

    fn transmit(&mut self, port: PortId, frame: XdpFrame) -> Result<(), (TransmitError, XdpFrame)> {
        match self.routes.get(port.index()) {
            Some(Route::Own(queue)) => match self.queues.get_mut(*queue) {
                Some(queue) => queue.transmit(frame),
                None => Err((TransmitError::Down, frame)),
            },
            Some(Route::Relay { outlet, .. }) if outlet.is_down() => Err((TransmitError::Down, frame)),
            Some(Route::Relay { relay, owner, .. }) => {
                relay.push(frame).map_err(|frame| (TransmitError::Full, frame))?;
                self.to_wake |= 1 << (owner % 64);
                Ok(())
            }
            None => Err((TransmitError::Down, frame)),
        }
    }

    fn compose(&mut self, bytes: &[u8]) -> Option<XdpFrame> {
        let mut frame = self.pool.take()?;
        if frame.write(bytes) {
            return Some(frame);
        }
        self.pool.give(frame);
        None
    }

    fn release(&mut self, frame: XdpFrame) {
        self.pool.give(frame);
    }

    fn flush(&mut self) {
        for queue in &mut self.queues {
            queue.flush(self.now, &mut self.pool, &mut self.counters);
        }
        while self.to_wake != 0 {
            let worker = self.to_wake.trailing_zeros() as usize;
            self.to_wake &= self.to_wake - 1;
            if let Some(waker) = self.wakers.get(worker) {
                waker.wake();
            }
        }
    }

    fn wait(&mut self, waker: &Waker, timeout: Duration) {
        let wakers = Arc::clone(&self.wakers);
        let Some(own) = wakers.get(self.worker) else { return };
        own.prepare();
        // Frames that the kernel could not take yet need another push soon, and nothing wakes us for them.
        let timeout = if self.is_quiet() { timeout } else { timeout.min(Duration::from_millis(1)) };
        self.sleep([waker, own], timeout);
        own.awake();
    }

    fn is_exhausted(&self) -> bool {
        false
    }

    fn counters(&self) -> IoCounters {
        IoCounters { pool_spills: self.pool.spills, pool_refills: self.pool.refills, ..self.counters }
    }
}

impl fmt::Debug for AfXdpIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfXdpIo")
            .field("worker", &self.worker)
            .field("queues", &self.queues.len())
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
