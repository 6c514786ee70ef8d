use std::{collections::HashMap, sync::Arc, thread};

use proptest::{collection::vec, prelude::*, sample::select};
use ravelin_config::types::Action;

use crate::{
    clock::Timestamp,
    policy::{Decision, DecisionCounts, DecisionId, DecisionLog, Decisions, Pending, RuleId, Trace, Words},
    verdict::DropReason,
};

fn trace(rules: impl IntoIterator<Item = u32>) -> Trace {
    let mut trace = Trace::EMPTY;
    rules.into_iter().for_each(|rule| trace.push(RuleId(rule)));
    trace
}

fn allowed(rule: u32) -> Decision {
    let (egress, ingress) = (Trace::EMPTY, trace([rule]));
    Decision { action: Action::Allow, reason: None, egress, ingress, pending: None }
}

fn decisions() -> impl Strategy<Value = Vec<Decision>> {
    let action = || select(vec![Action::Allow, Action::Deny, Action::Reject]);
    let rules = || vec(prop_oneof![0_u32..3, any::<u32>()], 0..=Trace::MAX).prop_map(trace);
    let pending = (action(), rules(), rules());
    let pending = pending.prop_map(|(action, egress, ingress)| Pending { action, egress, ingress });
    let reason = proptest::option::of(select(DropReason::ALL));
    let decision = (action(), reason, rules(), rules(), proptest::option::of(pending));
    let decision = decision.prop_map(|(action, reason, egress, ingress, pending)| Decision {
        action,
        reason,
        egress,
        ingress,
        pending,
    });
    vec(decision, 1..60)
}

proptest! {
    #[test]
    fn what_was_decided_is_read_and_kept_once(made in decisions()) {
        let log = DecisionLog::new(1024);
        let mut decisions = Decisions::new(Arc::clone(&log));
        let mut known: Vec<(DecisionId, Decision)> = Vec::new();
        for decision in made.iter().chain(&made) {
            let id = decisions.number(&decision.into());
            prop_assert_ne!(id, DecisionId::NONE);
            prop_assert_eq!(log.get(id), Some(*decision));
            prop_assert_eq!(log.reason(id), decision.reason);
            match known.iter().find(|(_, other)| other == decision) {
                Some((other, _)) => prop_assert_eq!(id, *other),
                None => known.push((id, *decision)),
            }
        }
        prop_assert_eq!((log.len(), decisions.lost), (known.len(), 0));
        prop_assert_eq!(log.iter().collect::<Vec<_>>(), known);
    }
}

#[test]
fn nothing_is_read_of_what_was_never_decided() {
    let log = DecisionLog::new(4);
    assert!(log.is_empty());
    for id in [DecisionId::NONE, DecisionId(1), DecisionId(u32::MAX)] {
        assert_eq!(log.get(id), None);
        assert_eq!(log.counts(id), DecisionCounts::default());
        assert_eq!(log.reason(id), None);
    }
}

#[test]
fn a_log_holds_as_many_decisions_as_it_was_made_for() {
    let mut decisions = Decisions::new(DecisionLog::new(3));
    let lost: Vec<_> = [1, 2, 3, 4]
        .map(|rule| {
            decisions.number(&Words::from(&allowed(rule)));
            decisions.lost
        })
        .into();
    assert_eq!(lost, [0, 0, 0, 1]);
}

#[test]
fn a_full_log_keeps_the_verdict_and_counts_what_it_loses() {
    // Short decisions fill the places, long ones the words.
    for length in [1, Trace::MAX] {
        let log = DecisionLog::new(64);
        let mut decisions = Decisions::new(Arc::clone(&log));
        let rejected = |number: u32| Decision {
            action: Action::Reject,
            reason: Some(DropReason::RuleReject),
            egress: Trace::EMPTY,
            ingress: trace((0..).take(length).map(|rule| number * 100 + rule)),
            pending: Some(Pending {
                action: Action::Allow,
                egress: trace([number]),
                ingress: trace([number; 25]),
            }),
        };
        let kept = (0..).take_while(|number| {
            decisions.number(&Words::from(&rejected(*number)));
            decisions.lost == 0
        });
        let kept = kept.count();
        assert!((30..=64).contains(&kept), "{kept}");
        let full = log.len();
        let ids: Vec<_> =
            (0..500).map(|number| decisions.make(&Words::from(&rejected(number)), Timestamp::ZERO)).collect();
        let lost = 500 - kept;
        assert_eq!(decisions.lost, 1 + lost as u64);
        for (id, number) in ids[..kept].iter().zip(0..) {
            assert_eq!(log.get(*id), Some(rejected(number)), "what was there is still found");
        }
        let bare = log.get(ids[499]).unwrap();
        assert_eq!((bare.action, bare.reason), (Action::Reject, Some(DropReason::RuleReject)));
        assert_eq!(bare.pending.unwrap().action, Action::Allow);
        assert!([bare.egress, bare.ingress].iter().all(|trace| trace.rules().is_empty()));
        assert!(ids[kept..].iter().all(|id| *id == ids[499]), "all of them are one");
        assert_eq!(log.counts(ids[499]).flows, lost as u64);
        assert_eq!(log.len(), full);
    }
}

#[test]
fn every_verdict_has_a_place_in_a_full_log() {
    let log = DecisionLog::new(1);
    let mut decisions = Decisions::new(Arc::clone(&log));
    for rule in 0..3 {
        decisions.number(&Words::from(&allowed(rule)));
    }
    let actions = [Action::Allow, Action::Deny, Action::Reject];
    // No rule gives any other reason.
    let policy = DropReason::ALL.iter().filter(|reason| reason.group() == crate::verdict::DropGroup::Policy);
    for reason in policy.map(|reason| Some(*reason)).chain([None]) {
        for action in actions {
            for then in actions.map(Some).into_iter().chain([None]) {
                let (egress, ingress) = (trace([1]), trace([2]));
                let pending = then.map(|action| Pending { action, egress, ingress });
                let id =
                    decisions.number(&Words::from(&Decision { action, reason, egress, ingress, pending }));
                let kept = log.get(id).unwrap();
                assert_eq!((kept.action, kept.reason), (action, reason));
                assert_eq!(kept.pending.map(|pending| pending.action), then);
            }
        }
    }
}

#[test]
fn counts_say_when_and_how_often() {
    let log = DecisionLog::new(8);
    let mut decisions = Decisions::new(Arc::clone(&log));
    let [first, second] = [1, 2].map(allowed).map(|decision| Words::from(&decision));
    let at = Timestamp::from_micros;
    let id = decisions.make(&first, at(70));
    assert_eq!(decisions.make(&first, at(90)), id);
    // Packets of a capture may go back in time.
    decisions.make(&first, at(80));
    log.settle(id, 3, 300);
    log.settle(id, 1, 60);
    let expected = DecisionCounts { flows: 3, packets: 4, bytes: 360, first: at(70), last: at(90) };
    assert_eq!(log.counts(id), expected);
    let other = decisions.number(&second);
    assert_eq!(log.counts(other), DecisionCounts::default(), "numbered, and made for no flow");
}

#[test]
fn a_reader_sees_whole_decisions_only() {
    const DECISIONS: u32 = 20_000;
    // All of a decision follows from its first rule.
    let decision = |seed: u32| Decision {
        action: if seed.is_multiple_of(3) { Action::Deny } else { Action::Allow },
        reason: seed.is_multiple_of(3).then_some(DropReason::RuleDeny),
        egress: trace((0..=seed % 5).map(|more| seed + more)),
        ingress: trace((0..seed % 7).map(|more| !seed - more)),
        pending: seed.is_multiple_of(2).then(|| Pending {
            action: Action::Reject,
            egress: trace([!seed]),
            ingress: trace([seed, seed]),
        }),
    };
    let log = DecisionLog::new(DECISIONS as usize);
    let mut decisions = Decisions::new(Arc::clone(&log));
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for seed in 0..DECISIONS {
                decisions.make(&Words::from(&decision(seed)), Timestamp::from_micros(1));
            }
            decisions.lost
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut seen = 0;
                while seen < DECISIONS as usize {
                    let length = log.len();
                    assert!(length >= seen, "none is forgotten");
                    // Those that are new, and one that was there.
                    for number in seen.max(1)..=length {
                        let read = log.get(DecisionId(u32::try_from(number).unwrap())).unwrap();
                        assert_eq!(read, decision(read.egress.rules()[0].0));
                    }
                    seen = length;
                    thread::yield_now();
                }
            });
        }
        assert_eq!(writer.join().unwrap(), 0);
    });
    let ids: HashMap<_, _> = log.iter().map(|(id, read)| (read.egress.rules()[0], id)).collect();
    assert_eq!(ids.len(), DECISIONS as usize);
}
