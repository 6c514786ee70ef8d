//! The routes of all tables, kept as the kernel keeps them.

use std::collections::BTreeMap;

use ipnet::IpNet;
use prefix_trie::joint::map::JointPrefixMap;

use super::{
    groups::{GroupId, Groups, Outcome},
    things::{Family, Marks, NextHop, Path, Place, Route, TableId, Via},
};

/// A prefix in a table.
pub(super) type Key = (TableId, IpNet);

/// The routes of all tables.
#[derive(Debug, Default)]
pub(super) struct Tables {
    tables: BTreeMap<TableId, JointPrefixMap<IpNet, Entry>>,
}

/// The routes to one prefix in one table.
#[derive(Debug)]
pub(super) struct Entry {
    /// By metric; among equal ones in the order in which the kernel tries them.
    routes: Vec<Kept>,
    /// The dump that spoke of it last, or that was the last when it was made.
    round: u32,
}

/// A route of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) marks: Marks,
    pub(super) group: GroupId,
}

impl Entry {
    /// The routes.
    pub(super) fn routes(&self) -> &[Kept] {
        &self.routes
    }

    /// The group of the route that wins: the first that comes to anything. Routes for certain sources or types of service are
    /// not followed.
    pub(super) fn best(&self, groups: &Groups) -> Option<GroupId> {
        let is_followed = |kept: &&Kept| kept.marks.tos == 0 && !kept.marks.sourced;
        let comes_to_something = |kept: &&Kept| *groups.outcome(kept.group) != Outcome::Nothing;
        self.routes.iter().filter(is_followed).find(comes_to_something).map(|kept| kept.group)
    }
}

impl Tables {
    /// The routes of a table by prefix.
    pub(super) fn get(&self, table: TableId) -> Option<&JointPrefixMap<IpNet, Entry>> {
        self.tables.get(&table)
    }

    /// Everything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &Entry)> {
        self.tables.iter().flat_map(|(id, table)| table.iter().map(|(prefix, entry)| ((*id, prefix), entry)))
    }

    /// Adds a route. Returns whether there were others to its prefix that no dump has spoken of since the one before `round`.
    pub(super) fn add(&mut self, groups: &mut Groups, route: Route, place: Place, round: u32) -> bool {
        let Route { table, prefix, path, marks } = route;
        let table = self.tables.entry(table).or_default();
        let entry = table.entry(prefix).or_insert_with(|| Entry { routes: Vec::with_capacity(1), round });
        match Family::of(&prefix) {
            Family::V4 => entry.add_v4(groups, path, marks, place),
            Family::V6 => entry.add_v6(groups, path, marks, place),
        }
        entry.round != round
    }

    /// Removes a route, or those of its next hops that are named. Returns whether it was there.
    pub(super) fn remove(&mut self, groups: &mut Groups, route: Route) -> bool {
        let Route { table: id, prefix, path, marks } = route;
        let Some(table) = self.tables.get_mut(&id) else { return false };
        let Some(entry) = table.get_mut(&prefix) else { return false };
        let was_there = match Family::of(&prefix) {
            Family::V4 => entry.remove_v4(groups, &path, marks),
            Family::V6 => entry.remove_v6(groups, &path, marks),
        };
        if entry.routes.is_empty() {
            table.remove(&prefix);
        }
        was_there
    }

    /// Makes the routes to a prefix those that a dump has listed. Returns whether they were others before.
    pub(super) fn set(
        &mut self,
        groups: &mut Groups,
        key: Key,
        routes: Vec<(Marks, Path)>,
        round: u32,
    ) -> bool {
        let (id, prefix) = key;
        let routes: Vec<Kept> =
            routes.into_iter().map(|(marks, path)| Kept { marks, group: groups.take(path) }).collect();
        let table = self.tables.entry(id).or_default();
        let entry = table.entry(prefix).or_insert_with(|| Entry { routes: Vec::new(), round });
        entry.round = round;
        let before = std::mem::replace(&mut entry.routes, routes);
        for kept in &before {
            groups.leave(kept.group);
        }
        before != entry.routes
    }

    /// The prefixes of one version of IP that the dump `round` did not speak of.
    pub(super) fn unspoken(&self, family: Family, round: u32) -> Vec<Key> {
        let of_family = self.iter().filter(|((_, prefix), _)| Family::of(prefix) == family);
        of_family.filter(|(_, entry)| entry.round != round).map(|(key, _)| key).collect()
    }

    /// Removes all routes to a prefix.
    pub(super) fn clear(&mut self, groups: &mut Groups, (table, prefix): Key) {
        let entry = self.tables.get_mut(&table).and_then(|table| table.remove(&prefix));
        for kept in entry.into_iter().flat_map(|entry| entry.routes) {
            groups.leave(kept.group);
        }
    }

    /// Marks an entry as spoken of, if it is there.
    pub(super) fn confirm(&mut self, (table, prefix): Key, round: u32) {
        let table = self.tables.get_mut(&table);
        if let Some(entry) = table.and_then(|table| table.get_mut(&prefix)) {
            entry.round = round;
        }
    }
}

impl Entry {
    /// As `fib_table_insert` in `net/ipv4/fib_trie.c` does.
    fn add_v4(&mut self, groups: &mut Groups, path: Path, marks: Marks, place: Place) {
        let kept = Kept { marks, group: groups.take(path) };
        if self.routes.contains(&kept) {
            // A dump was quicker than the message.
            return groups.leave(kept.group);
        }
        let is_like = |other: &Kept| (other.marks.metric, other.marks.tos) == (marks.metric, marks.tos);
        let first = self.routes.iter().position(is_like);
        match (place, first.and_then(|first| self.routes.get_mut(first))) {
            (Place::Instead, Some(first)) => groups.leave(std::mem::replace(first, kept).group),
            (Place::Last, _) => self.insert_last(kept),
            (Place::First | Place::Instead, _) => {
                let at = self.routes.partition_point(|other| other.marks.metric < marks.metric);
                self.routes.insert(at, kept);
            }
        }
    }

    /// As `fib6_add_rt2node` in `net/ipv6/ip6_fib.c` does. A message about a route with several next hops names all of them, also
    /// if one was added.
    fn add_v6(&mut self, groups: &mut Groups, path: Path, marks: Marks, place: Place) {
        let is_several = has_gateway(&path);
        let takes_place = |kept: &Kept| {
            let Some(other) = groups.path(kept.group).filter(|_| kept.marks.metric == marks.metric) else {
                return false;
            };
            match place {
                Place::Instead => has_gateway(other) == is_several,
                Place::First | Place::Last => other.kind == path.kind && shares_hop(&other.via, &path.via),
            }
        };
        let at = self.routes.iter().position(takes_place);
        let kept = Kept { marks, group: groups.take(path) };
        match at.and_then(|at| self.routes.get_mut(at)) {
            Some(other) => groups.leave(std::mem::replace(other, kept).group),
            None => self.insert_last(kept),
        }
    }

    fn insert_last(&mut self, kept: Kept) {
        let at = self.routes.partition_point(|other| other.marks.metric <= kept.marks.metric);
        self.routes.insert(at, kept);
    }

    /// Removes the route that is meant: the same in everything, or else one that may have become what the message says.
    fn remove_v4(&mut self, groups: &mut Groups, path: &Path, marks: Marks) -> bool {
        let same =
            |kept: &Kept| kept.marks == marks && groups.path(kept.group).is_some_and(|is| alike(is, path));
        let Some(at) = self.routes.iter().position(same) else { return false };
        groups.leave(self.routes.remove(at).group);
        true
    }

    /// Removes the next hops that the message names from the route that has them all; without any, the route is gone.
    fn remove_v6(&mut self, groups: &mut Groups, path: &Path, marks: Marks) -> bool {
        let has_all = |kept: &Kept| {
            let other = groups.path(kept.group).filter(|_| kept.marks.metric == marks.metric);
            other.is_some_and(|other| other.kind == path.kind && rest(&other.via, &path.via).is_some())
        };
        let Some(at) = self.routes.iter().position(has_all) else { return false };
        let Some(kept) = self.routes.get_mut(at) else { return false };
        let left = groups.path(kept.group).and_then(|is| Some((rest(&is.via, &path.via)?, is.mtu)));
        groups.leave(kept.group);
        match left {
            Some((hops, mtu)) if !hops.is_empty() => {
                kept.group = groups.take(Path { kind: path.kind, via: Via::Hops(hops), mtu });
            }
            Some(_) | None => {
                self.routes.remove(at);
            }
        }
        true
    }
}

/// Whether IPv6 takes next hops that are added as further ones of the same route.
fn has_gateway(path: &Path) -> bool {
    match &path.via {
        Via::Hops(hops) => !hops.is_empty() && hops.iter().all(|hop| hop.gateway.is_some()),
        Via::Object(_) => false,
    }
}

/// Whether two next hops are the same whatever state they are in.
fn same_hop(hop: &NextHop, other: &NextHop) -> bool {
    (hop.link, hop.gateway, hop.weight) == (other.link, other.gateway, other.weight)
}

/// Whether two paths are the same whatever state their next hops are in.
fn alike(path: &Path, other: &Path) -> bool {
    let via = match (&path.via, &other.via) {
        (Via::Object(id), Via::Object(other)) => id == other,
        (Via::Hops(hops), Via::Hops(others)) => {
            hops.len() == others.len() && hops.iter().zip(others).all(|(hop, other)| same_hop(hop, other))
        }
        (Via::Object(_), Via::Hops(_)) | (Via::Hops(_), Via::Object(_)) => false,
    };
    via && (path.kind, path.mtu) == (other.kind, other.mtu)
}

fn shares_hop(via: &Via, other: &Via) -> bool {
    match (via, other) {
        (Via::Object(id), Via::Object(other)) => id == other,
        (Via::Hops(hops), Via::Hops(others)) => {
            let is_shared = |hop: &NextHop| {
                others.iter().any(|other| (hop.link, hop.gateway) == (other.link, other.gateway))
            };
            hops.iter().any(is_shared) || (hops.is_empty() && others.is_empty())
        }
        (Via::Object(_), Via::Hops(_)) | (Via::Hops(_), Via::Object(_)) => false,
    }
}

/// What is left of next hops without others; `None` if it does not have them all.
fn rest(via: &Via, gone: &Via) -> Option<Vec<NextHop>> {
    match (via, gone) {
        (Via::Object(id), Via::Object(gone)) => (id == gone).then(Vec::new),
        (Via::Hops(hops), Via::Hops(gone)) => {
            let mut left = hops.clone();
            for hop in gone {
                let at =
                    left.iter().position(|other| (other.link, other.gateway) == (hop.link, hop.gateway))?;
                left.remove(at);
            }
            Some(left)
        }
        (Via::Object(_), Via::Hops(_)) | (Via::Hops(_), Via::Object(_)) => None,
    }
}
