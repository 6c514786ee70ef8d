use std::collections::BTreeMap;

use ravelin_config::types::IpNet;

use super::{
    fib::Fib,
    next_hop::NextHopId,
    prefixes::{Number, Prefixes},
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
#[derive(Debug, Default)]
pub struct Rib {
    v4: Prefixes<u32>,
    v6: Prefixes<u128>,
    /// Those that tables do not know, of IPv6: by the length and the first bits.
    shortest6: BTreeMap<(u8, u8), NextHopId>,
    fib: Fib,
}

impl Rib {
    /// Without any prefix.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes changes, in order. What they do not concern is shared with what was made before.
    pub fn apply(&mut self, changes: &[Change]) -> Fib {
        let (mut of4, mut of6) = (Vec::new(), Vec::new());
        let mut shortest = false;
        for Change { prefix, next } in changes {
            match (prefix.trunc(), prefix.prefix_len()) {
                (IpNet::V4(_), 0) => self.fib.default4 = *next,
                (IpNet::V4(net), length) => of4.push((net.network().to_bits(), length, *next)),
                (IpNet::V6(net), length @ ..<u128 as Number>::SHORTEST) => {
                    let [first, ..] = net.network().octets();
                    match next {
                        Some(next) => self.shortest6.insert((length, first), *next),
                        None => self.shortest6.remove(&(length, first)),
                    };
                    shortest = true;
                }
                (IpNet::V6(net), length) => of6.push((net.network().to_bits(), length, *next)),
            }
        }
        let Self { v4, v6, shortest6, fib } = self;
        v4.apply(of4.into_iter(), |slots| fib.v4.set(slots));
        v6.apply(of6.into_iter(), |slots| fib.v6.set(slots));
        if shortest {
            fib.v6.set_values(|first| {
                let begins = |length: u8| first & !u8::MAX.checked_shr(length.into()).unwrap_or(0);
                let longest = (0..<u128 as Number>::SHORTEST).rev();
                NextHopId::value(
                    longest.filter_map(|length| shortest6.get(&(length, begins(length)))).next().copied(),
                )
            });
        }
        fib.clone()
    }

    /// How many prefixes there are.
    pub fn len(&self) -> usize {
        self.v4.len() + usize::from(self.fib.default4.is_some()) + self.v6.len() + self.shortest6.len()
    }

    /// Whether there is no prefix.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
