//! From the kernel's routes, as they are mirrored, to those that workers follow.
//!
//! The mirror's thread tells a [`Translator`] what has changed, which keeps the prefixes of each table and makes [`Routes`] of them; the
//! control thread publishes the newest. [`pair`] is the way from the workers to the kernel.
//!
//! Promises: what is published is what the kernel would do, as of some moment; a change costs what it touches. What workers cannot do
//! (a next hop through an interface that is not ours, routes that refuse), is [`Target::Kernel`]: they give it such packets, and it does.
//! Refuses: to decide anything about routes. Read next: `../mirror/mod.rs`, `translate.rs`.

pub mod pair;
mod translate;

use std::{io, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use ravelin_config::{Config, InterfaceMode};
use ravelin_dataplane::{io::PortId, route::Routes};
use tokio::sync::Notify;

use self::translate::Translator;
use crate::{
    compile::Ports,
    mirror::{Follower, LinkIndex, Settings},
};

/// Follows the kernel's routes for the interfaces that route.
#[derive(Debug)]
pub struct Routing {
    follower: Follower,
    shared: Arc<Shared>,
}

/// What the mirror's thread leaves for the control thread.
#[derive(Debug, Default)]
struct Shared {
    latest: Mutex<Option<Latest>>,
    news: Notify,
}

/// Routing as it is now.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// For the workers.
    pub routes: Routes,
    /// The kernel's own addresses.
    pub own: Vec<IpAddr>,
    /// The kernel's numbers of the interfaces that route.
    links: Vec<(PortId, LinkIndex)>,
}

impl Routing {
    /// Begins to follow; nothing if no interface routes. Everything that is there has been read when this returns.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub fn start(config: &Config, ports: &Ports) -> io::Result<Option<Self>> {
        let routing = config.interfaces.iter().filter(|interface| interface.mode == InterfaceMode::Route);
        let routing: Vec<_> =
            routing.filter_map(|it| Some((it.name.to_string(), ports.id(&it.name)?))).collect();
        if routing.is_empty() {
            return Ok(None);
        }
        let shared = Arc::<Shared>::default();
        let mut translator = Translator::new(routing);
        let tell = {
            let shared = Arc::clone(&shared);
            move |mirror: &_, changes| {
                let latest = translator.translate(mirror, changes);
                *shared.latest.lock() = Some(latest);
                shared.news.notify_one();
            }
        };
        let follower = Follower::start(Settings::default(), tell)?;
        Ok(Some(Self { follower, shared }))
    }

    /// Waits until something has changed.
    pub async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// What has changed since this was asked last, all together.
    pub fn take(&self) -> Option<Latest> {
        self.shared.latest.lock().take()
    }

    /// Has the kernel find out whether neighbours are still there to whom packets went, of `latest`. It does not see them go.
    pub fn confirm(&self, latest: &Latest) {
        for (port, address) in latest.routes.neighbours.take_used() {
            let link = latest.links.iter().find(|(other, _)| *other == port).map(|(_, link)| *link);
            let Some(link) = link else { continue };
            if let Err(error) = self.follower.resolve(link, address) {
                tracing::debug!(%address, %error, "a neighbour cannot be confirmed");
            }
        }
    }

    /// What the kernel would do otherwise than workers do.
    pub fn not_followed(&self) -> Vec<String> {
        self.follower.look(crate::mirror::Mirror::not_followed)
    }
}
