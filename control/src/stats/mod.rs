//! Metrics: what workers published, in Prometheus' text form.
//!
//! Names are `ravelin_<subsystem>_<thing>_<unit>_total`, in base units; labels come from bounded sets only: worker, interface,
//! reason. Worker counters and drop reasons are declared in the packet path, and so is everything said about them here and
//! in `docs/counters.md` ([`reference()`]). Promises: reading costs workers nothing. Read next: `metrics.rs`.

mod metrics;
mod reference;
mod server;
#[cfg(test)]
mod tests;

pub use self::metrics::Metrics;
pub use reference::reference;
pub use server::{MetricsError, bind, serve};

use ravelin_dataplane::counters::{CounterInfo, CounterKind};

/// The metric of a worker counter: its name, its unit unless the name says it, and `total` if it only grows.
pub fn metric(info: &CounterInfo) -> String {
    let unit = if info.name.split('_').any(|word| word == info.unit) { "" } else { info.unit };
    let total = match info.kind {
        CounterKind::Counter => "total",
        CounterKind::Gauge => "",
    };
    let parts = ["ravelin_worker", info.name, unit, total];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}
