use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use jiff::Timestamp;
use ravelin_config::types::Action;
use ravelin_dataplane::flow::FlowRecord;
use serde::{Deserialize, Serialize};

use crate::{
    feeds::Library,
    policy::{Direction, Told, verdict_name},
};

/// A feed names what somebody talks to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The feed.
    pub feed: String,
    /// The entry that names the address.
    pub indicator: String,
    /// What the feed says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malware: Option<String>,
    /// When the feed's makers saw it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    /// How bad that is, 1 to 100.
    pub severity: u8,
    /// Whether the flow goes to the address (`egress`) or comes from there (`ingress`).
    pub direction: String,
    /// What became of the flow: `allow`, `deny` or `reject`.
    pub verdict: String,
    /// The end that the feed does not name.
    pub endpoint: IpAddr,
    /// The end that it names.
    pub address: IpAddr,
    /// The port of the flow's destination; 0 if it has none.
    pub port: u16,
    /// When it was seen first.
    pub first: String,
    /// When it was seen last.
    pub last: String,
    /// How often a flow was judged.
    pub count: u64,
}

/// One endpoint and one entry of a feed.
type Key = (IpAddr, String, String);

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

    /// Notes a flow that was judged so, and says which alerts are new.
    pub fn note(
        &mut self,
        record: &FlowRecord,
        told: &Told,
        library: &Library,
        window: Duration,
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
                let key = (endpoint, mention.feed.name.clone(), mention.entry.to_string());
                // An earlier tier may have let it pass, or the feed is not about this direction.
                if !told.feeds.iter().any(|(side, feed)| *side == direction && *feed == key.1) {
                    continue;
                }
                let (hits, denied) = self.hits.entry(key.1.clone()).or_default();
                *hits += 1;
                *denied += u64::from(told.verdict != Action::Allow);
                if self.again(&key, now, window) {
                    continue;
                }
                let alert = Alert {
                    feed: mention.feed.name.clone(),
                    indicator: key.2.clone(),
                    malware: mention.details.malware.map(str::to_owned),
                    first_seen: mention.details.first_seen.map(|time| time.to_string()),
                    severity: mention.feed.severity,
                    direction: direction.name().to_owned(),
                    verdict: verdict_name(told.verdict).to_owned(),
                    endpoint,
                    address,
                    port: if has_ports { destination_port } else { 0 },
                    first: now.to_string(),
                    last: now.to_string(),
                    count: 1,
                };
                new.push(alert.clone());
                self.add(key, alert, now);
            }
        }
        new
    }

    /// Counts a hit of an alert that is open.
    fn again(&mut self, key: &Key, now: Timestamp, window: Duration) -> bool {
        let oldest = self.made - self.alerts.len() as u64;
        let at = self.open.get(key).and_then(|number| usize::try_from(number.checked_sub(oldest)?).ok());
        let Some((alert, since)) = at.and_then(|at| self.alerts.get_mut(at)) else { return false };
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

/// When the flow's last packet came.
fn time(record: &FlowRecord) -> Timestamp {
    i64::try_from(record.last.as_micros())
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .unwrap_or_default()
}
