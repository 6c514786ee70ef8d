//! How long packets inside may be: what the ways to the peers leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ravelin_config::{
    types::IpNet,
    wireguard::{Wireguard, WireguardRoutes},
};
use ravelin_dataplane::route::{Routes, Target};

/// What a message over IPv6 adds to its packet: with that, wg-quick(8) reckons for IPv4 too, for a peer may come from anywhere.
const AROUND: u32 = 80;
/// What IPv6 needs at least (RFC 8200 section 5), and IPv4 so that everybody takes it (RFC 791).
const LEAST: [u16; 2] = [1280, 576];

/// The longest packet of an interface whose peers are there, or, if nobody knows where any is, that leaves by the default route; none if no
/// route is known.
pub(super) fn mtu(
    wireguard: &Wireguard,
    endpoints: impl Iterator<Item = IpAddr>,
    routes: &Routes,
) -> Option<u16> {
    let leaves = |remote: IpAddr| match routes.target(Routes::MAIN, remote.into())? {
        // A way into a tunnel, this one or another, is none that messages take.
        Target::Hops(hops) => {
            let hops = hops.iter().filter(|hop| routes.link(hop.port).is_some_and(|link| !link.is_tunnel));
            hops.map(|hop| hop.mtu).min()
        }
        Target::Local | Target::Kernel | Target::Blackhole => None,
    };
    let anywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let shortest =
        endpoints.filter_map(leaves).min().or_else(|| anywhere.into_iter().filter_map(leaves).min())?;
    let [least6, least4] = LEAST;
    let least = if has_ipv6(wireguard) { least6 } else { least4 };
    Some(u16::try_from(shortest.saturating_sub(AROUND)).unwrap_or(u16::MAX).max(least))
}

/// Whether packets of IPv6 are routed through an interface.
fn has_ipv6(wireguard: &Wireguard) -> bool {
    let routed = wireguard.peers.iter().flat_map(|peer| &peer.allowed_ips);
    let routed = routed.filter(|_| wireguard.routes != WireguardRoutes::Off);
    wireguard.addresses.iter().chain(routed).any(|net| matches!(net, IpNet::V6(_)))
}
