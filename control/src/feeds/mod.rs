//! Threat feeds: what others publish about addresses, domains, URLs and fingerprints, made into indicators.
//!
//! ```text
//! schedule (when) > fetcher (threads) > fetch or file (how) > store (last good copy)
//!   > formats (unpack > detect > one parser for each) > guard (what may never be blocked) > contents > library > policy
//! ```
//!
//! [`schedule`] and [`guard`] are pure: time and networks are arguments; so is [`formats::parse`]. [`fetch`] speaks HTTP and waits, which
//! is why [`fetcher`] gives it threads of its own; [`store`] keeps the last good copy of each feed on disk, for the next start and for
//! when a source fails. A [`Library`] is all feeds with what they say; it makes the indicators that the packet path asks and a network
//! set for each feed, and finds the entries that name an address. The [`Keeper`] keeps it up to date while the process runs;
//! [`kernel`] has the kernel drop what some feeds name, where the operator wants that.
//!
//! Promises: whatever bytes come in, the answer is a value, within a memory that the limits bound; what is not understood is a
//! problem with its line, and never another indicator than the one that was written; what cannot be had, or is doubtful, leaves the
//! last good copy in force; no error shows a secret. Refuses: to make anything else wait. Read next: `library.rs`, `keeper.rs`.

mod contents;
pub mod fetch;
pub mod fetcher;
pub mod file;
pub mod formats;
pub mod guard;
mod indicator;
mod keeper;
pub mod kernel;
mod library;
mod needed;
mod read;
pub mod schedule;
pub mod store;
#[cfg(test)]
pub(crate) mod tests;

pub use contents::{Contents, Held};
pub use indicator::{Addresses, Details, DetailsId, Indicator, Indicators, Status, What};
pub use keeper::{Keeper, Update};
pub use library::{CopyNote, Library, Mention, Shelf};
