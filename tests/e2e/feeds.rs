//! Threat feeds: what they name is blocked while packets flow, told, and allowed again when it leaves.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use ravelin_tests::{
    process::{attempt, wait_for},
    ravelin::Ravelin,
    topology::{CLIENT, Lab, SERVER, bridge, ping_all, pings, wait_for_port},
};
use serde_json::Value;

/// A feed that is a file, and nothing else; the laboratory's addresses are private, and so guarded unless this says otherwise.
fn config(lab: &Lab, guard: &str, source: &str) -> String {
    let folder = lab.folder().display();
    format!(
        "[records]\nfile = \"{folder}/records.jsonl\"\n[threat]\ndirectory = \"{folder}/feeds\"\n{guard}\n\
         [[feed]]\nname = \"feodo\"\nmode = \"disabled\"\n[[feed]]\nname = \"c2\"\n{source}\n"
    )
}

const NO_GUARD: &str = "guard = []";

/// The FEODO Tracker's layout.
fn feodo(lab: &Lab, entries: &[(&str, u16)]) -> PathBuf {
    let mut text = "# A list of servers of botnets\n#\n\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\"malware\"\n"
        .to_owned();
    for (address, port) in entries {
        text += &format!(
            "\"2024-02-08 19:20:49\",\"{address}\",\"{port}\",\"online\",\"2024-03-11\",\"Pikabot\"\n"
        );
    }
    let path = lab.folder().join("feed.csv");
    // A reader never sees half of it.
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("the folder is writable");
    fs::rename(beside, &path).expect("it is the same folder");
    path
}

fn feed(ravelin: &Ravelin, name: &str) -> Value {
    let feeds = ravelin.ask(&["feed", "list", "--json"]).expect("the process answers");
    let feeds: Vec<Value> = serde_json::from_str(&feeds).expect("a list");
    feeds.into_iter().find(|feed| feed["name"] == name).expect("the feed is configured")
}

#[test]
fn nothing_reaches_what_a_feed_names_and_it_is_said_why() {
    let Some(lab) = Lab::new(&["busybox", "curl"]) else { return };
    let path = feodo(&lab, &[(SERVER, 8080), ("198.51.100.7", 443)]);
    let ravelin = lab.ravelin(&config(&lab, NO_GUARD, &format!("file = \"{}\"", path.display())));
    let folder = lab.folder().display();
    let _listed = lab.serve(&lab.server, 8080, &format!("busybox httpd -f -p 8080 -h {folder}"));
    let _other = lab.serve(&lab.server, 8081, &format!("busybox httpd -f -p 8081 -h {folder}"));
    let curl = |port: u16| {
        let line = format!("curl -sS -o /dev/null --max-time 2 http://{SERVER}:{port}/feed.csv");
        attempt(&mut lab.client.split(&line)).0.code()
    };
    // Only the port that the list names.
    assert_eq!((curl(8081), curl(8080)), (Some(0), Some(28)));
    let flow = ravelin.wait_for_flow(&format!("--dst {SERVER} --port 8080"), |_| true);
    assert_eq!((&flow["verdict"], &flow["drop_reason"]), (&"deny".into(), &"rule_deny".into()));
    assert_eq!(flow["policy"], "threat.feed:c2");
    assert_eq!(flow["packets"][0].as_u64().map(|sent| sent > 0), Some(true), "{flow}");
    // Once more: it is the same alert.
    assert_eq!(curl(8080), Some(28));
    wait_for("both attempts to be noted", || feed(&ravelin, "c2")["hits"] == 2);
    let alerts = ravelin.show("alerts");
    let [alert] = &alerts["alerts"].as_array().expect("a list")[..] else { panic!("{alerts}") };
    assert_eq!((&alert["feed"], &alert["malware"]), (&"c2".into(), &"Pikabot".into()));
    assert_eq!((&alert["indicator"], &alert["endpoint"]), (&format!("{SERVER}:8080").into(), &CLIENT.into()));
    assert_eq!((&alert["verdict"], &alert["direction"]), (&"deny".into(), &"egress".into()));
    assert_eq!((&alert["count"], &alerts["total"]), (&2.into(), &1.into()));
    let listed = feed(&ravelin, "c2");
    assert_eq!(
        (&listed["entries"], &listed["blocked"], &listed["state"]),
        (&2.into(), &2.into(), &"fresh".into())
    );
    let (counters, log) = ravelin.finish_with_log(&["rule_deny"]);
    assert!(!log.contains("feed loaded"), "it was read with the configuration, and not again: {log}");
    assert!(counters.dropped("rule_deny") >= 2);
    assert_eq!(counters["alerts_lost"], 0);
    let text = fs::read_to_string(lab.folder().join("records.jsonl")).expect("there are records");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |kind: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["event_type"] == kind && line["dest_port"] == 8080).collect()
    };
    let [alert] = of("alert")[..] else { panic!("{text}") };
    assert_eq!((&alert["alert"]["action"], &alert["threat"]["feed"]), (&"blocked".into(), &"c2".into()));
    let flows = of("flow");
    assert!(flows.iter().any(|flow| flow["flow_id"] == alert["flow_id"]), "the alert names its flow");
    for flow in flows {
        assert_eq!(flow["flow"]["pkts_toclient"], 0, "nothing came back");
        assert_eq!(flow["ravelin"]["policies"]["enforced"][0], "0|threat|threat.feed:c2|deny|0");
    }
}

#[test]
fn a_connection_is_cut_when_its_end_is_listed_and_goes_on_when_it_leaves() {
    let Some(lab) = Lab::new(&[]) else { return };
    let path = feodo(&lab, &[("198.51.100.7", 443)]);
    let ravelin = lab.ravelin(&config(&lab, NO_GUARD, &format!("file = \"{}\"", path.display())));
    let listener = lab.server.inside(|| TcpListener::bind("0.0.0.0:2222")).expect("the port is free");
    let mut client = lab.client.inside(|| TcpStream::connect((SERVER, 2222))).expect("nothing is listed");
    let (mut server, _) = listener.accept().expect("a connection");
    let mut say = |word: &[u8; 4]| {
        client.write_all(word).expect("the connection is open");
        let mut heard = [0; 4];
        server.read_exact(&mut heard).expect("what is said arrives, at last");
        assert_eq!(&heard, word);
    };
    say(b"free");
    let generation = || ravelin.show("status")["generation"].as_u64();
    let before = generation();
    feodo(&lab, &[("198.51.100.7", 443), (SERVER, 2222)]);
    wait_for("the list to be read", || generation() > before);
    std::thread::scope(|scope| {
        // It says something, which does not arrive.
        let waits = scope.spawn(|| say(b"cut?"));
        ravelin.wait_for_counters("the cut", |counters| counters["flows_cut"] == 1);
        assert_eq!(feed(&ravelin, "c2")["entries"], 2);
        assert!(!waits.is_finished());
        let before = generation();
        feodo(&lab, &[("198.51.100.7", 443)]);
        wait_for("the list to be read", || generation() > before);
        // The client's kernel tries again.
        waits.join().expect("it arrived");
    });
    say(b"free");
    ravelin.finish(&["flow_cut"]);
}

#[test]
fn a_poisoned_feed_cuts_nobody_off() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let path = lab.folder().join("poison.txt");
    let poison =
        format!("0.0.0.0/0\n::/0\n10.0.0.0/8\n{SERVER}\n{CLIENT}\n127.0.0.1\nnonsense\n198.51.100.0/24\n");
    fs::write(&path, poison).expect("the folder is writable");
    let ravelin =
        lab.ravelin(&config(&lab, "", &format!("format = \"lines\"\nfile = \"{}\"", path.display())));
    ping_all(&lab.client, SERVER, 3, 56);
    let listed = feed(&ravelin, "c2");
    assert_eq!((&listed["entries"], &listed["guarded"]), (&1.into(), &6.into()), "{listed}");
    // What comes then is no list at all.
    fs::write(&path, "<!DOCTYPE html><html><body>Please log in</body></html>").expect("it is writable");
    wait_for("the page to be refused", || feed(&ravelin, "c2")["state"] == "held back");
    let listed = feed(&ravelin, "c2");
    assert_eq!(listed["entries"], 1, "the last good copy is in force");
    assert!(listed["last_error"].as_str().is_some_and(|error| error.contains("HTML")), "{listed}");
    ping_all(&lab.client, SERVER, 3, 56);
    ravelin.finish(&[]);
}

#[test]
fn a_feed_is_fetched_kept_and_used_at_the_next_start() {
    let Some(lab) = Lab::new(&["busybox", "ping"]) else { return };
    feodo(&lab, &[(SERVER, 443), ("198.51.100.7", 443)]);
    let config = config(&lab, NO_GUARD, "url = \"http://127.0.0.1:8000/feed.csv\"");
    let server = lab
        .spawn(&lab.appliance, &format!("busybox httpd -f -p 127.0.0.1:8000 -h {}", lab.folder().display()));
    wait_for_port(&lab.appliance, 8000);
    let ravelin = lab.ravelin(&config);
    wait_for("the feed to be fetched", || feed(&ravelin, "c2")["entries"] == 2);
    assert_eq!(feed(&ravelin, "c2")["state"], "fresh");
    // A list that has lost most of its entries is doubtful.
    feodo(&lab, &[]);
    ravelin.ask(&["feed", "update", "c2"]).expect("there is such a feed");
    wait_for("the empty list to be held back", || feed(&ravelin, "c2")["state"] == "held back");
    assert_eq!(feed(&ravelin, "c2")["entries"], 2);
    drop(server);
    ravelin.ask(&["feed", "update", "c2"]).expect("there is such a feed");
    wait_for("the failure", || feed(&ravelin, "c2")["state"] == "failing");
    assert!(ravelin.ask(&["feed", "update", "other"]).is_err_and(|error| error.contains("no feed `other`")));
    ravelin.finish(&[]);
    // Nobody serves it now.
    let ravelin = lab.ravelin(&config);
    assert_eq!(feed(&ravelin, "c2")["entries"], 2, "the last good copy");
    ping_all(&lab.client, SERVER, 1, 56);
    let server: SocketAddr = format!("{SERVER}:443").parse().expect("an address");
    let blocked = lab.client.inside(|| TcpStream::connect_timeout(&server, Duration::from_millis(100)));
    assert_eq!(blocked.map(drop).map_err(|error| error.kind()), Err(ErrorKind::TimedOut));
    // Whoever stops it at once is told of that as well.
    ravelin.finish(&["rule_deny"]);
    let text = fs::read_to_string(lab.folder().join("records.jsonl")).expect("there are records");
    assert_eq!(text.matches("\"event_type\":\"alert\"").count(), 1, "{text}");
}

#[test]
fn a_feed_is_not_acted_upon_where_somebody_allows_it_until_that_ends() {
    let Some(lab) = Lab::new(&["curl", "ping"]) else { return };
    let neighbour = "10.9.0.3";
    lab.server.ip(&format!("address add {neighbour}/24 dev eth0"));
    let path = lab.folder().join("list.txt");
    fs::write(&path, format!("{SERVER}-{neighbour}\n")).expect("the folder is writable");
    let guard = |expires: &str| {
        let allow = format!("[[threat.allow]]\naddress = \"{SERVER}\"\nreason = \"shared host\"\n{expires}");
        let source = format!("file = \"{}\"\n[metrics]\nlisten = \"127.0.0.1:9650\"", path.display());
        config(&lab, &format!("{NO_GUARD}\n{allow}"), &source)
    };
    let ravelin = lab.ravelin(&guard(""));
    let listener = lab.server.inside(|| TcpListener::bind("0.0.0.0:2222")).expect("the port is free");
    let mut client = lab.client.inside(|| TcpStream::connect((SERVER, 2222))).expect("it is allowed");
    let (mut server, _) = listener.accept().expect("a connection");
    let mut say = |word: &[u8; 4]| {
        client.write_all(word).expect("the connection is open");
        let mut heard = [0; 4];
        server.read_exact(&mut heard).expect("what is said arrives");
        assert_eq!(&heard, word);
    };
    say(b"free");
    assert!(!pings(&lab.client, neighbour), "the rest of the range is blocked");
    let alerts = ravelin.show("alerts");
    let [alert] = &alerts["alerts"].as_array().expect("a list")[..] else { panic!("{alerts}") };
    assert_eq!(alert["address"], neighbour);
    let figures = || {
        let listed = feed(&ravelin, "c2");
        ["entries", "allowed", "guarded"].map(|figure| listed[figure].as_u64())
    };
    assert_eq!(figures(), [Some(1), Some(1), Some(0)]);
    let page = lab.appliance.run("curl -sS http://127.0.0.1:9650/metrics");
    for (figure, value) in [
        ("entries", "1"),
        ("allowed_entries", "1"),
        ("stale", "0"),
        ("hits_total", "1"),
        ("blocked_total", "1"),
    ] {
        let line = format!("ravelin_feed_{figure}{{feed=\"c2\"}} {value}");
        assert!(page.lines().any(|it| it == line), "no `{line}` in:\n{page}");
    }
    // From now on it ends by itself.
    let end = Timestamp::now() + SignedDuration::from_secs(5);
    ravelin.rewrite(&(bridge("open") + &guard(&format!("expires = {end}"))));
    let changed = ravelin.reload().expect("it can be taken over");
    assert!(changed.contains("threat.allow"), "{changed}");
    wait_for("the exception to end", || figures() == [Some(1), Some(0), Some(0)]);
    assert!(Timestamp::now() >= end);
    let said = format!(
        "an exception from feeds has expired: {SERVER} is allowed until {end} because \"shared host\""
    );
    assert!(ravelin.log().contains(&said), "{}", ravelin.log());
    // What it says then does not arrive.
    client.write_all(b"cut?").expect("its own end is open");
    ravelin.wait_for_counters("the cut", |counters| counters["flows_cut"] == 1);
    assert!(!pings(&lab.client, SERVER));
    let counters = ravelin.finish(&["rule_deny", "flow_cut"]);
    assert!(counters.dropped("rule_deny") >= 4, "two pings each");
}

/// The feed's lines among the flow records, by what they say of it.
fn told_of_feeds(lab: &Lab) -> Vec<(String, Value)> {
    let text = fs::read_to_string(lab.folder().join("records.jsonl")).expect("there are records");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let told = lines.filter(|line| line["event_type"] == "feed");
    told.map(|line| (line["feed"]["state"].as_str().unwrap_or_default().to_owned(), line)).collect()
}

fn states(ravelin: &Ravelin) -> Vec<String> {
    let alerts = ravelin.show("alerts");
    let alerts = alerts["alerts"].as_array().expect("a list");
    alerts.iter().filter_map(|alert| Some(alert["state"].as_str()?.to_owned())).collect()
}

#[test]
fn a_file_that_nobody_writes_any_more_is_an_alert_until_somebody_does() {
    let Some(lab) = Lab::new(&[]) else { return };
    let path = feodo(&lab, &[("198.51.100.7", 443)]);
    let ravelin =
        lab.ravelin(&config(&lab, NO_GUARD, &format!("stale_after = \"3s\"\nfile = \"{}\"", path.display())));
    wait_for("the list to be stale", || states(&ravelin) == ["stale"]);
    let listed = feed(&ravelin, "c2");
    assert_eq!((&listed["state"], &listed["entries"]), (&"stale".into(), &1.into()), "{listed}");
    assert!(listed["age_seconds"].as_u64().is_some_and(|age| age >= 3), "{listed}");
    // That it is read once more makes it no younger; and a reload neither.
    ravelin.reload().expect("nothing has changed");
    assert_eq!(states(&ravelin), ["stale"]);
    feodo(&lab, &[("198.51.100.7", 443), ("198.51.100.8", 443)]);
    wait_for("the list to be fresh", || states(&ravelin).contains(&"fresh".to_owned()));
    let (_, log) = ravelin.finish_with_log(&[]);
    assert!(log.contains("the feed is stale") && log.contains("the feed is fresh again"), "{log}");
    let told = told_of_feeds(&lab);
    let said: Vec<_> = told.iter().map(|(state, _)| state.as_str()).collect();
    assert_eq!(said[..2], ["stale", "fresh"], "{told:?}");
    let (_, line) = &told[0];
    assert_eq!((&line["feed"]["kind"], &line["feed"]["feed"]), (&"feed".into(), &"c2".into()));
    assert!(line["timestamp"].is_string() && line["feed"]["age_seconds"].as_u64() >= Some(3), "{line}");
}

#[test]
fn a_copy_that_is_too_old_at_the_start_is_an_alert_until_it_is_fetched() {
    let Some(lab) = Lab::new(&["busybox"]) else { return };
    feodo(&lab, &[("198.51.100.7", 443)]);
    let config = config(&lab, NO_GUARD, "url = \"http://127.0.0.1:8000/feed.csv\"");
    let serve = || {
        let line = format!("busybox httpd -f -p 127.0.0.1:8000 -h {}", lab.folder().display());
        let server = lab.spawn(&lab.appliance, &line);
        wait_for_port(&lab.appliance, 8000);
        server
    };
    let server = serve();
    let ravelin = lab.ravelin(&config);
    wait_for("the feed to be fetched", || feed(&ravelin, "c2")["state"] == "fresh");
    ravelin.finish(&[]);
    drop(server);
    assert_eq!(told_of_feeds(&lab), []);
    // The appliance was off for long: its copy is from 1970.
    let path = lab.folder().join("feeds/c2.feed");
    let copy = fs::read_to_string(&path).expect("there is a copy");
    let (description, list) = copy.split_once('\n').expect("a line stands before the list");
    let mut description: Value = serde_json::from_str(description).expect("JSON");
    description["fetched_at"] = 0.into();
    fs::write(&path, format!("{description}\n{list}")).expect("it is writable");
    let ravelin = lab.ravelin(&config);
    wait_for("the alert", || states(&ravelin) == ["stale"]);
    assert_eq!(feed(&ravelin, "c2")["entries"], 1, "what there is is in force");
    // It fails, which is no other alert.
    ravelin.ask(&["feed", "update", "c2"]).expect("there is such a feed");
    wait_for("the failure", || feed(&ravelin, "c2")["state"] == "failing");
    assert_eq!(states(&ravelin), ["stale"]);
    let _server = serve();
    ravelin.ask(&["feed", "update", "c2"]).expect("there is such a feed");
    wait_for("the feed to be fresh", || states(&ravelin) == ["fresh"]);
    ravelin.finish(&[]);
    let said: Vec<_> = told_of_feeds(&lab).into_iter().map(|(state, _)| state).collect();
    assert_eq!(said, ["stale", "fresh"]);
}
