//! What the running process knows of feeds, and what they have found.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use ravelin_config::feed::FeedMode;
use ravelin_dataplane::verdict::DropReason;

use super::{Appliance, triggers::fire_alert};
use crate::{
    alerts::Alert,
    feeds::{
        Keeper,
        kernel::{KernelKeeper, KernelStatus},
        schedule::Status,
    },
    records::{Encoder, encode_standing},
    reload::Reloader,
};

impl Appliance {
    /// Returns when feeds say something else.
    pub async fn news(&self) {
        match &self.keeper {
            Some(keeper) => keeper.news().await,
            None => std::future::pending().await,
        }
    }

    /// Brings into force what feeds say now.
    pub(super) async fn update_feeds(&self, reloader: &mut Reloader) {
        let Some(update) = self.keeper.as_ref().and_then(Keeper::take) else { return };
        let names = update.changed.join(", ");
        match reloader.update_feeds(update) {
            Ok(Some(generation)) => {
                {
                    let mut in_force = self.in_force.lock();
                    in_force.generation = generation;
                    in_force.library = Arc::clone(reloader.library());
                }
                self.tell_kernel(reloader);
                let behind = reloader.settle(Self::PATIENCE, |worker| self.roster.wake(worker)).await;
                tracing::info!(generation, feeds = names, "feeds say something else");
                for worker in behind {
                    tracing::error!(%worker, "the worker has not taken over what feeds say yet");
                }
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, feeds = names, "feeds say something else, but not in force");
            }
        }
    }

    /// Has the kernel drop what feeds and policies say now.
    pub(super) fn tell_kernel(&self, reloader: &Reloader) {
        if let Some(kernel) = &self.kernel {
            kernel.follow(reloader.library(), || reloader.before_feeds());
        }
    }

    /// What is on the kernel's list of sources to drop.
    pub fn kernel_list(&self) -> KernelStatus {
        self.kernel.as_ref().map(KernelKeeper::status).unwrap_or_default()
    }

    /// Takes note of what workers that have stopped had still to tell.
    pub fn note_last(&self) {
        // Nobody else is left to hold it.
        if let Ok(reloader) = self.reloader.try_lock() {
            self.note_named(&reloader);
        }
        self.note_triggers();
    }

    /// Takes from the workers the flows with what feeds name.
    pub(super) fn note_named(&self, reloader: &Reloader) {
        let mut teller = self.teller.lock();
        let logs = teller.logs().to_vec();
        let window = reloader.running().threat.alert_window;
        // Made for the first alert, if there is one: it has the names of all ports and rules.
        let mut encoder = None;
        let triggers = self.triggers();
        for record in logs.iter().flat_map(|log| std::iter::from_fn(|| log.take_named())) {
            let record = record.read();
            let Some(told) = teller.tell(record.worker, record.decision) else { continue };
            let capture = |alert: &Alert| fire_alert(triggers.as_ref()?, &record, alert);
            let new = self.alerts.lock().note(&record, &told, reloader.library(), window, capture);
            for (alert, hit) in new.iter().filter_map(|alert| Some((alert, alert.hit()?))) {
                let encoder = encoder.get_or_insert_with(|| Encoder::new(reloader.ports(), teller.clone()));
                self.write_alert(|line| encoder.encode_hit(&record, alert, hit, line));
                tracing::warn!(
                    feed = hit.feed, indicator = hit.indicator, malware = hit.malware, endpoint = %hit.endpoint,
                    address = %hit.address, port = hit.port, verdict = hit.verdict, capture_file = alert.capture_file, "a feed names what an endpoint talks to"
                );
            }
        }
    }

    /// Tells which feeds have become stale, or are fresh again.
    pub(super) fn note_turned(&self) {
        for turn in self.keeper.iter().flat_map(Keeper::turned) {
            if turn.is_stale {
                let age = turn.age.map(|age| age.as_secs());
                tracing::warn!(
                    feed = turn.feed,
                    age,
                    error = turn.last_error,
                    "the feed is stale: its copy was not confirmed for too long"
                );
            } else {
                tracing::info!(feed = turn.feed, "the feed is fresh again");
            }
            let now = Timestamp::now();
            let alert = self.alerts.lock().turn(turn, now);
            self.write_alert(|line| encode_standing(&alert, now, line));
        }
    }

    /// Tells that inside ends find no outside port.
    pub(super) fn note_exhaustion(&self, reloader: &Reloader) {
        let dropped = self.totals().drops.count(DropReason::NatExhausted);
        let now = Timestamp::now();
        let window = reloader.running().threat.alert_window;
        let alert = self.alerts.lock().exhausted(dropped, window, now);
        if let Some(alert) = alert {
            tracing::warn!(
                dropped,
                "address translation has no port left for new connections: see `ravelin show nat`"
            );
            self.write_alert(|line| encode_standing(&alert, now, line));
        }
    }

    /// Writes an alert among the flow records, if there are any.
    fn write_alert(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(writer) = &*self.writer.lock() else { return };
        let mut line = Vec::new();
        encode(&mut line);
        if !writer.line(line) {
            tracing::warn!("an alert is not among the flow records: too many wait");
        }
    }

    /// The last alerts, the last ones last, and how many there were before them.
    pub fn alerts(&self) -> (Vec<Alert>, u64) {
        self.alerts.lock().all()
    }

    /// Flows with what a feed names, as often as they were judged, and how many of them were denied.
    pub fn hits(&self, feed: &str) -> (u64, u64) {
        self.alerts.lock().hits(feed)
    }

    /// Has feeds fetched now, all of them if none is named; says which.
    pub fn ask_feeds(&self, names: &[String]) -> Vec<String> {
        let library = self.in_force().library;
        let used = library.feeds().iter().filter(|shelf| shelf.feed.mode == FeedMode::Enabled);
        let wanted = used.filter(|shelf| names.is_empty() || names.contains(&shelf.feed.name));
        let wanted: Vec<_> = wanted.map(|shelf| shelf.feed.name.clone()).collect();
        if let Some(keeper) = &self.keeper {
            wanted.iter().for_each(|name| keeper.fetch(name));
        }
        wanted
    }

    /// How the feeds stand, by their names.
    pub fn feeds(&self) -> HashMap<String, Status> {
        self.keeper.as_ref().map(Keeper::status).unwrap_or_default()
    }
}
