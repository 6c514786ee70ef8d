//! Tunnels on one core, packets from memory: what opening and sealing cost beside the cipher, what many peers and allowed IPs add, how many
//! handshakes a second there are, and the cipher of three libraries.

mod aead;
mod batches;
mod gateway;
mod library;
mod openssl;
mod packets;
mod peers;

use gateway::{Gateway, Shape};
use packets::Runs;

use crate::harness::{Report, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Lengths of packets inside, in bytes.
    #[arg(long, value_delimiter = ',', default_value = "64,256,1420")]
    lengths: Vec<usize>,
    /// Turns of a batch in a run.
    #[arg(long, default_value_t = 300)]
    turns: usize,
    /// Turns that each part has before it is another's turn. After 1, all find in the caches what the others have left there.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    in_a_row: u16,
    /// Runs.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Measure only one peer's packets, and the cipher.
    #[arg(long)]
    one: bool,
}

/// One peer with one address.
const ONE: Shape = Shape { peers: 1, in_use: 1, addresses: 1 };
/// As many as a batch has packets.
const SOME: Shape = Shape { peers: 64, in_use: 64, addresses: 1 };
/// A million allowed IPs.
const MANY: Shape = Shape { peers: 10_000, in_use: 64, addresses: 100 };

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    let runs = Runs { rounds: options.rounds, turns: options.turns, in_a_row: options.in_a_row.into() };
    if options.one {
        packets::run(report, Gateway::new(ONE), ONE, &options.lengths, &runs);
        return aead::run(report, options.rounds);
    }
    let mut many = peers::memory(report, MANY);
    peers::idle(report, &mut many, MANY.peers, options.rounds);
    peers::handshakes(report, options.rounds);
    packets::run(report, Gateway::new(ONE), ONE, &options.lengths, &runs);
    packets::run(report, Gateway::new(SOME), SOME, &options.lengths, &runs);
    packets::run(report, many, MANY, &options.lengths, &runs);
    aead::run(report, options.rounds);
}
