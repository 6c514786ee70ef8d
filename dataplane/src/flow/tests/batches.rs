//! The same packets give the same records, in the same order, whatever the batch size.

use ravelin_config::types::{Action, Exception, PortRange, Protocol};

use super::{Packet, Random, World, model::random_packet};
use crate::{
    flow::FlowSettings,
    policy::{Rule, RuleId},
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
            let outcomes: Vec<_> = [1, 7, 64, 256].map(|size| run(&packets, capacity, size, seed)).into();
            for outcome in &outcomes[1..] {
                assert_eq!(outcome.1, outcomes[0].1);
                assert!(outcome == &outcomes[0], "records differ: seed {seed}, capacity {capacity}");
            }
            assert!(outcomes[0].0.len() > 50);
        }
    }
}

/// Replays packets in batches of at most `size`, which end with the second, as those of a capture do.
fn run(packets: &[Packet], capacity: usize, size: usize, seed: u64) -> (Vec<String>, String) {
    let full = if seed.is_multiple_of(2) { Exception::Drop } else { Exception::Forward };
    let mut world = World::new(capacity, FlowSettings { full, ..FlowSettings::default() });
    world.snapshot.policy.rules = vec![Rule {
        id: RuleId(3),
        action: Action::Deny,
        direction: None,
        protocol: Some(Protocol::TCP),
        source: vec![],
        destination: vec![],
        source_ports: vec![],
        destination_ports: vec![PortRange::new(1, 3).unwrap()],
    }];
    let second = |packet: &Packet| packet.time.div_euclid(1_000_000);
    let mut rest = packets;
    while let Some(first) = rest.first() {
        let length = rest.iter().take(size).take_while(|packet| second(packet) == second(first)).count();
        world.batch(&rest[..length]);
        rest = &rest[length..];
    }
    world.drain(1_000_000_000);
    (world.records.kept.iter().map(|record| format!("{record:?}")).collect(), format!("{:?}", world.counters))
}
