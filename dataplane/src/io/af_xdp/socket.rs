//! Making sockets: bind to a queue, with patience, and set the options that no crate covers.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    thread,
    time::{Duration, Instant},
};

use xsk_rs::{
    CompQueue, FillQueue, RxQueue, TxQueue, Umem,
    config::{BindFlags, Interface, LibxdpFlags, QueueSize, SocketConfig},
    socket::SocketCreateError,
};

use super::{AfXdpError, BusyPoll, Link, error::root, memory::Shape};

/// The kernel takes a closed socket down after the fact; until then its queue is busy.
const BUSY_PATIENCE: Duration = Duration::from_secs(3);

/// `XDP_MAX_TX_SKB_BUDGET` of `linux/if_xdp.h` (Linux 6.17): frames sent by one call in copy mode, 32 if not set.
const XDP_MAX_TX_SKB_BUDGET: libc::c_int = 9;
/// The largest batch of a worker.
const TX_BUDGET: libc::c_int = 256;

pub(super) struct Rings {
    pub rx: RxQueue,
    pub tx: TxQueue,
    pub fill: FillQueue,
    pub completion: CompQueue,
}

/// Whether packets go from the NIC into the packet memory without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// The NIC reads and writes the packet memory.
    ZeroCopy,
    /// The kernel copies each packet.
    Copy,
}

/// Binds a socket to a queue. Waits while the queue is busy with a socket that has just been closed.
pub(super) fn bind(
    umem: &Umem,
    link: &Link,
    queue: u32,
    ring: u32,
    mode: CopyMode,
) -> Result<Rings, AfXdpError> {
    let refused = |reason: String| AfXdpError::Socket { interface: link.name.clone(), queue, reason };
    let interface: Interface = link.name.parse().map_err(|error| refused(root(&error)))?;
    let ring = QueueSize::new(ring).map_err(|error| refused(root(&error)))?;
    let copy = match mode {
        CopyMode::ZeroCopy => BindFlags::XDP_ZEROCOPY,
        CopyMode::Copy => BindFlags::XDP_COPY,
    };
    let config = SocketConfig::builder()
        .rx_queue_size(ring)
        .tx_queue_size(ring)
        .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
        .bind_flags(copy | BindFlags::XDP_USE_NEED_WAKEUP)
        .build();

    let start = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        // SAFETY: the contract is that a queue may be bound twice only without libxdp's own program; it is never loaded.
        match unsafe { xsk_rs::Socket::new(config, umem, &interface, queue) } {
            Ok((tx, rx, Some((fill, completion)))) => return Ok(Rings { rx, tx, fill, completion }),
            Ok((_, _, None)) => return Err(refused("this process has the queue already".into())),
            Err(error) if is_busy(&error) && start.elapsed() < BUSY_PATIENCE => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(100));
            }
            Err(error) if is_busy(&error) => {
                return Err(AfXdpError::InUse { interface: link.name.clone(), owner: None });
            }
            Err(error) => return Err(refused(root(&error))),
        }
    }
}

/// Whether the driver can do without copies, tried on a queue with a small memory of its own: the real memory
/// keeps for ever the mode that its first socket got.
pub(super) fn can_zero_copy(link: &Link) -> Result<(), AfXdpError> {
    let shape = Shape { frame_size: 4096, frames: 64, ring: 64, huge_pages: false };
    let (umem, _frames) = shape.allocate()?;
    bind(&umem, link, 0, shape.ring, CopyMode::ZeroCopy).map(|_rings| ())
}

/// Whether a process has a socket on the first queue, as every process of ours has. Binding tells: the kernel shows the entries
/// of an XSKMAP to programs only. Takes seconds if there is one, for it may be closing.
pub(super) fn is_in_use(link: &Link) -> Result<bool, AfXdpError> {
    let shape = Shape { frame_size: 4096, frames: 64, ring: 64, huge_pages: false };
    let (umem, _frames) = shape.allocate()?;
    match bind(&umem, link, 0, shape.ring, CopyMode::Copy) {
        Err(AfXdpError::InUse { .. }) => Ok(true),
        // Whatever else is refused here is no sign of life.
        Ok(_) | Err(_) => Ok(false),
    }
}

/// Sets what is good to have; a kernel that lacks it works as well.
pub(super) fn tune(socket: &RxQueue, ring: u32) {
    let socket = socket.fd().as_raw_fd();
    let _not_before_linux_6_17 = set_option(socket, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, TX_BUDGET);
    // In copy mode each frame under way counts against the send buffer; let the ring be the limit.
    let send_buffer = ring.saturating_mul(4096).min(64 << 20);
    let send_buffer = libc::c_int::try_from(send_buffer).unwrap_or(libc::c_int::MAX);
    let _needs_net_admin = set_option(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, send_buffer);
}

/// Another descriptor of the socket, to ask it for statistics from the control thread.
pub(super) fn duplicate(socket: &RxQueue) -> io::Result<OwnedFd> {
    // SAFETY: the socket is open as long as `socket`, which is borrowed for this call.
    unsafe { BorrowedFd::borrow_raw(socket.fd().as_raw_fd()) }.try_clone_to_owned()
}

/// Makes the kernel poll the NIC only when we ask.
pub(super) fn set_busy_poll(socket: &RxQueue, busy_poll: BusyPoll) -> io::Result<()> {
    let socket = socket.fd().as_raw_fd();
    let microseconds = libc::c_int::try_from(busy_poll.microseconds).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, microseconds)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, libc::c_int::from(busy_poll.budget))
}

fn is_busy(error: &SocketCreateError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.and_then(io::Error::raw_os_error) == Some(libc::EBUSY)
}

fn set_option(socket: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or_default();
    // SAFETY: the value is an `int` that outlives the call, and the length says so. A wrong descriptor is an error, not a
    // danger.
    let result = unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
