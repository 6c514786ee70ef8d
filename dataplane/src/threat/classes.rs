use std::collections::HashMap;

use ahash::RandomState;

use super::{Feeds, sweep::Active};

/// What an address is named by: few different answers, which most addresses share. Each has a number; 0 is nothing.
#[derive(Debug)]
pub(super) struct Classes {
    classes: Vec<Class>,
    ports: Vec<(u16, Feeds)>,
}

/// The feeds that name an address on every port, and where those are that name it on one port.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    feeds: Feeds,
    first: u32,
    ports: u32,
}

/// What a class says of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Known(Feeds),
    /// These, and what the crowd knows of the address.
    Crowded(Feeds),
}

/// A class of which the ports are too many to be kept here.
const CROWDED: u32 = u32::MAX;
/// Pairs of a port and a feed that one class may have.
const FEW: usize = 8;

impl Classes {
    #[inline]
    pub(super) fn answer(&self, class: u32, port: u16) -> Answer {
        let class = self.classes.get(class as usize).copied().unwrap_or_default();
        if class.ports == 0 {
            return Answer::Known(class.feeds);
        }
        if class.ports == CROWDED {
            return Answer::Crowded(class.feeds);
        }
        let of_port = self.ports(class).iter().find(|(of, _)| *of == port);
        Answer::Known(class.feeds.union(of_port.map_or(Feeds::EMPTY, |(_, feeds)| *feeds)))
    }

    fn ports(&self, class: Class) -> &[(u16, Feeds)] {
        let first = class.first as usize;
        self.ports.get(first..first + class.ports as usize).unwrap_or_default()
    }

    /// Whether a class of this and one of `other` say the same for every port. Of crowded ones this is not known.
    pub(super) fn is_same(&self, class: u32, other: &Self, other_class: u32) -> bool {
        let one = self.classes.get(class as usize).copied().unwrap_or_default();
        let two = other.classes.get(other_class as usize).copied().unwrap_or_default();
        let crowded = one.ports == CROWDED || two.ports == CROWDED;
        one.feeds == two.feeds && !crowded && self.ports(one) == other.ports(two)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.classes) + size_of_val(&*self.ports)
    }
}

/// The ports of a class; `None` if they are too many.
type Ports = Option<Vec<(u16, Feeds)>>;

/// Gives equal classes one number.
#[derive(Debug)]
pub(super) struct Interner {
    classes: Classes,
    plain: HashMap<Feeds, u32, RandomState>,
    ported: HashMap<(Feeds, Ports), u32, RandomState>,
    /// The plain class that was asked for last.
    last: (Feeds, u32),
}

impl Interner {
    pub(super) fn new() -> Self {
        Self {
            classes: Classes { classes: vec![Class::default()], ports: Vec::new() },
            plain: HashMap::default(),
            ported: HashMap::default(),
            last: (Feeds::EMPTY, 0),
        }
    }

    /// The number of the class, and whether it is crowded.
    pub(super) fn class(&mut self, active: &Active) -> (u32, bool) {
        let feeds = active.feeds();
        let next = self.classes.classes.len() as u32;
        let ports = (active.pairs() <= FEW).then(|| active.ports());
        if ports.as_ref().is_some_and(Vec::is_empty) {
            if self.last.0 != feeds {
                let class = *self.plain.entry(feeds).or_insert(next);
                if class == next {
                    self.classes.classes.push(Class { feeds, first: 0, ports: 0 });
                }
                self.last = (feeds, class);
            }
            return (self.last.1, false);
        }
        let crowded = ports.is_none();
        let key = (feeds, ports);
        if let Some(class) = self.ported.get(&key) {
            return (*class, crowded);
        }
        let first = self.classes.ports.len() as u32;
        let ports = key.1.as_deref().unwrap_or_default();
        self.classes.ports.extend_from_slice(ports);
        let count = if crowded { CROWDED } else { ports.len() as u32 };
        self.classes.classes.push(Class { feeds, first, ports: count });
        self.ported.insert(key, next);
        (next, crowded)
    }

    pub(super) fn finish(mut self) -> Classes {
        self.classes.classes.shrink_to_fit();
        self.classes.ports.shrink_to_fit();
        self.classes
    }
}
