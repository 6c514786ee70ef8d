use std::{
    collections::{BTreeSet, HashMap},
    fs,
    net::IpAddr,
    sync::Arc,
};

use ravelin_dataplane::{
    io::PortId,
    parse::Address,
    route::{self, Fib, Hop, Link, Neighbours, NextHopId, Rib, Routes, Target},
};

use super::Latest;
use crate::mirror::{self, Change, LinkIndex, Mirror, TableId};

/// Makes of what the mirror tells what workers follow.
#[derive(Debug)]
pub(crate) struct Translator {
    /// The interfaces that route, by name.
    ports: Vec<(String, PortId)>,
    /// Those of them that are tunnels.
    tunnels: Vec<PortId>,
    /// Those that are there now.
    links: HashMap<LinkIndex, PortId>,
    /// By the place that workers know a table by; the main table is the first.
    tables: Vec<Table>,
    /// By the number of their group; those that lead nowhere now are the kernel's.
    targets: Vec<Option<mirror::Target>>,
    routes: Routes,
    own: Vec<IpAddr>,
    addresses: Vec<(PortId, IpAddr)>,
}

#[derive(Debug)]
struct Table {
    id: TableId,
    rib: Rib,
    fib: Fib,
}

impl Table {
    fn new(id: TableId) -> Self {
        Self { id, rib: Rib::new(), fib: Fib::default() }
    }
}

impl Translator {
    /// One for these interfaces that route, and these that are tunnels besides, each by the name that the kernel has for it.
    pub(crate) fn new(mut ports: Vec<(String, PortId)>, tunnels: &[(String, PortId)]) -> Self {
        ports.extend_from_slice(tunnels);
        Self {
            ports,
            tunnels: tunnels.iter().map(|(_, port)| *port).collect(),
            links: HashMap::new(),
            tables: vec![Table::new(TableId::MAIN)],
            targets: Vec::new(),
            routes: Routes::default(),
            own: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// Takes in what has changed.
    pub(crate) fn translate(&mut self, mirror: &Mirror, changes: Vec<Change>) -> Latest {
        let mut prefixes: HashMap<TableId, Vec<route::Change>> = HashMap::new();
        let (mut has_links, mut has_groups, mut has_neighbours, mut has_addresses) =
            (false, false, false, false);
        for change in changes {
            match change {
                Change::Link(..) | Change::Settings => has_links = true,
                Change::Address(..) => has_addresses = true,
                Change::Neighbour(link, ..) => has_neighbours |= self.with_neighbours(link).is_some(),
                Change::Group(id, target) => {
                    has_groups = true;
                    let place = id.0 as usize;
                    if place >= self.targets.len() {
                        self.targets.resize(place + 1, None);
                    }
                    if let Some(slot) = self.targets.get_mut(place) {
                        *slot = target;
                    }
                }
                Change::Route(table, prefix, group) => {
                    // One number too many is no route, and so the kernel's business.
                    let next = group.and_then(|group| NextHopId::new(group.0 as usize));
                    prefixes.entry(table).or_default().push(route::Change { prefix, next });
                }
            }
        }
        if has_links {
            self.find_links(mirror);
        }
        if has_links || has_groups {
            self.routes.targets = self.targets.iter().map(|target| self.target(target.as_ref())).collect();
        }
        if has_links || has_neighbours {
            let usable = mirror.neighbours().filter_map(|(link, address, neighbour)| {
                Some((self.with_neighbours(link)?, address, neighbour.usable()?))
            });
            let neighbours = Neighbours::new(usable);
            neighbours.remember(&self.routes.neighbours);
            self.routes.neighbours = Arc::new(neighbours);
        }
        if has_links || has_addresses {
            let of_ports =
                mirror.addresses().filter_map(|(link, net)| Some((*self.links.get(&link)?, net.addr())));
            let of_ports: BTreeSet<_> = of_ports.collect();
            self.addresses = of_ports.into_iter().collect();
        }
        if has_addresses {
            let own: BTreeSet<_> = mirror.addresses().map(|(_, net)| net.addr()).collect();
            self.own = own.into_iter().collect();
        }
        // What has not changed stays the same, so that it can be told.
        let has_routes = has_links || !prefixes.is_empty();
        for (id, changes) in prefixes {
            let place = self.place(id);
            if let Some(table) = self.tables.get_mut(place) {
                table.fib = table.rib.apply(&changes);
            }
        }
        if has_routes {
            self.routes.fibs = self.tables.iter().map(|table| table.fib.clone()).collect();
        }
        let links = self.links.iter().map(|(link, port)| (*port, *link)).collect();
        Latest {
            routes: self.routes.clone(),
            own: self.own.clone(),
            addresses: self.addresses.clone(),
            links,
        }
    }

    /// The port of a link on which there can be neighbours, if it is one of ours.
    fn with_neighbours(&self, link: LinkIndex) -> Option<PortId> {
        self.links.get(&link).copied().filter(|port| !self.tunnels.contains(port))
    }

    fn find_links(&mut self, mirror: &Mirror) {
        self.links.clear();
        let last = self.ports.iter().map(|(_, port)| port.index()).max().unwrap_or_default();
        let mut links = vec![None; last + 1];
        for link in mirror.links() {
            let Some((_, port)) = self.ports.iter().find(|(name, _)| *name == link.name) else { continue };
            let port = *port;
            self.links.insert(link.index, port);
            let table = self.place(mirror.table_of(link.index));
            if let (Some(slot), Some(mac), Ok(table)) =
                (links.get_mut(port.index()), link.mac, u8::try_from(table))
            {
                let forwards = ["ipv4", "ipv6"].map(|family| forwards(family, &link.name));
                let is_tunnel = self.tunnels.contains(&port);
                *slot = Some(Link { index: link.index.0, mac, table, forwards, is_tunnel });
            }
        }
        self.routes.links = links.into();
    }

    /// The place of a table, which it has from now on.
    fn place(&mut self, id: TableId) -> usize {
        let known = self.tables.iter().position(|table| table.id == id);
        known.unwrap_or_else(|| {
            self.tables.push(Table::new(id));
            self.tables.len() - 1
        })
    }

    fn target(&self, target: Option<&mirror::Target>) -> Target {
        match target {
            Some(mirror::Target::Forward(hops)) => {
                let hop = |hop: &mirror::Hop| {
                    Some(Hop {
                        port: *self.links.get(&hop.link)?,
                        gateway: hop.gateway.map(Address::from),
                        mtu: hop.mtu,
                        weight: hop.weight.max(1),
                    })
                };
                // One that is not ours is the kernel's, and with it its share of the flows.
                hops.iter().map(hop).collect::<Option<_>>().map_or(Target::Kernel, Target::Hops)
            }
            Some(mirror::Target::Local | mirror::Target::Broadcast) => Target::Local,
            Some(mirror::Target::Blackhole) => Target::Blackhole,
            Some(mirror::Target::Kernel | mirror::Target::Unreachable | mirror::Target::Prohibit) | None => {
                Target::Kernel
            }
        }
    }
}

/// Whether the kernel forwards what an interface receives.
pub(super) fn forwards(family: &str, interface: &str) -> bool {
    let path = format!("/proc/sys/net/{family}/conf/{interface}/forwarding");
    fs::read_to_string(path).is_ok_and(|text| text.trim() != "0")
}
