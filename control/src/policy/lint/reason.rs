//! Why a rule matches nothing.

use ravelin_config::{
    resources::{Entity, PolicyRule, PortMatch, Resources, ServiceRef},
    selector::{Expression, NAMESPACE_LABEL, Selector},
    types::Protocol,
};

use crate::identity::Identities;

/// The kind of a finding, and what it says of a rule that matches nothing.
pub(super) fn reason(
    rule: &PolicyRule,
    namespace: Option<&str>,
    resources: &Resources,
    identities: &Identities,
) -> (&'static str, String) {
    let sides = [("source", &rule.source), ("destination", &rule.destination)];
    let why = sides.into_iter().find_map(|(side, entity)| {
        let (kind, why) = of_entity(entity, namespace, rule.protocol, resources, identities)?;
        Some((kind, format!("{side}: {why}")))
    });
    why.unwrap_or_else(|| ("matches-nothing", "what it asks for cannot all hold of one flow".to_owned()))
}

fn of_entity(
    entity: &Entity,
    namespace: Option<&str>,
    protocol: Option<Protocol>,
    resources: &Resources,
    identities: &Identities,
) -> Option<(&'static str, String)> {
    if !entity.domains.is_empty() {
        return Some(("domains", "rules with `domains` are not acted upon yet".to_owned()));
    }
    if !entity.zones.is_empty() && entity.zones.iter().all(|zone| entity.not_zones.contains(zone)) {
        return Some(("matches-nothing", "all of its `zones` are among its `not_zones`".to_owned()));
    }
    if let Some(service) = &entity.services {
        return Some(of_service(service, namespace, resources));
    }
    if let Some(selector) = &entity.namespace_selector
        && !is_global(selector.expression())
        && identities.matching_namespaces(selector.expression()).is_empty()
    {
        return Some(("matches-nothing", format!("no namespace matches `{selector}`")));
    }
    if let Some(selector) = &entity.selector {
        let home = namespace.filter(|_| entity.namespace_selector.is_none());
        let in_home = home.map(|home| Expression::In(NAMESPACE_LABEL.to_owned(), vec![home.to_owned()]));
        let parts = std::iter::once(selector.expression().clone()).chain(in_home).collect();
        if identities.matching(Selector::new(Expression::And(parts)).expression()).is_empty() {
            let place = home.map(|home| format!(" in the namespace `{home}`")).unwrap_or_default();
            let why = format!("no endpoint and no network set matches `{selector}`{place}");
            return Some(("matches-nothing", why));
        }
    }
    if let Some(accounts) = &entity.service_accounts {
        let label = "projectcalico.org/serviceaccount";
        let named = Expression::In(label.to_owned(), accounts.names.clone());
        if !accounts.names.is_empty() && identities.matching(&named).is_empty() {
            let why = format!("no endpoint runs as {}", super::some(&accounts.names));
            return Some(("matches-nothing", why));
        }
    }
    let names = undeclared(&entity.ports, protocol, resources);
    (!names.is_empty() && names.len() == entity.ports.len())
        .then(|| ("undeclared-port", format!("no endpoint declares a port {}", super::some(&names))))
}

/// The names among `ports` that no endpoint has for a port of the protocol.
pub(super) fn undeclared<'p>(
    ports: impl IntoIterator<Item = &'p PortMatch>,
    protocol: Option<Protocol>,
    resources: &Resources,
) -> Vec<String> {
    let declared = |name: &str| {
        let mut ports = resources.endpoints.iter().flat_map(|endpoint| &endpoint.ports);
        ports.any(|port| port.name == name && Some(port.protocol) == protocol)
    };
    let missing = ports.into_iter().filter_map(|port| match port {
        PortMatch::Named(name) if !declared(name) => Some(name.clone()),
        PortMatch::Named(_) | PortMatch::Range(_) => None,
    });
    missing.collect()
}

/// Whether an expression speaks of what belongs to no namespace.
fn is_global(expression: &Expression) -> bool {
    match expression {
        Expression::Global => true,
        Expression::Not(inner) => is_global(inner),
        Expression::And(parts) | Expression::Or(parts) => parts.iter().any(is_global),
        Expression::All
        | Expression::Has(_)
        | Expression::Compare { .. }
        | Expression::In(..)
        | Expression::NotIn(..) => false,
    }
}

fn of_service(wanted: &ServiceRef, namespace: Option<&str>, resources: &Resources) -> (&'static str, String) {
    let home = wanted.namespace.as_deref().or(namespace);
    let shown = home.map_or_else(|| wanted.name.clone(), |home| format!("{home}/{}", wanted.name));
    let mut services = resources.services.iter();
    match services.find(|service| service.name == wanted.name && service.namespace.as_deref() == home) {
        None => ("undeclared-service", format!("no service is called `{shown}`")),
        Some(service) if service.selector.is_none() => {
            ("matches-nothing", format!("the service `{shown}` has no selector, so no endpoint is behind it"))
        }
        Some(_) => {
            ("matches-nothing", format!("no endpoint at one of its ports is behind the service `{shown}`"))
        }
    }
}
