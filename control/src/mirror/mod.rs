//! The kernel's links, addresses, routes, rules and neighbours, mirrored through rtnetlink.
//!
//! ```text
//! kernel > socket > decode > Mirror: links, addresses, neighbours, next-hop objects ------------> changes > tell
//!             ^                      routes by table > groups of next hops > one view a VRF --/
//!             +-- follow (a thread): listens, asks for lists, batches
//! ```
//!
//! [`Follower::start`] is all that a user needs: it tells what is there, then what changes, as [`Change`]s that fit a longest-prefix match.
//! [`Mirror`] is the state without any socket. Routes lead to numbered [groups](GroupId) of next hops, which change in place when a link or a next-hop
//! object does: that an interface of a full table goes down is one change for each group over it, not for each route.
//!
//! Promises: what is told is what the kernel would do (rules to whole tables, VRFs, metrics, `throw`, multipath, next-hop objects), shortly after;
//! what it does without saying so, or says when nobody has room to hear it, is found by asking for lists again, and only differences are told; nothing
//! that the kernel says stops the following. Refuses: rules with conditions, types of service, and routes by source, which are named in warnings
//! ([`Mirror::not_followed`]); encapsulation and multicast, which are the kernel's ([`Target::Kernel`]). Read next: `state.rs`, `dump.rs`,
//! `docs/adr/0020-mirror-of-the-kernel.md`.

mod decode;
mod dump;
mod follow;
mod groups;
mod known;
mod rules;
mod socket;
mod state;
mod tables;
#[cfg(test)]
mod tests;
mod things;
mod view;

pub use self::{
    decode::Decoder,
    dump::Part,
    follow::{Counts, Follower, Settings},
    groups::{GroupId, Hop, Target},
    socket::Requests,
    state::{Change, Mirror},
    things::*,
};
