//! Flows.

mod key;
mod record;
mod settings;
mod steer;
mod table;
mod tcp;

pub use key::{FlowKey, Side};
pub use record::{EndReason, FlowRecord, FlowState, RecordLost, RecordSink};
pub use settings::{Evict, FlowSettings, Midstream, Timeouts};
pub use steer::SteerStage;
pub use table::{FlowTable, Slot};
pub use tcp::TcpState;
