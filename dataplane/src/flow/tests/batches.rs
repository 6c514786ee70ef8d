//! The same packets give the same verdicts and the same records, in the same order, whatever the batch size.

use ravelin_config::types::{Exception, Protocol};

use super::{Packet, Random, World, model::random_packet};
use crate::{
    flow::{FlowRecord, FlowSettings},
    policy::{
        DecisionId,
        testing::{Line, list},
    },
    verdict::{DropReason, Verdict},
};

#[test]
fn batch_size_changes_nothing() {
    for seed in 1..=12 {
        for capacity in [12, 40, 500] {
            let mut random = Random::new(seed * 1000 + capacity as u64);
            let mut time = 0;
            let packets: Vec<Packet> = (0..4000)
                .map(|_| {
                    if random.chance(1) {
                        time += 40_000_000;
                    } else if random.chance(1) {
                        time -= 3_000_000;
                    } else if random.chance(20) {
                        time += i64::try_from(random.below(200_000)).unwrap();
                    }
                    random_packet(&mut random).at(time)
                })
                .collect();
            let outcomes: Vec<_> = [1, 7, 32, 256].map(|size| run(&packets, capacity, size, seed)).into();
            for outcome in &outcomes[1..] {
                assert_eq!(outcome.counters, outcomes[0].counters);
                assert!(
                    outcome.verdicts == outcomes[0].verdicts,
                    "verdicts: seed {seed}, capacity {capacity}"
                );
                assert!(outcome.records == outcomes[0].records, "records: seed {seed}, capacity {capacity}");
            }
            assert!(outcomes[0].records.len() > 50);
            assert!(outcomes[0].verdicts.contains(&(Verdict::Drop(DropReason::RuleDeny), Some(3))));
        }
    }
}

struct Outcome {
    verdicts: Vec<(Verdict, Option<u32>)>,
    records: Vec<String>,
    counters: String,
}

/// Replays packets in batches of at most `size`, which end with the second, as those of a capture do.
fn run(packets: &[Packet], capacity: usize, size: usize, seed: u64) -> Outcome {
    let full = if seed.is_multiple_of(2) { Exception::Drop } else { Exception::Forward };
    let mut world = World::new(capacity, FlowSettings { full, ..FlowSettings::default() });
    // From one group of hosts to the other, so that it matters which end opened a connection.
    world.snapshot.policy =
        list([Line::deny(3).of(Protocol::TCP).from(&["10.0.0.0/29"]).to(&["10.0.0.96/28"]).ports(0, 3)]);
    let second = |packet: &Packet| packet.time.div_euclid(1_000_000);
    let mut verdicts = Vec::new();
    let mut rest = packets;
    while let Some(first) = rest.first() {
        let length = rest.iter().take(size).take_while(|packet| second(packet) == second(first)).count();
        let metas = world.batch(&rest[..length]);
        verdicts.extend(metas.iter().map(|meta| (meta.verdict, world.decider(meta.decision))));
        rest = &rest[length..];
    }
    world.drain(1_000_000_000);
    // Which number a decision has depends on when it was first made.
    let records = world.records.kept.iter().map(|record| {
        let numberless = FlowRecord { decision: DecisionId::NONE, ..*record };
        format!("{numberless:?} {:?}", world.decision(record.decision))
    });
    let records = records.collect();
    Outcome { verdicts, records, counters: format!("{:?}", world.counters) }
}
