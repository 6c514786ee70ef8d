//! Waking a worker that sleeps in `poll`: an eventfd that costs its writer a system call only when the worker really
//! sleeps.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, Ordering, fence},
};

use rustix::event::{EventfdFlags, eventfd};

/// Wakes one worker. The worker brackets its sleep with [`Waker::prepare`] and [`Waker::awake`].
#[derive(Debug)]
pub struct Waker {
    event: OwnedFd,
    sleeping: AtomicBool,
}

impl Waker {
    /// A waker for one worker.
    ///
    /// # Errors
    /// What `eventfd(2)` reports, such as too many open files.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { event, sleeping: AtomicBool::new(false) })
    }

    /// Says that the worker is about to sleep. It must look at its inbox and commands once more after this call and
    /// before it sleeps: whoever filled them earlier did not know that a wake-up was needed.
    pub fn prepare(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        // The store must be visible before the inbox is read; pairs with the fence in `wake`.
        fence(Ordering::SeqCst);
    }

    /// Says that the worker is awake, and takes the signal back if one came. One read per sleep: a signal that is written
    /// late, after this call, is taken back after the next sleep, which it ends at once.
    pub fn awake(&self) {
        self.sleeping.store(false, Ordering::Release);
        let mut value = [0; 8];
        let _nothing_to_take = rustix::io::read(&self.event, &mut value);
    }

    /// Wakes the worker if it sleeps or is about to. Call it after filling the worker's inbox.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel) {
            // An eventfd that is already signalled wakes as well, so a full counter is no error.
            let _already_signalled = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_signalled(waker: &Waker) -> bool {
        let mut fds = [PollFd::new(waker, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn a_sleeping_worker_is_woken_and_a_busy_one_costs_nothing() {
        let waker = Waker::new().unwrap();
        waker.wake();
        assert!(!is_signalled(&waker), "nobody sleeps");
        waker.prepare();
        waker.wake();
        assert!(is_signalled(&waker));
        waker.awake();
        assert!(!is_signalled(&waker));
    }

    #[test]
    fn a_late_signal_ends_one_sleep_and_no_more() {
        let waker = Waker::new().unwrap();
        waker.prepare();
        // A waker has cleared the flag and is preempted; the worker's sleep ends for another reason.
        waker.sleeping.store(false, Ordering::Relaxed);
        waker.awake();
        rustix::io::write(&waker.event, &1_u64.to_ne_bytes()).unwrap();
        waker.prepare();
        assert!(is_signalled(&waker), "the next sleep ends at once");
        waker.awake();
        waker.prepare();
        assert!(!is_signalled(&waker), "and the one after it does not");
        waker.awake();
    }
}
