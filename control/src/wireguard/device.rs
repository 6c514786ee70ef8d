//! The interface of a tunnel, as the kernel has it: a veth pair, with addresses and routes on the kernel's end.
//!
//! The kernel's end has the name that the operator gave, ours another one ([`port_name`]). What the host sends through the first arrives
//! at the second, a port of the packet path. Nobody is on this link: neither end asks for neighbours, or speaks of
//! itself; but where the host forwards IPv6, the kernel reports to ff02::16 the groups that routers are in, from the unspecified address.
//!
//! Promises: what is ours on the interface carries a mark in the kernel ([`MARK`]) by which it is found whatever became of the process
//! that put it there; what an operator added by hand stays, and is no error if it was asked for as well. Refuses: to touch an interface
//! of that name that is not such a pair; to set an interface up that somebody set down; to know of peers.
//! Read next: `../routing/pair.rs`, the pair over which packets come back.

#![expect(clippy::wildcard_enum_match_arm, reason = "they are the library's, and more will come")]

use std::{collections::BTreeSet, fs, io, net::IpAddr};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NlaBuffer, NlasIterator, Parseable,
    ParseableParametrized,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage, AddressProtocol},
    link::{
        InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo,
        LinkMessage,
    },
    route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use rustix::io::Errno;

use crate::mirror::{Decoder, LinkIndex, Message, Path, Requests, TableId, Via};

/// What the kernel says has made our addresses and routes: `rtm_protocol`, `IFA_PROTO`. Nobody else has this number in iproute2's lists.
pub const MARK: u8 = 82;

/// How large the headers are that come before attributes.
const LINK_HEADER: usize = 16;
const ADDRESS_HEADER: usize = 8;

const NEW: u16 = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
const CHANGE: u16 = NLM_F_REQUEST | NLM_F_ACK;

/// What the interface of a tunnel is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// The longest packet, in bytes.
    pub mtu: u32,
    /// Its addresses, each with the network that is behind the interface.
    pub addresses: Vec<IpNet>,
    /// The networks that are behind it besides.
    ///
    /// Everything, a prefix of no length, is routed in two halves, as is usual: they are found before the host's own default route,
    /// which stays, so that nothing has to be put back. That keeps no endpoint of a peer reachable which lies in them. Whether it is by another,
    /// longer route, such as that of a network that the host is on, or one that the operator adds, is not known here; where it is not,
    /// packets to the endpoint would be routed into the tunnel that they are to carry, by workers as by the kernel, for both ask
    /// the same table.
    pub routes: Vec<IpNet>,
    /// The table of the routes, if it is not the main one.
    pub table: Option<u32>,
}

/// The name of our end of a pair.
pub fn port_name(name: &str) -> String {
    format!("rvln-{name}")
}

/// Makes the pair, with so many queues, unless it is there: then another process has it, or has left it. Says whether it was made.
///
/// # Errors
/// What the kernel said; [`io::ErrorKind::AlreadyExists`] if something else has one of the names.
pub fn make(name: &str, queues: usize) -> io::Result<bool> {
    let requests = Requests::open()?;
    let queues = u32::try_from(queues).unwrap_or(1).max(1);
    // How many packets wait is the kernel's default, a thousand, if somebody has them wait at all (`tc qdisc`).
    let end = |name: &str| {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::NumTxQueues(queues),
            LinkAttribute::NumRxQueues(queues),
        ];
        message
    };
    let ours = port_name(name);
    let mut message = end(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(end(&ours)))),
    ]));
    let made = match requests.ask(RouteNetlinkMessage::NewLink(message), NEW) {
        Err(error) if is(&error, Errno::EXIST) => {
            find(&requests, name)?;
            false
        }
        made => made.map(|()| true)?,
    };
    quieten(name, &ours);
    if made {
        // Neither can be up before the other is there.
        for end in [name, &ours] {
            let mut message = LinkMessage::default();
            message.header.flags = LinkFlags::Up | LinkFlags::Noarp;
            message.header.change_mask = LinkFlags::Up | LinkFlags::Noarp;
            message.attributes.push(LinkAttribute::IfName(end.to_owned()));
            requests.ask(RouteNetlinkMessage::SetLink(message), CHANGE)?;
        }
    }
    Ok(made)
}

/// Has neither end say anything, or believe what is said. What cannot be set does little harm.
fn quieten(name: &str, ours: &str) {
    let settings = [
        // Nothing but what is sent through the other end is received here.
        ("ipv6", ours, "disable_ipv6", "1"),
        // No address of the link, as nobody is on it.
        ("ipv6", name, "addr_gen_mode", "1"),
        ("ipv6", name, "accept_ra", "0"),
        ("ipv6", name, "autoconf", "0"),
        ("ipv6", name, "router_solicitations", "0"),
        // An address that goes does not take others of its network with it, which may be an operator's.
        ("ipv4", name, "promote_secondaries", "1"),
    ];
    for (family, interface, key, value) in settings {
        let _best_effort = fs::write(format!("/proc/sys/net/{family}/conf/{interface}/{key}"), value);
    }
}

/// Removes the pair, if it is there.
///
/// # Errors
/// What the kernel said.
pub fn remove(name: &str) -> io::Result<()> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(port_name(name)));
    match Requests::open()?.ask(RouteNetlinkMessage::DelLink(message), CHANGE) {
        Err(error) if is(&error, Errno::NODEV) => Ok(()),
        removed => removed,
    }
}

/// Brings an interface that [`make`] has made to what is asked: adds what is missing, and removes what is there from us and not asked for
/// any more. Returns what was refused, in the kernel's words; the rest is as asked.
///
/// # Errors
/// If there is no such interface, or what it has cannot be found out.
pub fn apply(device: &Device) -> io::Result<Vec<String>> {
    let requests = Requests::open()?;
    let [link, ours] = find(&requests, &device.name)?;
    let mut work = Work { requests, link, refused: Vec::new() };
    // Longer packets than its own an interface refuses to receive.
    for end in [ours, link] {
        let mut message = LinkMessage::default();
        message.header.index = end.0;
        message.attributes.push(LinkAttribute::Mtu(device.mtu));
        let set = work.requests.ask(RouteNetlinkMessage::SetLink(message), CHANGE);
        work.note(set, || format!("packets of {} bytes", device.mtu));
    }
    work.addresses(device)?;
    // The kernel removes routes when addresses go: so these come last.
    work.routes(device)?;
    Ok(work.refused)
}

/// What is done to an interface.
struct Work {
    requests: Requests,
    link: LinkIndex,
    refused: Vec<String>,
}

impl Work {
    fn note(&mut self, done: io::Result<()>, what: impl FnOnce() -> String) {
        if let Err(error) = done {
            self.refused.push(format!("{}: {error}", what()));
        }
    }

    fn addresses(&mut self, device: &Device) -> io::Result<()> {
        let wanted: BTreeSet<IpNet> = device.addresses.iter().copied().collect();
        let there = self.our_addresses()?;
        let (v4, v6): (Vec<_>, Vec<_>) =
            there.difference(&wanted).copied().partition(|net: &IpNet| net.addr().is_ipv4());
        // One address of IPv6 cannot be there twice, for a longer prefix and a shorter one.
        for net in v6 {
            self.remove_address(net);
        }
        for net in wanted.difference(&there) {
            let added = self.requests.ask(RouteNetlinkMessage::NewAddress(self.address(*net)), NEW);
            self.note(unless(added, Errno::EXIST), || format!("address {net}"));
        }
        // An interface on which there is no address of IPv4, even for a moment, loses all routes, also those of others.
        for net in v4 {
            self.remove_address(net);
        }
        Ok(())
    }

    fn remove_address(&mut self, net: IpNet) {
        let removed = self.requests.ask(RouteNetlinkMessage::DelAddress(self.address(net)), CHANGE);
        self.note(unless(removed, Errno::ADDRNOTAVAIL), || {
            format!("address {net} that is not wanted any more")
        });
    }

    fn routes(&mut self, device: &Device) -> io::Result<()> {
        let table = device.table.map_or(TableId::MAIN, TableId);
        let wanted: BTreeSet<(TableId, IpNet)> =
            device.routes.iter().flat_map(|net| halves(net.trunc())).map(|net| (table, net)).collect();
        let there = self.our_routes()?;
        for (table, net) in there.difference(&wanted) {
            let removed = self.requests.ask(RouteNetlinkMessage::DelRoute(self.route(*table, *net)), CHANGE);
            self.note(unless(removed, Errno::SRCH), || format!("route to {net} that is not wanted any more"));
        }
        for (table, net) in wanted.difference(&there) {
            let added = self.requests.ask(RouteNetlinkMessage::NewRoute(self.route(*table, *net)), NEW);
            self.note(unless(added, Errno::EXIST), || format!("route to {net}"));
        }
        Ok(())
    }

    /// The addresses that are there from us.
    fn our_addresses(&self) -> io::Result<BTreeSet<IpNet>> {
        let mut found = BTreeSet::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = AddressMessage::default();
            (message.header.family, message.header.index) = (family, self.link.0);
            let listed = self.requests.list(&RouteNetlinkMessage::GetAddress(message))?;
            found.extend(listed.iter().filter_map(|(_, payload)| our_address(self.link, payload)));
        }
        Ok(found)
    }

    /// The routes through it that are there from us, with their tables.
    fn our_routes(&self) -> io::Result<BTreeSet<(TableId, IpNet)>> {
        let mut found = BTreeSet::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            (message.header.address_family, message.header.protocol) = (family, RouteProtocol::Other(MARK));
            message.attributes.push(RouteAttribute::Oif(self.link.0));
            let listed = self.requests.list(&RouteNetlinkMessage::GetRoute(message))?;
            found.extend(listed.iter().filter_map(|(kind, payload)| our_route(self.link, *kind, payload)));
        }
        Ok(found)
    }

    fn address(&self, net: IpNet) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.family = family(net.addr());
        message.header.prefix_len = net.prefix_len();
        message.header.index = self.link.0;
        if net.addr().is_ipv6() {
            // There is nobody who could have it as well.
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        message.attributes = vec![
            AddressAttribute::Local(net.addr()),
            AddressAttribute::Address(net.addr()),
            AddressAttribute::Protocol(AddressProtocol::Other(MARK)),
        ];
        message
    }

    fn route(&self, table: TableId, net: IpNet) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.address_family = family(net.addr());
        message.header.destination_prefix_length = net.prefix_len();
        message.header.protocol = RouteProtocol::Other(MARK);
        message.header.scope = if net.addr().is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Destination(net.addr().into()),
            RouteAttribute::Oif(self.link.0),
            RouteAttribute::Table(table.0),
        ];
        message
    }
}

/// Both ends of a pair, the kernel's first.
fn find(requests: &Requests, name: &str) -> io::Result<[LinkIndex; 2]> {
    let ((kernels, to_ours), (ours, to_kernels)) =
        (ends(requests, name)?, ends(requests, &port_name(name)).unwrap_or_default());
    if to_ours != Some(ours) || to_kernels != Some(kernels) {
        let words = format!("the interface {name} is there and was not made by ravelin");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, words));
    }
    Ok([kernels, ours])
}

/// An interface, and if it is one end of a veth pair, the other.
fn ends(requests: &Requests, name: &str) -> io::Result<(LinkIndex, Option<LinkIndex>)> {
    let mut message = LinkMessage::default();
    message.header.link_layer_type = 0.into();
    message.attributes =
        vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    let (_, payload) = requests.get(RouteNetlinkMessage::GetLink(message))?;
    let header = LinkHeader::parse(payload.as_slice()).map_err(io::Error::other)?;
    let parse = |nla: &NlaBuffer<&[u8]>| LinkAttribute::parse_with_param(nla, header.interface_family);
    let (mut other, mut is_veth) = (None, false);
    for attribute in attributes(&payload, LINK_HEADER).filter_map(|nla| parse(&nla).ok()) {
        match attribute {
            LinkAttribute::Link(index) => other = Some(LinkIndex(index)),
            LinkAttribute::LinkInfo(info) => is_veth = info.contains(&LinkInfo::Kind(InfoKind::Veth)),
            _ => {}
        }
    }
    Ok((LinkIndex(header.index), other.filter(|_| is_veth)))
}

/// The address of which a message speaks, if it is of this link and from us.
fn our_address(link: LinkIndex, payload: &[u8]) -> Option<IpNet> {
    let header = AddressHeader::parse(payload).ok().filter(|header| header.index == link.0)?;
    let (mut address, mut is_ours) = (None, false);
    for attribute in attributes(payload, ADDRESS_HEADER).filter_map(|nla| AddressAttribute::parse(&nla).ok())
    {
        match attribute {
            // The other end's and ours are the same.
            AddressAttribute::Address(is) => address = Some(is),
            AddressAttribute::Protocol(by) => is_ours = u8::from(by) == MARK,
            _ => {}
        }
    }
    IpNet::new(address.filter(|_| is_ours)?, header.prefix_len).ok()
}

/// The route of which a message speaks, with its table, if it leads through this link and is from us.
fn our_route(link: LinkIndex, kind: u16, payload: &[u8]) -> Option<(TableId, IpNet)> {
    match Decoder::default().decode(kind, 0, payload)? {
        Message::Route(route, _) if route.marks.protocol == MARK && leads_through(&route.path, link) => {
            Some((route.table, route.prefix))
        }
        _ => None,
    }
}

fn leads_through(path: &Path, link: LinkIndex) -> bool {
    match &path.via {
        Via::Hops(hops) => hops.iter().any(|hop| hop.link == link),
        Via::Object(_) => false,
    }
}

fn attributes(payload: &[u8], skip: usize) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(payload.get(skip..).unwrap_or_default()).filter_map(Result::ok)
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

/// A network, or if it is everything, its halves.
fn halves(net: IpNet) -> impl Iterator<Item = IpNet> {
    net.subnets(net.prefix_len().max(1)).into_iter().flatten()
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// What is so already is done.
fn unless(done: io::Result<()>, errno: Errno) -> io::Result<()> {
    done.or_else(|error| if is(&error, errno) { Ok(()) } else { Err(error) })
}
