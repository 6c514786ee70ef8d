use std::{
    io,
    net::UdpSocket,
    sync::{Arc, OnceLock, Weak},
    thread,
};

use ravelin_dataplane::{wake::Waker, wireguard::Inbox};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::supervisor::privileges;

/// The workers' wakers, as soon as there are workers.
pub(super) type Wakers = Arc<OnceLock<Arc<[Waker]>>>;

/// The longest message of UDP.
const LONGEST: usize = 1 << 16;
/// How often it is looked whether the socket is still wanted.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Hands what the kernel receives at a socket to the first worker, in a thread of its own, for as long as anybody else has the socket.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(socket: &Arc<UdpSocket>, inbox: &Arc<Inbox>, wakers: &Wakers) -> io::Result<()> {
    let (socket, inbox, wakers) = (Arc::downgrade(socket), Arc::downgrade(inbox), Arc::clone(wakers));
    thread::Builder::new().name("wireguard-read".into()).spawn(move || read(&socket, &inbox, &wakers))?;
    Ok(())
}

fn read(socket: &Weak<UdpSocket>, inbox: &Weak<Inbox>, wakers: &Wakers) {
    if let Err(error) = privileges::drop_all() {
        tracing::warn!(%error, "a thread that reads messages of tunnels keeps its privileges");
    }
    let mut buffer = vec![0; LONGEST];
    while let (Some(socket), Some(inbox)) = (socket.upgrade(), inbox.upgrade()) {
        let _nothing_came = poll(&mut [PollFd::new(&*socket, PollFlags::IN)], Some(&LOOK));
        let mut has_come = false;
        while let Ok((length, remote)) = socket.recv_from(&mut buffer) {
            // What finds no room is lost, as in a socket.
            has_come |= inbox.push(buffer.get(..length).unwrap_or_default(), remote);
        }
        if has_come && let Some(waker) = wakers.get().and_then(|wakers| wakers.first()) {
            waker.wake();
        }
    }
}
