//! `./x bench`: what Ravelin costs, against its own parts and against peers, in one run on one machine.
//!
//! Every figure in `docs/SPECIFICATION.md` names the command that made it. Comparisons are interleaved pairs
//! ([`harness`]); a figure from another run or another machine is no peer.

mod classify;
mod decode;
mod flow;
mod harness;
mod instructions;
mod pipeline;
mod policy;
mod replay;
mod ring;
mod route;
mod selectors;
mod threat;
mod traffic;
mod veth;
mod wireguard;

use clap::{Parser, Subcommand};

/// Measure Ravelin.
#[derive(Parser)]
#[command(name = "ravelin-bench", version)]
struct Arguments {
    /// Print one JSON object per figure instead of lines for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Clone, Subcommand)]
enum Benchmark {
    /// The packet classifier alone, against linear search and DPDK's rte_acl.
    Classify(classify::Options),
    /// Decode alone, against etherparse.
    Decode,
    /// The flow table alone, against hashbrown with the same hasher.
    Flow(flow::Options),
    /// The whole pipeline on one core, packets from memory.
    Pipeline(pipeline::Options),
    /// The policy engine on sets of the size of large clusters: compile, judge, change.
    Policy(policy::Options),
    /// Instructions per packet of the pipeline, counted by callgrind: the same whatever else the machine does.
    Instructions(instructions::Options),
    /// `ravelin replay` over a large capture that it makes, records on.
    Replay(replay::Options),
    /// One flow out of a large ring, with its index and without, and with tcpdump.
    Ring(ring::Options),
    /// The longest prefix of an address, against DPDK's rte_fib and tries; and changes of routes.
    Route(route::Options),
    /// Endpoints whose labels change, against evaluating every selector.
    Selectors(selectors::Options),
    /// Which feeds name an address, against tries, a hash set and DIR-24-8.
    Threat(threat::Options),
    /// Tunnels on one core, messages from memory, against the cipher alone; handshakes, and what peers cost.
    Wireguard(wireguard::Options),
    /// From the start of the process to the first packet forwarded. Needs root.
    Start(veth::StartOptions),
    /// Packets a second through a bridge, against a bare AF_XDP forwarder, testpmd and the kernel. Needs root.
    Bridge(veth::BridgeOptions),
    /// Everything captured to disk, against netsniff-ng, tcpdump and dumpcap. Needs root.
    Capture(veth::CaptureOptions),
    /// A feed of a million addresses is replaced under traffic, against nftables. Needs root.
    Feeds(veth::FeedsOptions),
    /// What policy adds to a packet, against what nftables adds to it in the kernel. Needs root and nft.
    Nftables(veth::NftablesOptions),
    /// Routed packets and TCP, against the kernel's forwarding, bare and with nftables. Needs root, nft and iperf3.
    Router(veth::RouteOptions),
    /// Thousands of routes change in the kernel: how long until packets go over them. Needs root and nft.
    Follow(veth::FollowOptions),
    /// Goodput and CPU time of tunnels, against wireguard-go, boringtun and gotatun. Needs root, wg and iperf3.
    Tunnel(veth::TunnelOptions),
    /// TCP through a bridge, against the kernel's. Needs root and iperf3.
    Goodput(veth::GoodputOptions),
    /// Round-trip times through a bridge, and the cost of idling. Needs root.
    Latency(veth::LatencyOptions),
    /// A program that a comparison starts in a namespace.
    #[command(hide = true, subcommand)]
    Role(veth::Role),
}

fn main() {
    let Arguments { json, benchmark } = Arguments::parse();
    let report = harness::Report::new(json);
    match benchmark {
        Benchmark::Classify(options) => classify::run(&report, &options),
        Benchmark::Decode => decode::run(&report),
        Benchmark::Flow(options) => flow::run(&report, &options),
        Benchmark::Pipeline(options) => pipeline::run(&report, &options),
        Benchmark::Policy(options) => policy::run(&report, &options),
        Benchmark::Instructions(options) => instructions::run(&report, &options),
        Benchmark::Replay(options) => replay::run(&report, &options),
        Benchmark::Ring(options) => ring::run(&report, &options),
        Benchmark::Route(options) => route::run(&report, &options),
        Benchmark::Selectors(options) => selectors::run(&report, &options),
        Benchmark::Threat(options) => threat::run(&report, &options),
        Benchmark::Wireguard(options) => wireguard::run(&report, &options),
        Benchmark::Start(options) => veth::start(&report, &options),
        Benchmark::Bridge(options) => veth::bridge(&report, &options),
        Benchmark::Capture(options) => veth::capture(&report, &options),
        Benchmark::Feeds(options) => veth::feeds(&report, &options),
        Benchmark::Nftables(options) => veth::nftables(&report, &options),
        Benchmark::Router(options) => veth::route(&report, &options),
        Benchmark::Follow(options) => veth::follow(&report, &options),
        Benchmark::Tunnel(options) => veth::tunnel(&report, &options),
        Benchmark::Goodput(options) => veth::goodput(&report, &options),
        Benchmark::Latency(options) => veth::latency(&report, &options),
        Benchmark::Role(role) => veth::play(&role),
    }
}
