//! The process `ravelin`: command line, supervisor, reload, compilation, records, metrics, control socket.
//!
//! ```text
//! cli > supervisor > config::load > compile > reload (publish) > workers
//!              |                                                   |
//!        api, stats  <------- counter blocks, flow lists, traces --+
//! ```
//!
//! `cli/` has one file for each verb; [`supervisor`] starts, watches and stops the process; [`reload`] is the one path by
//! which a configuration comes into force; [`compile`] turns configuration into what the packet path runs on; [`identity`]
//! knows which endpoints and network sets a selector matches; [`api`] holds the handlers behind the control socket, [`stats`] the
//! metrics.
//!
//! Promises: whatever happens here never makes a packet wait. Refuses: unsafe code. Read next: `supervisor/mod.rs`.

#![forbid(unsafe_code)]

pub mod api;
pub mod appliance;
pub mod cli;
pub mod compile;
pub mod identity;
pub mod log;
pub mod records;
pub mod reload;
pub mod replay;
pub mod stats;
pub mod supervisor;
#[cfg(test)]
mod testing;
