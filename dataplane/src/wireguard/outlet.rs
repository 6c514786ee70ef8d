use std::net::IpAddr;

use super::Plan;
use crate::route::{OwnWay, Routes};

/// The way that messages to a peer take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Outlet {
    /// Workers know none: the kernel is asked to send them.
    #[default]
    Kernel,
    /// Through a port of ours.
    Direct(OwnWay),
    /// Through a tunnel. That it is another one, whose way does not lead back, nobody can promise.
    Tunnel,
}

impl Outlet {
    /// The way from an address of ours, if that still is one, to another.
    pub(super) fn find(
        routes: &Routes,
        plan: &Plan,
        local: Option<IpAddr>,
        remote: IpAddr,
        hash: u64,
    ) -> Self {
        if leads_into_tunnel(routes, plan, remote, hash) {
            return Self::Tunnel;
        }
        local.and_then(|local| routes.own_way(local, remote, hash)).map_or(Self::Kernel, Self::Direct)
    }
}

fn leads_into_tunnel(routes: &Routes, plan: &Plan, remote: IpAddr, hash: u64) -> bool {
    routes.exit(Routes::MAIN, remote.into(), hash).is_some_and(|exit| plan.at(exit).is_some())
}
