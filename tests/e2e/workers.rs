//! Two workers on links with two queues: a flow's packets arrive on either queue, and belong to one worker.

use ravelin_tests::{
    echo::Echo,
    process::wait_for,
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
