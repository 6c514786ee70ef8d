//! Threat feeds: what others publish about addresses, domains, URLs and fingerprints, made into indicators.
//!
//! ```text
//! bytes > formats (unpack > detect > one parser for each format) > Indicators, and Problems by line
//! ```
//!
//! [`formats::parse`] is a function of its arguments alone; [`Indicators`] is what it fills, in a few bytes for each entry.
//!
//! Promises: whatever bytes come in, the answer is a value, within a memory that the limits bound; what is not understood is a
//! problem with its line, and never another indicator than the one that was written. Refuses: to say which indicators may be
//! blocked; to read files, to ask a server, or to know the time. Read next: `indicator.rs`, then `formats/mod.rs`.

pub mod formats;
mod indicator;

pub use indicator::{Addresses, Details, DetailsId, Indicator, Indicators, Range, Status, What};
