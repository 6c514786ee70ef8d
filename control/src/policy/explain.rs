//! Why a flow passes or does not: the answer of the compiled policy to a question in an operator's words.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use ravelin_config::{
    Config,
    resources::{Endpoint, PolicyRule, Resources, Service, TargetPort},
    types::{Action, Protocol},
};
use ravelin_dataplane::policy::{AddressSet, Key, PolicySet, RuleId, Trace};
use serde::Serialize;

use super::{
    Change, Engine, Named, Question, QuestionError, Settings, Teller, Zones, verdict_name, wording::Wording,
};
use crate::{
    compile::CompileError,
    feeds::Library,
    identity::{Identities, ItemId, Kind},
};

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
    wording: Wording,
    zones: Zones,
    /// The words of rules that were met before: few rules decide about many flows.
    texts: HashMap<RuleId, String>,
}

/// One end of a flow, found.
struct End<'r> {
    name: &'r str,
    addresses: AddressSet,
    /// The service that it is, if it is one.
    service: Option<&'r Service>,
}

impl Explainer {
    /// Compiles a configuration with its feeds to be asked.
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn new(config: &Config, library: &Library) -> Result<Self, CompileError> {
        Self::of(Arc::new(library.resources(config)), &Settings::of(config, library))
    }

    /// Compiles resources to be asked.
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn of(resources: Arc<Resources>, settings: &Settings) -> Result<Self, CompileError> {
        let engine = Engine::new((*resources).clone(), settings.clone())?;
        let teller = Teller::new(Vec::new(), engine.book());
        let wording = Wording::new(&resources, settings);
        Ok(Self { resources, engine, teller, wording, zones: settings.zones.clone(), texts: HashMap::new() })
    }

    /// Takes over changes.
    ///
    /// # Errors
    /// As for a snapshot.
    pub fn change(&mut self, changes: Vec<Change>) -> Result<(), CompileError> {
        self.engine.apply(changes)?;
        self.resources = Arc::new(self.engine.resources());
        self.texts.clear();
        Ok(())
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
        let (protocol, zones) = (question.protocol()?, question.zones(&self.zones)?);
        let resources = Arc::clone(&self.resources);
        let source = self.find(&resources, &question.from, false)?;
        let destination = self.find(&resources, &question.to, true)?;
        let targets = match destination.service {
            Some(service) => self.behind(service, question, protocol)?,
            None if protocol.has_ports() && question.port.is_none() => {
                return Err(QuestionError::WhichPort { protocol });
            }
            None => vec![(destination.addresses, question.port.unwrap_or_default())],
        };
        let mut answers = Vec::new();
        for (addresses, port) in targets {
            let pair = common(&source.addresses, &addresses);
            let Some((from, to)) = pair else {
                if destination.service.is_some() && !source.addresses.is_empty() {
                    continue;
                }
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
            let key = question.key(protocol, [from, to], port, zones);
            let port = (Some(port) != question.port && protocol.has_ports()).then_some(port);
            answers.push(self.answer(&key, port));
        }
        if answers.is_empty() {
            return Err(QuestionError::NoEndpoint { name: destination.name.to_owned() });
        }
        Ok(answers)
    }

    /// Answers about a flow that is given as the packet path has it.
    pub fn answer(&mut self, key: &Key, port: Option<u16>) -> Answer {
        let decision = self.engine.policy().judge(key).decision();
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
        let rules: Vec<_> =
            trace.rules().iter().filter_map(|rule| Some((*rule, self.teller.rule(*rule)?))).collect();
        let (_, last) = rules.last()?;
        Some(SideAnswer {
            // Feeds are asked about flows of whoever it is.
            endpoint: self.endpoint_of(address).unwrap_or_else(|| address.to_string()),
            verdict: super::action_name(last.action()),
            trace: self.teller.entries(trace),
            rules: rules.iter().map(|(id, rule)| self.known_text(*id, rule)).collect(),
        })
    }

    fn known_text(&mut self, id: RuleId, rule: &Named) -> String {
        let Self { texts, wording, resources, .. } = self;
        texts.entry(id).or_insert_with(|| wording.text(resources, rule)).clone()
    }

    /// An endpoint's name with its namespace.
    pub fn full_name(&self, item: ItemId) -> String {
        let name = self.engine.identities().name(item);
        self.identities()
            .namespace(item)
            .map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
    }

    /// The endpoint whose address this is.
    pub fn endpoint_of(&self, address: IpAddr) -> Option<String> {
        self.engine.identities().endpoint_of(address).map(|item| self.full_name(item))
    }

    /// A rule as it is written.
    pub fn written(&self, rule: &Named) -> Option<&PolicyRule> {
        self.wording.written(&self.resources, rule)
    }

    /// A rule on one line.
    pub fn text(&self, rule: &Named) -> String {
        self.wording.text(&self.resources, rule)
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
        let none = || QuestionError::NoEndpoint { name: service.name.clone() };
        let wanted = |port: &&ravelin_config::resources::ServicePort| {
            port.protocol == protocol && question.port.is_none_or(|number| number == port.port)
        };
        let mut ports = service.ports.iter().filter(wanted);
        let port = ports.next().ok_or_else(|| QuestionError::NoPort {
            name: service.name.clone(),
            port: question.port.map_or_else(|| protocol.to_string(), |port| format!("{port}/{protocol}")),
        })?;
        if ports.next().is_some() && question.port.is_none() {
            return Err(QuestionError::WhichPort { protocol });
        }
        let selector = service.selector.as_ref().ok_or_else(none)?;
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
        if targets.is_empty() { Err(none()) } else { Ok(targets) }
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
