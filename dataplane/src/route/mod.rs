//! Routes: which next hops an address has, by the longest prefix that it lies in.
//!
//! A [`Rib`] belongs to the control side: it knows all prefixes, takes changes, and makes of them a [`Fib`], which is immutable,
//! part of the snapshot, and what workers ask. A `Fib` shares with the one before it all that has not changed, so a change costs what
//! it touches. What a [`NextHopId`] stands for is a matter of who numbers them: an index into a list kept beside the `Fib`.
//!
//! Promises: the answer is exact; memory is proportional to the prefixes, and a lookup reads three or four cache lines
//! (`docs/adr/0019-routes.md`). Refuses: to know of gateways, interfaces, metrics or more than one table: which route of several to one
//! prefix is best is decided before. There are at most [`NextHopId::MOST`] numbers; whoever hands them out has to refuse more.
//!
//! Read `node` first, which finds a few bits of an address; then `table`, for the first 32 bits of either family, `longer`, for prefixes of
//! IPv6 beyond, and `runs`, which makes of prefixes that lie in each other stretches with one answer each.

mod block;
mod fib;
mod first;
mod lookups;
mod next_hop;
mod node;
mod prefixes;
mod rib;
mod routes;
mod runs;
mod stage;
mod table;
#[cfg(test)]
mod tests;

pub use fib::Fib;
pub(crate) use lookups::Lookups;
pub use next_hop::NextHopId;
pub use rib::{Change, Rib};
pub use routes::{Hop, Link, Mac, Neighbour, Neighbours, ReversePath, Routes, Target};
pub(crate) use stage::{Rewrite, decide, exit, rewrite};
