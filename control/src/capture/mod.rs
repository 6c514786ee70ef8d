//! Captures: expressions become programs, selections become the plan that workers ask, and what workers copy becomes files.
//!
//! `plan.rs` and `spec.rs` say what is wanted, `job.rs` what the configuration wants, `schedule.rs` when; `registry.rs` which captures there are;
//! `writer.rs` is the thread that takes what workers copy, with `file.rs` (a capture's files), `ring/` (what was last), `save.rs` (out of it, by what
//! `wanted.rs` says and the index of `mentions.rs`) and `budget.rs` (their room); `trigger/` saves by itself.
//!
//! Promises: a file is readable up to the last piece that was written, whatever happens; what was copied for a capture is either written or
//! counted as lost, or came after its end and is counted as that; a disk that is full, slow or gone never makes a worker wait. Refuses: to
//! delay a packet, and to write outside of its directory. Read next: `writer.rs`.

pub mod blocks;
mod budget;
mod comment;
mod decided;
mod encode;
mod expression;
mod file;
#[cfg(test)]
mod fixtures;
mod job;
mod marks;
mod mentions;
mod part;
mod plan;
pub mod registry;
mod ring;
mod save;
pub mod schedule;
mod spec;
#[cfg(test)]
mod tests;
pub mod trigger;
mod wanted;
mod writer;

pub use comment::Commentator;
pub use decided::Unknown;
pub use encode::{Compression, Format};
pub use expression::{ExpressionError, compile};
pub use file::{Spec, is_safe_name};
pub(crate) use job::check_jobs;
pub use plan::{Captures, RING};
pub use ring::RingSettings;
pub use save::{SaveRequest, Saved};
pub use spec::{CaptureSpec, Names, Point, SpecError, Verdict, Way, check_name};
pub use trigger::{Subject, TRIGGERS, Triggers};
pub use wanted::{FlowId, FlowName, Wanted, WantedError};
pub use writer::{CaptureState, CaptureStatus, CaptureWriter, Settings};
