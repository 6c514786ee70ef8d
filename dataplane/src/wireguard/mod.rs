//! WireGuard: tunnels that end on the workers.
//!
//! The state machine of a peer (Noise handshake, sessions, replay windows, timers) is boringtun's [`Tunn`](boringtun::noise::Tunn). A
//! [`Peer`] belongs to one worker, by its number; the others hand over what is for it. What was encrypted is opened before the flow
//! stage, in the place of the packet that it came in, and goes on as a packet received at the port of its interface; what leaves through
//! such a port is sealed when it is settled, and leaves as another packet through a port of the gateway.
//!
//! On the wire of a bridge there is no gateway: a message travels with the addresses of the packet in it, and needs neither neighbours nor routes
//! (`wire.rs`).
//!
//! An interface may have two key pairs for a while, the one that it has and the one before: a peer then has a state machine for each, both at
//! its worker, and a bit of the indexes of sessions tells them apart (`identity.rs`).
//!
//! Promises: what leaves through a tunnel leaves encrypted or not at all; what came out of one has a source that its peer may use; each packet
//! that ends here has a reason, and each peer counts its own. A packet is opened and sealed with one copy, into a spare frame that changes
//! places with it. Refuses: to make keys, read files or resolve names (`control/src/wireguard/`), and to work off more than a few handshakes
//! in one turn. Why it is so: `docs/adr/0025-wireguard.md`.
//!
//! Read next: `plan.rs`, what the control thread says; `stage.rs` and `seal.rs`, the two ways through; `state.rs`, what a worker knows of a peer.

mod allowed;
mod envelope;
mod exit;
mod fragments;
mod handshake;
mod identity;
mod inbox;
mod known;
mod machine;
mod message;
mod outlet;
mod peer;
mod plan;
mod relay;
mod seal;
mod stage;
mod state;
mod waiting;
mod wire;

pub use allowed::{AllowedIps, TooManyPeers};
pub(crate) use exit::Exit;
pub use identity::{Identity, Parity};
pub use inbox::Inbox;
pub use peer::{COUNTERS, Counter, Peer, PeerKeys, PeerSlot, Sight};
pub use plan::{Interface, Plan};
pub(crate) use stage::Tunnels;
pub use wire::Wire;
