//! By what packets are found in the ring: address, protocol, port, flow, Community ID.

use std::{fmt, net::IpAddr, str::FromStr};

use ravelin_config::types::Protocol;
use ravelin_dataplane::parse::Address;

use super::{
    marks::Marks,
    mentions::{Mention, Mentions},
};
use crate::records::{CommunityId, CommunityIdError};

/// What packets have that somebody looks for: all of what is given.
///
/// Packets are judged by what stands in them. A later fragment has no ports, so that of those neither `port` nor `flow` nor
/// `community_id` finds more than the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// An address of the sender or receiver.
    pub host: Option<IpAddr>,
    /// What IP carries.
    pub protocol: Option<Protocol>,
    /// A port of the sender or receiver, of TCP, UDP or SCTP.
    pub port: Option<u16>,
    /// Both ends, either way.
    pub flow: Option<FlowName>,
    /// The name of the flow among tools.
    pub community_id: Option<FlowId>,
}

/// The name of a flow that tools for network security have in common: Community ID, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowId(CommunityId);

impl FromStr for FlowId {
    type Err = CommunityIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A flow by its ends: `10.0.0.1:1234-10.0.0.2:443/tcp`, or without ports, `2001:db8::1-2001:db8::2/icmpv6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowName {
    ends: [Address; 2],
    ports: Option<[u16; 2]>,
    protocol: Protocol,
}

/// What cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// The protocol that goes with a port has none.
    #[error("{0} has no ports: of tcp, udp and sctp there are some")]
    Portless(Protocol),
    /// Something is no name of a flow.
    #[error(
        "`{0}` is no flow: it is written as 10.0.0.1:1234-10.0.0.2:443/tcp, or as 10.0.0.1-10.0.0.2/icmp"
    )]
    Flow(String),
}

impl Wanted {
    /// What can be looked for.
    ///
    /// # Errors
    /// [`WantedError::Portless`].
    pub fn checked(self) -> Result<Self, WantedError> {
        match self.protocol.filter(|protocol| self.port.is_some() && !protocol.has_ports()) {
            Some(protocol) => Err(WantedError::Portless(protocol)),
            None => Ok(self),
        }
    }

    /// Whether it is no matter what packets have.
    pub(super) fn is_anything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether such packets may be among those of an index.
    pub(super) fn may_be_in(&self, mentions: &Mentions) -> bool {
        let has = |mention| mentions.may_have(mention);
        self.host.is_none_or(|host| has(Mention::Address(host.into())))
            && self.protocol.is_none_or(|protocol| has(Mention::Protocol(protocol)))
            && self.port.is_none_or(|port| match self.protocol {
                Some(protocol) => has(Mention::Port(protocol, port)),
                None => FlowName::WITH_PORTS.into_iter().any(|protocol| has(Mention::Port(protocol, port))),
            })
            && self.flow.is_none_or(|flow| flow.mentions().all(has))
            && self.community_id.is_none_or(|FlowId(name)| has(Mention::Flow(name)))
    }

    /// Whether a packet has it all, of which this was kept.
    pub(super) fn is_in(&self, frame: &[u8]) -> bool {
        self.is_anything() || Marks::of(frame).is_some_and(|marks| self.are_of(&marks))
    }

    fn are_of(&self, marks: &Marks) -> bool {
        self.host.is_none_or(|host| marks.has_address(host.into()))
            && self.protocol.is_none_or(|protocol| protocol == marks.protocol)
            && self.port.is_none_or(|port| marks.ports().is_some_and(|ports| ports.contains(&port)))
            && self.flow.is_none_or(|flow| flow.is_of(marks))
            // The last, as it costs most.
            && self.community_id.is_none_or(|FlowId(name)| marks.community_id() == Some(name))
    }
}

impl FlowName {
    const WITH_PORTS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

    fn is_of(&self, marks: &Marks) -> bool {
        let is_from = |[source, destination]: [usize; 2]| {
            marks.source == self.ends[source]
                && marks.destination == self.ends[destination]
                && self.ports.is_none_or(|ports| marks.ports() == Some([ports[source], ports[destination]]))
        };
        marks.protocol == self.protocol && (is_from([0, 1]) || is_from([1, 0]))
    }

    fn mentions(self) -> impl Iterator<Item = Mention> {
        let Self { ends, ports, protocol } = self;
        let name = ports.map(|_| CommunityId::of_ends(ends.map(Address::ip), protocol, ports));
        [Mention::Protocol(protocol)]
            .into_iter()
            .chain(ends.map(Mention::Address))
            .chain(ports.into_iter().flatten().map(move |port| Mention::Port(protocol, port)))
            .chain(name.map(Mention::Flow))
    }

    fn parse(text: &str) -> Option<Self> {
        let (ends, protocol) = text.rsplit_once('/')?;
        let protocol: Protocol = protocol.parse().ok()?;
        let (one, other) = ends.split_once('-')?;
        if let (Ok(one), Ok(other)) = (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
            let ends = [one, other];
            return same_family(ends).then(|| Self { ends: ends.map(Address::from), ports: None, protocol });
        }
        let [one, other] = [one.parse::<std::net::SocketAddr>().ok()?, other.parse().ok()?];
        let ends = [one.ip(), other.ip()];
        let ports = Some([one.port(), other.port()]);
        let is_one = protocol.has_ports() && same_family(ends);
        is_one.then(|| Self { ends: ends.map(Address::from), ports, protocol })
    }
}

fn same_family([one, other]: [IpAddr; 2]) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

impl FromStr for FlowName {
    type Err = WantedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or_else(|| WantedError::Flow(text.to_owned()))
    }
}

impl fmt::Display for FlowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, other] = self.ends.map(Address::ip);
        match self.ports {
            Some([first, second]) => {
                let [one, other] = [(one, first), (other, second)].map(std::net::SocketAddr::from);
                write!(f, "{one}-{other}/{}", self.protocol)
            }
            None => write!(f, "{one}-{other}/{}", self.protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_read_as_they_are_written() {
        for text in [
            "10.0.0.1:1234-10.0.0.2:443/tcp",
            "[2001:db8::1]:53-[2001:db8::2]:1024/udp",
            "10.0.0.1-10.0.0.2/icmp",
            "2001:db8::1-2001:db8::2/icmpv6",
            "10.0.0.1-10.0.0.2/tcp",
            "10.0.0.1-10.0.0.2/99",
        ] {
            assert_eq!(text.parse::<FlowName>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.0.0.1:1234-10.0.0.2:443",
            "10.0.0.1:1234-10.0.0.2/tcp",
            "10.0.0.1:1234/tcp",
            "10.0.0.1:1-10.0.0.2:2/icmp",
            "10.0.0.1-2001:db8::2/tcp",
            "10.0.0.1:99999-10.0.0.2:443/tcp",
            "a:1-b:2/tcp",
        ] {
            assert_eq!(text.parse::<FlowName>(), Err(WantedError::Flow(text.to_owned())));
        }
    }

    #[test]
    fn a_port_goes_with_protocols_that_have_some() {
        let wanted = |protocol| Wanted { port: Some(443), protocol, ..Wanted::default() };
        assert!(wanted(None).checked().is_ok() && wanted(Some(Protocol::SCTP)).checked().is_ok());
        assert_eq!(wanted(Some(Protocol::ICMP)).checked(), Err(WantedError::Portless(Protocol::ICMP)));
    }
}
