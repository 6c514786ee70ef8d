use std::{fmt, sync::Arc};

use ravelin_config::types::{Action, Exception, Protocol};

use super::{
    EndReason, FlowKey, FlowRecord, RawRecord, RecordSink, Side, SteerStage, TcpState, Timeouts,
    ahead::Oldest,
    entry::{Entry, Flag, Micros24, Passage, micros},
    free::Free,
    index::{Hint, Index, Place},
    memory,
    phase::{Limits, Phase},
    reopen::Reopened,
    start::{Newcomers, opening},
    sweep::Sweeper,
    tcp,
};
use crate::{
    batch::{Batch, Meta},
    counters::WorkerCounters,
    forward::exit,
    handoff::WorkerId,
    nat::Nat,
    parse::{FragmentKind, tcp_flags},
    pipeline::Context,
    policy::{DecisionLog, Decisions, Ruling, question_of_packet},
    route::Ways,
    verdict::{DropReason, Verdict},
};

/// A flow's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(crate) u32);

/// The flows of one worker: a slab of entries, an index over it and a sweeper that ends idle flows.
///
/// All memory is taken at once: 120 bytes a flow for the entry and 7.5 for the index; where packets are routed, 24 more and 16 if
/// addresses are translated, as soon as that is so. A [`Slot`] that a packet has after
/// [`FlowTable::run`] names the same flow until the next call of that, of [`FlowTable::expire`] or [`FlowTable::drain`].
pub struct FlowTable {
    pub(super) entries: Vec<Entry>,
    pub(super) index: Index,
    pub(super) limits: Limits,
    pub(super) sweeper: Sweeper,
    pub(super) worker: WorkerId,
    pub(super) flows: usize,
    pub(crate) decisions: Decisions,
    /// Flows that ended in the current batch while another took over their slot.
    pub(super) reopened: Vec<Reopened>,
    pub(super) free: Free,
    /// What flows are known as.
    pub(crate) nat: Nat,
    /// Where their packets go.
    pub(crate) ways: Ways,
    /// Names flows and their owners.
    pub(super) steer: Option<SteerStage>,
}

/// Where ended flows are written and counted.
pub(super) struct Ledger<'a, R> {
    pub(super) records: &'a mut R,
    pub(super) counters: &'a mut WorkerCounters,
    pub(super) log: &'a DecisionLog,
}

impl<R: RecordSink> Ledger<'_, R> {
    pub(super) fn write(&mut self, record: &RawRecord) {
        let entry = record.entry();
        let sum = |of: fn(&Entry, Side) -> u64| of(entry, Side::Low) + of(entry, Side::High);
        self.log.settle(entry.ruling().decision, sum(Entry::packets), sum(Entry::bytes));
        match self.records.push(record) {
            Ok(()) => self.counters.records_written += 1,
            Err(_) => self.counters.records_lost += 1,
        }
    }
}

impl FlowTable {
    /// The most flows that one table can hold.
    pub const MAX_CAPACITY: usize = 1 << 27;

    /// Memory that a flow takes at most, index included, whether there is one or not.
    pub const BYTES_PER_FLOW: u64 = 128;

    /// What it takes besides where packets are routed, whether addresses are translated or not.
    pub const ROUTING_BYTES_PER_FLOW: u64 = (Ways::BYTES_PER_FLOW + Nat::BYTES_PER_FLOW) as u64;

    /// A table for `capacity` flows (at least one, at most [`Self::MAX_CAPACITY`]) of worker `worker`, with a small log of its
    /// own, for tests and benches.
    pub fn new(capacity: usize, worker: WorkerId) -> Self {
        Self::with_log(capacity, worker, DecisionLog::new(1 << 10))
    }

    /// A table for `capacity` flows (at least one, at most [`Self::MAX_CAPACITY`]) of worker `worker`, whose decisions are
    /// written to `log`.
    pub fn with_log(capacity: usize, worker: WorkerId, log: Arc<DecisionLog>) -> Self {
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY);
        Self {
            entries: memory::filled(Entry::FREE, capacity),
            index: Index::new(u32::try_from(capacity).unwrap_or(u32::MAX)),
            limits: Limits::new(&Timeouts::default()),
            sweeper: Sweeper::default(),
            worker,
            flows: 0,
            decisions: Decisions::new(log),
            reopened: Vec::with_capacity(Batch::<()>::MAX),
            free: Free::new(capacity),
            nat: Nat::new(),
            ways: Ways::default(),
            steer: None,
        }
    }

    /// Looks up or opens the flow of every keyed packet that is still undecided, tracks the connection and counts.
    ///
    /// A packet whose flow was judged under the generation in force gets that verdict here. Packets are taken in order,
    /// so a flow that one opens is there for the next.
    pub fn run(
        &mut self,
        cx: &Context<'_>,
        metas: &mut [Meta],
        records: &mut impl RecordSink,
        counters: &mut WorkerCounters,
    ) {
        self.refresh_limits(cx);
        let oldest = self.fetch_homes(metas);
        let log = Arc::clone(self.decisions.log());
        let mut ledger = Ledger { records, counters, log: &log };
        for (chunk, first) in metas.chunks_mut(Self::CHUNK).zip((0..).step_by(Self::CHUNK)) {
            let hints = self.ask(chunk);
            let strangers = hints.iter().filter(|hint| **hint == Hint::ABSENT).count();
            self.free.prepare(strangers, &self.entries);
            let mut newcomers = Newcomers::default();
            for ((meta, &hint), at) in chunk.iter_mut().zip(&hints).zip(first..) {
                let found = match hint {
                    Hint::ABSENT if !newcomers.may_hold(meta.hash) => None,
                    Hint::UNASKED => continue,
                    Hint(slot) if self.is_of(slot, meta) => Some(slot),
                    Hint(_) => self.find(meta).map(|place| place.slot),
                };
                let Some(found) = self.expected(cx, meta, found) else { continue };
                meta.slot = None;
                if meta.headers.icmp_error {
                    self.relate(cx, meta, found, &mut ledger);
                } else {
                    self.track(cx, (meta, at), found, oldest, &mut ledger);
                    if found.is_none() && meta.slot.is_some() {
                        newcomers.add(meta.hash);
                    }
                }
            }
        }
        self.part_from_reopened(metas);
        counters.flows_active = self.flows as u64;
    }

    /// The flow's ruling, if it was made under `generation`.
    pub fn ruling(&self, slot: Slot, generation: u32) -> Option<Ruling> {
        self.entries.get(slot.0 as usize)?.judged(generation)
    }

    /// Keeps a ruling.
    pub fn decide(&mut self, slot: Slot, generation: u32, ruling: Ruling) {
        if let Some(entry) = self.entries.get_mut(slot.0 as usize) {
            entry.judge(generation, ruling);
        }
    }

    /// Which end opened the flow.
    pub fn initiator(&self, slot: Slot) -> Option<Side> {
        Some(self.entries.get(slot.0 as usize)?.initiator())
    }

    /// Shows live flows to `visit`, from `cursor` on, at most `budget` of them; returns where to go on, or `None` at the
    /// end. Stops early, to go on with the same flow, when `visit` returns `false`. A flow that is there from the first call
    /// to the last is shown once, unless it was moved within the index meanwhile.
    pub fn walk(
        &self,
        cursor: u32,
        budget: usize,
        mut visit: impl FnMut(&FlowRecord) -> bool,
    ) -> Option<u32> {
        const LANE_BITS: u32 = 4;
        let mut left = budget.max(1);
        let mut lanes_left = u32::MAX << (cursor & ((1 << LANE_BITS) - 1));
        let mut bucket = (cursor >> LANE_BITS) as usize;
        while bucket < self.index.buckets() {
            if !self.index.holds_flows(bucket / Index::GROUP) {
                bucket = (bucket / Index::GROUP + 1) * Index::GROUP;
                lanes_left = u32::MAX;
                continue;
            }
            let mut lanes = self.index.used(bucket) & lanes_left;
            while let Some(place) = self.index.place(bucket, lanes) {
                let here = u32::try_from(bucket << LANE_BITS | place.lane).ok()?;
                if left == 0 {
                    return Some(here);
                }
                if let Some(entry) = self.entries.get(place.slot as usize)
                    && !visit(&self.raw(place.slot, entry, entry.last(), EndReason::Active).read())
                {
                    return Some(here);
                }
                left -= 1;
                lanes &= lanes - 1;
            }
            bucket += 1;
            lanes_left = u32::MAX;
        }
        None
    }

    /// How many different decisions there are, how many have lost the way to them, and how many flows raised no alert and triggered no
    /// capture.
    pub(crate) fn decisions_made(&self) -> [u64; 4] {
        let Decisions { lost, named_lost, triggers_lost, .. } = self.decisions;
        [self.decisions.log().len() as u64, lost, named_lost, triggers_lost]
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.flows
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        self.flows == 0
    }

    /// How many flows there may be.
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that the table takes, whatever it holds.
    pub fn memory(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.index.memory()
            + self.free.memory()
            + size_of::<Self>()
    }

    /// An ICMP error: it belongs to the flow of the packet that it quotes, if there is one, and changes no state there.
    fn relate<R: RecordSink>(
        &mut self,
        cx: &Context<'_>,
        meta: &mut Meta,
        found: Option<u32>,
        ledger: &mut Ledger<'_, R>,
    ) {
        let time = micros(meta.time);
        let found = found.filter(|slot| {
            let entry = self.entries.get(*slot as usize);
            entry.is_some_and(|entry| time.saturating_sub(entry.last()) <= self.limits.of(entry.phase))
        });
        let Some(slot) = found else {
            (meta.key, meta.side) = FlowKey::of(&meta.headers);
            return;
        };
        if self.is_stale(cx, slot) {
            self.rejudge(cx, meta, slot, ledger);
        }
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        entry.count(Passage { side: meta.side, time, length: meta.length });
        meta.slot = Some(Slot(slot));
        settle(cx, meta, entry, &self.decisions);
    }

    /// Any other packet.
    #[inline(always)]
    fn track<R: RecordSink>(
        &mut self,
        cx: &Context<'_>,
        (meta, at): (&mut Meta, usize),
        found: Option<u32>,
        oldest: Oldest,
        ledger: &mut Ledger<'_, R>,
    ) {
        let is_tcp = meta.headers.protocol == Protocol::TCP;
        // A later fragment has no TCP header; it is counted with its flow and changes nothing else.
        let has_tcp = is_tcp && meta.headers.fragment.kind != FragmentKind::Later;
        if has_tcp && tcp::is_malformed(meta.headers.tcp.flags) {
            meta.verdict = Verdict::Drop(DropReason::TcpFlags);
            return;
        }
        let time = oldest.micros(meta.time);
        let claim = found.filter(|_| has_tcp).and_then(|slot| {
            tcp::claimed(self.entries.get(slot as usize)?, meta.side, meta.headers.tcp, time)
        });
        let mut is_over = found.is_some_and(|slot| self.is_over(slot, meta, time, has_tcp));
        // Only ICMP has a type, and only an answer has type 0.
        if (has_tcp || meta.headers.icmp != [0; 2])
            && !is_over
            && found.is_some_and(|slot| self.is_contradicted(cx, slot, meta, has_tcp))
        {
            if !self.may_ask(cx, meta) {
                return;
            }
            is_over = true;
        }
        let slot = match found {
            Some(slot) if claim.is_none() && !is_over => slot,
            Some(_) | None => {
                let opening = match claim {
                    Some(_) => Some((Phase::TcpSynSent, meta.side.other())),
                    None => opening(cx, meta, has_tcp),
                };
                // A flow that is over stays for the sweeper: an earlier packet of the batch may refer to it.
                let Some(opening) = opening else { return };
                let opened = match found {
                    Some(_) => self.reopen(cx, (meta, at), opening, time, ledger),
                    None => self.open(cx, meta, opening, time, oldest, ledger),
                };
                let Some(slot) = opened else { return };
                slot
            }
        };
        if self.is_stale(cx, slot) {
            self.rejudge(cx, meta, slot, ledger);
        }
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };

        let before = entry.standing();
        if let Some(end) = claim {
            tcp::resume(entry, end);
        }
        if has_tcp {
            let headers = &meta.headers;
            let payload = u32::from(headers.end.saturating_sub(headers.payload_offset));
            tcp::follow(entry, meta.side, headers.tcp, payload, time);
        } else if !is_tcp {
            entry.raise(Flag::seen(meta.side));
            if entry.is_replied() {
                entry.phase = entry.phase.answered();
            }
        }
        entry.count(Passage { side: meta.side, time, length: meta.length });
        meta.slot = Some(Slot(slot));
        settle(cx, meta, entry, &self.decisions);
        if before != entry.standing() {
            self.announce(meta);
        }
    }

    /// Tells the index that a flow may end sooner, or may be evicted, or may not any more.
    fn announce(&mut self, meta: &Meta) {
        let Some(place) = self.find(meta) else { return };
        let Some(entry) = self.entries.get(place.slot as usize) else { return };
        let deadline = entry.last().saturating_add(self.limits.of(entry.phase));
        self.index.set(place, self.sweeper.sooner(self.index.due_at(place), deadline), entry.is_weak());
    }

    /// Whether the flow found for a packet is one that ended before it: idle for too long, or closed while the packet asks
    /// for a new connection.
    pub(super) fn is_over(&self, slot: u32, meta: &Meta, time: u64, has_tcp: bool) -> bool {
        const SYN: u8 = tcp_flags::SYN;
        self.entries.get(slot as usize).is_some_and(|entry| {
            time.saturating_sub(entry.last()) > self.limits.of(entry.phase)
                || (has_tcp
                    && entry.phase.is_closed()
                    && meta.headers.tcp.flags & (SYN | tcp_flags::ACK) == SYN)
        })
    }

    /// Whether a packet asks for a connection, or is a request of ICMP, although its sender is taken for the end that answers,
    /// because the beginning of what it belongs to was not seen. What was picked up may have been forged to have the request
    /// pass as an answer; so it is judged as what it is, and if it may not pass it changes nothing.
    fn is_contradicted(&self, cx: &Context<'_>, slot: u32, meta: &Meta, has_tcp: bool) -> bool {
        const SYN: u8 = tcp_flags::SYN;
        let entry = self.entries.get(slot as usize).filter(|entry| entry.initiator() != meta.side);
        entry.is_some_and(|entry| {
            if has_tcp {
                meta.headers.tcp.flags & (SYN | tcp_flags::ACK) == SYN
                    && entry.tcp_flags.of(entry.initiator()) & SYN == 0
            } else {
                meta.key.asking() == Some(meta.side) && !passes_unjudged(cx, meta)
            }
        })
    }

    /// Whether a packet that asks for a flow of its own may pass; if not, it is dropped.
    #[inline(never)]
    fn may_ask(&mut self, cx: &Context<'_>, meta: &mut Meta) -> bool {
        let request = cx.snapshot.policy.judge(&question_of_packet(cx, meta));
        let passes = request.action == Action::Allow;
        if !passes {
            let decision = self.decisions.make(&request.words, meta.time);
            self.decisions.settle(meta, Ruling { action: request.action, decision });
        }
        passes
    }

    /// Opens a flow for a packet that has none.
    #[inline(never)]
    fn open<R: RecordSink>(
        &mut self,
        cx: &Context<'_>,
        meta: &mut Meta,
        opening: (Phase, Side),
        time: u64,
        oldest: Oldest,
        ledger: &mut Ledger<'_, R>,
    ) -> Option<u32> {
        if self.flows == self.entries.len() {
            if self.index.has_room(meta.hash) {
                self.evict(cx, time, oldest, ledger);
            } else {
                // One of the flows in the way: evicting any other would not be enough.
                self.evict_from(self.index.both(meta.hash), cx, time, oldest, ledger);
            }
        }
        let due = self.sweeper.due(time.saturating_add(self.limits.of(opening.0)));
        let slot = self.free.take().filter(|&slot| {
            let placed = self.index.insert(meta.hash, slot, due, true)
                || (self.evict_from(self.index.both(meta.hash), cx, time, oldest, ledger)
                    && self.index.insert(meta.hash, slot, due, true));
            if !placed {
                self.free.give_back(slot);
            }
            placed
        });
        let Some(slot) = slot else {
            match cx.snapshot.flow.full {
                Exception::Drop => meta.verdict = Verdict::Drop(DropReason::FlowTableFull),
                Exception::Forward => ledger.counters.flows_untracked += 1,
            }
            return None;
        };
        self.flows += 1;
        self.begin(cx, meta, slot, opening, time, ledger);
        Some(slot)
    }

    /// Writes a new entry.
    pub(super) fn begin<R>(
        &mut self,
        cx: &Context<'_>,
        meta: &Meta,
        slot: u32,
        (phase, initiator): (Phase, Side),
        time: u64,
        ledger: &mut Ledger<'_, R>,
    ) {
        self.nat.forget(Slot(slot), time);
        self.ways.forget(Slot(slot));
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        let (here, exit) = (Some(meta.port), exit(cx, meta));
        let ports = if initiator == meta.side { [here, exit] } else { [exit, here] };
        *entry = Entry::open(meta.key, phase, initiator, time, ports);
        ledger.counters.flows_created += 1;
        if !matches!(phase.tcp(), None | Some(TcpState::SynSent)) {
            entry.handshake = Micros24::AMBIGUOUS;
            ledger.counters.tcp_picked_up += 1;
        }
    }

    pub(super) fn find(&self, meta: &Meta) -> Option<Place> {
        self.index.find(meta.hash, |slot| self.is_of(slot, meta))
    }

    /// Whether the flow in `slot` is that of a packet.
    fn is_of(&self, slot: u32, meta: &Meta) -> bool {
        self.entries.get(slot as usize).is_some_and(|entry| entry.is_of(&meta.key, meta.segment))
    }
}

impl fmt::Debug for FlowTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowTable")
            .field("worker", &self.worker)
            .field("flows", &self.flows)
            .field("capacity", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Whether a packet asks for no verdict.
fn passes_unjudged(cx: &Context<'_>, meta: &Meta) -> bool {
    meta.headers.neighbour_discovery && cx.snapshot.forward.passes_neighbour_discovery(meta.port)
}

/// Gives a packet its flow's verdict, if there is one.
fn settle(cx: &Context<'_>, meta: &mut Meta, entry: &mut Entry, decisions: &Decisions) {
    if passes_unjudged(cx, meta) {
        return;
    }
    match entry.judged(cx.snapshot.generation) {
        Some(ruling) => decisions.settle(meta, ruling),
        None => {
            // A limit refused its packets so far; meanwhile they may have another way to go.
            if entry.packets(Side::Low) + entry.packets(Side::High) > 1 {
                entry.follow_routes(cx, meta);
            }
            entry.raise(Flag::PENDING);
        }
    }
}
