//! What a newcomer types first must work: as root, and as anybody.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use ravelin_tests::{
    binary::{self, root},
    process::run,
    topology::Lab,
};

/// Programs that `tests/demo/demo.sh` runs.
const PROGRAMS: [&str; 8] = ["busybox", "cmp", "curl", "dig", "dnsmasq", "iperf3", "nc", "ss"];

/// Namespaces that a demonstration has made.
fn namespaces() -> usize {
    run(Command::new("ip").args(["netns", "list"])).matches("ravelin-demo-").count()
}

#[test]
fn the_demonstration_shows_traffic_and_cleans_up() {
    // Only for the machine to itself.
    let Some(_lab) = Lab::new(&PROGRAMS) else { return };
    let before = namespaces();
    let shown = run(Command::new(root().join("tests/demo/demo.sh")).arg(binary::ravelin()));
    for expected in [
        "what arrived is what was sent",
        "port 23 (tcp) failed: Connection refused",
        "reject by default.server, rule 3",
        "deny by default.server, default",
        // Of a reset iperf3 says "reset by peer" or "broken pipe", by whether it was reading or writing.
        "iperf3: error",
        "flow_reset",
        "\"event_type\":\"flow\"",
        "receiver",
    ] {
        assert!(shown.contains(expected), "{expected:?} is missing in:\n{shown}");
    }
    assert_eq!(namespaces(), before, "namespaces were left behind");
}

#[test]
fn without_privileges_it_replays_a_capture_and_says_why() {
    let Some(lab) = Lab::new(&["setpriv", "cp"]) else { return };
    // Where nobody in particular may read.
    let copy = lab.folder().join("copy");
    fs::create_dir_all(copy.join("tests")).expect("the folder is writable");
    for part in ["tests/demo", "tests/scenarios"] {
        run(Command::new("cp").arg("-r").arg(root().join(part)).arg(copy.join("tests")));
    }
    fs::copy(binary::ravelin(), copy.join("ravelin")).expect("the folder is writable");
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(&copy));
    fs::set_permissions(lab.folder(), fs::Permissions::from_mode(0o755)).expect("the folder is ours");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).current_dir(&copy);
    let shown = run(command.arg(copy.join("tests/demo/demo.sh")).arg(copy.join("ravelin")));
    for expected in ["needs root", "\"policy\":\"default.no-telnet\",\"rule\":0"] {
        assert!(shown.contains(expected), "{expected:?} is missing in:\n{shown}");
    }
}
