//! Threat feeds: where their copies come from, and which of what they say may not be acted upon.
//!
//! ```text
//! schedule (when) > fetcher (threads) > fetch or file (how) > guard (what may never be blocked) > store (last good copy)
//! ```
//!
//! [`schedule`] and [`guard`] are pure: time and networks are arguments. [`fetch`] speaks HTTP and waits, which is why [`fetcher`]
//! gives it threads of its own; [`file`] reads and watches feeds that are files; [`store`] keeps the last good copy of each feed
//! on disk, for the next start and for when a source fails.
//!
//! Promises: a feed's source can neither make anything else wait nor take more memory than the feed's `max_size`; what cannot be
//! had, or is doubtful, leaves the last good copy in force; no error shows a secret. Refuses: to know what the bytes mean. Read
//! next: `fetch/mod.rs`; `docs/adr/0014-feed-fetching.md` for why HTTP is done so.

pub mod fetch;
pub mod fetcher;
pub mod file;
pub mod guard;
pub mod schedule;
pub mod store;
