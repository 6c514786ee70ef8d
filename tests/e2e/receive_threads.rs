//! The kernel's receive threads: where they run, and what is left of them.

use std::{fs, path::PathBuf};

use ravelin_tests::{
    binary,
    echo::Echo,
    process::wait_for,
    ravelin::Ravelin,
    topology::{Lab, SERVER, bridge, ping_all},
};

use super::failure::fail_to_start;

/// What `threaded` says of both interfaces, in the order outside, inside.
fn threaded(lab: &Lab) -> [String; 2] {
    ["outside", "inside"]
        .map(|name| lab.appliance.run(&format!("cat /sys/class/net/{name}/threaded")).trim().to_owned())
}

/// The receive threads of both interfaces, each named after its interface as the kernel does.
fn threads(ravelin: &Ravelin) -> Vec<u64> {
    let interfaces = ravelin.show("interfaces");
    let mut pids = Vec::new();
    for interface in interfaces.as_array().expect("a list of interfaces") {
        let name = interface["name"].as_str().expect("a name");
        for pid in interface["receive_threads"]["pids"].as_array().into_iter().flatten() {
            let pid = pid.as_u64().expect("a number");
            // One that has just ended has no name.
            let thread = fs::read_to_string(file(pid, "comm")).unwrap_or_default();
            assert!(thread.is_empty() || thread.starts_with(&format!("napi/{name}-")), "{thread}");
            pids.push(pid);
        }
    }
    pids
}

fn file(pid: u64, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Whether a thread may run on a core, by its file `status`; one that has ended may.
pub(crate) fn may_run_on(status: &str, core: u32) -> bool {
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    cores.is_none_or(|cores| {
        cores.trim().split(',').any(|run| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let number = |text: &str| text.parse::<u32>().expect("the number of a core");
            (number(first)..=number(last)).contains(&core)
        })
    })
}

/// Whether a thread is kept off core 1, where the worker is, and runs with the lowest real-time priority.
fn is_placed(pid: u64) -> bool {
    let status = fs::read_to_string(file(pid, "status")).unwrap_or_default();
    let is_elsewhere = !may_run_on(&status, 1);
    // proc_pid_stat(5): rt_priority and policy are the fields 40 and 41; the name, with its bracket, ends the second.
    let stat = fs::read_to_string(file(pid, "stat")).unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(37).take(2).collect();
    const SCHED_FIFO: &str = "1";
    is_elsewhere && fields == ["1", SCHED_FIFO]
}

/// An appliance with its worker on core 1.
fn start(lab: &Lab) -> Ravelin {
    lab.ravelin("[workers]\ncores = [1]\n[io]\nnapi_threads = \"auto\"\n")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn they_are_placed_at_start_and_whenever_an_interface_goes_up() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = start(&lab);
    let at_start = threads(&ravelin);
    assert_eq!(at_start.len(), 2, "one for each queue");
    assert!(at_start.iter().all(|pid| is_placed(*pid)));
    assert_eq!(threaded(&lab), ["1", "1"]);
    assert!(ravelin.log().contains("the kernel receives in threads on core"), "{}", ravelin.log());
    assert!(ravelin.ask(&["show", "interfaces"]).is_ok_and(|text| text.contains("receives on core")));
    let echo = Echo::start(&lab, SERVER, 4, 100);
    wait_for("traffic", || echo.returned() > 1000);
    echo.finish().assert_lossless();

    for interface in ["outside", "inside"] {
        lab.appliance.ip(&format!("link set {interface} down"));
        wait_for("its threads to be gone", || threads(&ravelin).len() == 1);
        lab.appliance.ip(&format!("link set {interface} up"));
        wait_for("its threads to be placed", || threads(&ravelin).len() == 2);
    }
    let at_end = threads(&ravelin);
    assert!(at_end.iter().all(|pid| !at_start.contains(pid) && is_placed(*pid)));
    ping_all(&lab.client, SERVER, 20, 56);
    ravelin.stop();
    assert_eq!(threaded(&lab), ["0", "0"]);
    assert!(
        at_end.iter().all(|pid| !file(*pid, "stat").exists()),
        "without a program a veth has no receive work"
    );
}

#[test]
fn an_interface_that_is_down_at_start_has_them_later() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    lab.appliance.ip("link set outside down");
    let ravelin = start(&lab);
    assert_eq!(threads(&ravelin).len(), 1);
    lab.appliance.ip("link set outside up");
    wait_for("its threads to be placed", || threads(&ravelin).len() == 2);
    assert!(threads(&ravelin).iter().all(|pid| is_placed(*pid)));
    ping_all(&lab.client, SERVER, 5, 56);
    // What the server said of itself meanwhile, as IPv6 hosts do, had nowhere to go.
    ravelin.finish(&["transmit_down"]);
    assert_eq!(threaded(&lab), ["0", "0"]);
}

#[test]
fn detach_restores_what_a_killed_process_left_and_a_restart_takes_over() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    start(&lab).kill();
    assert_eq!(threaded(&lab), ["1", "1"]);
    ping_all(&lab.client, SERVER, 20, 56);
    let second = start(&lab);
    assert_eq!(threads(&second).len(), 2);
    assert!(!second.log().contains("already"), "{}", second.log());
    second.kill();
    let done = lab.detach(&[]);
    assert_eq!(done.matches("threaded restored").count(), 2, "{done}");
    assert_eq!(threaded(&lab), ["0", "0"]);
}

#[test]
fn what_an_interface_that_is_down_does_not_take_back_is_restored_later() {
    let Some(lab) = Lab::new(&[]) else { return };
    let ravelin = start(&lab);
    lab.appliance.ip("link set outside down");
    let log = ravelin.stop();
    assert!(log.contains("`threaded outside` cannot be restored"), "{log}");
    assert_eq!(threaded(&lab), ["1", "0"], "the kernel does not let a veth be told while it is down");
    lab.appliance.ip("link set outside up");
    let ravelin = start(&lab);
    assert_eq!(threads(&ravelin).len(), 2);
    ravelin.stop();
    assert_eq!(threaded(&lab), ["0", "0"]);
}

#[test]
fn they_are_left_alone_where_they_are_not_wanted() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let all_cores = "[workers]\ncores = [0, 1]\n[io]\nnapi_threads = \"auto\"\n";
    for more in [
        "",
        "[io]\nnapi_threads = \"auto\"\nmode = \"generic\"\n",
        "[io]\nnapi_threads = \"auto\"\nbusy_poll = \"50us\"\n",
        all_cores,
    ] {
        if more == all_cores && cores() != 2 {
            continue;
        }
        let ravelin = lab.ravelin(more);
        assert_eq!(
            (threaded(&lab), threads(&ravelin)),
            (["0", "0"].map(str::to_owned), Vec::new()),
            "{more}"
        );
        ping_all(&lab.client, SERVER, 5, 56);
        ravelin.finish(&[]);
    }
}

#[test]
fn where_they_cannot_be_placed_the_kernel_goes_on_without() {
    let Some(lab) = Lab::new(&["unshare"]) else { return };
    let config = lab.folder().join("ravelin.toml");
    let socket = lab.folder().join("control.sock");
    let text = format!("{}[control]\nsocket = \"{}\"\n", bridge("open"), socket.display());
    fs::write(&config, format!("{text}[workers]\ncores = [1]\n[io]\nnapi_threads = \"auto\"\n"))
        .expect("the folder is writable");
    // The kernel's numbers mean nothing in here.
    let elsewhere = "unshare --pid --fork --kill-child --mount-proc";
    let line = format!("{elsewhere} {} run -c {}", binary::ravelin().display(), config.display());
    let mut process = lab.spawn(&lab.appliance, &line);
    process.wait_for_output("ravelin runs");
    let log = process.output();
    assert_eq!(
        log.matches("no receive threads: they cannot be seen from this process namespace").count(),
        2,
        "{log}"
    );
    assert_eq!(threaded(&lab), ["0", "0"]);
}

#[test]
fn on_needs_a_core_without_a_worker() {
    let Some(lab) = Lab::new(&[]) else { return };
    let list: Vec<_> = (0..cores()).map(|core| core.to_string()).collect();
    let more = format!("[workers]\ncores = [{}]\n[io]\nnapi_threads = \"on\"\n", list.join(", "));
    fail_to_start(
        &lab,
        &format!("{}{more}", bridge("open")),
        "receive threads are on, but every core has a worker",
    );
    assert_eq!(threaded(&lab), ["0", "0"]);
}
