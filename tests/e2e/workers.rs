//! Two workers on links with two queues: a flow's packets arrive on either queue, and belong to one worker.

use std::{net::SocketAddrV4, thread};

use ravelin_tests::{
    echo::Echo,
    flood::syn_flood,
    process::wait_for,
    ravelin::logged,
    topology::{Lab, Links, SERVER, SERVER6, ping_all},
};

const TWO: &str = "[workers]\ncores = [0, 1]\n";

#[test]
fn two_workers_hand_over_without_loss() {
    let Some(lab) = Lab::with(Links { queues: 2, ..Links::default() }, &["ping"]) else { return };
    let ravelin = lab.ravelin(TWO);
    let (v4, v6) = (Echo::start(&lab, SERVER, 16, 400), Echo::start(&lab, SERVER6, 16, 400));
    wait_for("packets through both workers", || v4.returned() > 5_000 && v6.returned() > 5_000);
    ping_all(&lab.client, SERVER, 50, 3000);
    v4.finish().assert_lossless();
    v6.finish().assert_lossless();
    let counters = ravelin.finish(&[]);
    println!("handed off by worker: {:?}", counters.workers("handed_off"));
    assert!(counters["handed_off"] > 0, "no packet arrived at another worker than its flow's");
    assert_eq!(counters["handed_off"], counters["handed_in"]);
    assert!(counters.workers("flows_created").iter().all(|flows| *flows > 0), "both workers own flows");
}

#[test]
fn a_stop_under_traffic_loses_nothing_between_workers() {
    let Some(lab) = Lab::with(Links { queues: 2, ..Links::default() }, &[]) else { return };
    let target: SocketAddrV4 = format!("{SERVER}:80").parse().expect("an address");
    let ravelin = lab.ravelin(TWO);
    let log = thread::scope(|scope| {
        scope.spawn(|| syn_flood(&lab.client, target, 500_000));
        ravelin.wait_for_counters("packets between workers", |counters| counters["handed_off"] > 10_000);
        ravelin.stop()
    });
    let count = |name| logged(&log, name);
    println!("{} received, {} handed off", count("received"), count("handed_off"));
    assert!(count("handed_off") > 10_000);
    assert_eq!(count("handed_off"), count("handed_in"));
    let settled = count("forwarded") + count("consumed") + count("dropped");
    assert_eq!(count("received"), settled, "the conservation law at the end");
}
