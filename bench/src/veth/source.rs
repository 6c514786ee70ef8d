//! A packet source: UDP frames of many flows, sent by the kernel itself, as fast as it can.
//!
//! A program that sends through a socket pays for an skb with every packet, which is about what the programs in the middle
//! pay: it would be the bottleneck, and everything in the middle would look alike. So the kernel is told to run a program
//! over pages of its own, as `xdp-trafficgen` does.

use std::{thread, time::Duration};

use super::programs::{Entrance, Pattern, Source};

/// Sends for `seconds`; prints how many frames that was. What finds no room at the other end is lost.
pub(crate) fn run(name: &str, entrance: Entrance, seconds: f64, flows: u16, length: usize, pattern: Pattern) {
    let frame = frame(length, pattern);
    let source = Source::new(name, entrance, pattern, flows, &frame);
    let counter = source.counter();
    // One call that the end of the process interrupts: between two calls the kernel would rest.
    thread::spawn(move || source.send(&frame, u32::MAX));
    thread::sleep(Duration::from_secs_f64(seconds));
    println!("{}", counter.read());
}

/// A UDP packet without a UDP checksum, so that the program that sends it may change the port.
pub(super) fn frame(length: usize, pattern: Pattern) -> Vec<u8> {
    let (client, server) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let (source, destination, from, to) = match pattern {
        Pattern::Flows => (client, server, ([10, 78, 0, 2], 20_000), ([10, 78, 0, 1], 9)),
        // Identification and lower half of the destination: 0xffff together, as in what the program makes of them.
        Pattern::New => (client, server, ([10, 78, 0, 2], 20_000), ([10, 78, 255, 255], 9)),
        Pattern::Answers => (server, client, ([10, 78, 0, 1], 9), ([10, 78, 0, 2], 20_000)),
    };
    let mut frame = Vec::new();
    let builder =
        etherparse::PacketBuilder::ethernet2(source, destination).ipv4(from.0, to.0, 64).udp(from.1, to.1);
    builder.write(&mut frame, &vec![0; length - 42]).expect("a short packet");
    if let Some(checksum) = frame.get_mut(40..42) {
        checksum.fill(0);
    }
    frame
}
