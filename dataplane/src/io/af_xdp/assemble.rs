//! Who owns which queue: sockets bound to all queues of all interfaces, dealt out to workers.
//!
//! Queue q of every interface belongs to worker q modulo the number of workers. A worker sends through the first
//! of its queues at a port, or, having none there, through a relay to a worker that has one.

use std::{os::fd::OwnedFd, sync::Arc};

use super::{
    AfXdpError, AfXdpIo, CopyMode, Link, Settings,
    backend::{self, Route},
    memory::Memory,
    outlet::Outlet,
    pool::{Depot, FramePool},
    queue::{self, PortQueue, Relay},
    socket,
};
use crate::{io::PortId, wake::Waker};

/// Sockets, dealt out to workers.
pub(super) struct Assembly {
    pub backends: Vec<AfXdpIo>,
    /// Of each port, one descriptor of each socket, to ask for statistics.
    pub sockets: Vec<Vec<OwnedFd>>,
    /// Of each port, whether it can send.
    pub outlets: Vec<Arc<Outlet>>,
}

/// Binds a socket to each queue of each interface, and makes of them a backend for each worker.
pub(super) fn assemble(
    settings: &Settings,
    links: &[Link],
    memory: Memory,
    mode: CopyMode,
) -> Result<Assembly, AfXdpError> {
    let workers = usize::from(settings.workers);
    let depot = Depot::new(memory.frames, workers);
    let wakers = (0..workers).map(|_| Waker::new()).collect::<Result<Arc<[_]>, _>>();
    let wakers = wakers.map_err(|error| AfXdpError::interface("eventfd", error))?;
    let mut queues: Vec<Vec<PortQueue>> = (0..workers).map(|_| Vec::new()).collect();
    let mut routes: Vec<Vec<Route>> = (0..workers).map(|_| Vec::new()).collect();
    let mut sockets = Vec::new();
    let mut outlets = Vec::new();

    for (place, link) in links.iter().enumerate() {
        let mut relays: Vec<Arc<Relay>> = Vec::new();
        let mut descriptors = Vec::new();
        let outlet = Outlet::open(&link.name, link.index);
        let outlet = Arc::new(outlet.map_err(|error| AfXdpError::interface(&link.name, error))?);
        for queue in 0..link.queues {
            let refused = |reason: String| AfXdpError::Socket { interface: link.name.clone(), queue, reason };
            let rings = socket::bind(memory.umem, link, queue, settings.ring, mode)?;
            socket::tune(&rings.rx, settings.ring);
            if let Some(busy_poll) = settings.busy_poll {
                socket::set_busy_poll(&rings.rx, busy_poll).map_err(|error| refused(error.to_string()))?;
            }
            let descriptor = socket::duplicate(&rings.rx).map_err(|error| refused(error.to_string()))?;
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
                outlet: Arc::clone(&outlet),
                mode,
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
            routes.extend(relays.get(owner).map(|relay| Route::Relay {
                relay: Arc::clone(relay),
                outlet: Arc::clone(&outlet),
                owner,
            }));
        }
        sockets.push(descriptors);
        outlets.push(outlet);
    }

    let parts = queues.into_iter().zip(routes).enumerate();
    let backends = parts.map(|(worker, (queues, routes))| {
        let pool = FramePool::new(Arc::clone(&depot));
        AfXdpIo::new(backend::Parts { worker, queues, routes, pool, wakers: Arc::clone(&wakers) })
    });
    Ok(Assembly { backends: backends.collect(), sockets, outlets })
}
