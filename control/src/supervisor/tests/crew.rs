use std::time::{Duration, Instant};

use ravelin_dataplane::{handoff::WorkerId, io::memory::MemoryIo};

use crate::{
    compile::PortFacts,
    records::RingSink,
    reload::{self, Reloader},
    supervisor::crew::{Crew, Hanging, Roster, allowed_cores},
    testing::{BRIDGE, Directory, Running, dns},
};

/// A core that no machine has.
const NO_CORE: usize = 1023;

#[test]
fn a_refused_pin_is_an_error_that_names_the_cores_that_would_do() {
    let directory = Directory::new();
    let path = directory.write("ravelin.toml", BRIDGE);
    let (loaded, _) = reload::prepare(&path, None).unwrap();
    let facts = PortFacts { mtu: 1500, partial_checksums: false };
    let reloader = Reloader::begin(path, loaded.config.clone(), loaded.library, 2, |_| facts).unwrap();
    let core = *allowed_cores().last().unwrap();
    let roster = Roster::new(&[core, NO_CORE], 2, 2).unwrap();
    let equipment: Vec<_> = roster
        .members()
        .iter()
        .map(|member| (MemoryIo::new(), RingSink::discard(), reloader.reader(member.id)))
        .collect();
    let error = Crew::start(&roster, &loaded.config, &[0, 1, 2, 5], equipment).unwrap_err();
    assert_eq!(
        error.to_string(),
        "worker 1 cannot be pinned to core 1023: Invalid argument (os error 22); this process may use cores 0-2, 5"
    );
}

#[test]
fn workers_run_on_their_cores_under_their_names() {
    let running = Running::start(BRIDGE, 2);
    let core = running.appliance.roster.members()[0].core;
    let mut found = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
        if !["ravelin-w0\n", "ravelin-w1\n"].contains(&name.as_str()) {
            continue;
        }
        // Other tests have workers of the same names, and on the same core.
        let Ok(status) = std::fs::read_to_string(task.join("status")) else { continue };
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:\t")).unwrap();
        found += u32::from(allowed == core.to_string());
    }
    assert!(found >= 2);
}

#[test]
fn a_worker_that_hangs_is_named_and_the_others_stop() {
    let mut running = Running::start(BRIDGE, 2);
    running.receive(0, 0, &dns(b""));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(running.settled(1));
    let wire = std::sync::Arc::clone(&running.wires[1]);
    let hang = wire.hang.lock();
    let pulse = || running.appliance.roster.members()[1].pulse();
    // Without a pulse for two naps it hangs where it would sleep.
    let mut last = (pulse(), Instant::now());
    while last.1.elapsed() < Duration::from_millis(250) {
        if pulse() != last.0 {
            last = (pulse(), Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let stopped = running.stop(Duration::from_secs(2));
    drop(hang);
    let hanging = stopped.unwrap_err();
    assert_eq!(hanging, Hanging(vec![WorkerId(1)]));
    assert_eq!(hanging.to_string(), "worker 1 did not stop in time");
}
