//! A packet source: UDP frames of many flows, sent through an AF_XDP socket as fast as the kernel takes them.

#![expect(unsafe_code, reason = "the ring functions of xsk-rs are unsafe; see the SAFETY comments")]

use std::{
    io::Write,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use xsk_rs::{
    FrameDesc, Socket, Umem,
    config::{BindFlags, LibxdpFlags, SocketConfig, UmemConfig},
};

use super::programs::interface;

const FRAMES: u32 = 4096;
const BATCH: usize = 64;

/// Sends for `seconds`; prints how many frames the kernel took.
pub(crate) fn run(name: &str, seconds: f64, flows: u16, length: usize) {
    let config = UmemConfig::builder()
        .fill_queue_size(FRAMES.try_into().expect("a power of two"))
        .comp_queue_size(FRAMES.try_into().expect("a power of two"))
        .build()
        .expect("a legal configuration");
    let (umem, mut frames) =
        Umem::new(config, NonZeroU32::new(FRAMES).expect("not zero"), false).expect("a UMEM");
    for (number, frame) in frames.iter_mut().enumerate() {
        let packet = packet(u16::try_from(number % usize::from(flows)).expect("below `flows`"), length);
        // SAFETY: no frame has been given to the kernel yet, so this is the only access.
        unsafe { umem.data_mut(frame) }.cursor().write_all(&packet).expect("a frame holds a packet");
    }
    let config = SocketConfig::builder()
        .tx_queue_size(FRAMES.try_into().expect("a power of two"))
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(BindFlags::XDP_USE_NEED_WAKEUP | BindFlags::XDP_COPY)
        .build();
    // SAFETY: the only socket on this interface and queue.
    let (mut tx, _rx, rings) = unsafe { Socket::new(config, &umem, &interface(name), 0) }.expect("a socket");
    let (_fill, mut completion) = rings.expect("the first socket brings the rings");

    // A completed descriptor carries an address and no length; the frame's own descriptor has both.
    let first = frames.first().map_or(0, FrameDesc::addr);
    let stride = frames.get(1).map_or(1, |second| second.addr() - first);
    let prepared = frames.clone();
    let mut free = frames;
    let mut done = [FrameDesc::default(); BATCH];
    let mut sent = 0_u64;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs_f64(seconds) {
        for _ in 0..16 {
            // Oldest first, so that all flows are used in turn.
            let batch = &free[..free.len().min(BATCH)];
            // SAFETY: free frames belong to nobody but this loop; what is produced is removed from the list.
            let produced = unsafe { tx.produce(batch) };
            free.drain(..produced);
            if tx.needs_wakeup() {
                let _ring_is_busy = tx.wakeup();
            }
            // SAFETY: completed frames are the kernel's no more and go back to the list.
            let completed = unsafe { completion.consume(&mut done) };
            free.extend(done[..completed].iter().map(|frame| prepared[(frame.addr() - first) / stride]));
            sent += completed as u64;
        }
    }
    println!("{sent}");
}

/// A UDP packet of one of many flows, without a UDP checksum.
fn packet(flow: u16, length: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    let [high, low] = flow.to_be_bytes();
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 77, high, low], [10, 78, 0, 1], 64)
        .udp(20_000 + flow, 9);
    builder.write(&mut packet, &vec![0; length - 42]).expect("a short packet");
    if let Some(checksum) = packet.get_mut(40..42) {
        checksum.fill(0);
    }
    packet
}
