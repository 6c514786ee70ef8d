//! What the program says about policy: the vectors with their traces, and the tables of Kubernetes, asked of `ravelin explain` and
//! with real packets of `ravelin replay`.

use ravelin_tests::{
    conformance::{self, Question},
    explain,
    oracle::{Flow, Settings, Verdict},
    vectors::{self, Expected, Vector},
    wire::{self, Seen},
};
use std::net::IpAddr;

fn wanted(expected: &Expected) -> Seen {
    let (enforced, pending) = (&expected.enforced, &expected.pending);
    Seen {
        verdict: enforced.verdict,
        enforced: [&enforced.egress[..], &enforced.ingress].concat(),
        pending_verdict: pending.verdict,
        pending: [&pending.egress[..], &pending.ingress].concat(),
    }
}

/// Panics unless the program says of every vector, as far as it can be asked, what it must.
fn check_vectors(can_be_asked: fn(&Flow) -> bool, ask: fn(&Vector) -> Seen) {
    let (asked, not): (Vec<_>, Vec<_>) =
        vectors::all().into_iter().partition(|vector| can_be_asked(&vector.flow));
    assert!(asked.len() > 10 * not.len(), "{} of {}", not.len(), asked.len());
    let mut wrong = Vec::new();
    for vector in asked {
        let (seen, wanted) = (ask(&vector), wanted(&vector.expected));
        if seen != wanted {
            wrong.push(format!(
                "{}: {:?}\n expected {wanted:?}\n    found {seen:?}",
                vector.name, vector.flow
            ));
        }
    }
    assert!(wrong.is_empty(), "{} vectors:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn records_of_packets_answer_the_vectors() {
    check_vectors(wire::has_packet, |vector| {
        wire::replay(&vector.resources, &vector.settings, &[vector.flow]).remove(0)
    });
}

#[test]
fn explain_answers_the_vectors() {
    check_vectors(explain::can_be_asked, |vector| {
        let flow = vector.flow;
        let flow = (flow.source.to_string(), flow.destination.to_string(), flow);
        explain::batch(&vector.resources, &vector.settings, &[flow]).remove(0)
    });
}

#[test]
fn explain_says_what_the_tables_say() {
    conformance::check(|case, state, questions| {
        // Pods by name, as far as a name means the address that is asked about.
        let name = |end: usize, address: IpAddr| match conformance::ENDS[end] {
            pod if pod != "out" && address.is_ipv4() => pod.to_owned(),
            _ => address.to_string(),
        };
        let named = |question: &Question| {
            let (flow, ends) = (question.flow, question.ends);
            (name(ends.0, flow.source), name(ends.1, flow.destination), flow)
        };
        let flows: Vec<_> = questions.iter().map(named).collect();
        let seen = explain::batch(&case.states[state].resources, &Settings::default(), &flows);
        seen.iter().map(|seen| seen.verdict == Verdict::Allow).collect()
    });
}

#[test]
fn packets_pass_as_the_tables_say() {
    conformance::check(|case, state, questions| {
        // One source port for each question, so that each is a flow.
        let numbered =
            (10_000..).zip(questions).map(|(source_port, question)| Flow { source_port, ..question.flow });
        let flows: Vec<Flow> = numbered.collect();
        let seen = wire::replay(&case.states[state].resources, &Settings::default(), &flows);
        seen.iter().map(|seen| seen.verdict == Verdict::Allow).collect()
    });
}
