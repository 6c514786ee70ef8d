use ravelin_config::{Capture, Trigger};
use ravelin_dataplane::capture::Fates;

use crate::capture::spec::{ReasonError, drop_reason};

/// What is wrong with `[capture.trigger]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// There is nothing to save from.
    #[error("there is no ring to save packets from: add [capture.ring] with `memory` or `disk`")]
    NoRing,
    /// A drop reason is none that captures know.
    #[error(transparent)]
    Reason(#[from] ReasonError),
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
    let reasons = trigger.drop_reasons.iter().map(|name| drop_reason(name));
    Ok(Fates::dropped_for(reasons.collect::<Result<Vec<_>, _>>()?))
}
