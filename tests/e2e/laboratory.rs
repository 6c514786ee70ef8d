//! The control experiment: the laboratory with the kernel's own bridge instead of `ravelin`. If this fails, the machine is
//! at fault and the other failures say nothing. And that the laboratory leaves nothing behind.

use std::path::PathBuf;

use ravelin_tests::{
    echo::Echo,
    process::wait_for,
    topology::{Lab, Links, SERVER, SERVER6, ping_all, pings},
};

#[test]
fn the_laboratory_itself_loses_nothing() {
    let Some(lab) = Lab::with(Links { mtu: 3000, queues: 2 }, &["ping", "clang", "tc"]) else { return };
    assert!(!pings(&lab.client, SERVER), "nothing joins the two links yet");
    lab.appliance.ip("link add name bridge type bridge");
    for port in ["outside", "inside"] {
        lab.appliance.ip(&format!("link set {port} master bridge"));
    }
    lab.appliance.ip("link set bridge up");
    wait_for("the kernel's bridge to forward", || pings(&lab.client, SERVER));
    for address in [SERVER, SERVER6] {
        let echo = Echo::start(&lab, address, 4, 5_000);
        wait_for("traffic", || echo.returned() > 500);
        echo.finish().assert_lossless();
    }
    lab.enter_vlan(42, 7);
    ping_all(&lab.client, SERVER, 10, 1400);
}

#[test]
fn what_a_script_left_running_ends_with_its_namespace() {
    let Some(lab) = Lab::new(&["sleep"]) else { return };
    let script = lab.shell(&lab.client, "sleep 1000 & echo $!");
    wait_for("the script to name its child", || !script.output().trim().is_empty());
    let child = PathBuf::from("/proc").join(script.output().trim());
    assert!(child.exists());
    drop(script);
    drop(lab);
    wait_for("the child to end", || !child.exists());
}
