//! What feeds name is dropped in the kernel where the operator wants that: counted, and nothing else with it.

use std::{
    fs,
    net::{SocketAddrV4, UdpSocket},
};

use ravelin_tests::{
    flood::syn_flood,
    process::{attempt, wait_for},
    ravelin::Ravelin,
    topology::{CLIENT, CLIENT6, ENDPOINTS, Lab, SERVER, SERVER6, ping_all, pings},
};
use serde_json::Value;

/// A list that the kernel drops, unless `keys` say otherwise. The laboratory's addresses are private: they are guarded unless
/// this says otherwise.
fn config(lab: &Lab, keys: &str, more: &str) -> String {
    let folder = lab.folder().display();
    format!(
        "[threat]\ndirectory = \"{folder}/feeds\"\nguard = []\n[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n\
         [[feed]]\nname = \"flood\"\nfile = \"{folder}/list\"\nformat = \"lines\"\n{keys}\n{more}"
    )
}

const IN_KERNEL: &str = "drop_in_kernel = true";

fn list(lab: &Lab, lines: &[&str]) {
    let beside = lab.folder().join("list.new");
    fs::write(&beside, format!("# A list\n{}\n", lines.join("\n"))).expect("the folder is writable");
    // A reader never sees half of it.
    fs::rename(beside, lab.folder().join("list")).expect("it is the same folder");
}

fn wait_for_kernel(ravelin: &Ravelin, entries: Option<u64>) {
    wait_for(&format!("the kernel to have {entries:?} entries"), || {
        let feeds = ravelin.ask(&["feed", "list", "--json"]).expect("the process answers");
        let feeds: Vec<Value> = serde_json::from_str(&feeds).expect("a list");
        feeds.iter().any(|feed| feed["name"] == "flood" && feed["in_kernel"].as_u64() == entries)
    });
}

/// What `show interfaces` says of `outside` under a name of the kernel's.
fn statistic(ravelin: &Ravelin, name: &str) -> u64 {
    let interfaces = ravelin.show("interfaces");
    let outside = interfaces.as_array().expect("a list").iter().find(|it| it["name"] == "outside");
    let statistics = outside.expect("the interface is ours")["statistics"].as_array().cloned();
    let found = statistics.expect("a list").into_iter().find(|it| it["name"] == name);
    found.expect("the kernel counts that")["value"].as_u64().expect("a count")
}

/// Sends datagrams of 100 bytes from `from`, an address of the client.
fn datagrams(lab: &Lab, from: &str, to: &str, count: u32) {
    lab.client.inside(|| {
        let socket = UdpSocket::bind((from, 0)).expect("the address is the client's");
        for _ in 0..count {
            socket.send_to(&[0; 100], (to, 9)).expect("it can be sent");
        }
    });
}

#[test]
fn a_flood_is_dropped_before_the_workers_and_counted_to_the_packet() {
    const FLOOD: u32 = 20_000;
    let Some(lab) = Lab::new(&["ping"]) else { return };
    lab.client.ip("address add 10.9.0.7/24 dev eth0");
    // Not the address that anything else is sent from.
    lab.client.ip("address add fd09::7/64 dev eth0 nodad preferred_lft 0");
    // What the flood sends from, two addresses of the client, and one that nothing comes from but what goes there.
    list(&lab, &["198.18.0.0/15", "10.9.0.7", "fd09::7", "203.0.113.5:443"]);
    let ravelin = lab.ravelin(&config(&lab, IN_KERNEL, ""));
    wait_for_kernel(&ravelin, Some(3));
    ping_all(&lab.client, SERVER, 3, 56);
    ping_all(&lab.client, SERVER6, 3, 56);
    let before = ravelin.counters();
    let target: SocketAddrV4 = format!("{SERVER}:80").parse().expect("an address");
    let flood = syn_flood(&lab.client, target, FLOOD);
    datagrams(&lab, "10.9.0.7", SERVER, 100);
    datagrams(&lab, "fd09::7", SERVER6, 50);
    let sent = flood + 150;
    let after = ravelin
        .wait_for_counters("the kernel to drop all", |counters| counters.dropped("threat_kernel") == sent);
    assert_eq!(
        after["received"] - before["received"] - sent,
        worker_packets(&after) - worker_packets(&before)
    );
    assert!(
        worker_packets(&after) - worker_packets(&before) < 50,
        "neighbour discovery at most reaches a worker"
    );
    // Other than what the systems at both ends say by themselves now and then.
    assert!(after["flows_created"] - before["flows_created"] < 50, "no flow comes of the flood");
    assert_eq!(ravelin.flows("--src 10.9.0.7"), [Value::Null; 0]);
    assert_eq!(statistic(&ravelin, "xdp_threat_dropped_packets"), sent);
    let bytes = flood * (14 + 40) + 100 * (14 + 28 + 100) + 50 * (14 + 48 + 100);
    assert_eq!(statistic(&ravelin, "xdp_threat_dropped_bytes"), bytes);
    assert_eq!(ravelin.show("alerts")["total"], 0);
    // What goes there is the workers': it is dropped with a record and an alert.
    assert!(!pings(&lab.server, "10.9.0.7"));
    let flow = ravelin.wait_for_flow(&format!("--src {SERVER} --dst 10.9.0.7"), |_| true);
    assert_eq!((&flow["verdict"], &flow["policy"]), (&"deny".into(), &"threat.feed:flood".into()));
    wait_for("the alert", || ravelin.show("alerts")["total"] == 1);
    ping_all(&lab.client, SERVER, 3, 56);
    let counters = ravelin.finish(&["threat_kernel", "rule_deny"]);
    assert_eq!(counters.dropped("threat_kernel"), sent);
}

/// What the workers themselves received.
fn worker_packets(counters: &ravelin_tests::counters::Counters) -> u64 {
    counters.workers("received").iter().sum()
}

#[test]
fn tags_hide_nobody() {
    let Some(lab) = Lab::new(&["ping", "clang", "tc"]) else { return };
    lab.enter_vlan(5, 7);
    list(&lab, &["198.51.100.0/24"]);
    let ravelin = lab.ravelin(&config(&lab, IN_KERNEL, ""));
    wait_for_kernel(&ravelin, Some(1));
    ping_all(&lab.client, SERVER, 1, 56);
    list(&lab, &[CLIENT, CLIENT6]);
    wait_for_kernel(&ravelin, Some(2));
    for target in [SERVER, SERVER6] {
        let before = ravelin.counters().dropped("threat_kernel");
        assert!(!pings(&lab.client, target));
        assert!(ravelin.counters().dropped("threat_kernel") >= before + 2, "{target}");
    }
    ravelin.finish(&["threat_kernel"]);
}

#[test]
fn the_list_follows_feeds_and_reloads() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    list(&lab, &[CLIENT, CLIENT6, "198.51.100.0/24"]);
    let ravelin = lab.ravelin(&config(&lab, IN_KERNEL, ""));
    wait_for_kernel(&ravelin, Some(3));
    assert!(!pings(&lab.client, SERVER) && !pings(&lab.client, SERVER6));
    let dropped = ravelin.counters().dropped("threat_kernel");
    assert!(dropped >= 4, "{dropped}");
    // It leaves the list.
    list(&lab, &["198.51.100.0/24"]);
    wait_for_kernel(&ravelin, Some(1));
    ping_all(&lab.client, SERVER, 3, 56);
    ping_all(&lab.client, SERVER6, 3, 56);
    assert_eq!(ravelin.counters().dropped("threat_kernel"), dropped);
    // It comes back, and the operator wants to see what it does.
    list(&lab, &[CLIENT]);
    wait_for_kernel(&ravelin, Some(1));
    ravelin.rewrite(&format!("{}\n{}", ravelin_tests::topology::bridge("open"), config(&lab, "", "")));
    ravelin.reload().expect("it is right");
    wait_for_kernel(&ravelin, None);
    let before = ravelin.counters();
    assert!(!pings(&lab.client, SERVER));
    let after = ravelin.wait_for_counters("the workers to drop them", |counters| {
        counters.dropped("rule_deny") > before.dropped("rule_deny")
    });
    assert_eq!(after.dropped("threat_kernel"), before.dropped("threat_kernel"));
    ravelin.finish(&["threat_kernel", "rule_deny"]);
}

#[test]
fn what_policy_lets_pass_and_failsafe_ports_are_not_cut_off() {
    let Some(lab) = Lab::new(&["busybox", "curl", "ping"]) else { return };
    let folder = lab.folder().display();
    let _ssh = lab.serve(&lab.server, 22, &format!("busybox httpd -f -p 22 -h {folder}"));
    let _web = lab.serve(&lab.server, 80, &format!("busybox httpd -f -p 80 -h {folder}"));
    let curl = |port: u16| {
        let line = format!("curl -sS -o /dev/null --max-time 2 http://{SERVER}:{port}/list");
        attempt(&mut lab.client.split(&line)).0.code()
    };
    list(&lab, &[CLIENT]);
    let host = format!(
        "[[endpoint]]\nname = \"server\"\nkind = \"host\"\naddresses = [\"{SERVER}\"]\nprofiles = [\"default-allow\"]\n"
    );
    let ravelin = lab.ravelin(&config(&lab, IN_KERNEL, &host));
    wait_for_kernel(&ravelin, Some(1));
    assert_eq!((curl(22), curl(80)), (Some(0), Some(28)));
    assert!(ravelin.counters().dropped("threat_kernel") > 0, "the other port is the kernel's");
    // A policy before the feeds allows the client: then its packets are not the kernel's any more.
    let exception = format!(
        "{host}[[policy]]\nname = \"exception\"\ntier = \"threat\"\n[[policy.ingress]]\naction = \"allow\"\nsource.nets = [\"{CLIENT}\"]\n"
    );
    let bridge = ravelin_tests::topology::bridge("open");
    ravelin.rewrite(&format!("{bridge}\n{}", config(&lab, IN_KERNEL, &exception)));
    ravelin.reload().expect("it is right");
    wait_for_kernel(&ravelin, Some(0));
    let dropped = ravelin.counters().dropped("threat_kernel");
    assert_eq!((curl(22), curl(80)), (Some(0), Some(0)));
    let counters = ravelin.finish(&["threat_kernel"]);
    assert_eq!(counters.dropped("threat_kernel"), dropped);
}

#[test]
fn a_process_that_died_blocks_nobody_by_its_list() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    list(&lab, &[CLIENT]);
    let ravelin = lab.ravelin(&config(&lab, IN_KERNEL, ""));
    wait_for_kernel(&ravelin, Some(1));
    assert!(!pings(&lab.client, SERVER));
    ravelin.kill();
    // The bridge fails open.
    ping_all(&lab.client, SERVER, 3, 56);
    // And the next process has its list again.
    let ravelin = lab.ravelin(&config(&lab, IN_KERNEL, ""));
    wait_for_kernel(&ravelin, Some(1));
    assert!(!pings(&lab.client, SERVER));
    ravelin.finish(&["threat_kernel"]);
}

/// Nanoseconds of CPU time that all threads of a process have used.
fn cpu_time(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs").flatten();
    let used = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    used.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// Runs of the programs of a process, and nanoseconds of all of them, if `sysctl kernel.bpf_stats_enabled` is 1.
fn program_runs(pid: u32) -> [u64; 2] {
    let files = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process runs").flatten();
    let texts: Vec<String> = files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    ["run_cnt:", "run_time_ns:"].map(|name| {
        let lines = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix(name));
        lines.filter_map(|value| value.trim().parse::<u64>().ok()).sum()
    })
}

/// A flood that both drop, and what it costs this process. The figures of `docs/adr/0016-drop-in-the-kernel.md`.
#[test]
fn a_flood_costs_the_process_nothing_that_the_kernel_drops() {
    const FLOOD: u32 = 400_000;
    let Some(lab) = Lab::new(&[]) else { return };
    let target: SocketAddrV4 = format!("{SERVER}:80").parse().expect("an address");
    for (keys, lines, reason) in [
        (IN_KERNEL, ["198.18.0.0/15", "203.0.113.7"], "threat_kernel"),
        ("", ["198.18.0.0/15", "203.0.113.7"], "rule_deny"),
        // The kernel looks every packet up, and none is on the list.
        (IN_KERNEL, ["203.0.113.8", "203.0.113.7"], "default_deny"),
    ] {
        list(&lab, &lines);
        let ravelin =
            lab.ravelin(&config(&lab, keys, &ENDPOINTS.replace("profiles = [\"default-allow\"]", "")));
        wait_for_kernel(&ravelin, (!keys.is_empty()).then_some(2));
        let (cpu, [runs, time]) = (cpu_time(ravelin.id()), program_runs(ravelin.id()));
        let flood = syn_flood(&lab.client, target, FLOOD);
        // The workers do not keep up with it, the kernel does.
        let least = if reason == "threat_kernel" { flood } else { flood / 20 };
        let counters = ravelin.wait_for_counters("the flood", |counters| counters.dropped(reason) >= least);
        let cpu = cpu_time(ravelin.id()) - cpu;
        let [runs, time] = [program_runs(ravelin.id())[0] - runs, program_runs(ravelin.id())[1] - time];
        let dropped = counters.dropped(reason);
        println!(
            "{reason}: {dropped} of {FLOOD} dropped, {} ns of the process and {} ns of the program each",
            cpu / dropped,
            time.checked_div(runs).unwrap_or_default()
        );
        if reason == "threat_kernel" {
            assert_eq!(dropped, flood);
            assert!(worker_packets(&counters) < 100 && counters["flows_created"] < 100);
        }
        ravelin.finish(&[reason, "flow_table_full"]);
    }
}
