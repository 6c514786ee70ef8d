use super::reader::nearest;
use crate::model::Model;
use crate::resources::{Failsafe, OnChange};
use crate::{Code, Diagnostic, Fail, RecordsTarget, load, parse};
use std::{collections::HashSet, path::Path, time::Duration};

/// The only finding for `key = value`.
fn finding(section: &str, key: &str, value: &str) -> Option<Diagnostic> {
    let text = format!("[{section}]\n{key} = {value}\n");
    let report = parse(&text, "t.toml").map_or_else(|report| report, |loaded| loaded.warnings);
    assert!(report.diagnostics().len() <= 1, "{report}");
    let finding = report.diagnostics().first().cloned()?;
    let span = finding.span.as_ref().unwrap();
    assert_eq!(
        (span.line, span.column, span.end),
        (2, key.len() + 4, key.len() + 4 + value.chars().count()),
        "{report}"
    );
    Some(finding)
}

fn code(section: &str, key: &str, value: &str) -> Option<Code> {
    finding(section, key, value).map(|finding| finding.code)
}

#[test]
fn every_section_and_key_is_declared_once_with_help() {
    let sections = Model::declare();
    let paths: HashSet<_> = sections.iter().map(|section| (section.path, section.form)).collect();
    assert_eq!((paths.len(), sections.len()), (42, 42));
    for section in sections {
        let keys: HashSet<_> = section.keys.iter().map(|key| key.name).collect();
        assert_eq!(keys.len(), section.keys.len());
        assert!(section.help.ends_with('.') && section.keys.iter().all(|key| key.help.ends_with('.')));
    }
}

#[test]
fn numbers_have_bounds() {
    for (section, key, legal, illegal) in [
        (
            "workers",
            "batch",
            &["1", "256", "0x10", "1_0"][..],
            &["0", "257", "-1", "99999999999999999999"][..],
        ),
        ("workers", "handoff", &["64", "100", "1048576"], &["63", "1048577"]),
        ("io", "ring_size", &["64", "32768"], &["32", "100", "65536"]),
        ("io", "frame_size", &["2048", "4096"], &["0", "1024", "8192"]),
        ("flow", "capacity", &["1024", "100_000_000"], &["1023", "100000001"]),
        ("fragments", "capacity", &["16", "1048576"], &["15"]),
        ("records", "ring", &["64", "1048576"], &["63"]),
    ] {
        for value in legal {
            assert_eq!(code(section, key, value), None, "{key} = {value}");
        }
        for value in illegal {
            assert_eq!(code(section, key, value), Some(Code::OutOfRange), "{key} = {value}");
        }
        for value in ["'64'", "64.0", "true", "[64]", "{}", "1979-05-27"] {
            assert_eq!(code(section, key, value), Some(Code::WrongType), "{key} = {value}");
        }
    }
    let help = finding("workers", "batch", "'64'").and_then(|finding| finding.help);
    assert_eq!(help.as_deref(), Some("write it without quotes: 64"));
}

#[test]
fn yes_or_no_has_no_quotes() {
    for value in ["true", "false"] {
        assert_eq!(code("metrics", "policies", value), None, "{value}");
    }
    for value in ["'true'", "1", "'yes'", "[]"] {
        assert_eq!(code("metrics", "policies", value), Some(Code::WrongType), "{value}");
    }
    assert!(parse("[metrics]\npolicies = true\n", "t").unwrap().config.metrics.policies);
}

#[test]
fn durations_have_units_and_bounds() {
    for value in ["'1ms'", "'30s'", "'5m'", "'1h'", "'30d'", "'1500us'"] {
        assert_eq!(code("flow.timeouts", "icmp", value), None, "{value}");
    }
    for value in ["'0s'", "'999us'", "'31d'", "'99999999999999999999s'"] {
        assert_eq!(code("flow.timeouts", "icmp", value), Some(Code::OutOfRange), "{value}");
    }
    for value in ["''", "'s'", "'5'", "'5 s'", "'1.5s'", "'-1s'", "'1h30m'", "'5S'", "'５s'"] {
        assert_eq!(code("flow.timeouts", "icmp", value), Some(Code::Malformed), "{value}");
    }
    assert_eq!(code("flow.timeouts", "icmp", "30"), Some(Code::WrongType));
    assert_eq!(code("io", "busy_poll", "'0us'"), None);
    let loaded = parse("[flow.timeouts]\nicmp = '1500us'\ntcp_syn = '90m'\n", "t").unwrap();
    assert_eq!(loaded.config.flow.timeouts.icmp, Duration::from_micros(1500));
    let json = serde_json::to_value(&loaded.config.flow.timeouts).unwrap();
    assert_eq!((json["icmp"].as_str(), json["tcp_syn"].as_str()), (Some("1500us"), Some("90m")));
}

#[test]
fn words_are_exact_and_suggested() {
    let label = |value| finding("log", "level", value).and_then(|it| it.label);
    assert_eq!(code("log", "level", "'warn'"), None);
    assert_eq!(label("'warning'").as_deref(), Some("did you mean \"warn\"?"));
    assert_eq!(label("'INFO'").as_deref(), Some("did you mean \"info\"?"));
    assert_eq!(label("'loud'"), None);
    assert_eq!(code("log", "level", "'loud'"), Some(Code::UnknownWord));
    assert_eq!(code("log", "level", "3"), Some(Code::WrongType));
    assert_eq!(format!("{:>6}|", Fail::Open), "  open|");
}

#[test]
fn cores_are_numbers_each_once() {
    assert_eq!(parse("[workers]\ncores = [3, 0, 1023]", "t").unwrap().config.workers.cores, [3, 0, 1023]);
    assert_eq!(code("workers", "cores", "[]"), None);
    assert_eq!(code("workers", "cores", "2"), Some(Code::WrongType));
    let report = parse("[workers]\ncores = [1, 1024, 'x', 1, 1]", "t").unwrap_err();
    let found: Vec<_> =
        report.diagnostics().iter().map(|it| (it.code, it.span.as_ref().unwrap().column)).collect();
    // Whether a core is used twice is said once the list can be read.
    assert_eq!(found, [(Code::OutOfRange, 13), (Code::WrongType, 19)]);
    let report = parse("[workers]\ncores = [1, 1, 1]", "t").unwrap_err();
    assert_eq!(report.errors(), 2);
}

#[test]
fn addresses_and_paths_are_checked() {
    for value in ["'127.0.0.1:9650'", "'[::1]:9650'", "'127.1.2.3:0'", "'[::ffff:127.0.0.1]:1'"] {
        assert_eq!(code("metrics", "listen", value), None, "{value}");
    }
    for value in ["'0.0.0.0:1'", "'[::]:1'", "'192.0.2.1:1'"] {
        assert_eq!(code("metrics", "listen", value), Some(Code::PublicMetrics), "{value}");
    }
    for value in ["''", "'localhost:1'", "':9650'", "'127.0.0.1'", "'127.0.0.1:65536'", "'::1:1'"] {
        assert_eq!(code("metrics", "listen", value), Some(Code::Malformed), "{value}");
    }
    assert_eq!(code("control", "socket", &format!("'/{}'", "a".repeat(106))), None);
    for value in [
        "''".to_owned(),
        "'run/sock'".to_owned(),
        "\"/a\\u0000\"".to_owned(),
        format!("'/{}'", "a".repeat(107)),
    ] {
        assert_eq!(code("control", "socket", &value), Some(Code::Malformed), "{value}");
    }
    assert_eq!(code("control", "socket", "1"), Some(Code::WrongType));
    assert_eq!(code("records", "file", "''"), Some(Code::Malformed));
    let target = |value: &str| parse(&format!("[records]\nfile = {value}"), "t").unwrap().config.records.file;
    assert_eq!(target("'-'"), Some(RecordsTarget::StandardOutput));
    assert_eq!(target("'./-'"), Some(RecordsTarget::File("./-".into())));
}

#[test]
fn settings_of_policy_are_checked() {
    for value in ["[]", "[22]", "['22', 'tcp:22', 'udp:[2001:db8::/32]:53', 'sctp:10.0.0.0/8:7']"] {
        assert_eq!(code("enforcement", "failsafe_inbound", value), None, "{value}");
        assert_eq!(code("enforcement", "failsafe_outbound", value), None, "{value}");
    }
    assert_eq!(code("enforcement", "failsafe_inbound", "22"), Some(Code::WrongType));
    for (element, expected) in
        [("'icmp:1'", Code::Malformed), ("0", Code::OutOfRange), ("true", Code::WrongType)]
    {
        let report = parse(&format!("[enforcement]\nfailsafe_inbound = [{element}]"), "t").unwrap_err();
        assert_eq!((report.errors(), report.diagnostics()[0].code), (1, expected));
    }
    assert_eq!(code("enforcement", "unknown", "'pass'"), Some(Code::UnknownWord));
    assert_eq!(code("enforcement", "reject_rate", "100001"), Some(Code::OutOfRange));
    let loaded = parse("[enforcement]\nfailsafe_inbound = []\non_change = 'reset'", "t").unwrap();
    assert_eq!(loaded.config.enforcement.failsafe_inbound, []);
    assert_eq!(loaded.config.enforcement.failsafe_outbound, Failsafe::outbound());
}

#[test]
fn a_policy_may_say_otherwise_than_the_settings() {
    let policy = "[[policy]]\nname = 'a'\n[[policy]]\nname = 'b'\non_change = 'keep'\n";
    let config = parse(&format!("{policy}[enforcement]\non_change = 'reset'"), "t").unwrap().config;
    let changes: Vec<_> = config.resources.policies.iter().map(|policy| policy.on_change).collect();
    assert_eq!(
        (changes, config.enforcement.on_change),
        (vec![OnChange::Reset, OnChange::Keep], OnChange::Reset)
    );
}

/// Who has a file of an older version is told what to write instead, once for each section.
#[test]
fn sections_that_were_replaced_say_by_what() {
    let rules = "[[rule]]\nname = 'a'\naction = 'deny'\n[[rule]]\nname = 'b'\naction = 'allow'\n";
    let report = parse(&format!("[policy]\ndefault = 'deny'\n{rules}"), "t").unwrap_err();
    let found: Vec<_> = report.diagnostics().iter().map(|it| (it.code, it.span.as_ref().unwrap())).collect();
    let places: Vec<_> = found.iter().map(|(code, span)| (*code, span.line, span.column, span.end)).collect();
    assert_eq!(places, [(Code::Replaced, 1, 2, 8), (Code::Replaced, 3, 3, 7)], "{report}");
    let help: Vec<_> = report.diagnostics().iter().map(|it| it.help.as_deref().unwrap()).collect();
    assert!(help[0].starts_with("write [enforcement]"), "{report}");
    assert!(help[1].contains("[[endpoint]]") && help[1].contains("[[policy]]"), "{report}");
    // Both kinds of brackets in one file are no TOML; then the help says what is meant.
    let report = parse("[policy]\nunknown = 'deny'\n[[policy]]\nname = 'a'\n", "t").unwrap_err();
    let last = report.diagnostics().last().unwrap();
    assert_eq!((last.code, last.span.as_ref().unwrap().line), (Code::Syntax, 3), "{report}");
    assert!(last.help.as_deref().unwrap().contains("[enforcement]"), "{report}");
}

/// The only finding for a rule with `key = value`.
fn in_rule(key: &str, value: &str) -> Option<Code> {
    let protocol = if key == "protocol" { "" } else { "protocol = 'udp'\n" };
    let text =
        format!("[[policy]]\nname = 'p'\n[[policy.egress]]\naction = 'deny'\n{protocol}{key} = {value}\n");
    let report = parse(&text, "t").map_or_else(|report| report, |loaded| loaded.warnings);
    assert!(report.diagnostics().len() <= 1, "{report}");
    report.diagnostics().first().map(|it| it.code)
}

#[test]
fn what_rules_match_is_checked() {
    for value in ["'tcp'", "'udplite'", "'132'", "0", "255"] {
        assert_eq!(in_rule("protocol", value), None, "{value}");
    }
    assert_eq!(in_rule("protocol", "256"), Some(Code::OutOfRange));
    assert_eq!(in_rule("protocol", "'256'"), Some(Code::Malformed));
    assert_eq!(in_rule("protocol", "'TCP'"), Some(Code::Malformed));
    assert_eq!(in_rule("protocol", "['tcp']"), Some(Code::WrongType));
    for value in ["['0.0.0.0/0']", "['192.0.2.1', '10.0.0.0/8']", "['2001:db8::/32']"] {
        assert_eq!(in_rule("source.nets", value), None, "{value}");
    }
    for value in ["['10.0.0/8']", "['10.0.0.0/33']", "['::/129']", "['host']", "['']"] {
        assert_eq!(in_rule("source.nets", value), Some(Code::Malformed), "{value}");
    }
    assert_eq!(in_rule("source.nets", "[]"), Some(Code::EmptyList));
    assert_eq!(in_rule("source.nets", "'10.0.0.0/8'"), Some(Code::WrongType));
    assert_eq!(in_rule("source.nets", "[10]"), Some(Code::WrongType));
    assert_eq!(in_rule("source.ports", "[0, 65535, '1-2', '7']"), None);
    assert_eq!(in_rule("source.ports", "[65536]"), Some(Code::OutOfRange));
    assert_eq!(in_rule("source.ports", "[-1]"), Some(Code::OutOfRange));
    for value in ["['2-1']", "['1-']", "['1-65536']"] {
        assert_eq!(in_rule("source.ports", value), Some(Code::Malformed), "{value}");
    }
}

#[test]
fn unknown_and_misspelt_keys_are_one_finding_each() {
    let report =
        parse("[[tier]]\nnmae = 'x'\ndefault = 'deny'\ncolour = 1\n[flows]\n[zebra]\n", "t").unwrap_err();
    let found: Vec<_> = report.diagnostics().iter().map(|it| (it.code, it.label.as_deref())).collect();
    let expected = [
        (Code::UnknownKey, Some("did you mean `name`?")),
        (Code::UnknownKey, None),
        (Code::UnknownKey, Some("did you mean `flow`?")),
        (Code::UnknownKey, None),
    ];
    assert_eq!(found, expected, "{report}");
    let known = report.diagnostics()[3].help.as_deref().unwrap().strip_prefix("known here: ").unwrap();
    let known: Vec<_> = known.split(", ").collect();
    assert_eq!(known.iter().filter(|section| **section == "policy").count(), 1, "{known:?}");
    assert_eq!(known.len(), 3 + 11 + 12);
}

#[test]
fn an_empty_list_says_what_to_do() {
    let help = |text: &str| parse(text, "t").unwrap_err().diagnostics()[0].help.clone();
    assert_eq!(help("[[network_set]]\nname = 'a'\nnets = []").as_deref(), Some("leave the key out"));
    assert_eq!(help("[[endpoint]]\nname = 'a'\naddresses = []").as_deref(), Some("write one at least"));
}

#[test]
fn a_missing_key_is_reported_at_the_header() {
    let report = parse("\n[[tier]]\ndefault = 'deny'\n", "t").unwrap_err();
    let finding = &report.diagnostics()[0];
    assert_eq!((finding.code, finding.message.as_str()), (Code::MissingKey, "this [[tier]] has no `name`"));
    assert_eq!(finding.span.as_ref().unwrap().line, 2);
}

#[test]
fn sections_have_their_brackets() {
    for (text, help) in
        [("[[log]]\n", "write [log]"), ("log = 1", "write [log]"), ("[tier]\n", "write [[tier]]")]
    {
        let report = parse(text, "t").unwrap_err();
        assert_eq!((report.errors(), report.diagnostics()[0].code), (1, Code::WrongType));
        assert_eq!(report.diagnostics()[0].help.as_deref(), Some(help));
    }
    assert_eq!(parse("tier = [1]", "t").unwrap_err().diagnostics()[0].code, Code::WrongType);
    parse("log = { level = 'warn' }\nflow.timeouts.icmp = '1s'\ntier = [{ name = 'a' }]", "t").unwrap();
}

#[test]
fn suggestions_are_close() {
    let known = ["cores", "batch", "idle", "handoff", "ring_size"];
    for (text, expected) in [
        ("bacth", Some("batch")),
        ("Batch", Some("batch")),
        ("core", Some("cores")),
        ("ring-size", Some("ring_size")),
        ("ring", Some("ring_size")),
        ("x", None),
        ("", None),
        ("frames", None),
    ] {
        assert_eq!(nearest(text, known.into_iter()), expected, "{text}");
    }
}

#[test]
fn files_that_cannot_be_read_are_reported() {
    let report = load(Path::new("/nonexistent/ravelin.toml")).unwrap_err();
    assert_eq!(report.diagnostics()[0].code, Code::Unreadable);
    assert!(report.to_string().starts_with("error[C001]: cannot read `/nonexistent/ravelin.toml`: "));
    let path = std::env::temp_dir().join(format!("ravelin-config-{}.toml", std::process::id()));
    std::fs::write(&path, b"[workers]\nbatch = \xff\n").unwrap();
    let report = load(&path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    let span = report.diagnostics()[0].span.as_ref().unwrap();
    assert_eq!((report.diagnostics()[0].code, span.line, span.column), (Code::Unreadable, 2, 9));
}
