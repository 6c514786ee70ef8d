//! Captures that something triggers: who tells of it, and how they stand.

use std::{fs, io};

use ravelin_config::Config;
use ravelin_dataplane::{
    flow::FlowRecord,
    policy::{Trigger, TriggerCause},
};

use super::{
    Appliance,
    captures::{CaptureDesk, CaptureError, files},
    whole_seconds,
};
use crate::{
    alerts::Alert,
    api::view,
    capture::{
        CaptureSpec, TRIGGERS, Triggers,
        registry::State,
        trigger::{Cause, Event, Standing, Subject},
    },
    policy::{Told, verdict_name},
};

impl Appliance {
    /// Who is told that something has happened; nobody without a ring.
    pub(super) fn triggers(&self) -> Option<Triggers> {
        self.captures.lock().as_ref()?.writer.triggers().cloned()
    }

    /// How triggers stand; `None` without a ring.
    pub fn triggers_standing(&self) -> Option<Standing> {
        self.triggers().map(|triggers| triggers.standing())
    }

    /// Has the packets of flows saved that met a rule which asks for it, or whose verdict has changed.
    pub(super) fn note_triggers(&self) {
        let mut teller = self.teller.lock();
        let triggers = self.triggers();
        let logs = teller.logs().to_vec();
        for Trigger { record, cause } in logs.iter().flat_map(|log| std::iter::from_fn(|| log.take_trigger()))
        {
            // They are taken in any case: otherwise old ones would come when there is somebody.
            let Some(triggers) = &triggers else { continue };
            let record = record.read();
            let told = teller.tell(record.worker, record.decision);
            let (destination, _) = record.key.end(record.initiator.other());
            let kind = match cause {
                TriggerCause::Rule => Cause::Rule,
                TriggerCause::Verdict(_) => Cause::Verdict,
            };
            triggers.fire(event(kind, &record, destination), || text(cause, &record, told.as_ref()));
        }
    }

    /// Removes the complete files of what was triggered.
    pub(super) fn remove_triggered(&self) -> Result<(), CaptureError> {
        let captures = self.captures.lock();
        let desk = captures.as_ref().ok_or(CaptureError::Unavailable)?;
        let directory = desk.directory.join(TRIGGERS);
        for file in files(&directory) {
            match fs::remove_file(directory.join(&file.name)) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(CaptureError::Files { name: TRIGGERS.to_owned(), source });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// The capture that has the files of what was triggered; `None` if nothing can be, and nothing was.
    pub(super) fn triggered(&self, desk: &CaptureDesk) -> Option<view::Capture> {
        let standing = desk.writer.triggers().map(Triggers::standing).unwrap_or_default();
        let files = files(&desk.directory.join(TRIGGERS));
        let fired = standing.counts.iter().any(|counts| counts.fired > 0);
        if files.is_empty() && !fired && !asks(&self.in_force().config) {
            return None;
        }
        let Standing { counts, under_way, packets, bytes, gone, error } = standing;
        let state = match &error {
            Some(error) => State::Error(error.clone()),
            None if under_way > 0 => State::Capturing,
            None => State::WaitingForTraffic,
        };
        let counts = Cause::KINDS.into_iter().zip(counts);
        let counts = counts.map(|(cause, counts)| view::TriggerCounts {
            cause: cause.to_owned(),
            fired: counts.fired,
            written: counts.written,
            failed: counts.failed,
            suppressed: counts.suppressed,
        });
        Some(view::Capture {
            name: TRIGGERS.to_owned(),
            state: state.name().to_owned(),
            error,
            spec: CaptureSpec::named(TRIGGERS),
            job: false,
            begins: None,
            started: Some(whole_seconds(self.started)),
            skipped: 0,
            ends: None,
            ended: None,
            packets,
            bytes,
            lost: gone,
            files,
            triggers: counts.collect(),
        })
    }
}

/// Has the packets of a flow saved that an alert is about, if that is wanted. The path of the file.
pub(super) fn fire_alert(triggers: &Triggers, record: &FlowRecord, alert: &Alert) -> Option<String> {
    let hit = alert.hit()?;
    triggers.fire_alert(alert.severity, event(Cause::Alert, record, hit.address), || {
        format!("an alert: {} names {} as {}", hit.feed, hit.address, hit.indicator)
    })
}

fn event(cause: Cause, record: &FlowRecord, address: std::net::IpAddr) -> Event {
    Event { cause, subject: Subject::Flow(record.key), address: Some(address), time: record.last }
}

/// What happened, for the file.
fn text(cause: TriggerCause, record: &FlowRecord, told: Option<&Told>) -> String {
    let way = told.map(|told| told.enforced.join(", ")).unwrap_or_default();
    let now = verdict_name(record.verdict);
    match cause {
        TriggerCause::Rule => format!("a rule that captures was met: {way}"),
        TriggerCause::Verdict(before) => {
            format!("the verdict changed from {} to {now}: {way}", verdict_name(before))
        }
    }
}

/// Whether a configuration has anything trigger a capture.
fn asks(config: &Config) -> bool {
    let policies = config.resources.policies.iter().flat_map(|it| it.ingress.iter().chain(&it.egress));
    let profiles = config.resources.profiles.iter().flat_map(|it| it.ingress.iter().chain(&it.egress));
    config.capture.trigger.is_on() || policies.chain(profiles).any(|rule| rule.capture)
}
