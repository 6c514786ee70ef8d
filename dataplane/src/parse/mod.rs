//! Decode: from bytes to [`Headers`], once per packet; and [`FragmentTable`], which gives later fragments their ports.
//!
//! Promises: every byte string ends either with consistent offsets (`network_offset <= transport_offset <=
//! payload_offset <= end <=` frame length) or with one drop reason; nothing is read twice, nothing is copied but values.
//! Refuses: to repair, to reassemble, to look into payload (but for the packet that an ICMP error quotes), and to verify
//! transport checksums, which are the receiver's business and partial on virtual links.
//!
//! One file per layer, in the order of the bytes: `ethernet.rs`, `arp.rs`, `ipv4.rs` and `ipv6.rs` with what they share
//! in `ip.rs`, `transport.rs`, `quote.rs`; and `tunnel.rs` for whoever has to know what is inside. Read next: `stage.rs`,
//! then `headers.rs` for what comes out. Why this is not etherparse: `docs/adr/0004-own-decode.md`; how fragments are
//! judged: `docs/adr/0005-fragments.md`.

mod arp;
mod cursor;
mod ethernet;
mod ethertype;
mod fragments;
mod headers;
mod ip;
mod ipv4;
mod ipv6;
mod quote;
mod settings;
mod stage;
#[cfg(test)]
mod tests;
mod transport;
pub(crate) mod tunnel;

pub use fragments::FragmentTable;
pub use headers::{Address, Fragment, FragmentKind, Headers, Network, TcpFields, Vlans, tcp_flags};
pub use settings::FragmentSettings;
pub(crate) use stage::decode_into;
pub use stage::{DecodeStage, decode};
