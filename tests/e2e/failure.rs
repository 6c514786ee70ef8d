//! The process dies, starts again, or stops in order: what the kernel does then, and what is left behind.

use std::process::Command;

use ravelin_tests::{
    binary,
    echo::Echo,
    netns::Namespace,
    process::{attempt, run, wait_for},
    ravelin::Ravelin,
    topology::{Lab, Links, SERVER, SERVER6, bridge, connect, ping_all, pings},
};

/// Whether an XDP program is attached to an interface.
fn has_xdp(host: &Namespace, interface: &str) -> bool {
    host.ip(&format!("-details link show dev {interface}")).contains("prog/xdp")
}

/// The offloads of an interface, as ethtool lists them.
fn offloads(host: &Namespace, interface: &str) -> String {
    host.run(&format!("ethtool --show-features {interface}"))
}

#[test]
fn killed_while_open_the_kernel_goes_on_and_a_restart_takes_over() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let first = lab.ravelin("");
    ping_all(&lab.client, SERVER, 5, 56);
    // Traffic at the moment of death, and after it.
    let mut running = lab.spawn(&lab.client, &format!("ping -n -i 0.02 {SERVER}"));
    running.wait_for_output("icmp_seq=20");
    first.kill();
    let replies = running.output().lines().count();
    wait_for("ping to go on through the kernel", || running.output().lines().count() > replies + 20);
    ping_all(&lab.client, SERVER, 20, 56);
    ping_all(&lab.client, SERVER6, 20, 1400);
    ping_all(&lab.client, SERVER, 5, 4000);

    let second = lab.ravelin("");
    let taken_over = second.wait_for_counters("packets", |counters| counters["forwarded"] > 50);
    assert!(taken_over["received"] > 50);
    drop(running);
    ping_all(&lab.client, SERVER, 20, 56);
    second.finish(&[]);
}

/// Configurations that get further and further before they fail, with what is said then: an interface that is not there; what
/// is noticed only when the interfaces have been taken over, a socket's place that is taken and a core that is not there.
fn failing_starts(lab: &Lab, fail: &str) -> Vec<(String, &'static str)> {
    let taken = lab.folder().join("taken");
    std::fs::write(&taken, "precious").expect("the folder is writable");
    let bridge = bridge(fail);
    let socket = lab.folder().join("control.sock");
    let control = |path: &std::path::Path| format!("[control]\nsocket = \"{}\"\n", path.display());
    vec![
        (format!("{}{}", bridge.replace("inside", "nowhere"), control(&socket)), "nowhere"),
        (format!("{bridge}{}", control(&taken)), "is not a socket"),
        (format!("{bridge}[workers]\ncores = [1023]\n{}", control(&socket)), "core 1023"),
    ]
}

/// Starts `ravelin run` with a configuration that fails.
pub(super) fn fail_to_start(lab: &Lab, config: &str, expected: &str) {
    let path = lab.folder().join("failing.toml");
    std::fs::write(&path, config).expect("the folder is writable");
    let mut command = lab.appliance.command(binary::ravelin());
    let (status, _, error) = attempt(command.arg("run").arg("-c").arg(&path));
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_restart_that_fails_leaves_open_what_was_open() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    let mut running = lab.spawn(&lab.client, &format!("ping -n -i 0.02 {SERVER}"));
    running.wait_for_output("icmp_seq=20");
    ravelin.kill();
    for (config, expected) in failing_starts(&lab, "open") {
        fail_to_start(&lab, &config, expected);
        let replies = running.output().lines().count();
        wait_for("ping to go on through the kernel", || running.output().lines().count() > replies + 20);
        ping_all(&lab.client, SERVER, 20, 56);
        ping_all(&lab.client, SERVER6, 20, 1400);
    }
    drop(running);
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 5, 56);
    ravelin.finish(&[]);
    assert!(!has_xdp(&lab.appliance, "outside") && !has_xdp(&lab.appliance, "inside"));
}

#[test]
fn a_restart_that_fails_leaves_closed_what_was_closed() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    Ravelin::start(&lab.appliance, lab.folder(), &bridge("closed")).kill();
    for (config, expected) in failing_starts(&lab, "closed") {
        fail_to_start(&lab, &config, expected);
        assert!(has_xdp(&lab.appliance, "outside") && has_xdp(&lab.appliance, "inside"));
        assert!(!pings(&lab.client, SERVER), "a closed bridge passed a ping");
    }
    lab.detach(&[]);
}

#[test]
fn a_first_start_that_fails_leaves_nothing() {
    let Some(lab) = Lab::new(&[]) else { return };
    let before = [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")];
    for (config, expected) in failing_starts(&lab, "open") {
        fail_to_start(&lab, &config, expected);
        assert!(!has_xdp(&lab.appliance, "outside") && !has_xdp(&lab.appliance, "inside"), "{expected}");
        assert_eq!(before, [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")]);
    }
}

#[test]
fn killed_while_open_tcp_connections_live_on() {
    let Some(lab) = Lab::new(&["nc"]) else { return };
    let ravelin = lab.ravelin("");
    let sent = lab.random_file("up", 60_000_000);
    let mut server = lab.shell(&lab.server, "nc -l -N 9000 > up.received");
    ravelin_tests::topology::wait_for_port(&lab.server, 9000);
    // A brake, so that the transfer is under way when the process dies.
    let mut client = lab.shell(
        &lab.client,
        &format!("(head -c 1000000 up; sleep 1; tail -c +1000001 up) | nc -N {SERVER} 9000"),
    );
    ravelin.wait_for_flow("--port 9000", |flow| flow["bytes"][0].as_u64() > Some(500_000));
    ravelin.kill();
    client.finish();
    server.finish();
    let received = std::fs::read(lab.folder().join("up.received")).expect("a file");
    assert!(received == sent, "the upload differs");
    lab.detach(&[]);
}

#[test]
fn killed_while_closed_nothing_passes_until_a_restart() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let first = Ravelin::start(&lab.appliance, lab.folder(), &bridge("closed"));
    ping_all(&lab.client, SERVER, 5, 56);
    first.kill();
    assert!(!pings(&lab.client, SERVER), "a closed bridge passed a ping");
    assert!(!pings(&lab.server, ravelin_tests::topology::CLIENT6), "a closed bridge passed a ping");
    let second = Ravelin::start(&lab.appliance, lab.folder(), &bridge("closed"));
    ping_all(&lab.client, SERVER, 5, 56);
    second.finish(&[]);
}

#[test]
fn detach_removes_what_a_killed_process_left() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let before = [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")];
    let ravelin = lab.ravelin("[io]\nnapi_threads = \"off\"\n");
    ravelin.kill();
    assert!(
        has_xdp(&lab.appliance, "outside") && has_xdp(&lab.appliance, "inside"),
        "open needs its program"
    );
    let done = lab.detach(&[]);
    let removed = "the XDP program (native) is removed; the tc program is removed; ";
    let settings = "rx-vlan-hw-parse, rx-vlan-stag-hw-parse restored";
    assert_eq!(done, format!("inside: {removed}{settings}\noutside: {removed}{settings}\n"));
    assert!(!has_xdp(&lab.appliance, "outside") && !has_xdp(&lab.appliance, "inside"));
    assert!(!pings(&lab.client, SERVER), "nothing joins the two links any more");
    assert_eq!(before, [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")]);
    assert_eq!(lab.detach(&[]), "no interface had a program of ravelin's to remove\n");
}

#[test]
fn detach_looks_only_at_the_interfaces_that_it_is_given() {
    let Some(lab) = Lab::new(&[]) else { return };
    let before = [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")];
    lab.ravelin("").kill();
    let during = offloads(&lab.appliance, "inside");
    assert!(lab.detach(&["outside"]).starts_with("outside: the XDP program"));
    assert!(!has_xdp(&lab.appliance, "outside") && has_xdp(&lab.appliance, "inside"));
    assert_eq!(
        [&before[0], &during],
        [&offloads(&lab.appliance, "outside"), &offloads(&lab.appliance, "inside")]
    );
    // What it was told not to look at is not forgotten.
    let answer: serde_json::Value = serde_json::from_str(&lab.detach(&["--json"])).expect("JSON");
    assert_eq!((&answer["detached"][0]["interface"], &answer["detached"][1]), (&"inside".into(), &().into()));
    assert_eq!(
        (&answer["detached"][0]["xdp"], &answer["detached"][0]["tc"]),
        (&"native".into(), &true.into())
    );
    assert_eq!(before, [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")]);
    let mut command = lab.appliance.command(binary::ravelin());
    let config = lab.folder().join("ravelin.toml");
    let (status, output, error) = attempt(command.args(["detach", "nowhere", "-c"]).arg(config));
    assert!(status.code() == Some(1) && error.contains("nowhere"), "{error}");
    assert_eq!(output, "", "nothing is said of an interface that was not looked at");
}

/// A program for XDP and one for tc that let everything pass.
const FOREIGN: &str = r#"
__attribute__((section("xdp"), used)) int foreign_xdp(void *ctx) { return 2; }
__attribute__((section("tc"), used)) int foreign_tc(void *ctx) { return -1; }
char terms[] __attribute__((section("license"), used)) = "GPL";
"#;

#[test]
fn detach_leaves_alone_what_is_not_ravelins() {
    let Some(lab) = Lab::new(&["clang", "tc"]) else { return };
    let (source, object) = (lab.folder().join("foreign.c"), lab.folder().join("foreign.o"));
    std::fs::write(&source, FOREIGN).expect("the folder is writable");
    run(Command::new("clang").args(["-O2", "--target=bpf", "-c"]).arg(&source).arg("-o").arg(&object));
    let object = object.display();
    lab.ravelin("").kill();
    connect(&lab.client, "eth1", &lab.appliance, "spare", Links::default());
    lab.appliance.ip(&format!("link set dev spare xdpgeneric object {object} section xdp"));
    // Beside ours, in the same qdisc.
    lab.appliance.run(&format!(
        "tc filter add dev inside ingress prio 50 bpf direct-action object-file {object} section tc"
    ));
    let done = lab.detach(&[]);
    assert!(done.contains("inside: ") && done.contains("outside: ") && !done.contains("spare"), "{done}");
    assert!(has_xdp(&lab.appliance, "spare") && !has_xdp(&lab.appliance, "inside"));
    let filters = lab.appliance.run("tc filter show dev inside ingress");
    assert!(filters.contains("foreign") && !filters.contains("ravelin"), "{filters}");
}

#[test]
fn a_second_process_is_told_whose_the_interfaces_are() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    let first = format!("process {} (", ravelin.id());
    let other = lab.folder().join("other.toml");
    let socket = lab.folder().join("other.sock");
    let text = format!("{}[control]\nsocket = \"{}\"\n", bridge("open"), socket.display());
    std::fs::write(&other, text).expect("the folder is writable");
    let same = lab.folder().join("ravelin.toml");
    for (verb, config, help) in [
        ("run", &other, "ravelin show status -c FILE"),
        ("run", &same, "ravelin show status"),
        ("detach", &other, "back by itself"),
        ("detach", &same, "back by itself"),
    ] {
        let mut command = lab.appliance.command(binary::ravelin());
        let (status, output, error) = attempt(command.arg(verb).arg("-c").arg(config));
        assert_eq!((status.code(), output.as_str()), (Some(1), ""), "{verb}: {error}");
        let whose = if config == &other { first.clone() } else { format!("(process {})", ravelin.id()) };
        assert!(error.contains(&whose) && error.contains(help), "{verb}: {error}");
    }
    ping_all(&lab.client, SERVER, 20, 56);
    ravelin.finish(&[]);
}

#[test]
fn a_clean_stop_leaves_interfaces_as_they_were() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let before = [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")];
    let ravelin = lab.ravelin("");
    assert!(has_xdp(&lab.appliance, "outside"));
    assert!(offloads(&lab.appliance, "outside") != before[0], "segmentation offloads are off while it runs");
    let echo = Echo::start(&lab, SERVER, 1, 100);
    wait_for("traffic", || echo.returned() > 100);
    echo.finish().assert_lossless();
    ravelin.finish(&[]);
    assert!(!has_xdp(&lab.appliance, "outside") && !has_xdp(&lab.appliance, "inside"));
    assert_eq!(before, [offloads(&lab.appliance, "outside"), offloads(&lab.appliance, "inside")]);
    assert!(!pings(&lab.client, SERVER), "nothing joins the two links any more");
}
