//! Two workers route: a flow's packets arrive on either queue, and belong to one worker.

use ravelin_tests::{
    echo::Echo,
    gateway::{CLIENT, INSIDE, OUTSIDE, SERVER, gateway_with, start},
    process::wait_for,
    topology::{Links, ping_all},
};

#[test]
fn two_workers_hand_over_without_loss() {
    let Some(lab) = gateway_with(Links { queues: 2, ..Links::default() }, &["ping"]) else { return };
    let ravelin = start(&lab, "[workers]\ncores = [0, 1]\n");
    let (v4, v6) = (Echo::start(&lab, SERVER[0], 16, 400), Echo::start(&lab, SERVER[1], 16, 400));
    wait_for("packets through both workers", || v4.returned() > 5_000 && v6.returned() > 5_000);
    SERVER.iter().chain(&OUTSIDE).for_each(|address| drop(ping_all(&lab.client, address, 20, 3000)));
    CLIENT.iter().chain(&INSIDE).for_each(|address| drop(ping_all(&lab.server, address, 20, 3000)));
    v4.finish().assert_lossless();
    v6.finish().assert_lossless();
    let counters = ravelin.finish(&[]);
    println!("handed off by worker: {:?}", counters.workers("handed_off"));
    assert!(counters["handed_off"] > 0, "no packet arrived at another worker than its flow's");
    assert!(counters.workers("flows_created").iter().all(|flows| *flows > 0), "both workers own flows");
    assert!(counters["local"] >= 4 * 20 * 3, "{counters:?}");
}
