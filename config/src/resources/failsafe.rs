use crate::types::{IpNet, Protocol};
use serde::{Serialize, Serializer};
use std::{fmt, net::IpAddr, str::FromStr};

/// A port of hosts that no policy can shut, written `tcp:22`, `tcp:192.0.2.0/24:22`, `tcp:[2001:db8::/32]:22` or `22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failsafe {
    /// TCP, UDP or SCTP; `None` for each of them.
    pub protocol: Option<Protocol>,
    /// Where the other side is; `None` for anywhere.
    pub net: Option<IpNet>,
    /// The destination port.
    pub port: u16,
}

impl Failsafe {
    /// A port for everybody.
    const fn anywhere(protocol: Protocol, port: u16) -> Self {
        Self { protocol: Some(protocol), net: None, port }
    }

    /// What stays reachable by default: SSH, DHCP, BGP, etcd, Typha and the Kubernetes API, as in Calico.
    pub fn inbound() -> Vec<Self> {
        let tcp = |port| Self::anywhere(Protocol::TCP, port);
        let mut all = vec![tcp(22), Self::anywhere(Protocol::UDP, 68)];
        all.extend(CLUSTER.map(tcp));
        all
    }

    /// What stays reachable from hosts by default: DNS, DHCP, BGP, etcd, Typha and the Kubernetes API, as in Calico.
    pub fn outbound() -> Vec<Self> {
        let mut all = [53, 67].map(|port| Self::anywhere(Protocol::UDP, port)).to_vec();
        all.extend(CLUSTER.map(|port| Self::anywhere(Protocol::TCP, port)));
        all
    }
}

/// TCP ports without which a cluster falls apart.
const CLUSTER: [u16; 7] = [179, 2379, 2380, 5473, 6443, 6666, 6667];

/// A text is not a [`Failsafe`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a port such as tcp:22, tcp:192.0.2.0/24:22, tcp:[2001:db8::/32]:22 or 22")]
pub struct FailsafeError {
    /// The text found.
    pub text: String,
}

impl FromStr for Failsafe {
    type Err = FailsafeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| FailsafeError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Failsafe> {
    let (before, port) = text.rsplit_once(':').map_or((None, text), |(before, port)| (Some(before), port));
    let port =
        port.parse().ok().filter(|number| *number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()))?;
    let Some(before) = before else { return Some(Failsafe { protocol: None, net: None, port }) };
    let (protocol, net) =
        before.split_once(':').map_or((before, None), |(protocol, net)| (protocol, Some(net)));
    let protocol = protocol.parse().ok().filter(|protocol: &Protocol| protocol.has_ports())?;
    let net = match net {
        Some(net) => Some(parse_net(net)?),
        None => None,
    };
    Some(Failsafe { protocol: Some(protocol), net, port })
}

/// A prefix or address; IPv6 has brackets.
fn parse_net(text: &str) -> Option<IpNet> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let net = inner.unwrap_or(text);
    let net = net.parse::<IpAddr>().map(IpNet::from).or_else(|_| net.parse::<IpNet>()).ok()?.trunc();
    (inner.is_some() == matches!(net, IpNet::V6(_))).then_some(net)
}

impl fmt::Display for Failsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(protocol) = self.protocol {
            write!(f, "{protocol}:")?;
        }
        match self.net {
            Some(IpNet::V4(net)) => write!(f, "{net}:")?,
            Some(IpNet::V6(net)) => write!(f, "[{net}]:")?,
            None => {}
        }
        write!(f, "{}", self.port)
    }
}

impl Serialize for Failsafe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
