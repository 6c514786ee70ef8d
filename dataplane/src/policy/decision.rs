//! Decisions: what policy said about a flow, with the way it came to that.
//!
//! Thousands of flows share one decision, so each is kept once: a [`Decision`] is its verdict and the rules that were passed on
//! the way, on both sides, as they are in force and as they would be with every staged policy. A flow keeps a [`DecisionId`].
//! A [`DecisionLog`] belongs to one worker, which alone writes it; anybody may read it at any time, because what was written
//! never changes. It also counts what each decision let pass or stopped.
//!
//! Promises: bounded memory; a decision that finds no room keeps its verdict and loses its trace, which is counted. Refuses:
//! to forget a decision while the process lives.

use std::sync::{
    Arc,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use crossbeam::queue::ArrayQueue;
use hashbrown::HashTable;
use ravelin_config::types::Action;

use super::{
    RuleId,
    words::{self, Words},
};
use crate::{
    batch::Meta,
    clock::Timestamp,
    flow::RawRecord,
    hash::FlowHasher,
    verdict::{DropReason, Verdict},
};

/// A decision's number in its worker's log; 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DecisionId(pub u32);

impl DecisionId {
    /// Nothing has been decided.
    pub const NONE: Self = Self(0);
}

/// What a flow keeps of what policy said about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// Whether its packets pass.
    pub action: Action,
    /// The decision, in the worker's log.
    pub decision: DecisionId,
}

/// The rules that were met on one side of a flow, in order: each passed or logged, the last decided.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    rules: [RuleId; Self::MAX],
    len: u8,
}

impl Trace {
    /// Rules of which a trace keeps record. There are at most [`Self::MAX_TIERS`] tiers; the rest is for rules that log.
    pub const MAX: usize = 31;
    /// The most tiers that a policy can have.
    pub const MAX_TIERS: usize = 24;

    /// No rule.
    pub const EMPTY: Self = Self { rules: [RuleId(0); Self::MAX], len: 0 };

    /// Adds a rule, if there is room.
    pub(super) fn push(&mut self, rule: RuleId) {
        if let Some(place) = self.rules.get_mut(usize::from(self.len)) {
            *place = rule;
            self.len += 1;
        }
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[RuleId] {
        self.rules.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        self.rules() == other.rules()
    }
}

impl Eq for Trace {}

/// What would be decided if every staged policy were in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The verdict.
    pub action: Action,
    /// The way through the source's egress rules.
    pub egress: Trace,
    /// The way through the destination's ingress rules.
    pub ingress: Trace,
}

/// What policy says about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub action: Action,
    /// Why packets are dropped, if they are.
    pub reason: Option<DropReason>,
    /// The way through the source's egress rules; empty if the source is no endpoint.
    pub egress: Trace,
    /// The way through the destination's ingress rules; empty if the destination is no endpoint, or egress denied.
    pub ingress: Trace,
    /// What staged policies would make of it; `None` if there are none.
    pub pending: Option<Pending>,
}

impl Decision {
    /// Whether the same rules, in force, decided the same; what is pending may differ, and a flow that was cut is dropped for
    /// another reason.
    pub(crate) fn is_enforced_as(&self, other: &Self) -> bool {
        self.action == other.action && (&self.egress, &self.ingress) == (&other.egress, &other.ingress)
    }
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecisionCounts {
    /// Flows that it was made for; for one that a limit made, how often it refused one.
    pub flows: u64,
    /// Packets of flows that have ended.
    pub packets: u64,
    /// Bytes of flows that have ended, whole frames.
    pub bytes: u64,
    /// When it was first made; zero if never.
    pub first: Timestamp,
    /// When it was made last.
    pub last: Timestamp,
}

/// A flow of which somebody wants the packets, as it was when it was judged.
#[derive(Clone, Copy, Debug)]
pub struct Trigger {
    /// The flow.
    pub record: RawRecord,
    /// Why.
    pub cause: TriggerCause,
}

/// Why somebody wants the packets of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerCause {
    /// A rule that says so was met.
    Rule,
    /// The verdict has changed, from this one.
    Verdict(Action),
}

/// One cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line {
    /// Where its words start, above how many there are (8 bits).
    words: AtomicU64,
    flows: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
    decider: AtomicU32,
}

/// The decisions of one worker.
#[derive(Debug)]
pub struct DecisionLog {
    lines: Box<[Line]>,
    words: Box<[AtomicU32]>,
    used: AtomicU32,
    /// The flows that changes of policy cut, as they were before.
    cut: ArrayQueue<RawRecord>,
    /// Flows with what feeds name, as they were when they were judged.
    named: ArrayQueue<RawRecord>,
    /// Flows of which somebody wants the packets.
    triggers: ArrayQueue<Trigger>,
}

impl DecisionLog {
    /// Decisions that the log of a worker holds unless somebody says otherwise.
    pub const CAPACITY: usize = 1 << 16;
    /// Cut flows that are remembered; older ones are forgotten.
    const CUT: usize = 1024;
    /// Flows with what feeds name that wait to be asked for.
    const NAMED: usize = 4096;
    /// Flows of which somebody wants the packets that wait to be asked for.
    const TRIGGERS: usize = 1024;
    /// Words of which the average decision needs no more.
    const WORDS: usize = 12;
    /// Places kept for decisions without traces: there are fewer different ones than that.
    const RESERVED: usize = 256;

    /// A log for `capacity` decisions.
    pub fn new(capacity: usize) -> Arc<Self> {
        let capacity = capacity.clamp(1, (1 << 24) - 1 - Self::RESERVED) + Self::RESERVED;
        let words = capacity * Self::WORDS;
        Arc::new(Self {
            // One more for number 0.
            lines: (0..=capacity).map(|_| Line::default()).collect(),
            words: (0..words).map(|_| AtomicU32::new(0)).collect(),
            // Number 0 means none.
            used: AtomicU32::new(1),
            cut: ArrayQueue::new(Self::CUT),
            named: ArrayQueue::new(Self::NAMED),
            triggers: ArrayQueue::new(Self::TRIGGERS),
        })
    }

    /// A decision; `None` for one that was never made.
    pub fn get(&self, id: DecisionId) -> Option<Decision> {
        (id != DecisionId::NONE && id.0 < self.used.load(Acquire)).then(|| words::read(self.stored(id)))
    }

    /// Why packets are dropped under a decision.
    pub(crate) fn reason(&self, id: DecisionId) -> Option<DropReason> {
        words::reason(self.stored(id).next()?)
    }

    /// The rule that decided: the last that was met. `RuleId(0)` if neither end is an endpoint, or the way to the decision was lost.
    pub fn decider(&self, id: DecisionId) -> RuleId {
        RuleId(self.lines.get(id.0 as usize).map_or(0, |line| line.decider.load(Relaxed)))
    }

    /// What came of a decision.
    pub fn counts(&self, id: DecisionId) -> DecisionCounts {
        let Some(line) = self.lines.get(id.0 as usize) else { return DecisionCounts::default() };
        DecisionCounts {
            flows: line.flows.load(Relaxed),
            packets: line.packets.load(Relaxed),
            bytes: line.bytes.load(Relaxed),
            first: Timestamp::from_micros(line.first.load(Relaxed)),
            last: Timestamp::from_micros(line.last.load(Relaxed)),
        }
    }

    /// How many decisions there are.
    pub fn len(&self) -> usize {
        self.used.load(Acquire).saturating_sub(1) as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every decision made so far.
    pub fn iter(&self) -> impl Iterator<Item = (DecisionId, Decision)> {
        (1..self.used.load(Acquire)).map(DecisionId).map(|id| (id, words::read(self.stored(id))))
    }

    /// Counts what a flow that ended under a decision has sent.
    pub(crate) fn settle(&self, id: DecisionId, packets: u64, bytes: u64) {
        if let Some(line) = self.lines.get(id.0 as usize) {
            line.packets.store(line.packets.load(Relaxed).wrapping_add(packets), Relaxed);
            line.bytes.store(line.bytes.load(Relaxed).wrapping_add(bytes), Relaxed);
        }
    }

    /// Remembers a flow that a change of policy cut.
    pub(crate) fn note_cut(&self, record: &RawRecord) {
        self.cut.force_push(*record);
    }

    /// The next flow that a change of policy cut, in order; each is given once.
    pub fn take_cut(&self) -> Option<RawRecord> {
        self.cut.pop()
    }

    /// The next flow with what a feed names, in order; each is given once for each time that it was judged.
    pub fn take_named(&self) -> Option<RawRecord> {
        self.named.pop()
    }

    /// The next flow of which somebody wants the packets, in order; each is given once for each time that it was judged.
    pub fn take_trigger(&self) -> Option<Trigger> {
        self.triggers.pop()
    }

    fn stored(&self, id: DecisionId) -> impl Iterator<Item = u32> + '_ {
        let place = self.lines.get(id.0 as usize).map_or(0, |line| line.words.load(Relaxed));
        let (start, length) = ((place >> 8) as usize, (place & 0xff) as usize);
        let words = self.words.get(start..start + length).unwrap_or_default();
        words.iter().map(|word| word.load(Relaxed))
    }
}

/// The worker's end of its log.
#[derive(Debug)]
pub(crate) struct Decisions {
    log: Arc<DecisionLog>,
    index: HashTable<u32>,
    hasher: FlowHasher,
    words_used: usize,
    /// Decisions that lost their traces because there was no room.
    pub(crate) lost: u64,
    /// Flows with what feeds name of which nobody will be told, because too many wait.
    pub(crate) named_lost: u64,
    /// Flows of which somebody wants the packets and is not told, because too many wait.
    pub(crate) triggers_lost: u64,
}

impl Decisions {
    pub(crate) fn new(log: Arc<DecisionLog>) -> Self {
        let index = HashTable::with_capacity(log.lines.len());
        Self {
            log,
            index,
            hasher: FlowHasher::random(),
            words_used: 0,
            lost: 0,
            named_lost: 0,
            triggers_lost: 0,
        }
    }

    pub(crate) fn log(&self) -> &Arc<DecisionLog> {
        &self.log
    }

    /// The number of a decision.
    pub(crate) fn number(&mut self, decision: &Words) -> DecisionId {
        if let Some(id) = self.find_or_add(decision, DecisionLog::RESERVED) {
            return id;
        }
        self.lost += 1;
        // Reserved: there are few of these.
        self.find_or_add(&decision.bare(), 0).unwrap_or_default()
    }

    /// Whether the same rules, in force, decided the same, as far as the log could keep them.
    pub(crate) fn are_same(&mut self, before: &Decision, now: &Words) -> bool {
        before.is_enforced_as(&now.decision())
            || (self.lost > 0
                && before.is_enforced_as(&now.bare().decision())
                && self.find_or_add(now, DecisionLog::RESERVED).is_none())
    }

    /// The number of a decision that was made for a flow at `time`, which is counted.
    pub(crate) fn make(&mut self, decision: &Words, time: Timestamp) -> DecisionId {
        let id = self.number(decision);
        if let Some(line) = self.log.lines.get(id.0 as usize) {
            line.flows.store(line.flows.load(Relaxed) + 1, Relaxed);
            let time = time.as_micros().max(1);
            if line.first.load(Relaxed) == 0 {
                line.first.store(time, Relaxed);
            }
            line.last.store(time.max(line.last.load(Relaxed)), Relaxed);
        }
        id
    }

    /// Remembers a flow with what a feed names.
    pub(crate) fn note_named(&mut self, record: RawRecord) {
        if self.log.named.push(record).is_err() {
            self.named_lost += 1;
        }
    }

    /// Remembers a flow of which somebody wants the packets.
    pub(crate) fn note_trigger(&mut self, trigger: Trigger) {
        if self.log.triggers.push(trigger).is_err() {
            self.triggers_lost += 1;
        }
    }

    /// Gives a packet what its flow's ruling says.
    #[inline(always)]
    pub(crate) fn settle(&self, meta: &mut Meta, ruling: Ruling) {
        meta.decision = ruling.decision;
        meta.verdict = match ruling.action {
            Action::Allow => Verdict::Allow,
            Action::Deny | Action::Reject => self.drop(ruling.decision),
        };
    }

    #[inline(never)]
    fn drop(&self, decision: DecisionId) -> Verdict {
        Verdict::Drop(self.log.reason(decision).unwrap_or(DropReason::DefaultDeny))
    }

    /// Leaves `reserve` places, and as many words, free.
    fn find_or_add(&mut self, decision: &Words, reserve: usize) -> Option<DecisionId> {
        let Self { log, index, hasher, words_used, .. } = self;
        let words = decision.as_slice();
        let hash = hasher.hash_halves(words.iter().copied());
        let found = index.find(hash, |id| log.stored(DecisionId(*id)).eq(words.iter().copied()));
        if let Some(id) = found {
            return Some(DecisionId(*id));
        }
        let id = log.used.load(Relaxed);
        if id as usize + reserve >= log.lines.len() || *words_used + words.len() + reserve > log.words.len() {
            return None;
        }
        for (place, word) in log.words.iter().skip(*words_used).zip(words) {
            place.store(*word, Relaxed);
        }
        let place = (*words_used as u64) << 8 | words.len() as u64;
        let line = log.lines.get(id as usize)?;
        line.words.store(place, Relaxed);
        line.decider.store(decision.decider().0, Relaxed);
        *words_used += words.len();
        // Whoever gets the number gets it through a ring, or from `used`, behind what was written.
        log.used.store(id + 1, Release);
        index.insert_unique(hash, id, |id| hasher.hash_halves(log.stored(DecisionId(*id))));
        Some(DecisionId(id))
    }
}
