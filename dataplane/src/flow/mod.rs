//! Flows: who talks to whom, for how long, and what was decided about it.
//!
//! A [`FlowTable`] belongs to one worker. Both directions of a connection have one [`FlowKey`]; the keyed hash of that and of
//! the segment that they are on names the worker ([`SteerStage`]) and the flow's place in that worker's table. The table
//! follows TCP connections, counts in both directions, keeps the verdict of policy, and hands over a [`RawRecord`] when a flow
//! ends, of which the reader makes a [`FlowRecord`].
//!
//! Promises: all memory is taken at the start, 128 bytes a flow at most; a look-up costs a bounded number of cache lines,
//! fetched for a whole batch at once; work per batch is bounded; what can be evicted is never an established flow; the same
//! packets give the same records in the same order, whatever the batch size. Refuses: to decide about packets (except those
//! that cannot be TCP), to read a clock, to allocate. Read next: `table.rs`, then `tcp.rs`, `sweep.rs`, `index.rs`, and
//! `docs/adr/0006-flow-table.md` for why it is so.

mod ahead;
mod change;
mod entry;
mod free;
mod index;
mod key;
mod lanes;
pub(crate) mod memory;
mod phase;
mod record;
mod reopen;
mod settings;
mod start;
mod steer;
mod sweep;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod translated;

pub use key::{FlowKey, Side};
pub use record::{EndReason, FlowRecord, FlowState, RawRecord, RecordLost, RecordSink};
pub use settings::{Evict, FlowSettings, Midstream, Timeouts};
pub use steer::SteerStage;
pub use table::{FlowTable, Slot};
pub use tcp::TcpState;
