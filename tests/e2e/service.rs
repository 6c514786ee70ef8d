//! What the service manager is told: systemd's protocol, `sd_notify(3)`.

use std::os::unix::net::UnixDatagram;

use ravelin_tests::{
    ravelin::Ravelin,
    topology::{Lab, bridge},
};
use rustix::process::Signal;

/// The next message that is not a sign of life.
fn heard(manager: &UnixDatagram) -> Vec<String> {
    let mut message = [0; 4096];
    let length = manager.recv(&mut message).expect("a message comes");
    let text = String::from_utf8_lossy(&message[..length]);
    text.lines().map(str::to_owned).collect()
}

/// A reload begins: the manager wants to know when, so that it can tell it from an earlier one.
fn assert_reloading(message: &[String]) {
    let [state, time] = message else { panic!("{message:?}") };
    let time = time.strip_prefix("MONOTONIC_USEC=").and_then(|time| time.parse::<u64>().ok());
    assert!(state == "RELOADING=1" && time > Some(0), "{message:?}");
}

#[test]
fn every_reload_has_a_beginning_and_an_outcome() {
    let Some(lab) = Lab::new(&[]) else { return };
    let socket = lab.folder().join("notify.sock");
    let manager = UnixDatagram::bind(&socket).expect("the folder is writable");
    let ravelin = Ravelin::start_as_service(&lab.appliance, lab.folder(), &bridge("open"), &socket, None);
    assert_eq!(heard(&manager), ["READY=1", "STATUS=generation 1, 1 workers"]);

    let denying = format!("{}[enforcement]\nunknown = \"deny\"\n", bridge("open"));
    ravelin.rewrite(&denying);
    ravelin.reload().expect("a good configuration is taken");
    assert_reloading(&heard(&manager));
    assert_eq!(heard(&manager), ["READY=1", "STATUS=generation 2: enforcement.unknown changed"]);

    ravelin.rewrite("[polcy]\n");
    ravelin.reload().expect_err("there is no such section");
    assert_reloading(&heard(&manager));
    let refused = "STATUS=generation 2 stays in force, reload refused: the configuration cannot be used";
    assert_eq!(heard(&manager), ["READY=1", refused]);

    ravelin.rewrite(&bridge("open"));
    ravelin.signal(Signal::HUP);
    assert_reloading(&heard(&manager));
    assert_eq!(heard(&manager), ["READY=1", "STATUS=generation 3: enforcement.unknown changed"]);

    ravelin.finish(&["unknown_deny"]);
    // Five seconds that the configuration allows, and ten for the rest.
    assert_eq!(heard(&manager), ["STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000"]);
}

#[test]
fn whoever_wants_signs_of_life_gets_them() {
    let Some(lab) = Lab::new(&[]) else { return };
    let socket = lab.folder().join("notify.sock");
    let manager = UnixDatagram::bind(&socket).expect("the folder is writable");
    let ravelin =
        Ravelin::start_as_service(&lab.appliance, lab.folder(), &bridge("open"), &socket, Some(200));
    for expected in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        assert_eq!(heard(&manager)[0], expected);
    }
    ravelin.finish(&[]);
}
