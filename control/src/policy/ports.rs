//! Sets of ports: sorted ranges that neither overlap nor touch.

use ravelin_config::types::PortRange;

/// Ports, or types and codes of ICMP in the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports(Vec<(u16, u16)>);

impl Ports {
    pub(super) fn all() -> Self {
        Self(vec![(0, u16::MAX)])
    }

    pub(super) fn of(ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let joined = next.0 <= kept.1.saturating_add(1);
            if joined {
                kept.1 = kept.1.max(next.1);
            }
            joined
        });
        Self(ranges)
    }

    pub(super) fn single(port: u16) -> Self {
        Self(vec![(port, port)])
    }

    pub(super) fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        for &(from, to) in &other.0 {
            left = left
                .into_iter()
                .flat_map(|(first, last)| {
                    if to < first || last < from {
                        return [Some((first, last)), None];
                    }
                    let below = (first < from).then(|| (first, from.saturating_sub(1)));
                    let above = (to < last).then(|| (to.saturating_add(1), last));
                    [below, above]
                })
                .flatten()
                .collect();
        }
        Self(left)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = PortRange> + '_ {
        self.0.iter().filter_map(|(first, last)| PortRange::new(*first, *last).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::Ports;
    use proptest::prelude::*;

    fn ports() -> impl Strategy<Value = Ports> {
        proptest::collection::vec((0u16..40, 0u16..6), 0..5)
            .prop_map(|pieces| Ports::of(pieces.into_iter().map(|(first, length)| (first, first + length))))
    }

    proptest! {
        #[test]
        fn what_is_taken_away_is_gone_and_nothing_else(a in ports(), b in ports()) {
            let left = a.without(&b);
            for port in 0..60 {
                prop_assert_eq!(left.contains(port), a.contains(port) && !b.contains(port));
            }
            prop_assert!(Ports::all().without(&Ports::all()).is_empty());
            prop_assert!(Ports::all().without(&a).without(&Ports::all().without(&a)).is_empty());
        }
    }
}
