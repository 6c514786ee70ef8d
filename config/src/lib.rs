//! The configuration language of Ravelin.
//!
//! Three layers: [`types`] are the words that configuration and packet path share; the model is what a TOML file may
//! say, without judgement; the validated configuration is what it means, and only this crate can make one.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod types;
