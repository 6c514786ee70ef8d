//! Ports and mappings against naive models. What packets look like is in `tests/nat.rs`.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use proptest::prelude::*;

use super::{Class, Endpoint, External, Nat, NatPlan, Net, Pool, Source, ports::Ports};
use crate::{flow::Slot, forward::Segment, handoff::WorkerId, io::PortId};

const INSIDE: u32 = 0x0a00_0001;

fn inside(port: u16) -> Endpoint {
    Endpoint { address: INSIDE, port }
}

#[derive(Clone, Debug)]
enum Step {
    Take { wanted: u16, random: u64 },
    GiveBack { nth: usize },
    Limit { first: u16, last: u16, taken: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..400_u16, any::<u64>()).prop_map(|(wanted, random)| Step::Take { wanted, random }),
        3 => (0..50_usize).prop_map(|nth| Step::GiveBack { nth }),
        1 => (0..200_u16, 0..200_u16, 0..400_u16)
            .prop_map(|(first, more, taken)| Step::Limit { first, last: first + more, taken }),
    ]
}

proptest! {
    /// A port is given if one is free, the wanted one or one of its parity if there is such; and never one that is not to be used.
    #[test]
    fn ports_are_given_as_a_set_would(workers in 1..4_u8, steps in prop::collection::vec(step(), 1..200)) {
        let worker = WorkerId(workers - 1);
        let mut ports = Ports::new();
        let mut usable: Vec<u16> = Vec::new();
        let mut held: BTreeMap<u16, Endpoint> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Limit { first, last, taken } => {
                    ports.limit(&(first..=last), &[&(taken..=taken)], worker, workers);
                    usable = (first..=last)
                        .filter(|port| *port != taken && NatPlan::worker_of(*port, workers) == worker)
                        .collect();
                }
                Step::Take { wanted, random } => {
                    let free = |port: &u16| usable.contains(port) && !held.contains_key(port);
                    let parity = usable.iter().any(|port| free(port) && port % 2 == wanted % 2);
                    match ports.take(inside(wanted), random) {
                        None => prop_assert!(!usable.iter().any(free)),
                        Some(port) => {
                            prop_assert!(free(&port));
                            prop_assert!(!free(&wanted) || port == wanted);
                            // A worker's ports lie in words of 64: the parity is kept within the word that is found.
                            prop_assert!(parity || port % 2 != wanted % 2);
                            held.insert(port, inside(wanted));
                        }
                    }
                }
                Step::GiveBack { nth } => {
                    let Some(port) = held.keys().nth(nth).copied() else { continue };
                    ports.give_back(port);
                    held.remove(&port);
                }
            }
            for port in 0..600 {
                prop_assert_eq!(ports.holder(port).map(|holder| holder.inside()), held.get(&port).copied());
            }
        }
    }
}

fn plan(ports: std::ops::RangeInclusive<u16>, addresses: u32) -> Arc<NatPlan> {
    let externals = (0..addresses).map(|place| External {
        address: 100 + place,
        ports: ports.clone(),
        taken: Vec::new(),
    });
    Arc::new(NatPlan::new(
        vec![Source {
            exits: Segment::of([PortId(1)]),
            sources: vec![Net::new(Ipv4Addr::UNSPECIFIED, 0)],
            destinations: Vec::new(),
            pool: Pool((0..addresses as u16).collect()),
        }],
        Vec::new(),
        externals.collect(),
        Vec::new(),
    ))
}

fn nat(plan: &Arc<NatPlan>) -> Nat {
    let mut nat = Nat::new();
    nat.refresh(plan, WorkerId(0), 1, 100_000);
    nat
}

const SECOND: u64 = 1_000_000;

/// Has a flow be known as its initiator's mapping.
fn open(
    nat: &mut Nat,
    plan: &NatPlan,
    slot: u32,
    class: Class,
    end: Endpoint,
    time: u64,
) -> Option<Endpoint> {
    let mapping = nat.map(&plan.sources[0].pool.0, class, end, time)?;
    let known = super::NatFlow { initiator: nat.outside(mapping), responder: None };
    nat.set_alias(Slot(slot), super::Alias::new(known, Some(mapping)));
    known.initiator
}

#[test]
fn a_mapping_lasts_as_long_as_its_flows_and_udp_two_minutes_more() {
    let plan = plan(2000..=2001, 1);
    for (class, lingers) in [(Class::Tcp, false), (Class::Icmp, false), (Class::Udp, true)] {
        let mut nat = nat(&plan);
        let first = open(&mut nat, &plan, 0, class, inside(2000), 0);
        assert_eq!(open(&mut nat, &plan, 1, class, inside(2000), 0), first);
        nat.forget(Slot(0), SECOND);
        assert_eq!(nat.inside(0, class, 2000), Some(inside(2000)), "a flow is left");
        nat.forget(Slot(1), SECOND);
        assert_eq!(nat.inside(0, class, 2000).is_some(), lingers);
        // Used again within that time, and idle again: two minutes from then.
        open(&mut nat, &plan, 0, class, inside(2000), 100 * SECOND);
        nat.forget(Slot(0), 110 * SECOND);
        open(&mut nat, &plan, 2, class, inside(7), 125 * SECOND);
        assert_eq!(nat.inside(0, class, 2000).is_some(), lingers);
        nat.forget(Slot(2), 126 * SECOND);
        open(&mut nat, &plan, 3, class, inside(9), 231 * SECOND);
        assert_ne!(nat.inside(0, class, 2000), Some(inside(2000)), "{class:?}");
    }
}

#[test]
fn idle_mappings_make_room_before_anybody_is_refused() {
    let plan = plan(2000..=2001, 1);
    let mut nat = nat(&plan);
    for port in [1, 2] {
        open(&mut nat, &plan, 0, Class::Udp, inside(port), 0).unwrap();
        nat.forget(Slot(0), 0);
    }
    assert!(open(&mut nat, &plan, 1, Class::Udp, inside(3), 1).is_some());
    assert!(open(&mut nat, &plan, 2, Class::Udp, inside(4), 1).is_some());
    assert_eq!(open(&mut nat, &plan, 3, Class::Udp, inside(5), 1), None);
    assert_eq!(nat.counts(), [2, 4]);
}

#[test]
fn all_of_an_inside_address_has_one_outside_address_while_that_has_ports() {
    let plan = plan(2000..=2009, 4);
    let mut nat = nat(&plan);
    let known: Vec<_> =
        (0..12).filter_map(|port| open(&mut nat, &plan, port, Class::Tcp, inside(port as u16), 0)).collect();
    assert!(known[..10].iter().all(|end| end.address == known[0].address), "{known:?}");
    assert!(known[10..].iter().all(|end| end.address != known[0].address), "{known:?}");
}

#[test]
fn what_an_address_had_is_gone_with_it_and_stays_with_others() {
    let (two, one) = (plan(2000..=2009, 2), plan(2000..=2009, 1));
    let mut nat = nat(&two);
    let ends: Vec<_> = (0..20).map(|host| Endpoint { address: INSIDE + host, port: 2000 }).collect();
    let known: Vec<_> = ends
        .iter()
        .zip(0..)
        .map(|(end, slot)| open(&mut nat, &two, slot, Class::Tcp, *end, 0).unwrap())
        .collect();
    let stay = known.iter().filter(|end| end.address == 100).count();
    assert!((1..20).contains(&stay));
    nat.refresh(&one, WorkerId(0), 1, 100_000);
    assert_eq!(nat.counts()[0], stay as u64);
    for (slot, known) in (0..).zip(&known) {
        assert_eq!(nat.alias(Slot(slot)).is_some(), known.address == 100);
    }
    // Nothing of the other address is given back to this one.
    (0..20).for_each(|slot| nat.forget(Slot(slot), 0));
    assert_eq!(nat.counts()[0], 0);
    nat.refresh(&two, WorkerId(0), 1, 100_000);
    for (end, slot) in ends.iter().zip(0..) {
        assert!(open(&mut nat, &two, slot, Class::Tcp, *end, 0).is_some());
    }
}
