//! What an appliance costs that has nothing to do.

use std::{thread, time::Duration};

use ravelin_tests::{
    process::cpu_seconds,
    topology::{Lab, SERVER, ping_all},
};

#[test]
fn an_idle_appliance_leaves_the_core_to_others() {
    const SECONDS: u32 = 5;
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("[workers]\nidle = \"adaptive\"\n");
    ping_all(&lab.client, SERVER, 5, 56);
    let before = cpu_seconds(ravelin.id());
    // Not a limit but a measurement: CPU time over wall-clock time.
    thread::sleep(Duration::from_secs(SECONDS.into()));
    let share = (cpu_seconds(ravelin.id()) - before) / f64::from(SECONDS);
    println!("idle: {:.2} % of a core (veth, copy mode)", share * 100.0);
    assert!(share < 0.2, "an idle appliance used {:.1} % of a core", share * 100.0);
    // It wakes up as before.
    ping_all(&lab.client, SERVER, 5, 56);
    ravelin.finish(&[]);
}
