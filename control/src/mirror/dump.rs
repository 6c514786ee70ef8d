//! Lists that the kernel gives, taken while messages go on: what is missing in a list is forgotten, what changes meanwhile is not lost.
//!
//! Lists and messages come through one socket, in the order in which the kernel wrote them but for one thing: it may write a piece of a list,
//! change something, send the message, and only then queue the piece. So where a message came since the last piece, it is believed, and not
//! the piece; and another list is wanted afterwards, as that may have been the wrong choice.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    state::Mirror,
    tables::Key,
    things::{Family, LinkIndex, Marks, Message, Path, Rule, RuleSays, TableId},
};

/// What the kernel can be asked to list, in an order in which nothing speaks of what is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All links.
    Links,
    /// All addresses of links.
    Addresses,
    /// All next-hop objects.
    Objects,
    /// All rules of a version of IP.
    Rules(Family),
    /// All routes of a version of IP.
    Routes(Family),
    /// All neighbours.
    Neighbours,
}

impl Part {
    /// All of them.
    pub(super) fn all() -> BTreeSet<Self> {
        BTreeSet::from([
            Self::Links,
            Self::Addresses,
            Self::Objects,
            Self::Rules(Family::V4),
            Self::Rules(Family::V6),
            Self::Routes(Family::V4),
            Self::Routes(Family::V6),
            Self::Neighbours,
        ])
    }
}

/// What a message is about, as far as a list could contradict it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Link(LinkIndex),
    Address(LinkIndex, IpNet),
    Object(u32),
    Neighbour(LinkIndex, IpAddr),
    Route(Key),
}

impl Subject {
    /// That of a message. Rules have none: they are listed anew for each message.
    pub(super) fn of(message: &Message) -> Option<Self> {
        Some(match message {
            Message::Link(link) => Self::Link(link.index),
            Message::LinkGone(link) => Self::Link(*link),
            Message::Address(link, address) | Message::AddressGone(link, address) => {
                Self::Address(*link, *address)
            }
            Message::Route(route, _) | Message::RouteGone(route) => Self::Route((route.table, route.prefix)),
            Message::Object(id, _) | Message::ObjectGone(id) => Self::Object(*id),
            Message::Neighbour(link, address, _) | Message::NeighbourGone(link, address) => {
                Self::Neighbour(*link, *address)
            }
            Message::Rule(_) | Message::RuleGone(_) => return None,
        })
    }
}

/// A list that the kernel is giving.
#[derive(Debug)]
pub(super) struct Dump {
    part: Part,
    /// What messages spoke of since the last piece of the list.
    pub(super) recent: HashSet<Subject>,
    /// Prefixes that messages added routes to, which were known before, and which the list had not spoken of yet.
    pub(super) ahead: HashSet<Key>,
    /// Routes to one prefix follow one another in the list, and are taken together.
    routes: Option<(Key, Vec<(Marks, Path)>)>,
    rules: Vec<Rule>,
    /// Whether something was left open, so that another list is wanted.
    doubtful: bool,
}

impl Mirror {
    /// What the kernel should be asked to list: everything at first, later what it may have changed without saying so.
    pub fn wanted(&self) -> &BTreeSet<Part> {
        &self.wanted
    }

    /// Everything must be listed again, since something that the kernel said was lost.
    pub fn lost(&mut self) {
        self.wanted = Part::all();
    }

    /// The kernel was asked for a list.
    pub fn begin(&mut self, part: Part) {
        self.wanted.remove(&part);
        self.round = self.round.wrapping_add(1);
        self.dump = Some(Dump {
            part,
            recent: HashSet::new(),
            ahead: HashSet::new(),
            routes: None,
            rules: Vec::new(),
            doubtful: false,
        });
    }

    /// A piece of the list that was asked for.
    pub fn listed(&mut self, messages: impl IntoIterator<Item = Message>) {
        let Some(mut dump) = self.dump.take() else { return };
        for message in messages {
            self.listed_one(&mut dump, message);
        }
        if let Some((key, _)) = dump.routes.take_if(|(key, _)| dump.recent.contains(&Subject::Route(*key))) {
            self.doubt(&mut dump, key);
        }
        dump.recent.clear();
        self.dump = Some(dump);
    }

    /// The list has ended. If it is not `sound`, things may be missing in it, so nothing is forgotten, and it is wanted again.
    pub fn end(&mut self, sound: bool) {
        let Some(mut dump) = self.dump.take() else { return };
        self.commit(&mut dump);
        if sound {
            self.sweep(&mut dump);
        }
        if !sound || dump.doubtful {
            self.wanted.insert(dump.part);
        }
    }

    /// The kernel does not know what was asked for. Then it has none; and instead of rules it has fixed tables.
    pub fn unsupported(&mut self) {
        if let Some(Dump { part: Part::Rules(family), rules, .. }) = &mut self.dump {
            let rule = |table| Rule { family: *family, priority: 0, says: RuleSays::Table(table) };
            *rules = [TableId::LOCAL, TableId::MAIN, TableId::DEFAULT].map(rule).into();
        }
        self.end(true);
    }

    fn listed_one(&mut self, dump: &mut Dump, message: Message) {
        let subject = Subject::of(&message);
        let is_contested = subject.is_some_and(|subject| dump.recent.contains(&subject));
        let round = self.round;
        match message {
            Message::Route(route, _) => {
                let route = self.settle(route);
                let key = (route.table, route.prefix);
                if dump.routes.as_ref().is_none_or(|(other, _)| *other != key) {
                    self.commit(dump);
                }
                if is_contested {
                    dump.routes = None;
                    self.doubt(dump, key);
                } else {
                    dump.routes.get_or_insert_with(|| (key, Vec::new())).1.push((route.marks, route.path));
                }
            }
            Message::Rule(rule) => dump.rules.push(rule),
            _ if is_contested => dump.doubtful = true,
            Message::Link(link) => self.links.put(link.index, link, round),
            Message::Address(link, address) => self.addresses.put((link, address), (), round),
            Message::Object(id, object) => self.objects.put(id, object, round),
            Message::Neighbour(link, address, neighbour) => {
                self.neighbours.put((link, address), neighbour, round);
            }
            // Lists speak of nothing that is gone.
            Message::LinkGone(_)
            | Message::AddressGone(..)
            | Message::RouteGone(_)
            | Message::ObjectGone(_)
            | Message::RuleGone(_)
            | Message::NeighbourGone(..) => {}
        }
    }

    /// Takes the routes to one prefix of which the list has spoken.
    fn commit(&mut self, dump: &mut Dump) {
        let Some((key, routes)) = dump.routes.take() else { return };
        if dump.recent.contains(&Subject::Route(key)) {
            return self.doubt(dump, key);
        }
        if self.tables.set(&mut self.groups, key, routes, self.round) {
            self.dirty.insert(key);
        }
    }

    /// Leaves routes to a prefix as messages made them.
    fn doubt(&mut self, dump: &mut Dump, key: Key) {
        self.tables.confirm(key, self.round);
        dump.doubtful = true;
    }

    /// Forgets what the list did not speak of.
    fn sweep(&mut self, dump: &mut Dump) {
        match dump.part {
            Part::Links => self.links.sweep(self.round),
            Part::Addresses => self.addresses.sweep(self.round),
            Part::Objects => self.objects.sweep(self.round),
            Part::Neighbours => self.neighbours.sweep(self.round),
            Part::Rules(family) => {
                let others = self.rules.iter().filter(|rule| rule.family != family).cloned();
                let mut rules: Vec<Rule> = others.chain(dump.rules.drain(..)).collect();
                rules.sort_by_key(|rule| rule.priority);
                self.rules_changed |= rules != self.rules;
                self.rules = rules;
            }
            Part::Routes(family) => {
                for key in self.tables.unspoken(family, self.round) {
                    if dump.ahead.contains(&key) {
                        dump.doubtful = true;
                    } else {
                        self.tables.clear(&mut self.groups, key);
                        self.dirty.insert(key);
                    }
                }
            }
        }
    }
}
