//! Whether an interface can send: one answer, shared by all who send through it.
//!
//! Promises: reading the answer is one load. Who finds that the interface is down says so to all, and whoever finds that it is
//! up again. Refuses: to ask the kernel by itself; that is for a queue whose frames are refused, and for the control thread once
//! a second. Read next: `queue.rs`.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use super::ioctl::{Device, Operation};

/// One interface's way out.
pub(super) struct Outlet {
    device: Device,
    index: u32,
    down: AtomicBool,
}

impl Outlet {
    pub(super) fn open(name: &str, index: u32) -> io::Result<Self> {
        Ok(Self { device: Device::open(name)?, index, down: AtomicBool::new(false) })
    }

    /// Whether packets for it are to be dropped.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Says whether it is down. Writes only what is new: every worker reads the place with every packet.
    pub(super) fn set_down(&self, down: bool) {
        if self.is_down() != down {
            self.down.store(down, Ordering::Relaxed);
        }
    }

    /// Asks the kernel. `None` if the interface that the sockets are bound to is gone. A system call or two.
    pub(super) fn operation(&self) -> Option<Operation> {
        let same = self.device.index().is_ok_and(|index| index == self.index);
        same.then(|| self.device.operation().ok()).flatten()
    }

    /// Whether the kernel would send a frame.
    pub(super) fn works(&self) -> bool {
        self.operation() == Some(Operation::Up)
    }
}
