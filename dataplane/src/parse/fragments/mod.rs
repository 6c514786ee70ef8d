//! Fragments: which datagram a fragment belongs to, and whether it may.
//!
//! A later fragment has no ports, so no rule can judge it. [`FragmentTable`] remembers the first fragment's and gives them
//! to the later ones, which then travel as packets of the same flow. Nothing is held back and nothing is reassembled.
//!
//! Promises: what passes of one datagram never overlaps and never contradicts itself about the datagram's end; memory is
//! taken once, when the table is made; at most `capacity` datagrams are tracked, for at most the configured time.
//! Refuses: later fragments that come before their first, and everything of a datagram once two of its fragments
//! overlapped (RFC 5722). Why: `docs/adr/0005-fragments.md`. Read next: `table.rs`, `ranges.rs`.

mod ranges;
mod table;
#[cfg(test)]
mod tests;

use ravelin_config::types::{Exception, Protocol};

use self::{
    ranges::{Ranges, Refusal},
    table::{Key, Table},
};
use super::{FragmentKind, FragmentSettings};
use crate::{
    batch::Meta,
    clock::Timestamp,
    counters::WorkerCounters,
    hash::FlowHasher,
    pipeline::Context,
    verdict::{DropReason, Verdict},
};

/// Ties later fragments to the ports of their first fragment.
#[derive(Debug)]
pub struct FragmentTable {
    datagrams: Table<Datagram>,
    /// The latest time seen. Datagrams are queued by it, so it must not go back when a capture's packets do.
    now: Timestamp,
}

/// What is remembered of a datagram.
#[derive(Clone, Copy, Debug, Default)]
struct Datagram {
    /// When its first fragment came.
    created: Timestamp,
    protocol: Protocol,
    source_port: u16,
    destination_port: u16,
    icmp: [u8; 2],
    /// Whether fragments of it overlapped: then nothing of it passes any more.
    poisoned: bool,
    ranges: Ranges,
}

impl FragmentTable {
    /// A table for `capacity` datagrams.
    pub fn new(capacity: usize) -> Self {
        Self { datagrams: Table::new(capacity, FlowHasher::random()), now: Timestamp::ZERO }
    }

    /// Judges the fragments of one batch that are undecided and not yet tied to their first fragment.
    pub fn run(&mut self, cx: &Context<'_>, metas: &mut [Meta], counters: &mut WorkerCounters) {
        for meta in metas.iter_mut().filter(|meta| meta.verdict.is_undecided() && !meta.resolved) {
            let judged = match meta.headers.fragment.kind {
                FragmentKind::Whole => continue,
                FragmentKind::First => self.first(&cx.snapshot.fragments, meta, counters),
                FragmentKind::Later => self.later(&cx.snapshot.fragments, meta),
            };
            match judged {
                Ok(()) => meta.resolved = true,
                Err(reason) => meta.verdict = Verdict::Drop(reason),
            }
        }
        counters.fragments_active = self.datagrams.len() as u64;
    }

    /// Forgets datagrams that have waited too long, at most `budget` of them.
    pub fn expire(&mut self, cx: &Context<'_>, budget: usize, counters: &mut WorkerCounters) {
        self.now = self.now.max(cx.now);
        for _ in 0..budget {
            if !self.expire_oldest(&cx.snapshot.fragments) {
                break;
            }
        }
        counters.fragments_active = self.datagrams.len() as u64;
    }

    /// Forgets the oldest datagram if its time is up, and says whether it was. All wait equally long, so the oldest is
    /// the first to go, also after a reload has changed how long.
    fn expire_oldest(&mut self, settings: &FragmentSettings) -> bool {
        match self.datagrams.oldest() {
            Some((slot, datagram)) if self.now.since(datagram.created) >= settings.timeout => {
                self.datagrams.remove(slot);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Opens an entry for the datagram of a first fragment.
    fn first(
        &mut self,
        settings: &FragmentSettings,
        meta: &Meta,
        counters: &mut WorkerCounters,
    ) -> Result<(), DropReason> {
        let key = Key::of(&meta.headers, meta.port);
        self.now = self.now.max(meta.time);
        if let Some(slot) = self.find(settings, &key) {
            // A second first fragment overlaps the one before, even if it is the same.
            if let Some(datagram) = self.datagrams.value_mut(slot) {
                datagram.poisoned = true;
            }
            return Err(DropReason::FragmentOverlap);
        }

        let mut datagram = Datagram {
            created: self.now,
            protocol: meta.headers.protocol,
            source_port: meta.headers.source_port,
            destination_port: meta.headers.destination_port,
            icmp: meta.headers.icmp,
            poisoned: false,
            ranges: Ranges::default(),
        };
        datagram.ranges.add(&meta.headers.fragment).map_err(Refusal::reason)?;
        // Work per batch is bounded, so a table can be full of datagrams whose time is up. One insertion needs one place.
        if self.datagrams.is_full() {
            self.expire_oldest(settings);
        }
        match (self.datagrams.insert(key, datagram), settings.full) {
            (Ok(()), _) => Ok(()),
            (Err(_), Exception::Drop) => Err(DropReason::FragmentTableFull),
            (Err(_), Exception::Forward) => {
                counters.fragments_untracked += 1;
                Ok(())
            }
        }
    }

    /// Gives a later fragment what its first fragment had.
    fn later(&mut self, settings: &FragmentSettings, meta: &mut Meta) -> Result<(), DropReason> {
        let headers = &mut meta.headers;
        self.now = self.now.max(meta.time);
        let slot = self.find(settings, &Key::of(headers, meta.port)).ok_or(DropReason::FragmentOrphan)?;
        let datagram = self.datagrams.value_mut(slot).ok_or(DropReason::FragmentOrphan)?;
        if datagram.poisoned {
            return Err(DropReason::FragmentOverlap);
        }
        datagram.ranges.add(&headers.fragment).map_err(|refusal| {
            datagram.poisoned = refusal == Refusal::Overlap;
            refusal.reason()
        })?;
        headers.protocol = datagram.protocol;
        headers.source_port = datagram.source_port;
        headers.destination_port = datagram.destination_port;
        headers.icmp = datagram.icmp;
        if datagram.ranges.is_complete() {
            self.datagrams.remove(slot);
        }
        Ok(())
    }

    /// The datagram's entry, unless its time is up: whether a packet passes must not depend on when [`Self::expire`] was
    /// last called, or a replay would give other records with other batch sizes.
    fn find(&mut self, settings: &FragmentSettings, key: &Key) -> Option<table::Slot> {
        let slot = self.datagrams.find(key)?;
        if self.now.since(self.datagrams.value(slot)?.created) < settings.timeout {
            return Some(slot);
        }
        self.datagrams.remove(slot);
        None
    }
}
