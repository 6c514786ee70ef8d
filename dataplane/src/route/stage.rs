use super::{
    Hop, Link, Mac, NextHopId, ReversePath, Routes, Target,
    lookups::Found,
    mss,
    routes::NeighbourId,
    ways::{Way, Ways},
};
use crate::{
    batch::Meta,
    counters::WorkerCounters,
    forward::fold,
    io::PortId,
    parse::{Address, Headers, Network},
    snapshot::Snapshot,
    verdict::{DropReason, Verdict},
};

/// Routes one packet that may pass, whose ends have been looked up: where it goes, and what its Ethernet header says then.
#[inline]
pub(crate) fn decide(
    snapshot: &Snapshot,
    reverse_path: ReversePath,
    meta: &Meta,
    found: &Found,
    ways: &mut Ways,
    counters: &mut WorkerCounters,
) -> (Verdict, Rewrite) {
    let Snapshot { routes, forward: plan, .. } = snapshot;
    if routes.links.is_empty() {
        // Nobody knows of any route, as in a replay: what passes is judged and recorded, and ends here.
        return (Verdict::Consume, Rewrite::default());
    }
    let Some(link) = routes.link(meta.port) else {
        // It is about to go, or has just come.
        return (Verdict::Drop(DropReason::NoDestination), Rewrite::default());
    };
    let ends = match *found {
        Found::Way { neighbour, exit } => return go(routes, neighbour, exit, None),
        Found::Routes { destination, source } => (destination, source),
    };
    match route(routes, link, reverse_path, meta, ends) {
        Ok((hop, _)) if !may_leave(snapshot, meta, Some(hop)) => {
            (Verdict::Drop(DropReason::WireguardRequired), Rewrite::default())
        }
        Ok((hop, neighbour)) => {
            let way = Way {
                generation: snapshot.generation,
                neighbour,
                mtu: u16::try_from(hop.mtu).unwrap_or(u16::MAX),
                entry: meta.port,
                exit: hop.port,
            };
            ways.remember(meta, way);
            go(routes, neighbour, hop.port, mss::limit(routes, plan, link, meta, hop))
        }
        Err(Not::Dropped(reason)) => (Verdict::Drop(reason), Rewrite::default()),
        Err(Not::Fast(Exception::Neighbour(hop))) if !may_leave(snapshot, meta, Some(&hop)) => {
            (Verdict::Drop(DropReason::WireguardRequired), Rewrite::default())
        }
        Err(Not::Fast(Exception::Route | Exception::Other)) if !may_leave(snapshot, meta, None) => {
            (Verdict::Drop(DropReason::WireguardRequired), Rewrite::default())
        }
        Err(Not::Fast(why)) => {
            let mut mss = None;
            match why {
                Exception::Own => {}
                Exception::Expired => counters.exceptions_expired += 1,
                Exception::TooLong => counters.exceptions_too_long += 1,
                Exception::Neighbour(hop) => {
                    counters.exceptions_neighbour += 1;
                    routes.neighbours.want(hop.port, hop.gateway.unwrap_or(meta.headers.destination));
                    mss = mss::limit(routes, plan, link, meta, &hop);
                }
                Exception::Route => counters.exceptions_route += 1,
                Exception::Other => counters.exceptions_other += 1,
            }
            (Verdict::Local, Rewrite { destination: link.mac, source: mark(link.index), mss })
        }
    }
}

/// Whether a packet need not be encrypted, or will be, where this is its next hop, or only the kernel knows.
#[inline]
fn may_leave(snapshot: &Snapshot, meta: &Meta, hop: Option<&Hop>) -> bool {
    let is_on_link = hop.is_some_and(|hop| hop.gateway.is_none());
    snapshot.wireguard.may_leave(meta.headers.destination, hop.map(|hop| hop.port), is_on_link)
}

/// Has a packet go to a neighbour; into a tunnel, where nobody reads its Ethernet header, with that which the kernel would write.
#[inline]
fn go(routes: &Routes, neighbour: NeighbourId, exit: PortId, mss: Option<u16>) -> (Verdict, Rewrite) {
    let source = routes.link(exit).map_or([0; 6], |link| link.mac);
    let destination = routes.neighbours.mac(neighbour).unwrap_or(source);
    (Verdict::Forward(exit), Rewrite { destination, source, mss })
}

/// What the headers of a packet become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    destination: Mac,
    source: Mac,
    /// The longest segment that its sender may say that it takes.
    mss: Option<u16>,
}

/// Gives the kernel a packet whose addresses have been translated, if it is one about which it would tell nobody. Its answers would be about
/// the packet as it was translated, of which the sender knows nothing; so those are for the worker.
///
/// The kernel takes such a packet for one that it received from us: its source may be one of the kernel's own addresses.
#[cold]
pub(crate) fn hand_over_translated(routes: &Routes, meta: &Meta, rewrite: &mut Rewrite) -> Verdict {
    if meta.headers.ttl <= 1 {
        return Verdict::Drop(DropReason::TtlExpired);
    }
    if meta.headers.dont_fragment && too_long_for(routes, meta).is_some() {
        return Verdict::Drop(DropReason::MtuExceeded);
    }
    rewrite.source = TRANSLATED;
    Verdict::Local
}

/// The longest packet that may go where this one goes, if it is longer.
pub(crate) fn too_long_for(routes: &Routes, meta: &Meta) -> Option<u32> {
    let link = routes.link(meta.port)?;
    match routes.target(link.table, meta.headers.destination)? {
        Target::Hops(hops) => {
            let length = meta.headers.end.saturating_sub(meta.headers.network_offset);
            Hop::of(hops, meta.hash).map(|hop| hop.mtu).filter(|mtu| u32::from(length) > *mtu)
        }
        Target::Local | Target::Kernel | Target::Blackhole => None,
    }
}

/// Why a packet is not forwarded by the worker.
enum Not {
    Dropped(DropReason),
    /// The kernel has it.
    Fast(Exception),
}

/// Why the kernel has a packet.
enum Exception {
    /// It is for one of its addresses.
    Own,
    /// It has no hop left.
    Expired,
    /// It is too long for where it goes.
    TooLong,
    /// Nobody knows the hardware address of this next hop.
    Neighbour(Hop),
    /// The route is the kernel's, there is none, or the kernel does not forward.
    Route,
    /// It is of a kind that is rare: tagged, with IPv4 options, between addresses of a link.
    Other,
}

impl From<DropReason> for Not {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

impl From<Exception> for Not {
    fn from(exception: Exception) -> Self {
        Self::Fast(exception)
    }
}

#[inline]
fn route<'r>(
    routes: &'r Routes,
    link: &Link,
    reverse_path: ReversePath,
    meta: &Meta,
    (destination, source): (Option<NextHopId>, Option<NextHopId>),
) -> Result<(&'r Hop, NeighbourId), Not> {
    let headers = &meta.headers;
    if !headers.is_ip() || headers.vlans.count > 0 {
        return Err(Exception::Other.into());
    }
    let hops = match destination.and_then(|id| routes.target_of(id)) {
        Some(Target::Hops(hops)) => hops,
        Some(Target::Local) => return Err(Exception::Own.into()),
        Some(Target::Kernel) | None => return Err(Exception::Route.into()),
        Some(Target::Blackhole) => return Err(DropReason::RouteBlackhole.into()),
    };
    let [forwards4, forwards6] = link.forwards;
    if !(if headers.network == Network::Ipv4 { forwards4 } else { forwards6 }) {
        return Err(Exception::Route.into());
    }
    if is_martian(headers) {
        return Err(DropReason::Martian.into());
    }
    if !comes_from_there(routes, reverse_path, meta, source) {
        return Err(DropReason::ReversePath.into());
    }
    if has_options(headers) || is_of_link(headers.destination) || is_of_link(headers.source) {
        return Err(Exception::Other.into());
    }
    if headers.ttl <= 1 {
        return Err(Exception::Expired.into());
    }
    let hop = Hop::of(hops, meta.hash).ok_or(Exception::Route)?;
    let length = headers.end.saturating_sub(headers.network_offset);
    if u32::from(length) > hop.mtu {
        return Err(Exception::TooLong.into());
    }
    let neighbour = routes.next(hop, headers.destination).ok_or(Exception::Neighbour(*hop))?;
    Ok((hop, neighbour))
}

/// Whether no packet that is to be forwarded has such an address (RFC 1812 section 5.3.7, RFC 4291).
fn is_martian(headers: &Headers) -> bool {
    let is_of_nobody = |address: &Address, is_source: bool| match headers.network {
        Network::Ipv4 => {
            let [.., first, _, _, _] = address.0;
            first == 0 || first == 127 || first >= if is_source { 224 } else { 240 }
        }
        Network::Ipv6 | Network::Arp | Network::Lldp | Network::Stp | Network::Other => {
            let number = u128::from_be_bytes(address.0);
            number <= 1 || (is_source && address.0.first() == Some(&0xff))
        }
    };
    is_of_nobody(&headers.source, true) || is_of_nobody(&headers.destination, false)
}

/// Whether an answer to the packet would go where it came from, as far as that is asked.
fn comes_from_there(
    routes: &Routes,
    reverse_path: ReversePath,
    meta: &Meta,
    source: Option<NextHopId>,
) -> bool {
    let target = match reverse_path {
        ReversePath::Off => return true,
        ReversePath::Strict | ReversePath::Loose => source.and_then(|id| routes.target_of(id)),
    };
    match target {
        Some(Target::Hops(hops)) => {
            reverse_path == ReversePath::Loose || hops.iter().any(|hop| hop.port == meta.port)
        }
        Some(Target::Kernel) => reverse_path == ReversePath::Loose,
        // Its own address comes from outside.
        Some(Target::Local | Target::Blackhole) | None => false,
    }
}

pub(super) fn has_options(headers: &Headers) -> bool {
    headers.network == Network::Ipv4 && headers.transport_offset.saturating_sub(headers.network_offset) > 20
}

/// Whether an address has no meaning beyond one link (RFC 3927, RFC 4291).
pub(crate) fn is_of_link(address: Address) -> bool {
    match address.0 {
        [0xfe, second, ..] => second & 0xc0 == 0x80,
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, _, _] => true,
        _ => false,
    }
}

/// The source of a frame for the kernel that stays where it arrives.
const TRANSLATED: Mac = [0x52, 0x57, 0, 0, 0, 0];

/// The source of a frame for the kernel, which says where it came in: see `ravelin_local` in `ravelin.bpf.c`.
const fn mark(index: u32) -> Mac {
    let [a, b, c, d] = index.to_be_bytes();
    [0x52, 0x56, a, b, c, d]
}

/// Has a packet leave: its Ethernet header, and its maximum segment size. If it is forwarded, it has one hop less besides.
#[inline]
pub(crate) fn rewrite(frame: &mut [u8], headers: &Headers, rewrite: &Rewrite, counters: &mut WorkerCounters) {
    if let Some(macs) = frame.first_chunk_mut::<12>() {
        let (destination, source) = macs.split_at_mut(6);
        destination.copy_from_slice(&rewrite.destination);
        source.copy_from_slice(&rewrite.source);
    }
    if let Some(most) = rewrite.mss
        && mss::clamp(frame, headers, most)
    {
        counters.mss_clamped += 1;
    }
}

/// Takes one off the hop limit, and off the checksum of IPv4 (RFC 1624).
#[inline]
pub(crate) fn spend_hop(frame: &mut [u8], headers: &Headers) {
    let Some(packet) = frame.get_mut(usize::from(headers.network_offset)..) else { return };
    match headers.network {
        Network::Ipv4 => {
            let Some(header) = packet.first_chunk_mut::<20>() else { return };
            header[8] = header[8].saturating_sub(1);
            let sum = u16::from_be_bytes([header[10], header[11]]);
            // All ones is the same as zero, which is what others would compute.
            let sum = Some(fold(u64::from(sum) + 0x0100)).filter(|sum| *sum != 0xffff).unwrap_or_default();
            let [high, low] = sum.to_be_bytes();
            (header[10], header[11]) = (high, low);
        }
        Network::Ipv6 => {
            if let Some(limit) = packet.get_mut(7) {
                *limit = limit.saturating_sub(1);
            }
        }
        Network::Arp | Network::Lldp | Network::Stp | Network::Other => {}
    }
}

/// The port through which a packet leaves, as far as can be told before policy has decided.
pub(crate) fn exit(routes: &Routes, meta: &Meta) -> Option<PortId> {
    let link = routes.link(meta.port)?;
    routes.exit(link.table, meta.headers.destination, meta.hash)
}
