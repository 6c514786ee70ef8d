use crate::{batch::Meta, counters::WorkerCounters, pipeline::Context};

/// Ties later fragments to the ports of their first fragment.
#[derive(Debug)]
pub struct FragmentTable {
    capacity: usize,
}

impl FragmentTable {
    /// A table for `capacity` datagrams.
    pub fn new(capacity: usize) -> Self {
        Self { capacity }
    }

    /// Runs over one batch.
    pub fn run(&mut self, _cx: &Context<'_>, _metas: &mut [Meta], _counters: &mut WorkerCounters) {
        let _ = self.capacity;
    }

    /// Drops datagrams that have waited too long, at most `budget` of them.
    pub fn expire(&mut self, _cx: &Context<'_>, _budget: usize, _counters: &mut WorkerCounters) {}
}
