use super::Labels;
use crate::selector::Selector;
use crate::types::{IfName, IpNet, PortRange, Protocol};
use serde::{Serialize, Serializer};
use std::{cmp::Ordering, fmt, str::FromStr, time::Duration};

/// A place in an order: lower numbers first, absent last. Never not-a-number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Order(Option<f64>);

impl Order {
    /// Behind everything that has a number.
    pub const LAST: Self = Self(None);

    /// The place `number`; `None` if that is not a finite number.
    pub fn new(number: f64) -> Option<Self> {
        // Minus zero is zero.
        number.is_finite().then_some(Self(Some(number + 0.0)))
    }

    /// The number.
    pub const fn number(self) -> Option<f64> {
        self.0
    }

    const fn is_last(&self) -> bool {
        self.0.is_none()
    }
}

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (None, None) => Ordering::Equal,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        }
    }
}

/// What happens at the end of a tier in which no rule decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TierDefault {
    /// The flow is denied.
    #[default]
    Deny,
    /// The next tier is asked.
    Pass,
}

/// A group of policies that is asked before or behind other groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// Unique among tiers.
    pub name: String,
    /// Its place among tiers; equal orders by name.
    #[serde(skip_serializing_if = "Order::is_last")]
    pub order: Order,
    /// What happens at its end, for endpoints that one of its policies selects.
    pub default: TierDefault,
}

/// That a policy is only tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StagedAction {
    /// The policy would be made, or replace the one of the same tier, namespace and name.
    Set,
    /// The enforced policy of the same tier, namespace and name would go away.
    Delete,
}

/// What happens to a flow that was allowed when a change makes this policy deny it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// It goes on to its end.
    Keep,
    /// Its packets are dropped from the next one on.
    #[default]
    Drop,
    /// As `drop`, and both ends of a TCP connection are sent a reset.
    Reset,
}

/// The directions that a policy governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Types {
    /// Flows to the endpoints that it selects.
    pub ingress: bool,
    /// Flows from the endpoints that it selects.
    pub egress: bool,
}

impl Serialize for Types {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = [(self.ingress, "ingress"), (self.egress, "egress")];
        serializer.collect_seq(words.into_iter().filter(|(governs, _)| *governs).map(|(_, word)| word))
    }
}

/// Rules for the endpoints that a selector chooses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// Unique among the policies of its tier and namespace, staged ones for themselves.
    pub name: String,
    /// Where it lives, which limits what it selects; `None` for a global policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The tier that it belongs to.
    pub tier: String,
    /// Its place in the tier; equal orders by name, then namespace, then kind.
    #[serde(skip_serializing_if = "Order::is_last")]
    pub order: Order,
    /// That it is only tried out, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged: Option<StagedAction>,
    /// The endpoints that it applies to.
    pub selector: Selector,
    /// Only endpoints of these namespaces; global policies only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Only endpoints with these service accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_selector: Option<Selector>,
    /// The directions that it governs.
    pub types: Types,
    /// What happens to flows that were allowed and that it denies after a change.
    pub on_change: OnChange,
    /// Rules about flows to its endpoints, in the order in which they are asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<PolicyRule>,
    /// Rules about flows from its endpoints, in the order in which they are asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<PolicyRule>,
}

/// Rules and labels that endpoints share by name. Asked when no tier has decided.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Unique among profiles.
    pub name: String,
    /// Labels that the endpoints inherit.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels_to_apply: Labels,
    /// Rules about flows to its endpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<PolicyRule>,
    /// Rules about flows from its endpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<PolicyRule>,
}

/// What a rule does with a flow that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// The flow may pass, as far as this endpoint is concerned.
    Allow,
    /// Its packets are dropped.
    Deny,
    /// It is noted, and the next rule is asked.
    Log,
    /// The rest of the tier is skipped.
    Pass,
    /// Its packets are dropped and the sender is told: a reset for TCP, else ICMP "administratively prohibited". Ravelin's own.
    Reject,
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl fmt::Display for IpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl Serialize for IpVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match self {
            Self::V4 => 4,
            Self::V6 => 6,
        })
    }
}

/// ICMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct IcmpMatch {
    /// The type, from 0 to 254.
    #[serde(rename = "type")]
    pub icmp_type: u8,
    /// The code; `None` for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
}

/// How many flows a rule lets through in a time. Ravelin's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// New flows.
    pub flows: u32,
    /// In this time: a second, a minute, an hour or a day.
    pub per: Duration,
}

/// What flows are counted in, each with the words that it is read from; the first is what is written.
const TIMES: [(Duration, &[&str]); 4] = [
    (Duration::from_secs(1), &["second", "s"]),
    (Duration::from_mins(1), &["minute", "m"]),
    (Duration::from_hours(1), &["hour", "h"]),
    (Duration::from_hours(24), &["day", "d"]),
];

/// A text is not a [`RateLimit`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a number of flows in a time, such as 100/second, by second, minute, hour or day")]
pub struct RateLimitError {
    /// The text found.
    pub text: String,
}

impl FromStr for RateLimit {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (flows, time) = text.split_once('/')?;
            let (per, _) = TIMES.into_iter().find(|(_, words)| words.contains(&time))?;
            let digits = flows.bytes().all(|byte| byte.is_ascii_digit());
            let flows = flows.parse().ok().filter(|flows| digits && *flows > 0)?;
            Some(Self { flows, per })
        };
        parse().ok_or_else(|| RateLimitError { text: text.to_owned() })
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = TIMES.iter().find(|(per, _)| *per == self.per).and_then(|(_, words)| words.first());
        write!(f, "{}/{}", self.flows, time.unwrap_or(&"day"))
    }
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One rule. All that it mentions must hold; what it does not mention it does not ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyRule {
    /// What happens to a flow that matches.
    pub action: RuleAction,
    /// Why it is there, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The version of IP. Implied by ICMP and ICMPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_version: Option<IpVersion>,
    /// The protocol that IP carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Any other protocol than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_protocol: Option<Protocol>,
    /// ICMP messages like this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp: Option<IcmpMatch>,
    /// ICMP messages unlike this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_icmp: Option<IcmpMatch>,
    /// The side that opens the flow.
    #[serde(skip_serializing_if = "Entity::is_any")]
    pub source: Entity,
    /// The other side.
    #[serde(skip_serializing_if = "Entity::is_any")]
    pub destination: Entity,
    /// The most new flows that it matches in a time; beyond that their packets are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Whether the packets of flows that meet it are saved. Ravelin's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub capture: bool,
}

/// What a rule asks of one side of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Entity {
    /// In one of these networks; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<IpNet>,
    /// In none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_nets: Vec<IpNet>,
    /// An endpoint or network set with such labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Anything but an endpoint or network set with such labels, addresses that are neither included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_selector: Option<Selector>,
    /// Of a namespace with such labels; `global()` for what belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Under one of these service accounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccounts>,
    /// Behind this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceRef>,
    /// At one of these ports; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortMatch>,
    /// At none of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<PortMatch>,
    /// In one of these zones; empty for any. Ravelin's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<IfName>,
    /// In none of these. Ravelin's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_zones: Vec<IfName>,
    /// Under one of these names. Kept, but not acted upon yet: a rule with domains matches nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
}

impl Entity {
    /// Whether it asks for nothing.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }
}

/// Service accounts by name and by labels; both must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct ServiceAccounts {
    /// One of these; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// With such labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// A service by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ServiceRef {
    /// Its name.
    pub name: String,
    /// Its namespace; `None` for the policy's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Ports by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortMatch {
    /// These.
    Range(PortRange),
    /// Those that endpoints call so.
    Named(String),
}

impl Serialize for PortMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Range(range) if range.first() == range.last() => serializer.serialize_u16(range.first()),
            Self::Range(range) => range.serialize(serializer),
            Self::Named(name) => serializer.serialize_str(name),
        }
    }
}
