//! A path of UDP that loses datagrams and reorders them, for kernels without `netem`: a thread between two ends, each of which knows it as the
//! other. Which datagrams it loses, and which it holds back until so many others have overtaken them, a generator says that begins the
//! same each time.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::netns::Namespace;

/// How often it is looked whether something has been held back for long enough, or the path shall end.
const LOOK: Duration = Duration::from_millis(5);

/// What a path does to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Of how many datagrams one is lost.
    pub loss: u64,
    /// Of how many one is held back.
    pub reorder: u64,
    /// How many datagrams overtake it at most.
    pub distance: u64,
    /// For how long it is held back when nothing does.
    pub patience: Duration,
}

/// What a path has done, both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Datagrams that it was given.
    pub received: u64,
    /// Datagrams that it lost.
    pub lost: u64,
    /// Datagrams that others overtook.
    pub reordered: u64,
}

/// A path.
#[derive(Debug)]
pub struct Path {
    stop: Arc<AtomicBool>,
    ways: [JoinHandle<Done>; 2],
}

impl Path {
    /// Opens a path in a namespace from whoever sends to `near` first to `far`.
    pub fn open(host: &Namespace, near: SocketAddr, far: SocketAddr, faults: Faults) -> Self {
        let any: SocketAddr = if far.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let bind = |address: SocketAddr| {
            let socket = host.inside(|| UdpSocket::bind(address)).expect("the address is free");
            socket.set_read_timeout(Some(LOOK)).expect("sockets have timeouts");
            Arc::new(socket)
        };
        let (near, away) = (bind(near), bind(any));
        away.connect(far).expect("it is reachable");
        let stop = Arc::new(AtomicBool::new(false));
        let way = |from: &Arc<UdpSocket>, to: &Arc<UdpSocket>, seed| {
            let way = Way {
                faults,
                held: Vec::new(),
                number: 0,
                random: seed,
                done: Done::default(),
                to: Arc::clone(to),
            };
            let (from, stop) = (Arc::clone(from), Arc::clone(&stop));
            thread::spawn(move || way.run(&from, &stop))
        };
        let ways = [way(&near, &away, 1), way(&away, &near, 2)];
        Self { stop, ways }
    }

    /// Ends it, and says what it has done.
    pub fn close(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let [there, back] = self.ways.map(|way| way.join().expect("it does not panic"));
        Done {
            received: there.received + back.received,
            lost: there.lost + back.lost,
            reordered: there.reordered + back.reordered,
        }
    }
}

/// One of its two directions.
struct Way {
    faults: Faults,
    /// Until which datagram has gone, since when, and what.
    held: Vec<(u64, Instant, Vec<u8>)>,
    number: u64,
    random: u64,
    done: Done,
    to: Arc<UdpSocket>,
}

impl Way {
    fn run(mut self, from: &UdpSocket, stop: &AtomicBool) -> Done {
        let mut buffer = vec![0; 1 << 16];
        while !stop.load(Ordering::Relaxed) {
            match from.recv_from(&mut buffer) {
                Ok((length, sender)) => {
                    if from.peer_addr().is_err() {
                        // The near end has said where it is.
                        from.connect(sender).expect("it is reachable");
                    }
                    self.take(buffer.get(..length).unwrap_or_default());
                }
                Err(error) => {
                    let is_nothing = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    // An end that is not there yet.
                    assert!(is_nothing || error.kind() == ErrorKind::ConnectionRefused, "{error}");
                }
            }
            self.release();
        }
        self.done
    }

    fn take(&mut self, datagram: &[u8]) {
        self.done.received += 1;
        if self.one_in(self.faults.loss) {
            self.done.lost += 1;
        } else if self.one_in(self.faults.reorder) {
            let distance = 1 + self.next() % self.faults.distance;
            self.held.push((self.number + distance, Instant::now(), datagram.to_vec()));
        } else {
            self.number += 1;
            self.send(datagram);
        }
    }

    /// Lets go what enough others have overtaken, or what nothing overtakes.
    fn release(&mut self) {
        let (number, now, patience) = (self.number, Instant::now(), self.faults.patience);
        let is_due =
            |(until, since, _): &mut (u64, Instant, Vec<u8>)| *until <= number || now - *since > patience;
        for (until, _, datagram) in self.held.extract_if(.., is_due).collect::<Vec<_>>() {
            self.done.reordered += u64::from(until <= number);
            self.send(&datagram);
        }
    }

    /// A path may lose what it cannot send.
    fn send(&mut self, datagram: &[u8]) {
        let _lost = self.to.send(datagram).inspect_err(|_| self.done.lost += 1);
    }

    fn one_in(&mut self, count: u64) -> bool {
        count > 0 && self.next().is_multiple_of(count)
    }

    fn next(&mut self) -> u64 {
        // A linear congruential generator, by its upper bits.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random >> 33
    }
}
