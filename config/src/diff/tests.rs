use crate::schema::Form;
use crate::{Config, diff, parse};

fn config(text: &str) -> Config {
    parse(text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config
}

fn changes(old: &str, new: &str) -> Vec<(String, bool)> {
    diff(&config(old), &config(new)).into_iter().map(|change| (change.field, change.live)).collect()
}

#[test]
fn equal_configurations_do_not_differ() {
    let text = "[[bridge]]\nname = 'a'\nports = ['x', 'y']\n[[policy]]\nname = 'p'\n";
    assert_eq!(changes(text, text), []);
    assert_eq!(changes("", "[workers]\nbatch = 64\n[log]\nlevel = 'info'"), []);
}

/// Every key of the sections that stand once, each with another value than its default, and whether it is
/// live.
#[test]
fn each_key_is_compared_and_knows_whether_it_is_live() {
    let keys = [
        ("workers", "cores", "[1]", false),
        ("workers", "batch", "1", false),
        ("workers", "idle", "'spin'", false),
        ("workers", "handoff", "64", false),
        ("io", "mode", "'native'", false),
        ("io", "zero_copy", "'off'", false),
        ("io", "busy_poll", "'50us'", false),
        ("io", "napi_threads", "'auto'", false),
        ("io", "ring_size", "64", false),
        ("io", "frame_size", "2048", false),
        ("enforcement", "unknown", "'deny'", true),
        ("enforcement", "on_change", "'keep'", true),
        ("enforcement", "reject_rate", "1", true),
        ("enforcement", "failsafe_inbound", "[]", true),
        ("enforcement", "failsafe_outbound", "[22]", true),
        ("threat", "directory", "'/a'", false),
        ("threat", "guard", "[]", true),
        ("threat", "alert_window", "'1m'", true),
        ("threat.widest", "ipv4", "16", true),
        ("threat.widest", "ipv6", "32", true),
        ("capture", "directory", "'/a'", false),
        ("capture", "budget", "'1GiB'", false),
        ("capture", "min_free", "'0B'", false),
        ("capture", "buffer", "'2MiB'", false),
        ("capture.ring", "memory", "'1GiB'", false),
        ("capture.ring", "disk", "'1GiB'", false),
        ("capture.ring", "keep", "'1h'", false),
        ("capture.ring", "snaplen", "128", false),
        ("capture.ring", "filter", "'tcp'", false),
        ("capture.trigger", "alerts", "true", true),
        ("capture.trigger", "alert_severity", "50", true),
        ("capture.trigger", "drop_reasons", "['rule_deny']", true),
        ("capture.trigger", "verdict_changes", "true", true),
        ("capture.trigger", "before", "'1s'", true),
        ("capture.trigger", "after", "'1s'", true),
        ("capture.trigger", "at_once", "1", true),
        ("capture.trigger", "per_minute", "1", true),
        ("capture.trigger", "max_size", "'1MiB'", true),
        ("flow", "capacity", "1024", false),
        ("flow", "full", "'forward'", true),
        ("flow", "evict", "'none'", true),
        ("flow", "midstream", "'drop'", true),
        ("flow.timeouts", "tcp_syn", "'1s'", true),
        ("flow.timeouts", "tcp_established", "'1s'", true),
        ("flow.timeouts", "tcp_closing", "'1s'", true),
        ("flow.timeouts", "tcp_closed", "'1s'", true),
        ("flow.timeouts", "udp_new", "'1s'", true),
        ("flow.timeouts", "udp_established", "'1s'", true),
        ("flow.timeouts", "icmp", "'1s'", true),
        ("flow.timeouts", "other_new", "'1s'", true),
        ("flow.timeouts", "other_established", "'1s'", true),
        ("fragments", "capacity", "16", false),
        ("fragments", "timeout", "'1s'", true),
        ("fragments", "full", "'forward'", true),
        ("records", "file", "'-'", false),
        ("records", "ring", "64", false),
        ("metrics", "listen", "'127.0.0.1:1'", false),
        ("metrics", "policies", "true", false),
        ("control", "socket", "'/s'", false),
        ("control", "shutdown", "'1s'", false),
        ("control", "watchdog", "'1s'", false),
        ("log", "level", "'trace'", true),
        ("log", "format", "'json'", false),
    ];
    let mut all = String::new();
    let mut section = "";
    for (path, key, value, live) in keys {
        assert_eq!(changes("", &format!("[{path}]\n{key} = {value}")), [(format!("{path}.{key}"), live)]);
        all += &if path == section { String::new() } else { format!("[{path}]\n") };
        all += &format!("{key} = {value}\n");
        section = path;
    }
    let expected: Vec<_> = keys.iter().map(|(path, key, _, live)| (format!("{path}.{key}"), *live)).collect();
    assert_eq!(changes("", &all), expected);
    let declared = crate::model::Model::declare();
    let once = declared
        .iter()
        .filter(|section| section.form == Form::Once && !section.path.is_empty())
        .map(|section| section.keys.len());
    assert_eq!(once.sum::<usize>(), keys.len(), "a key is not in this test");
}

#[test]
fn bridges_and_interfaces_are_compared_by_name() {
    let old = "[[bridge]]\nname = 'a'\nports = ['x', 'y']\n[[bridge]]\nname = 'gone'\nports = ['v', 'w']\n";
    let new = "[[interface]]\nname = 'x'\nchecksum = 'keep'\n[[bridge]]\nname = 'a'\nports = ['x', 'z']\nfail = 'closed'\n\
               arp = 'drop'\nnd = 'judge'\nlldp = 'drop'\nstp = 'drop'\nunknown = 'drop'\n";
    let expected = [
        ("interface[y]", false),
        ("interface[v]", false),
        ("interface[w]", false),
        ("interface[x].checksum", true),
        ("interface[z]", false),
        ("bridge[gone]", false),
        ("bridge[a].ports", false),
        ("bridge[a].fail", false),
        ("bridge[a].arp", true),
        ("bridge[a].nd", true),
        ("bridge[a].lldp", true),
        ("bridge[a].stp", true),
        ("bridge[a].unknown", true),
    ];
    assert_eq!(changes(old, new), expected.map(|(field, live)| (field.to_owned(), live)));
}

#[test]
fn an_order_that_changes_indices_is_a_change() {
    let old = "[[bridge]]\nname = 'a'\nports = ['x', 'y']\n[[bridge]]\nname = 'b'\nports = ['v', 'w']\n";
    let new = "[[bridge]]\nname = 'b'\nports = ['v', 'w']\n[[bridge]]\nname = 'a'\nports = ['x', 'y']\n";
    assert_eq!(changes(old, new), [("interface".to_owned(), false), ("bridge".to_owned(), false)]);
}

#[test]
fn resources_are_live_and_known_by_namespace_and_name() {
    let old = "[[tier]]\nname = 'security'\n[[policy]]\nname = 'web'\nnamespace = 'shop'\n[[policy]]\nname = 'web'\n\
               [[policy]]\nname = 'gone'\n[[policy]]\nname = 'web'\ntier = 'security'\nnamespace = 'shop'\n\
               [[policy]]\nname = 'web'\nstaged = 'delete'\n\
               [[endpoint]]\nname = 'a'\naddresses = ['10.0.0.1']\n[[network_set]]\nname = 'n'\nnets = ['10.0.0.0/8']\n";
    assert_eq!(changes(old, old), []);
    // Another order is no change.
    let new = "[[policy]]\nname = 'web'\nstaged = 'set'\n[[policy]]\nname = 'web'\nnamespace = 'shop'\n\
               [[policy.egress]]\naction = 'deny'\n[[policy]]\nname = 'web'\n[[policy]]\nname = 'new'\n\
               [[policy]]\nname = 'web'\ntier = 'security'\nnamespace = 'shop'\norder = 1\n[[tier]]\nname = 'security'\norder = 5\n\
               [[profile]]\nname = 'p'\n[[namespace]]\nname = 'shop'\n[[service]]\nname = 's'\nnamespace = 'shop'\n\
               [[endpoint]]\nname = 'a'\naddresses = ['10.0.0.2']\n[[network_set]]\nname = 'n'\nnets = ['10.0.0.0/9']\n";
    let expected = [
        "tier[security]",
        "policy[gone]",
        "policy[staged:web]",
        "policy[shop/web]",
        "policy[new]",
        "policy[shop/security.web]",
        "profile[p]",
        "namespace[shop]",
        "endpoint[a]",
        "service[shop/s]",
        "network_set[n]",
    ];
    assert_eq!(changes(old, new), expected.map(|field| (field.to_owned(), true)));
}

#[test]
fn files_to_read_are_live() {
    let new = "manifests = ['k8s/*.yaml']\nendpoints_dir = 'endpoints'\n";
    assert_eq!(changes("", new), [("manifests".to_owned(), true), ("endpoints_dir".to_owned(), true)]);
    assert_eq!(changes(new, new), []);
}

#[test]
fn captures_are_live_and_known_by_name() {
    let old = "[[capture.job]]\nname = 'a'\nfilter = 'tcp'\n[[capture.job]]\nname = 'gone'\n[[capture.job]]\nname = 'b'\n\
               drop_reasons = ['x']";
    assert_eq!(changes(old, old), []);
    // Where they stand is no change.
    let new = "[[capture.job]]\nname = 'b'\ndrop_reasons = ['x']\n\n[[capture.job]]\nname = 'a'\nfilter = 'udp'\n\
               [[capture.job]]\nname = 'new'\n";
    let expected = ["capture.job[gone]", "capture.job[a]", "capture.job[new]"];
    assert_eq!(changes(old, new), expected.map(|field| (field.to_owned(), true)));
}
