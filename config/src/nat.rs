//! Address translation as the configuration asks for it. Names of zones have become interfaces here.

use crate::types::{IfName, IpRange, PortRange, Protocol};
use ipnet::Ipv4Net;
use serde::{Serialize, Serializer};
use std::{fmt, net::Ipv4Addr, str::FromStr};

/// `[[nat.source]]` and `[[nat.destination]]`, each in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nat {
    /// What leaves under other addresses.
    pub sources: Vec<NatSource>,
    /// What is sent on to others.
    pub destinations: Vec<NatDestination>,
}

impl Nat {
    /// Whether nothing is translated.
    pub const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.destinations.is_empty()
    }
}

/// What leaves through some interfaces under other addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NatSource {
    /// The interfaces.
    pub out: Vec<IfName>,
    /// Whose packets.
    pub sources: Vec<Ipv4Net>,
    /// Only those to these; to any, if there are none.
    pub destinations: Vec<Ipv4Net>,
    /// Under which IPv4 addresses; those of the interfaces themselves, if there are none.
    pub to: Vec<IpRange>,
    /// At which ports.
    pub ports: PortRange,
}

/// What arrives for an address and port, and is for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NatDestination {
    /// The interfaces that receive it.
    #[serde(rename = "in")]
    pub entries: Vec<IfName>,
    /// What it is sent to.
    pub address: NatAddress,
    /// Only this protocol.
    pub protocol: Option<Protocol>,
    /// Only these ports.
    pub ports: Option<PortRange>,
    /// Where it goes.
    pub to: Ipv4Addr,
    /// The port there of the first of `ports`; the others follow.
    pub to_port: Option<u16>,
}

/// An address of the gateway, or one that is routed to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NatAddress {
    /// This one.
    Address(Ipv4Addr),
    /// The lowest of this interface.
    Interface(IfName),
}

impl FromStr for NatAddress {
    type Err = <IfName as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text.parse().map(Self::Interface),
        }
    }
}

impl fmt::Display for NatAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => name.fmt(f),
        }
    }
}

impl Serialize for NatAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
