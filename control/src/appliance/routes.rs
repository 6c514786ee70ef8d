//! The kernel's routes and addresses as the running process follows them.

use std::sync::Arc;

use ravelin_dataplane::nat::NatPlan;

use super::{Appliance, Own};
use crate::{
    reload::Reloader,
    routing::{Latest, Routing},
};

/// What follows the kernel, and what is told of it.
pub struct RouteDesk {
    routing: Arc<Routing>,
    latest: Latest,
    own: Option<Box<dyn Own>>,
    /// What was warned of.
    not_followed: Vec<String>,
}

impl RouteDesk {
    /// A desk before which nothing has been told to anybody.
    pub fn new(routing: Routing, own: Option<Box<dyn Own>>) -> Self {
        Self { routing: Arc::new(routing), latest: Latest::default(), own, not_followed: Vec::new() }
    }

    /// Tells workers and programs what has changed.
    pub fn follow(&mut self, reloader: &mut Reloader) {
        let Some(latest) = self.routing.take() else { return };
        if let Some(own) = self.own.as_mut().filter(|_| self.latest.own != latest.own)
            && let Err(error) = own.set_addresses(&latest.own)
        {
            tracing::error!(%error, "failsafe ports are not reached at every address");
        }
        reloader.follow_routes(latest.routes.clone(), latest.addresses.clone());
        reloader.follow_paths();
        self.latest = latest;
        let not_followed = self.routing.not_followed();
        for words in not_followed.iter().filter(|words| !self.not_followed.contains(words)) {
            tracing::warn!("the kernel routes otherwise than workers do: {words}");
        }
        self.not_followed = not_followed;
    }

    /// Has the failsafe ports of the configuration in force be reached whatever workers do.
    pub fn set_failsafes(&mut self, reloader: &Reloader) {
        let failsafes = &reloader.running().enforcement.failsafe_inbound;
        if let Some(own) = &mut self.own
            && let Err(error) = own.set_failsafes(failsafes)
        {
            tracing::error!(%error, "failsafe ports are not as they are configured");
        }
    }

    /// Has packets to these UDP ports of the host come to workers, for at each a tunnel ends.
    pub fn set_tunnels(&mut self, ports: &[u16]) {
        if let Some(own) = &mut self.own
            && let Err(error) = own.set_tunnels(ports)
        {
            tracing::error!(%error, "what peers send to tunnels does not reach workers at every port");
        }
    }
}

impl Appliance {
    /// Has routes followed by this desk.
    pub fn open_routes(&self, desk: Option<RouteDesk>) {
        *self.routes.lock() = desk;
    }

    /// What follows the kernel's routes; nothing where no interface routes.
    pub(crate) fn routing(&self) -> Option<Arc<Routing>> {
        self.routes.lock().as_ref().map(|desk| Arc::clone(&desk.routing))
    }

    /// Waits until the kernel's routes have changed; for ever where none are followed.
    pub async fn routes_changed(&self) {
        match self.routing() {
            Some(routing) => routing.news().await,
            None => std::future::pending().await,
        }
    }

    /// Brings changes of routes into force.
    pub async fn follow_routes(&self) {
        let mut reloader = self.reloader.lock().await;
        if let Some(desk) = &mut *self.routes.lock() {
            desk.follow(&mut reloader);
        }
        self.in_force.lock().generation = reloader.generation();
    }

    /// Has packets inside tunnels be as long as the ways to peers allow, which may be elsewhere now.
    pub async fn follow_paths(&self) {
        self.reloader.lock().await.follow_paths();
    }

    /// What is translated now.
    pub async fn nat(&self) -> Arc<NatPlan> {
        self.reloader.lock().await.translated()
    }

    /// Has the kernel find the neighbours to whom packets were to go.
    pub fn resolve_neighbours(&self) {
        if let Some(desk) = &*self.routes.lock() {
            desk.routing.resolve(&desk.latest);
        }
    }

    /// Has the kernel confirm the neighbours to whom packets went.
    pub fn confirm_neighbours(&self) {
        if let Some(desk) = &*self.routes.lock() {
            desk.routing.confirm(&desk.latest);
        }
    }
}
