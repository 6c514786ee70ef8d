//! What the kernel drops of what feeds name: the list, and the thread that tells the kernel.
//!
//! Promises: what is on the list, policy denies, whoever opened the flow; nobody waits for the list, which follows feeds and
//! policies by differences; what does not fit, or the kernel refuses, is left to the workers, and said. Refuses: to know how
//! the kernel is told ([`Blocklist`]). Read next: `list.rs`, `../../policy/exempt.rs`,
//! `docs/adr/0016-drop-in-the-kernel.md`.

mod list;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use crossbeam::channel::{self, Receiver, Sender};
use parking_lot::Mutex;
use ravelin_dataplane::io::blocklist::BlockChange;

use self::list::{List, is_wanted};
use super::Library;
use crate::{policy::BeforeFeeds, supervisor::privileges};

/// The kernel, as far as it drops packets by a list of sources.
pub trait Blocklist: Send {
    /// Makes a change.
    ///
    /// # Errors
    /// What the kernel said. Then the list is empty.
    fn change(&mut self, change: &BlockChange) -> Result<(), String>;
}

/// What the kernel's list holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelStatus {
    /// Prefixes on it.
    pub prefixes: usize,
    /// Prefixes that should be on it and are not: there is no room for them, or the kernel refuses the list.
    pub left: usize,
    /// For each feed that the kernel may drop, how many of its entries are on it.
    pub feeds: HashMap<String, usize>,
}

/// The other end of the thread that keeps the kernel's list.
#[derive(Debug)]
pub struct KernelKeeper {
    orders: Sender<(Library, BeforeFeeds)>,
    status: Arc<Mutex<KernelStatus>>,
    /// Whether anything was wanted when it was asked last.
    is_used: AtomicBool,
}

impl KernelKeeper {
    /// Starts the thread, with a list that is empty.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(kernel: Box<dyn Blocklist>) -> io::Result<Self> {
        let (orders, take) = channel::unbounded();
        let status = Arc::new(Mutex::new(KernelStatus::default()));
        let told = Arc::clone(&status);
        thread::Builder::new().name("kernel list".to_owned()).spawn(move || {
            if let Err(error) = privileges::keep_bpf() {
                tracing::warn!(%error, "the thread that tells the kernel what to drop keeps all its privileges");
            }
            Task { kernel, list: List::default(), told }.run(&take);
        })?;
        Ok(Self { orders, status, is_used: AtomicBool::new(false) })
    }

    /// Has the kernel drop what these feeds name, as far as no policy before them may let it pass.
    pub fn follow(&self, library: &Library, before: impl FnOnce() -> BeforeFeeds) {
        let is_wanted = library.feeds().iter().any(|shelf| is_wanted(&shelf.feed));
        if self.is_used.swap(is_wanted, Ordering::Relaxed) || is_wanted {
            let before = if is_wanted { before() } else { BeforeFeeds::default() };
            // The thread goes on as long as this end is there.
            let _sent = self.orders.send((library.clone(), before));
        }
    }

    /// What the list holds.
    pub fn status(&self) -> KernelStatus {
        self.status.lock().clone()
    }
}

struct Task {
    kernel: Box<dyn Blocklist>,
    list: List,
    told: Arc<Mutex<KernelStatus>>,
}

impl Task {
    fn run(mut self, orders: &Receiver<(Library, BeforeFeeds)>) {
        while let Ok(order) = orders.recv() {
            let (library, before) = orders.try_iter().last().unwrap_or(order);
            self.take(&library, &before);
        }
    }

    fn take(&mut self, library: &Library, before: &BeforeFeeds) {
        let start = Instant::now();
        let list = match before.work_out() {
            Ok(exempt) => List::new(library, &exempt),
            Err(error) => {
                tracing::error!(%error, "nothing is dropped in the kernel: it is not known what policies let pass");
                List::default()
            }
        };
        let change = list.after(&self.list);
        let has_changed = list != self.list;
        let mut left = list.left;
        self.list = match self.kernel.change(&change) {
            Ok(()) => list,
            Err(error) => {
                tracing::error!(error, "nothing is dropped in the kernel, which refuses its list");
                left += list.len();
                List::default()
            }
        };
        let status = KernelStatus { prefixes: self.list.len(), left, feeds: self.list.feeds.clone() };
        if has_changed {
            let (prefixes, joined, gone) = (status.prefixes, change.join.len(), change.leave.len());
            tracing::info!(prefixes, joined, gone, took = ?start.elapsed(), "the kernel drops what feeds name");
        }
        if left > 0 {
            tracing::warn!(
                left,
                "prefixes that feeds name are left to the workers, because they are not on the kernel's list"
            );
        }
        *self.told.lock() = status;
    }
}
