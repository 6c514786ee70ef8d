use std::sync::Arc;

use super::{Fate, Program};
use crate::{
    batch::Meta,
    policy::{AddressSet, DecisionLog, RuleSet},
    verdict::{DropReason, Verdict},
};

/// What is captured: the selections of every capture that is under way.
#[derive(Clone, Debug, Default)]
pub struct CapturePlan {
    received: Vec<Selection>,
    forwarded: Vec<Selection>,
    /// Whether a flow whose verdict changes triggers a capture.
    pub verdict_changes: bool,
}

/// Where on its way a packet is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Point {
    /// As it was received, with what became of it.
    #[default]
    Received,
    /// As it leaves, if it does.
    Forwarded,
}

/// What one capture wants.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The capture's number: its bit in [`super::Label::captures`].
    pub capture: u8,
    /// Where.
    pub point: Point,
    /// What the packet has to be; anything if `None`.
    pub filter: Option<Arc<Program>>,
    /// Addresses of which one has to be the packet's, on the side that `direction` says; any if `None`.
    pub addresses: Option<Arc<AddressSet>>,
    /// Which of the packet's addresses are looked at.
    pub direction: Direction,
    /// What has to become of the packet.
    pub fates: Fates,
    /// The rules of which one has to have decided about its flow; any or none if `None`.
    pub decided_by: Option<Arc<RuleSet>>,
    /// One flow in so many, with all of its packets.
    pub sample: u32,
    /// The bytes of a packet that are kept.
    pub snap: usize,
}

/// Which addresses of a packet are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// That of the receiver: what comes in to an endpoint.
    In,
    /// That of the sender: what an endpoint sends.
    Out,
}

/// What may become of a packet: bit 0 for what passes or is taken, and the place of a drop reason, plus 1, for what is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fates(u128);

impl Fates {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Anything.
    pub const ANY: Self = Self(u128::MAX);
    /// It is not dropped.
    pub const PASSED: Self = Self(1);
    /// It is dropped, whatever for.
    pub const DROPPED: Self = Self(!1);

    /// It is dropped for one of these reasons.
    pub fn dropped_for(reasons: impl IntoIterator<Item = DropReason>) -> Self {
        Self(reasons.into_iter().fold(0, |bits, reason| bits | 2 << reason.index()))
    }

    /// Adds what became of a packet.
    pub(super) fn add(&mut self, fate: Fate) {
        self.0 |= Self::bit(fate);
    }

    /// Adds all of these.
    pub(super) const fn add_all(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether there is one that is among the others as well.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether this is one of them.
    pub fn contains(self, fate: Fate) -> bool {
        self.0 & Self::bit(fate) != 0
    }

    fn bit(fate: Fate) -> u128 {
        fate.drop_reason().map_or(1, |reason| 2 << reason.index())
    }

    /// Whether a packet's verdict is one of these. What goes to another worker is captured there.
    const fn has(self, verdict: Verdict) -> bool {
        let bit = match verdict {
            Verdict::Undecided | Verdict::Allow | Verdict::Forward(_) | Verdict::Local | Verdict::Consume => {
                1
            }
            Verdict::Drop(reason) => 2 << reason.index(),
            Verdict::Handoff(_) => 0,
        };
        self.0 & bit != 0
    }
}

const _: () = assert!(DropReason::COUNT < 127, "a bit for each reason");

impl CapturePlan {
    /// The most captures at once.
    pub const MOST: usize = 64;

    /// A plan of these selections. Those beyond the most are left out.
    pub fn new(mut selections: Vec<Selection>) -> Self {
        selections.truncate(Self::MOST);
        let (received, forwarded) =
            selections.into_iter().partition(|selection| selection.point == Point::Received);
        Self { received, forwarded, verdict_changes: false }
    }

    /// What is captured at a point.
    pub fn at(&self, point: Point) -> &[Selection] {
        match point {
            Point::Received => &self.received,
            Point::Forwarded => &self.forwarded,
        }
    }
}

/// The captures that want a packet, by bits, and how many of its bytes.
pub(super) fn ask(
    selections: &[Selection],
    meta: &Meta,
    packet: &[u8],
    decisions: &DecisionLog,
) -> (u64, usize) {
    let mut wanted = (0, 0);
    for selection in selections.iter().filter(|selection| selection.wants(meta, packet, decisions)) {
        wanted = (wanted.0 | 1 << (selection.capture & 63), wanted.1.max(selection.snap));
    }
    wanted
}

impl Selection {
    /// Whether the capture wants a packet; the cheapest questions are asked first.
    fn wants(&self, meta: &Meta, packet: &[u8], decisions: &DecisionLog) -> bool {
        self.fates.has(meta.verdict)
            && self.is_in_sample(meta)
            && self.decided_by.as_ref().is_none_or(|rules| rules.has(decisions.decider(meta.decision)))
            && self.is_about(meta)
            && self.filter.as_ref().is_none_or(|filter| filter.wants(packet, meta.length))
    }

    fn is_in_sample(&self, meta: &Meta) -> bool {
        // The lower half: the upper one says which worker has the flow.
        self.sample <= 1 || (meta.hash as u32).is_multiple_of(self.sample)
    }

    fn is_about(&self, meta: &Meta) -> bool {
        let Some(addresses) = &self.addresses else { return true };
        if !meta.headers.is_ip() {
            return false;
        }
        let (source, destination) = (meta.headers.source, meta.headers.destination);
        match self.direction {
            Direction::Both => addresses.contains(source.ip()) || addresses.contains(destination.ip()),
            Direction::In => addresses.contains(destination.ip()),
            Direction::Out => addresses.contains(source.ip()),
        }
    }
}
