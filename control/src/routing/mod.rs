//! From the kernel's routes, as they are mirrored, to those that workers follow.
//!
//! The mirror's thread tells a `Translator` what has changed, which keeps the prefixes of each table and makes [`Routes`] of them; the
//! control thread publishes the newest. [`pair`] is the way from the workers to the kernel.
//!
//! Promises: what is published is what the kernel would do, as of some moment; a change costs what it touches. What workers cannot do
//! (a next hop through an interface that is not ours, routes that refuse), is `Target::Kernel`: they give it such packets, and it does.
//! Refuses: to decide anything about routes. Read next: `../mirror/mod.rs`, `translate.rs`.

pub mod pair;
mod translate;

use std::{
    collections::HashSet,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use ravelin_config::{Config, InterfaceMode};
use ravelin_dataplane::{io::PortId, route::Routes};
use tokio::sync::Notify;

#[cfg(test)]
pub(crate) use self::translate::Translator;
#[cfg(not(test))]
use self::translate::Translator;
use crate::{
    compile::Ports,
    mirror::{Follower, LinkIndex, Mirror, Settings},
};

/// Follows the kernel's routes for the interfaces that route.
#[derive(Debug)]
pub struct Routing {
    follower: Follower,
    shared: Arc<Shared>,
    /// Neighbours that were in use when they were confirmed last.
    used: Mutex<HashSet<(PortId, IpAddr)>>,
}

/// What the mirror's thread leaves for the control thread.
#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<Latest>,
    is_news: AtomicBool,
    news: Notify,
}

/// Routing as it is now.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// For the workers.
    pub routes: Routes,
    /// The kernel's own addresses.
    pub own: Vec<IpAddr>,
    /// Those of the interfaces that route.
    pub addresses: Vec<(PortId, IpAddr)>,
    /// The kernel's numbers of the interfaces that route.
    links: Vec<(PortId, LinkIndex)>,
}

impl Latest {
    /// The kernel's number of an interface that routes.
    pub fn link(&self, port: PortId) -> Option<LinkIndex> {
        self.links.iter().find(|(other, _)| *other == port).map(|(_, link)| *link)
    }

    /// The interface that routes and has this number of the kernel's.
    pub fn port(&self, link: LinkIndex) -> Option<PortId> {
        self.links.iter().find(|(_, other)| *other == link).map(|(port, _)| *port)
    }
}

impl Routing {
    /// Begins to follow, for the interfaces that route and for tunnels: the kernel's end of each, which routes lead through, and the port
    /// at which packets to it arrive. Nothing if there is neither. Everything that is there has been read when this returns.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub fn start(config: &Config, ports: &Ports, tunnels: &[(String, PortId)]) -> io::Result<Option<Self>> {
        let routing = config.interfaces.iter().filter(|interface| interface.mode == InterfaceMode::Route);
        let routing: Vec<_> =
            routing.filter_map(|it| Some((it.name.to_string(), ports.id(&it.name)?))).collect();
        if routing.is_empty() && tunnels.is_empty() {
            return Ok(None);
        }
        let shared = Arc::<Shared>::default();
        let mut translator = Translator::new(routing, tunnels);
        let tell = {
            let shared = Arc::clone(&shared);
            move |mirror: &_, changes| {
                let latest = translator.translate(mirror, changes);
                *shared.latest.lock() = latest;
                shared.is_news.store(true, Ordering::Release);
                shared.news.notify_one();
            }
        };
        let follower = Follower::start(Settings::default(), tell)?;
        Ok(Some(Self { follower, shared, used: Mutex::default() }))
    }

    /// Waits until something has changed.
    pub async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// What has changed since this was asked last, all together.
    pub fn take(&self) -> Option<Latest> {
        self.shared.is_news.swap(false, Ordering::Acquire).then(|| self.shared.latest.lock().clone())
    }

    /// Looks at what the kernel has, and at what workers were given of it. Changes wait meanwhile.
    pub fn look<R>(&self, at: impl FnOnce(&Mirror, &Latest) -> R) -> R {
        self.follower.look(|mirror| at(mirror, &self.shared.latest.lock()))
    }

    /// Whether packets went to a neighbour in the last seconds.
    pub fn is_used(&self, latest: &Latest, port: PortId, address: IpAddr) -> bool {
        latest.routes.neighbours.is_used(port, address) || self.used.lock().contains(&(port, address))
    }

    /// Has the kernel find out whether neighbours are still there to whom packets went, of `latest`. It does not see them go.
    pub fn confirm(&self, latest: &Latest) {
        // Held while it is asked, so that nobody finds a neighbour in neither place.
        let used = {
            let mut used = self.used.lock();
            *used = latest.routes.neighbours.take_used().collect();
            used.clone()
        };
        self.ask(latest, used);
    }

    /// Has the kernel find those whom packets were to go to and nobody knew, of `latest`. When it forwards such a packet it does so by itself; but its
    /// firewall may keep it from forwarding any.
    pub fn resolve(&self, latest: &Latest) {
        // Packets that want the same are one question.
        let wanted: HashSet<_> = latest.routes.neighbours.take_wanted().collect();
        self.ask(latest, wanted);
    }

    fn ask(&self, latest: &Latest, neighbours: HashSet<(PortId, IpAddr)>) {
        for (port, address) in neighbours {
            let Some(link) = latest.link(port) else { continue };
            if let Err(error) = self.follower.resolve(link, address) {
                tracing::debug!(%address, %error, "a neighbour cannot be asked for");
            }
        }
    }

    /// What the kernel would do otherwise than workers do.
    pub fn not_followed(&self) -> Vec<String> {
        self.follower.look(Mirror::not_followed)
    }
}
