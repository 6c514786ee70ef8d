//! The process `ravelin`: command line, supervisor, reload, compilation, records, metrics, control socket.
//!
//! ```text
//! cli > supervisor > config::load > compile > reload (publish) > workers
//!              |                                                   |
//!        api, stats  <------- counter blocks, flow lists, traces --+
//! ```
//!
//! `cli/` has one file for each verb; [`supervisor`] starts, watches and stops the process; [`reload`] is the one path by
//! which a configuration comes into force; [`sources`] reads it, [`manifests`] among it those of Kubernetes and Calico; [`feeds`] knows
//! what others publish about addresses and domains; [`capture`] makes files of what workers copy;
//! [`identity`] knows which endpoints and network sets a selector matches, [`policy`] compiles, explains and changes policies,
//! [`compile`] all else that the packet path runs on; [`doctor`] says what of the machine helps and hinders; [`mirror`] follows
//! the kernel's routes and neighbours, and [`routing`] makes of them what workers follow; [`api`] holds the handlers behind the control socket, [`stats`] the
//! metrics.
//!
//! Promises: whatever happens here never makes a packet wait. Refuses: unsafe code. Read next: `supervisor/mod.rs`.

#![forbid(unsafe_code)]

pub mod alerts;
pub mod api;
pub mod appliance;
pub mod capture;
pub mod cli;
pub mod compile;
pub mod doctor;
pub mod feeds;
pub mod identity;
pub mod log;
pub mod manifests;
pub mod mirror;
pub mod policy;
pub mod records;
pub mod reload;
pub mod replay;
pub mod routing;
pub mod sources;
pub mod stats;
pub mod supervisor;
#[cfg(test)]
mod testing;
pub mod wireguard;
