use ravelin_config::{Capture, Trigger};
use ravelin_dataplane::{
    capture::{Fate, Fates},
    verdict::DropReason,
};

/// What is wrong with `[capture.trigger]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// There is nothing to save from.
    #[error("there is no ring to save packets from: add [capture.ring] with `memory` or `disk`")]
    NoRing,
    /// There is no such drop reason.
    #[error(
        "there is no drop reason `{0}`; `ravelin show drops --all` and docs/counters.md have all of them"
    )]
    Reason(String),
    /// Such packets are never captured.
    #[error("packets that are dropped for `{0}` are dropped where nothing is captured any more, or not yet")]
    NotCaptured(String),
}

/// Checks what triggers captures, beside the ring that there is.
///
/// # Errors
/// What is wrong.
pub fn check(capture: &Capture) -> Result<(), TriggerError> {
    if capture.trigger.is_on() && !capture.ring.is_there() {
        return Err(TriggerError::NoRing);
    }
    fates(&capture.trigger).map(drop)
}

/// The drop reasons that trigger captures.
pub(super) fn fates(trigger: &Trigger) -> Result<Fates, TriggerError> {
    let reasons = trigger.drop_reasons.iter().map(|name| {
        let found = DropReason::ALL.iter().find(|reason| reason.name() == name);
        let reason = *found.ok_or_else(|| TriggerError::Reason(name.clone()))?;
        if Fate::is_captured(reason) { Ok(reason) } else { Err(TriggerError::NotCaptured(name.clone())) }
    });
    Ok(Fates::dropped_for(reasons.collect::<Result<Vec<_>, _>>()?))
}
