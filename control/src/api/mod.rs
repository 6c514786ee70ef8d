//! What can be asked of a running process, over its Unix socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | [`view::Status`] |
//! | `GET /interfaces` | list of [`view::Interface`] |
//! | `GET /workers` | list of [`view::Worker`] |
//! | `GET /counters` | list of [`view::Counter`] |
//! | `GET /drops` | list of [`view::Drop`] |
//! | `GET /flows?src=&dst=&port=&proto=&verdict=&top=&limit=` | [`view::Flows`] |
//! | `GET /nat?limit=` | [`view::Nat`] |
//! | `GET /policy?unused=` | [`view::Used`] |
//! | `GET /staged?limit=` | [`view::StagedFlows`] |
//! | `GET /cut?limit=` | [`view::CutFlows`] |
//! | `GET /feeds` | list of [`view::Feed`] |
//! | `POST /feeds/update?name=` | [`view::FeedsAsked`] |
//! | `GET /alerts?limit=` | [`view::Alerts`] |
//! | `GET /routes?to=&vrf=&after=&limit=` | [`view::Routes`] |
//! | `GET /neighbours?limit=` | [`view::Neighbours`] |
//! | `GET /wireguard` | list of [`view::WireguardInterface`] |
//! | `POST /wireguard/NAME/peers` with a [`view::WireguardChange`] | [`view::WireguardChanged`] |
//! | `POST /wireguard/keys` with a [`view::WireguardKeys`] | [`view::WireguardInterface`] |
//! | `GET /captures`, `GET /captures/NAME` | list of [`view::Capture`], or one |
//! | `POST /captures` with a [`crate::capture::CaptureSpec`] | [`view::Capture`] |
//! | `POST /captures/NAME/stop` | [`view::Capture`] |
//! | `POST /captures/NAME/remove`, `POST /captures/clean` | [`view::CapturesRemoved`] |
//! | `GET /captures/NAME/files/FILE` | the file, or ranges of it |
//! | `POST /captures/save` with a [`view::SaveQuery`] | a capture of what the ring has |
//! | `GET /trace?count=&host=&port=&proto=&dropped=` | lines of [`view::TraceLine`], as packets come |
//! | `POST /reload` | [`view::Reload`] |
//!
//! Anything but a success is a [`view::Refusal`]. Promises: the handlers know nothing of the socket, so that another
//! listener can serve the same router; no answer makes a worker wait. Read next: `handlers.rs`, then `socket.rs`.

mod captures;
pub mod client;
mod describe;
mod feeds;
mod flows;
mod handlers;
mod nat;
mod policy;
pub mod query;
mod rotation;
mod routes;
pub mod socket;
#[cfg(test)]
mod tests;
mod trace;
pub mod view;
mod wireguard;

pub use handlers::router;
