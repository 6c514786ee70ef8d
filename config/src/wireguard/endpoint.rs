use serde::{Serialize, Serializer};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeerEndpoint {
    /// An address and a port.
    Address(SocketAddr),
    /// The name of a host, whose addresses are asked for, and a port.
    Host {
        /// The name.
        name: String,
        /// The port.
        port: u16,
    },
}

impl PeerEndpoint {
    /// The UDP port.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Host { port, .. } => *port,
        }
    }
}

/// The most characters of a host's name, and of a part of it between two dots.
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

impl FromStr for PeerEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6())
            || text.matches(':').count() > 1 && !text.starts_with('[')
        {
            return Err(EndpointError::Brackets);
        }
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError::NoPort)?;
        if text.ends_with(']') {
            return Err(EndpointError::NoPort);
        }
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or(EndpointError::Port)?;
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if is_host(host) { Ok(Self::Host { name: host.to_owned(), port }) } else { Err(EndpointError::Host) }
    }
}

/// Whether a text is the name of a host. What ends with a number would be a wrong address.
fn is_host(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| {
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(legal)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= NAME_MAX && name.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for PeerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl Serialize for PeerEndpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is not an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No colon.
    #[error("an endpoint has a port: write it behind the address or name and a colon")]
    NoPort,
    /// What is behind the last colon.
    #[error("the port of an endpoint is a number from 1 to 65535")]
    Port,
    /// An IPv6 address whose end cannot be told from a port.
    #[error("an IPv6 address with a port is written in brackets")]
    Brackets,
    /// Neither an address nor a name.
    #[error("an endpoint is an IP address or the name of a host, and a port")]
    Host,
}
