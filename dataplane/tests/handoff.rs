//! Several workers: both directions of a flow meet on one, nothing is lost unseen.

mod support;

use std::{sync::Arc, thread};

use ravelin_dataplane::{
    counters::WorkerCounters, io::PortId, stop::Stop, verdict::DropReason, worker::Idle,
};
use support::{Appliance, Plant, two_bridges, udp};

#[test]
fn both_directions_of_a_flow_meet_on_one_worker() {
    let mut appliance = Appliance::new(Plant { workers: 4, ..Plant::default() });
    for host in 0..200_u16 {
        // The request arrives at one worker, the answer at another, as a NIC without symmetric RSS would have it.
        appliance.push(usize::from(host % 4), 0, 1, &udp((host, 1000), (9000, 53), b"?"));
        appliance.push(usize::from((host + 1) % 4), 1, 2, &udp((9000, 53), (host, 1000), b"!"));
    }
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!((counters.received, counters.forwarded), (400, 400));
    assert_eq!(counters.handed_off, counters.handed_in);
    assert!(
        counters.handed_off >= 200,
        "of the two packets of a flow at least one arrives at the wrong worker"
    );
    assert_eq!(counters.flows_created, 200, "one flow for both directions");
    assert_eq!(counters.drops.total(), 0);
    let sent = appliance.sent();
    assert_eq!(sent.iter().filter(|(port, _)| *port == PortId(1)).count(), 200);
    assert_eq!(sent.iter().filter(|(port, _)| *port == PortId(0)).count(), 200);
}

#[test]
fn a_full_ring_drops_and_counts_exactly() {
    let mut appliance = Appliance::new(Plant { workers: 2, ring: 8, ..Plant::default() });
    for host in 0..64_u16 {
        appliance.push(0, 0, 1, &udp((host, 1000), (9000, 53), b"?"));
    }
    // The other worker does not turn, so its ring fills.
    appliance.workers[0].turn();
    let first = appliance.workers[0].counters().clone();
    assert_eq!(first.balance(), Ok(()));
    assert_eq!(first.handed_off, 8);
    let lost = first.drops.count(DropReason::HandoffFull);
    assert!(lost > 0);
    assert_eq!(first.received, first.forwarded + first.handed_off + lost);
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!(counters.handed_in, 8);
    assert_eq!(counters.forwarded, 64 - lost);
    assert_eq!(appliance.sent().len() as u64, 64 - lost);
}

#[test]
fn workers_are_used_evenly() {
    let mut appliance = Appliance::new(Plant { workers: 4, flows: 65_536, ring: 4096, ..Plant::default() });
    for host in 0..8000_u16 {
        appliance.push(0, 0, 1, &udp((host, 1000), (9000, 53), b"?"));
        if host % 32 == 31 {
            appliance.settle();
        }
    }
    appliance.settle();
    for worker in &appliance.workers {
        let created = worker.counters().flows_created;
        assert!((1700..2300).contains(&created), "about a quarter of 8000, not {created}");
    }
}

#[test]
fn fragments_of_a_datagram_meet_whoever_receives_them() {
    let mut appliance = Appliance::new(Plant { workers: 4, ..Plant::default() });
    for host in 0..100_u16 {
        let whole = udp((host, 1000), (9000, 53), &[7; 1600]);
        let (first, second) = fragments(&whole, host);
        appliance.push(usize::from(host % 4), 0, 1, &first);
        appliance.push(usize::from(host % 4), 0, 2, &second);
        // Whole packets of the same flow, received elsewhere, must find the same owner.
        appliance.push(usize::from((host + 2) % 4), 0, 3, &udp((host, 1000), (9000, 53), b"?"));
    }
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!(counters.drops.total(), 0);
    assert_eq!((counters.received, counters.forwarded), (300, 300));
    assert_eq!(counters.flows_created, 100, "fragments and whole packets share a flow");
}

#[test]
fn a_datagram_that_crosses_two_bridges_overlaps_nothing() {
    let mut appliance = Appliance::new(Plant { workers: 2, snapshot: two_bridges(), ..Plant::default() });
    let (first, second) = fragments(&udp((1, 1000), (9000, 53), &[7; 1600]), 5);
    for port in [0, 2] {
        appliance.push(0, port, 1, &first);
        appliance.push(0, port, 2, &second);
    }
    appliance.settle();
    let counters = appliance.counters();
    assert_eq!((counters.forwarded, counters.drops.total()), (4, 0));
}

/// Runs all workers, which are told to stop, to their end.
fn stop(appliance: &mut Appliance) -> WorkerCounters {
    let stop = Stop::default();
    stop.ask();
    thread::scope(|scope| {
        for worker in &mut appliance.workers {
            scope.spawn(|| worker.run(&stop, Idle::Adaptive));
        }
    });
    appliance.counters()
}

#[test]
fn what_was_handed_over_before_the_stop_is_not_lost() {
    let mut appliance = Appliance::new(Plant { workers: 2, ..Plant::default() });
    for host in 0..64_u16 {
        appliance.push(0, 0, 1, &udp((host, 1000), (9000, 53), b"?"));
    }
    let asked = Stop::default();
    asked.ask();
    let (first, second) = appliance.workers.split_at_mut(1);
    thread::scope(|scope| {
        // It has nothing to do, and would be gone before the other one hands anything over.
        let (second, block) = (&mut second[0], Arc::clone(&appliance.blocks[1]));
        let leaving = scope.spawn(|| second.run(&asked, Idle::Adaptive));
        while block.pulse() == 0 {
            thread::yield_now();
        }
        first[0].turn();
        assert!(first[0].counters().handed_off > 0);
        first[0].run(&asked, Idle::Adaptive);
        leaving.join().unwrap();
    });
    let counters = appliance.counters();
    assert_eq!(counters.handed_in, counters.handed_off);
    assert_eq!((counters.forwarded, counters.drops.total()), (64, 0));
}

#[test]
fn a_stop_waits_for_packets_that_are_handed_over_twice() {
    let mut twice = 0;
    for round in 0..50 {
        let mut appliance = Appliance::new(Plant { workers: 3, ..Plant::default() });
        for host in 0..32_u16 {
            let (first, second) = fragments(&udp((host, 1000), (9000 + round, 53), &[7; 1600]), host);
            appliance.push(0, 0, 1, &first);
            appliance.push(0, 0, 2, &second);
        }
        // From here to whoever knows the datagram, from there to the owner of the flow.
        appliance.workers[0].turn();
        let once = appliance.workers[0].counters().handed_off;
        let counters = stop(&mut appliance);
        assert_eq!(counters.handed_in, counters.handed_off);
        assert_eq!((counters.forwarded, counters.drops.total()), (64, 0));
        twice += counters.handed_off - once;
    }
    assert!(twice > 0);
}

#[test]
fn a_worker_that_is_hurried_does_not_wait_for_the_others() {
    let mut appliance = Appliance::new(Plant { workers: 2, ..Plant::default() });
    let asked = Stop::default();
    asked.ask();
    asked.hurry();
    appliance.workers[0].run(&asked, Idle::Adaptive);
    assert_eq!(appliance.counters().balance(), Ok(()));
}

/// Cuts an IPv4 packet after 800 bytes of payload.
fn fragments(whole: &[u8], id: u16) -> (Vec<u8>, Vec<u8>) {
    let cut = |payload: &[u8], offset: u16, more: bool| {
        let mut bytes = whole[..34].to_vec();
        bytes[16..18].copy_from_slice(&u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
        bytes[18..20].copy_from_slice(&id.to_be_bytes());
        let flags = if more { 0x2000 } else { 0 };
        bytes[20..22].copy_from_slice(&(flags | (offset / 8)).to_be_bytes());
        bytes[24..26].fill(0);
        let sum: u32 =
            bytes[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
        bytes[24..26].copy_from_slice(&checksum.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes
    };
    (cut(&whole[34..834], 0, true), cut(&whole[834..], 800, false))
}
