//! UDP traffic that knows whether a packet was lost: numbered datagrams to an echo server, a few on the way at any time,
//! so that no socket buffer ever overflows and whatever is missing was lost in between.

use std::{
    collections::HashSet,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{netns::Namespace, topology::Lab};

/// The echo service, RFC 862.
const PORT: u16 = 7;
/// Bytes on the way at any time: three quarters of what a socket's buffer holds by default (`net.core.rmem_default`).
const ON_THE_WAY: usize = 150_000;
/// After so long a silence what is still on the way is lost; on a machine of any speed it would have come back.
const SILENCE: Duration = Duration::from_secs(20);
/// How often the threads look whether they shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// Traffic under way.
#[derive(Debug)]
pub struct Echo {
    stop: Arc<AtomicBool>,
    returned: Arc<AtomicU64>,
    client: JoinHandle<Outcome>,
    server: JoinHandle<()>,
}

/// What became of the datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Sent by the client.
    pub sent: u64,
    /// Returned whole, once.
    pub returned: u64,
    /// Never returned.
    pub lost: u64,
    /// Returned again, or changed.
    pub wrong: u64,
}

impl Echo {
    /// Starts an echo server on the server at `address` and as many flows as asked for from the client, with datagrams of
    /// `size` bytes.
    pub fn start(lab: &Lab, address: &str, flows: usize, size: usize) -> Self {
        let address: IpAddr = address.parse().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let returned = Arc::new(AtomicU64::new(0));
        let service = bind(&lab.server, SocketAddr::new(address, PORT));
        let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
        let sockets: Vec<UdpSocket> =
            (0..flows).map(|_| bind(&lab.client, SocketAddr::new(any, 0))).collect();
        for socket in &sockets {
            socket.connect((address, PORT)).expect("the server's network is reachable");
        }
        let (stop_client, stop_server) = (Arc::clone(&stop), Arc::clone(&stop));
        let count = Arc::clone(&returned);
        Self {
            client: thread::spawn(move || exchange(&sockets, size, &stop_client, &count)),
            server: thread::spawn(move || serve(&service, &stop_server)),
            stop,
            returned,
        }
    }

    /// Datagrams that have come back so far.
    pub fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    /// Stops sending, waits for what is on the way, and says what became of all.
    pub fn finish(self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.client.join().expect("the client does not panic");
        self.server.join().expect("the server does not panic");
        outcome
    }
}

impl Outcome {
    /// Panics unless something was sent and every datagram came back once and whole.
    pub fn assert_lossless(self) {
        assert!(self.sent > 0 && self.lost == 0 && self.wrong == 0, "packets were lost or changed: {self:?}");
    }
}

fn bind(host: &Namespace, address: SocketAddr) -> UdpSocket {
    let socket = host.inside(|| UdpSocket::bind(address)).expect("the address is free");
    socket.set_read_timeout(Some(LOOK)).expect("sockets have timeouts");
    socket
}

/// Returns every datagram until the client has stopped and nothing comes any more.
fn serve(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = vec![0; 65_536];
    let mut quiet = false;
    while !(quiet && stop.load(Ordering::Relaxed)) {
        match socket.recv_from(&mut buffer) {
            Ok((length, peer)) => {
                quiet = false;
                // A send that fails is a datagram lost, which the client will say.
                let _ = socket.send_to(&buffer[..length], peer);
            }
            // The client has just said that it stops; what it has sent before may still come.
            Err(error) if is_timeout(error.kind()) => quiet = stop.load(Ordering::Relaxed),
            Err(_) => {}
        }
    }
}

/// How many datagrams of each flow may be on the way. The kernel charges a socket with the memory behind each packet or
/// fragment, up to a page and its description, and not with its length.
fn window(flows: usize, size: usize) -> u64 {
    let charge = size.div_ceil(1400) * 4_700;
    (ON_THE_WAY / (flows * charge)).clamp(1, 8) as u64
}

/// Rounds of a window per flow, all sent and then all awaited.
fn exchange(sockets: &[UdpSocket], size: usize, stop: &AtomicBool, count: &AtomicU64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; 65_536];
    let window = window(sockets.len(), size);
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let numbers = round * window..(round + 1) * window;
        for socket in sockets {
            for number in numbers.clone() {
                outcome.sent += 1;
                let _ = socket.send(&datagram(number, size));
            }
        }
        for socket in sockets {
            let mut missing: HashSet<u64> = numbers.clone().collect();
            let mut heard = Instant::now();
            while !missing.is_empty() {
                match socket.recv(&mut buffer) {
                    Ok(length) => {
                        heard = Instant::now();
                        let number = number(&buffer[..length]);
                        if number.is_some_and(|number| {
                            missing.remove(&number) && buffer[..length] == datagram(number, size)
                        }) {
                            outcome.returned += 1;
                            count.fetch_add(1, Ordering::Relaxed);
                        } else {
                            outcome.wrong += 1;
                        }
                    }
                    Err(_) if heard.elapsed() > SILENCE => break,
                    Err(error) if is_timeout(error.kind()) => {}
                    Err(_) => thread::sleep(LOOK),
                }
            }
            outcome.lost += u64::try_from(missing.len()).expect("a window is small");
        }
        round += 1;
    }
    outcome
}

fn datagram(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.extend(
        (0..size.saturating_sub(8)).map(|place| number.to_be_bytes()[7].wrapping_add((place % 251) as u8)),
    );
    bytes
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?))
}

fn is_timeout(kind: ErrorKind) -> bool {
    kind == ErrorKind::WouldBlock || kind == ErrorKind::TimedOut
}
