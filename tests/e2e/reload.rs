//! Another configuration under traffic: all or nothing, and without losing a packet.

use std::{fmt::Write, fs, time::Instant};

use ravelin_tests::{
    echo::Echo,
    process::{attempt, wait_for},
    ravelin::Ravelin,
    topology::{ENDPOINTS, Lab, SERVER, bridge, ping_all, pings},
};
use rustix::process::Signal;

/// The laboratory's configuration with `more`.
fn config(more: &str) -> String {
    format!("{}{ENDPOINTS}\n{more}", bridge("open"))
}

/// A policy that denies ping.
const NO_PING: &str = r#"
[[policy]]
name = "no-ping"
[[policy.ingress]]
action = "deny"
protocol = "icmp"
[[policy.ingress]]
action = "allow"
"#;

fn generation(ravelin: &Ravelin) -> u64 {
    ravelin.show("status")["generation"].as_u64().expect("a number")
}

#[test]
fn a_hundred_reloads_under_traffic_lose_no_packet() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    let echo = Echo::start(&lab, SERVER, 4, 300);
    for number in 0..100_u16 {
        let rules: String = (0..number % 7)
            .map(|rule| {
                format!(
                    "[[policy.egress]]\naction = \"deny\"\ndestination = {{ nets = [\"192.0.2.{rule}\"] }}\n"
                )
            })
            .collect();
        // The rule that lets the traffic pass is another one each time.
        let policy = format!("[[policy]]\nname = \"out\"\n{rules}[[policy.egress]]\naction = \"allow\"\n");
        ravelin.rewrite(&config(&policy));
        ravelin.reload().expect("a good configuration is taken");
    }
    assert_eq!(generation(&ravelin), 101);
    let before = echo.returned();
    wait_for("traffic after the last reload", || echo.returned() > before);
    let outcome = echo.finish();
    println!("{outcome:?}");
    outcome.assert_lossless();
    ravelin.finish(&[]);
}

#[test]
fn a_reload_bites_flows_that_are_established() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    // One ping all the time, so that the flow is the same before and after.
    let mut ping = lab.spawn(&lab.client, &format!("ping -n -i 0.1 {SERVER}"));
    ping.wait_for_output("icmp_seq=3");
    ravelin.rewrite(&config(NO_PING));
    ravelin.reload().expect("a good configuration is taken");
    let denied = ravelin.wait_for_counters("ping to be denied", |counters| counters.dropped("flow_cut") >= 5);
    assert_eq!(denied["flows_cut"], 1);
    ravelin.rewrite(&config(""));
    // SIGHUP reloads as well.
    ravelin.signal(Signal::HUP);
    wait_for("the first configuration again", || generation(&ravelin) == 3);
    let replies = ping.output().lines().count();
    wait_for("ping to be answered again", || ping.output().lines().count() > replies + 3);
    drop(ping);
    ravelin.finish(&["flow_cut"]);
}

#[test]
fn a_bad_reload_is_refused_and_changes_nothing() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let ravelin = lab.ravelin("");
    ping_all(&lab.client, SERVER, 3, 56);

    ravelin.rewrite(&config(&format!("{NO_PING}\n[workers]\nbatch = 32\n[flow]\ncapacity = 5000\n")));
    let refusal = ravelin.reload().expect_err("the batch size needs a restart");
    assert!(refusal.contains("workers.batch") && refusal.contains("flow.capacity"), "{refusal}");
    let refusal = ravelin.ask(&["reload", "--json"]).expect_err("the batch size needs a restart");
    let refusal: serde_json::Value = serde_json::from_str(&refusal).expect("one JSON document");
    assert_eq!(refusal["fields"], serde_json::json!(["workers.batch", "flow.capacity"]));

    ravelin.rewrite(&config(&format!("{NO_PING}\n[[polcy]]\nname = \"deny\"\n")));
    let refusal = ravelin.reload().expect_err("there is no such section");
    assert!(refusal.contains("polcy") && refusal.contains("policy"), "did you mean: {refusal}");

    assert_eq!(generation(&ravelin), 1);
    assert!(pings(&lab.client, SERVER), "the policy that denies ping must not be in force");
    let last = &ravelin.show("status")["last_reload"];
    assert_eq!(last["succeeded"], false);
    ravelin.finish(&[]);
}

/// A hundred policies of a hundred rules that match nothing here, in front of one that allows; `variant` is part of each rule.
fn ten_thousand_rules(variant: u16) -> String {
    let mut text = String::new();
    for policy in 0..100 {
        let _ = writeln!(text, "[[policy]]\nname = \"p{policy}\"\norder = {policy}");
        for rule in 0..100 {
            let port = 10_000 + variant;
            let _ = writeln!(
                text,
                "[[policy.ingress]]\naction = \"deny\"\nprotocol = \"udp\"\n\
                 source = {{ nets = [\"198.18.{policy}.{rule}\"] }}\ndestination = {{ ports = [{port}] }}"
            );
        }
    }
    text + "[[policy]]\nname = \"open\"\n[[policy.ingress]]\naction = \"allow\"\n"
}

#[test]
fn ten_thousand_rules_come_and_go_without_losing_a_packet() {
    let Some(lab) = Lab::new(&[]) else { return };
    let ravelin = lab.ravelin(ENDPOINTS);
    let echo = Echo::start(&lab, SERVER, 4, 300);
    wait_for("traffic", || echo.returned() > 100);
    for variant in 0..4 {
        let before = echo.returned();
        ravelin.rewrite(&config(&ten_thousand_rules(variant)));
        let start = Instant::now();
        ravelin.reload().expect("a good configuration is taken");
        println!("10 thousand rules in force after {:?}", start.elapsed());
        let flow = ravelin.wait_for_flow("--port 7", |flow| flow["policy"] == "default.open");
        assert_eq!(flow["verdict"], "allow");
        ravelin.rewrite(&config(""));
        ravelin.reload().expect("a good configuration is taken");
        wait_for("traffic after the changes", || echo.returned() > before + 100);
    }
    assert_eq!(generation(&ravelin), 9);
    let outcome = echo.finish();
    println!("{outcome:?}");
    outcome.assert_lossless();
    let counters = ravelin.finish(&[]);
    assert_eq!(counters["flows_cut"], 0);
}

#[test]
fn a_broken_policy_file_is_named_and_the_old_policy_stays() {
    let Some(lab) = Lab::new(&["ping"]) else { return };
    let policies = lab.folder().join("policies");
    let write =
        |name: &str, text: &str| fs::write(policies.join(name), text).expect("the folder is writable");
    fs::create_dir(&policies).expect("the folder is writable");
    write("hosts.toml", ENDPOINTS);
    write("ping.toml", NO_PING);
    let main = |more: &str| format!("include = [\"policies/*.toml\"]\n{}{more}", bridge("open"));
    let ravelin = Ravelin::start(&lab.appliance, lab.folder(), &main(""));
    assert!(!pings(&lab.client, SERVER), "the included policy denies ping");

    // A rule without a word that it needs, TOML that is none, a selector that is none; and a broken main file.
    let broken = [
        ("ping.toml", NO_PING.replace("deny", "block"), "ping.toml:5:", "block"),
        ("ping.toml", "[[policy\nname = ".to_owned(), "ping.toml:1:", ""),
        (
            "web.toml",
            "[[policy]]\nname = \"web\"\nselector = \"role = 'web'\"\n".to_owned(),
            "web.toml:3:",
            "==",
        ),
    ];
    for (number, (name, text, place, hint)) in broken.iter().enumerate() {
        write(name, text);
        let (status, _, said) = attempt(&mut ravelin.command(&["reload"]));
        assert_eq!(status.code(), Some(2), "{said}");
        assert!(said.contains(place) && said.contains(hint), "{place} and {hint} in:\n{said}");
        ravelin.signal(Signal::HUP);
        wait_for("the refusal in the log", || {
            ravelin.log().matches("reload refused").count() == 2 * number + 2
        });
        assert!(ravelin.log().contains(place), "{}", ravelin.log());
        write("ping.toml", NO_PING);
        let _ = fs::remove_file(policies.join("web.toml"));
    }
    ravelin.rewrite(&main("[[policy]]\nname = \"p\"\ntypes = [\"sideways\"]\n"));
    let (status, _, said) = attempt(&mut ravelin.command(&["reload"]));
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("ravelin.toml:8:") && said.contains("sideways"), "{said}");

    assert_eq!(generation(&ravelin), 1);
    assert_eq!(ravelin.show("status")["last_reload"]["succeeded"], false);
    assert!(!pings(&lab.client, SERVER), "the policy that denies ping is still in force");
    let counters = ravelin.finish(&["rule_deny"]);
    assert!(counters.dropped("rule_deny") >= 4);
}
