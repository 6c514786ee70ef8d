//! Where packets go: through a bridge, transparent but for checksums that a local stack left unfinished, or where their route leads.
//!
//! Promises: through a bridge VLAN tags, MAC addresses and TTL leave as they came. Frames that carry no IP are forwarded or dropped as
//! the bridge's configuration says; what a monitor interface receives is consumed. Refuses: frames that are longer than the
//! outgoing interface allows. Read next: `stage.rs`, `../route/stage.rs`, `checksum.rs`, `docs/adr/0007-partial-checksums.md`.

pub mod checksum;
mod plan;
mod stage;
#[cfg(test)]
mod tests;

pub(crate) use checksum::{fold, is_tcp_partial, sum};
pub use plan::{NonIp, Plan, Port, Segment};
pub use stage::ForwardStage;
pub(crate) use stage::exit;
