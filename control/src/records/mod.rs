//! Flow records: what is written about every connection, one JSON object per line, in the EVE style of Suricata.
//!
//! ```text
//! worker k > RingSink > ring > Writer (thread) > Encoder > file or standard output     `ravelin run`
//! worker 0 > OrderedSink > (thread) > Encoder > file or standard output               `ravelin replay`
//! ```
//!
//! [`Encoder`] turns a `FlowRecord` into a line. [`RingSink`] never makes a worker wait; [`Writer`] empties the rings, outlives
//! a full disk and a rotated file, and knows exactly what it could not write. [`OrderedSink`] loses nothing and gives the
//! records an order of their own.
//!
//! Promises: records given to workers' sinks = written + lost in the ring + lost in writing. Refuses: aggregation, which is a
//! query, and any field that would have to be guessed. Read next: `encode.rs`.

mod community;
mod encode;
mod json;
mod ordered;
mod output;
mod protocol;
mod sink;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use community::CommunityId;
pub use community::CommunityIdError;
pub use encode::{Encoder, encode_standing};
pub use ordered::OrderedSink;
pub use output::Target;
pub use sink::{RecordRing, RingSink};
pub use writer::{Writer, WriterStats};
