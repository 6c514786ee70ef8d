use super::Choices;
use ravelin_config::types::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn draw(choices: &mut Choices) -> Self {
        choices.one(&[Self::V4, Self::V4, Self::V6])
    }

    pub(super) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// One of few addresses, close together.
pub(super) fn address(choices: &mut Choices, family: Family) -> IpAddr {
    let (net, host) = (choices.below(2), choices.below(12));
    let (net, host) = (u8::try_from(net).expect("it is small"), u8::try_from(host).expect("it is small"));
    match family {
        Family::V4 => Ipv4Addr::new(10, 0, net, host).into(),
        Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(net), 0, 0, 0, u16::from(host)).into(),
    }
}

fn cut(address: IpAddr, prefix: u8) -> IpNet {
    IpNet::new(address, prefix).expect("the prefix is short enough").trunc()
}

/// A prefix around one of the addresses, often of one address.
pub(super) fn net(choices: &mut Choices, family: Family) -> IpNet {
    let prefix = match family {
        Family::V4 => choices.one(&[32, 32, 31, 30, 29, 24, 16]),
        Family::V6 => choices.one(&[128, 128, 127, 126, 125, 64, 48]),
    };
    cut(address(choices, family), prefix)
}

/// As [`net`], sometimes everything.
pub(super) fn any_net(choices: &mut Choices, family: Family) -> IpNet {
    if choices.chance(8) { cut(address(choices, family), 0) } else { net(choices, family) }
}

/// Up to three different prefixes of a family.
pub(super) fn nets(choices: &mut Choices, family: Family) -> Vec<IpNet> {
    let mut nets: Vec<_> = (0..choices.between(1, 3)).map(|_| net(choices, family)).collect();
    nets.sort();
    nets.dedup();
    nets
}

/// The addresses at the ends of a prefix, and those before and behind.
pub(super) fn edges(net: IpNet) -> Vec<IpAddr> {
    let edges: Vec<Option<IpAddr>> = match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let edges = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
            edges.into_iter().map(|edge| edge.map(|bits| Ipv4Addr::from_bits(bits).into())).collect()
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            let edges = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
            edges.into_iter().map(|edge| edge.map(|bits| Ipv6Addr::from_bits(bits).into())).collect()
        }
    };
    edges.into_iter().flatten().collect()
}
