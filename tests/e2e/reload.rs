//! Another configuration under traffic: all or nothing, and without losing a packet.

use ravelin_tests::{
    echo::Echo,
    process::wait_for,
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
