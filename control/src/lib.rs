//! The process `ravelin`: command line, compilation of configurations, replay, flow records.
//!
//! `cli/` has one file for each verb, [`compile`] turns configuration into what the packet path runs on, [`records`] writes
//! flows as JSON lines.

#![forbid(unsafe_code)]

pub mod compile;
