//! Many routes change in the kernel: how long workers take to follow, with packets on the way.

use std::{
    fmt::Write as _,
    fs,
    process::Command,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    middle::{Middle, ROUTER, start_ravelin_as, write_config},
    myself,
    nftables::{Configuration, filter},
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
    if Command::new("nft").arg("--version").output().is_err() {
        report.note("left out: nft is missing: install the package nftables");
        return;
    }
    state_calibration(report);
    let topology = Topology::routed(1500);
    let _removed_at_the_end = Configuration;
    let (config, _socket) = write_config(1, Mode::Native, "", "");
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

    let last = prefix(options.routes - 1).replace(".0/24", ".1");
    topology.ip(Host::Server, &["address", "add", &format!("{last}/32"), "dev", "lo"]);
    topology.ip(Host::Client, &["route", "add", "20.0.0.0/8", "via", "10.77.0.254"]);
    // What workers hand to the kernel because they know no route ends there: who is answered was forwarded by them.
    filter(
        &topology,
        "table inet bench {\nchain forward {\ntype filter hook forward priority 0; policy drop;\n}\n}\n",
    );
    let process = start_ravelin_as(&topology, 1, Mode::Native, ["", "", ROUTER]);
    let echo = |address: &str| {
        let at = format!("{address}:7777");
        let mut echo = topology.start(Host::Server, 0, &myself(), &["role", "echo", &at]);
        assert_eq!(echo.line(), "ready");
        echo
    };
    let _echoes = [echo("10.79.0.2"), echo(&last)];
    // Neighbours are found before the clock starts.
    let first = ["-q", "-c", "10", "-i", "0.2", "10.79.0.2"];
    let answered = topology.command(Host::Client, 0, "ping", &first).output().expect("ping is installed");
    assert!(answered.status.success(), "the server is reached");
    let packets = options.packets.to_string();
    let mut steady =
        topology.start(Host::Client, 0, &myself(), &["role", "steady", "10.79.0.2:7777", &packets]);
    assert_eq!(steady.line(), "ready");
    let (mut changing, mut behind) = (Vec::new(), Vec::new());
    let [add, delete] = &batches;
    for _ in 0..options.rounds {
        let mut knock =
            topology.start(Host::Client, 0, &myself(), &["role", "knock", &format!("{last}:7777")]);
        assert_eq!(knock.line(), "ready");
        changing.push(millis(change(add)));
        let end = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        let answered: f64 = knock.line().parse().expect("a time");
        behind.push((answered - end) * 1e3);
        changing.push(millis(change(delete)));
        // So long that workers have followed.
        sleep(Duration::from_secs(1));
    }
    let answer = steady.ask();
    let counts: Vec<f64> = answer.split(' ').map(|count| count.parse().expect("a number")).collect();
    let &[sent, answered, longest] = counts.as_slice() else { panic!("{answer}") };
    report.figure("ip(8) changes them, Ravelin follows", &changing, "ms", None);
    report.figure("first answer over the last, after ip(8) has ended", &behind, "ms", Some("aim 100"));
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
