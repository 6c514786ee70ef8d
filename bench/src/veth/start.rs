//! From the start of the process to the first packet forwarded.

use std::{
    net::UdpSocket,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    middle::{Middle, Running, ravelin, write_config},
    myself,
    programs::Mode,
    topology::{Host, Topology},
};
use crate::harness::{Report, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Starts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    report.heading("start of the process to the first packet forwarded (veth, copy mode)");
    let topology = Topology::new(1500);
    let (config, _socket) = write_config(1, Mode::Native, "idle = \"spin\"", "");
    let binary = ravelin().display().to_string();
    let mut echo = topology.start(Host::Server, 0, &myself(), &["role", "echo", "10.77.0.2:7777"]);
    assert_eq!(echo.line(), "ready");
    let runs: Vec<f64> = (0..options.rounds)
        .map(|_| {
            let mut knock = topology.start(Host::Client, 0, &myself(), &["role", "knock", "10.77.0.2:7777"]);
            assert_eq!(knock.line(), "ready");
            let start = SystemTime::now();
            let process =
                topology.start(Host::Middle, "0-1", &binary, &["run", "-c", &config.display().to_string()]);
            let answered: f64 = knock.line().parse().expect("a time");
            Running::of(process, Middle::Ravelin(Mode::Native)).stop(&topology);
            answered - start.duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
        })
        .collect();
    report.figure("first answer, ARP included", &runs, "s", Some("aim 0.5"));
}

/// Sends until something answers; prints the time of the answer.
pub(crate) fn knock(address: &str) {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    socket.connect(address).expect("an address");
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
    println!("ready");
    let give_up = Instant::now() + Duration::from_secs(60);
    let mut buffer = [0; 64];
    while Instant::now() < give_up {
        let sent = socket.send(&[0x55; 32]);
        if sent.is_ok() && socket.recv(&mut buffer).is_ok() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            println!("{}", now.as_secs_f64());
            return;
        }
    }
}
