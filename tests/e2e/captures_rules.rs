//! Captures of what a rule decided, of packets as they leave, and flows found in the ring.

use std::{fs, path::Path, process::Command};

use ravelin_tests::{
    process::wait_for,
    ravelin::Ravelin,
    topology::{Lab, SERVER, guard, ping_all},
};
use serde_json::Value;

fn config(lab: &Lab, more: &str) -> String {
    let folder = lab.folder().display();
    format!("[capture]\ndirectory = \"{folder}/captures\"\nmin_free = \"0B\"\n{more}")
}

fn captured(ravelin: &Ravelin, name: &str) -> u64 {
    let answer = ravelin.ask(&["capture", "show", name, "--json"]).expect("there is such a capture");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    answer["packets"].as_u64().expect("a number")
}

/// A line for each packet of a file: these fields of tshark's, with blanks between.
fn fields(file: &Path, fields: &[&str]) -> Vec<String> {
    let mut tshark = Command::new("tshark");
    tshark.args([
        "-n",
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
        "-T",
        "fields",
        "-E",
        "separator=/s",
    ]);
    tshark.args(fields.iter().flat_map(|field| ["-e", field])).arg("-r").arg(file);
    let output = tshark.output().expect("tshark was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_owned()).collect()
}

fn got(lab: &Lab, ravelin: &Ravelin, name: &str) -> std::path::PathBuf {
    ravelin.ask(&["capture", "stop", name]).expect("it is under way");
    let file = lab.folder().join(format!("{name}.pcapng"));
    ravelin.ask(&["capture", "get", name, "-o", &file.display().to_string()]).expect("there is a file");
    file
}

const RULES: [&str; 2] =
    ["action = \"deny\"\nprotocol = \"udp\"\ndestination.ports = [7001]", "action = \"allow\""];

/// Datagrams to the server, on one port or the other.
fn send(lab: &Lab, port: u16, count: u32) {
    let script = format!("for i in $(seq {count}); do echo x > /dev/udp/{SERVER}/{port}; done");
    let sent = lab.client.command("bash").args(["-c", &script]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn a_capture_has_what_its_rule_decided() {
    let Some(lab) = Lab::new(&["ping", "tshark", "bash"]) else { return };
    let config = config(&lab, &guard("", &RULES));
    let ravelin = lab.ravelin(&config);
    for arguments in [
        "all",
        "denied --policy guard --rule 0",
        "allowed --policy default.guard --rule 1",
        "tier --tier default",
    ] {
        let words: Vec<_> = ["capture", "start"].into_iter().chain(arguments.split(' ')).collect();
        ravelin.ask(&words).expect("nothing is wrong with it");
    }
    let error = ravelin.ask(&["capture", "start", "x", "--policy", "gaurd"]).expect_err("there is none");
    assert!(error.contains("there is no policy `gaurd`; there is `default.guard`"), "{error}");
    send(&lab, 7001, 5);
    ping_all(&lab.client, SERVER, 5, 56);
    // The same rules, but other numbers: the captures go on.
    let rules = [RULES[0], "action = \"log\"\nprotocol = \"tcp\"", RULES[1]];
    ravelin.rewrite(&format!(
        "{}\n{}",
        ravelin_tests::topology::bridge("open"),
        self::config(&lab, &guard("", &rules))
    ));
    ravelin.reload().expect("it is right");
    send(&lab, 7001, 5);
    wait_for("what was denied", || captured(&ravelin, "denied") == 10);
    let all = got(&lab, &ravelin, "all");
    let told = fields(&all, &["frame.time_epoch", "frame.comment"]);
    let of_rule = |rule: &str| -> Vec<_> {
        let says = format!("by default.guard rule {rule}");
        told.iter().filter(|line| line.contains(&says)).cloned().collect()
    };
    for (name, expected) in [("denied", of_rule("0")), ("allowed", of_rule("1")), ("tier", of_rule(""))] {
        let file = got(&lab, &ravelin, name);
        assert!(!expected.is_empty(), "{told:?}");
        assert_eq!(fields(&file, &["frame.time_epoch", "frame.comment"]), expected, "{name}");
    }
    ravelin.finish(&["rule_deny"]);
}

#[test]
fn what_leaves_has_its_checksums_and_the_interface_through_which_it_leaves() {
    let Some(lab) = Lab::new(&["ping", "tshark", "bash"]) else { return };
    let reject =
        ["action = \"reject\"\nprotocol = \"udp\"\ndestination.ports = [7001]", "action = \"allow\""];
    let ravelin = lab.ravelin(&config(&lab, &guard("", &reject)));
    for name in ["received", "forwarded"] {
        let words = ["capture", "start", name, "--point", name, "--filter", "udp or icmp"];
        ravelin.ask(&words).expect("nothing is wrong with it");
    }
    send(&lab, 7000, 5);
    send(&lab, 7001, 2);
    wait_for("all packets", || captured(&ravelin, "received") >= 12 && captured(&ravelin, "forwarded") >= 12);
    let what = ["frame.interface_name", "udp.dstport", "udp.checksum.status", "icmp.code", "frame.comment"];
    let (received, forwarded) = (got(&lab, &ravelin, "received"), got(&lab, &ravelin, "forwarded"));
    let (received, forwarded) = (fields(&received, &what), fields(&forwarded, &what));
    let with = |lines: &[String], begin: &str, word: &str| {
        lines.iter().filter(|line| line.starts_with(begin) && line.contains(word)).count()
    };
    // As the client's stack left them, as they came to the server, and what this answered: port unreachable.
    assert_eq!(with(&received, "outside 7000 0", "allow"), 5, "{received:#?}");
    assert_eq!(with(&forwarded, "inside 7000 1", "allow"), 5, "{forwarded:#?}");
    assert_eq!(with(&forwarded, "outside 7000", "allow"), 5, "{forwarded:#?}");
    // What was rejected does not leave, and its answers were not received.
    assert_eq!((with(&received, "outside 7001", "reject"), with(&forwarded, "inside 7001", "")), (2, 0));
    assert_eq!(
        (with(&received, "", "inject"), with(&forwarded, "outside 7001", "inject")),
        (0, 2),
        "{forwarded:#?}"
    );
    let counters = ravelin.finish(&["rule_reject"]);
    assert_eq!(
        counters["capture_offered"],
        counters["capture_filtered"] + counters["captured"] + counters["capture_lost"]
    );
}

#[test]
fn a_flow_is_found_in_the_ring() {
    let Some(lab) = Lab::new(&["ping", "tshark", "bash"]) else { return };
    let ring = "[capture.ring]\nmemory = \"64MiB\"\ndisk = \"64MiB\"\n";
    let records = lab.folder().join("records.json");
    let records_to = format!("[records]\nfile = \"{}\"\n", records.display());
    let ravelin = lab.ravelin(&config(&lab, &format!("{ring}{records_to}")));
    ping_all(&lab.client, SERVER, 5, 56);
    send(&lab, 7000, 1);
    send(&lab, 7001, 3);
    let file = lab.folder().join("saved.pcapng");
    let save = |words: &str| {
        let words =
            ["capture", "save", "-o", file.to_str().expect("a path")].into_iter().chain(words.split(' '));
        ravelin
            .ask(&words.collect::<Vec<_>>())
            .map(|_| fields(&file, &["udp.srcport", "udp.dstport", "icmp.type"]))
    };
    wait_for("the worker to give what it has", || {
        save("--port 7001 --protocol udp").expect("a ring").len() >= 3
    });
    let one = save("--filter udp[2:2]=7000").expect("there is a ring");
    let port = one[0].split(' ').next().expect("a port").to_owned();
    let flow = format!("--flow {}:{port}-{SERVER}:7000/udp", ravelin_tests::topology::CLIENT);
    assert_eq!(save(&flow).expect("there is a ring")[0], format!("{port} 7000"));
    let pings =
        save(&format!("--flow {SERVER}-{}/icmp", ravelin_tests::topology::CLIENT)).expect("there is a ring");
    assert!(pings.iter().filter(|line| **line == "8").count() == 5, "{pings:?}");
    for (words, says) in [
        ("--flow 10.0.0.1/tcp", "is no flow"),
        ("--community-id 1:x", "no Community ID"),
        ("--port 7 --protocol icmp", "icmp has no ports"),
        ("--protocol nonsense", "is not a protocol"),
    ] {
        let error = save(words).expect_err(words);
        assert!(error.contains(says), "{words}: {error}");
    }
    // By the name that flow records have for it.
    let ravelin = {
        ravelin.finish(&[]);
        lab.ravelin(&config(&lab, &format!("{ring}{records_to}")))
    };
    let text = fs::read_to_string(&records).expect("records were written");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let record = records.iter().find(|record| record["dest_port"] == 7000).expect("a record of the flow");
    let name = record["community_id"].as_str().expect("it has one");
    let file = lab.folder().join("named.pcapng");
    wait_for("what was on the disk", || {
        let words = ["capture", "save", "--community-id", name, "-o", file.to_str().expect("a path")];
        ravelin.ask(&words).expect("there is a ring");
        fields(&file, &["udp.srcport", "udp.dstport"]).contains(&format!("{port} 7000"))
    });
    ravelin.finish(&[]);
}
