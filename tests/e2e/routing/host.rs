//! The host on which the gateway runs: reachable as policy says, and always for what must not be shut.

use ravelin_tests::{
    gateway::{CLIENT, INSIDE, OUTSIDE, SERVER, gateway, guard, start},
    topology::ping_all,
};

use super::{fetch, is_shut, web};

const NO_WEB: &str = "action = \"deny\"\nprotocol = \"tcp\"\ndestination = { ports = [80] }";
const ANYTHING: &str = "action = \"allow\"";

#[test]
fn the_host_is_reached_at_all_its_addresses() {
    let Some(lab) = gateway(&["busybox", "curl", "ping"]) else { return };
    let ravelin = start(&lab, &guard("gateway", &[ANYTHING]));
    let page = lab.random_file("page", 2_000_000);
    let _server = web(&lab, &lab.appliance, 80);
    for address in OUTSIDE.into_iter().chain(INSIDE) {
        ping_all(&lab.client, address, 10, 56);
        ping_all(&lab.server, address, 5, 1400);
        fetch(&lab, &lab.client, address, 80, &page);
        fetch(&lab, &lab.server, address, 80, &page);
    }
    let flow = ravelin.wait_for_flow(&format!("--dst {} --port 80", INSIDE[0]), |_| true);
    assert_eq!((&flow["verdict"], &flow["policy"]), (&"allow".into(), &"default.guard".into()));
    let counters = ravelin.finish(&[]);
    assert!(counters["local"] > 300, "{counters:?}");
    // A ping from each side to each address, and a visit.
    assert_eq!(counters["flows_created"], 16, "{counters:?}");
    assert_eq!(counters["forwarded"], 0, "{counters:?}");
}

#[test]
fn policy_shuts_the_host_but_for_failsafe_ports() {
    let Some(lab) = gateway(&["busybox", "curl"]) else { return };
    let ravelin = start(&lab, &guard("gateway", &[NO_WEB, "action = \"deny\""]));
    let page = lab.random_file("page", 200_000);
    let _servers = [22, 80].map(|port| web(&lab, &lab.appliance, port));
    for address in OUTSIDE.into_iter().chain(INSIDE) {
        fetch(&lab, &lab.client, address, 22, &page);
        assert!(is_shut(&lab.client, address, 80), "{address}");
        let denied = ravelin.wait_for_flow(&format!("--dst {address} --port 80"), |_| true);
        assert_eq!((&denied["policy"], &denied["rule"]), (&"default.guard".into(), &0.into()));
    }
    assert!(ravelin.flows("--port 22").is_empty(), "workers do not see failsafe ports");
    let counters = ravelin.finish(&["rule_deny"]);
    assert!(counters.dropped("rule_deny") >= 4);
}

#[test]
fn what_the_host_begins_is_answered_whatever_policy_says() {
    let Some(lab) = gateway(&["busybox", "curl", "ping"]) else { return };
    let ravelin = start(&lab, &guard("gateway", &["action = \"deny\""]));
    let page = lab.random_file("page", 2_000_000);
    let _servers = [&lab.client, &lab.server].map(|host| web(&lab, host, 80));
    for address in SERVER.into_iter().chain(CLIENT) {
        ping_all(&lab.appliance, address, 10, 56);
        ping_all(&lab.appliance, address, 3, 4000);
        fetch(&lab, &lab.appliance, address, 80, &page);
    }
    // The other way round nothing.
    for address in OUTSIDE {
        assert!(!lab.client.succeeds(&format!("ping -n -q -c 2 -i 0.2 -W 1 {address}")));
    }
    let counters = ravelin.finish(&["rule_deny"]);
    assert_eq!(counters.dropped("rule_deny"), 4);
    assert_eq!(counters["local"], 0, "{counters:?}");
}
