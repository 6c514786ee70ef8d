//! Endpoints that nothing protects, that nothing reaches, or that shut their operator out.

use std::net::IpAddr;

use ravelin_config::{
    resources::{EndpointKind, RuleAction, TargetPort},
    types::{Action, Protocol},
};
use ravelin_dataplane::policy::{AddressSet, Effect, Key, Rule, Zone};

use super::{Finding, Lint, Severity, count, some};
use crate::{
    identity::{ItemId, Kind},
    policy::Direction,
};

/// The port of SSH.
const SSH: u16 = 22;
/// Ranges of a rule's source from which SSH is tried.
const TRIED: usize = 64;

impl Lint<'_> {
    /// Looks at endpoints.
    pub(super) fn endpoints(&mut self) {
        let is_enforced = self.resources.policies.iter().any(|policy| policy.staged.is_none());
        if self.resources.endpoints.is_empty() {
            let message = "there is no endpoint, so nothing is enforced: `unknown` of [enforcement] decides about every flow";
            self.findings.push(Finding::new(Severity::Warning, "nothing-enforced", message.to_owned()));
            return;
        }
        let policed = [Direction::Egress, Direction::Ingress].map(|direction| self.policed(direction));
        if policed.iter().all(AddressSet::is_empty) {
            let why =
                if is_enforced { "no policy in force selects any of them" } else { "no policy is in force" };
            let endpoints = count(self.resources.endpoints.len(), "endpoint");
            let message = format!("there is policy for none of {endpoints}: {why}, so profiles alone decide");
            self.findings.push(Finding::new(Severity::Warning, "nothing-enforced", message));
        }
        for (direction, policed) in [Direction::Egress, Direction::Ingress].into_iter().zip(policed) {
            self.without_allow(direction, &policed);
        }
        self.services();
        self.locked_out();
    }

    /// Ports of services that no endpoint behind them has.
    fn services(&mut self) {
        for service in &self.resources.services {
            let Some(selector) = &service.selector else { continue };
            let name = service.namespace.as_ref().map_or_else(String::new, |home| format!("{home}/"));
            let name = format!("{name}{}", service.name);
            let mut behind = self.flat.identities().matching(selector.expression());
            behind.retain(|item| {
                item.kind() == Kind::Endpoint
                    && self.flat.identities().namespace(*item) == service.namespace.as_deref()
            });
            if behind.is_empty() {
                let message =
                    format!("no endpoint is behind the service `{name}`: `{selector}` matches none");
                self.findings.push(Finding::new(Severity::Warning, "matches-nothing", message));
                continue;
            }
            for port in &service.ports {
                let TargetPort::Name(target) = &port.target else { continue };
                let endpoints = behind.iter().filter_map(|item| self.resources.endpoints.get(item.index()));
                let mut ports = endpoints.flat_map(|endpoint| &endpoint.ports);
                if !ports.any(|own| own.name == *target && own.protocol == port.protocol) {
                    let message = format!(
                        "port {} of the service `{name}` leads nowhere: no endpoint behind it declares a port `{target}`",
                        port.port
                    );
                    self.findings.push(Finding::new(Severity::Warning, "undeclared-port", message));
                }
            }
        }
    }

    /// The addresses of endpoints that a policy in force governs.
    fn policed(&mut self, direction: Direction) -> AddressSet {
        self.own_addresses(direction, |tier, _| !tier.starts_with("__"))
    }

    /// The addresses of endpoints that rules in force are about, of those rules that `wanted` chooses by tier and action.
    fn own_addresses(
        &mut self,
        direction: Direction,
        wanted: impl Fn(&str, RuleAction) -> bool,
    ) -> AddressSet {
        let mut book = self.flat.book.clone();
        let side = self.flat.side(direction, false);
        let mut own: Vec<_> = side
            .rules
            .iter()
            .filter(|rule| {
                let named = self.flat.id(rule).and_then(|id| book.rule(id));
                named.is_some_and(|named| wanted(&named.block.tier, named.action()))
            })
            .map(|rule| side.own(rule))
            .collect();
        own.sort_unstable();
        own.dedup();
        AddressSet::union_of(own.into_iter().filter_map(|set| self.flat.set(set)))
    }

    /// Endpoints that no policy governs and no profile lets through.
    fn without_allow(&mut self, direction: Direction, policed: &AddressSet) {
        let profiled = self
            .own_addresses(direction, |tier, action| tier == "__PROFILE__" && action == RuleAction::Allow);
        let touched = AddressSet::union_of([policed, &profiled]);
        let denied: Vec<_> = (0..self.resources.endpoints.len())
            .map(ItemId::endpoint)
            .filter(|item| {
                let addresses = self.flat.identities().addresses(*item);
                !addresses.is_empty() && addresses.intersection(&touched).is_empty()
            })
            .map(|item| self.name(item))
            .collect();
        if !denied.is_empty() {
            let message = format!(
                "{} {} denied all {}: no policy governs it and no profile allows it",
                some(&denied),
                if denied.len() == 1 { "is" } else { "are" },
                direction.name(),
            );
            let finding = Finding::new(Severity::Warning, "denied-endpoints", message);
            self.findings.push(Finding { direction: Some(direction.name()), ..finding });
        }
    }

    /// Hosts whose SSH is no failsafe port and that nobody is allowed to reach by SSH.
    fn locked_out(&mut self) {
        let is_safe = self.settings.failsafe_inbound.iter().any(|failsafe| {
            failsafe.port == SSH && failsafe.protocol.is_none_or(|protocol| protocol == Protocol::TCP)
        });
        if is_safe {
            return;
        }
        let hosts = self.resources.endpoints.iter().enumerate().filter(|(_, e)| e.kind == EndpointKind::Host);
        let shut: Vec<_> = hosts
            .map(|(at, _)| ItemId::endpoint(at))
            .filter(|item| !self.lets_somebody_in(*item))
            .map(|item| self.name(item))
            .collect();
        if !shut.is_empty() {
            let message = format!(
                "nobody can reach {} by SSH: failsafe_inbound does not have tcp:22, and no rule allows it from anywhere",
                some(&shut)
            );
            self.findings.push(Finding::new(Severity::Error, "locked-out", message));
        }
    }

    /// Whether SSH to a host is allowed from an address at either end of a range that some rule allows it from.
    fn lets_somebody_in(&self, item: ItemId) -> bool {
        let addresses = self.flat.identities().addresses(item);
        let Some(destination) = first(&addresses) else { return true };
        let allows = |rule: &&Rule| {
            let effect = self.flat.outcome(rule.outcome).map(|outcome| outcome.effect);
            effect == Some(Effect::Allow)
                && rule.protocol.matches(Protocol::TCP)
                && rule.destination_ports.contains(SSH)
                && self.flat.set(rule.destination).is_none_or(|set| set.contains(destination))
        };
        let side = self.flat.side(Direction::Ingress, false);
        side.rules.iter().filter(allows).any(|rule| {
            let sources = self.flat.set(rule.source).cloned().unwrap_or_else(AddressSet::all);
            ends(&sources, destination).into_iter().any(|source| {
                let ports = (rule.source_ports.last(), SSH);
                self.zones(rule).into_iter().any(|zones| {
                    let key = Key {
                        source,
                        destination,
                        protocol: Protocol::TCP,
                        source_port: ports.0,
                        destination_port: ports.1,
                        zones,
                    };
                    self.flat.policy().judge(&key).action == Action::Allow
                })
            })
        })
    }

    /// The pairs of zones, or none, that a rule is about; one of them if none is asked for anywhere.
    fn zones(&self, rule: &Rule) -> Vec<[Zone; 2]> {
        if !self.flat.policy().uses_zones() {
            return vec![Key::NO_ZONES];
        }
        let known = self.flat.known_zones();
        let all = || known.names().filter_map(|name| known.find(name)).chain([Zone::NONE]);
        let [sources, destinations] = self.flat.zones(rule);
        let pairs = all().flat_map(|from| all().map(move |to| [from, to]));
        pairs.filter(|[from, to]| sources.has(*from) && destinations.has(*to)).collect()
    }

    fn name(&self, item: ItemId) -> String {
        let identities = self.flat.identities();
        let name = identities.name(item);
        identities.namespace(item).map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
    }
}

fn first(set: &AddressSet) -> Option<IpAddr> {
    let v4 = set.v4().first().map(|(first, _)| IpAddr::V4((*first).into()));
    v4.or_else(|| set.v6().first().map(|(first, _)| IpAddr::V6((*first).into())))
}

/// Both ends of the first ranges, of the version that `like` has.
fn ends(set: &AddressSet, like: IpAddr) -> Vec<IpAddr> {
    let v4 = set.v4().iter().take(TRIED).flat_map(|(a, b)| [*a, *b]).map(|a| IpAddr::V4(a.into()));
    let v6 = set.v6().iter().take(TRIED).flat_map(|(a, b)| [*a, *b]).map(|a| IpAddr::V6(a.into()));
    if like.is_ipv4() { v4.collect() } else { v6.collect() }
}
