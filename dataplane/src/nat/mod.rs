//! Network address translation of IPv4 between interfaces that route: many inside addresses behind few outside ones (RFC 3022), and services
//! published at another address than theirs.
//!
//! A flow is known by the addresses of those who talk, whatever others take them for: the client's own, and the server's own. So what
//! arrives for an outside address is given its real destination before its flow is looked up (`arrive.rs`), policy judges real ends, and only
//! what leaves is rewritten (`rewrite.rs`). A flow remembers what its ends are known as (`alias.rs`).
//!
//! Promises: one mapping for all that an inside address and port sends (endpoint-independent, RFC 4787 section 4.1), at the same port
//! outside if that is free, else with the same parity; one outside address for each inside address while that has ports (paired); hairpin;
//! ICMP errors translated with what they quote (RFC 5508). Nobody outside reaches a mapped port but whom the inside has spoken to. Each worker has ports of its own (`NatPlan::worker_of`), so that
//! both directions of a flow meet without a lock. Refuses: IPv6; protocols other than TCP, UDP and ICMP echo behind a shared address.
//!
//! Read `plan.rs` first, then `arrive.rs`, `leave.rs`. Why: `docs/adr/0023-nat.md`.

mod alias;
mod arrive;
mod leave;
mod mappings;
mod plan;
mod ports;
mod rewrite;
mod steer;
#[cfg(test)]
mod tests;

pub(crate) use alias::Alias;
pub use alias::NatFlow;
pub use arrive::{Arrival, Arrived};
pub(crate) use arrive::{arrive, stay};
pub(crate) use leave::{Leaving, translation};
pub use mappings::Nat;
pub use plan::{Class, Destination, Endpoint, External, NatPlan, Net, Pool, Source};
pub(crate) use rewrite::{Translation, rewrite};
pub(crate) use steer::{hairpin_owner, owner};
