//! The barest possible AF_XDP forwarder: descriptors go from one interface's receive ring to the other's transmit ring.
//! It looks at nothing, counts nothing and decides nothing; it is the limit of what any forwarder on these sockets can do.

#![expect(unsafe_code, reason = "the ring functions of xsk-rs are unsafe; see the SAFETY comments")]

use std::num::NonZeroU32;

use xsk_rs::{
    CompQueue, FillQueue, FrameDesc, RxQueue, Socket, TxQueue, Umem,
    config::{BindFlags, LibxdpFlags, SocketConfig, UmemConfig},
};

use super::programs::{Attached, Mode, interface};

const RING: u32 = 2048;
const BATCH: usize = 64;

/// One interface.
struct Port {
    rx: RxQueue,
    tx: TxQueue,
    fill: FillQueue,
    completion: CompQueue,
    _program: Attached,
}

impl Port {
    fn open(umem: &Umem, name: &str, mode: Mode, first: bool, frames: &[FrameDesc]) -> Self {
        let program = Attached::new("bench_redirect", name, mode);
        // With a shared UMEM the kernel takes the mode from the first socket and refuses to hear it again.
        let bind =
            if first { BindFlags::XDP_USE_NEED_WAKEUP | BindFlags::XDP_COPY } else { BindFlags::empty() };
        let config = SocketConfig::builder()
            .rx_queue_size(RING.try_into().expect("a power of two"))
            .tx_queue_size(RING.try_into().expect("a power of two"))
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(bind)
            .build();
        // SAFETY: each interface and queue is opened once, so no other socket shares its fill and completion rings.
        let (tx, rx, rings) = unsafe { Socket::new(config, umem, &interface(name), 0) }.expect("a socket");
        let (mut fill, completion) = rings.expect("each interface brings its own rings");
        // SAFETY: these frames belong to this UMEM and are given to this ring alone.
        let filled = unsafe { fill.produce(frames) };
        assert_eq!(filled, frames.len(), "the fill ring takes its share");
        program.set_socket(std::os::fd::AsRawFd::as_raw_fd(rx.fd()));
        Self { rx, tx, fill, completion, _program: program }
    }
}

/// Forwards between two interfaces until it is killed.
pub(crate) fn run(left: &str, right: &str, mode: Mode) -> ! {
    let config = UmemConfig::builder()
        .fill_queue_size(RING.try_into().expect("a power of two"))
        .comp_queue_size(RING.try_into().expect("a power of two"))
        .build()
        .expect("a legal configuration");
    let count = NonZeroU32::new(4 * RING).expect("not zero");
    let (umem, frames) = Umem::new(config, count, false).expect("a UMEM");
    let (first, second) = frames.split_at(RING as usize);
    let mut left = Port::open(&umem, left, mode, true, first);
    let mut right =
        Port::open(&umem, right, mode, false, second.get(..RING as usize).expect("half of the frames"));
    println!("ready");
    let mut batch = [FrameDesc::default(); BATCH];
    let mut done = [FrameDesc::default(); BATCH];
    loop {
        forward(&mut left, &mut right, &mut batch, &mut done);
        forward(&mut right, &mut left, &mut batch, &mut done);
    }
}

fn forward(from: &mut Port, to: &mut Port, batch: &mut [FrameDesc], done: &mut [FrameDesc]) {
    // SAFETY: descriptors are moved, never kept: what the receive ring gives goes to the transmit ring or back to
    // the fill ring, and what the completion ring gives goes to the fill ring of the side that received it.
    unsafe {
        let received = from.rx.consume(batch);
        if received > 0 {
            let batch = &batch[..received];
            let sent = to.tx.produce(batch);
            from.fill.produce(&batch[sent..]);
        }
        if to.tx.needs_wakeup() {
            let _interface_is_busy = to.tx.wakeup();
        }
        let completed = to.completion.consume(done);
        if completed > 0 {
            from.fill.produce(&done[..completed]);
        }
        if from.fill.needs_wakeup() {
            let _nothing_to_read = from.fill.wakeup(from.rx.fd_mut(), 0);
        }
    }
}
