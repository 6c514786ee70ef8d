//! What the kernel speaks of: links, addresses, routes, next hops, rules, neighbours.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use ipnet::IpNet;

/// The kernel's number of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkIndex(pub u32);

/// The kernel's number of a routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

impl TableId {
    /// What the kernel looks at when nothing else was found; empty as a rule.
    pub const DEFAULT: Self = Self(253);
    /// Where routes are unless somebody says otherwise.
    pub const MAIN: Self = Self(254);
    /// What is for the host itself; the kernel keeps it.
    pub const LOCAL: Self = Self(255);
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DEFAULT => f.write_str("default"),
            Self::MAIN => f.write_str("main"),
            Self::LOCAL => f.write_str("local"),
            Self(number) => number.fmt(f),
        }
    }
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of a prefix.
    pub(super) fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }

    /// The address of all zeros.
    pub(super) fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => [0; 4].into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: LinkIndex,
    /// Its name.
    pub name: String,
    /// Its Ethernet address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// The most bytes of an IP packet.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it is up and something is at its other end.
    pub carrier: bool,
    /// The bridge, bond or VRF that it belongs to.
    pub master: Option<LinkIndex>,
    /// What the kernel calls its kind: `vlan`, `vrf`, `veth`, `bridge`; `None` for plain devices.
    pub kind: Option<String>,
    /// If it is a VLAN: of what.
    pub vlan: Option<Vlan>,
    /// If it is a VRF: the table of its routes.
    pub vrf: Option<TableId>,
}

/// What makes a VLAN interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vlan {
    /// The interface that carries it.
    pub parent: LinkIndex,
    /// The VLAN's number.
    pub id: u16,
    /// The EtherType of the tag: 0x8100, or 0x88a8 for provider tags.
    pub protocol: u16,
}

/// What a route does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Sends them to a next hop.
    Unicast,
    /// Gives them to the host itself; so do addresses that several hosts have.
    Local,
    /// Gives them to the host itself: they are for all on the link.
    Broadcast,
    /// They are for a group, which the kernel serves.
    Multicast,
    /// Drops them in silence.
    Blackhole,
    /// Drops them and says that nobody is there.
    Unreachable,
    /// Drops them and says that it is forbidden.
    Prohibit,
    /// Ends the search in this table; it goes on in the next one.
    Throw,
}

/// One of the places that a route sends packets to, as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NextHop {
    /// The interface.
    pub link: LinkIndex,
    /// Whom to ask to pass them on; `None` if their destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// Its share among the route's next hops.
    pub weight: u16,
    /// Whether the gateway counts as on the link whatever its address.
    pub onlink: bool,
    /// Whether packets are encapsulated on the way, or something else is done that was not understood.
    pub beyond: bool,
    /// Whether the kernel says that it cannot be used.
    pub dead: bool,
}

/// Where the next hops of a route are said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// In the route itself, in order.
    Hops(Vec<NextHop>),
    /// In a next-hop object of its own, by number.
    Object(u32),
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// What is done with packets.
    pub kind: RouteKind,
    /// The next hops.
    pub via: Via,
    /// The most bytes of a packet on the whole way, if the route knows.
    pub mtu: Option<u32>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table that it is in.
    pub table: TableId,
    /// The destinations.
    pub prefix: IpNet,
    /// Where it leads.
    pub path: Path,
    /// What else tells it from others.
    pub marks: Marks,
}

/// What tells a route from others that lead the same way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Of routes to the same prefix the lowest wins.
    pub metric: u32,
    /// The address that the host uses as source.
    pub source: Option<IpAddr>,
    /// Who made it, as a number of `rtnetlink(7)`.
    pub protocol: u8,
    /// How far it is, as a number of `rtnetlink(7)`.
    pub scope: u8,
    /// If not 0, it is for packets with this type of service only.
    pub tos: u8,
    /// Whether it is for packets from certain sources only.
    pub sourced: bool,
}

/// Where a new route stands among those to the same prefix with the same metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before them.
    First,
    /// Behind them.
    Last,
    /// In the place of the first.
    Instead,
}

/// A next-hop object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// One next hop.
    Hop(NextHop),
    /// Drops packets.
    Blackhole,
    /// Others, by number, with their weights.
    Group(Vec<(u32, u16)>),
}

/// A rule: which tables are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The version of IP that it is for.
    pub family: Family,
    /// Rules are asked in this order.
    pub priority: u32,
    /// What it says.
    pub says: RuleSays,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSays {
    /// Look into this table.
    Table(TableId),
    /// Look into the table of the VRF that the packet belongs to.
    Vrf,
    /// Anything else, which is not followed, in words.
    Else(String),
}

/// Who is at an address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The Ethernet address, as far as it is known.
    pub mac: Option<[u8; 6]>,
    /// How sure the kernel is of it.
    pub state: NeighbourState,
}

/// How sure the kernel is of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// It was asked for and has not answered yet.
    Incomplete,
    /// It has answered lately.
    Reachable,
    /// It was there some time ago, and nobody has needed it since.
    Stale,
    /// Needed again: will be asked soon, or is being asked.
    Probing,
    /// It does not answer.
    Failed,
    /// Said by the operator, or known without asking.
    Fixed,
}

impl Neighbour {
    /// Where to send packets for it; `None` if that has to be asked for.
    pub fn usable(&self) -> Option<[u8; 6]> {
        match self.state {
            NeighbourState::Incomplete | NeighbourState::Failed => None,
            NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Probing
            | NeighbourState::Fixed => self.mac,
        }
    }
}

/// What the kernel said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A link is there, or is different.
    Link(Link),
    /// A link is gone.
    LinkGone(LinkIndex),
    /// A link has an address, in a network of this size.
    Address(LinkIndex, IpNet),
    /// A link has lost an address.
    AddressGone(LinkIndex, IpNet),
    /// A route is there.
    Route(Route, Place),
    /// A route, or some of its next hops, is gone.
    RouteGone(Route),
    /// A next-hop object is there, or is different.
    Object(u32, Object),
    /// A next-hop object is gone.
    ObjectGone(u32),
    /// A rule is there.
    Rule(Rule),
    /// A rule is gone.
    RuleGone(Family),
    /// A neighbour is there, or is different.
    Neighbour(LinkIndex, IpAddr, Neighbour),
    /// A neighbour was forgotten.
    NeighbourGone(LinkIndex, IpAddr),
}
