//! Captures that the configuration declares: by the clock, over restarts, and as reloads change them.

use std::{fs, process::Command};

use jiff::{SignedDuration, Timestamp};
use ravelin_tests::{
    process::{run, wait_for},
    ravelin::Ravelin,
    topology::{ENDPOINTS, Lab, SERVER, bridge, ping_all},
};
use serde_json::Value;

/// A configuration with these jobs, without what the laboratory adds.
fn config(lab: &Lab, jobs: &[&str]) -> String {
    let folder = lab.folder().display();
    let jobs: String = jobs.iter().map(|job| format!("[[capture.job]]\n{job}\n")).collect();
    format!("{ENDPOINTS}[capture]\ndirectory = \"{folder}/captures\"\nmin_free = \"0B\"\n{jobs}")
}

fn reload(lab: &Lab, ravelin: &Ravelin, jobs: &[&str]) -> Result<String, String> {
    ravelin.rewrite(&format!("{}{}", bridge("open"), config(lab, jobs)));
    ravelin.reload()
}

fn ask(ravelin: &Ravelin, words: &str) -> Result<String, String> {
    ravelin.ask(&words.split(' ').collect::<Vec<_>>())
}

fn capture(ravelin: &Ravelin, name: &str) -> Value {
    let answer = ask(ravelin, &format!("capture show {name} --json")).expect("there is such a capture");
    serde_json::from_str(&answer).expect("JSON")
}

fn wait_for_packets(ravelin: &Ravelin, name: &str, packets: u64) {
    wait_for("packets", || capture(ravelin, name)["packets"].as_u64() >= Some(packets));
    assert_eq!(capture(ravelin, name)["packets"], packets);
}

/// The requests among the packets of a file.
fn requests(file: &std::path::Path) -> usize {
    let mut command = Command::new("tcpdump");
    run(command.args(["-nn", "-r"]).arg(file).arg("icmp[icmptype] = icmp-echo")).lines().count()
}

#[test]
fn a_job_has_what_comes_between_its_start_and_its_end() {
    let Some(lab) = Lab::new(&["ping", "tcpdump"]) else { return };
    let ravelin = lab.ravelin(&config(&lab, &[]));
    let start = Timestamp::now() + SignedDuration::from_secs(5);
    let over = Timestamp::now() - SignedDuration::from_secs(5);
    let window = format!("name = \"window\"\nfilter = \"icmp\"\nstart = {start}\nduration = \"10s\"");
    let late = format!("name = \"late\"\nend = {over}");
    let answer = reload(&lab, &ravelin, &[&window, &late]).expect("nothing is wrong with it");
    assert!(answer.contains("capture.job[window]"), "{answer}");
    let stands = capture(&ravelin, "window");
    assert_eq!((&stands["state"], &stands["job"]), (&"Scheduled".into(), &true.into()), "{stands}");
    let begins: Timestamp = stands["begins"].as_str().expect("a time").parse().expect("a time");
    assert!(begins.duration_since(start).abs() < SignedDuration::from_secs(1), "{stands}");
    let table = ask(&ravelin, "capture list").expect("an answer");
    assert!(table.contains("Scheduled") && table.contains("next "), "{table}");
    // What is over never begins.
    let stands = capture(&ravelin, "late");
    assert_eq!((&stands["state"], &stands["started"]), (&"Finished".into(), &Value::Null), "{stands}");
    ping_all(&lab.client, SERVER, 3, 56);
    wait_for("the job to begin", || capture(&ravelin, "window")["state"] != "Scheduled");
    ping_all(&lab.client, SERVER, 5, 56);
    wait_for_packets(&ravelin, "window", 10);
    wait_for("the job to end", || capture(&ravelin, "window")["state"] == "Finished");
    ping_all(&lab.client, SERVER, 2, 56);
    let stands = capture(&ravelin, "window");
    assert_eq!((&stands["packets"], &stands["lost"]), (&10.into(), &0.into()), "{stands}");
    let file = lab.folder().join("got.pcapng");
    ask(&ravelin, &format!("capture get window -o {}", file.display())).expect("there is a file");
    assert_eq!(requests(&file), 5);
    // It is the configuration's.
    let error = ask(&ravelin, "capture rm window").expect_err("it is declared");
    assert!(error.contains("a job of the configuration"), "{error}");
    ask(&ravelin, "capture clean").expect("there is nothing to clean");
    assert_eq!(capture(&ravelin, "window")["packets"], 10);
    let counters = ravelin.finish(&[]);
    assert_eq!((counters["captured"], counters["capture_lost"]), (10, 0));
}

#[test]
fn a_job_goes_on_over_a_restart() {
    let Some(lab) = Lab::new(&["busybox", "ping", "tcpdump"]) else { return };
    let config = config(
        &lab,
        &[
            "name = \"echo\"\nfilter = \"icmp\"",
            "name = \"yearly\"\ncron = \"30 2 29 2 *\"\ntime_zone = \"Europe/Berlin\"\nduration = \"1h\"",
        ],
    );
    let ravelin = lab.ravelin(&config);
    ping_all(&lab.client, SERVER, 3, 56);
    wait_for_packets(&ravelin, "echo", 6);
    let (started, yearly) = (capture(&ravelin, "echo")["started"].clone(), capture(&ravelin, "yearly"));
    assert_eq!(yearly["state"], "Scheduled");
    assert!(yearly["begins"].as_str().is_some_and(|time| time.contains("-02-29T01:30:00")), "{yearly}");
    ravelin.stop();
    let ravelin = lab.ravelin(&config);
    ping_all(&lab.client, SERVER, 2, 56);
    wait_for_packets(&ravelin, "echo", 10);
    assert_eq!(capture(&ravelin, "echo")["started"], started);
    assert_eq!(capture(&ravelin, "yearly"), yearly);
    // One that has ended does not begin again.
    let stopped = ask(&ravelin, "capture stop echo").expect("it goes on");
    assert!(stopped.contains("Finished"), "{stopped}");
    // There are two files, one of each process.
    let error = ask(&ravelin, "capture get echo -o echo.pcapng").expect_err("one is not all");
    assert!(error.contains("2 files") && error.contains("--file echo-00001.pcapng"), "{error}");
    let archive = lab.folder().join("echo.zip");
    ask(&ravelin, &format!("capture get echo -o {}", archive.display())).expect("there are files");
    run(Command::new("busybox").args(["unzip", "-q", "-d"]).arg(lab.folder()).arg(&archive));
    let found = ["echo-00001.pcapng", "echo-00002.pcapng"].map(|name| requests(&lab.folder().join(name)));
    assert_eq!(found, [3, 2]);
    ravelin.stop();
    let ravelin = lab.ravelin(&config);
    assert_eq!(capture(&ravelin, "echo")["state"], "Finished");
    ravelin.finish(&[]);
}

#[test]
fn a_reload_changes_the_jobs_that_are_others_and_no_more() {
    let Some(lab) = Lab::new(&["ping", "tcpdump", "curl"]) else { return };
    let metrics = "[metrics]\nlisten = \"127.0.0.1:9651\"\n";
    let job = |name: &str, filter: &str| format!("name = \"{name}\"\nfilter = \"{filter}\"");
    let (same, gone) = (job("same", "icmp") + "\n" + metrics, job("gone", "icmp"));
    let jobs = [
        gone.as_str(),
        &job("changed", "icmp"),
        "name = \"server\"\nendpoint = \"role == 'server'\"\ndirection = \"in\"\nfilter = \"icmp\"",
        &same,
    ];
    let ravelin = lab.ravelin(&config(&lab, &jobs));
    ravelin.ask(&["capture", "start", "by-hand", "--filter", "icmp"]).expect("nothing is wrong with it");
    let all = ["same", "changed", "gone", "by-hand"];
    ping_all(&lab.client, SERVER, 3, 56);
    all.iter().for_each(|name| wait_for_packets(&ravelin, name, 6));
    wait_for_packets(&ravelin, "server", 3);
    let before = capture(&ravelin, "same");
    // What is wrong changes nothing.
    for (wrong, says) in [
        ("name = \"a\"\nfilter = \"prot tcp\"", "syntax error"),
        ("name = \"a\"\ndrop_reasons = [\"nonsense\"]", "no drop reason `nonsense`"),
        ("name = \"../a\"", "expected name of a capture, found \"../a\""),
        ("name = \"a\"\ncron = \"0 0 31 2 *\"\nduration = \"1h\"", "no such day"),
    ] {
        let error = reload(&lab, &ravelin, &[wrong, &same]).expect_err(wrong);
        assert!(error.contains(says) && error.contains("ravelin.toml:"), "{error}");
    }
    assert_eq!(capture(&ravelin, "gone")["state"], "Capturing");
    reload(&lab, &ravelin, &[&job("changed", "udp"), &job("by-hand", "icmp"), &job("new", "icmp"), &same])
        .expect("nothing is wrong with it");
    ping_all(&lab.client, SERVER, 2, 56);
    ["new", "by-hand"].iter().for_each(|name| wait_for_packets(&ravelin, name, 4));
    wait_for_packets(&ravelin, "same", 10);
    assert_eq!(capture(&ravelin, "same")["started"], before["started"], "it went on undisturbed");
    assert_eq!(capture(&ravelin, "by-hand")["job"], true, "the job has taken its place");
    let changed = capture(&ravelin, "changed");
    assert_eq!(
        (&changed["state"], &changed["packets"]),
        (&"WaitingForTraffic".into(), &0.into()),
        "{changed}"
    );
    // Its files stay, and can be removed now.
    let stands = capture(&ravelin, "gone");
    assert_eq!(
        (&stands["state"], &stands["packets"], &stands["job"]),
        (&"Finished".into(), &6.into(), &false.into())
    );
    assert_eq!(requests(&lab.folder().join("captures/gone/gone-00001.pcapng")), 3);
    let page = lab.appliance.run("curl -sS http://127.0.0.1:9651/metrics");
    for line in [
        "ravelin_capture_packets_total{capture=\"same\"} 10",
        "ravelin_capture_lost_packets_total{capture=\"same\"} 0",
        "ravelin_capture_state{capture=\"same\",state=\"Capturing\"} 1",
        "ravelin_capture_state{capture=\"gone\",state=\"Capturing\"} 0",
        "ravelin_capture_state{capture=\"gone\",state=\"Finished\"} 1",
        "ravelin_capture_files{capture=\"gone\"} 1",
        "ravelin_capture_skipped_total{capture=\"gone\"} 0",
    ] {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
    let stored =
        fs::metadata(lab.folder().join("captures/gone/gone-00001.pcapng")).expect("it is there").len();
    assert!(page.contains(&format!("ravelin_capture_stored_bytes{{capture=\"gone\"}} {stored}\n")), "{page}");
    ask(&ravelin, "capture rm gone").expect("nobody declares it");
    assert!(!lab.folder().join("captures/gone").exists());
    ravelin.finish(&[]);
}
