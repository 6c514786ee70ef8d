use std::{fmt::Write, net::IpAddr};

use proptest::prelude::*;
use ravelin_config::types::{PortRange, Protocol};
use ravelin_dataplane::policy::Key;

use super::{Budget, Comparison, Group, compare};
use crate::{
    feeds::Library,
    policy::{Explainer, Zones, verdict_name},
};

/// Three web servers, a database, a host; policies that let the servers reach the database and everybody the servers.
const WORLD: &str = r#"
[[endpoint]]
name = "web-1"
namespace = "shop"
addresses = ["10.0.0.1", "fd00::1"]
labels = { app = "web" }

[[endpoint]]
name = "web-2"
namespace = "shop"
addresses = ["10.0.0.2", "fd00::2"]
labels = { app = "web" }

[[endpoint]]
name = "web-3"
namespace = "shop"
addresses = ["10.0.0.3", "fd00::3"]
labels = { app = "web" }

[[endpoint]]
name = "web-4"
namespace = "shop"
addresses = ["10.0.0.4", "fd00::4"]
labels = { app = "web" }

[[endpoint]]
name = "db"
namespace = "shop"
addresses = ["10.0.0.9", "fd00::9"]
labels = { app = "db" }

[[policy]]
name = "web"
namespace = "shop"
selector = "app == 'web'"
ingress = [{ action = "allow", protocol = "tcp", destination.ports = [80, 443] }]
egress = [{ action = "allow", destination.selector = "app == 'db'" }]

[[policy]]
name = "db"
namespace = "shop"
selector = "app == 'db'"
types = ["ingress", "egress"]
ingress = [{ action = "allow", protocol = "tcp", source.selector = "app == 'web'", destination.ports = [5432] }]
"#;

fn config(text: &str) -> ravelin_config::Config {
    ravelin_config::parse(text, "test.toml").unwrap_or_else(|report| panic!("{report}")).config
}

fn compared(old: &str, new: &str) -> Comparison {
    let comparison = compare(&config(old), &config(new), Budget::default()).unwrap();
    assert!(comparison.is_complete);
    comparison
}

/// What differs, a line each.
fn lines(old: &str, new: &str) -> Vec<String> {
    let told = compared(old, new).changes.into_iter().map(|difference| {
        let change = difference.change;
        let ports = change.ports.map(|ports| format!(" {ports}")).unwrap_or_default();
        let from = change.source_ports.map(|ports| format!(" from {ports}")).unwrap_or_default();
        let by = change.new_by.map(|by| format!(" by {by}")).unwrap_or_default();
        let (who, what) = (difference.from.to_string(), difference.to.to_string());
        format!("{who} -> {what} {}{ports}{from}: {} -> {}{by}", change.protocol, change.old, change.new)
    });
    told.collect()
}

#[test]
fn what_is_written_otherwise_and_means_the_same_does_not_differ() {
    assert_eq!(lines(WORLD, WORLD), [""; 0]);
    assert_eq!(compared(WORLD, WORLD).pairs, 0, "nothing is suspect");
    let other = WORLD
        .replace("destination.ports = [80, 443] }", "destination.ports = [80] }, { action = \"allow\", protocol = \"tcp\", destination.ports = [443] }")
        .replace("name = \"db\"\nnamespace = \"shop\"\nselector", "name = \"database\"\nnamespace = \"shop\"\nselector")
        .replace("app == 'web'", "app in {'web'}");
    assert_eq!(lines(WORLD, &other), [""; 0]);
}

#[test]
fn alike_endpoints_are_told_together() {
    let new = WORLD.replace("[5432]", "[5433]");
    let expected = [
        "shop/web-* (4 endpoints) -> shop/db tcp 5432: allow -> deny by shop/default.db, default",
        "shop/web-* (4 endpoints) -> shop/db tcp 5433: deny -> allow by shop/default.db, rule 0",
    ];
    assert_eq!(lines(WORLD, &new), expected, "for IPv4 and IPv6 once");
    let new = WORLD.replace("ports = [80, 443]", "ports = [\"80-443\"]");
    let found = lines(WORLD, &new);
    let expected =
        ["elsewhere -> shop/web-* (4 endpoints) tcp 81-442: deny -> allow by shop/default.web, rule 0"];
    assert_eq!(found, expected, "the other endpoints may not open it");
    let new = WORLD.replace("ports = [80, 443]", "ports = [80, 443], source.ports = [\"1024-65535\"]");
    let expected = [
        "elsewhere -> shop/web-* (4 endpoints) tcp 80, 443 from 0-1023: allow -> deny by shop/default.web, default",
    ];
    assert_eq!(lines(WORLD, &new), expected);
    let new = WORLD.replace(
        "protocol = \"tcp\", destination.ports = [80, 443]",
        "source.nets = [\"192.0.2.0/24\"] }, { action = \"allow\", source.nets = [\"2001:db8::/32\"]",
    );
    let expected = [
        "192.0.2.0/24 -> shop/web-* (4 endpoints) icmp: deny -> allow by shop/default.web, rule 0",
        "192.0.2.0/24 -> shop/web-* (4 endpoints) other: deny -> allow by shop/default.web, rule 0",
        "192.0.2.0/24 -> shop/web-* (4 endpoints) tcp 0-79, 81-442, 444-65535: deny -> allow by shop/default.web, rule 0",
        "192.0.2.0/24 -> shop/web-* (4 endpoints) udp: deny -> allow by shop/default.web, rule 0",
    ];
    let found = lines(WORLD, &new);
    assert_eq!(
        found.iter().filter(|line| line.starts_with("192.0.2.0/24")).collect::<Vec<_>>(),
        expected.each_ref()
    );
    assert!(
        found.contains(&expected[0].replace("192.0.2.0/24", "2001:db8::/32").replace("rule 0", "rule 1")),
        "{found:?}"
    );
    let lost =
        "elsewhere -> shop/web-* (4 endpoints) tcp 80, 443: allow -> deny by shop/default.web, default";
    assert!(found.contains(&lost.to_owned()), "{found:?}");
}

#[test]
fn every_kind_of_change_is_seen() {
    let host = "[[endpoint]]\nname = \"new\"\naddresses = [\"10.0.0.7\"]\n";
    let found = lines(WORLD, &format!("{host}{WORLD}"));
    assert!(
        found
            .contains(&"elsewhere -> new any: allow -> deny by __PROFILE__.__NO_MATCH__, default".to_owned()),
        "{found:?}"
    );
    let unknown = format!("[enforcement]\nunknown = \"deny\"\n{WORLD}");
    let expected = ["whatever is no endpoint -> whatever is no endpoint any: allow -> deny"];
    assert_eq!(lines(WORLD, &unknown), expected);
    let rejects = WORLD.replace(
        "types = [\"ingress\", \"egress\"]",
        "egress = [{ action = \"reject\", protocol = \"icmp\", icmp.type = 8 }]",
    );
    let found = lines(WORLD, &rejects);
    let expected = "shop/db -> shop/web-* (4 endpoints), elsewhere icmp type 8: deny -> reject by shop/default.db, rule 0".to_owned();
    assert!(found.contains(&expected), "{found:?}");
    let staged = WORLD.replace(
        "name = \"db\"\nnamespace = \"shop\"\nselector",
        "name = \"db\"\nstaged = \"set\"\nnamespace = \"shop\"\nselector",
    );
    let gone = &WORLD[..WORLD.rfind("[[policy]]").unwrap()];
    assert_eq!(lines(&staged, gone), [""; 0], "what is staged is not in force");
    let tier = "[[tier]]\nname = \"default\"\norder = 1000000\ndefault = \"pass\"\n";
    assert_eq!(lines(WORLD, &format!("{tier}{WORLD}")), [""; 0], "there is no profile behind it");
}

#[test]
fn zones_are_named_where_they_make_a_difference() {
    let told = |old: &str, new: &str| {
        let changes = compared(&format!("{INTERFACES}{old}"), &format!("{INTERFACES}{new}")).changes;
        let zones = |difference: super::Difference| {
            let super::Change { from_zones, to_zones, ports, old, new, .. } = difference.change;
            format!("{from_zones:?} {to_zones:?} {} {old} {new}", ports.unwrap_or_default())
        };
        changes.into_iter().map(zones).collect::<Vec<_>>()
    };
    let ports = "destination.ports = [5432]";
    let inside = WORLD.replace(ports, &format!("{ports}, source.zones = [\"inside\"]"));
    assert_eq!(told(WORLD, &inside), ["Some(\"dmz, outside, none\") None 5432 allow deny"]);
    let not_dmz = WORLD.replace(ports, &format!("{ports}, source.not_zones = [\"outside\", \"dmz\"]"));
    assert_eq!(told(&inside, &not_dmz), ["Some(\"none\") None 5432 deny allow"]);
    let both = WORLD.replace(
        ports,
        &format!("{ports}, source.zones = [\"inside\"], destination.not_zones = [\"outside\"]"),
    );
    assert_eq!(told(&inside, &both), ["Some(\"inside\") Some(\"outside\") 5432 allow deny"]);
    assert_eq!(told(&both, &both), [""; 0]);
    // By name: the numbers of zones are each configuration's own.
    let moved = INTERFACES.replace("zone = 'inside'\n", "").replace("zone = 'dmz'", "zone = 'inside'");
    let changes = compared(&format!("{INTERFACES}{inside}"), &format!("{moved}{inside}")).changes;
    assert_eq!(changes, []);
    // A zone that one of them does not know is none there.
    let changes = compared(WORLD, &format!("{INTERFACES}{not_dmz}")).changes;
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.change.from_zones.as_deref(), Some("dmz, outside"));
}

#[test]
fn when_it_is_too_much_that_is_said() {
    let new = WORLD.replace("[5432]", "[5433]").replace("[80, 443]", "[80]");
    let all = compared(WORLD, &new);
    let some = compare(&config(WORLD), &config(&new), Budget { pairs: 2, ..Budget::default() }).unwrap();
    assert!(!some.is_complete && some.pairs == all.pairs && some.looked_at < all.looked_at, "{some:?}");
    assert_eq!(all.looked_at, all.pairs);
    let none = compare(&config(WORLD), &config(&new), Budget { flows: 0, ..Budget::default() }).unwrap();
    assert!(!none.is_complete && none.looked_at == 0 && none.changes.is_empty(), "{none:?}");
}

#[test]
fn large_groups_are_short() {
    let endpoints = |name: &str| -> String {
        (1..=30).fold(String::new(), |mut text, number| {
            let address = format!("10.7.{}.{number}", name.len());
            write!(text, "[[endpoint]]\nname = \"{name}{number}\"\naddresses = [\"{address}\"]\nlabels = {{ new = \"yes\" }}\n").unwrap();
            text
        })
    };
    let policy = "[[policy]]\nname = \"p\"\nselector = \"has(new)\"\ningress = [{ action = \"allow\" }]\n";
    let mixed = format!("{}{}{policy}", endpoints("a"), endpoints("bb"));
    let found = compared(&mixed, &mixed.replace("\"allow\"", "\"reject\""));
    let to: Vec<_> = found.changes.iter().map(|difference| &difference.to).collect();
    assert_eq!(
        (to[0].name.as_str(), to[0].endpoints, to[0].examples.len()),
        ("a1 and 59 other endpoints", 60, 10)
    );
}

/// Something that a change may be made to, and what it becomes.
const EDITS: [(&str, &str); 14] = [
    ("[5432]", "[\"5400-5499\"]"),
    ("[80, 443]", "[443]"),
    ("app == 'db'\"\ntypes", "app != 'web'\"\ntypes"),
    ("source.selector = \"app == 'web'\"", "source.nets = [\"10.0.0.0/30\"]"),
    ("action = \"allow\", destination.selector", "action = \"reject\", destination.selector"),
    (
        "action = \"allow\", destination.selector = \"app == 'db'\"",
        "action = \"allow\", not_protocol = \"udp\"",
    ),
    ("\"10.0.0.4\"", "\"10.0.0.5\""),
    ("labels = { app = \"db\" }", "labels = { app = \"db\" }\nprofiles = [\"default-allow\"]"),
    ("types = [\"ingress\", \"egress\"]\n", ""),
    (
        "ingress = [{ action = \"allow\", protocol = \"tcp\", destination",
        "ingress = [{ action = \"pass\", protocol = \"udp\" }, { action = \"allow\", protocol = \"tcp\", destination",
    ),
    ("name = \"web\"\nnamespace = \"shop\"\nselector", "name = \"web\"\nselector"),
    ("name = \"web-2\"\nnamespace = \"shop\"", "name = \"web-2\""),
    ("\"tcp\", destination.ports", "\"tcp\", source.zones = [\"inside\"], destination.ports"),
    ("app == 'db'\" }]", "app == 'db'\", destination.not_zones = [\"outside\"] }]"),
];

/// Interfaces in zones.
const INTERFACES: &str = "[[interface]]\nname = 'a'\nmode = 'route'\nzone = 'inside'\n\
    [[interface]]\nname = 'b'\nmode = 'route'\nzone = 'outside'\n\
    [[interface]]\nname = 'c'\nmode = 'route'\nzone = 'dmz'\n";

fn edited(edits: &[bool; 14]) -> String {
    let chosen = EDITS.iter().zip(edits).filter(|(_, chosen)| **chosen);
    let world = (1..10).fold(WORLD.to_owned(), |text, at| text.replace(&format!(", \"fd00::{at}\""), ""));
    chosen.fold(world, |text, ((from, to), _)| {
        assert!(WORLD.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

/// Whether a zone, or none, is among those of a text such as `inside, none`.
fn among_zones(zones: Option<&String>, zone: Option<&str>) -> bool {
    zones.is_none_or(|zones| zones.split(", ").any(|told| told == zone.unwrap_or("none")))
}

/// Whether ports are among those of a text such as `80, 443-500`.
fn among(ports: Option<&String>, port: u16) -> bool {
    ports
        .is_none_or(|ports| ports.split(", ").any(|range| range.parse::<PortRange>().unwrap().contains(port)))
}

fn is_in(group: &Group, address: &str, explainers: &[Explainer; 2]) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let named = explainers.iter().filter_map(|explainer| explainer.endpoint_of(address));
    let named: Vec<_> = named.collect();
    assert!(group.examples.len() == group.endpoints, "the world is small enough to name all");
    if named.is_empty() {
        group.networks.iter().any(|network| {
            let prefix = network.parse::<ravelin_config::types::IpNet>().map(|net| net.contains(&address));
            network == "elsewhere" || prefix.unwrap_or(*network == address.to_string())
        })
    } else {
        named.iter().any(|name| group.examples.contains(name))
    }
}

/// Where flows come in and leave.
const ZONES: [[Option<&str>; 2]; 4] =
    [[None, None], [Some("inside"), Some("outside")], [Some("outside"), Some("inside")], [Some("dmz"), None]];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every flow that is decided differently is told, and none that is not.
    #[test]
    fn differences_are_those_that_asking_finds(old: [bool; 14], new: [bool; 14]) {
        let texts = [edited(&old), edited(&new)].map(|text| format!("{INTERFACES}{text}"));
        let changes = compared(&texts[0], &texts[1]).changes;
        let explainers = texts.each_ref().map(|text| Explainer::new(&config(text), &Library::default()).unwrap());
        let known = Zones::of(&config(INTERFACES));
        // One name is for two addresses then.
        let has_moved = texts[0].contains("10.0.0.5") != texts[1].contains("10.0.0.5");
        let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.9", "203.0.113.1"];
        for from in hosts {
            for to in hosts.into_iter().filter(|to| *to != from) {
                for (protocol, name, ports) in [
                    (Protocol::TCP, "tcp", &[0, 80, 443, 444, 5432, 5450][..]),
                    (Protocol::UDP, "udp", &[53]),
                    (Protocol(47), "other", &[0]),
                ] {
                    for (port, zones) in ports.iter().flat_map(|port| ZONES.map(|zones| (*port, zones))) {
                        let [source, destination] = [from, to].map(|address| address.parse().unwrap());
                        let numbers = zones.map(|zone| zone.and_then(|zone| known.find(zone)).unwrap_or_default());
                        let key = Key {
                            source,
                            destination,
                            protocol,
                            source_port: 0,
                            destination_port: port,
                            zones: numbers,
                        };
                        let [old, new] =
                            explainers.each_ref().map(|explainer| explainer.policy().judge(&key).action);
                        let told = changes.iter().filter(|difference| {
                            let change = &difference.change;
                            is_in(&difference.from, from, &explainers)
                                && is_in(&difference.to, to, &explainers)
                                && (change.protocol == "any" || change.protocol == name)
                                && among(change.ports.as_ref(), port)
                                && among_zones(change.from_zones.as_ref(), zones[0])
                                && among_zones(change.to_zones.as_ref(), zones[1])
                        });
                        let told: Vec<_> = told.map(|difference| (difference.change.old, difference.change.new)).collect();
                        if old == new {
                            prop_assert!(told.is_empty() || has_moved, "{from} {to} {name} {port} {zones:?}: {told:?} {changes:?}");
                        } else {
                            let pair = (verdict_name(old), verdict_name(new));
                            prop_assert!(told.contains(&pair), "{from} {to} {name} {port} {zones:?}: {told:?} {changes:?}");
                        }
                    }
                }
            }
        }
    }
}
