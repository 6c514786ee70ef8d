//! Flow records of a running appliance.

use std::{
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
};

use ravelin_tests::{
    process::{run, wait_for},
    ravelin::logged,
    topology::{CLIENT, ENDPOINTS, Lab, SERVER, ping_all},
};
use serde_json::Value;

/// The records of a file, but for a last one that is cut off. Panics if a line is not a whole JSON object.
fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("there are records");
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    whole.lines().map(|line| serde_json::from_str(line).expect("a record is JSON")).collect()
}

#[test]
fn every_flow_is_recorded_when_it_ends() {
    let Some(lab) = Lab::new(&["busybox", "curl", "ping"]) else { return };
    let path = lab.folder().join("records.jsonl");
    let policy = r#"
[[policy]]
name = "no-discard"
[[policy.ingress]]
action = "deny"
protocol = "udp"
destination = { ports = [9] }
[[policy.ingress]]
action = "allow"
"#;
    let ravelin = lab.ravelin(&format!("{ENDPOINTS}{policy}[records]\nfile = \"{}\"\n", path.display()));
    lab.random_file("page", 200_000);
    let folder = lab.folder().display();
    let _server = lab.serve(&lab.server, 80, &format!("busybox httpd -f -p 80 -h {folder}"));
    lab.client.run(&format!("curl --silent --fail --output {folder}/copy http://{SERVER}/page"));
    ping_all(&lab.client, SERVER, 10, 56);
    let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
    for _ in 0..3 {
        socket.send_to(b"to be dropped", (SERVER, 9)).expect("the client may send");
    }
    ravelin.wait_for_flow("--port 9", |flow| flow["packets"][0] == 3);
    let created = ravelin.finish(&["rule_deny"])["flows_created"];

    let records = read(&path);
    let flows: Vec<&Value> = records.iter().filter(|record| record["event_type"] == "flow").collect();
    assert_eq!(flows.len() as u64, created, "one record for each flow");
    let find = |port: u16| flows.iter().find(|flow| flow["dest_port"] == port).expect("the flow is recorded");
    let visit = find(80);
    assert_eq!((&visit["src_ip"], &visit["dest_ip"]), (&CLIENT.into(), &SERVER.into()));
    assert_eq!((&visit["proto"], &visit["ravelin"]["verdict"]), (&"TCP".into(), &"allow".into()));
    assert!(visit["flow"]["bytes_toclient"].as_u64() > Some(200_000));
    assert_eq!(visit["flow"]["state"], "closed");
    let denied = find(9);
    assert_eq!(denied["flow"]["pkts_toserver"], 3);
    let said = &denied["ravelin"];
    assert_eq!((&said["policy"], &said["rule"]), (&"default.no-discard".into(), &0.into()));
    // The client's egress is decided by its profile, the server's ingress by the policy.
    let way = ["0|__PROFILE__|__PROFILE__.default-allow|allow|0", "0|default|default.no-discard|deny|0"];
    assert_eq!(said["policies"]["enforced"], serde_json::json!(way));
}

#[test]
fn rotation_loses_no_record() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let path = lab.folder().join("records.jsonl");
    let more = format!("[records]\nfile = \"{}\"\n[flow.timeouts]\nudp_new = \"1ms\"\n", path.display());
    let ravelin = lab.ravelin(&more);
    ping_all(&lab.client, SERVER, 5, 56);
    let mut rotated = Vec::new();
    for round in 0..10 {
        for _ in 0..200 {
            let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
            socket.send_to(b"a flow of its own", (SERVER, 9)).expect("the client may send");
        }
        let name = lab.folder().join(format!("records.jsonl.{round}"));
        fs::rename(&path, &name).expect("the file is there");
        if round % 2 == 0 {
            // As `postrotate` does; from here on the file may be compressed.
            ravelin.reload().expect("the configuration is the same");
            let length = |name: &Path| name.metadata().expect("it is still there").len();
            rotated.push((name.clone(), Some(length(&name))));
        } else {
            rotated.push((name.clone(), None));
        }
        wait_for("a new file", || path.exists());
    }
    let created = ravelin.finish(&[])["flows_created"];
    let mut records = read(&path).len();
    for (name, length) in rotated {
        let text = fs::read_to_string(&name).expect("it is still there");
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", name.display());
        assert!(length.is_none_or(|length| text.len() as u64 == length), "{} has grown", name.display());
        records += read(&name).len();
    }
    assert_eq!(records as u64, created, "one record for each flow");
}

/// A file system of 64 KiB. Unmounted when dropped.
struct Tiny(PathBuf);

impl Tiny {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).expect("the folder is writable");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&path));
        Self(path)
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

#[test]
fn a_full_disk_costs_records_and_no_packet() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let tiny = Tiny::new(lab.folder().join("tiny"));
    let path = tiny.0.join("records.jsonl");
    let more =
        format!("[records]\nfile = \"{}\"\nring = 64\n[flow.timeouts]\nudp_new = \"1ms\"\n", path.display());
    let ravelin = lab.ravelin(&more);
    ping_all(&lab.client, SERVER, 5, 56);
    for _ in 0..2_000 {
        let socket = lab.client.inside(|| UdpSocket::bind("0.0.0.0:0")).expect("a socket");
        socket.send_to(b"a flow of its own", (SERVER, 9)).expect("the client may send");
    }
    ravelin.wait_for_counters("the flows to end and their records to be lost", |counters| {
        counters["flows_expired"] >= 2_000 && counters["records_lost"] > 0
    });
    ping_all(&lab.client, SERVER, 20, 56);
    let (counters, log) = ravelin.finish_with_log(&[]);
    let kept = read(&path).len() as u64;
    let unwritten = logged(&log, "unwritten");
    println!("kept {kept}, not written {unwritten}, lost before {}", counters["records_lost"]);
    assert!(kept > 0 && unwritten > 0);
    assert_eq!(kept + unwritten + counters["records_lost"], counters["flows_created"], "{log}");
}
