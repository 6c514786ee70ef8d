//! Captures: copies of packets, with what became of them.
//!
//! A [`CapturePlan`] in the snapshot says which packets are wanted: each [`Selection`] is that of one capture. The stage copies what any
//! of them wants into a [`Chunk`], as blocks of a pcapng file, so that whoever writes files writes a chunk as it is; full chunks go to the
//! writer over a [`CaptureRing`], and come back empty. A capture is of packets as they were received, or as they leave: see [`Point`].
//!
//! Promises: no allocation, lock or system call; a packet is never delayed or lost because of a capture, and a copy that is lost is counted
//! (offered = filtered + captured + lost); bytes are those that were received, or those that leave. Refuses: to know of files and of names. Filters are
//! those of libpcap, as programs ([`Program`]) that are checked before they are run.

mod aligned;
mod chunk;
mod filter;
mod plan;
mod ring;
mod stage;
#[cfg(test)]
mod tests;

pub use aligned::AlignedBytes;
pub use chunk::{Chunk, ENTERPRISE, Fate, Label};
pub use filter::{Program, ProgramError, RawInstruction};
pub use plan::{CapturePlan, Direction, Fates, Point, Selection};
pub use ring::CaptureRing;
pub use stage::CaptureStage;
