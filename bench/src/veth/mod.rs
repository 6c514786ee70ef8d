//! Comparisons on veth, in copy mode: the same namespaces, the same source and sink, another program in the middle.
//!
//! Every figure made here is a figure of veth in copy mode, where the kernel's share of a packet is many times ours; it
//! is good for comparing programs in the same place, in the same run, and for nothing else.

mod bare;
mod bridge;
mod capture;
mod feeds;
mod follow;
mod goodput;
mod latency;
mod middle;
mod nftables;
mod programs;
mod route;
mod sink;
mod source;
mod start;
mod topology;
mod tunnel;

pub(crate) use bridge::{Options as BridgeOptions, run as bridge};
pub(crate) use capture::{Options as CaptureOptions, run as capture};
pub(crate) use feeds::{Options as FeedsOptions, run as feeds};
pub(crate) use follow::{Options as FollowOptions, run as follow};
pub(crate) use goodput::{Options as GoodputOptions, run as goodput};
pub(crate) use latency::{Options as LatencyOptions, run as latency};
pub(crate) use nftables::{Options as NftablesOptions, run as nftables};
use programs::{Entrance, Mode, Pattern};
pub(crate) use route::{Options as RouteOptions, run as route};
pub(crate) use start::{Options as StartOptions, run as start};
pub(crate) use tunnel::{Options as TunnelOptions, run as tunnel};

/// Programs that the comparisons start in namespaces. Not for people.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum Role {
    /// Forward descriptors between two interfaces.
    Bare { left: String, right: String, mode: Mode },
    /// Send packets.
    Source {
        interface: String,
        entrance: Entrance,
        seconds: f64,
        flows: u16,
        length: usize,
        pattern: Pattern,
    },
    /// Send packets at a rate.
    Paced { interface: String, seconds: f64, gigabits: f64, mix: String, flows: u16 },
    /// Count and drop packets.
    Sink { interface: String },
    /// Open a tunnel to the gateway of a comparison, seal packets, and send them when told to.
    Seal { private: String, gateway: String, count: usize },
    /// Answer UDP packets.
    Echo { address: String },
    /// Turn the pipeline over packets from memory, for callgrind.
    Load { kind: crate::instructions::Load, flows: u32, packets: u64 },
    /// Send a UDP packet every millisecond until one is answered; print when that was.
    Knock { address: String },
    /// Send UDP packets at a steady rate until asked how many were answered.
    Steady { address: String, rate: u32 },
    /// Send UDP packets to and fro, and print the round-trip times.
    Ping { address: String, rounds: usize },
}

pub(crate) fn play(role: &Role) {
    match role {
        Role::Bare { left, right, mode } => bare::run(left, right, *mode),
        Role::Source { interface, entrance, seconds, flows, length, pattern } => {
            source::run(interface, *entrance, *seconds, *flows, *length, *pattern);
        }
        Role::Paced { interface, seconds, gigabits, mix, flows } => {
            capture::paced(interface, *seconds, *gigabits, mix, *flows);
        }
        Role::Sink { interface } => sink::run(interface),
        Role::Seal { private, gateway, count } => tunnel::seal(private, gateway, *count),
        Role::Echo { address } => latency::echo(address),
        Role::Load { kind, flows, packets } => crate::instructions::load(*kind, *flows, *packets),
        Role::Knock { address } => start::knock(address),
        Role::Steady { address, rate } => feeds::steady(address, *rate),
        Role::Ping { address, rounds } => latency::ping(address, *rounds),
    }
}

/// This program, for starting it in a role.
fn myself() -> String {
    std::env::current_exe().expect("the program knows its path").display().to_string()
}
