//! Many routes change in the kernel: how long workers take to follow, with packets on the way.

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    middle::{Middle, ROUTER, ravelin, start_ravelin_as, write_config},
    myself,
    nftables::Configuration,
    programs::Mode,
    topology::{Host, Topology},
};
use crate::harness::{Report, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Routes.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    routes: u32,
    /// How often they come and go.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Packets a second meanwhile.
    #[arg(long, default_value_t = 5_000)]
    packets: u32,
}

pub(crate) fn run(report: &Report, options: &Options) {
    if let Err(reason) = Middle::Ravelin(Mode::Native).is_available() {
        report.note(&format!("left out: {reason}"));
        return;
    }
    state_calibration(report);
    let topology = Topology::routed(1500);
    let _removed_at_the_end = Configuration;
    let (config, socket) = write_config(1, Mode::Native, "", "");
    let batches = ["add", "del"].map(|verb| {
        let path = config.with_file_name(verb);
        let mut lines = String::new();
        for number in 0..options.routes {
            let _infallible = writeln!(lines, "route {verb} {} via 10.79.0.2", prefix(number));
        }
        fs::write(&path, lines).expect("the temporary directory is writable");
        path.display().to_string()
    });
    let change = |batch: &str| {
        let start = Instant::now();
        topology.ip(Host::Middle, &["-batch", batch]);
        start.elapsed()
    };
    report.heading(&format!("{} routes come and go in the kernel (veth)", options.routes));
    let alone: Vec<f64> =
        (0..options.rounds).flat_map(|_| batches.each_ref().map(|batch| millis(change(batch)))).collect();
    report.figure("ip(8) changes them, nobody follows", &alone, "ms", None);

    let process = start_ravelin_as(&topology, 1, Mode::Native, ["", "", ROUTER]);
    let last = prefix(options.routes - 1);
    let address = last.replace(".0/24", ".1");
    let socket = socket.display().to_string();
    // Whether workers have the last route.
    let has_last = || {
        let arguments = ["show", "routes", &address, "--json", "--socket", &socket];
        let output = topology.command(Host::Middle, 0, &ravelin().display().to_string(), &arguments).output();
        let shown: Value = serde_json::from_slice(&output.expect("it starts").stdout).expect("JSON");
        shown["routes"][0]["prefix"] == last
    };
    let mut echo = topology.start(Host::Server, 0, &myself(), &["role", "echo", "10.79.0.2:7777"]);
    assert_eq!(echo.line(), "ready");
    // Neighbours are found before the clock starts.
    let first = ["-q", "-c", "3", "-i", "0.2", "10.79.0.2"];
    let answered = topology.command(Host::Client, 0, "ping", &first).output().expect("ping is installed");
    assert!(answered.status.success(), "the server is reached");
    let packets = options.packets.to_string();
    let mut steady =
        topology.start(Host::Client, 0, &myself(), &["role", "steady", "10.79.0.2:7777", &packets]);
    assert_eq!(steady.line(), "ready");
    let (mut changing, mut behind, mut asking) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        for (batch, is_there) in batches.iter().zip([true, false]) {
            changing.push(millis(change(batch)));
            let start = Instant::now();
            loop {
                let asked = Instant::now();
                let has_last = has_last();
                asking.push(millis(asked.elapsed()));
                if has_last == is_there {
                    break;
                }
                assert!(start.elapsed() < Duration::from_secs(60), "the routes are not followed");
            }
            behind.push(millis(start.elapsed()));
        }
    }
    let answer = steady.ask();
    let counts: Vec<f64> = answer.split(' ').map(|count| count.parse().expect("a number")).collect();
    let &[sent, answered, longest] = counts.as_slice() else { panic!("{answer}") };
    report.figure("ip(8) changes them, Ravelin follows", &changing, "ms", None);
    report.figure("workers have the last after ip(8) has ended", &behind, "ms", Some("aim 100"));
    report.figure("of that, to ask once", &asking, "ms", None);
    report.figure("packets sent meanwhile", &[sent], "packets", None);
    report.figure("packets lost, there or back", &[sent - answered], "packets", Some("must 0"));
    report.figure("longest time without an answer", &[longest * 1e3], "ms", None);
    process.stop();
}

fn prefix(number: u32) -> String {
    format!("20.{}.{}.0/24", number / 256, number % 256)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
