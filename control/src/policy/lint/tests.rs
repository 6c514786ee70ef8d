use super::{Finding, Severity, lint};
use crate::{feeds::Library, policy::Settings};

/// Three endpoints: a client without profile that a policy lets do everything, a server, a host.
const WORLD: &str = r#"
[[endpoint]]
name = "client"
addresses = ["10.0.0.1", "fd00::1"]
labels = { role = "client" }
profiles = ["default-allow"]

[[endpoint]]
name = "server"
addresses = ["10.0.0.2", "fd00::2"]
labels = { role = "server" }
profiles = ["default-allow"]
ports = [{ name = "http", protocol = "tcp", port = 80 }]

[[endpoint]]
name = "gate"
kind = "host"
addresses = ["10.0.1.1"]
labels = { role = "host" }
profiles = ["default-allow"]
"#;

fn findings(text: &str) -> Vec<Finding> {
    let config = ravelin_config::parse(text, "test.toml").unwrap_or_else(|report| panic!("{report}")).config;
    lint(&config.resources, &Settings::of(&config, &Library::default())).unwrap()
}

/// A policy for the server, with these ingress rules in front of one that allows all.
fn server(name: &str, rules: &str) -> String {
    format!(
        "[[policy]]\nname = \"{name}\"\nselector = \"role == 'server'\"\ntypes = [\"ingress\"]\ningress = [{rules}]\n"
    )
}

/// What is found in rules for the server, in short.
fn about(rules: &str) -> Vec<String> {
    let found = findings(&format!("{WORLD}{}", server("p", rules)));
    found
        .iter()
        .map(|finding| match finding.rule {
            Some(rule) => format!("{} {rule}", finding.kind),
            None => finding.kind.to_owned(),
        })
        .collect()
}

#[test]
fn nothing_is_found_where_nothing_is_doubtful() {
    let rules = r#"
        { action = "log" },
        { action = "deny", source.nets = ["10.0.0.0/24"], protocol = "tcp", destination.ports = ["8000-8099"] },
        { action = "allow", source.nets = ["10.0.0.0/23"], protocol = "tcp", destination.ports = ["8000-8100"] },
        { action = "allow", source.selector = "role == 'client'" },
        { action = "allow", protocol = "tcp", destination.ports = ["http"] },
        { action = "deny" },
    "#;
    assert_eq!(about(&rules.replace('\n', " ")), [""; 0]);
}

#[test]
fn a_rule_behind_one_that_matches_as_much_never_decides() {
    let all = r#"{ action = "allow" }, { action = "deny", protocol = "udp" }, { action = "allow", protocol = "tcp" }"#;
    assert_eq!(about(all), ["shadowed 1", "redundant 2"]);
    // By one thing in which the first is narrower, it is not in the way.
    for (first, second, expected) in [
        ("source.nets = ['10.0.0.0/8']", "source.nets = ['10.1.0.0/16']", true),
        ("source.nets = ['10.1.0.0/16']", "source.nets = ['10.0.0.0/8']", false),
        ("source.nets = ['10.0.0.0/8']", "protocol = 'tcp'", false),
        ("source.nets = ['0.0.0.0/0']", "ip_version = 4", true),
        ("source.nets = ['0.0.0.0/0']", "protocol = 'tcp'", false),
        ("source.nets = ['10.0.0.0/24']", "source.selector = \"role == 'client'\"", false),
        ("ip_version = 4", "source.nets = ['10.0.0.0/8']", true),
        ("ip_version = 6", "source.nets = ['10.0.0.0/8']", false),
        ("source.selector = 'all()'", "source.selector = \"role == 'client'\"", true),
        ("source.not_selector = \"role == 'x'\"", "source.nets = ['10.0.0.0/8']", true),
        ("protocol = 'tcp'", "protocol = 'tcp', destination.ports = [1]", true),
        (
            "protocol = 'tcp', destination.ports = ['1-9']",
            "protocol = 'tcp', destination.ports = [1, 5]",
            true,
        ),
        (
            "protocol = 'tcp', destination.ports = ['1-9']",
            "protocol = 'tcp', destination.ports = [1, 10]",
            false,
        ),
        ("protocol = 'tcp', destination.ports = ['1-9']", "protocol = 'udp', destination.ports = [1]", false),
        ("protocol = 'tcp', source.ports = [7]", "protocol = 'tcp'", false),
        (
            "protocol = 'tcp', destination.ports = [80]",
            "protocol = 'tcp', destination.ports = ['http']",
            true,
        ),
        ("not_protocol = 'udp'", "protocol = 'tcp'", true),
        ("not_protocol = 'tcp'", "protocol = 'tcp'", false),
        ("not_protocol = 'tcp'", "not_protocol = 'tcp'", true),
        ("protocol = 'tcp'", "not_protocol = 'udp'", false),
        ("protocol = 'icmp'", "protocol = 'icmp', icmp.type = 8", true),
        ("protocol = 'icmp', icmp = { type = 8, code = 0 }", "protocol = 'icmp', icmp.type = 8", false),
    ] {
        for (action, kind) in [("deny", "redundant 1"), ("allow", "shadowed 1"), ("reject", "shadowed 1")] {
            let rules = format!("{{ action = '{action}', {first} }}, {{ action = 'deny', {second} }}");
            let expected: &[&str] = if expected { &[kind] } else { &[] };
            assert_eq!(about(&rules), expected, "{rules}");
        }
        let rules = format!("{{ action = 'log', {first} }}, {{ action = 'deny', {second} }}");
        assert_eq!(about(&rules), [""; 0], "what logs decides nothing");
        let rules = format!("{{ action = 'pass', {first} }}, {{ action = 'deny', {second} }}");
        assert_eq!(about(&rules).len(), usize::from(expected), "what passes is over for the tier");
    }
}

#[test]
fn a_rule_about_some_zones_covers_none_about_others() {
    let interfaces = "[[interface]]\nname = 'a'\nmode = 'route'\nzone = 'inside'\n\
        [[interface]]\nname = 'b'\nmode = 'route'\nzone = 'outside'\n";
    let about = |rules: &str| {
        let found = findings(&format!("{interfaces}{WORLD}{}", server("p", rules)));
        found.iter().map(|finding| (finding.kind, finding.rule, finding.message.clone())).collect::<Vec<_>>()
    };
    let inside = "source.zones = ['inside']";
    for (first, second, expected) in [
        (inside, inside, true),
        (inside, "protocol = 'tcp'", false),
        ("protocol = 'tcp'", "protocol = 'tcp', source.zones = ['inside']", true),
        (inside, "source.zones = ['inside', 'outside']", false),
        ("source.zones = ['inside', 'outside']", inside, true),
        ("source.not_zones = ['outside']", inside, true),
        (inside, "source.not_zones = ['outside']", false),
        (inside, "destination.zones = ['inside']", false),
        ("source.zones = ['inside', 'outside']", "source.nets = ['10.0.0.0/8']", false),
    ] {
        let found = about(&format!("{{ action = 'deny', {first} }}, {{ action = 'allow', {second} }}"));
        assert_eq!(found.len(), usize::from(expected), "{first} {second}: {found:?}");
        assert!(found.iter().all(|(kind, rule, _)| (*kind, *rule) == ("shadowed", Some(1))), "{found:?}");
    }
    let found =
        about("{ action = 'allow', source.zones = ['inside'], source.not_zones = ['inside', 'outside'] }");
    let [(kind, rule, message)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((*kind, *rule), ("matches-nothing", Some(0)));
    assert!(message.contains("source: all of its `zones` are among its `not_zones`"), "{message}");
    // Whoever may come in by SSH from one zone only is not locked out.
    let shut = "[enforcement]\nfailsafe_inbound = []\n";
    let host = |rule: &str| {
        let policy = format!("[[policy]]\nname = 'h'\nselector = \"role == 'host'\"\ningress = [{rule}]\n");
        let found = findings(&format!("{shut}{interfaces}{WORLD}{policy}"));
        found.iter().any(|finding| finding.kind == "locked-out")
    };
    assert!(!host("{ action = 'allow', source.zones = ['inside'] }"));
    assert!(host(
        "{ action = 'deny', source.zones = ['inside'] }, { action = 'allow', source.zones = ['inside'] }"
    ));
}

#[test]
fn rules_of_several_policies_stand_in_each_others_way() {
    let first = server("a", "{ action = 'allow', protocol = 'tcp' }, { action = 'pass' }");
    let second = server("b", "{ action = 'deny', protocol = 'tcp', destination.ports = [22] }");
    let found = findings(&format!("{WORLD}{first}{second}"));
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.kind, finding.severity), ("shadowed", Severity::Warning));
    assert_eq!((finding.policy.as_deref(), finding.direction), (Some("default.b"), Some("ingress")));
    assert_eq!(
        finding.message,
        "ingress rule 0 of `default.b` (deny) never decides: rule 0 of `default.a` (allow) matches all that it would, \
         before it"
    );
    // For other endpoints nothing stands in the way.
    let other = second.replace("server", "client");
    assert_eq!(findings(&format!("{WORLD}{first}{other}")), []);
}

#[test]
fn a_tier_behind_one_that_decides_everything_is_unreachable() {
    let tier = "[[tier]]\nname = \"first\"\norder = 1\n";
    let first =
        server("a", "{ action = 'allow', protocol = 'tcp' }").replace("types", "tier = \"first\"\ntypes");
    let second = server("b", "{ action = 'deny', protocol = 'udp' }, { action = 'allow' }");
    let found = findings(&format!("{WORLD}{tier}{first}{second}"));
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.kind, finding.direction), ("unreachable-tier", Some("ingress")));
    assert!(finding.message.contains("`default`"), "{}", finding.message);
    assert!(finding.message.contains("the end of the tier `first` behind `first.a`"), "{}", finding.message);
    // One rule alone is told alone; a tier that passes is no end.
    let one = server("b", "{ action = 'deny', protocol = 'udp' }");
    assert_eq!(findings(&format!("{WORLD}{tier}{first}{one}"))[0].kind, "redundant");
    let passes = tier.replace("order", "default = \"pass\"\norder");
    assert_eq!(findings(&format!("{WORLD}{passes}{first}{second}")), []);
}

#[test]
fn what_matches_nothing_is_told_with_the_reason() {
    for (rule, kind, says) in [
        (
            "source.selector = \"role == 'nobody'\"",
            "matches-nothing",
            "source: no endpoint and no network set matches",
        ),
        (
            "source.namespace_selector = \"team == 'x'\"",
            "matches-nothing",
            "no namespace matches `team == 'x'`",
        ),
        ("source.service_accounts.names = ['nobody']", "matches-nothing", "no endpoint runs as `nobody`"),
        ("source.services.name = 'gone'", "undeclared-service", "no service is called `gone`"),
        (
            "protocol = 'tcp', destination.ports = ['ssh']",
            "undeclared-port",
            "destination: no endpoint declares a port `ssh`",
        ),
        ("protocol = 'udp', destination.ports = ['http']", "undeclared-port", "no endpoint declares"),
        (
            "protocol = 'tcp', destination.ports = ['ssh', 22]",
            "undeclared-port",
            "asks for a port that no endpoint declares: `ssh`",
        ),
        ("destination.domains = ['example.org']", "domains", "not acted upon yet"),
        (
            "source.nets = ['10.0.0.0/8'], source.not_nets = ['10.0.0.0/7']",
            "matches-nothing",
            "cannot all hold",
        ),
        ("destination.nets = ['10.7.0.0/16']", "matches-nothing", "cannot all hold"),
    ] {
        let rules = format!("{{ action = 'allow', {rule} }}");
        let rules = rules
            .replace("source.services.name", "source.services = { name")
            .replace("'gone' }", "'gone' } }");
        let found = findings(&format!("{WORLD}{}", server("p", &rules)));
        let [finding] = found.as_slice() else { panic!("{rule}: {found:?}") };
        assert_eq!((finding.kind, finding.rule), (kind, Some(0)), "{rule}");
        assert!(finding.message.contains(says), "{rule}: {}", finding.message);
    }
}

#[test]
fn policies_that_select_nothing_or_only_deny_are_told() {
    let nobody = server("p", "{ action = 'allow' }").replace("'server'", "'nobody'");
    let busy = server("q", "{ action = 'allow' }");
    let found = findings(&format!("{WORLD}{nobody}{busy}"));
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.kind, finding.policy.as_deref()), ("selects-nothing", Some("default.p")));

    assert_eq!(about(""), ["only-denies"]);
    let staged = server("s", "").replace("types", "staged = \"set\"\ntypes");
    let found = findings(&format!("{WORLD}{busy}{staged}"));
    assert_eq!((found.len(), found[0].policy.as_deref()), (1, Some("default.staged:s")));
    let gone = server("s", "").replace("types", "staged = \"delete\"\ntypes");
    assert_eq!(findings(&format!("{WORLD}{busy}{gone}"))[0].kind, "selects-nothing");
    let passing = "[[tier]]\nname = \"default\"\norder = 1000000\ndefault = \"pass\"\n";
    assert_eq!(findings(&format!("{WORLD}{passing}{}", server("p", ""))), [], "that end denies nothing");
}

#[test]
fn staged_rules_are_looked_at_among_what_is_staged() {
    let enforced = server("a", "{ action = 'allow', protocol = 'tcp' }");
    let staged = server("b", "{ action = 'deny', protocol = 'tcp', destination.ports = [22] }");
    let staged = staged.replace("types", "staged = \"set\"\ntypes");
    let found = findings(&format!("{WORLD}{enforced}{staged}"));
    assert_eq!((found.len(), found[0].policy.as_deref()), (1, Some("default.staged:b")));
    let replaced = staged.replace("\"b\"", "\"a\"");
    assert_eq!(findings(&format!("{WORLD}{enforced}{replaced}")), [], "it takes the place of the other");
}

#[test]
fn endpoints_that_nobody_reaches_are_told() {
    let lonely = "[[endpoint]]\nname = \"lonely\"\naddresses = [\"10.9.0.1\"]\n";
    let policy = server("p", "{ action = 'allow' }");
    let found = findings(&format!("{WORLD}{lonely}{policy}"));
    let told: Vec<_> = found.iter().map(|finding| (finding.kind, finding.direction)).collect();
    assert_eq!(told, [("denied-endpoints", Some("egress")), ("denied-endpoints", Some("ingress"))]);
    assert!(found[0].message.starts_with("`lonely` is denied all egress"), "{}", found[0].message);
    let governed = "[[policy]]\nname = \"l\"\nselector = \"!has(role)\"\negress = [{ action = \"allow\" }]\n";
    let found = findings(&format!("{WORLD}{lonely}{policy}{governed}"));
    assert_eq!((found.len(), found[0].direction), (1, Some("ingress")));
}

#[test]
fn nothing_enforcing_is_told() {
    let found = findings("");
    assert_eq!((found.len(), found[0].kind), (1, "nothing-enforced"));
    assert!(found[0].message.contains("there is no endpoint"));
    let found = findings(WORLD);
    assert_eq!((found.len(), found[0].kind), (1, "nothing-enforced"));
    assert!(found[0].message.contains("no policy is in force"));
    let nobody = server("p", "{ action = 'allow' }").replace("'server'", "'nobody'");
    let kinds: Vec<_> = findings(&format!("{WORLD}{nobody}")).iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["nothing-enforced", "selects-nothing"]);
}

#[test]
fn services_that_lead_nowhere_are_told() {
    let service = |selector: &str, target: &str| {
        let found = findings(&format!(
            "{WORLD}{}[[service]]\nname = \"web\"\nselector = \"{selector}\"\n\
             ports = [{{ protocol = \"tcp\", port = 80, target = \"{target}\" }}]\n",
            server("p", "{ action = 'allow' }")
        ));
        found.iter().map(|finding| finding.kind).collect::<Vec<_>>()
    };
    assert_eq!(service("role == 'server'", "http"), [""; 0]);
    assert_eq!(service("role == 'server'", "https"), ["undeclared-port"]);
    assert_eq!(service("role == 'nobody'", "http"), ["matches-nothing"]);
}

#[test]
fn a_host_that_nobody_reaches_by_ssh_is_told() {
    let host = |failsafes: &str, rules: &str| {
        let settings = format!("[enforcement]\nfailsafe_inbound = [{failsafes}]\n");
        let policy = server("p", rules).replace("'server'", "'host'");
        let found = findings(&format!("{settings}{WORLD}{policy}"));
        found.iter().any(|finding| {
            let is = finding.kind == "locked-out";
            assert!(!is || finding.severity == Severity::Error && finding.message.contains("`gate`"));
            is
        })
    };
    let ssh = "protocol = 'tcp', destination.ports = [22]";
    assert!(host("", "{ action = 'allow', protocol = 'udp' }"));
    assert!(host("\"tcp:23\", \"udp:22\"", "{ action = 'allow', protocol = 'udp' }"));
    for failsafe in ["\"tcp:22\"", "\"22\"", "\"tcp:10.0.0.0/8:22\""] {
        assert!(!host(failsafe, "{ action = 'allow', protocol = 'udp' }"), "{failsafe}");
    }
    assert!(!host("", "{ action = 'allow' }"));
    assert!(!host("", &format!("{{ action = 'allow', {ssh} }}")));
    assert!(!host("", &format!("{{ action = 'allow', {ssh}, source.nets = ['192.0.2.0/24'] }}")));
    assert!(host("", &format!("{{ action = 'deny', {ssh} }}, {{ action = 'allow' }}")));
    let denied = format!(
        "{{ action = 'deny', source.nets = ['192.0.2.0/25'] }}, {{ action = 'allow', {ssh}, source.nets = ['192.0.2.0/24'] }}"
    );
    assert!(!host("", &denied), "the upper half may");
    let v6 = format!("{{ action = 'allow', {ssh}, source.nets = ['2001:db8::/32'] }}");
    assert!(host("", &v6), "the host has no such address");
}
