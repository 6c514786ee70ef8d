//! Taking interfaces over: from settings to one backend for each worker.
//!
//! The order matters. Offloads first, because some drivers refuse XDP with them on. Programs before sockets, because some
//! drivers bind a zero-copy socket only then; until a socket is there the program does what the operator chose for
//! that case. If anything fails, what was attached is detached again, except where it took the place of a program that an
//! earlier process left: there traffic goes on as it did.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{
    AfXdpError, AfXdpIo, AttachChoice, CopyMode, Link, Note, WithoutSocket,
    backend::{self, Route},
    control::{AfXdpControl, Port},
    error::chain,
    memory::{Memory, Shape},
    offload::Saved,
    pool::{CHUNK, Depot, FramePool, KEPT_CHUNKS},
    program::{self, Program},
    queue::{self, PortQueue, Relay},
    socket,
};
use crate::{io::PortId, wake::Waker};

/// What to open, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The interfaces; the place in this list is the port's number.
    pub interfaces: Vec<InterfaceSettings>,
    /// How many workers there are.
    pub workers: u8,
    /// The largest batch of a worker in packets.
    pub batch: usize,
    /// Packets that can wait in one worker's handoff ring.
    pub handoff: usize,
    /// Entries in each ring of a socket: a power of two, 2048 is a good value.
    pub ring: u32,
    /// Bytes in a frame: 4096, or 2048 where memory is short and the MTU at most 1778.
    pub frame_size: u32,
    /// Whether the packet memory is to be of huge pages.
    pub huge_pages: bool,
    /// Whether to avoid copies.
    pub zero_copy: ZeroCopy,
    /// Whether the kernel polls the NIC only when a worker asks.
    pub busy_poll: Option<BusyPoll>,
    /// Where changed settings of interfaces are remembered. Its directory must exist.
    pub state_file: PathBuf,
}

/// One interface.
#[derive(Clone, Debug)]
pub struct InterfaceSettings {
    /// Its name.
    pub name: String,
    /// How the program is attached.
    pub attach: AttachChoice,
    /// What happens to traffic while no process is there to judge it.
    pub without_process: WithoutProcess,
}

/// What happens to the traffic of an interface while no process is there to judge it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WithoutProcess {
    /// It is dropped.
    Closed,
    /// The kernel sends it out through another interface, by name; the two interfaces of a bridge name each other.
    OpenTwin(String),
    /// The kernel's own stack takes it.
    OpenKernel,
}

/// Whether to avoid copies. One choice for all interfaces, because they share one memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroCopy {
    /// If the drivers of all interfaces can.
    #[default]
    Auto,
    /// Or fail.
    On,
    /// Never.
    Off,
}

/// Busy polling: fewer interrupts for more CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long one call may poll.
    pub microseconds: u32,
    /// Packets that one call may process.
    pub budget: u16,
}

/// Takes the interfaces over. Returns each worker's backend, in the order of workers, and what the control thread keeps.
///
/// # Errors
/// What cannot be opened, with the reason. Then nothing stays attached that was not before.
pub fn open(settings: &Settings) -> Result<(Vec<AfXdpIo>, AfXdpControl), AfXdpError> {
    check(settings)?;
    // Needed on kernels that count packet memory against this limit; on others, and where it is forbidden, the limit
    // does not matter or is high enough.
    let unlimited = Rlimit { current: None, maximum: None };
    let _best_effort = setrlimit(Resource::Memlock, unlimited);

    let links = settings.interfaces.iter().map(|i| Link::find(&i.name)).collect::<Result<Vec<_>, _>>()?;
    let mut saved = Saved::open(&settings.state_file)?;
    let mut notes = Vec::new();
    let mut attached = Vec::new();
    let opened = prepare(settings, &links, &mut saved, &mut notes).and_then(|()| {
        let memory = Memory::new(shape(settings, &links))?;
        for (link, interface) in links.iter().zip(&settings.interfaces) {
            let without_socket = without_socket(interface)?;
            attached.push(Program::attach(link, interface.attach, without_socket, memory.max_frame)?);
        }
        let mode = choose_copy_mode(settings, &links, &mut notes)?;
        bind(settings, &links, &attached, memory, mode)
    });
    match opened {
        Ok(Opened { backends, sockets, mode }) => {
            notes.extend(links.iter().zip(&attached).filter_map(|(link, program)| about_tags(link, program)));
            let ports = links.into_iter().zip(attached).zip(sockets);
            let ports =
                ports.map(|((link, program), sockets)| Port { link, program, sockets, mode }).collect();
            Ok((backends, AfXdpControl { ports, notes, saved }))
        }
        Err(error) => {
            let fresh = links.iter().zip(&attached).filter(|(_, program)| !program.replaced);
            for (link, _) in fresh {
                let _the_first_error_counts = program::detach(link);
            }
            if attached.iter().all(|program| !program.replaced) {
                let _the_first_error_counts = saved.restore();
            }
            Err(error)
        }
    }
}

fn check(settings: &Settings) -> Result<(), AfXdpError> {
    if settings.workers == 0 || settings.interfaces.is_empty() {
        return Err(AfXdpError::Settings("there must be a worker and an interface"));
    }
    if settings.interfaces.len() > PortId::MAX_PORTS {
        return Err(AfXdpError::Settings("there can be at most 64 interfaces"));
    }
    if !settings.ring.is_power_of_two() || !(64..=32_768).contains(&settings.ring) {
        return Err(AfXdpError::Settings("a ring has a power of two of entries, from 64 to 32768"));
    }
    if !matches!(settings.frame_size, 2048 | 4096) {
        return Err(AfXdpError::Settings("a frame has 2048 or 4096 bytes"));
    }
    Ok(())
}

fn prepare(
    settings: &Settings,
    links: &[Link],
    saved: &mut Saved,
    notes: &mut Vec<Note>,
) -> Result<(), AfXdpError> {
    for link in links {
        notes.extend(saved.switch_off(link)?);
        if settings.workers > 1 && link.queues > 1 {
            notes.extend(saved.make_symmetric(link)?);
        }
    }
    Ok(())
}

/// Memory for all that can be under way at once.
fn shape(settings: &Settings, links: &[Link]) -> Shape {
    let sockets: usize = links.iter().map(|link| link.queues as usize).sum();
    let workers = usize::from(settings.workers);
    // A socket has a ring's length of frames in receive, and in transmit one in the ring and one not yet completed.
    let in_sockets = 3 * settings.ring as usize * sockets;
    let in_worker = settings.handoff + settings.batch + (KEPT_CHUNKS + 1) * CHUNK;
    let in_relays =
        settings.ring as usize * links.iter().filter(|link| (link.queues as usize) < workers).count();
    let frames = (in_sockets + in_worker * workers + in_relays).next_multiple_of(CHUNK);
    Shape {
        frame_size: settings.frame_size,
        frames: u32::try_from(frames).unwrap_or(u32::MAX),
        ring: settings.ring,
        huge_pages: settings.huge_pages,
    }
}

fn without_socket(interface: &InterfaceSettings) -> Result<WithoutSocket, AfXdpError> {
    Ok(match &interface.without_process {
        WithoutProcess::Closed => WithoutSocket::Closed,
        WithoutProcess::OpenTwin(twin) => WithoutSocket::OpenTwin(Link::find(twin)?.index),
        WithoutProcess::OpenKernel => WithoutSocket::OpenKernel,
    })
}

fn choose_copy_mode(
    settings: &Settings,
    links: &[Link],
    notes: &mut Vec<Note>,
) -> Result<CopyMode, AfXdpError> {
    match settings.zero_copy {
        ZeroCopy::Off => return Ok(CopyMode::Copy),
        ZeroCopy::On => return Ok(CopyMode::ZeroCopy),
        ZeroCopy::Auto => {}
    }
    for link in links {
        if let Err(error) = socket::can_zero_copy(link) {
            notes.push(Note::new(link, format!("copy mode on all interfaces, because of {error}")));
            return Ok(CopyMode::Copy);
        }
    }
    Ok(CopyMode::ZeroCopy)
}

struct Opened {
    backends: Vec<AfXdpIo>,
    /// Of each port, one descriptor of each socket, to ask for statistics.
    sockets: Vec<Vec<OwnedFd>>,
    mode: CopyMode,
}

fn bind(
    settings: &Settings,
    links: &[Link],
    programs: &[Program],
    memory: Memory,
    mode: CopyMode,
) -> Result<Opened, AfXdpError> {
    let workers = usize::from(settings.workers);
    let depot = Depot::new(memory.frames, workers);
    let wakers = (0..workers).map(|_| Waker::new()).collect::<Result<Arc<[_]>, _>>();
    let wakers = wakers.map_err(|error| AfXdpError::interface("eventfd", error))?;
    let mut queues: Vec<Vec<PortQueue>> = (0..workers).map(|_| Vec::new()).collect();
    let mut routes: Vec<Vec<Route>> = (0..workers).map(|_| Vec::new()).collect();
    let mut sockets = Vec::new();

    for ((place, link), program) in links.iter().enumerate().zip(programs) {
        let mut relays: Vec<Arc<Relay>> = Vec::new();
        let mut descriptors = Vec::new();
        for queue in 0..link.queues {
            let refused = |reason: String| AfXdpError::Socket { interface: link.name.clone(), queue, reason };
            let rings = socket::bind(memory.umem, link, queue, settings.ring, mode)?;
            socket::tune(&rings.rx, settings.ring);
            if let Some(busy_poll) = settings.busy_poll {
                socket::set_busy_poll(&rings.rx, busy_poll).map_err(|error| refused(error.to_string()))?;
            }
            let descriptor = socket::duplicate(&rings.rx).map_err(|error| refused(error.to_string()))?;
            program.insert_socket(queue, descriptor.as_fd()).map_err(|error| refused(chain(&error)))?;
            descriptors.push(descriptor);

            let relay =
                ((link.queues as usize) < workers).then(|| Arc::new(Relay::new(settings.ring as usize)));
            relays.extend(relay.clone());
            let owner = queue as usize % workers;
            let parts = queue::Parts {
                port: PortId(u8::try_from(place).unwrap_or(u8::MAX)),
                umem: memory.umem,
                rx: rings.rx,
                tx: rings.tx,
                fill: rings.fill,
                completion: rings.completion,
                relay,
                ring: settings.ring,
                busy_poll: settings.busy_poll.is_some(),
            };
            if let (Some(routes), Some(queues)) = (routes.get_mut(owner), queues.get_mut(owner)) {
                if routes.len() == place {
                    routes.push(Route::Own(queues.len())); // the first of its queues here
                }
                queues.push(PortQueue::new(parts));
            }
        }
        for (worker, routes) in routes.iter_mut().enumerate().filter(|(_, routes)| routes.len() == place) {
            let owner = worker % (link.queues as usize);
            routes.extend(relays.get(owner).map(|relay| Route::Relay { relay: Arc::clone(relay), owner }));
        }
        sockets.push(descriptors);
    }

    let parts = queues.into_iter().zip(routes).enumerate();
    let backends = parts.map(|(worker, (queues, routes))| {
        let pool = FramePool::new(Arc::clone(&depot));
        AfXdpIo::new(backend::Parts { worker, queues, routes, pool, wakers: Arc::clone(&wakers) })
    });
    Ok(Opened { backends: backends.collect(), sockets, mode })
}

/// What is lost where VLAN tags cannot be asked for.
fn about_tags(link: &Link, program: &Program) -> Option<Note> {
    (!program.restores_tags && link.driver == "veth").then(|| {
        let text = "VLAN tags that the peer leaves to its virtual hardware are lost in this mode; \
                    at the peer: ethtool -K INTERFACE tx-vlan-hw-insert off tx-vlan-stag-hw-insert off";
        Note::new(link, text.into())
    })
}
