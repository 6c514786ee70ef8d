//! Messages of rtnetlink, as far as they matter here.
//!
//! Attributes are decoded one by one: a message in which the library does not understand something else, such as what a newer kernel says
//! of a driver, is not lost.

#![expect(clippy::wildcard_enum_match_arm, reason = "they are the library's, and more will come")]

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{
    DecodeError, NlaBuffer, NlasIterator, Parseable, ParseableParametrized, parse_ip, parse_u32,
};
use netlink_packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressHeader},
    link::{InfoData, InfoVlan, InfoVrf, LinkAttribute, LinkFlags, LinkHeader, LinkInfo},
    neighbour::{
        NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourHeader, NeighbourState as Nud,
    },
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteLwEnCapType, RouteMetric, RouteNextHop,
        RouteNextHopFlags, RouteType, RouteVia,
    },
};

use super::{
    rules,
    things::{
        Family, Link, LinkIndex, Marks, Message, Neighbour, NeighbourState, NextHop, Object, Path, Place,
        Route, RouteKind, TableId, Via, Vlan,
    },
};

const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const NEWROUTE: u16 = 24;
const DELROUTE: u16 = 25;
const NEWNEIGH: u16 = 28;
const DELNEIGH: u16 = 29;
const NEWRULE: u16 = 32;
const DELRULE: u16 = 33;
const NEWNEXTHOP: u16 = 104;
const DELNEXTHOP: u16 = 105;

// What the flags of a message about a new route say of its place.
const REPLACE: u16 = 0x100;
const APPEND: u16 = 0x800;

/// How large the headers are that come before attributes.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;
const NEIGHBOUR_HEADER: usize = 12;
const OBJECT_HEADER: usize = 8;

/// Decodes messages, and counts what it cannot decode.
#[derive(Debug, Default)]
pub struct Decoder {
    undecoded: u64,
}

type Nla<'b> = NlaBuffer<&'b [u8]>;

impl Decoder {
    /// How many messages, or attributes of them, were not understood.
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }

    /// Decodes the message of a type, without its netlink header, of which `flags` are. `None` if it says nothing that matters, or
    /// cannot be decoded.
    pub fn decode(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Option<Message> {
        let message = match kind {
            NEWLINK | DELLINK => self.link(kind, payload),
            NEWADDR | DELADDR => self.address(kind, payload),
            NEWROUTE | DELROUTE => self.route(kind, flags, payload),
            NEWNEIGH | DELNEIGH => self.neighbour(kind, payload),
            NEWRULE | DELRULE => self.rule(kind, payload),
            NEWNEXTHOP | DELNEXTHOP => self.object(kind, payload),
            _ => Ok(None),
        };
        message.unwrap_or_else(|_error| {
            self.undecoded += 1;
            None
        })
    }

    /// The attributes that can be decoded, behind a header of `skip` bytes.
    fn attributes<'b, A>(
        &mut self,
        payload: &'b [u8],
        skip: usize,
        parse: impl Fn(&Nla<'b>) -> Result<A, DecodeError>,
    ) -> Vec<A> {
        let mut attributes = Vec::new();
        for attribute in NlasIterator::new(payload.get(skip..).unwrap_or_default()) {
            match attribute.and_then(|attribute| parse(&attribute)) {
                Ok(attribute) => attributes.push(attribute),
                Err(_) => self.undecoded += 1,
            }
        }
        attributes
    }

    fn link(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
        let header = LinkHeader::parse(payload)?;
        // Bridges speak of their ports in such messages, too; a port that leaves a bridge is not gone.
        if header.interface_family != AddressFamily::Unspec {
            return Ok(None);
        }
        let index = LinkIndex(header.index);
        if kind == DELLINK {
            return Ok(Some(Message::LinkGone(index)));
        }
        let mut link = Link {
            index,
            up: header.flags.contains(LinkFlags::Up),
            carrier: header.flags.contains(LinkFlags::LowerUp),
            ..Link::default()
        };
        let (mut parent, mut is_elsewhere, mut infos) = (None, false, Vec::new());
        let family = header.interface_family;
        for attribute in
            self.attributes(payload, LINK_HEADER, |nla| LinkAttribute::parse_with_param(nla, family))
        {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Address(bytes) => link.mac = bytes.try_into().ok(),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Controller(master) => link.master = Some(LinkIndex(master)),
                LinkAttribute::Link(index) => parent = Some(LinkIndex(index)),
                LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
                LinkAttribute::LinkInfo(info) => infos = info,
                _ => {}
            }
        }
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
                LinkInfo::Data(InfoData::Vrf(about)) => {
                    let table =
                        |info| if let InfoVrf::TableId(table) = info { Some(TableId(table)) } else { None };
                    link.vrf = about.into_iter().find_map(table);
                }
                LinkInfo::Data(InfoData::Vlan(about)) => {
                    link.vlan = parent.filter(|_| !is_elsewhere).map(|parent| vlan(parent, about));
                }
                _ => {}
            }
        }
        Ok(Some(Message::Link(link)))
    }

    fn address(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
        let header = AddressHeader::parse(payload)?;
        let (mut address, mut local) = (None, None);
        for attribute in self.attributes(payload, ADDRESS_HEADER, AddressAttribute::parse) {
            match attribute {
                AddressAttribute::Address(is) => address = Some(is),
                AddressAttribute::Local(is) => local = Some(is),
                _ => {}
            }
        }
        // Of a link with two ends the first is that of the other end.
        let address = local.or(address).ok_or("an address without an address")?;
        let (link, address) = (LinkIndex(header.index), net(address, header.prefix_len)?);
        Ok(Some(if kind == NEWADDR {
            Message::Address(link, address)
        } else {
            Message::AddressGone(link, address)
        }))
    }

    fn route(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
        let header = RouteHeader::parse(payload)?;
        let (family, of) = (header.address_family, header.kind);
        let Some(version) = version(family).filter(|_| !header.flags.contains(RouteFlags::Cloned)) else {
            return Ok(None);
        };
        let Some(route_kind) = route_kind(of) else { return Ok(None) };
        let mut marks = Marks {
            protocol: header.protocol.into(),
            scope: header.scope.into(),
            tos: header.tos,
            sourced: header.source_prefix_length > 0,
            ..Marks::default()
        };
        let mut table = TableId(header.table.into());
        let (mut destination, mut gateway, mut out) = (version.unspecified(), None, None);
        let (mut several, mut object, mut mtu) = (Vec::new(), None, None);
        let (before, mut is_beyond) = (self.undecoded, false);
        let parse = |nla: &Nla<'_>| match nla.kind() {
            ENCAP => Ok(None),
            _ => RouteAttribute::parse_with_param(nla, (family, of, RouteLwEnCapType::None)).map(Some),
        };
        for attribute in self.attributes(payload, ROUTE_HEADER, parse).into_iter().flatten() {
            match attribute {
                RouteAttribute::Table(is) => table = TableId(is),
                RouteAttribute::Destination(is) => {
                    destination = address_of(&is).ok_or("not an IP address")?;
                }
                RouteAttribute::Priority(is) => marks.metric = is,
                RouteAttribute::PrefSource(is) => marks.source = address_of(&is),
                RouteAttribute::Gateway(is) => gateway = address_of(&is),
                RouteAttribute::Via(is) => gateway = via(&is),
                RouteAttribute::Oif(is) => out = Some(LinkIndex(is)),
                RouteAttribute::MultiPath(is) => several = is,
                RouteAttribute::NhId(is) => object = Some(is),
                RouteAttribute::EncapType(_) => is_beyond = true,
                RouteAttribute::Metrics(metrics) => {
                    let is_mtu = |metric| if let RouteMetric::Mtu(mtu) = metric { Some(mtu) } else { None };
                    mtu = metrics.into_iter().find_map(is_mtu);
                }
                _ => {}
            }
        }
        // Without what was not understood, it could lead elsewhere.
        is_beyond |= self.undecoded > before;
        let hop = |link| NextHop {
            link,
            gateway,
            weight: 1,
            onlink: header.flags.contains(RouteFlags::Onlink),
            beyond: is_beyond,
            dead: header.flags.contains(RouteFlags::Dead),
        };
        let hops = || several.into_iter().map(|hop| hop_of(hop, is_beyond)).chain(out.map(hop)).collect();
        let via = object.map_or_else(|| Via::Hops(hops()), Via::Object);
        let prefix = net(destination, header.destination_prefix_length)?.trunc();
        let route = Route { table, prefix, path: Path { kind: route_kind, via, mtu }, marks };
        Ok(Some(if kind == DELROUTE {
            Message::RouteGone(route)
        } else {
            let is = |flag| flags & flag != 0;
            let place = if is(REPLACE) {
                Place::Instead
            } else if is(APPEND) {
                Place::Last
            } else {
                Place::First
            };
            Message::Route(route, place)
        }))
    }

    fn neighbour(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
        let header = NeighbourHeader::parse(payload)?;
        // What bridges learn, and addresses that the host answers for, are no neighbours.
        if version(header.family).is_none() || header.flags.contains(NeighbourFlags::Proxy) {
            return Ok(None);
        }
        let (mut address, mut mac) = (None, None);
        for attribute in self.attributes(payload, NEIGHBOUR_HEADER, |nla| {
            NeighbourAttribute::parse_with_param(nla, header.family)
        }) {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(is)) => address = Some(IpAddr::V4(is)),
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(is)) => {
                    address = Some(IpAddr::V6(is));
                }
                NeighbourAttribute::LinkLayerAddress(is) => mac = is.try_into().ok(),
                _ => {}
            }
        }
        let (link, address) = (LinkIndex(header.ifindex), address.ok_or("a neighbour without an address")?);
        let state = match header.state {
            Nud::Reachable => NeighbourState::Reachable,
            Nud::Stale => NeighbourState::Stale,
            Nud::Delay | Nud::Probe => NeighbourState::Probing,
            Nud::Failed => NeighbourState::Failed,
            Nud::Permanent | Nud::Noarp => NeighbourState::Fixed,
            _ => NeighbourState::Incomplete,
        };
        Ok(Some(if kind == NEWNEIGH {
            Message::Neighbour(link, address, Neighbour { mac, state })
        } else {
            Message::NeighbourGone(link, address)
        }))
    }

    fn rule(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
        let (family, rule) = rules::decode(payload)?;
        let Some(family) = version(family) else { return Ok(None) };
        Ok(Some(if kind == NEWRULE { Message::Rule(rule(family)) } else { Message::RuleGone(family) }))
    }

    /// Next-hop objects, which the library does not know (`linux/nexthop.h`).
    fn object(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Message>, DecodeError> {
        const ID: u16 = 1;
        const GROUP: u16 = 2;
        const BLACKHOLE: u16 = 4;
        const OUT: u16 = 5;
        const GATEWAY: u16 = 6;
        const ENCAP_TYPE: u16 = 7;
        const FDB: u16 = 11;
        let onlink = payload.get(4..OBJECT_HEADER).ok_or("a next hop without its header")?;
        let onlink = parse_u32(onlink)? & u32::from(RouteNextHopFlags::Onlink.bits()) != 0;
        let mut hop =
            NextHop { link: LinkIndex(0), gateway: None, weight: 1, onlink, beyond: false, dead: false };
        let (mut id, mut group, mut is_blackhole) = (None, None, false);
        for attribute in NlasIterator::new(payload.get(OBJECT_HEADER..).unwrap_or_default()) {
            let attribute = attribute?;
            let value = attribute.value();
            match attribute.kind() {
                ID => id = Some(parse_u32(value)?),
                GROUP => group = Some(members(value)?),
                BLACKHOLE => is_blackhole = true,
                OUT => hop.link = LinkIndex(parse_u32(value)?),
                GATEWAY => hop.gateway = Some(parse_ip(value)?),
                ENCAP_TYPE => hop.beyond = true,
                // For bridges, not for routes.
                FDB => return Ok(None),
                _ => {}
            }
        }
        let id = id.ok_or("a next hop without a number")?;
        let object = match group {
            Some(members) => Object::Group(members),
            None if is_blackhole => Object::Blackhole,
            None => Object::Hop(hop),
        };
        Ok(Some(if kind == NEWNEXTHOP { Message::Object(id, object) } else { Message::ObjectGone(id) }))
    }
}

/// What is in a route to a tunnel: how packets are wrapped.
const ENCAP: u16 = 22;

/// `struct nexthop_grp`, as many as there are: a number, the weight less one in two parts, two bytes of nothing.
fn members(bytes: &[u8]) -> Result<Vec<(u32, u16)>, DecodeError> {
    let member = |bytes: &[u8]| {
        let [id @ .., low, high, _, _] = bytes else { return Err(DecodeError::from("half a member")) };
        Ok((parse_u32(id)?, u16::from_le_bytes([*low, *high]).saturating_add(1)))
    };
    bytes.chunks(8).map(member).collect()
}

fn vlan(parent: LinkIndex, about: Vec<InfoVlan>) -> Vlan {
    let mut vlan = Vlan { parent, id: 0, protocol: 0x8100 };
    for info in about {
        match info {
            InfoVlan::Id(id) => vlan.id = id,
            InfoVlan::Protocol(protocol) => vlan.protocol = protocol.into(),
            _ => {}
        }
    }
    vlan
}

/// One of several next hops.
fn hop_of(hop: RouteNextHop, is_beyond: bool) -> NextHop {
    let (mut gateway, mut beyond) = (None, is_beyond);
    for attribute in hop.attributes {
        match attribute {
            RouteAttribute::Gateway(is) => gateway = address_of(&is),
            RouteAttribute::Via(is) => gateway = via(&is),
            RouteAttribute::EncapType(_) => beyond = true,
            _ => {}
        }
    }
    NextHop {
        link: LinkIndex(hop.interface_index),
        gateway,
        weight: u16::from(hop.hops) + 1,
        onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        beyond,
        dead: hop.flags.contains(RouteNextHopFlags::Dead),
    }
}

fn route_kind(kind: RouteType) -> Option<RouteKind> {
    Some(match kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local | RouteType::Anycast => RouteKind::Local,
        RouteType::Broadcast => RouteKind::Broadcast,
        RouteType::Multicast => RouteKind::Multicast,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Prohibit => RouteKind::Prohibit,
        RouteType::Throw => RouteKind::Throw,
        // The kernel has no such routes.
        _ => return None,
    })
}

fn version(family: AddressFamily) -> Option<Family> {
    match family {
        AddressFamily::Inet => Some(Family::V4),
        AddressFamily::Inet6 => Some(Family::V6),
        _ => None,
    }
}

fn address_of(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(is) => Some(IpAddr::V4(*is)),
        RouteAddress::Inet6(is) => Some(IpAddr::V6(*is)),
        _ => None,
    }
}

fn via(via: &RouteVia) -> Option<IpAddr> {
    match via {
        RouteVia::Inet(is) => Some(IpAddr::V4(*is)),
        RouteVia::Inet6(is) => Some(IpAddr::V6(*is)),
        _ => None,
    }
}

fn net(address: IpAddr, length: u8) -> Result<IpNet, DecodeError> {
    IpNet::new(address, length).map_err(|error| DecodeError::from(error.to_string()))
}
