//! Tunnels: what a gateway of WireGuard passes, and what that costs the machine, Ravelin against wireguard-go, boringtun and gotatun.
//!
//! ```text
//!  client                          middle (the gateway)                server
//!  wg0.. over a0 ------ veth ------ r0: wg0     r1 ------ veth ------ b0
//!  10.9.0.2..     10.77.0.1   10.77.0.254  10.79.0.254         10.79.0.2..
//! ```
//!
//! iperf3 talks between the client, whose own end of the tunnel it uses, and the server. Ravelin routes by itself; beside the others the kernel does,
//! between their TUN device and `r1`. Each program is as it comes: wireguard-go has segmentation offload on its TUN device, Ravelin has one worker
//! that sleeps when there is nothing to do, and its XDP programs switch segmentation off at the other ends of veth.
//!
//! Two arrangements: the same program at the client for all, so that nothing but the gateway differs; and the same program at both ends, as people
//! use it. The two cores are everybody's, iperf3's too, so goodput says what all of it takes together. CPU time is what the whole machine was not
//! idle (`/proc/stat`), so that soft interrupts are in it, whoever was interrupted; and the same without what the kernel says that iperf3's processes
//! took, which has the soft interrupts that met these. Both are for each gigabyte (10^9 bytes) that arrived inside the tunnel.
//!
//! And UDP through the gateway alone, on a core of its own (`alone.rs`): iperf3's receiver is slower than tunnels are.
//!
//! That it came through the tunnel is asked of both ends: what `wg show` says that they transferred.

mod alone;
mod end;
mod place;
mod traffic;

pub(super) use alone::seal;
use end::Program;
use place::Place;
use traffic::{Load, Outcome, Protocol, Way};

use super::{middle::Middle, nftables::Configuration, programs::Mode};
use crate::harness::{Report, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Seconds per run.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Runs of each.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Numbers of peers. More than one is measured with the same program at the client only.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    peers: Vec<u8>,
    /// What is sent.
    #[arg(long, value_delimiter = ',', default_values_t = [Protocol::Tcp, Protocol::Udp], value_enum)]
    protocols: Vec<Protocol>,
    /// Whose ends of tunnels are measured.
    #[arg(long, value_delimiter = ',', default_values_t = Program::ALL, value_enum)]
    programs: Vec<Program>,
    /// The program at the client for all.
    #[arg(long, default_value_t = Program::WireguardGoBackports, value_enum)]
    client: Program,
    /// Measure only this arrangement.
    #[arg(long, value_enum)]
    only: Option<Arrangement>,
}

/// Who is at the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Arrangement {
    /// The same program as at the gateway.
    Both,
    /// The same program for all gateways.
    Gateway,
    /// Nobody: UDP only, from memory, and a core for the gateway alone.
    Alone,
}

pub(crate) fn run(report: &Report, options: &Options) {
    if let Err(reason) = end::tools().and_then(|()| Middle::Ravelin(Mode::Native).is_available()) {
        report.note(&format!("left out: {reason}"));
        return;
    }
    state_calibration(report);
    let _removed_at_the_end = Configuration;
    let mut programs = Vec::new();
    for &program in &options.programs {
        match program.version() {
            Ok(version) => {
                report.note(&format!("{}: {version}", program.name()));
                programs.push(program);
            }
            Err(reason) => report.note(&format!("{} left out: {reason}", program.name())),
        }
    }
    let is_wanted = |arrangement| options.only.is_none_or(|only| only == arrangement);
    if is_wanted(Arrangement::Both) {
        compare(report, options, &programs, None, 1);
    }
    if is_wanted(Arrangement::Gateway) {
        for &peers in &options.peers {
            compare(report, options, &programs, Some(options.client), peers);
        }
    }
    if is_wanted(Arrangement::Alone) {
        compare_alone(report, options, &programs);
    }
}

/// Gateways with this program at the client, or with the same as themselves.
fn compare(report: &Report, options: &Options, programs: &[Program], client: Option<Program>, peers: u8) {
    // Where several send UDP as fast as they can, iperf3's first datagrams of the last are lost, and it gives up.
    let protocols = options.protocols.iter().filter(|protocol| peers == 1 || **protocol == Protocol::Tcp);
    let loads: Vec<Load> = protocols
        .flat_map(|&protocol| Way::ALL.map(|way| Load { protocol, way, peers, seconds: options.seconds }))
        .collect();
    let mut results: Vec<Vec<Vec<Outcome>>> =
        programs.iter().map(|_| vec![Vec::new(); loads.len()]).collect();
    let mut offloads = vec![String::new(); programs.len()];
    for _ in 0..options.rounds {
        for ((program, results), offloads) in programs.iter().zip(&mut results).zip(&mut offloads) {
            let place = Place::new(*program, client.unwrap_or(*program), peers);
            *offloads = place.offloads();
            for (load, outcomes) in loads.iter().zip(results) {
                outcomes.push(place.measure(load));
            }
        }
    }
    let who = match client {
        None => "the same program at both ends".to_owned(),
        Some(client) => format!("{} at the client", client.name()),
    };
    report.heading(&format!("tunnel, {who}, peers: {peers} (veth, two cores for all)"));
    for (program, offloads) in programs.iter().zip(&offloads) {
        report.note(&format!("{}, wg0 of the gateway: {offloads}", program.name()));
    }
    for (index, load) in loads.iter().enumerate() {
        let outcomes: Vec<&[Outcome]> = results.iter().map(|loads| loads[index].as_slice()).collect();
        let gates = client.is_none().then_some(load.protocol);
        tell(report, &load.name(), programs, &outcomes, gates);
    }
}

/// The figures of one load.
fn tell(report: &Report, name: &str, programs: &[Program], outcomes: &[&[Outcome]], gates: Option<Protocol>) {
    let column =
        |outcomes: &[Outcome], of: fn(&Outcome) -> f64| outcomes.iter().map(of).collect::<Vec<f64>>();
    let rates: Vec<Vec<f64>> = outcomes.iter().map(|runs| column(runs, |run| run.gigabits)).collect();
    for ((program, runs), rates) in programs.iter().zip(outcomes).zip(&rates) {
        let name = format!("{name}, {}", program.name());
        report.figure(&name, rates, "Gbit/s", None);
        report.figure(&format!("{name}: machine"), &column(runs, |run| run.machine), "CPU s/GB", None);
        report.figure(&format!("{name}: less iperf3"), &column(runs, |run| run.rest), "CPU s/GB", None);
    }
    against(report, name, programs, &rates, gates);
}

fn compare_alone(report: &Report, options: &Options, programs: &[Program]) {
    report.heading("tunnel, the gateway alone on one core, one peer, UDP, 1400 bytes inside (veth)");
    for way in Way::ALL {
        let mut rates = vec![Vec::new(); programs.len()];
        for _ in 0..options.rounds {
            for (program, rates) in programs.iter().zip(&mut rates) {
                rates.push(alone::measure(report, *program, way));
            }
        }
        let name = format!("UDP {}", way.name());
        for (program, rates) in programs.iter().zip(&rates) {
            report.figure(&format!("{name}, {}", program.name()), rates, "Gbit/s", None);
        }
        against(report, &name, programs, &rates, Some(Protocol::Udp));
    }
}

/// Ravelin's figures in multiples of the others', with gates if there are any for this protocol.
fn against(report: &Report, name: &str, programs: &[Program], rates: &[Vec<f64>], gates: Option<Protocol>) {
    let Some(own) = programs.iter().position(|program| *program == Program::Ravelin) else { return };
    for (program, peer) in programs.iter().zip(rates).filter(|(program, _)| **program != Program::Ravelin) {
        let gate = gates.and_then(|protocol| protocol.gate(*program));
        report.figure(
            &format!("{name}, ravelin / {}", program.name()),
            &ratios(&rates[own], peer),
            "x",
            gate,
        );
    }
}
