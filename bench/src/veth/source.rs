//! A packet source: UDP frames of many flows, sent by the kernel itself, as fast as it can.
//!
//! A program that sends through a socket pays for an skb with every packet, which is about what the programs in the middle
//! pay: it would be the bottleneck, and everything in the middle would look alike. So the kernel is told to run a program
//! over pages of its own, as `xdp-trafficgen` does.

use std::{thread, time::Duration};

use super::programs::{Entrance, Source};

/// Sends for `seconds`; prints how many frames that was. What finds no room at the other end is lost.
pub(crate) fn run(name: &str, entrance: Entrance, seconds: f64, flows: u16, length: usize) {
    let source = Source::new(name, entrance, flows, length);
    let counter = source.counter();
    let frame = frame(length);
    // One call that the end of the process interrupts: between two calls the kernel would rest.
    thread::spawn(move || source.send(&frame, u32::MAX));
    thread::sleep(Duration::from_secs_f64(seconds));
    println!("{}", counter.read());
}

/// A UDP packet without a UDP checksum, so that the program that sends it may change the port.
fn frame(length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 78, 0, 2], [10, 78, 0, 1], 64)
        .udp(20_000, 9);
    builder.write(&mut frame, &vec![0; length - 42]).expect("a short packet");
    if let Some(checksum) = frame.get_mut(40..42) {
        checksum.fill(0);
    }
    frame
}
