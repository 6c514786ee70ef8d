//! What a feed may never block, whatever it says; and what it may not, because somebody said so.
//!
//! A [`Guard`] is about all feeds; what it makes for one ([`FeedGuard`]) splits ranges of addresses into what remains and what is held
//! back, with the reason: ranges that are too wide to be meant, networks of the configuration's guard list, the appliance's own
//! addresses, gateways and resolvers, and the exceptions of `[[threat.allow]]` for as long as they last. Promises: every address of the
//! input is in exactly one of the two outputs, and none that is guarded remains. Costs a search among the guarded networks for each
//! range, so that a feed of millions is no matter. Refuses: to know what a feed does with an address, and what time it is.

use std::{cmp::Reverse, fmt, net::IpAddr, sync::Arc};

use jiff::Timestamp;
use ravelin_config::{
    Config, Widest,
    feed::Allowance,
    types::{IpNet, IpRange},
};

/// What an address is to the appliance itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// One of its own.
    Own,
    /// A gateway of its routes.
    Gateway,
    /// A resolver that it asks.
    Resolver,
}

/// Why something is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is wider than `[threat.widest]`.
    TooWide {
        /// The shortest prefix that there may be.
        widest: u8,
    },
    /// It is in a network of `[threat] guard`.
    Guarded(IpNet),
    /// The appliance lives by it.
    Needed(IpAddr, Role),
    /// Somebody has allowed it.
    Allowed(Arc<Allowance>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooWide { widest } => write!(f, "it is wider than a /{widest}"),
            Self::Guarded(net) => write!(f, "{net} is guarded"),
            Self::Allowed(allowance) => allowance.fmt(f),
            Self::Needed(address, Role::Own) => write!(f, "{address} is an address of this machine"),
            Self::Needed(address, Role::Gateway) => write!(f, "{address} is a gateway of this machine"),
            Self::Needed(address, Role::Resolver) => write!(f, "{address} is a resolver of this machine"),
        }
    }
}

/// What remains of a feed's ranges, and what does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// What may be blocked, in the order of what it is from.
    pub remains: Vec<IpRange>,
    /// What may not, and why, in the same order.
    pub held: Vec<(IpRange, Reason)>,
}

/// What feeds may not block.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// For all feeds.
    guarded: Vec<(IpRange, Reason)>,
    /// For some, and for a while.
    allowed: Vec<Arc<Allowance>>,
    widest: Widest,
}

/// What one feed may not block.
#[derive(Clone, Debug)]
pub struct FeedGuard {
    /// Sorted, and none overlaps another.
    guarded: Vec<(IpRange, Reason)>,
    widest: Widest,
}

impl Guard {
    /// What the configuration guards and, as of `now`, allows; and what the appliance needs.
    pub fn new(config: &Config, needed: impl IntoIterator<Item = (IpAddr, Role)>, now: Timestamp) -> Self {
        let nets = config.threat.guard.iter().map(|net| (IpRange::from(*net), Reason::Guarded(*net)));
        let needed =
            needed.into_iter().map(|(address, role)| (IpRange::from(address), Reason::Needed(address, role)));
        let in_force = config.allow.iter().filter(|allowance| !allowance.has_expired(now));
        let mut allowed: Vec<_> = in_force.cloned().map(Arc::new).collect();
        // Of two that say the same, the one that lasts longer is named.
        allowed.sort_by_key(|allowance| Reverse(allowance.expires.unwrap_or(Timestamp::MAX)));
        Self { guarded: nets.chain(needed).collect(), allowed, widest: config.threat.widest.clone() }
    }

    /// Whether an exception has expired.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.allowed.iter().any(|allowance| allowance.has_expired(now))
    }

    /// Forgets the exceptions that have expired, and says which.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Arc<Allowance>> {
        self.allowed.extract_if(.., |allowance| allowance.has_expired(now)).collect()
    }

    /// What the feed called `name` may not block.
    pub fn of(&self, name: &str) -> FeedGuard {
        let allowed = self.allowed.iter().filter(|allowance| allowance.is_about(name));
        let allowed = allowed.map(|allowance| (allowance.address, Reason::Allowed(Arc::clone(allowance))));
        FeedGuard::new(self.guarded.iter().cloned().chain(allowed).collect(), self.widest.clone())
    }
}

impl FeedGuard {
    fn new(mut all: Vec<(IpRange, Reason)>, widest: Widest) -> Self {
        // The wider of two that begin together comes first, and stands for both.
        all.sort_by_key(|(range, _)| (range.first(), Reverse(range.last())));
        let mut guarded: Vec<(IpRange, Reason)> = Vec::with_capacity(all.len());
        for (range, reason) in all {
            let rest = match guarded.last() {
                Some((before, _)) => range.above(before.last()),
                None => Some(range),
            };
            guarded.extend(rest.map(|rest| (rest, reason)));
        }
        Self { guarded, widest }
    }

    /// Splits the ranges of the feed.
    pub fn split(&self, ranges: impl IntoIterator<Item = IpRange>) -> Split {
        let mut split = Split::default();
        for range in ranges {
            self.split_one(range, &mut split);
        }
        split
    }

    fn split_one(&self, range: IpRange, split: &mut Split) {
        let widest = match range {
            IpRange::V4 { .. } => self.widest.ipv4,
            IpRange::V6 { .. } => self.widest.ipv6,
        };
        if range.width() < widest.into() {
            split.held.push((range, Reason::TooWide { widest }));
            return;
        }
        let start = self.guarded.partition_point(|(guarded, _)| guarded.last() < range.first());
        let mut rest = Some(range);
        for (guarded, reason) in &self.guarded[start..] {
            let Some(left) = rest else { break };
            let Some(held) = left.and(guarded) else { break };
            split.remains.extend(left.below(held.first()));
            split.held.push((held, reason.clone()));
            rest = left.above(held.last());
        }
        split.remains.extend(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a feed called `a` may not block.
    fn guarding(threat: &str, needed: impl IntoIterator<Item = (IpAddr, Role)>) -> FeedGuard {
        let text = format!("[threat]\n{threat}\n[[feed]]\nname = 'a'\nfile = 'a'\n");
        let config =
            ravelin_config::parse(&text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config;
        Guard::new(&config, needed, Timestamp::UNIX_EPOCH).of("a")
    }

    fn net(text: &str) -> IpRange {
        text.parse::<IpNet>().unwrap().into()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn range(first: &str, last: &str) -> IpRange {
        IpRange::new(ip(first), ip(last)).unwrap()
    }

    #[test]
    fn a_poisoned_feed_blocks_nothing_that_matters() {
        let needed = [
            (ip("203.0.113.1"), Role::Own),
            (ip("203.0.113.254"), Role::Gateway),
            (ip("2001:db8::53"), Role::Resolver),
        ];
        let guard = guarding("", needed);
        let whole = |text: &str| {
            let Split { remains, held } = guard.split([net(text)]);
            assert_eq!((remains.len(), held.len()), (0, 1), "{text} {held:?}");
            assert_eq!(held[0].0, net(text));
            held[0].1.clone()
        };
        for wide in ["0.0.0.0/0", "128.0.0.0/1", "6.0.0.0/7"] {
            assert_eq!(whole(wide), Reason::TooWide { widest: 8 });
        }
        assert_eq!(whole("2000::/3"), Reason::TooWide { widest: 19 });
        assert_eq!(whole("::/0").to_string(), "it is wider than a /19");
        assert_eq!(whole("10.0.0.0/8").to_string(), "10.0.0.0/8 is guarded");
        for own in
            ["127.0.0.1/32", "192.168.7.0/24", "169.254.169.254/32", "::1/128", "fe80::1/128", "fd00::/19"]
        {
            assert!(matches!(whole(own), Reason::Guarded(_)), "{own}");
        }
        assert_eq!(whole("203.0.113.1/32").to_string(), "203.0.113.1 is an address of this machine");
        assert_eq!(whole("203.0.113.254/32").to_string(), "203.0.113.254 is a gateway of this machine");
        assert_eq!(whole("2001:db8::53/128").to_string(), "2001:db8::53 is a resolver of this machine");
    }

    #[test]
    fn the_rest_of_a_range_remains() {
        let needed = [(ip("203.0.113.1"), Role::Own), (ip("203.0.113.254"), Role::Gateway)];
        let guard = guarding("", needed);
        let split =
            guard.split([net("203.0.113.0/24"), net("198.51.100.7/32"), range("9.255.255.0", "11.0.0.9")]);
        let remains = [
            range("203.0.113.0", "203.0.113.0"),
            range("203.0.113.2", "203.0.113.253"),
            range("203.0.113.255", "203.0.113.255"),
            net("198.51.100.7/32"),
        ];
        assert_eq!(split.remains, remains);
        let held = [
            (net("203.0.113.1/32"), Reason::Needed(ip("203.0.113.1"), Role::Own)),
            (net("203.0.113.254/32"), Reason::Needed(ip("203.0.113.254"), Role::Gateway)),
            (range("9.255.255.0", "11.0.0.9"), Reason::TooWide { widest: 8 }),
        ];
        assert_eq!(split.held, held);
        let across = guard.split([range("9.255.255.0", "10.0.0.9")]);
        assert_eq!(across.remains, [net("9.255.255.0/24")]);
        assert_eq!(across.held[0].0, range("10.0.0.0", "10.0.0.9"));
    }

    #[test]
    fn what_is_guarded_is_configured() {
        let guard = guarding("guard = []\nwidest = { ipv4 = 0, ipv6 = 0 }", []);
        let all = [net("0.0.0.0/0"), net("::/0")];
        assert_eq!(guard.split(all), Split { remains: all.to_vec(), held: Vec::new() });
        let guard = guarding("guard = ['0.0.0.0/0', '::/0']", []);
        assert_eq!(guard.split([net("192.0.2.1/32"), net("ffff::/16")]).remains, []);
    }

    /// Few addresses, so that things overlap; both ends of each family, so that nothing overflows.
    fn any_range() -> impl Strategy<Value = IpRange> {
        (any::<bool>(), any::<bool>(), 0_u8..16, 0_u8..16).prop_map(|(v4, high, a, b)| {
            let address = |low: u8| match (v4, high) {
                (true, false) => IpAddr::from([0, 0, 0, low]),
                (true, true) => IpAddr::from([255, 255, 255, 240 + low]),
                (false, false) => IpAddr::from(std::net::Ipv6Addr::from(u128::from(low))),
                (false, true) => IpAddr::from(std::net::Ipv6Addr::from(u128::MAX - 15 + u128::from(low))),
            };
            IpRange::new(address(a.min(b)), address(a.max(b))).unwrap()
        })
    }

    /// The addresses of a short range, one by one.
    fn addresses(range: &IpRange) -> Vec<IpAddr> {
        match *range {
            IpRange::V4 { first, last } => (first..=last).map(IpAddr::V4).collect(),
            IpRange::V6 { first, last } => (first..=last).map(IpAddr::V6).collect(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        /// Each address of the input is in one output, as often as it is in the input; a guarded one never remains.
        #[test]
        fn nothing_is_lost_and_nothing_guarded_remains(
            guarded in proptest::collection::vec(any_range(), 0..6),
            ranges in proptest::collection::vec(any_range(), 0..6),
        ) {
            let own = guarded.iter().flat_map(addresses).map(|address| (address, Role::Own));
            let guard = guarding("guard = []", own);
            for pair in guard.guarded.windows(2) {
                let [(a, _), (b, _)] = pair else { unreachable!() };
                prop_assert!(a.last() < b.first());
            }
            let split = guard.split(ranges.iter().copied());
            let count = |all: &[IpRange], address: IpAddr| all.iter().filter(|it| it.contains(address)).count();
            let held: Vec<_> = split.held.iter().map(|(range, _)| *range).collect();
            for range in &ranges {
                for address in addresses(range) {
                    let (remain, hold) = (count(&split.remains, address), count(&held, address));
                    prop_assert_eq!(remain + hold, count(&ranges, address), "{}", address);
                    prop_assert_eq!(if count(&guarded, address) > 0 { remain } else { hold }, 0, "{}", address);
                }
            }
        }

        /// Overlapping networks in any order are guarded as a whole, each by one reason.
        #[test]
        fn networks_may_overlap(lengths in proptest::collection::vec(8_u8..=32, 1..6)) {
            let nets: Vec<_> = lengths.iter().map(|length| format!("'203.0.113.9/{length}'")).collect();
            let guard = guarding(&format!("guard = [{}]", nets.join(",")), [(ip("203.0.113.9"), Role::Own)]);
            prop_assert_eq!(guard.guarded.len(), 1);
            let widest = *lengths.iter().min().unwrap();
            let whole = IpNet::new(ip("203.0.113.9"), widest).unwrap().trunc();
            prop_assert_eq!(guard.guarded[0].0, IpRange::from(whole));
        }
    }
}
