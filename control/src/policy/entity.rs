//! What a rule asks of one side of a flow, as sets of addresses with ports.

use std::collections::HashMap;

use ravelin_config::{
    resources::{
        EndpointKind, Entity, IpVersion, PortMatch, Resources, Service, ServiceAccounts, ServiceRef,
        TargetPort,
    },
    selector::{Expression, NAMESPACE_LABEL, Selector},
    types::Protocol,
};
use ravelin_dataplane::policy::{AddressSet, SetId};

use super::{ports::Ports, sets::Sets};
use crate::identity::{Identities, ItemId, Kind};

/// The label that names a workload's service account.
const SERVICE_ACCOUNT_LABEL: &str = "projectcalico.org/serviceaccount";

/// One way to satisfy an entity: an address of the set, at one of the ports, with the protocol if there is one.
#[derive(Clone, Debug)]
pub(super) struct Alternative {
    pub(super) set: SetId,
    pub(super) ports: Ports,
    pub(super) protocol: Option<Protocol>,
}

/// Which side of a flow an entity is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

/// Turns selectors and entities into sets, each once.
pub(super) struct Resolver<'r> {
    resources: &'r Resources,
    identities: &'r Identities,
    pub(super) sets: Sets,
    subjects: HashMap<Expression, Option<SetId>>,
    selected: HashMap<Expression, Option<SetId>>,
    entities: HashMap<(Entity, Option<String>), Option<SetId>>,
    /// The endpoints that call a port of a protocol so, by its number.
    named: HashMap<(String, Protocol), Vec<(u16, SetId)>>,
    services: HashMap<(Option<&'r str>, &'r str), &'r Service>,
}

impl<'r> Resolver<'r> {
    pub(super) fn new(resources: &'r Resources, identities: &'r Identities) -> Self {
        let services = resources.services.iter();
        let mut resolver = Self {
            resources,
            identities,
            sets: Sets::default(),
            subjects: HashMap::new(),
            selected: HashMap::new(),
            entities: HashMap::new(),
            named: HashMap::new(),
            services: services.map(|s| ((s.namespace.as_deref(), s.name.as_str()), s)).collect(),
        };
        resolver.find_named_ports();
        resolver
    }

    fn find_named_ports(&mut self) {
        let mut items: HashMap<(String, Protocol, u16), Vec<ItemId>> = HashMap::new();
        for (index, endpoint) in self.resources.endpoints.iter().enumerate() {
            for port in &endpoint.ports {
                let key = (port.name.clone(), port.protocol, port.port);
                items.entry(key).or_default().push(ItemId::endpoint(index));
            }
        }
        for ((name, protocol, number), items) in items {
            if let Some(set) = self.sets.add(self.identities.addresses_of(&items)) {
                self.named.entry((name, protocol)).or_default().push((number, set));
            }
        }
        self.named.values_mut().for_each(|ports| ports.sort_unstable_by_key(|(number, _)| *number));
    }

    /// The addresses of the endpoints that a policy is about.
    pub(super) fn subject(
        &mut self,
        selector: &Selector,
        namespace: Option<&str>,
        namespaces: Option<&Selector>,
        accounts: Option<&Selector>,
    ) -> Option<SetId> {
        let mut parts = vec![selector.expression().clone()];
        parts.extend(namespace.map(in_own_namespace));
        parts.extend(namespaces.map(in_namespace));
        parts.extend(accounts.map(in_account));
        let expression = joined(parts);
        if let Some(known) = self.subjects.get(&expression) {
            return *known;
        }
        let mut items = self.identities.matching(&expression);
        items.retain(|item| item.kind() == Kind::Endpoint);
        let set = self.sets.add(self.identities.addresses_of(&items));
        self.subjects.insert(expression, set);
        set
    }

    /// The addresses of some endpoints, by their places.
    pub(super) fn endpoints(&mut self, places: impl Iterator<Item = usize>) -> Option<SetId> {
        let items: Vec<_> = places.map(ItemId::endpoint).collect();
        self.sets.add(self.identities.addresses_of(&items))
    }

    /// The addresses of all hosts.
    pub(super) fn hosts(&mut self) -> Option<SetId> {
        let endpoints = self.resources.endpoints.iter().enumerate();
        let hosts: Vec<_> =
            endpoints.filter(|(_, endpoint)| endpoint.kind == EndpointKind::Host).map(|(at, _)| at).collect();
        self.endpoints(hosts.into_iter())
    }

    /// Every way to satisfy an entity of a rule for `protocol`; none if there is no way.
    pub(super) fn alternatives(
        &mut self,
        entity: &Entity,
        side: Side,
        namespace: Option<&str>,
        protocol: Option<Protocol>,
    ) -> Vec<Alternative> {
        // What is not acted upon must not match more than it says.
        if !entity.domains.is_empty() {
            return Vec::new();
        }
        let Some(set) = self.addresses(entity, namespace) else { return Vec::new() };
        let mut ways = match &entity.services {
            Some(service) => self.service(set, service, side, namespace),
            None => vec![Alternative { set, ports: Ports::all(), protocol: None }],
        };
        if !entity.ports.is_empty() {
            ways = ways.iter().flat_map(|way| self.at_ports(way, &entity.ports, protocol)).collect();
        }
        if !entity.not_ports.is_empty() {
            ways = ways.iter().flat_map(|way| self.not_at_ports(way, &entity.not_ports, protocol)).collect();
        }
        ways.retain(|way| !way.ports.is_empty());
        ways
    }

    /// The part of a way that is at one of the ports.
    fn at_ports(
        &mut self,
        way: &Alternative,
        ports: &[PortMatch],
        protocol: Option<Protocol>,
    ) -> Vec<Alternative> {
        let numbers = Ports::of(numbers(ports));
        let elsewhere = way.ports.without(&numbers);
        let mut ways = vec![Alternative { ports: way.ports.without(&elsewhere), ..way.clone() }];
        for (number, holders) in self.holders(ports, protocol) {
            if elsewhere.contains(number)
                && let Some(set) = self.sets.both(way.set, holders)
            {
                ways.push(Alternative { set, ports: Ports::single(number), protocol: way.protocol });
            }
        }
        ways
    }

    /// The part of a way that is at none of the ports.
    fn not_at_ports(
        &mut self,
        way: &Alternative,
        ports: &[PortMatch],
        protocol: Option<Protocol>,
    ) -> Vec<Alternative> {
        let mut rest = way.ports.without(&Ports::of(numbers(ports)));
        let mut ways = Vec::new();
        let mut by_number: Vec<(u16, SetId)> = Vec::new();
        for (number, holders) in self.holders(ports, protocol) {
            if !rest.contains(number) && !by_number.iter().any(|(known, _)| *known == number) {
                continue;
            }
            rest = rest.without(&Ports::single(number));
            // Several names may stand for one number.
            match by_number.iter_mut().find(|(known, _)| *known == number) {
                Some((_, set)) => match self.sets.without(*set, holders) {
                    Some(left) => *set = left,
                    None => by_number.retain(|(known, _)| *known != number),
                },
                None => by_number.extend(self.sets.without(way.set, holders).map(|left| (number, left))),
            }
        }
        ways.extend(by_number.into_iter().map(|(number, set)| Alternative {
            set,
            ports: Ports::single(number),
            protocol: way.protocol,
        }));
        ways.push(Alternative { ports: rest, ..way.clone() });
        ways
    }

    /// The endpoints behind the names among `ports`, with the numbers that they give them.
    fn holders(&self, ports: &[PortMatch], protocol: Option<Protocol>) -> Vec<(u16, SetId)> {
        let Some(protocol) = protocol else { return Vec::new() };
        let names = ports.iter().filter_map(|port| match port {
            PortMatch::Named(name) => Some(name.clone()),
            PortMatch::Range(_) => None,
        });
        names.filter_map(|name| self.named.get(&(name, protocol))).flatten().copied().collect()
    }

    /// As source, the endpoints of a service; as destination, those at its target ports.
    fn service(
        &mut self,
        within: SetId,
        wanted: &ServiceRef,
        side: Side,
        namespace: Option<&str>,
    ) -> Vec<Alternative> {
        let home = wanted.namespace.as_deref().or(namespace);
        let found = self.services.get(&(home, wanted.name.as_str())).copied();
        let Some((service, selector)) = found.and_then(|service| Some((service, service.selector.as_ref()?)))
        else {
            return Vec::new();
        };
        let mut items = self.identities.matching(selector.expression());
        items.retain(|item| item.kind() == Kind::Endpoint && self.identities.namespace(*item) == home);
        let all = self.sets.add(self.identities.addresses_of(&items));
        let Some(all) = all.and_then(|all| self.sets.both(within, all)) else { return Vec::new() };
        if side == Side::Source {
            return vec![Alternative { set: all, ports: Ports::all(), protocol: None }];
        }
        let mut ways = Vec::new();
        for port in &service.ports {
            let targets = match &port.target {
                TargetPort::Number(number) => vec![(*number, all)],
                TargetPort::Name(name) => {
                    let named = self.named.get(&(name.clone(), port.protocol)).cloned().unwrap_or_default();
                    let here = named.into_iter().filter_map(|(n, set)| Some((n, self.sets.both(all, set)?)));
                    here.collect()
                }
            };
            ways.extend(targets.into_iter().map(|(number, set)| Alternative {
                set,
                ports: Ports::single(number),
                protocol: Some(port.protocol),
            }));
        }
        ways
    }

    /// The addresses that networks, selectors and service accounts of an entity leave.
    fn addresses(&mut self, entity: &Entity, namespace: Option<&str>) -> Option<SetId> {
        let plain = Entity { ports: Vec::new(), not_ports: Vec::new(), services: None, ..entity.clone() };
        if plain.is_any() {
            return Some(SetId::ANY);
        }
        let key = (plain, namespace.map(str::to_owned));
        if let Some(known) = self.entities.get(&key) {
            return *known;
        }
        let mut set = match positive(entity, namespace) {
            Some(expression) => self.selected(expression),
            None => Some(SetId::ANY),
        };
        if !entity.nets.is_empty() {
            let nets = self.sets.add(AddressSet::of_nets(&entity.nets));
            set = set.zip(nets).and_then(|(set, nets)| self.sets.both(set, nets));
        }
        if !entity.not_nets.is_empty()
            && let (Some(within), Some(nets)) = (set, self.sets.add(AddressSet::of_nets(&entity.not_nets)))
        {
            set = self.sets.without(within, nets);
        }
        if let (Some(within), Some(selector)) = (set, &entity.not_selector)
            && let Some(not) = self.selected(selector.expression().clone())
        {
            set = self.sets.without(within, not);
        }
        self.entities.insert(key, set);
        set
    }

    /// The addresses of all endpoints and network sets that an expression matches.
    fn selected(&mut self, expression: Expression) -> Option<SetId> {
        if let Some(known) = self.selected.get(&expression) {
            return *known;
        }
        let items = self.identities.matching(&expression);
        let set = self.sets.add(self.identities.addresses_of(&items));
        self.selected.insert(expression, set);
        set
    }

    /// The addresses of one version.
    pub(super) fn version(&mut self, version: IpVersion) -> Option<SetId> {
        self.sets.add(match version {
            IpVersion::V4 => AddressSet::all_v4(),
            IpVersion::V6 => AddressSet::all_v6(),
        })
    }
}

fn numbers(ports: &[PortMatch]) -> impl Iterator<Item = (u16, u16)> + '_ {
    ports.iter().filter_map(|port| match port {
        PortMatch::Range(range) => Some((range.first(), range.last())),
        PortMatch::Named(_) => None,
    })
}

/// What an endpoint or network set must be; `None` if the entity does not say. Selector, namespace selector and service accounts
/// are one question. A namespaced policy that selects at all selects in its own namespace, unless it says where.
fn positive(entity: &Entity, namespace: Option<&str>) -> Option<Expression> {
    let accounts =
        entity.service_accounts.as_ref().filter(|accounts| **accounts != ServiceAccounts::default());
    let mut parts = Vec::new();
    parts.extend(entity.selector.as_ref().map(|selector| selector.expression().clone()));
    if let Some(accounts) = accounts {
        if !accounts.names.is_empty() {
            parts.push(Expression::In(SERVICE_ACCOUNT_LABEL.to_owned(), accounts.names.clone()));
        }
        parts.extend(accounts.selector.as_ref().map(in_account));
    }
    let selects = !parts.is_empty() || entity.not_selector.is_some();
    match (&entity.namespace_selector, namespace) {
        (Some(selector), _) => parts.push(in_namespace(selector)),
        (None, Some(own)) if selects => parts.push(in_own_namespace(own)),
        (None, _) => {}
    }
    (!parts.is_empty()).then(|| joined(parts))
}

fn joined(parts: Vec<Expression>) -> Expression {
    Selector::new(Expression::And(parts)).expression().clone()
}

fn in_own_namespace(name: &str) -> Expression {
    Expression::In(NAMESPACE_LABEL.to_owned(), vec![name.to_owned()])
}

/// A selector over service accounts, as one over endpoints.
fn in_account(selector: &Selector) -> Expression {
    selector.expression().prefixed("pcsa.")
}

/// A selector over namespaces, as one over endpoints and network sets: `all()` is any namespace, `global()` none.
fn in_namespace(selector: &Selector) -> Expression {
    fn any(expression: Expression) -> Expression {
        let each = |parts: Vec<Expression>| parts.into_iter().map(any).collect();
        match expression {
            Expression::All => Expression::Has(NAMESPACE_LABEL.to_owned()),
            Expression::Not(inner) => Expression::Not(Box::new(any(*inner))),
            Expression::And(parts) => Expression::And(each(parts)),
            Expression::Or(parts) => Expression::Or(each(parts)),
            Expression::Global
            | Expression::Has(_)
            | Expression::Compare { .. }
            | Expression::In(..)
            | Expression::NotIn(..) => expression,
        }
    }
    any(selector.expression().prefixed("pcns."))
}
