//! The compiled policy in the words of the oracle, so that the two can be held against each other.
//!
//! [`check`] is the property: for every world that bytes can choose, compiled policy and oracle say the same of every flow, with
//! the same traces, enforced and pending. The fuzz target `policy` and a property test both call it.

use crate::{
    generate::{World, ZONES},
    oracle::{Flow, Judgement, Oracle, Settings, Trace, Verdict},
    vectors::{Expected, Outcome},
};
use ravelin_config::{
    resources::{OnChange, Resources, RuleAction},
    types::{Action, Protocol},
};
use ravelin_control::policy::{self, Change, Explainer, Members, PolicyKey, SideAnswer, Verdicts, Zones};
use ravelin_dataplane::policy::{Key, Trace as Kept, Zone};
use std::sync::Arc;

/// A policy that was compiled.
#[derive(Debug)]
pub struct Compiled(Explainer);

impl Compiled {
    /// Compiles resources.
    ///
    /// # Panics
    /// If they are more than can be compiled.
    pub fn new(resources: &Resources, settings: &Settings) -> Self {
        let settings = policy::Settings {
            unknown: match settings.unknown {
                Verdict::Allow => Action::Allow,
                Verdict::Deny => Action::Deny,
                Verdict::Reject => Action::Reject,
            },
            on_change: OnChange::default(),
            reject_rate: 0,
            failsafe_inbound: settings.inbound.clone(),
            failsafe_outbound: settings.outbound.clone(),
            zones: zones(),
            feeds: Vec::new(),
            indicators: Arc::default(),
        };
        Self(Explainer::of(Arc::new(resources.clone()), &settings).expect("it is small"))
    }

    /// Takes over changes, and says what the resources are then.
    ///
    /// # Panics
    /// If they are more than can be compiled.
    pub fn change(&mut self, changes: Vec<Change>) -> Resources {
        self.0.change(changes).expect("it is small");
        self.0.resources().clone()
    }

    /// What happens to a flow.
    pub fn ask(&mut self, flow: &Flow) -> Expected {
        let answer = self.0.answer(&key(flow), None);
        Expected { enforced: outcome(answer.enforced), pending: outcome(answer.pending) }
    }
}

/// The zones of all worlds, and of all vectors.
fn zones() -> Zones {
    Zones::new(ZONES.map(|name| name.parse().expect("it is a name")))
}

fn key(flow: &Flow) -> Key {
    let Flow { source, destination, protocol, source_port, destination_port, icmp, zones: names } = *flow;
    let ((icmp_type, code), known) = (icmp, zones());
    let zones =
        names.map(|name| name.map_or(Zone::NONE, |name| known.find(name).expect("it is one of them")));
    let is_icmp = [Protocol::ICMP, Protocol::ICMPV6].contains(&protocol);
    let destination_port = if is_icmp { u16::from_be_bytes([icmp_type, code]) } else { destination_port };
    Key { source, destination, protocol, source_port, destination_port, zones }
}

fn outcome(verdicts: Verdicts) -> Outcome {
    let verdict = match verdicts.verdict {
        "allow" => Verdict::Allow,
        "deny" => Verdict::Deny,
        "reject" => Verdict::Reject,
        other => panic!("no such verdict: {other}"),
    };
    let lines = |side: Option<SideAnswer>| side.map(|side| side.trace).unwrap_or_default();
    Outcome { verdict, egress: lines(verdicts.egress), ingress: lines(verdicts.ingress) }
}

/// What the oracle says, as far as the packet path keeps it: where a trace is long, rules that only log are not kept.
fn expected(judgement: Judgement) -> Outcome {
    let kept = |trace: Trace| {
        let mut kept = Trace::default();
        for entry in trace.0 {
            let room = kept.0.len() < Kept::MAX - 1 - Kept::MAX_TIERS;
            if entry.action != RuleAction::Log || room {
                kept.0.push(entry);
            }
        }
        kept
    };
    Judgement { egress: kept(judgement.egress), ingress: kept(judgement.ingress), ..judgement }.into()
}

/// Panics unless compiled policy and oracle say the same of all flows of the world that `bytes` choose.
pub fn check(bytes: &[u8]) {
    let World { resources, settings, flows } = World::from_bytes(bytes);
    let oracle = Oracle::new(&resources, &settings);
    let mut compiled = Compiled::new(&resources, &settings);
    for flow in flows {
        let answer = oracle.ask(&flow);
        let wanted = Expected { enforced: expected(answer.enforced), pending: expected(answer.pending) };
        let found = compiled.ask(&flow);
        assert!(
            found == wanted,
            "{flow:?}\noracle {wanted:#?}\ncompiled {found:#?}\n{settings:#?}\n{}",
            toml::to_string(&resources).expect("resources are TOML"),
        );
    }
}

/// Panics unless the world of `bytes`, after as much of another world has been brought into it as changes, is judged as if it
/// had been so from the beginning.
pub fn check_changes(bytes: &[u8], other: &[u8]) {
    let World { resources, settings, flows } = World::from_bytes(bytes);
    let World { resources: other, flows: others, .. } = World::from_bytes(other);
    let mut compiled = Compiled::new(&resources, &settings);
    let networks = resources.network_sets.iter().zip(&other.network_sets).map(|(set, other)| {
        Change::Members(Members {
            namespace: set.namespace.clone(),
            name: set.name.clone(),
            join: other.nets.clone(),
            leave: set.nets.iter().take(1).copied().collect(),
        })
    });
    let endpoints = other.endpoints.iter().map(|endpoint| Change::Endpoint(Box::new(endpoint.clone())));
    let gone = resources.endpoints.iter().step_by(3);
    let gone = gone.map(|it| Change::NoEndpoint(it.namespace.clone(), it.name.clone()));
    let policies = other.policies.iter().map(|policy| {
        let policy = Box::new(policy.clone());
        if policy.staged.is_some() { Change::StagedPolicy(policy) } else { Change::Policy(policy) }
    });
    let without = resources.policies.iter().step_by(4).map(|policy| {
        let key = PolicyKey::of(policy);
        if policy.staged.is_some() { Change::NoStagedPolicy(key) } else { Change::NoPolicy(key) }
    });
    let changes = networks.chain(endpoints).chain(policies).chain(gone).chain(without);
    for change in changes {
        let told = format!("{change:?}");
        let now = compiled.change(vec![change]);
        let mut fresh = Compiled::new(&now, &settings);
        for flow in flows.iter().chain(&others) {
            let (changed, wanted) = (compiled.ask(flow), fresh.ask(flow));
            assert!(changed == wanted, "{told}\n{flow:?}\nfresh {wanted:#?}\nchanged {changed:#?}\n{now:#?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conformance, generate::bytes, vectors};
    use proptest::prelude::*;

    #[test]
    fn the_compiled_policy_answers_every_vector() {
        vectors::check(|vector| Compiled::new(&vector.resources, &vector.settings).ask(&vector.flow));
    }

    #[test]
    fn the_compiled_policy_says_what_the_tables_say() {
        conformance::check(|case, state, questions| {
            let mut compiled = Compiled::new(&case.states[state].resources, &Settings::default());
            let allowed = |flow| compiled.ask(flow).enforced.verdict == Verdict::Allow;
            questions.iter().map(|question| &question.flow).map(allowed).collect()
        });
    }

    #[test]
    fn the_compiled_policy_says_what_the_oracle_says() {
        (0..2000).for_each(|seed| check(&bytes(seed, World::BYTES)));
    }

    #[test]
    fn what_was_changed_is_as_if_it_had_been_so_from_the_beginning() {
        (0..20).for_each(|seed| {
            check_changes(&bytes(seed, World::BYTES), &bytes(seed + 10_000, World::BYTES));
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        /// Shorter inputs are simpler worlds: a difference is shrunk to one that can be read.
        #[test]
        fn of_small_worlds_too(bytes in prop::collection::vec(any::<u8>(), 0..1024)) {
            check(&bytes);
        }
    }
}
