//! What a rule asks of one side of a flow, as sets of addresses with ports.

use std::collections::{BTreeSet, HashMap};

use ravelin_config::{
    resources::{
        Endpoint, EndpointKind, Entity, IpVersion, NamedPort, NetworkSet, PortMatch, Resources, Service,
        ServiceAccounts, ServiceRef, TargetPort,
    },
    selector::{Expression, NAMESPACE_LABEL, Selector},
    types::Protocol,
};
use ravelin_dataplane::policy::{AddressSet, SetId};

use super::{
    change::Members,
    ports::Ports,
    sets::{Formula, Sets},
};
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
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) identities: Identities,
    pub(super) sets: Sets,
    entities: HashMap<(Entity, Option<String>), Option<SetId>>,
    /// The numbers that endpoints give to a port of that name.
    named: HashMap<(String, Protocol), BTreeSet<u16>>,
    /// By item.
    endpoints: Vec<Option<Endpoint>>,
    network_sets: Vec<NetworkSet>,
    /// What has joined and left those since.
    pub(super) members: Vec<Members>,
    services: HashMap<(Option<String>, String), Service>,
}

impl Resolver {
    pub(super) fn new(resources: &Resources) -> Self {
        let services = resources.services.iter();
        let mut named: HashMap<_, BTreeSet<u16>> = HashMap::new();
        for port in resources.endpoints.iter().flat_map(|endpoint| &endpoint.ports) {
            named.entry((port.name.clone(), port.protocol)).or_default().insert(port.port);
        }
        Self {
            identities: Identities::new(resources),
            sets: Sets::default(),
            entities: HashMap::new(),
            named,
            endpoints: resources.endpoints.iter().cloned().map(Some).collect(),
            network_sets: resources.network_sets.clone(),
            members: Vec::new(),
            services: services.map(|s| ((s.namespace.clone(), s.name.clone()), s.clone())).collect(),
        }
    }

    /// The endpoints that a policy is about.
    pub(super) fn subject(
        &mut self,
        selector: &Selector,
        namespace: Option<&str>,
        namespaces: Option<&Selector>,
        accounts: Option<&Selector>,
    ) -> SetId {
        let mut parts = vec![selector.expression().clone()];
        parts.extend(namespace.map(in_own_namespace));
        parts.extend(namespaces.map(in_namespace));
        parts.extend(accounts.map(in_account));
        self.selected_endpoints(&joined(parts))
    }

    /// All hosts.
    pub(super) fn hosts(&mut self) -> SetId {
        self.endpoints_that(Formula::Hosts, |endpoint| endpoint.kind == EndpointKind::Host)
    }

    /// All endpoints.
    pub(super) fn everyone(&mut self) -> SetId {
        self.endpoints_that(Formula::Everyone, |_| true)
    }

    /// The endpoints with exactly these profiles.
    pub(super) fn with_profiles(&mut self, profiles: &[String]) -> SetId {
        self.endpoints_that(Formula::Profiles(profiles.to_vec()), |endpoint| endpoint.profiles == profiles)
    }

    /// The endpoints that call a port so.
    fn holders_of(&mut self, name: &str, protocol: Protocol, number: u16) -> SetId {
        let is = |port: &NamedPort| (&*port.name, port.protocol, port.port) == (name, protocol, number);
        let formula = Formula::Named(name.to_owned(), protocol, number);
        self.endpoints_that(formula, |endpoint| endpoint.ports.iter().any(is))
    }

    fn endpoints_that(&mut self, formula: Formula, belongs: impl Fn(&Endpoint) -> bool) -> SetId {
        let Self { identities, sets, endpoints, .. } = self;
        sets.add(formula, || {
            let members = endpoints.iter().enumerate();
            let members = members.filter(|(_, endpoint)| endpoint.as_ref().is_some_and(&belongs));
            let members: Vec<_> = members.map(|(index, _)| ItemId::endpoint(index)).collect();
            identities.addresses_of(&members)
        })
    }

    fn selected_endpoints(&mut self, expression: &Expression) -> SetId {
        let id = self.identities.register(&Selector::new(expression.clone()));
        let Self { identities, sets, .. } = self;
        sets.add(Formula::SelectedEndpoints(id), || {
            let mut items = identities.matching(expression);
            items.retain(|item| item.kind() == Kind::Endpoint);
            identities.addresses_of(&items)
        })
    }

    /// All endpoints and network sets that an expression matches.
    fn selected(&mut self, expression: &Expression) -> SetId {
        let id = self.identities.register(&Selector::new(expression.clone()));
        let Self { identities, sets, .. } = self;
        sets.add(Formula::Selected(id), || identities.addresses_of(&identities.matching(expression)))
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

    /// What is known of an endpoint.
    pub(super) fn endpoint(&self, item: ItemId) -> Option<&Endpoint> {
        self.endpoints.get(item.index())?.as_ref()
    }

    /// Keeps an endpoint, or forgets it.
    pub(super) fn set_endpoint(&mut self, item: ItemId, endpoint: Option<Endpoint>) {
        if self.endpoints.len() <= item.index() {
            self.endpoints.resize(item.index() + 1, None);
        }
        self.endpoints[item.index()] = endpoint;
    }

    /// Whether so many networks have come and gone that what is kept of them should be made anew.
    pub(super) fn is_worn(&self) -> bool {
        const FEW: usize = 1 << 16;
        let moved: usize = self.members.iter().map(|change| change.join.len() + change.leave.len()).sum();
        moved > FEW.max(self.network_sets.iter().map(|set| set.nets.len()).sum())
    }

    /// Keeps what has joined and left a network set.
    pub(super) fn keep_members(&mut self, change: &Members) {
        let Some(set) = self.network_sets.iter_mut().find(|set| change.is_of(set)) else { return };
        if (change.join.len() + change.leave.len()) * 8 < set.nets.len() {
            self.members.push(change.clone());
            return;
        }
        let all = std::mem::take(&mut self.members).into_iter();
        let (earlier, others): (Vec<_>, Vec<_>) = all.partition(|earlier| earlier.is_of(set));
        self.members = others;
        earlier.iter().for_each(|earlier| earlier.make(set));
        change.make(set);
    }

    /// All endpoints and network sets as they are now, into `resources`.
    pub(super) fn fill(&self, resources: &mut Resources) {
        resources.endpoints = self.endpoints.iter().flatten().cloned().collect();
        resources.network_sets = self.network_sets.clone();
        for change in &self.members {
            if let Some(set) = resources.network_sets.iter_mut().find(|set| change.is_of(set)) {
                change.make(set);
            }
        }
    }

    /// The numbers that endpoints give to a port of that name.
    pub(super) fn numbers(&self, name: &str, protocol: Protocol) -> Option<&BTreeSet<u16>> {
        self.named.get(&(name.to_owned(), protocol))
    }

    /// The endpoints behind the names among `ports`, with the numbers that they give them.
    fn holders(&mut self, ports: &[PortMatch], protocol: Option<Protocol>) -> Vec<(u16, SetId)> {
        let names = ports.iter().filter_map(|port| match port {
            PortMatch::Named(name) => Some(name.clone()),
            PortMatch::Range(_) => None,
        });
        let Some(protocol) = protocol else { return Vec::new() };
        names.flat_map(|name| self.numbers_of(&name, protocol)).collect()
    }

    /// The numbers that endpoints give to a port, with those endpoints.
    fn numbers_of(&mut self, name: &str, protocol: Protocol) -> Vec<(u16, SetId)> {
        let numbers: Vec<_> = self.numbers(name, protocol).into_iter().flatten().copied().collect();
        numbers.into_iter().map(|number| (number, self.holders_of(name, protocol, number))).collect()
    }

    /// As source, the endpoints of a service; as destination, those at its target ports.
    fn service(
        &mut self,
        within: SetId,
        wanted: &ServiceRef,
        side: Side,
        namespace: Option<&str>,
    ) -> Vec<Alternative> {
        let home = wanted.namespace.as_deref().or(namespace).map(str::to_owned);
        let service = self.services.get(&(home.clone(), wanted.name.clone())).cloned();
        let Some((service, selector)) = service.and_then(|service| {
            let selector = service.selector.clone()?;
            Some((service, selector))
        }) else {
            return Vec::new();
        };
        let place = home.as_deref().map_or(Expression::Global, in_own_namespace);
        let all = self.selected_endpoints(&joined(vec![selector.expression().clone(), place]));
        let Some(all) = self.sets.both(within, all) else { return Vec::new() };
        if side == Side::Source {
            return vec![Alternative { set: all, ports: Ports::all(), protocol: None }];
        }
        let mut ways = Vec::new();
        for port in &service.ports {
            let targets = match &port.target {
                TargetPort::Number(number) => vec![(*number, all)],
                TargetPort::Name(name) => {
                    let named = self.numbers_of(name, port.protocol);
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

    /// The addresses that networks, selectors and service accounts of an entity leave. Zones are no matter of addresses.
    fn addresses(&mut self, entity: &Entity, namespace: Option<&str>) -> Option<SetId> {
        let plain = Entity {
            ports: Vec::new(),
            not_ports: Vec::new(),
            zones: Vec::new(),
            not_zones: Vec::new(),
            services: None,
            ..entity.clone()
        };
        if plain.is_any() {
            return Some(SetId::ANY);
        }
        let key = (plain, namespace.map(str::to_owned));
        if let Some(known) = self.entities.get(&key) {
            return *known;
        }
        let mut set = Some(match positive(entity, namespace) {
            Some(expression) => self.selected(&expression),
            None => SetId::ANY,
        });
        if !entity.nets.is_empty() {
            let nets = self.sets.fixed(AddressSet::of_nets(&entity.nets));
            set = set.zip(nets).and_then(|(set, nets)| self.sets.both(set, nets));
        }
        if !entity.not_nets.is_empty()
            && let (Some(within), Some(nets)) = (set, self.sets.fixed(AddressSet::of_nets(&entity.not_nets)))
        {
            set = self.sets.without(within, nets);
        }
        if let (Some(within), Some(selector)) = (set, &entity.not_selector) {
            let not = self.selected(selector.expression());
            set = self.sets.without(within, not);
        }
        self.entities.insert(key, set);
        set
    }

    /// The addresses of one version.
    pub(super) fn version(&mut self, version: IpVersion) -> Option<SetId> {
        self.sets.fixed(match version {
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
