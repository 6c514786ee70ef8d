//! The kernel's routes and neighbours, and what workers make of them.

use std::net::IpAddr;

use axum::http::StatusCode;
use ravelin_config::types::IpNet;
use ravelin_dataplane::{
    io::PortId,
    route::{NextHopId, Target},
};

use super::{
    handlers::{Refused, refuse},
    query::{Destination, RouteQuery},
    view::{Acquaintance, Leads, Neighbour, Neighbours, NextHop, Route, Routes},
};
use crate::{
    appliance::Appliance,
    mirror::{self, GroupId, LinkIndex, Mirror, NeighbourState, TableId},
    routing::{Latest, Routing},
};

/// The routes that `query` asks for.
pub(super) fn list(appliance: &Appliance, query: &RouteQuery) -> Result<Routes, Refused> {
    let routing = routing(appliance)?;
    routing.look(|mirror, latest| {
        let is_used = |port, address| routing.is_used(latest, port, address);
        let sight = Sight { mirror, latest, is_used: &is_used };
        let unknown = |vrf| refuse(StatusCode::NOT_FOUND, &format!("there is no VRF `{vrf}`"));
        sight.routes(query).map_err(unknown)
    })
}

/// The first `limit` neighbours, by interface and address.
pub(super) fn neighbours(appliance: &Appliance, limit: usize) -> Result<Neighbours, Refused> {
    let routing = routing(appliance)?;
    Ok(routing.look(|mirror, latest| {
        let is_used = |port, address| routing.is_used(latest, port, address);
        Sight { mirror, latest, is_used: &is_used }.neighbours(limit)
    }))
}

fn routing(appliance: &Appliance) -> Result<std::sync::Arc<Routing>, Refused> {
    appliance.routing().ok_or_else(|| {
        refuse(StatusCode::NOT_FOUND, "no interface routes").help("see `mode` of `[[interface]]`")
    })
}

/// What the kernel has, next to what workers were given of it.
pub(super) struct Sight<'s> {
    pub(super) mirror: &'s Mirror,
    pub(super) latest: &'s Latest,
    /// Whether packets went to a neighbour lately.
    pub(super) is_used: &'s dyn Fn(PortId, IpAddr) -> bool,
}

impl Sight<'_> {
    /// The routes that `query` asks for, unless there is no such VRF, which is returned.
    pub(super) fn routes(&self, query: &RouteQuery) -> Result<Routes, String> {
        let named = |link: &mirror::Link| Some((link.name.clone(), link.vrf?));
        let mut vrfs: Vec<_> = self.mirror.links().filter_map(named).collect();
        vrfs.sort();
        let vrf = query.vrf.as_ref().map(ToString::to_string);
        let table = match &vrf {
            None => TableId::MAIN,
            Some(vrf) => vrfs.iter().find(|(name, _)| name == vrf).ok_or_else(|| vrf.clone())?.1,
        };
        let (within, only) = match query.to {
            None => (None, None),
            Some(Destination::Prefix(prefix)) => (Some(prefix), None),
            Some(Destination::Address(address)) => (None, Some(address)),
        };
        let (routes, behind) = match only {
            Some(address) => (self.of_address(table, address).into_iter().collect(), 0),
            None => {
                let mut all = self.mirror.routes_of(table, within, query.after.map(|after| after.trunc()));
                let first = all.by_ref().take(query.limit);
                (
                    first.map(|(prefix, id, target)| self.route(prefix, id, target, None)).collect(),
                    all.count(),
                )
            }
        };
        Ok(Routes {
            vrf,
            vrfs: vrfs.into_iter().map(|(name, _)| name).collect(),
            total: self.mirror.prefixes(table),
            routes,
            behind,
            not_followed: self.mirror.not_followed(),
            not_forwarding: self.not_forwarding(query.to),
        })
    }

    /// The route that packets to an address take.
    fn of_address(&self, table: TableId, address: IpAddr) -> Option<Route> {
        let (prefix, target) = self.mirror.lookup(table, address)?;
        let (_, id, _) = self.mirror.routes_of(table, Some(prefix), None).next()?;
        let mut route = self.route(prefix, id, target, Some(address));
        let is_of_link = match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        if route.leads == Leads::On && (is_of_link || address.is_multicast()) {
            route.leads = Leads::Kernel;
            let what = if is_of_link { "it is an address of a link" } else { "it is for a group" };
            route.why = Some(what.to_owned());
        }
        Some(route)
    }

    fn route(&self, prefix: IpNet, id: GroupId, target: &mirror::Target, only: Option<IpAddr>) -> Route {
        let number = NextHopId::new(id.0 as usize);
        let given = number.and_then(|id| self.latest.routes.targets.get(id.index()));
        let (leads, why) = match given {
            Some(Target::Hops(_)) => (Leads::On, None),
            Some(Target::Local) => (Leads::Host, None),
            Some(Target::Blackhole) => (Leads::Nowhere, None),
            Some(Target::Kernel) | None => (Leads::Kernel, Some(self.why(number.is_some(), target))),
        };
        let next_hop = |hop: &mirror::Hop| NextHop {
            via: hop.gateway.map(|gateway| gateway.to_string()),
            interface: self.name(hop.link),
            mtu: hop.mtu,
            weight: hop.weight,
            neighbour: only.and_then(|address| {
                let address = hop.gateway.unwrap_or(address);
                Some(self.neighbour(
                    hop.link,
                    self.with_neighbours(hop.link)?,
                    address,
                    self.mirror.neighbour(hop.link, address),
                ))
            }),
        };
        Route {
            prefix: prefix.to_string(),
            leads,
            why,
            next_hops: target.hops().iter().map(next_hop).collect(),
        }
    }

    /// Why the kernel has packets.
    fn why(&self, has_number: bool, target: &mirror::Target) -> String {
        match target {
            mirror::Target::Forward(_) if !has_number => {
                "routes have more different next hops than workers can tell apart".to_owned()
            }
            mirror::Target::Forward(hops) => {
                let others = hops.iter().filter(|hop| self.latest.port(hop.link).is_none());
                let names: Vec<_> = others.map(|hop| self.name(hop.link)).collect();
                format!("{} does not route here", names.join(", "))
            }
            mirror::Target::Kernel => "for a group, or encapsulated".to_owned(),
            mirror::Target::Unreachable => "unreachable".to_owned(),
            mirror::Target::Prohibit => "prohibited".to_owned(),
            mirror::Target::Local | mirror::Target::Broadcast | mirror::Target::Blackhole => {
                "workers do not know it yet".to_owned()
            }
        }
    }

    /// The port of a link on which there can be neighbours, if it is one of ours.
    fn with_neighbours(&self, link: LinkIndex) -> Option<PortId> {
        let is_tunnel = |port: &PortId| self.latest.routes.link(*port).is_some_and(|link| link.is_tunnel);
        self.latest.port(link).filter(|port| !is_tunnel(port))
    }

    fn name(&self, link: LinkIndex) -> String {
        self.mirror.link(link).map_or_else(|| format!("link {}", link.0), |link| link.name.clone())
    }

    /// Interfaces from which the kernel does not forward, for the version of IP that is asked for.
    fn not_forwarding(&self, to: Option<Destination>) -> Vec<String> {
        let is_v4 = to.map(|to| match to {
            Destination::Address(address) => address.is_ipv4(),
            Destination::Prefix(prefix) => prefix.addr().is_ipv4(),
        });
        let is_asked = |family| is_v4.is_none_or(|is_v4| is_v4 == (family == "IPv4"));
        let links = self.latest.routes.links.iter().flatten();
        let words = links.flat_map(|link| {
            let families = ["IPv4", "IPv6"].into_iter().zip(link.forwards);
            let off = families.filter(|(family, forwards)| is_asked(*family) && !forwards);
            off.map(|(family, _)| format!("{family} at {}", self.name(LinkIndex(link.index))))
        });
        words.collect()
    }

    /// The first `limit` neighbours. Addresses of groups are none.
    pub(super) fn neighbours(&self, limit: usize) -> Neighbours {
        let ours = self.mirror.neighbours().filter_map(|(link, address, neighbour)| {
            let port = self.with_neighbours(link).filter(|_| !address.is_multicast())?;
            Some((port, address, link, neighbour))
        });
        let mut ours: Vec<_> = ours.collect();
        ours.sort_by_key(|(port, address, ..)| (*port, *address));
        let first = ours.iter().take(limit);
        let first = first
            .map(|(port, address, link, neighbour)| self.neighbour(*link, *port, *address, Some(neighbour)));
        Neighbours { total: ours.len(), neighbours: first.collect() }
    }

    fn neighbour(
        &self,
        link: LinkIndex,
        port: PortId,
        address: IpAddr,
        neighbour: Option<&mirror::Neighbour>,
    ) -> Neighbour {
        let usable = neighbour.and_then(mirror::Neighbour::usable);
        let state = match neighbour.map(|neighbour| neighbour.state) {
            _ if usable.is_some() => Acquaintance::Known,
            Some(NeighbourState::Incomplete | NeighbourState::Probing) => Acquaintance::Asked,
            Some(
                NeighbourState::Failed
                | NeighbourState::Reachable
                | NeighbourState::Stale
                | NeighbourState::Fixed,
            )
            | None => Acquaintance::Unknown,
        };
        Neighbour {
            interface: self.name(link),
            address: address.to_string(),
            mac: usable.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":")),
            state,
            kernel: neighbour.map(|neighbour| kernel_word(neighbour.state).to_owned()),
            used: (self.is_used)(port, address),
        }
    }
}

/// As `ip neighbour` calls it.
const fn kernel_word(state: NeighbourState) -> &'static str {
    match state {
        NeighbourState::Incomplete => "incomplete",
        NeighbourState::Reachable => "reachable",
        NeighbourState::Stale => "stale",
        NeighbourState::Probing => "probe",
        NeighbourState::Failed => "failed",
        NeighbourState::Fixed => "permanent",
    }
}
