use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};

/// An IP protocol number, by its IANA assignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP, RFC 792.
    pub const ICMP: Self = Self(1);
    /// TCP, RFC 9293.
    pub const TCP: Self = Self(6);
    /// UDP, RFC 768.
    pub const UDP: Self = Self(17);
    /// ICMPv6, RFC 4443.
    pub const ICMPV6: Self = Self(58);
    /// SCTP, RFC 9260.
    pub const SCTP: Self = Self(132);

    const NAMES: [(Self, &str); 11] = [
        (Self::ICMP, "icmp"),
        (Self(2), "igmp"),
        (Self::TCP, "tcp"),
        (Self::UDP, "udp"),
        (Self(41), "ipv6"),
        (Self(47), "gre"),
        (Self(50), "esp"),
        (Self(51), "ah"),
        (Self::ICMPV6, "icmpv6"),
        (Self::SCTP, "sctp"),
        (Self(136), "udplite"),
    ];

    /// Whether packets of this protocol carry source and destination ports.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::TCP | Self::UDP | Self::SCTP)
    }

    /// The protocol's name where it has a common one.
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.iter().find(|(protocol, _)| *protocol == self).map(|(_, name)| *name)
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        if let Some((protocol, _)) = Self::NAMES.iter().find(|(_, name)| *name == lower) {
            return Ok(*protocol);
        }
        lower.parse().map(Self).map_err(|_| ProtocolError { text: text.to_owned() })
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A text is neither a known protocol name nor a number from 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a protocol: expected tcp, udp, icmp, icmpv6, sctp, gre, esp, ah, igmp, ipv6, udplite or a number from 0 to 255"
)]
pub struct ProtocolError {
    /// The text found.
    pub text: String,
}
