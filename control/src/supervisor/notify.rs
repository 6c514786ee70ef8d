//! What the service manager is told. Without one nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The process does its work; `status` is one line for people.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock"),
    }
}

/// How the process does, in one line for people.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The process is about to end, and has this time for it.
pub fn stopping(limit: Duration) {
    let limit = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(limit)]);
}

/// Every worker makes progress.
pub fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// How often [`alive`] must be called.
pub fn interval() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::MAX, |timeout| timeout / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
