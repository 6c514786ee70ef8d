//! The configuration language of Ravelin: a TOML file and those that it includes in, a [`Config`] or a [`Report`] out.
//!
//! Four layers. [`types`] are the words that configuration and packet path share, [`resources`] and [`selector`]
//! those of policy, which other sources than TOML speak as well, [`feed`] those of threat feeds. The model (`model/`, one file for each
//! section) declares every key once, with type, default, effect and help; it is what a file may say. `validate/`
//! turns it into the [`Config`], which is what the files mean and which only this crate can make. [`diff()`]
//! says which parts of a new configuration a running process can take over. The reference page is generated
//! from the declarations ([`reference()`]).
//!
//! Promises: every mistake of a file is reported in one run, with file, line, column and caret; whatever
//! bytes come in, the answer is a value, never a panic; a [`Config`] has been checked as a whole. Refuses:
//! unknown keys and values that would have to be guessed. Read next: `model/bridge.rs` as an example of a
//! section, `schema/mod.rs` for what its declaration yields, `validate/mod.rs` for the order of the checks.
//!
//! ```
//! let report = ravelin_config::parse("[workers]\nbacth = 64\n", "edge.toml").unwrap_err();
//! assert_eq!(
//!     report.to_string(),
//!     "error[C003]: there is no key `bacth` in `workers`\n \
//!      --> edge.toml:2:1\n  \
//!        |\n\
//!      2 | bacth = 64\n  \
//!        | ^^^^^ did you mean `batch`?\n\n\
//!      1 error"
//! );
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod cron;
mod diff;
mod duration;
pub mod feed;
mod job;
mod load;
mod model;
pub mod nat;
mod pattern;
mod reference;
mod report;
pub mod resources;
mod schema;
pub mod selector;
mod size;
pub mod types;
mod validate;
pub mod wireguard;

pub use cron::{Cron, CronError, Zone, ZoneError};
pub use diff::{Change, diff};
pub use duration::{DurationError, parse as parse_duration};
pub use job::{Job, Placed, is_capture_name};
pub use load::{Loaded, load, load_endpoints, parse};
pub use model::{
    Capture, CaptureCompression, CaptureDirection, CaptureFormat, CapturePoint, CaptureVerdict, ChecksumMode,
    Control, Enforcement, Evict, Fail, Flow, Fragments, Handling, Idle, InterfaceMode, Io, IoMode, Log,
    LogFormat, LogLevel, Metrics, Midstream, NapiThreads, NdHandling, Records, RecordsTarget, ReversePath,
    Ring, Threat, Timeouts, Trigger, Widest, Workers, ZeroCopy,
};
pub use pattern::FilePattern;
pub use reference::reference;
pub use report::{Code, Diagnostic, Report, Severity, Span};
pub use schema::reader::distance;
pub use size::{SizeError, parse as parse_size};
pub use validate::{Bridge, Config, Interface};
