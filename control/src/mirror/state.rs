//! The mirror itself: takes what the kernel says, and tells what is different.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    dump::{Dump, Part, Subject},
    groups::{Around, GroupId, Groups, Target},
    known::Known,
    tables::{Key, Tables},
    things::{
        Family, Link, LinkIndex, Marks, Message, Neighbour, NextHop, Object, Route, Rule, RuleSays, TableId,
        Via,
    },
    view::View,
};

/// Something that is different from what was told before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A link, or `None` if it is gone.
    Link(LinkIndex, Option<Link>),
    /// Whether a link has an address, in a network of this size.
    Address(LinkIndex, IpNet, bool),
    /// A neighbour, or `None` if it was forgotten.
    Neighbour(LinkIndex, IpAddr, Option<Neighbour>),
    /// Where a group leads. `None`: no route leads to it any more, and its number may come again for another one.
    Group(GroupId, Option<Target>),
    /// Which group packets to a prefix take, in the VRF with this table, or in none if it is the main table. `None`: what a shorter prefix says.
    Route(TableId, IpNet, Option<GroupId>),
}

/// The state of the kernel's links, addresses, routes, rules and neighbours, as far as it was said.
#[derive(Debug)]
pub struct Mirror {
    pub(super) links: Known<LinkIndex, Link>,
    pub(super) addresses: Known<(LinkIndex, IpNet), ()>,
    pub(super) neighbours: Known<(LinkIndex, IpAddr), Neighbour>,
    pub(super) objects: Known<u32, Object>,
    /// By priority.
    pub(super) rules: Vec<Rule>,
    pub(super) tables: Tables,
    pub(super) groups: Groups,
    views: Vec<View>,
    /// Prefixes whose routes have changed since changes were told.
    pub(super) dirty: HashSet<Key>,
    pub(super) rules_changed: bool,
    /// The number of the last list.
    pub(super) round: u32,
    pub(super) dump: Option<Dump>,
    pub(super) wanted: BTreeSet<Part>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self {
            links: Known::default(),
            addresses: Known::default(),
            neighbours: Known::default(),
            objects: Known::default(),
            rules: Vec::new(),
            tables: Tables::default(),
            groups: Groups::new(),
            views: vec![View::new(TableId::MAIN)],
            dirty: HashSet::new(),
            rules_changed: false,
            round: 0,
            dump: None,
            wanted: Part::all(),
        }
    }
}

impl Mirror {
    /// Something has changed.
    pub fn apply(&mut self, message: Message) {
        if let (Some(dump), Some(subject)) = (&mut self.dump, Subject::of(&message)) {
            dump.recent.insert(subject);
        }
        match message {
            Message::Link(link) => {
                if self.links.get(link.index).is_some_and(|before| loses(before, &link)) {
                    self.link_lost(link.index);
                }
                if self.has_dead_hop(link.index) {
                    self.want_routes();
                }
                self.links.put(link.index, link, self.round);
            }
            Message::LinkGone(index) => {
                self.link_lost(index);
                self.links.remove(index);
            }
            Message::Address(link, address) => {
                self.addresses.put((link, address), (), self.round);
                if self.has_dead_hop(link) {
                    self.want_routes();
                }
            }
            Message::AddressGone(link, address) => {
                self.addresses.remove((link, address));
                // Routes with this address as their source are removed, and with the last one all that leave by this link.
                if matches!(address, IpNet::V4(_)) {
                    self.want_routes();
                }
            }
            Message::Route(route, place) => {
                let key = (route.table, route.prefix);
                self.dirty.insert(key);
                let route = self.settle(route);
                let is_ahead = self.tables.add(&mut self.groups, route, place, self.round);
                if let Some(dump) = self.dump.as_mut().filter(|_| is_ahead) {
                    dump.ahead.insert(key);
                }
            }
            Message::RouteGone(route) => {
                self.dirty.insert((route.table, route.prefix));
                let route = self.settle(route);
                self.tables.remove(&mut self.groups, route);
            }
            Message::Object(id, object) => self.objects.put(id, object, self.round),
            Message::ObjectGone(id) => {
                self.objects.remove(id);
                self.want_routes();
            }
            Message::Rule(Rule { family, .. }) | Message::RuleGone(family) => {
                self.wanted.insert(Part::Rules(family));
            }
            Message::Neighbour(link, address, neighbour) => {
                self.neighbours.put((link, address), neighbour, self.round);
            }
            Message::NeighbourGone(link, address) => {
                self.neighbours.remove((link, address));
            }
        }
    }

    /// What has changed since the last call. Links, addresses and neighbours come first, then groups, then routes, then groups that are gone: each
    /// speaks only of what was told before.
    pub fn changes(&mut self) -> Vec<Change> {
        let links = self.links.news();
        let objects = self.objects.news();
        let judged = {
            let around = Around { links: &self.links, objects: &self.objects };
            self.groups.judge(around, !links.is_empty() || !objects.is_empty())
        };
        if !judged.flipped.is_empty() {
            let flipped: HashSet<GroupId> = judged.flipped.into_iter().collect();
            let entries = self.tables.iter();
            let has_flipped =
                entries.filter(|(_, entry)| entry.routes().iter().any(|kept| flipped.contains(&kept.group)));
            self.dirty.extend(has_flipped.map(|(key, _)| key));
        }
        let is_vrf =
            |(_, link): &(LinkIndex, Option<Link>)| link.as_ref().is_none_or(|link| link.vrf.is_some());
        let vrfs_changed = links.iter().any(is_vrf);

        let mut changes: Vec<Change> =
            links.into_iter().map(|(index, link)| Change::Link(index, link)).collect();
        let addresses = self.addresses.news().into_iter();
        changes.extend(addresses.map(|((link, address), is)| Change::Address(link, address, is.is_some())));
        let neighbours = self.neighbours.news().into_iter();
        changes.extend(neighbours.map(|((link, address), is)| Change::Neighbour(link, address, is)));
        changes.extend(judged.changed.into_iter().map(|(id, target)| Change::Group(id, Some(target))));
        self.views_into(&mut changes, vrfs_changed);
        changes.extend(self.groups.clear().into_iter().map(|id| Change::Group(id, None)));
        changes
    }
}

impl Mirror {
    /// Brings views up to date.
    fn views_into(&mut self, changes: &mut Vec<Change>, vrfs_changed: bool) {
        let mut new = HashSet::new();
        if vrfs_changed || std::mem::take(&mut self.rules_changed) {
            new = self.arrange(changes);
        }
        let dirty = std::mem::take(&mut self.dirty);
        for view in &mut self.views {
            let mut prefixes = HashSet::new();
            if new.contains(&view.table) {
                prefixes.extend(view.told().keys());
                prefixes.extend(self.tables.iter().map(|((_, prefix), _)| prefix));
            }
            for (table, prefix) in &dirty {
                let order = view.tables_for(prefix);
                if order.contains(table) {
                    prefixes.insert(*prefix);
                    // What other tables say of parts of it may come into sight, or go out of it.
                    let others = order.iter().filter(|other| *other != table);
                    let others = others.filter_map(|other| self.tables.get(*other));
                    prefixes.extend(others.flat_map(|other| other.children(prefix).map(|(part, _)| part)));
                }
            }
            for prefix in prefixes {
                if let Some(group) = view.update(&self.tables, &self.groups, prefix) {
                    changes.push(Change::Route(view.table, prefix, group));
                }
            }
        }
    }

    /// Sees to it that there is a view for each VRF, and that they look at the tables that rules say. Returns those that look at others now.
    fn arrange(&mut self, changes: &mut Vec<Change>) -> HashSet<TableId> {
        let vrfs = self.links.iter().filter_map(|(_, link)| link.vrf);
        let wanted: BTreeSet<TableId> = vrfs.chain([TableId::MAIN]).collect();
        let is_wanted = |view: &View| wanted.contains(&view.table);
        for view in self.views.iter().filter(|view| !is_wanted(view)) {
            changes.extend(view.told().keys().map(|prefix| Change::Route(view.table, prefix, None)));
        }
        self.views.retain(is_wanted);
        for table in wanted {
            if !self.views.iter().any(|view| view.table == table) {
                self.views.push(View::new(table));
            }
        }
        let mut new = HashSet::new();
        for view in &mut self.views {
            if view.order(&self.rules) {
                new.insert(view.table);
            }
        }
        new
    }

    /// A link went down or away. The kernel removes routes and next hops over it, and does not tell of all of them.
    fn link_lost(&mut self, link: LinkIndex) {
        if self.hops().any(|hop| hop.link == link) {
            self.want_routes();
        }
    }

    /// Whether the kernel could begin to use a next hop again, which it does without a message.
    fn has_dead_hop(&self, link: LinkIndex) -> bool {
        self.hops().any(|hop| hop.link == link && hop.dead)
    }

    /// Every next hop, of routes or objects.
    fn hops(&self) -> impl Iterator<Item = &NextHop> {
        let of_routes = self.groups.iter().flat_map(|(_, path)| match &path.via {
            Via::Hops(hops) => hops.as_slice(),
            Via::Object(_) => &[],
        });
        let of_objects = self.objects.iter().filter_map(|(_, object)| match object {
            Object::Hop(hop) => Some(hop),
            Object::Blackhole | Object::Group(_) => None,
        });
        of_routes.chain(of_objects)
    }

    fn want_routes(&mut self) {
        self.wanted.extend([Part::Objects, Part::Routes(Family::V4), Part::Routes(Family::V6)]);
    }

    /// A route without what follows from the state of links, so that it stays the same when this changes.
    pub(super) fn settle(&self, mut route: Route) -> Route {
        if let Via::Hops(hops) = &mut route.path.via {
            for hop in hops.iter_mut().filter(|hop| hop.dead) {
                hop.dead = self.links.get(hop.link).is_some_and(|link| link.up);
            }
            hops.sort_unstable();
        }
        route
    }
}

/// Whether a link has become one over which the kernel gives up routes.
fn loses(before: &Link, now: &Link) -> bool {
    (before.up && !now.up) || (before.carrier && !now.carrier)
}

/// What is there, for those who ask.
impl Mirror {
    /// The links, in no order.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().map(|(_, link)| link)
    }

    /// A link by its number.
    pub fn link(&self, index: LinkIndex) -> Option<&Link> {
        self.links.get(index)
    }

    /// The table of the VRF that a link belongs to, or the main table.
    pub fn table_of(&self, link: LinkIndex) -> TableId {
        let master = self.links.get(link).and_then(|link| self.links.get(link.master?));
        master.and_then(|master| master.vrf).unwrap_or(TableId::MAIN)
    }

    /// The host's own addresses with the sizes of their networks, in no order.
    pub fn addresses(&self) -> impl Iterator<Item = (LinkIndex, IpNet)> {
        self.addresses.iter().map(|(key, ())| *key)
    }

    /// The neighbours, in no order.
    pub fn neighbours(&self) -> impl Iterator<Item = (LinkIndex, IpAddr, &Neighbour)> {
        self.neighbours.iter().map(|((link, address), neighbour)| (*link, *address, neighbour))
    }

    /// Who is at an address of a link.
    pub fn neighbour(&self, link: LinkIndex, address: IpAddr) -> Option<&Neighbour> {
        self.neighbours.get((link, address))
    }

    /// Where packets go that belong to the VRF with a table, or to none if it is the main table: prefixes in order, as they were told.
    pub fn routes(&self, table: TableId) -> impl Iterator<Item = (IpNet, GroupId, &Target)> {
        let views = self.views.iter().filter(move |view| view.table == table);
        let told = views.flat_map(|view| view.told().iter());
        told.filter_map(|(prefix, id)| Some((prefix, *id, self.groups.target(*id)?)))
    }

    /// The tables that [`Mirror::routes`] can tell of.
    pub fn tables(&self) -> impl Iterator<Item = TableId> {
        self.views.iter().map(|view| view.table)
    }

    /// Where packets to an address go, as it was told.
    pub fn lookup(&self, table: TableId, address: IpAddr) -> Option<(IpNet, &Target)> {
        let view = self.views.iter().find(|view| view.table == table)?;
        let (prefix, id) = view.told().get_lpm(&IpNet::from(address))?;
        Some((prefix, self.groups.target(*id)?))
    }

    /// What the kernel would do otherwise than is told here, in words.
    pub fn not_followed(&self) -> Vec<String> {
        let mut words = Vec::new();
        for rule in &self.rules {
            if let RuleSays::Else(text) = &rule.says {
                words
                    .push(format!("rules beyond main/local/VRF are not followed: {}: {text}", rule.priority));
            }
        }
        let mut counts: HashMap<TableId, usize> = HashMap::new();
        for ((table, _), entry) in self.tables.iter() {
            let is_special = |marks: &Marks| marks.tos != 0 || marks.sourced;
            let special = entry.routes().iter().filter(|kept| is_special(&kept.marks)).count();
            if special > 0 {
                *counts.entry(table).or_default() += special;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable();
        let text = |(table, count)| {
            format!("routes for a type of service or a source are not followed: {count} in table {table}")
        };
        words.extend(counts.into_iter().map(text));
        words
    }

    /// How much there is: links, addresses, neighbours, and prefixes in all tables.
    pub fn sizes(&self) -> [usize; 4] {
        let prefixes = self.tables.iter().count();
        [self.links.len(), self.addresses.len(), self.neighbours.len(), prefixes]
    }
}
