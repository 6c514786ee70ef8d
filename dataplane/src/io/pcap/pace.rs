use std::time::Duration;

use crate::clock::Timestamp;

/// The time of a capture as it passes, packet by packet; what flows expire by.
///
/// It follows the packets' times forward, and waits while they lie a little before it. Captures also hold single packets
/// whose time is far off (several clocks, damaged tools), and jumps (captures put together, nights without traffic). So a
/// time further away than [`Pace::FAR`], in either direction, counts only when two packets in a row agree that far; one
/// wrong packet expires nobody's flows. What comes out depends on the order of packets alone.
#[derive(Debug, Default)]
pub(super) struct Pace {
    now: Timestamp,
    /// The time of the packet before, once there is one.
    before: Option<Timestamp>,
}

impl Pace {
    /// How far from the time a packet may be and be believed.
    const FAR: Duration = Duration::from_secs(60);

    /// The time when a packet arrives that carries `time`.
    #[inline]
    pub(super) fn follow(&mut self, time: Timestamp) -> Timestamp {
        let ahead = |other: Timestamp| other.since(self.now) > Self::FAR;
        let behind = |other: Timestamp| self.now.since(other) > Self::FAR;
        self.now = match self.before.replace(time) {
            None => time,
            Some(before) if ahead(time) => {
                if ahead(before) {
                    before.min(time)
                } else {
                    self.now
                }
            }
            Some(before) if behind(time) => {
                if behind(before) {
                    before.max(time)
                } else {
                    self.now
                }
            }
            Some(_) => self.now.max(time),
        };
        self.now
    }
}
