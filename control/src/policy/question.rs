//! What can be asked of a policy, in an operator's words.

use std::{fmt, net::IpAddr};

use ravelin_config::types::Protocol;
use ravelin_dataplane::policy::{Key, Zone};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::Zones;

/// A flow that is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who opens it: an address, or an endpoint (`name` or `namespace/name`).
    pub from: String,
    /// To whom: an address, an endpoint, or a service (`service:name` or `service:namespace/name`, without `service:` if no
    /// endpoint is called so).
    pub to: String,
    /// The zone of the interface at which the source's packets come in; none if nothing is said.
    #[serde(default)]
    pub from_zone: Option<String>,
    /// The zone of the interface by which they leave; none if nothing is said.
    #[serde(default)]
    pub to_zone: Option<String>,
    /// The protocol, by name or number; TCP if nothing is said, or that of the ICMP message.
    #[serde(default, deserialize_with = "word_or_number")]
    pub proto: Option<String>,
    /// The destination port; that of the service, if it is to one.
    #[serde(default)]
    pub port: Option<u16>,
    /// The source port; one as stacks choose them if nothing is said.
    #[serde(default)]
    pub source_port: Option<u16>,
    /// The type of an ICMP message; echo request if nothing is said.
    #[serde(default)]
    pub icmp_type: Option<u8>,
    /// The code of an ICMP message.
    #[serde(default)]
    pub icmp_code: Option<u8>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// There is nothing of that name.
    #[error("`{name}` is neither an address nor an endpoint nor a service{hint}")]
    Unknown {
        /// The name.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// The thing has no address, or none of the other side's family.
    #[error("`{name}` has no address{family}")]
    NoAddress {
        /// The name.
        name: String,
        /// Of which family.
        family: &'static str,
    },
    /// No endpoint answers for the service at the port.
    #[error("no endpoint is behind the service `{name}`")]
    NoEndpoint {
        /// The service.
        name: String,
    },
    /// The service does not have the port.
    #[error("the service `{name}` has no port {port}")]
    NoPort {
        /// The service.
        name: String,
        /// The port.
        port: String,
    },
    /// The protocol has ports, and none is named.
    #[error("which port? {protocol} has ports, so the answer depends on it")]
    WhichPort {
        /// The protocol.
        protocol: Protocol,
    },
    /// No interface is in a zone of that name.
    #[error("no interface is in a zone `{name}`{hint}")]
    UnknownZone {
        /// The name.
        name: String,
        /// Which zones there are.
        hint: String,
    },
    /// A protocol that does not exist, or does not go with the rest.
    #[error("{0}")]
    Protocol(String),
}

impl Question {
    /// The protocol that is asked about.
    pub(super) fn protocol(&self) -> Result<Protocol, QuestionError> {
        let error = |text: String| Err(QuestionError::Protocol(text));
        let protocol = match &self.proto {
            Some(text) => match text.parse::<Protocol>() {
                Ok(protocol) => protocol,
                Err(wrong) => return error(wrong.to_string()),
            },
            None if self.icmp_type.is_some() => Protocol::ICMP,
            None => Protocol::TCP,
        };
        match (self.port.or(self.source_port), self.icmp_type) {
            (Some(_), _) if !protocol.has_ports() => error(format!("{protocol} has no ports")),
            (_, Some(_)) if !is_icmp(protocol) => error(format!("{protocol} has no ICMP types")),
            _ if self.icmp_code.is_some() && self.icmp_type.is_none() => {
                error("an ICMP code needs a type".to_owned())
            }
            _ => Ok(protocol),
        }
    }

    /// The zones that are asked about.
    pub(super) fn zones(&self, known: &Zones) -> Result<[Zone; 2], QuestionError> {
        let find = |name: &Option<String>| {
            let Some(name) = name else { return Ok(Zone::NONE) };
            known.find(name).ok_or_else(|| {
                let names: Vec<_> = known.names().map(|zone| format!("`{zone}`")).collect();
                let hint = match names.as_slice() {
                    [] => ": neither [[interface]] nor [[wireguard]] says `zone`".to_owned(),
                    names => format!(": there are {}", names.join(", ")),
                };
                QuestionError::UnknownZone { name: name.clone(), hint }
            })
        };
        Ok([find(&self.from_zone)?, find(&self.to_zone)?])
    }

    /// What the packet path would ask about the flow between these addresses.
    pub(super) fn key(
        &self,
        protocol: Protocol,
        [source, destination]: [IpAddr; 2],
        port: u16,
        zones: [Zone; 2],
    ) -> Key {
        // The messages that go with the addresses are meant.
        let (protocol, echo) = match (is_icmp(protocol), source) {
            (true, IpAddr::V4(_)) => (Protocol::ICMP, 8),
            (true, IpAddr::V6(_)) => (Protocol::ICMPV6, 128),
            (false, _) => (protocol, 0),
        };
        let (source_port, destination_port) = if is_icmp(protocol) {
            let message = [self.icmp_type.unwrap_or(echo), self.icmp_code.unwrap_or_default()];
            (0, u16::from_be_bytes(message))
        } else if protocol.has_ports() {
            (self.source_port.unwrap_or(DYNAMIC), port)
        } else {
            (0, 0)
        };
        Key { source, destination, protocol, source_port, destination_port, zones }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = if self.icmp_type.is_some() { "icmp" } else { "tcp" };
        let proto = self.proto.as_deref().map_or_else(|| usual.to_owned(), str::to_lowercase);
        let in_zone =
            |zone: &Option<String>| zone.as_ref().map(|zone| format!(" in zone {zone}")).unwrap_or_default();
        let (from_zone, to_zone) = (in_zone(&self.from_zone), in_zone(&self.to_zone));
        write!(f, "{}{from_zone} > {}{to_zone}, {proto}", self.from, self.to)?;
        for (what, number) in [
            ("port", self.port),
            ("source port", self.source_port),
            ("type", self.icmp_type.map(u16::from)),
            ("code", self.icmp_code.map(u16::from)),
        ] {
            if let Some(number) = number {
                write!(f, " {what} {number}")?;
            }
        }
        Ok(())
    }
}

/// A source port as stacks choose them (RFC 6335 section 6), where none is said.
const DYNAMIC: u16 = 49_152;

fn is_icmp(protocol: Protocol) -> bool {
    [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol)
}

/// Reads a protocol as people write it.
pub(crate) fn word_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct Either;

    impl Visitor<'_> for Either {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name or number of a protocol")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<String>, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<String>, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<String>, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<String>, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Either)
}
