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

    /// Says that the worker is awake, and takes the signal back if one came.
    pub fn awake(&self) {
        if !self.sleeping.swap(false, Ordering::AcqRel) {
            // Somebody cleared the flag, so a signal is, or will be, there. If it is not yet there the next sleep ends
            // at once, which costs one turn and loses nothing.
            let mut value = [0; 8];
            let _nothing_to_take = rustix::io::read(&self.event, &mut value);
        }
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
