//! Captures that something triggers: an alert, a rule, a drop reason, another verdict. Each has the packets from before it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
};

use ravelin_tests::{
    process::{wait_for, wait_until},
    ravelin::Ravelin,
    topology::{CLIENT, Lab, SERVER, bridge, guard, ping_all},
};
use rustix::net::{AddressFamily, Protocol, SendFlags, SocketType, sendto, socket};
use serde_json::Value;

/// A ring, and what triggers captures out of it. There is one feed, which a test may write.
fn config(lab: &Lab, trigger: &str, more: &str) -> String {
    let folder = lab.folder().display();
    format!(
        "[capture]\ndirectory = \"{folder}/captures\"\nmin_free = \"0B\"\n[capture.ring]\nmemory = \"64MiB\"\n\
         [capture.trigger]\nbefore = \"10m\"\nafter = \"3s\"\n{trigger}\n[records]\nfile = \"{folder}/records.jsonl\"\n\
         [threat]\ndirectory = \"{folder}/feeds\"\nguard = []\n[[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n\
         [[feed]]\nname = \"c2\"\nformat = \"lines\"\nseverity = 70\nfile = \"{folder}/list.txt\"\n{more}"
    )
}

/// Has the feed name these.
fn name(lab: &Lab, entries: &str) {
    let path = lab.folder().join("list.txt");
    let beside = path.with_extension("new");
    fs::write(&beside, format!("198.51.100.7\n{entries}")).expect("the folder is writable");
    fs::rename(beside, &path).expect("it is the same folder");
}

fn triggers(ravelin: &Ravelin) -> Value {
    let answer = ravelin.ask(&["capture", "show", "triggers", "--json"]).expect("something may trigger");
    serde_json::from_str(&answer).expect("JSON")
}

/// What was triggered for a cause, written, failed and suppressed.
fn counts(ravelin: &Ravelin, cause: &str) -> [u64; 4] {
    let shown = triggers(ravelin);
    let causes = shown["triggers"].as_array().expect("a list");
    let counts = causes.iter().find(|counts| counts["cause"] == cause).expect("each cause is there");
    ["fired", "written", "failed", "suppressed"].map(|kind| counts[kind].as_u64().expect("a number"))
}

/// The names of the complete files.
fn files(ravelin: &Ravelin) -> Vec<String> {
    let shown = triggers(ravelin);
    let files = shown["files"].as_array().expect("a list");
    files.iter().filter_map(|file| Some(file["name"].as_str()?.to_owned())).collect()
}

/// Waits until there is one complete file, and fetches it.
fn fetch(lab: &Lab, ravelin: &Ravelin) -> (String, PathBuf) {
    let name = wait_until("a file", || files(ravelin).pop());
    let path = lab.folder().join("got.pcapng");
    let output = path.display().to_string();
    ravelin.ask(&["capture", "get", "triggers", "--file", &name, "-o", &output]).expect("it is complete");
    (name, path)
}

/// The packets of a capture, as tcpdump tells them without times.
fn packets(file: &Path, expression: &str) -> Vec<String> {
    let output = Command::new("tcpdump").args(["-nn", "-t", "-r"]).arg(file).arg(expression).output();
    let output = output.expect("tcpdump was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// What tshark says of each packet: its comment.
fn comments(file: &Path) -> Vec<String> {
    let fields = ["-T", "fields", "-e", "frame.comment"];
    let output = Command::new("tshark").arg("-r").arg(file).args(fields).output();
    let output = output.expect("tshark was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// A connection, and another one to the same server that has nothing to do with it.
struct Talk {
    client: TcpStream,
    server: TcpStream,
}

impl Talk {
    fn begin(lab: &Lab, port: u16) -> Self {
        let listener = lab.server.inside(|| TcpListener::bind(("0.0.0.0", port))).expect("the port is free");
        let client = lab.client.inside(|| TcpStream::connect((SERVER, port))).expect("it is allowed");
        let (server, _) = listener.accept().expect("a connection");
        Self { client, server }
    }

    /// Says a word, which arrives.
    fn say(&mut self, word: &str) {
        self.client.write_all(word.as_bytes()).expect("the connection is open");
        let mut heard = vec![0; word.len()];
        self.server.read_exact(&mut heard).expect("what is said arrives");
        assert_eq!(heard, word.as_bytes());
    }

    /// Says a word, whatever becomes of it.
    fn try_to_say(&mut self, word: &str) {
        self.client.write_all(word.as_bytes()).expect("its own end is open");
    }
}

/// Whether a file has bytes in it.
fn has(file: &Path, word: &str) -> bool {
    let bytes = fs::read(file).expect("it was just written");
    bytes.windows(word.len()).any(|piece| piece == word.as_bytes())
}

#[test]
fn an_alert_names_the_file_with_what_came_before_it() {
    let Some(lab) = Lab::new(&["tcpdump", "tshark", "ping"]) else { return };
    name(&lab, "");
    let ravelin = lab.ravelin(&config(&lab, "alerts = true\nalert_severity = 70", ""));
    let (mut listed, mut other) = (Talk::begin(&lab, 2222), Talk::begin(&lab, 3333));
    listed.say("long before the alert");
    other.say("what is nobody's business");
    ping_all(&lab.client, SERVER, 2, 56);
    name(&lab, &format!("{SERVER}\n"));
    // It is judged again at what it says next, which does not arrive. Only that port: the other says nothing any more.
    let generation = || ravelin.show("status")["generation"].as_u64();
    wait_for("the list to be read", || generation() >= Some(2));
    listed.try_to_say("at the moment of the alert");
    let alert = wait_until("the alert", || ravelin.show("alerts")["alerts"].as_array()?.first().cloned());
    let named = alert["capture_file"].as_str().expect("the alert names a file").to_owned();
    let text = ravelin.ask(&["show", "alerts"]).expect("an answer");
    assert!(text.contains("packets:"), "{text}");
    let (file, path) = fetch(&lab, &ravelin);
    assert_eq!(Path::new(&named).file_name().and_then(|name| name.to_str()), Some(&*file));
    assert!(named.starts_with(&format!("{}/captures/triggers/", lab.folder().display())), "{named}");
    assert!(file.contains(&format!("-alert-{SERVER}-")) && file.ends_with(".pcapng"), "{file}");
    assert!(has(&path, "long before the alert"), "{:?}", packets(&path, ""));
    // The client's kernel tries again and again.
    let bytes = fs::read(&path).expect("it was just written");
    let tries = bytes.windows(26).filter(|piece| piece == b"at the moment of the alert").count();
    assert!(tries > 1, "what came after it: {:?}", packets(&path, ""));
    assert!(!has(&path, "nobody's business"));
    assert_eq!(packets(&path, "not tcp port 2222"), [""; 0], "only that flow");
    let handshake = packets(&path, "tcp[tcpflags] & tcp-syn != 0");
    assert_eq!(handshake.len(), 2, "its beginning: {handshake:?}");
    let comments = comments(&path);
    assert!(comments.iter().any(|comment| comment.starts_with("allow")), "{comments:?}");
    assert!(comments.iter().any(|comment| comment.contains("threat.feed:c2")), "{comments:?}");
    assert_eq!(counts(&ravelin, "alert"), [1, 1, 0, 0]);
    assert_eq!(triggers(&ravelin)["state"], "WaitingForTraffic");
    let listed = ravelin.ask(&["capture", "list"]).expect("an answer");
    assert!(listed.contains("triggers"), "{listed}");
    for (words, says) in [
        ("capture stop triggers", "what is triggered is not stopped here"),
        ("capture start triggers", "no name of a capture"),
    ] {
        let error = ravelin.ask(&words.split(' ').collect::<Vec<_>>()).expect_err(words);
        assert!(error.contains(says), "{error}");
    }
    ravelin.ask(&["capture", "clean"]).expect("there is one");
    assert_eq!(files(&ravelin), [""; 0]);
    let counters = ravelin.finish(&["rule_deny", "flow_cut"]);
    assert_eq!((counters["triggers_lost"], counters["capture_lost"]), (0, 0));
    let records = fs::read_to_string(lab.folder().join("records.jsonl")).expect("there are records");
    let line = records.lines().find(|line| line.contains("\"event_type\":\"alert\"")).expect("the alert");
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(
        (&line["capture_file"], &line["threat"]["capture_file"]),
        (&named.clone().into(), &named.into())
    );
}

#[test]
fn a_rule_has_the_flows_saved_that_meet_it() {
    let Some(lab) = Lab::new(&["tcpdump", "tshark"]) else { return };
    name(&lab, "");
    let rule = "action = \"log\"\nprotocol = \"tcp\"\ndestination = { ports = [2222] }\ncapture = true";
    let ravelin = lab.ravelin(&config(&lab, "", &guard("", &[rule, "action = \"allow\""])));
    assert_eq!(triggers(&ravelin)["state"], "WaitingForTraffic");
    let (mut wanted, mut other) = (Talk::begin(&lab, 2222), Talk::begin(&lab, 3333));
    wanted.say("what is wanted");
    other.say("what is not");
    let (file, path) = fetch(&lab, &ravelin);
    assert!(file.contains(&format!("-rule-{SERVER}-")), "{file}");
    assert!(has(&path, "what is wanted") && !has(&path, "what is not"));
    assert!(has(&path, "a rule that captures was met"), "the file says why");
    assert_eq!(packets(&path, "not tcp port 2222"), [""; 0]);
    assert_eq!(counts(&ravelin, "rule"), [1, 1, 0, 0]);
    let counters = ravelin.finish(&[]);
    assert_eq!(counters["triggers_lost"], 0);
}

#[test]
fn a_drop_reason_has_the_flow_saved_and_what_cannot_be_parsed_as_well() {
    let Some(lab) = Lab::new(&["tcpdump", "tshark"]) else { return };
    name(&lab, "");
    let rule = "action = \"deny\"\nprotocol = \"udp\"\ndestination = { ports = [5353] }";
    let trigger = "drop_reasons = [\"rule_deny\", \"udp_length\"]";
    let ravelin = lab.ravelin(&config(&lab, trigger, &guard("", &[rule, "action = \"allow\""])));
    let speaker = lab.client.inside(|| UdpSocket::bind((CLIENT, 4444))).expect("the port is free");
    speaker.send_to(b"allowed", (SERVER, 4321)).expect("there is a route");
    for _ in 0..3 {
        speaker.send_to(b"denied", (SERVER, 5353)).expect("there is a route");
    }
    let (file, path) = fetch(&lab, &ravelin);
    assert!(file.contains(&format!("-drop-rule_deny-{SERVER}-")), "{file}");
    assert_eq!((packets(&path, "udp port 5353").len(), packets(&path, "not udp port 5353").len()), (3, 0));
    assert!(comments(&path).iter().all(|comment| comment.contains("(rule_deny)")));
    assert_eq!(counts(&ravelin, "drop"), [1, 1, 0, 0]);
    ravelin.ask(&["capture", "rm", "triggers"]).expect("its files may go");
    // A datagram that says it is longer than it is: without a flow, it is told by its addresses.
    lab.client.inside(|| {
        let udp = Protocol::from_raw(17.try_into().expect("not zero"));
        let socket = socket(AddressFamily::INET, SocketType::RAW, Some(udp)).expect("root has raw sockets");
        let to: SocketAddr = format!("{SERVER}:0").parse().expect("an address");
        let datagram = b"\x11\x5c\x10\xe1\x40\x00\x00\x00malformed";
        sendto(&socket, datagram, SendFlags::empty(), &to).expect("there is a route");
    });
    let (file, path) = fetch(&lab, &ravelin);
    assert!(file.contains(&format!("-drop-udp_length-{SERVER}-")), "{file}");
    assert!(has(&path, "malformed") && has(&path, "allowed"), "{:?}", packets(&path, ""));
    assert_eq!(counts(&ravelin, "drop"), [2, 2, 0, 0]);
    ravelin.finish(&["rule_deny", "udp_length"]);
}

#[test]
fn a_verdict_that_changes_has_the_flow_saved() {
    let Some(lab) = Lab::new(&["tcpdump", "tshark"]) else { return };
    name(&lab, "");
    let with = |trigger: &str, action: &str| {
        let deny = format!("action = \"{action}\"\nprotocol = \"tcp\"\ndestination = {{ ports = [2222] }}");
        config(&lab, trigger, &guard("", &[&deny, "action = \"allow\""]))
    };
    let ravelin = lab.ravelin(&with("", "allow"));
    let (mut cut, mut other) = (Talk::begin(&lab, 2222), Talk::begin(&lab, 3333));
    cut.say("while it is allowed");
    other.say("as before");
    // That there are triggers is taken over as well.
    ravelin.rewrite(&(bridge("open") + &with("verdict_changes = true", "deny")));
    ravelin.reload().expect("it can be taken over");
    cut.try_to_say("when it is not");
    other.say("as ever");
    let (file, path) = fetch(&lab, &ravelin);
    assert!(file.contains(&format!("-verdict-{SERVER}-")), "{file}");
    assert!(has(&path, "while it is allowed") && has(&path, "when it is not") && !has(&path, "as "));
    assert!(has(&path, "the verdict changed from allow to deny"));
    assert_eq!(packets(&path, "not tcp port 2222"), [""; 0]);
    assert_eq!(counts(&ravelin, "verdict"), [1, 1, 0, 0]);
    // What cannot be is refused, and what is there stays.
    ravelin.rewrite(&(bridge("open") + &with("drop_reasons = [\"nonsense\"]", "deny")));
    let error = ravelin.reload().expect_err("there is no such reason");
    assert!(error.contains("[capture.trigger]: there is no drop reason `nonsense`"), "{error}");
    ravelin.finish(&["flow_cut"]);
}

#[test]
fn what_is_too_much_is_counted_and_said_and_traffic_goes_on() {
    let Some(lab) = Lab::new(&["ping", "curl"]) else { return };
    name(&lab, "");
    let rule = "action = \"allow\"\nprotocol = \"udp\"\ncapture = true";
    let metrics = "[metrics]\nlisten = \"127.0.0.1:9651\"\n";
    let with =
        |limit: &str| config(&lab, limit, &(metrics.to_owned() + &guard("", &[rule, "action = \"allow\""])));
    let ravelin = lab.ravelin(&with("per_minute = 2"));
    // Nothing can be written there.
    let directory = lab.folder().join("captures/triggers");
    fs::write(&directory, "no directory").expect("the folder is writable");
    for port in 6001..=6010 {
        let socket = lab.client.inside(|| UdpSocket::bind((CLIENT, port))).expect("the port is free");
        socket.send_to(b"one of ten", (SERVER, 4321)).expect("there is a route");
    }
    wait_for("all to be noticed", || counts(&ravelin, "rule")[0] == 10);
    wait_for("the files to fail", || counts(&ravelin, "rule") == [10, 0, 2, 8]);
    let shown = triggers(&ravelin);
    assert_eq!(shown["state"], "Error", "{shown}");
    ping_all(&lab.client, SERVER, 5, 56);
    // With room again, and more than two in a minute.
    ravelin.rewrite(&(bridge("open") + &with("per_minute = 100")));
    ravelin.reload().expect("it can be taken over");
    fs::remove_file(&directory).expect("it is ours");
    let socket = lab.client.inside(|| UdpSocket::bind((CLIENT, 6011))).expect("the port is free");
    socket.send_to(b"one more", (SERVER, 4321)).expect("there is a route");
    wait_for("the file", || counts(&ravelin, "rule") == [11, 1, 2, 8]);
    let shown = triggers(&ravelin);
    assert_eq!((&shown["state"], shown["error"].is_null()), (&"WaitingForTraffic".into(), true), "{shown}");
    let page = lab.appliance.run("curl -sS http://127.0.0.1:9651/metrics");
    for line in [
        "ravelin_capture_triggers_fired_total{cause=\"rule\"} 11",
        "ravelin_capture_triggers_total{cause=\"rule\",result=\"suppressed\"} 8",
        "ravelin_capture_triggers_total{cause=\"rule\",result=\"failed\"} 2",
        "ravelin_capture_triggers_total{cause=\"rule\",result=\"written\"} 1",
        "ravelin_capture_triggers_under_way 0",
    ] {
        assert!(page.lines().any(|it| it == line), "no `{line}` in:\n{page}");
    }
    let (counters, log) = ravelin.finish_with_log(&[]);
    assert_eq!(counters["triggers_lost"], 0);
    assert_eq!(log.matches("more is triggered than").count(), 1, "{log}");
    assert_eq!(log.matches("could not be written").count(), 2, "{log}");
}
