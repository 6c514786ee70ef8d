//! Routes: which next hops an address has, by the longest prefix that it lies in.
//!
//! A [`Rib`] belongs to the control side: it knows all prefixes, takes changes, and makes of them a [`Fib`], which is immutable,
//! part of the snapshot, and what workers ask. A `Fib` shares with the one before it all that has not changed, so a change costs what
//! it touches. What a [`NextHopId`] stands for is a matter of who numbers them: an index into a list kept beside the `Fib`.
//!
//! Promises: the answer is exact; memory is proportional to the prefixes, and a lookup of IPv4 reads two cache lines besides those on the way
//! to the block, which all share (`docs/adr/0019-routes.md`). Refuses: to know of gateways, interfaces, metrics or more than one table: which route of several to one
//! prefix is best is decided before. There are at most [`NextHopId::MOST`] numbers; whoever hands them out has to refuse more.
//!
//! Read `block` first, which finds 12 bits of an address, and `node`, which finds those behind; then `table`, which finds the block, `first`, which
//! finds the table of an address of IPv6, and `runs`, which makes of prefixes that lie in each other stretches with one answer each.

mod block;
mod fib;
mod first;
mod lookups;
mod mss;
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
mod ways;

pub use fib::Fib;
pub(crate) use lookups::Lookups;
pub(crate) use mss::clamp as clamp_mss;
pub use next_hop::NextHopId;
pub use rib::{Change, Rib};
pub(crate) use routes::OwnWay;
pub use routes::{Hop, Link, Mac, Neighbour, Neighbours, ReversePath, Routes, Target};
pub(crate) use stage::{
    Rewrite, decide, exit, hand_over_translated, is_of_link, rewrite, spend_hop, too_long_for,
};
pub(crate) use ways::Ways;
