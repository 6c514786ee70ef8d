use std::{sync::Arc, time::Duration};

use ravelin_dataplane::{clock::Timestamp, policy::DecisionLog};

use crate::{
    alerts::{Alert, Ledger},
    feeds::Library,
    policy::Teller,
    records::Encoder,
};

/// Raises alerts about the flows of a replay, as the appliance would.
#[derive(Debug)]
pub(super) struct Alerts {
    pub(super) log: Arc<DecisionLog>,
    pub(super) teller: Teller,
    pub(super) encoder: Encoder,
    pub(super) library: Library,
    /// How long what happens again is the same alert, in the time of the captures.
    pub(super) window: Duration,
    pub(super) ledger: Ledger,
}

impl Alerts {
    /// Takes from the worker what it has judged since the last call. New alerts are given to `write`, as lines among the records, with
    /// the times of their packets.
    pub(super) fn take(&mut self, mut write: impl FnMut(Timestamp, Vec<u8>)) {
        while let Some(record) = self.log.take_named() {
            let record = record.read();
            let Some(told) = self.teller.tell(record.worker, record.decision) else { continue };
            let new = self.ledger.note(&record, &told, &self.library, self.window, |_| None);
            for (alert, hit) in new.iter().filter_map(|alert| Some((alert, alert.hit()?))) {
                let mut line = Vec::new();
                self.encoder.encode_hit(&record, alert, hit, &mut line);
                write(record.last, line);
            }
        }
    }

    /// All alerts, the last ones last, and how many are forgotten.
    pub(super) fn all(&self) -> (Vec<Alert>, u64) {
        self.ledger.all()
    }
}
