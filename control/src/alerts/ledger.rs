use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use jiff::Timestamp;
use ravelin_config::types::Action;
use ravelin_dataplane::flow::FlowRecord;

use super::{About, Alert, Exhaustion, Freshness, Hit, Standing};
use crate::{
    feeds::{Library, schedule::Turn},
    policy::{Direction, Told, verdict_name},
};

/// How bad it is that a feed is stale.
const STALE_SEVERITY: u8 = 50;

/// How bad it is that inside ends cannot be translated.
const EXHAUSTION_SEVERITY: u8 = 70;

/// What is one alert for as long as it is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// One endpoint, one feed and one entry of it.
    Hit(IpAddr, String, String),
    /// A feed that is stale.
    Feed(String),
    /// Want of outside ports.
    Nat,
}

/// The last alerts.
#[derive(Debug, Default)]
pub struct Ledger {
    alerts: VecDeque<(Alert, Timestamp)>,
    /// The number of the alert that is open for each key.
    pub(super) open: HashMap<Key, u64>,
    /// How many were made, which is the number of the next.
    made: u64,
    /// Hits of each feed, and those that were denied.
    hits: HashMap<String, (u64, u64)>,
}

impl Ledger {
    /// Alerts that are kept.
    const MOST: usize = 10_000;

    /// Notes a flow that was judged so, and says which alerts are new. `capture` says for each of them which file will have its packets.
    pub fn note(
        &mut self,
        record: &FlowRecord,
        told: &Told,
        library: &Library,
        window: Duration,
        capture: impl Fn(&Alert) -> Option<String>,
    ) -> Vec<Alert> {
        let (source, source_port) = record.key.end(record.initiator);
        let (destination, destination_port) = record.key.end(record.initiator.other());
        let has_ports = record.key.protocol().has_ports();
        let now = time(record);
        let mut new = Vec::new();
        for direction in [Direction::Egress, Direction::Ingress] {
            let ((address, port), endpoint) = match direction {
                Direction::Egress => ((destination, destination_port), source),
                Direction::Ingress => ((source, source_port), destination),
            };
            for mention in library.about(address, has_ports.then_some(port)) {
                let (feed, indicator) = (&mention.feed.name, mention.entry.to_string());
                // An earlier tier may have let it pass, or the feed is not about this direction.
                if !told.feeds.iter().any(|(side, named)| *side == direction && named == feed) {
                    continue;
                }
                let (hits, denied) = self.hits.entry(feed.clone()).or_default();
                *hits += 1;
                *denied += u64::from(told.verdict != Action::Allow);
                let key = Key::Hit(endpoint, feed.clone(), indicator.clone());
                if self.again(&key, now, window) {
                    continue;
                }
                let hit = Hit {
                    feed: feed.clone(),
                    indicator,
                    malware: mention.details.malware.map(str::to_owned),
                    first_seen: mention.details.first_seen.map(|time| time.to_string()),
                    direction: direction.name().to_owned(),
                    verdict: verdict_name(told.verdict).to_owned(),
                    endpoint,
                    address,
                    port: if has_ports { destination_port } else { 0 },
                };
                let mut alert = new_alert(About::Indicator(hit), mention.feed.severity, now);
                alert.capture_file = capture(&alert);
                new.push(alert.clone());
                self.add(key, alert, now);
            }
        }
        new
    }

    /// Notes that a feed has become stale, which is a new alert, or is fresh again, which closes it. Says how it is now.
    pub fn turn(&mut self, turn: Turn, now: Timestamp) -> Alert {
        let Turn { feed, is_stale, age, last_error } = turn;
        let key = Key::Feed(feed.clone());
        let state = if is_stale { Freshness::Stale } else { Freshness::Fresh };
        if !is_stale && let Some((alert, _)) = self.find(&key) {
            alert.last = now.to_string();
            if let About::Feed(standing) = &mut alert.about {
                standing.state = state;
            }
            let alert = alert.clone();
            self.open.remove(&key);
            return alert;
        }
        let age_seconds = age.map(|age| age.as_secs());
        let about = About::Feed(Standing { feed, state, age_seconds, last_error });
        let alert = new_alert(about, STALE_SEVERITY, now);
        // That a feed is fresh is no news, but when it was stale; and that has been forgotten.
        if is_stale {
            self.add(key, alert.clone(), now);
        }
        alert
    }

    /// Notes for how many packets there has been no outside port since the process started. Says so if that is new, or has been forgotten for
    /// as long as `window`.
    pub fn exhausted(&mut self, dropped_packets: u64, window: Duration, now: Timestamp) -> Option<Alert> {
        let about = About::Nat(Exhaustion { dropped_packets });
        if let Some((alert, _)) = self.find(&Key::Nat) {
            if alert.about == about {
                return None;
            }
            alert.about = about.clone();
        }
        if dropped_packets == 0 || self.again(&Key::Nat, now, window) {
            return None;
        }
        let alert = new_alert(about, EXHAUSTION_SEVERITY, now);
        self.add(Key::Nat, alert.clone(), now);
        Some(alert)
    }

    /// An alert that is open, if it is still kept, and since when it is.
    fn find(&mut self, key: &Key) -> Option<&mut (Alert, Timestamp)> {
        let oldest = self.made - self.alerts.len() as u64;
        let at = usize::try_from(self.open.get(key)?.checked_sub(oldest)?).ok()?;
        self.alerts.get_mut(at)
    }

    /// Counts a hit of an alert that is open.
    fn again(&mut self, key: &Key, now: Timestamp, window: Duration) -> bool {
        let Some((alert, since)) = self.find(key) else { return false };
        let is_open = now.duration_since(*since).unsigned_abs() < window;
        if is_open {
            alert.count += 1;
            alert.last = now.to_string();
        }
        is_open
    }

    fn add(&mut self, key: Key, alert: Alert, now: Timestamp) {
        if self.alerts.len() == Self::MOST {
            self.alerts.pop_front();
            let oldest = self.made + 1 - Self::MOST as u64;
            // Once in so many: the rest has been replaced by later ones.
            if self.open.len() > 2 * Self::MOST {
                self.open.retain(|_, number| *number >= oldest);
            }
        }
        self.open.insert(key, self.made);
        self.alerts.push_back((alert, now));
        self.made += 1;
    }

    /// Flows with what a feed names, as often as they were judged, and how many of them were denied.
    pub fn hits(&self, feed: &str) -> (u64, u64) {
        self.hits.get(feed).copied().unwrap_or_default()
    }

    /// The alerts that are kept, the last ones last, and how many there were before them.
    pub fn all(&self) -> (Vec<Alert>, u64) {
        let alerts: Vec<_> = self.alerts.iter().map(|(alert, _)| alert.clone()).collect();
        let forgotten = self.made - alerts.len() as u64;
        (alerts, forgotten)
    }
}

fn new_alert(about: About, severity: u8, now: Timestamp) -> Alert {
    Alert { about, severity, first: now.to_string(), last: now.to_string(), count: 1, capture_file: None }
}

/// When the flow's last packet came.
fn time(record: &FlowRecord) -> Timestamp {
    i64::try_from(record.last.as_micros())
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .unwrap_or_default()
}
