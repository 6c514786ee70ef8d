//! Instructions per packet, from callgrind: two runs that differ only in their number of packets, and the difference.
//!
//! The counts are the same twice for the same binary, so a change of two in a hundred is a change of the code.

use std::process::Command;

use clap::ValueEnum;

use crate::{harness::Report, pipeline::warm, route, traffic::Mix};

/// What to count.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Flows in the table.
    #[arg(long, default_value_t = 10_000)]
    flows: u32,
    /// Packets.
    #[arg(long, default_value_t = 200_000)]
    packets: u64,
}

/// What packets go through.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Load {
    Bridge,
    Route,
    Nat,
}

pub(crate) fn run(report: &Report, options: &Options) {
    report.heading(&format!("instructions per packet, {} established flows, 64 B", options.flows));
    let loads = [
        (Load::Bridge, "pipeline with the generator, over a bridge"),
        (Load::Route, "the same, routed"),
        (Load::Nat, "the same, routed under other addresses"),
    ];
    for (load, name) in loads {
        let count = |packets| count(load, options.flows, packets);
        let (Some(less), Some(more)) = (count(1), count(options.packets + 1)) else {
            return report.note("left out: install the package valgrind");
        };
        let per_packet = (more - less) as f64 / options.packets as f64;
        report.figure(name, &[per_packet], "instructions", None);
    }
}

/// Instructions of a whole run, as callgrind's last line says.
fn count(load: Load, flows: u32, packets: u64) -> Option<u64> {
    let load = load.to_possible_value()?;
    let myself = std::env::current_exe().expect("the program knows its path");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(myself)
        .args(["role", "load", load.get_name(), &flows.to_string(), &packets.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

/// The load that is counted.
pub(crate) fn load(load: Load, flows: u32, packets: u64) {
    let mut worker = match load {
        Load::Bridge => warm(flows, Mix::Small, 64),
        Load::Route => route::pipeline::warm(flows, false),
        Load::Nat => route::pipeline::warm(flows, true),
    };
    let start = worker.counters().received;
    while worker.counters().received - start < packets {
        worker.turn();
    }
}
