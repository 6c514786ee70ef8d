//! `ravelin trace` waits for packets, and says so when it waits in vain.

use ravelin_tests::{
    binary,
    topology::{Lab, SERVER, ping_all},
};

#[test]
fn packets_are_shown_as_they_come() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    let socket = lab.folder().join("control.sock");
    let line =
        format!("{} trace --proto icmp -n 2 --socket {}", binary::ravelin().display(), socket.display());
    let mut trace = lab.spawn(&lab.appliance, &line);
    let mut ping = lab.spawn(&lab.client, &format!("ping -n -i 0.1 {SERVER}"));
    ping.wait_for_output("icmp_seq=3");
    let shown = trace.finish();
    for part in [" icmp 10.9.0.1 > 10.9.0.2  id ", "type 8 code 0", "2 packets shown"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    drop(ping);
    ravelin.finish(&[]);
}

#[test]
fn a_trace_that_waits_in_vain_fails() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    let error = ravelin.ask(&["trace", "--host", "192.0.2.99", "--wait", "1"]).expect_err("nobody is there");
    assert!(error.contains("no packet that was asked for came within 1 s"), "{error}");
    ravelin.finish(&[]);
}

#[test]
fn a_trace_ends_with_the_process() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    let socket = lab.folder().join("control.sock");
    let line = format!("{} trace -n 1000000 --socket {}", binary::ravelin().display(), socket.display());
    let mut trace = lab.spawn(&lab.appliance, &line);
    let ping = lab.spawn(&lab.client, &format!("ping -n -i 0.1 {SERVER}"));
    trace.wait_for_output(" icmp ");
    drop(ping);
    ping_all(&lab.client, SERVER, 5, 56);
    ravelin.stop();
    assert_eq!(trace.wait().code(), Some(1), "{}", trace.output());
    assert!(trace.output().contains("see in its log"), "{}", trace.output());
}
