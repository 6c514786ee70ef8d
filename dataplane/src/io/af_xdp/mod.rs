//! Packets through AF_XDP sockets: the backend for real interfaces.
//!
//! What is this: [`open`] takes interfaces over and returns an [`AfXdpIo`] for each worker, and an [`AfXdpControl`] for the
//! control thread. Worker k owns queue k of every interface (and queues k + n, k + 2n ... of interfaces with more queues
//! than the n workers); where an interface has fewer queues than there are workers, the others send through a
//! bounded relay to the queue's owner. One packet memory serves all, so a frame goes from any interface to any
//! other and from worker to worker without a copy.
//!
//! Promises: native mode, else generic mode, else an error that says why in the kernel's words; no frame lost without a
//! counter, here or in the kernel ([`KernelCounters`], [`SocketStatistics`]); programs that outlive the process and do
//! what the operator chose; an interface that goes down or away stops nothing but itself.
//! Refuses: to replace or remove anybody else's XDP program; to decide anything about a packet.
//!
//! The module is the only one with unsafe code. Read next: `setup.rs` (the order of things), `queue.rs` (the rings),
//! `program.rs` and `bpf/ravelin.bpf.c` (the kernel side), `docs/adr/0003-attach-through-netlink.md`.

#![expect(
    unsafe_code,
    reason = "rings and memory are shared with the kernel; every block says why it is sound"
)]

mod assemble;
mod backend;
mod blocklist;
mod control;
mod detach;
mod error;
mod frame;
mod genetlink;
mod ioctl;
mod link;
mod memory;
mod messages;
mod napi;
mod netlink;
mod offload;
mod outlet;
mod own;
mod owner;
mod pool;
mod program;
mod queue;
mod settings;
mod setup;
mod socket;
mod survey;
#[cfg(test)]
mod tests;

pub use backend::AfXdpIo;
pub use blocklist::Blocklist;
pub use control::{AfXdpControl, PortReport, PortState, SocketStatistics};
pub use detach::{Detached, Outcome, detach};
pub use error::AfXdpError;
pub use frame::XdpFrame;
pub use link::Link;
pub use napi::ReceiveThreads;
pub use offload::Note;
pub use own::{FailsafePort, Own};
pub use owner::Owner;
pub use program::{AttachChoice, AttachMode, KernelCounters, WithoutSocket};
pub use settings::{BusyPoll, InterfaceSettings, NapiThreads, Role, Settings, WithoutProcess, ZeroCopy};
pub use setup::open;
pub use socket::CopyMode;
pub use survey::{DriverXdp, Offload, PacketMemory, Runs, Spread, Survey, packet_memory, survey};
