//! Why a flow passes or does not: the answer of the compiled policy to a question in an operator's words.

use std::{fmt, net::IpAddr, sync::Arc};

use ravelin_config::{
    Config,
    resources::{Endpoint, PolicyRule, Resources, Service, TargetPort},
    types::{Action, Protocol},
};
use ravelin_dataplane::policy::{AddressSet, Key, PolicySet, Trace};
use serde::{Deserialize, Serialize};

use super::{Block, Direction, Engine, Named, Settings, Teller, order, verdict_name};
use crate::{
    compile::CompileError,
    identity::{Identities, ItemId, Kind},
};

/// A flow that is asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Who opens it: an address, an endpoint (`name` or `namespace/name`).
    pub from: String,
    /// To whom: an address, an endpoint, or a service (`service:name` or `service:namespace/name`).
    pub to: String,
    /// The protocol; TCP if there is a port and nothing else is said.
    #[serde(default)]
    pub proto: Option<String>,
    /// The destination port, by number; that of the service, if it is to one.
    #[serde(default)]
    pub port: Option<u16>,
    /// The source port.
    #[serde(default)]
    pub source_port: Option<u16>,
    /// The type of an ICMP message.
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
    /// The service does not have the port.
    #[error("the service `{name}` has no port {port}")]
    NoPort {
        /// The service.
        name: String,
        /// The port.
        port: String,
    },
    /// A protocol that does not exist, or does not go with the rest.
    #[error("{0}")]
    Protocol(String),
}

/// The answer about one side of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SideAnswer {
    /// The endpoint that was judged.
    pub endpoint: String,
    /// What this side says.
    pub verdict: &'static str,
    /// The way to that, in Calico's form.
    pub trace: Vec<String>,
    /// The rules that were met, as they are written.
    pub rules: Vec<String>,
}

/// The answer under one set of policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// What happens to the flow.
    pub verdict: &'static str,
    /// What the source's side says; absent if it is no endpoint.
    pub egress: Option<SideAnswer>,
    /// What the destination's side says; absent if it is no endpoint, or was not asked.
    pub ingress: Option<SideAnswer>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The source that was looked at.
    pub source: IpAddr,
    /// The destination that was looked at.
    pub destination: IpAddr,
    /// Its port, where that differs from what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What is in force.
    #[serde(flatten)]
    pub enforced: Verdicts,
    /// What would be with every staged policy.
    pub pending: Verdicts,
}

/// A configuration that can be asked.
#[derive(Debug)]
pub struct Explainer {
    resources: Arc<Resources>,
    engine: Engine,
    teller: Teller,
}

/// One end of a flow, found.
struct End<'r> {
    name: &'r str,
    addresses: AddressSet,
    /// The endpoint that it is, if it was named.
    service: Option<&'r Service>,
}

impl Explainer {
    /// Compiles a configuration to be asked.
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn new(config: &Config) -> Result<Self, CompileError> {
        Self::of(Arc::new(config.resources.clone()), &Settings::of(&config.policy))
    }

    /// Compiles resources to be asked.
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn of(resources: Arc<Resources>, settings: &Settings) -> Result<Self, CompileError> {
        let engine = Engine::new((*resources).clone(), settings.clone())?;
        let teller = Teller::new(Vec::new(), engine.book());
        Ok(Self { resources, engine, teller })
    }

    /// What it was compiled from.
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Who has which labels.
    pub fn identities(&self) -> &Identities {
        self.engine.identities()
    }

    /// What the packet path would ask.
    pub fn policy(&self) -> &PolicySet {
        self.engine.policy()
    }

    /// Answers; several times if the flow is to a service, once for each endpoint behind it.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub fn ask(&mut self, question: &Question) -> Result<Vec<Answer>, QuestionError> {
        let protocol = protocol(question)?;
        let resources = Arc::clone(&self.resources);
        let source = self.find(&resources, &question.from, false)?;
        let destination = self.find(&resources, &question.to, true)?;
        let targets = match destination.service {
            Some(service) => self.behind(service, question, protocol)?,
            None => vec![(destination.addresses, question.port.unwrap_or_default())],
        };
        let mut answers = Vec::new();
        for (addresses, port) in targets {
            let pair = common(&source.addresses, &addresses);
            let Some((from, to)) = pair else {
                let of = |set: &AddressSet| if set.v4().is_empty() { " of IPv6" } else { " of IPv4" };
                return Err(if source.addresses.is_empty() {
                    QuestionError::NoAddress { name: source.name.to_owned(), family: "" }
                } else if addresses.is_empty() {
                    QuestionError::NoAddress { name: destination.name.to_owned(), family: "" }
                } else {
                    let family = of(&source.addresses);
                    QuestionError::NoAddress { name: destination.name.to_owned(), family }
                });
            };
            let key = key(question, protocol, (from, to), port);
            let port = (Some(port) != question.port && protocol.has_ports()).then_some(port);
            answers.push(self.answer(&key, port));
        }
        Ok(answers)
    }

    /// Answers about a flow that is given as the packet path has it.
    pub fn answer(&mut self, key: &Key, port: Option<u16>) -> Answer {
        let decision = self.engine.policy().judge(key).decision;
        let enforced = self.verdicts(key, decision.action, &decision.egress, &decision.ingress);
        let pending = match &decision.pending {
            Some(pending) => self.verdicts(key, pending.action, &pending.egress, &pending.ingress),
            None => enforced.clone(),
        };
        Answer { source: key.source, destination: key.destination, port, enforced, pending }
    }

    fn verdicts(&mut self, key: &Key, verdict: Action, egress: &Trace, ingress: &Trace) -> Verdicts {
        Verdicts {
            verdict: verdict_name(verdict),
            egress: self.side(key.source, egress),
            ingress: self.side(key.destination, ingress),
        }
    }

    fn side(&mut self, address: IpAddr, trace: &Trace) -> Option<SideAnswer> {
        let rules: Vec<Named> = trace.rules().iter().filter_map(|rule| self.teller.rule(*rule)).collect();
        let last = rules.last()?;
        Some(SideAnswer {
            endpoint: self
                .identities()
                .endpoint_of(address)
                .map(|item| self.full_name(item))
                .unwrap_or_default(),
            verdict: super::action_name(last.action()),
            trace: self.teller.entries(trace),
            rules: rules.iter().map(|rule| self.text(rule)).collect(),
        })
    }

    /// An endpoint's name with its namespace.
    pub fn full_name(&self, item: ItemId) -> String {
        let name = self.engine.identities().name(item);
        self.identities()
            .namespace(item)
            .map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
    }

    /// A rule as it is written, or what a default does, in words.
    pub fn text(&self, rule: &Named) -> String {
        match self.written(rule) {
            Some(written) => inline(written),
            None => format!("{} (default)", super::action_name(rule.action())),
        }
    }

    /// The rule that a number stands for.
    pub fn written(&self, rule: &Named) -> Option<&PolicyRule> {
        let Block { policy, direction, staged, .. } = &*rule.block;
        let of = |ingress, egress| match direction {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        let found = self.resources.policies.iter().find(|candidate| {
            candidate.staged.is_some() == *staged && order::full_name(candidate) == *policy
        });
        let rules: &[PolicyRule] = match (found, policy.strip_prefix("__PROFILE__.")) {
            (Some(found), _) => of(&found.ingress, &found.egress),
            (None, Some(name)) => {
                let profile = self.resources.profiles.iter().find(|profile| profile.name == name)?;
                of(&profile.ingress, &profile.egress)
            }
            (None, None) => return None,
        };
        rules.get(rule.index?)
    }

    fn find<'r>(
        &self,
        resources: &'r Resources,
        name: &'r str,
        may_be_service: bool,
    ) -> Result<End<'r>, QuestionError> {
        if let Ok(address) = name.parse::<IpAddr>() {
            let addresses = AddressSet::of_nets([&address.into()]);
            return Ok(End { name, addresses, service: None });
        }
        let (namespace, plain) = name.split_once('/').map_or((None, name), |(ns, name)| (Some(ns), name));
        let said = name.strip_prefix("service:").filter(|_| may_be_service);
        if said.is_none()
            && let Some(item) = self.engine.identities().find(Kind::Endpoint, namespace, plain)
        {
            return Ok(End { name, addresses: self.engine.identities().addresses(item), service: None });
        }
        let (namespace, plain) = match said {
            Some(said) => said.split_once('/').map_or((None, said), |(ns, name)| (Some(ns), name)),
            None => (namespace, plain),
        };
        let mut services = resources.services.iter().filter(|_| may_be_service);
        match services.find(|s| s.name == plain && s.namespace.as_deref() == namespace) {
            Some(service) => Ok(End { name, addresses: AddressSet::empty(), service: Some(service) }),
            None => Err(QuestionError::Unknown { name: name.to_owned(), hint: hint(resources, plain) }),
        }
    }

    /// The endpoints behind a service, each with the port that the service's port stands for.
    fn behind(
        &self,
        service: &Service,
        question: &Question,
        protocol: Protocol,
    ) -> Result<Vec<(AddressSet, u16)>, QuestionError> {
        let none = |what: &str| QuestionError::NoAddress { name: what.to_owned(), family: "" };
        let wanted = |port: &&ravelin_config::resources::ServicePort| {
            port.protocol == protocol && question.port.is_none_or(|number| number == port.port)
        };
        let port = service.ports.iter().find(wanted).ok_or_else(|| QuestionError::NoPort {
            name: service.name.clone(),
            port: question.port.map_or_else(|| protocol.to_string(), |port| format!("{port}/{protocol}")),
        })?;
        let selector = service.selector.as_ref().ok_or_else(|| none(&service.name))?;
        let mut items = self.engine.identities().matching(selector.expression());
        items.retain(|item| {
            item.kind() == Kind::Endpoint
                && self.engine.identities().namespace(*item) == service.namespace.as_deref()
        });
        let number = |endpoint: &Endpoint| match &port.target {
            TargetPort::Number(number) => Some(*number),
            TargetPort::Name(name) => {
                let mut named = endpoint.ports.iter();
                named.find(|p| p.name == *name && p.protocol == protocol).map(|p| p.port)
            }
        };
        let targets = items.into_iter().filter_map(|item| {
            let endpoint = self.resources.endpoints.get(item.index())?;
            Some((self.engine.identities().addresses(item), number(endpoint)?))
        });
        let targets: Vec<_> = targets.collect();
        if targets.is_empty() { Err(none(&service.name)) } else { Ok(targets) }
    }
}

/// What may have been meant by a name that nothing has.
fn hint(resources: &Resources, plain: &str) -> String {
    let endpoints = resources.endpoints.iter().map(|e| (&e.namespace, &e.name));
    let services = resources.services.iter().map(|s| (&s.namespace, &s.name));
    let same = endpoints.chain(services).find(|(_, name)| *name == plain);
    same.map_or_else(String::new, |(namespace, name)| match namespace {
        Some(namespace) => format!(": did you mean `{namespace}/{name}`?"),
        None => format!(": did you mean `{name}`?"),
    })
}

/// An address of each, of one family.
fn common(a: &AddressSet, b: &AddressSet) -> Option<(IpAddr, IpAddr)> {
    let v4 = |set: &AddressSet| set.v4().first().map(|(first, _)| IpAddr::V4((*first).into()));
    let v6 = |set: &AddressSet| set.v6().first().map(|(first, _)| IpAddr::V6((*first).into()));
    v4(a).zip(v4(b)).or_else(|| v6(a).zip(v6(b)))
}

fn protocol(question: &Question) -> Result<Protocol, QuestionError> {
    let error = |text: String| Err(QuestionError::Protocol(text));
    let protocol = match &question.proto {
        Some(text) => match text.parse::<Protocol>() {
            Ok(protocol) => protocol,
            Err(wrong) => return error(wrong.to_string()),
        },
        None if question.icmp_type.is_some() => Protocol::ICMP,
        None => Protocol::TCP,
    };
    let is_icmp = [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol);
    match (question.port, question.icmp_type) {
        (Some(_), _) if !protocol.has_ports() => error(format!("{protocol} has no ports")),
        (_, Some(_)) if !is_icmp => error(format!("{protocol} has no ICMP types")),
        _ if question.icmp_code.is_some() && question.icmp_type.is_none() => {
            error("an ICMP code needs a type".to_owned())
        }
        _ => Ok(protocol),
    }
}

fn key(question: &Question, protocol: Protocol, (source, destination): (IpAddr, IpAddr), port: u16) -> Key {
    let icmp = [question.icmp_type.unwrap_or_default(), question.icmp_code.unwrap_or_default()];
    let is_icmp = [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol);
    // The message that goes with the addresses is meant.
    let protocol = match (is_icmp, source) {
        (true, IpAddr::V4(_)) => Protocol::ICMP,
        (true, IpAddr::V6(_)) => Protocol::ICMPV6,
        (false, _) => protocol,
    };
    let (source_port, destination_port) = match protocol {
        Protocol::ICMP | Protocol::ICMPV6 => (0, u16::from_be_bytes(icmp)),
        _ if protocol.has_ports() => (question.source_port.unwrap_or(DYNAMIC), port),
        _ => (0, 0),
    };
    Key { source, destination, protocol, source_port, destination_port }
}

/// A source port as stacks choose them (RFC 6335 section 6), where none is said.
const DYNAMIC: u16 = 49_152;

/// A rule on one line, as TOML.
fn inline(rule: &PolicyRule) -> String {
    toml::Value::try_from(rule).map(|value| value.to_string()).unwrap_or_default()
}

impl fmt::Display for SideAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (entry, rule) in self.trace.iter().zip(&self.rules) {
            writeln!(f, "    {entry}\n        {rule}")?;
        }
        Ok(())
    }
}
