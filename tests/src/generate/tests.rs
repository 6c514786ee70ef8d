use super::{Choices, World, bytes};
use crate::oracle::Oracle;
use ravelin_config::resources::{EndpointKind, Entity, PolicyRule};
use std::collections::{BTreeMap, BTreeSet};

/// Worlds that a statement about the generator is made of.
const WORLDS: u64 = 2000;

fn worlds() -> impl Iterator<Item = World> {
    (0..WORLDS).map(|seed| World::from_bytes(&bytes(seed, World::BYTES)))
}

#[test]
fn without_bytes_every_choice_is_the_first() {
    let mut choices = Choices::new(&[]);
    assert_eq!((choices.below(7), choices.between(3, 9), choices.chance(2)), (0, 3, false));
    let world = World::from_bytes(&[]);
    assert!(world.flows.is_empty() && world.resources.policies.is_empty());
}

#[test]
fn every_value_of_a_choice_is_reached() {
    let all: Vec<u8> = (0..=255).collect();
    let mut choices = Choices::new(&all);
    let drawn: BTreeSet<usize> = (0..=255).map(|_| choices.below(13)).collect();
    assert_eq!(drawn, (0..13).collect());
}

/// What a rule asks for, by name.
fn fields(rule: &PolicyRule) -> Vec<&'static str> {
    fn entity(entity: &Entity) -> Vec<(bool, &'static str)> {
        vec![
            (!entity.nets.is_empty(), "nets"),
            (!entity.not_nets.is_empty(), "not_nets"),
            (entity.selector.is_some(), "selector"),
            (entity.not_selector.is_some(), "not_selector"),
            (entity.namespace_selector.is_some(), "namespace_selector"),
            (entity.service_accounts.is_some(), "service_accounts"),
            (entity.services.is_some(), "services"),
            (!entity.ports.is_empty(), "ports"),
            (!entity.not_ports.is_empty(), "not_ports"),
            (!entity.zones.is_empty(), "zones"),
            (!entity.not_zones.is_empty(), "not_zones"),
        ]
    }
    let own = vec![
        (rule.ip_version.is_some(), "ip_version"),
        (rule.protocol.is_some(), "protocol"),
        (rule.not_protocol.is_some(), "not_protocol"),
        (rule.icmp.is_some(), "icmp"),
        (rule.not_icmp.is_some(), "not_icmp"),
        (rule.rate_limit.is_some(), "rate_limit"),
    ];
    let asked = [own, entity(&rule.source), entity(&rule.destination)].concat();
    asked.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name).collect()
}

/// The worlds are worth their time: flows meet rules of every kind, and end in every way.
#[test]
fn flows_hit_what_is_there() {
    let (mut verdicts, mut hits, mut tiers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let (mut flows, mut differing, mut deep) = (0, 0, 0);
    for world in worlds() {
        let oracle = Oracle::new(&world.resources, &world.settings);
        for flow in &world.flows {
            let answer = oracle.ask(flow);
            flows += 1;
            differing += usize::from(answer.enforced.verdict != answer.pending.verdict);
            *verdicts.entry(format!("{:?}", answer.enforced.verdict)).or_insert(0) += 1;
            let judgement = &answer.pending;
            deep += usize::from(judgement.egress.0.len() + judgement.ingress.0.len() > 2);
            for entry in judgement.egress.0.iter().chain(&judgement.ingress.0) {
                *tiers.entry(entry.tier.clone()).or_insert(0) += 1;
                let Ok(index) = usize::try_from(entry.rule) else { continue };
                let policy = world.resources.policies.iter().find(|policy| {
                    let name = policy.namespace.as_ref().map(|own| format!("{own}/")).unwrap_or_default();
                    policy.tier == entry.tier
                        && entry.name == format!("{name}{}.{}", policy.tier, policy.name)
                });
                let Some(policy) = policy else { continue };
                for rules in [&policy.ingress, &policy.egress] {
                    for field in rules.get(index).map(fields).unwrap_or_default() {
                        *hits.entry(field).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    let found = format!("{flows} flows, {differing} differ, {deep} deep\n{verdicts:?}\n{tiers:?}\n{hits:?}");
    assert_eq!(verdicts.len(), 3, "{found}");
    assert!(verdicts.values().all(|times| times * 50 > flows), "{found}");
    assert!(differing * 50 > flows && deep * 20 > flows, "{found}");
    assert_eq!(hits.len(), 17, "{found}");
    assert!(hits.values().all(|times| *times > 100), "{found}");
    let everywhere =
        ["__PROFILE__", "__FAILSAFE__", "default", "alpha", "beta", "kube-admin", "kube-baseline", "nowhere"];
    assert!(everywhere.iter().all(|tier| tiers.get(*tier).is_some_and(|times| *times > 100)), "{found}");
}

/// What the types cannot say and the configuration demands.
#[test]
fn resources_are_legal() {
    for world in worlds() {
        let mut addresses = BTreeSet::new();
        for endpoint in &world.resources.endpoints {
            assert!(endpoint.kind == EndpointKind::Workload || endpoint.namespace.is_none());
            assert!(endpoint.addresses.iter().all(|net| addresses.insert(*net)));
        }
        for policy in &world.resources.policies {
            for rule in policy.ingress.iter().chain(&policy.egress) {
                legal(rule);
            }
        }
        for flow in &world.flows {
            assert_eq!(flow.source.is_ipv4(), flow.destination.is_ipv4());
        }
    }
}

fn legal(rule: &PolicyRule) {
    let entities = [&rule.source, &rule.destination];
    let nets = || entities.iter().flat_map(|entity| entity.nets.iter().chain(&entity.not_nets));
    assert!(nets().all(|net| net.addr().is_ipv4()) || nets().all(|net| net.addr().is_ipv6()));
    for entity in entities {
        let ports = !entity.ports.is_empty() || !entity.not_ports.is_empty();
        assert!(!ports || rule.protocol.is_some_and(|protocol| protocol.has_ports()));
        assert!(entity.not_nets.iter().all(|net| net.prefix_len() > 0));
        if entity.services.is_some() {
            let (services, ports, not_ports) =
                (entity.services.clone(), entity.ports.clone(), entity.not_ports.clone());
            let domains = entity.domains.clone();
            assert_eq!(*entity, Entity { services, ports, not_ports, domains, ..Entity::default() });
        }
    }
    let ported = !rule.destination.ports.is_empty() || !rule.destination.not_ports.is_empty();
    assert!(rule.destination.services.is_none() || !ported);
    assert!(rule.icmp.is_none() || rule.protocol.is_some());
}
