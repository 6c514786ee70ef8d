use proptest::prelude::*;

use super::{FaultCounts, FaultIo, FaultPlan, FaultPlanError};
use crate::{
    batch::Batch,
    clock::Timestamp,
    io::{Frame, PacketIo, PortId, TransmitError, memory::MemoryIo},
    verdict::{DropReason, Verdict},
};

/// Receives `packets` numbered packets in batches of 32 and transmits those that are undecided.
fn pass(plan: &str, packets: u16) -> (FaultIo<MemoryIo>, Vec<u8>, u64) {
    let mut memory = MemoryIo::new();
    for number in 0..packets {
        let [high, low] = number.to_be_bytes();
        memory.push(Timestamp::from_micros(u64::from(number)), PortId(0), &[high, low, 0, 0, 0, 0]);
    }
    let mut io = FaultIo::new(memory, plan.parse().unwrap());
    let mut batch = Batch::new(32);
    let mut settled = 0;
    let mut refused = Vec::new();
    while !io.is_exhausted() {
        let now = io.now();
        let received = io.receive(now, &mut batch);
        assert_eq!(received, batch.len());
        let times: Vec<_> = batch.metas().iter().map(|meta| meta.time).collect();
        assert!(times.is_sorted(), "reordering leaves times in place");
        for (frame, meta) in batch.drain() {
            settled += 1;
            if meta.verdict == Verdict::Drop(DropReason::FaultInjected) {
                io.release(frame);
                continue;
            }
            match io.transmit(PortId(1), frame) {
                Ok(()) => {}
                Err((TransmitError::Full, frame)) => {
                    refused.push(b'f');
                    io.release(frame);
                }
                Err((TransmitError::Down, frame)) => {
                    refused.push(b'd');
                    io.release(frame);
                }
            }
        }
        io.flush();
    }
    (io, refused, settled)
}

fn numbers(io: &mut FaultIo<MemoryIo>) -> Vec<u16> {
    io.inner_mut().sent().iter().map(|(_, bytes)| u16::from_be_bytes([bytes[0], bytes[1]])).collect()
}

#[test]
fn without_rates_nothing_happens() {
    let (mut io, refused, settled) = pass("seed=3", 1000);
    assert_eq!((io.counts(), settled, refused.len()), (FaultCounts::default(), 1000, 0));
    assert_eq!(numbers(&mut io), (0..1000).collect::<Vec<u16>>());
}

#[test]
fn every_fault_is_counted_and_none_swallows_a_packet() {
    let plan = "drop=0.1,corrupt=0.1,reorder=0.1,stall=0.2,full=0.1,down=0.1,seed=7";
    let (mut io, refused, settled) = pass(plan, 5000);
    let counts = io.counts();
    assert_eq!(settled, 5000);
    assert_eq!(counts.full, refused.iter().filter(|kind| **kind == b'f').count() as u64);
    assert_eq!(counts.down, refused.iter().filter(|kind| **kind == b'd').count() as u64);
    assert_eq!(counts.dropped + counts.full + counts.down + numbers(&mut io).len() as u64, 5000);
    for (kind, count, expected) in
        [("dropped", counts.dropped, 500), ("corrupted", counts.corrupted, 500), ("full", counts.full, 450)]
    {
        assert!(count.abs_diff(expected) < 100, "{kind}: {count}, expected about {expected}");
    }
    assert!(counts.reordered > 300 && counts.stalled > 10, "{counts:?}");
}

#[test]
fn a_plan_repeats() {
    let plan = "drop=0.3,corrupt=0.3,reorder=0.3,stall=0.3,full=0.3,down=0.3";
    let run = |seed: u32| {
        let (mut io, refused, _) = pass(&format!("{plan},seed={seed}"), 500);
        (io.counts(), refused, io.inner_mut().sent())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn certain_faults_always_happen() {
    let (mut io, ..) = pass("drop=1", 100);
    assert_eq!((io.counts().dropped, numbers(&mut io).len()), (100, 0));
    let (io, refused, _) = pass("down=1", 100);
    assert_eq!((io.counts().down, refused.len()), (100, 100));
    let (mut io, ..) = pass("reorder=1", 6);
    assert_eq!(numbers(&mut io), [1, 0, 3, 2, 5, 4]);
    let (mut io, ..) = pass("corrupt=1", 100);
    assert_eq!(io.counts().corrupted, 100);
    for (number, (_, bytes)) in (0_u16..).zip(io.inner_mut().sent()) {
        let [high, low] = number.to_be_bytes();
        let original = [high, low, 0, 0, 0, 0];
        assert_eq!(bytes.iter().zip(original).filter(|(byte, was)| **byte != *was).count(), 1);
    }
}

#[test]
fn an_empty_frame_cannot_be_corrupted() {
    let mut memory = MemoryIo::new();
    memory.push(Timestamp::ZERO, PortId(0), &[]);
    let mut io = FaultIo::new(memory, "corrupt=1".parse().unwrap());
    let mut batch = Batch::new(1);
    assert_eq!(io.receive(Timestamp::ZERO, &mut batch), 1);
    assert_eq!(io.counts().corrupted, 0);
    assert!(batch.drain().all(|(frame, _)| frame.bytes().is_empty()));
}

#[test]
fn plans_say_what_is_wrong_with_them() {
    let error = |text: &str| text.parse::<FaultPlan>().unwrap_err();
    assert_eq!(error("drop"), FaultPlanError::Form("drop".into()));
    assert_eq!(error(""), FaultPlanError::Form(String::new()));
    assert_eq!(error("drop=0.1,"), FaultPlanError::Form(String::new()));
    assert_eq!(error("lose=0.1"), FaultPlanError::Unknown("lose".into()));
    assert_eq!(error("drop=0.1,drop=0.2"), FaultPlanError::Twice("drop".into()));
    for found in ["2", "-0.1", "NaN", "inf", "a lot", ""] {
        let rate = FaultPlanError::Rate { fault: "drop".into(), found: found.into() };
        assert_eq!(error(&format!("drop={found}")), rate);
    }
    assert_eq!(error("seed=-1"), FaultPlanError::Seed("-1".into()));
    for (fault, _) in FaultPlan::FAULTS {
        assert!(error("x=1").to_string().contains(fault), "the message must name {fault}");
    }
}

proptest! {
    #[test]
    fn plans_round_trip(drop in 0.0..=1.0, stall in 0.0..=1.0, seed: u64) {
        let plan: FaultPlan = format!(" drop = {drop} , stall={stall},seed={seed}").parse().unwrap();
        prop_assert_eq!((plan.drop.probability(), plan.stall.probability(), plan.seed), (drop, stall, seed));
        prop_assert_eq!(plan.to_string().parse::<FaultPlan>(), Ok(plan));
    }
}
