use std::io;

use ravelin_config::types::Action;
use ravelin_dataplane::{
    clock::Timestamp,
    flow::{RawRecord, RecordLost, RecordSink},
};

use super::{FlowsByVerdict, alerts::Alerts};
use crate::{alerts::Alert, records::OrderedSink};

/// Counts flows by verdict on their way to the records, if there are any, and raises alerts.
#[derive(Debug)]
pub(super) struct Tally {
    flows: FlowsByVerdict,
    records: Option<OrderedSink>,
    alerts: Alerts,
}

impl Tally {
    pub(super) fn new(records: Option<OrderedSink>, alerts: Alerts) -> Self {
        Self { flows: FlowsByVerdict::default(), records, alerts }
    }

    /// Raises alerts about what was judged since the last call.
    pub(super) fn raise(&mut self) {
        self.alerts.take(|time, line| {
            if let Some(records) = &mut self.records {
                records.line(time, line);
            }
        });
    }

    /// All alerts, the last ones last, and how many are forgotten.
    pub(super) fn alerts(&self) -> (Vec<Alert>, u64) {
        self.alerts.all()
    }

    pub(super) const fn flows(&self) -> FlowsByVerdict {
        self.flows
    }

    pub(super) fn release(&mut self, until: Timestamp) {
        if let Some(records) = &mut self.records {
            records.release(until);
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.records.as_ref().is_some_and(OrderedSink::has_failed)
    }

    /// Writes what is left; `None` if no records are wanted.
    pub(super) fn finish(&mut self) -> io::Result<Option<u64>> {
        self.records.as_mut().map(OrderedSink::finish).transpose()
    }
}

impl RecordSink for Tally {
    fn push(&mut self, record: &RawRecord) -> Result<(), RecordLost> {
        match record.verdict() {
            Action::Allow => self.flows.allow += 1,
            Action::Deny | Action::Reject => self.flows.deny += 1,
        }
        self.records.as_mut().map_or(Ok(()), |records| records.push(record))
    }
}
