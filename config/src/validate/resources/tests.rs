use super::nets::{self, Limits};
use crate::report::Findings;
use crate::resources::{Order, Types};
use crate::{Code, Config, Report, parse};
use std::{fs, path::PathBuf, process, sync::Arc};

pub(super) fn report(text: &str) -> Report {
    parse(text, "t.toml").map_or_else(|report| report, |loaded| loaded.warnings)
}

/// What is found in `text`: code, line, and the text that is marked.
pub(super) fn found(text: &str) -> Vec<(Code, usize, String)> {
    let mut found = Vec::new();
    for it in report(text).diagnostics() {
        let span = it.span.as_ref().unwrap();
        let marked = span.text.chars().skip(span.column - 1).take(span.end - span.column).collect();
        found.push((it.code, span.line, marked));
    }
    found
}

pub(super) fn one(code: Code, line: usize, marked: &str) -> Vec<(Code, usize, String)> {
    vec![(code, line, marked.to_owned())]
}

pub(super) fn config(text: &str) -> Config {
    parse(text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config
}

/// A policy with one egress rule. `keys` are in line 4.
fn rule(keys: &str) -> String {
    format!("[[policy]]\nname = 'p'\n[[policy.egress]]\n{keys}\n")
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = config(
        "[[policy]]\nname = 'p'\n[[tier]]\nname = 't'\n[[endpoint]]\nname = 'e'\naddresses = ['10.0.0.1']\n\
                         [[service]]\nname = 's'\n[[service.ports]]\nport = 80\n[[endpoint.ports]]\nname = 'http'\nport = 1\n",
    );
    let text = toml::to_string(&config.resources).unwrap();
    let expected = "[[tier]]\nname = \"t\"\ndefault = \"deny\"\n\n\
                    [[policy]]\nname = \"p\"\ntier = \"default\"\nselector = \"all()\"\ntypes = [\"ingress\"]\non_change = \"drop\"\n\n\
                    [[endpoint]]\nname = \"e\"\nkind = \"workload\"\naddresses = [\"10.0.0.1/32\"]\n\n\
                    [[endpoint.ports]]\nname = \"http\"\nprotocol = \"tcp\"\nport = 1\n\n\
                    [[service]]\nname = \"s\"\n\n[[service.ports]]\nprotocol = \"tcp\"\nport = 80\ntarget = 80\n";
    assert_eq!(text, expected);
    assert_eq!(
        (config.resources.tiers[0].order, config.resources.policies[0].order),
        (Order::LAST, Order::LAST)
    );
}

#[test]
fn types_follow_from_the_rules() {
    let (ingress, egress) = ("[[policy.ingress]]\naction = 'deny'\n", "[[policy.egress]]\naction = 'deny'\n");
    for (rules, expected) in [
        (String::new(), (true, false)),
        (ingress.to_owned(), (true, false)),
        (egress.to_owned(), (false, true)),
        (format!("{ingress}{egress}"), (true, true)),
        ("types = ['egress']".to_owned(), (false, true)),
        (format!("types = ['egress', 'ingress']\n{ingress}"), (true, true)),
    ] {
        let Types { ingress, egress } =
            config(&format!("[[policy]]\nname = 'p'\n{rules}")).resources.policies[0].types;
        assert_eq!((ingress, egress), expected, "{rules}");
    }
    let text = format!("[[policy]]\nname = 'p'\ntypes = ['ingress']\n{egress}");
    assert_eq!(found(&text), one(Code::NeverAsked, 5, "'deny'"));
    let text = "[[policy]]\nname = 'p'\ntypes = ['egress', 'egress']\n";
    assert_eq!(found(text), one(Code::Malformed, 3, "'egress'"));
    assert_eq!(found("[[policy]]\nname = 'p'\ntypes = []\n"), one(Code::EmptyList, 3, "[]"));
}

#[test]
fn names_are_unique_where_they_must_be() {
    for (kind, rest) in [("tier", ""), ("profile", ""), ("namespace", "")] {
        let text = format!("[[{kind}]]\nname = 'a'\n{rest}[[{kind}]]\nname = 'a'\n{rest}");
        assert_eq!(found(&text), one(Code::DuplicateName, 4, "'a'"), "{kind}");
    }
    let namespaces = "namespace = [{ name = 'x' }, { name = 'y' }]\n";
    for (kind, rest) in [
        ("endpoint", "addresses = ['ADDRESS']\n"),
        ("service", "\n"),
        ("network_set", "nets = ['10.0.0.0/8']\n"),
        ("policy", "\n"),
    ] {
        let entry = |key: &str, at: u8| {
            format!("[[{kind}]]\nname = 'a'\n{key}\n{}", rest.replace("ADDRESS", &format!("10.0.0.{at}")))
        };
        let different = ["", "namespace = 'x'", "namespace = 'y'"];
        let text: String = (0..).zip(different).map(|(at, key)| entry(key, at)).collect();
        assert_eq!(found(&format!("{namespaces}{text}")), [], "{kind}");
        for key in different {
            let text = format!("{namespaces}{}{}", entry(key, 1), entry(key, 2));
            assert_eq!(found(&text), one(Code::DuplicateName, 7, "'a'"), "{kind} {key}");
        }
    }
    let policy = |keys: &str| format!("[[policy]]\nname = 'p'\n{keys}\n");
    let tiers = "[[tier]]\nname = 't'\n";
    let all = ["", "tier = 't'", "staged = 'set'", "tier = 't'\nstaged = 'delete'"].map(policy).concat();
    assert_eq!(found(&format!("{tiers}{all}")), []);
    let twice = [policy("staged = 'set'"), policy("staged = 'delete'")].concat();
    assert_eq!(found(&twice), one(Code::DuplicateName, 5, "'p'"));
    let help = report(&twice).diagnostics()[0].help.clone();
    assert_eq!(help.as_deref(), Some("the first is at t.toml:2:8"));
}

#[test]
fn what_does_not_exist_is_reported_once() {
    let text = "[[policy]]\nname = 'a'\ntier = 't'\nnamespace = 'n'\n[[policy]]\nname = 'b'\ntier = 't'\nnamespace = 'n'\n\
                [[policy]]\nname = 'c'\ntier = 'kube-admin'\n\
                [[endpoint]]\nname = 'e'\naddresses = ['::1']\nprofiles = ['default-allow', 'kns.m', 'kns.n', 'x', 'p']\n\
                [[namespace]]\nname = 'm'\n[[profile]]\nname = 'p'\n\
                [[network_set]]\nname = 's'\nnamespace = 'o'\nnets = ['::/0']\n";
    let expected = [
        (Code::UnknownTier, 3, "'t'".to_owned()),
        (Code::UnknownNamespace, 4, "'n'".to_owned()),
        (Code::UnknownProfile, 15, "'kns.n'".to_owned()),
        (Code::UnknownProfile, 15, "'x'".to_owned()),
        (Code::UnknownNamespace, 22, "'o'".to_owned()),
    ];
    assert_eq!(found(text), expected);
    // Manifests may have it.
    assert_eq!(found(&format!("manifests = ['k8s/*.yaml']\n{text}")), []);
}

#[test]
fn there_are_limits_as_in_calico() {
    let rules = "[[policy.ingress]]\naction = 'deny'\n".repeat(1024);
    let text = format!("[[policy]]\nname = 'p'\n{rules}");
    assert_eq!(found(&text), []);
    let text = format!("{text}[[policy.ingress]]\naction = 'log'\n");
    assert_eq!(found(&text), one(Code::Limit, 2052, "'log'"));
    let list = |count: usize, element: &str| format!("[{}]", vec![element; count].join(", "));
    for (key, element, max) in [
        ("nets", "'10.0.0.0/8'", 256),
        ("not_nets", "'10.0.0.0/8'", 256),
        ("ports", "1", 50),
        ("not_ports", "1", 50),
    ] {
        let text = |count| {
            rule(&format!("action = 'deny'\nprotocol = 'tcp'\nsource.{key} = {}", list(count, element)))
        };
        assert_eq!(found(&text(max)), [], "{key}");
        assert_eq!(found(&text(max + 1)), one(Code::Limit, 6, &list(max + 1, element)), "{key}");
    }
    let selector = |length: usize| {
        let text = format!("{:length$}", "has(a)");
        format!("[[policy]]\nname = 'p'\nselector = \"{text}\"")
    };
    assert_eq!(found(&selector(1024)), []);
    assert_eq!(found(&selector(1025)), one(Code::Selector, 3, " "));
}

#[test]
fn keys_of_a_rule_go_together() {
    let services = "services = { name = 's' }";
    for (keys, code, marked) in [
        ("protocol = 'tcp'\nicmp = { type = 8 }", Some(Code::Combination), "8"),
        ("protocol = 17\nnot_icmp = { type = 8, code = 0 }", Some(Code::Combination), "8"),
        ("icmp = { type = 8, code = 0 }", None, ""),
        ("protocol = 'icmp'\nicmp = { code = 0 }", Some(Code::MissingKey), "{ code = 0 }"),
        ("protocol = 'icmp'\nicmp = { type = 255 }", Some(Code::OutOfRange), "255"),
        ("protocol = 'icmpv6'\nnot_icmp = { type = 128, code = 255 }", None, ""),
        ("protocol = 'icmp'\nip_version = 6", Some(Code::Combination), "'icmp'"),
        ("protocol = 'icmpv6'\nip_version = 4", Some(Code::Combination), "'icmpv6'"),
        ("protocol = 'icmpv6'\nsource.nets = ['10.0.0.0/8']", Some(Code::MixedFamilies), "'10.0.0.0/8'"),
        ("ip_version = 4\nsource.nets = ['::1']", Some(Code::MixedFamilies), "'::1'"),
        ("source.nets = ['10.0.0.0/8']\ndestination.not_nets = ['::1']", Some(Code::MixedFamilies), "'::1'"),
        ("source.nets = ['10.0.0.0/8', '::1']", Some(Code::MixedFamilies), "'::1'"),
        ("source.nets = ['::1']\ndestination.not_nets = ['::/1']", None, ""),
        ("source.not_nets = ['0.0.0.0/0']", Some(Code::Combination), "'0.0.0.0/0'"),
        ("destination.not_nets = ['::/0']", Some(Code::Combination), "'::/0'"),
        ("destination.ports = [80]", Some(Code::PortsWithoutProtocol), "[80]"),
        ("protocol = 'icmp'\nsource.not_ports = ['http']", Some(Code::PortsWithoutProtocol), "['http']"),
        ("protocol = 'udplite'\ndestination.ports = [80]", Some(Code::PortsWithoutProtocol), "[80]"),
        ("protocol = 'sctp'\ndestination.ports = [80]", None, ""),
        ("source.namespace_selector = 'global()'", None, ""),
        ("source.selector = 'a == \"b\" || !global()'", Some(Code::Combination), "'a == \"b\" || !global()'"),
        ("source.not_selector = 'global()'", Some(Code::Combination), "'global()'"),
        ("source.service_accounts.selector = 'global()'", Some(Code::Combination), "'global()'"),
        ("destination.domains = ['*.example.org']", Some(Code::NotActedUpon), "['*.example.org']"),
        ("destination.domains = ['*.*.org']", Some(Code::Malformed), "'*.*.org'"),
        ("rate_limit = '10/second'", None, ""),
        ("rate_limit = '10/fortnight'", Some(Code::Malformed), "'10/fortnight'"),
    ] {
        let text = rule(&format!("action = 'deny'\n{keys}"));
        let found: Vec<_> = found(&text).into_iter().map(|(code, _, marked)| (code, marked)).collect();
        let expected: Vec<_> = code.map(|code| (code, marked.to_owned())).into_iter().collect();
        assert_eq!(found, expected, "{keys}\n{}", report(&text));
    }
    for key in [
        "nets = ['::1']",
        "not_nets = ['::1']",
        "selector = 'all()'",
        "not_selector = 'all()'",
        "namespace_selector = 'all()'",
        "service_accounts = { names = ['a'] }",
        "service_accounts = { selector = 'has(a)' }",
        "ports = [1]",
        "not_ports = [1]",
    ] {
        for (side, expected) in [("source", !key.contains("ports")), ("destination", true)] {
            let text = rule(&format!("action = 'deny'\nprotocol = 'tcp'\n{side} = {{ {services}, {key} }}"));
            let codes: Vec<_> = found(&text).into_iter().map(|(code, ..)| code).collect();
            let expected: Vec<_> = expected.then_some(Code::Combination).into_iter().collect();
            assert_eq!(codes, expected, "{side} {key}");
        }
    }
    for (action, refused) in
        [("log", true), ("pass", true), ("allow", false), ("deny", false), ("reject", false)]
    {
        let text = rule(&format!("action = '{action}'\nrate_limit = '10/m'"));
        assert_eq!(found(&text), if refused { one(Code::Combination, 5, "'10/m'") } else { vec![] });
    }
}

#[test]
fn keys_of_a_policy_go_together() {
    let namespace = "[[namespace]]\nname = 'n'\n[[policy]]\nname = 'p'\n";
    let text = format!("{namespace}namespace = 'n'\nnamespace_selector = 'all()'");
    assert_eq!(found(&text), one(Code::Combination, 6, "'all()'"));
    let text = format!("{namespace}staged = 'delete'\n[[policy.ingress]]\naction = 'deny'");
    assert_eq!(found(&text), one(Code::Combination, 7, "'deny'"));
    for key in ["selector", "namespace_selector", "service_account_selector"] {
        let text = format!("{namespace}{key} = 'global()'");
        assert_eq!(found(&text), one(Code::Combination, 5, "'global()'"));
    }
    for order in ["inf", "nan", "-inf", "1e999"] {
        assert_eq!(found(&format!("{namespace}order = {order}")), one(Code::OutOfRange, 5, order));
    }
    assert_eq!(found(&format!("{namespace}order = '1'")), one(Code::WrongType, 5, "'1'"));
    let order = |text: &str| config(&format!("{namespace}order = {text}")).resources.policies[0].order;
    let numbers = ["1_000", "0x10", "1e3", "-2.5", "-0.0"].map(|text| order(text).number());
    assert_eq!(numbers, [1000.0, 16.0, 1000.0, -2.5, 0.0].map(Some));
    // In a profile, `pass` denies: Calico takes it, and so do we.
    assert_eq!(found("[[profile]]\nname = 'p'\n[[profile.ingress]]\naction = 'pass'"), []);
}

#[test]
fn keys_of_endpoints_services_and_network_sets_go_together() {
    let endpoint = "[[namespace]]\nname = 'n'\n[[endpoint]]\nname = 'e'\naddresses = ['10.0.0.1']\n";
    let text = format!("{endpoint}kind = 'host'\nnamespace = 'n'");
    assert_eq!(found(&text), one(Code::Combination, 7, "'n'"));
    let text = format!("{endpoint}ports = [{{ name = 'x', port = 1, protocol = 'icmp' }}]");
    assert_eq!(found(&text), one(Code::PortsWithoutProtocol, 6, "'icmp'"));
    let text = format!("{endpoint}ports = [{{ name = '80', port = 0 }}]");
    assert_eq!(found(&text), [one(Code::Malformed, 6, "'80'"), one(Code::OutOfRange, 6, "0")].concat());
    assert_eq!(found("[[endpoint]]\nname = 'e'"), one(Code::MissingKey, 1, "[[endpoint]]"));
    let service = "[[service]]\nname = 's'\n";
    assert_eq!(found(&format!("{service}selector = 'global()'")), one(Code::Combination, 3, "'global()'"));
    for (target, expected) in [
        ("8080", vec![]),
        ("'web'", vec![]),
        ("'1-2'", one(Code::OutOfRange, 3, "'1-2'")),
        ("0", one(Code::OutOfRange, 3, "0")),
    ] {
        assert_eq!(found(&format!("{service}ports = [{{ port = 1, target = {target} }}]")), expected);
    }
    let set = "[[network_set]]\nname = 's'\n";
    assert_eq!(found(set), one(Code::MissingKey, 2, "'s'"));
    assert_eq!(
        found(&format!("{set}domains = ['example.org']")),
        one(Code::NotActedUpon, 3, "['example.org']")
    );
    for label in ["{ 'a b' = 'x' }", "{ '' = 'x' }", "{ 'é' = 'x' }", "{ a = \"\\u0007\" }"] {
        let found = found(&format!("{endpoint}labels = {label}"));
        assert_eq!((found.len(), found[0].0), (1, Code::Malformed), "{label}");
    }
    let report = report(&format!("{endpoint}labels = {{ example.org/team = 'x' }}"));
    assert_eq!(report.diagnostics()[0].code, Code::Syntax);
    let report = self::report(&format!("{endpoint}labels = {{ example.team = 'x' }}"));
    let help = "a label with dots in its name is written in quotes: \"example.org/team\"";
    assert_eq!(report.diagnostics()[0].help.as_deref(), Some(help));
}

#[test]
fn an_address_belongs_to_one_endpoint() {
    let text = "[[endpoint]]\nname = 'a'\naddresses = ['10.0.0.1', '10.0.0.1/32', '10.0.0.0/24']\n\
                [[endpoint]]\nname = 'b'\naddresses = ['10.0.0.2', '10.0.0.0/25', '10.0.0.1']\n";
    assert_eq!(found(text), one(Code::AddressTaken, 6, "'10.0.0.1'"));
    let report = report(text);
    let finding = &report.diagnostics()[0];
    assert_eq!(finding.message, "`a` and `b` both have the address 10.0.0.1/32");
    assert_eq!(finding.help.as_deref(), Some("the first is at t.toml:2:8"));
}

#[test]
fn a_mistake_in_a_selector_is_marked_where_it_is() {
    for (selector, marked) in [
        ("'role = \"x\"'", "="),
        ("\"role == 'x' & has(a)\"", "&"),
        ("'has(a'", "'"),
        ("\"\"\"a == 'é' ? 1\"\"\"", "?"),
        ("'''\na == 'é' ?'''", "?"),
        // With escapes, characters of the text are not those of the file.
        ("\"a == \\\"x\\\" ?\"", "\"a == \\\"x\\\" ?\""),
    ] {
        let found = found(&format!("[[policy]]\nname = 'p'\nselector = {selector}\n"));
        let line = if selector.contains('\n') { 4 } else { 3 };
        assert_eq!(found, one(Code::Selector, line, marked), "{selector}");
    }
}

/// A file of networks, which goes away with its owner.
struct NetsFile(PathBuf);

impl NetsFile {
    fn new(name: &str, text: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("ravelin-nets-{}-{name}", process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn set(&self, name: &str) -> String {
        format!("[[network_set]]\nname = '{name}'\nnets_file = '{}'\n", self.0.display())
    }
}

impl Drop for NetsFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn networks_are_read_from_files() {
    let file = NetsFile::new(
        "good",
        b"# bad ones\r\n10.0.0.0/8\r\n\n  2001:db8::1 # one\n192.0.2.7\n10.0.0.0/8\n::/0",
    );
    let config = config(&format!("{}{}nets = ['172.16.0.0/12']", file.set("a"), file.set("b")));
    assert_eq!(config.files, std::slice::from_ref(&file.0));
    let resources = &config.resources;
    let nets = |set: usize| {
        resources.nets(&resources.network_sets[set]).map(|net| net.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(nets(0), "10.0.0.0/8 192.0.2.7/32 ::/0 2001:db8::1/128");
    assert_eq!(nets(1), format!("172.16.0.0/12 {}", nets(0)));
    assert_eq!(Arc::strong_count(&resources.nets_files[&file.0]), 1);
    // Written and read again, it is the same.
    assert_eq!(self::config(&toml::to_string(&resources).unwrap()).resources, *resources);
    // Another content is another set.
    let other = NetsFile::new("other", b"10.0.0.0/8");
    let before = self::config(&other.set("a"));
    fs::write(&other.0, "10.0.0.0/9").unwrap();
    let changes = crate::diff(&before, &self::config(&other.set("a")));
    assert_eq!(changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["network_set[a]"]);
}

#[test]
fn mistakes_in_files_of_networks_are_marked_there() {
    let file =
        NetsFile::new("bad", b"10.0.0.0/8\n  \xff 10.0.0.1 \n10.0.0.300 # no\n10.1.2.3/8\n10.1.2.3/9\n");
    let shown = format!("{:200}", report(&file.set("a"))).replace(&file.0.display().to_string(), "nets");
    let expected = "warning[C101]: 2 networks of `nets` have bits set behind their length
 --> t.toml:3:13
  |
3 | nets_file = 'nets'
  |             ^^^^^^

error[C008]: `\u{fffd} 10.0.0.1` is not an IP address or prefix
 --> nets:2:3
  |
2 |   \u{fffd} 10.0.0.1
  |   ^^^^^^^^^^

error[C008]: `10.0.0.300` is not an IP address or prefix
 --> nets:3:1
  |
3 | 10.0.0.300 # no
  | ^^^^^^^^^^

warning[C101]: `10.1.2.3/8` has bits set behind its length of 8
 --> nets:4:1
  |
4 | 10.1.2.3/8
  | ^^^^^^^^^^ read as 10.0.0.0/8

2 errors, 2 warnings";
    let carets = "^".repeat(file.0.display().to_string().len() + 2);
    assert_eq!(shown.replace(&carets, "^^^^^^"), expected);
    let many = NetsFile::new("many", &b"x\n".repeat(100));
    let report = report(&many.set("a"));
    assert_eq!(report.errors(), 11);
    assert!(report.diagnostics()[0].message.starts_with("90 more lines of "));
}

#[test]
fn files_of_networks_have_limits() {
    let read = |text: &[u8], lines, bytes| {
        let file = NetsFile::new("limits", text);
        let mut findings = Findings::default();
        findings.read("x".into(), "t.toml".into());
        let place = findings.place(0..1);
        let nets = nets::read(&file.0, &place, Limits { lines, bytes }, &mut findings);
        let report = findings.into_report();
        let message = report
            .diagnostics()
            .first()
            .map(|it| (it.code, it.message.replace(&file.0.display().to_string(), "nets")));
        (nets.map(|nets| nets.len()), message)
    };
    assert_eq!(read(b"::1\n::2\n", 2, 8), (Some(2), None));
    let refused = |what: &str| (None, Some((Code::TooLarge, format!("`nets` has more than {what}"))));
    assert_eq!(read(b"::1\n::2\n", 1, 8), refused("1 lines"));
    assert_eq!(read(b"::1\n::2\n", 2, 7), refused("7 bytes"));
    assert_eq!(read(&[b' '; 2000], 2, 7000), refused("1024 bytes in line 1"));
    assert_eq!((nets::LIMITS.lines, nets::LIMITS.bytes), (16_777_216, 1_073_741_824));
    for path in ["/nonexistent/nets", "/dev/null"] {
        let found = found(&format!("[[network_set]]\nname = 'a'\nnets_file = '{path}'"));
        assert_eq!(found, one(Code::Unreadable, 3, &format!("'{path}'")));
    }
}

#[test]
fn a_rule_that_captures_needs_a_ring() {
    let text = rule("action = 'allow'\ncapture = true");
    assert_eq!(found(&text), one(Code::Combination, 5, "true"));
    assert_eq!(found(&rule("action = 'allow'\ncapture = false")), []);
    let text = text + "[capture.ring]\ndisk = '1GiB'\n";
    assert_eq!(found(&text), []);
    let config = config(&text);
    assert!(config.resources.policies[0].egress[0].capture);
    assert!(toml::to_string(&config.resources).unwrap().contains("capture = true"));
    assert_eq!(
        found("[[profile]]\nname = 'p'\n[[profile.ingress]]\naction = 'log'\ncapture = true"),
        one(Code::Combination, 5, "true")
    );
    assert_eq!(found("[[policy]]\nname = 'p'\ncapture = true"), one(Code::UnknownKey, 3, "capture"));
}
