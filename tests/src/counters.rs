//! The appliance's counters as a test sees them.

use std::{collections::BTreeMap, ops::Index};

use serde_json::Value;

/// All counters at one moment: by name in total and by worker, and drops by reason.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    totals: BTreeMap<String, u64>,
    workers: BTreeMap<String, Vec<u64>>,
    drops: BTreeMap<String, u64>,
}

impl Counters {
    /// From the answers of `ravelin show counters --json` and `ravelin show drops --json`.
    pub fn new(counters: &Value, drops: &Value) -> Self {
        let mut found = Self::default();
        for counter in counters.as_array().expect("a list of counters") {
            let name = counter["name"].as_str().expect("counters have names").to_owned();
            let workers = counter["workers"].as_array().expect("counters have workers");
            found.totals.insert(name.clone(), number(&counter["total"]));
            found.workers.insert(name, workers.iter().map(number).collect());
        }
        for drop in drops.as_array().expect("a list of drops") {
            let reason = drop["reason"].as_str().expect("drops have reasons").to_owned();
            found.drops.insert(reason, number(&drop["packets"]));
        }
        found
    }

    /// Whether both were read when the same packets had come in.
    pub fn has_same_packets(&self, other: &Self) -> bool {
        ["received", "handed_in"].iter().all(|name| self[name] == other[name])
    }

    /// Packets dropped for `reason`.
    pub fn dropped(&self, reason: &str) -> u64 {
        *self.drops.get(reason).unwrap_or_else(|| panic!("there is no drop reason {reason}"))
    }

    /// Packets dropped for any reason.
    pub fn dropped_in_all(&self) -> u64 {
        self.drops.values().sum()
    }

    /// What each worker counted.
    pub fn workers(&self, name: &str) -> &[u64] {
        self.workers.get(name).unwrap_or_else(|| panic!("there is no counter {name}"))
    }

    /// Panics unless every packet that came in, or was made here, left by exactly one disposition, and workers took over
    /// what others handed off.
    pub fn assert_balanced(&self) {
        let taken = self["received"] + self["handed_in"] + self["injected"];
        let settled =
            self["forwarded"] + self["local"] + self["handed_off"] + self["consumed"] + self.dropped_in_all();
        assert_eq!(taken, settled, "the conservation law: {self:#?}");
        let (off, taken_over) = (self["handed_off"], self["handed_in"]);
        assert_eq!(off, taken_over, "packets were lost between workers");
    }

    /// Panics if packets were dropped for a reason that is not in `expected`.
    pub fn assert_drops_only(&self, expected: &[&str]) {
        let surprising: BTreeMap<_, _> = self
            .drops
            .iter()
            .filter(|(reason, packets)| **packets > 0 && !expected.contains(&reason.as_str()))
            .collect();
        assert!(
            surprising.is_empty(),
            "packets were dropped for {surprising:?}, expected was only {expected:?}"
        );
    }
}

impl Index<&str> for Counters {
    type Output = u64;

    fn index(&self, name: &str) -> &u64 {
        self.totals.get(name).unwrap_or_else(|| panic!("there is no counter {name}"))
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}
