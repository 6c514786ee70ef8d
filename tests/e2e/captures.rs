//! Captures: on demand, from before anyone asked, over `kill -9`, and when there is no room.

use std::{fs, path::Path, process::Command};

use ravelin_tests::{
    process::wait_for,
    ravelin::Ravelin,
    topology::{CLIENT, Lab, SERVER, ping_all},
};
use serde_json::Value;

fn config(lab: &Lab, more: &str) -> String {
    let folder = lab.folder().display();
    format!("[capture]\ndirectory = \"{folder}/captures\"\nmin_free = \"0B\"\n{more}")
}

const RING: &str = "[capture.ring]\nmemory = \"64MiB\"\n";

/// The packets of a capture, as tcpdump tells them without times.
fn packets(file: &Path, expression: &str) -> Vec<String> {
    let output = Command::new("tcpdump").args(["-nn", "-t", "-r"]).arg(file).arg(expression).output();
    let output = output.expect("tcpdump was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn capture(ravelin: &Ravelin, name: &str) -> Value {
    let answer = ravelin.ask(&["capture", "show", name, "--json"]).expect("there is such a capture");
    serde_json::from_str(&answer).expect("JSON")
}

fn ask(ravelin: &Ravelin, words: &str) -> Result<String, String> {
    ravelin.ask(&words.split(' ').collect::<Vec<_>>())
}

#[test]
fn what_is_captured_is_what_was_sent() {
    let Some(lab) = Lab::new(&["ping", "tcpdump"]) else { return };
    let ravelin = lab.ravelin(&config(&lab, ""));
    let start = ravelin.ask(&["capture", "start", "echo", "--filter", "icmp", "--snaplen", "64"]);
    start.expect("nothing is wrong with it");
    assert_eq!(capture(&ravelin, "echo")["state"], "WaitingForTraffic");
    ping_all(&lab.client, SERVER, 5, 56);
    wait_for("all packets", || capture(&ravelin, "echo")["packets"] == 10);
    assert_eq!(capture(&ravelin, "echo")["state"], "Capturing");
    ask(&ravelin, "capture stop echo").expect("it is under way");
    let stands = capture(&ravelin, "echo");
    assert_eq!((&stands["state"], &stands["lost"]), (&"Finished".into(), &0.into()));
    let file = lab.folder().join("got.pcapng");
    ask(&ravelin, &format!("capture get echo -o {}", file.display())).expect("there is a file");
    let requests = packets(&file, "icmp[icmptype] = icmp-echo");
    assert_eq!((requests.len(), packets(&file, "").len()), (5, 10));
    assert!(requests[0].contains(&format!("IP {CLIENT} > {SERVER}: ICMP echo request")), "{requests:?}");
    // What cannot be is refused, and nothing begins.
    for (words, says) in [
        ("capture start echo", "there is a capture `echo` already"),
        ("capture start ../x", "no name of a capture"),
        ("capture start a --drop-reason nonsense", "no drop reason `nonsense`"),
        ("capture start a --direction in", "give a selector"),
        ("capture show a", "there is no capture `a`"),
        ("capture stop a", "there is no capture `a`"),
        ("capture save -o /dev/null", "there is no ring"),
    ] {
        let error = ask(&ravelin, words).expect_err(words);
        assert!(error.contains(says), "{words}: {error}");
    }
    let error = ravelin.ask(&["capture", "start", "a", "--filter", "prot tcp"]).expect_err("no expression");
    assert!(error.contains("syntax error"), "{error}");
    assert!(!lab.folder().join("captures/a").exists(), "nothing was made for what is refused");
    // What is refused leaves what was there.
    let before = fs::read(&file).expect("it was just written");
    ravelin.ask(&["capture", "save", "-o", &file.display().to_string()]).expect_err("there is no ring");
    assert_eq!(fs::read(&file).expect("it is still there"), before);
    ask(&ravelin, "capture clean").expect("there is one");
    assert_eq!(ask(&ravelin, "capture list").expect("an answer").trim(), "there is no capture");
    assert!(!lab.folder().join("captures/echo").exists());
    let counters = ravelin.finish(&[]);
    assert_eq!(counters["capture_lost"], 0);
    assert_eq!(counters["capture_offered"], counters["capture_filtered"] + counters["captured"]);
}

#[test]
fn the_ring_has_what_came_before() {
    let Some(lab) = Lab::new(&["ping", "tcpdump"]) else { return };
    let ravelin = lab.ravelin(&config(&lab, RING));
    ping_all(&lab.client, SERVER, 5, 56);
    let file = lab.folder().join("saved.pcapng");
    let save = format!("capture save --last 5m --host {SERVER} --filter icmp -o {}", file.display());
    wait_for("the worker to give what it has", || {
        ask(&ravelin, &save).expect("there is a ring");
        packets(&file, "icmp").len() == 10
    });
    assert_eq!(packets(&file, "not icmp"), [""; 0]);
    let other = format!("capture save --host 192.0.2.99 -o {}", file.display());
    ask(&ravelin, &other).expect("there is a ring");
    assert_eq!(packets(&file, ""), [""; 0]);
    ravelin.finish(&[]);
}

#[test]
fn a_capture_outlives_the_process_that_began_it() {
    let Some(lab) = Lab::new(&["ping", "tcpdump"]) else { return };
    let config = config(&lab, "");
    let ravelin = lab.ravelin(&config);
    ravelin.ask(&["capture", "start", "echo", "--filter", "icmp"]).expect("nothing is wrong with it");
    ping_all(&lab.client, SERVER, 3, 56);
    wait_for("all packets", || capture(&ravelin, "echo")["packets"] == 6);
    ravelin.kill();
    // What it wrote is there, and can be read.
    let folder = lab.folder().join("captures/echo");
    let parts = fs::read_dir(&folder).expect("the capture has a directory").flatten();
    let part = parts.map(|entry| entry.path()).find(|path| path.is_file()).expect("it has a file");
    assert_eq!(packets(&part, "icmp").len(), 6);
    let ravelin = lab.ravelin(&config);
    ping_all(&lab.client, SERVER, 2, 56);
    wait_for("the packets that came later", || {
        ask(&ravelin, "capture list --json")
            .is_ok_and(|_| capture(&ravelin, "echo")["packets"].as_u64() >= Some(4))
    });
    ask(&ravelin, "capture stop echo").expect("it goes on");
    ravelin.finish(&[]);
}

#[test]
fn a_full_disk_ends_the_capture_and_nothing_else() {
    let Some(lab) = Lab::new(&["ping", "tcpdump"]) else { return };
    let directory = lab.folder().join("captures");
    fs::create_dir_all(&directory).expect("the folder is writable");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&directory).status();
    assert!(mounted.is_ok_and(|status| status.success()), "we are root");
    let _unmounted = Mounted(&directory);
    let ravelin = lab.ravelin(&config(&lab, ""));
    ravelin.ask(&["capture", "start", "all"]).expect("nothing is wrong with it");
    ping_all(&lab.client, SERVER, 100, 1400);
    wait_for("the capture to end", || capture(&ravelin, "all")["state"] == "Error");
    let stands = capture(&ravelin, "all");
    assert!(stands["lost"].as_u64() > Some(0), "{stands}");
    assert!(stands["error"].as_str().is_some_and(|error| error.contains("space")), "{stands}");
    ping_all(&lab.client, SERVER, 5, 56);
    ravelin.finish(&[]);
}

struct Mounted<'p>(&'p Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
