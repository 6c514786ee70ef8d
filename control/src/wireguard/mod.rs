//! Tunnels as the process has them, around what workers do (`dataplane/src/wireguard/`).
//!
//! From the configuration, `registry.rs` makes the plan that workers follow: who stays keeps its sessions. `device.rs` makes the interface
//! that the kernel sees, `sockets.rs` takes the UDP port, so that no other program gets it and the kernel can send what workers cannot, `reader.rs` hands over what it receives there,
//! `names.rs` asks for the addresses of names. Promises: a plan is made as a whole or not at all. Refuses: to show a key, to anybody.
//! Read next: `registry.rs`.

pub mod device;
mod devices;
mod names;
mod paths;
mod reader;
mod registry;
mod sockets;

pub use devices::apply;
pub use registry::Registry;
