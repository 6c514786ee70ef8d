use crate::nat::NatAddress;
use crate::schema::{
    entry,
    parser::{address, addresses, integer, list, name, nat_address, ports, prefix, protocol},
    reader::At,
};
use crate::types::{IfName, IpNet, IpRange, PortRange, Protocol};
use std::net::IpAddr;

/// Ports that no service is known by.
const HIGH_PORTS: &str = "1024-65535";

entry! {
    /// What leaves through some interfaces does so under another address (source NAT, masquerade). IPv4 only, between interfaces with
    /// `mode = "route"`. The first entry that matches counts. TCP, UDP and ICMP echo can share an address; other protocols do not leave.
    struct NatSourceModel in "nat.source" {
        /// Interfaces, or zones, through which it leaves.
        out: Vec<At<IfName>> = Required => list("interfaces or zones", name("name of an interface or a zone")), Live;
        /// Whose packets.
        sources: Vec<At<IpNet>> = Required => list("IPv4 addresses or prefixes", prefix()), Live;
        /// Only packets to these.
        destinations: Vec<At<IpNet>> = Means("any") => list("IPv4 addresses or prefixes", prefix()), Live;
        /// Under which addresses, each of them the gateway's own or routed to it. All that a machine sends has the same one, while that
        /// has ports.
        to: Vec<At<IpRange>> = Means("the lowest address of the interface") => list("IPv4 addresses or ranges", addresses()), Live;
        /// At which ports of them. A connection keeps its own port if that is free.
        ports: PortRange = Or(HIGH_PORTS.parse().unwrap_or(PortRange::ALL)) => ports(), Live;
    }
}

entry! {
    /// What arrives for an address is sent on to another (destination NAT): how services are published. IPv4 only, between interfaces with
    /// `mode = "route"`. The first entry that matches counts. Policy judges the address that it is sent on to. From inside a service is
    /// reached at the same address.
    struct NatDestinationModel in "nat.destination" {
        /// Interfaces, or zones, that receive it.
        r#in: Vec<At<IfName>> = Means("all that route") => list("interfaces or zones", name("name of an interface or a zone")), Live;
        /// What it is sent to: an address of the gateway or one that is routed to it; or an interface, for the lowest address of that.
        address: NatAddress = Required => nat_address(), Live;
        /// Only this protocol.
        protocol: Protocol = Means("any") => protocol(), Live;
        /// Only these ports; `protocol` has to be `tcp` or `udp`.
        ports: PortRange = Means("any") => ports(), Live;
        /// Where it goes.
        to: IpAddr = Required => address(), Live;
        /// The port there of the first of `ports`; the others follow in order.
        to_port: u16 = Means("the same") => integer(1..=65535), Live;
    }
}
