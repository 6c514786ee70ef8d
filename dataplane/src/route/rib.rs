use std::collections::{BTreeMap, BTreeSet};

use ravelin_config::types::IpNet;

use super::{
    fib::Fib,
    longer::{Longer, key},
    next_hop::NextHopId,
    prefixes::{Prefixes, replace},
    runs::{Run, Stretch, runs},
    table::Table,
};

/// What becomes of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The prefix; bits behind its length mean nothing.
    pub prefix: IpNet,
    /// Its next hops from now on; none, if there is no such route any more.
    pub next: Option<NextHopId>,
}

/// All prefixes with their next hops.
#[derive(Debug)]
pub struct Rib {
    v4: Prefixes,
    default4: Option<NextHopId>,
    /// Those of up to 32 bits.
    v6: Prefixes,
    default6: Option<NextHopId>,
    /// Those of more.
    longer: BTreeMap<(u128, u8), NextHopId>,
    buckets: Longer,
}

impl Default for Rib {
    fn default() -> Self {
        Self::new()
    }
}

impl Rib {
    /// Without any prefix.
    pub fn new() -> Self {
        Self {
            v4: Prefixes::default(),
            default4: None,
            v6: Prefixes::default(),
            default6: None,
            longer: BTreeMap::new(),
            buckets: Longer::new(),
        }
    }

    /// Makes changes, in order. What they do not concern is shared with what was made before.
    pub fn apply(&mut self, changes: &[Change]) -> Fib {
        let (mut short4, mut short6) = (Vec::new(), Vec::new());
        // Keys below which something changes.
        let mut keys = BTreeSet::new();
        for Change { prefix, next } in changes {
            match (prefix.trunc(), prefix.prefix_len()) {
                (IpNet::V4(_), 0) => self.default4 = *next,
                (IpNet::V6(_), 0) => self.default6 = *next,
                (IpNet::V4(net), length) => short4.push((net.network().to_bits(), length, *next)),
                (IpNet::V6(net), length @ ..=32) => {
                    short6.push((key(net.network().to_bits()), length, *next));
                }
                (IpNet::V6(net), length) => {
                    let first = net.network().to_bits();
                    if replace(&mut self.longer, (first, length), *next) != *next {
                        keys.insert(key(first));
                    }
                }
            }
        }
        self.v4.apply(short4.into_iter());
        for (first, last) in self.v6.apply(short6.into_iter()) {
            let mut from = Some(first);
            while let Some(next) = from.and_then(|from| self.key_from(from)).filter(|next| *next <= last) {
                keys.insert(next);
                from = next.checked_add(1);
            }
        }
        let Self { v6, longer, buckets, .. } = self;
        if !keys.is_empty() {
            buckets.set(keys.into_iter().map(|key| (key, key_runs(longer, v6.table(), key))));
        }
        self.fib()
    }

    /// What all prefixes say.
    fn fib(&self) -> Fib {
        Fib {
            v4: self.v4.table().clone(),
            default4: self.default4,
            v6: self.v6.table().clone(),
            default6: self.default6,
            longer: self.buckets.clone(),
        }
    }

    /// The first key from this one on with which prefixes begin.
    fn key_from(&self, from: u32) -> Option<u32> {
        self.longer.range((u128::from(from) << 96, 0)..).next().map(|((first, _), _)| key(*first))
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        let defaults = [self.default4, self.default6].into_iter().flatten().count();
        self.v4.len() + self.v6.len() + self.longer.len() + defaults
    }

    /// Whether there is no prefix.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What prefixes say that begin with a key, if there are any.
fn key_runs(longer: &BTreeMap<(u128, u8), NextHopId>, shorter: &Table, key: u32) -> Option<Vec<Run>> {
    let first = u128::from(key) << 96;
    let within = Stretch { first, last: last(first, 32), value: shorter.find(key) };
    let mut prefixes = longer.range((first, 0)..=(within.last, 128)).peekable();
    prefixes.peek()?;
    Some(runs(
        within,
        prefixes.map(|((first, length), next)| Stretch {
            first: *first,
            last: last(*first, *length),
            value: NextHopId::value(Some(*next)),
        }),
    ))
}

fn last(first: u128, length: u8) -> u128 {
    first | u128::MAX.checked_shr(length.into()).unwrap_or(0)
}
