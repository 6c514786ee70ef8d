use std::net::IpAddr;

use ravelin_config::types::{Action, Direction, IpNet, PortRange, Protocol};

/// A rule's number. The control thread gives every rule name one number for the life of the process, so that a record
/// written after a reload still names the rule that decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u16);

impl RuleId {
    /// No rule: the default decided, or nothing has yet.
    pub const NONE: Self = Self(0);
}

/// One rule. An empty list matches everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule's number.
    pub id: RuleId,
    /// What happens to a flow that matches.
    pub action: Action,
    /// The direction in which the flow was opened; `None` for both.
    pub direction: Option<Direction>,
    /// The transport protocol; `None` for any.
    pub protocol: Option<Protocol>,
    /// Where the initiator may be.
    pub source: Vec<IpNet>,
    /// Where the responder may be.
    pub destination: Vec<IpNet>,
    /// The initiator's ports.
    pub source_ports: Vec<PortRange>,
    /// The responder's ports.
    pub destination_ports: Vec<PortRange>,
}

/// What a rule is asked about: a flow as its initiator opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which way the flow was opened; `None` where there is no bridge, as on a monitor interface.
    pub direction: Option<Direction>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The initiator.
    pub source: IpAddr,
    /// The responder.
    pub destination: IpAddr,
    /// The initiator's port.
    pub source_port: u16,
    /// The responder's port.
    pub destination_port: u16,
}

impl Rule {
    /// Whether the rule matches.
    pub fn matches(&self, query: &Query) -> bool {
        let prefix = |list: &[IpNet], address: &IpAddr| {
            list.is_empty() || list.iter().any(|net| net.contains(address))
        };
        let port =
            |list: &[PortRange], port: u16| list.is_empty() || list.iter().any(|range| range.contains(port));
        self.direction.is_none_or(|direction| query.direction == Some(direction))
            && self.protocol.is_none_or(|protocol| query.protocol == protocol)
            && port(&self.destination_ports, query.destination_port)
            && port(&self.source_ports, query.source_port)
            && prefix(&self.destination, &query.destination)
            && prefix(&self.source, &query.source)
    }
}

/// What the rules say about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Allow or deny.
    pub action: Action,
    /// The rule that decided; [`RuleId::NONE`] for the default.
    pub rule: RuleId,
}

/// All rules, in order, and the default behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// The rules; the first that matches decides.
    pub rules: Vec<Rule>,
    /// What happens when none matches.
    pub default: Action,
}

impl Default for RuleSet {
    fn default() -> Self {
        Self { rules: Vec::new(), default: Action::Allow }
    }
}

impl RuleSet {
    /// Judges a flow.
    pub fn judge(&self, query: &Query) -> Judgement {
        self.rules.iter().find(|rule| rule.matches(query)).map_or(
            Judgement { action: self.default, rule: RuleId::NONE },
            |rule| Judgement { action: rule.action, rule: rule.id },
        )
    }
}
