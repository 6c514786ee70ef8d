//! Policy with real packets, through `ravelin replay`: the vectors with their traces, and the tables of Kubernetes.

use ravelin_tests::{
    conformance,
    oracle::{Flow, Settings, Verdict},
    vectors::{self, Expected},
    wire::{self, Seen},
};

fn wanted(expected: &Expected) -> Seen {
    let (enforced, pending) = (&expected.enforced, &expected.pending);
    Seen {
        verdict: enforced.verdict,
        enforced: [&enforced.egress[..], &enforced.ingress].concat(),
        pending_verdict: pending.verdict,
        pending: [&pending.egress[..], &pending.ingress].concat(),
    }
}

#[test]
fn records_of_packets_answer_the_vectors() {
    let mut wrong = Vec::new();
    let (on_the_wire, off): (Vec<_>, Vec<_>) =
        vectors::all().into_iter().partition(|vector| wire::has_packet(&vector.flow));
    // Errors of ICMP and port 0.
    assert!(on_the_wire.len() > 10 * off.len(), "{} of {}", off.len(), on_the_wire.len());
    for vector in on_the_wire {
        let seen = wire::replay(&vector.resources, &vector.settings, &[vector.flow]).remove(0);
        if seen != wanted(&vector.expected) {
            wrong.push(format!(
                "{}: {:?}\n expected {:?}\n    found {seen:?}",
                vector.name,
                vector.flow,
                wanted(&vector.expected)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} vectors:\n{}", wrong.len(), wrong.join("\n"));
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
