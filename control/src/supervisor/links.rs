//! Notices interfaces that cannot carry traffic any more, and those that can again.

use std::time::{Duration, Instant};

use crate::api::view::LinkState;

/// Watches the states of all interfaces.
#[derive(Debug)]
pub struct LinkWatch {
    due: Instant,
    seen: Vec<LinkState>,
}

impl LinkWatch {
    /// How often to look at most: asking takes a few system calls for each interface. Less than the second between two ticks
    /// of the control thread, so that a tick that comes early is not missed.
    const INTERVAL: Duration = Duration::from_millis(900);

    /// A watch over `interfaces` interfaces, which are expected to be up.
    pub fn new(interfaces: usize, now: Instant) -> Self {
        Self { due: now, seen: vec![LinkState::Up; interfaces] }
    }

    /// Looks at the states, given in the order of the interfaces, if it is time to. Returns what changed since the last look,
    /// with the interface's place in that order.
    pub fn look(&mut self, now: Instant, states: impl FnOnce() -> Vec<LinkState>) -> Vec<(usize, LinkState)> {
        if now < self.due {
            return Vec::new();
        }
        self.due = now + Self::INTERVAL;
        let mut changes = Vec::new();
        for (place, (seen, state)) in self.seen.iter_mut().zip(states()).enumerate() {
            if *seen != state {
                *seen = state;
                changes.push((place, state));
            }
        }
        changes
    }
}
