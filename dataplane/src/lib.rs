//! The packet path of Ravelin.
//!
//! ```text
//! worker k   receive > decode > tunnel_in > fragments > steer > flow > policy > forward > capture > settle > tunnel_out > transmit
//! (core k)                                                |
//!                     bounded handoff rings between workers
//! ```
//!
//! [`pipeline`] holds the order of stages, [`worker`] the loop around it. A worker owns its state and shares exactly
//! three things with the rest of the process: a snapshot reader ([`snapshot`]), a published counter block
//! ([`counters`]), and bounded rings ([`handoff`], [`command`], and the one behind its record sink).
//!
//! Promises: per packet no allocation, lock, system call, clock read, log line or formatting; every packet gets exactly one
//! disposition; every table has a capacity. Refuses: to know of TOML, HTTP or names of rules.

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod batch;
pub mod capture;
pub mod clock;
pub mod command;
pub mod counters;
pub mod flow;
pub mod forward;
pub mod handoff;
pub mod hash;
pub mod io;
pub mod nat;
pub mod parse;
pub mod pipeline;
pub mod policy;
mod prefetch;
pub mod route;
pub mod snapshot;
pub mod stop;
mod tell;
pub mod threat;
pub mod verdict;
pub mod wake;
pub mod wireguard;
pub mod worker;
