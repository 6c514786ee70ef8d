use super::serve;
use crate::{
    api::{
        client,
        view::{CutFlows, Reload, RuleUse, StagedFlows, Used},
    },
    policy::Live,
    stats::Metrics,
    testing::{BRIDGE, Running, dns, syn},
};

/// Staged: names are not to be looked up any more. Unused: nobody pings.
const MORE: &str = r#"
[[policy]]
name = "no-dns"
staged = "set"
order = 1

[[policy.ingress]]
action = "deny"
protocol = "udp"
destination.ports = [53]

[[policy.ingress]]
action = "pass"
protocol = "icmp"

[[policy]]
name = "pings"
order = 2
ingress = [{ action = "log", protocol = "icmp" }]
"#;

/// In short: policy, rule, flows, packets.
fn short(rules: &[RuleUse]) -> Vec<(&str, i64, u64, u64)> {
    rules.iter().map(|rule| (rule.policy.as_str(), rule.rule, rule.flows, rule.packets)).collect()
}

#[tokio::test]
async fn rules_are_counted_over_all_workers_and_reloads() {
    let mut running = Running::start(&format!("{BRIDGE}{MORE}"), 2);
    let (socket, _claim) = serve(&running);
    for host in 1..=3 {
        running.receive(0, 0, &syn(host, 80));
        running.receive(1, 0, &syn(host, 80));
    }
    running.receive(1, 0, &syn(1, 23));
    running.receive(0, 0, &dns(b"question"));
    running.settled(8).await;
    let used: Used = client::get(&socket, "/policy").await.unwrap();
    let expected = [
        ("default.staged:no-dns", 0, 1, 1),
        ("default.staged:no-dns", 1, 0, 0),
        ("default.pings", 0, 0, 0),
        ("default.no-telnet", 0, 1, 1),
        ("default.no-telnet", 1, 4, 7),
    ];
    assert_eq!((short(&used.rules), used.missing.len()), (expected.to_vec(), 0));
    let telnet = &used.rules[3];
    assert_eq!(
        (telnet.direction.as_str(), telnet.action.as_str(), telnet.staged),
        ("ingress", "deny", false)
    );
    assert_eq!((telnet.bytes, telnet.tier.as_str()), (54, "default"));
    assert!(telnet.first.is_some() && telnet.last >= telnet.first);
    assert!(used.rules[0].staged && used.rules[2].first.is_none() && used.rules[2].last.is_none());

    // Another rule behind the others changes the numbers that the packet path has for all of them.
    let more = format!("{BRIDGE}\n[[policy.ingress]]\naction = \"deny\"\n{MORE}");
    running.directory.write("ravelin.toml", more);
    let reload: Reload = client::post(&socket, "/reload").await.unwrap();
    assert!(reload.behind.is_empty());
    running.receive(0, 0, &syn(9, 23));
    running.settled(9).await;
    let used: Used = client::get(&socket, "/policy").await.unwrap();
    let mut expected = expected.to_vec();
    expected[3] = ("default.no-telnet", 0, 2, 2);
    expected.push(("default.no-telnet", 2, 0, 0));
    assert_eq!(short(&used.rules), expected);

    // What live flows added is counted when they end.
    running.stop(std::time::Duration::from_secs(60)).unwrap();
    let ended = running.appliance.usage(&Live::new());
    let ended: Vec<_> = ended.iter().map(|rule| (rule.usage.flows, rule.usage.packets)).collect();
    assert_eq!(ended, expected.iter().map(|(_, _, flows, packets)| (*flows, *packets)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_unused_is_found() {
    let running = Running::start(&format!("{BRIDGE}{MORE}"), 1);
    let (socket, _claim) = serve(&running);
    running.receive(0, 0, &syn(1, 80));
    running.settled(1).await;
    let used: Used = client::get(&socket, "/policy?unused=3600").await.unwrap();
    let expected = [
        ("default.staged:no-dns", 0, 0, 0),
        ("default.staged:no-dns", 1, 0, 0),
        ("default.pings", 0, 0, 0),
        ("default.no-telnet", 0, 0, 0),
    ];
    assert_eq!(short(&used.rules), expected);
    assert_eq!(used.unused_policies, ["default.pings", "default.staged:no-dns"]);
    let error = client::get::<Used>(&socket, "/policy?unused=long").await.unwrap_err();
    assert!(error.to_string().starts_with("unused: "), "{error}");
}

#[tokio::test]
async fn flows_that_staged_policies_would_turn_are_listed() {
    let running = Running::start(&format!("{BRIDGE}{MORE}"), 2);
    let (socket, _claim) = serve(&running);
    running.receive(0, 0, &dns(b"question"));
    running.receive(1, 0, &dns(b"again"));
    running.receive(0, 0, &syn(1, 80));
    running.settled(3).await;
    let staged: StagedFlows = client::get(&socket, "/staged").await.unwrap();
    assert_eq!((staged.seen, staged.changing, staged.missing.len()), (2, 1, 0));
    let [group] = staged.groups.as_slice() else { panic!("{staged:?}") };
    assert_eq!((group.policy.as_str(), group.rule), ("default.staged:no-dns", 0));
    assert_eq!((group.direction.as_deref(), group.flows, group.packets), (Some("ingress"), 1, 2));
    assert_eq!((group.verdict.as_str(), group.pending_verdict.as_str()), ("allow", "deny"));
    let [flow] = staged.flows.as_slice() else { panic!("{staged:?}") };
    assert_eq!((flow.dst_port, flow.decision.pending_verdict.as_str()), (Some(53), "deny"));
    assert_eq!(flow.decision.pending, ["0|default|default.staged:no-dns|deny|0"]);
    let none: StagedFlows = client::get(&socket, "/staged?limit=0").await.unwrap();
    assert_eq!((none.changing, none.flows.len()), (1, 0));
    let drops = running.appliance.roster.totals().drops.total();
    assert_eq!(drops, 0, "a staged policy changes no packet's fate");
}

#[tokio::test]
async fn flows_that_a_change_cuts_are_remembered() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    running.receive(0, 0, &dns(b"question"));
    running.receive(0, 0, &syn(1, 80));
    running.settled(2).await;
    let none: CutFlows = client::get(&socket, "/cut").await.unwrap();
    assert_eq!(none, CutFlows::default());
    running.directory.write("ravelin.toml", format!("{BRIDGE}{}", MORE.replace("staged = \"set\"\n", "")));
    client::post::<Reload>(&socket, "/reload").await.unwrap();
    running.receive(0, 0, &dns(b"again"));
    running.receive(0, 0, &syn(1, 80));
    running.settled(4).await;
    let totals = running.appliance.roster.totals();
    assert_eq!((totals.flows_cut, totals.drops.total()), (1, 1));
    for _ in 0..2 {
        let cut: CutFlows = client::get(&socket, "/cut").await.unwrap();
        let [flow] = cut.flows.as_slice() else { panic!("{cut:?}") };
        assert_eq!((cut.total, flow.flow.dst_port, flow.flow.packets), (1, Some(53), [1, 0]));
        assert_eq!((flow.now.verdict.as_str(), flow.now.policy.as_deref()), ("deny", Some("default.no-dns")));
        assert_eq!((flow.now.rule, flow.flow.decision.verdict.as_str()), (Some(0), "allow"));
        assert_eq!(flow.flow.decision.policy.as_deref(), Some("default.no-telnet"));
        assert!(flow.time > flow.flow.first);
    }
    let none: CutFlows = client::get(&socket, "/cut?limit=0").await.unwrap();
    assert_eq!((none.total, none.flows.len()), (1, 0));
}

#[tokio::test]
async fn metrics_have_rules_by_name_if_they_are_asked_for() {
    let asked = format!("{BRIDGE}{MORE}\n[metrics]\npolicies = true\n");
    for (text, wanted) in [(asked, true), (format!("{BRIDGE}{MORE}"), false)] {
        let mut running = Running::start(&text, 1);
        running.receive(0, 0, &dns(b"question"));
        running.receive(0, 0, &syn(1, 23));
        running.settled(2).await;
        running.stop(std::time::Duration::from_secs(60)).unwrap();
        let page = Metrics::new(std::sync::Arc::clone(&running.appliance)).render();
        for line in [
            "ravelin_policy_flows_total{tier=\"default\",policy=\"default.no-telnet\",direction=\"ingress\",rule=\"0\",\
             action=\"deny\",staged=\"false\"} 1\n",
            "ravelin_policy_packets_total{tier=\"default\",policy=\"default.no-telnet\",direction=\"ingress\",rule=\"1\",\
             action=\"allow\",staged=\"false\"} 1\n",
            "ravelin_policy_bytes_total{tier=\"default\",policy=\"default.staged:no-dns\",direction=\"ingress\",rule=\"0\",\
             action=\"deny\",staged=\"true\"} 50\n",
            "ravelin_policy_flows_total{tier=\"default\",policy=\"default.pings\",direction=\"ingress\",rule=\"0\",\
             action=\"log\",staged=\"false\"} 0\n",
        ] {
            assert_eq!(page.contains(line), wanted, "{line}{page}");
        }
    }
}
