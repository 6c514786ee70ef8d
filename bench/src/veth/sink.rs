//! A packet sink: counts and drops in XDP. Prints the count for every line that it reads.

use std::io::BufRead;

use super::programs::{Attached, Mode};

/// Counts until its input ends.
pub(crate) fn run(interface: &str) {
    let program = Attached::new("bench_sink", interface, Mode::Native);
    println!("ready");
    for _ in std::io::stdin().lock().lines() {
        println!("{}", program.received());
    }
}
