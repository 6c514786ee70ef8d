//! A packet sink: counts and drops at the stack's door. Prints the count for every line that it reads.
//!
//! What a sink does happens on the core that sent the packet, which is the one in the middle, and veth is dear when XDP looks
//! at what a socket sent; so this one is a tc program.

use std::io::BufRead;

use super::programs::Sink;

/// Counts until its input ends.
pub(crate) fn run(interface: &str) {
    let sink = Sink::new(interface);
    println!("ready");
    for _ in std::io::stdin().lock().lines() {
        println!("{}", sink.received());
    }
}
