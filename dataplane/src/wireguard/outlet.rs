use std::net::{IpAddr, SocketAddr};

use super::{Counter, Interface, Plan, envelope::Envelope, state::State, wire::Ends};
use crate::{
    batch::Meta,
    io::Frame,
    pipeline::Context,
    route::{OwnWay, Routes},
    verdict::DropReason,
};

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

/// How a message with a packet in it leaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// As one of the host, to where the peer is.
    Host(Outlet, SocketAddr),
    /// Through the wire of a bridge, between the ends of the packet itself.
    Wire(Ends),
}

impl Way {
    /// How long the headers in front of the message are.
    pub(super) fn headers(&self) -> usize {
        match self {
            Self::Host(_, remote) => Envelope::headers(remote.ip()),
            Self::Wire(ends) => ends.headers(),
        }
    }
}

/// How a packet leaves that is for a peer.
#[inline]
pub(super) fn way<F: Frame>(
    cx: &Context<'_>,
    plan: &Plan,
    interface: &Interface,
    state: &mut State,
    frame: &F,
    meta: &Meta,
) -> Result<Way, DropReason> {
    if interface.wire.is_some() {
        return Ends::of(frame.bytes(), &meta.headers).map(Way::Wire).ok_or(DropReason::WireguardTooBig);
    }
    let outlet = state.outlet(cx, plan);
    match state.remote() {
        Some(remote) => Ok(Way::Host(outlet, remote)),
        None => {
            state.peer.add(Counter::NoEndpoint, 1);
            Err(DropReason::WireguardNoEndpoint)
        }
    }
}
