//! Policies with flows whose fate is known beforehand: what every implementation of policy must answer, word for word.
//!
//! `acceptance` has the numbered vectors of the policy model; `fields` has what each field of a rule and each kind of resource
//! adds; `order` has staging, names and the order of everything. All stand as a table, so that they run against the oracle, the
//! compiled policy and the program alike: see [`check`]. Read next: [`build`], the words in which they are written.

pub mod acceptance;
pub mod build;
pub mod fields;
pub mod order;

use crate::oracle::{Answer, Flow, Judgement, Oracle, Settings, Verdict};
use ravelin_config::resources::Resources;

/// A policy, a flow, and what must happen to it.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What it shows.
    pub name: &'static str,
    /// Who is there and what holds.
    pub resources: Resources,
    /// The settings of `[enforcement]`.
    pub settings: Settings,
    /// What comes.
    pub flow: Flow,
    /// What happens.
    pub expected: Expected,
}

/// What happens to a flow, and what would happen with every staged policy active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// With the policies in force.
    pub enforced: Outcome,
    /// With the staged ones as well.
    pub pending: Outcome,
}

/// A verdict, and the steps that led to it as flow records have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What happens.
    pub verdict: Verdict,
    /// The steps at the source.
    pub egress: Vec<String>,
    /// The steps at the destination.
    pub ingress: Vec<String>,
}

impl From<Judgement> for Outcome {
    fn from(judgement: Judgement) -> Self {
        let (egress, ingress) = (judgement.egress.lines(), judgement.ingress.lines());
        Self { verdict: judgement.verdict, egress, ingress }
    }
}

impl From<Answer> for Expected {
    fn from(answer: Answer) -> Self {
        Self { enforced: answer.enforced.into(), pending: answer.pending.into() }
    }
}

/// Every vector there is.
pub fn all() -> Vec<Vector> {
    [acceptance::vectors(), fields::vectors(), order::vectors()].concat()
}

/// Panics unless `judge` gives every vector's answer.
pub fn check(judge: impl Fn(&Vector) -> Expected) {
    let wrong: Vec<String> = all()
        .iter()
        .filter_map(|vector| {
            let (found, expected) = (judge(vector), &vector.expected);
            (found != *expected).then(|| {
                format!("{}\n{:?}\n expected {expected:#?}\n    found {found:#?}", vector.name, vector.flow)
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{} vectors:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the oracle says.
pub fn by_oracle(vector: &Vector) -> Expected {
    Oracle::new(&vector.resources, &vector.settings).ask(&vector.flow).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_oracle_answers_every_vector() {
        check(by_oracle);
    }

    #[test]
    fn every_vector_has_a_name_of_its_own() {
        let names: Vec<_> = all().iter().map(|vector| vector.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        // All numbers of the model but those about parsing alone (20, in `acceptance`) and about changes (24).
        for number in (1..=23).filter(|number| *number != 20) {
            assert!(names.iter().any(|name| name.starts_with(&format!("{number}:"))), "{number}");
        }
    }
}
