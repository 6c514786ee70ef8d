use std::{net::IpAddr, path::Path, sync::Arc};

use jiff::Timestamp;
use proptest::prelude::*;
use ravelin_config::{Config, feed::Allowance, selector::Labelled, types::Protocol};
use ravelin_dataplane::policy::Key;

use super::{
    Contents, Library,
    formats::{self, Format, Options},
    guard::Guard,
};
use crate::{
    policy::{Answer, Explainer, Members},
    sources::{Loaded, load},
    testing::Directory,
};

/// A list with its signature.
pub(crate) struct Signed {
    pub(crate) key: &'static str,
    pub(crate) bytes: &'static [u8],
    pub(crate) signature: &'static str,
}

pub(crate) const SIGNED: Signed = Signed {
    key: "RWQY3l4awLmtL8kWMMOdvLmF77gXZAC1mxuTYL1nFOr9cV4KdyCEgTvl",
    bytes: b"192.0.2.1\n192.0.2.2\n",
    signature: "untrusted comment: signature from rsign secret key\n\
        RUQY3l4awLmtL/i8oubbvD0bDNuaxr+iELmC0N4AIQ2Lbt9+3ur7dnehJ3tX9TfWwFXP702aFeIF2XRe9QKeiVa4/L5gnbxjmQU=\n\
        trusted comment: a list\n\
        fyMquFf1iCr0r/uziPwZb4Wbk7MgkbCQ6Ouhy4RXta5QnOjH8TeIgxtOzyd0K9tSxOwTpZqp4jyILAUiWIPlAA==\n",
};

/// What a list says, when nothing is guarded.
pub(crate) fn contents(lines: &str) -> Contents {
    let options = Options { format: Format::Lines, ..Options::default() };
    // No bytes at all are no feed.
    let parsed = formats::parse(format!("# A list\n{lines}").as_bytes(), &options).unwrap();
    assert_eq!(parsed.problems, []);
    let config = ravelin_config::parse("[threat]\nguard = []\nwidest = { ipv4 = 0, ipv6 = 0 }", "t.toml");
    let config = config.unwrap_or_else(|report| panic!("{report}")).config;
    let guard = Guard::new(&config, [], Timestamp::now());
    Contents::new(Arc::new(parsed.indicators), 0, &guard.of("feodo"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Asking the sorted entries is asking each of them.
    #[test]
    fn the_entries_about_an_address_are_those_that_hold_it(
        ranges in proptest::collection::vec((any::<bool>(), 0_u8..24, 0_u8..8, proptest::option::of(1_u16..3)), 0..20),
        asked in (any::<bool>(), 0_u8..32, proptest::option::of(1_u16..4)),
    ) {
        let address = |v4: bool, last: u8| if v4 { format!("192.0.2.{last}") } else { format!("2001:db8::{last:x}") };
        let mut lines = String::new();
        for (v4, first, more, port) in &ranges {
            match port {
                // A range has no port.
                Some(port) if *v4 => lines += &format!("{}:{port}\n", address(true, *first)),
                Some(port) => lines += &format!("[{}]:{port}\n", address(false, *first)),
                None => lines += &format!("{}-{}\n", address(*v4, *first), address(*v4, first + more)),
            }
        }
        let contents = contents(&lines);
        let (v4, last, port) = asked;
        let asked: IpAddr = address(v4, last).parse().unwrap();
        let mut found: Vec<_> = contents.about(asked, port).iter().map(|(entry, _)| entry.to_string()).collect();
        let holds = |entry: &super::Addresses| {
            entry.range.first().is_ipv4() == asked.is_ipv4()
                && (entry.range.first()..=entry.range.last()).contains(&asked)
                && entry.port.is_none_or(|wanted| port.is_none_or(|port| wanted.get() == port))
        };
        let mut expected: Vec<_> = contents.entries().filter(holds).map(|entry| entry.to_string()).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// What joins and leaves makes one copy's set of addresses the other's, whatever is in them, and says nothing twice.
    #[test]
    fn members_that_join_and_leave_are_the_difference(
        before in proptest::collection::vec((any::<bool>(), 0_u8..16, 0_u8..4), 0..12),
        after in proptest::collection::vec((any::<bool>(), 0_u8..16, 0_u8..4), 0..12),
    ) {
        let library = |ranges: &[(bool, u8, u8)]| {
            let line = |(v4, first, more): &(bool, u8, u8)| match v4 {
                true => format!("192.0.2.{first}-192.0.2.{}\n", first + more),
                false => format!("2001:db8::{first:x}-2001:db8::{:x}\n", first + more),
            };
            let mut library = Library::new(&Config::default());
            library.put("feodo", Arc::new(contents(&ranges.iter().map(line).collect::<String>())));
            library
        };
        let (before, after) = (library(&before), library(&after));
        let nets = |library: &Library| -> std::collections::BTreeSet<_> {
            library.resources(&Config::default()).network_sets[0].nets.iter().copied().collect()
        };
        let Members { join, leave, .. } = before.members(&after, "feodo");
        let joined: Vec<_> = nets(&after).difference(&nets(&before)).copied().collect();
        let left: Vec<_> = nets(&before).difference(&nets(&after)).copied().collect();
        prop_assert_eq!((join, leave), (joined, left));
    }
}

/// Loads a configuration beside lists that it names.
fn loaded(directory: &Directory, text: &str) -> Loaded {
    let path = directory.write("ravelin.toml", text);
    load(&path).unwrap_or_else(|report| panic!("{report}"))
}

fn list(directory: &Directory, name: &str, lines: &str) -> String {
    directory.write(name, lines).display().to_string()
}

fn ask(loaded: &Loaded, source: &str, destination: &str) -> (String, Vec<String>) {
    let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
    let key = Key {
        source,
        destination,
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: 443,
        zones: Key::NO_ZONES,
    };
    let Answer { enforced, .. } = Explainer::new(&loaded.config, &loaded.library).unwrap().answer(&key, None);
    let sides = [enforced.egress, enforced.ingress].into_iter().flatten();
    (enforced.verdict.to_owned(), sides.flat_map(|side| side.trace).collect())
}

fn said(verdict: &str, trace: &[&str]) -> (String, Vec<String>) {
    (verdict.to_owned(), trace.iter().map(|&entry| entry.to_owned()).collect())
}

const CLIENT: &str = "192.0.2.1";

#[test]
fn feeds_block_or_note_in_their_directions() {
    let directory = Directory::new();
    let [bad, odd, off] = [("bad", "203.0.113.7\n"), ("odd", "203.0.113.0/24\n"), ("off", "198.51.100.1\n")]
        .map(|(name, lines)| list(&directory, name, lines));
    let loaded = loaded(
        &directory,
        &format!(
            "[[feed]]\nname = \"bad\"\nfile = \"{bad}\"\ndirection = \"egress\"\n[[feed]]\nname = \"odd\"\nfile = \"{odd}\"\n\
             action = \"alert\"\n[[feed]]\nname = \"off\"\nfile = \"{off}\"\nmode = \"disabled\"\n"
        ),
    );
    let odd = "0|threat|threat.feed:odd|log|0";
    assert_eq!(ask(&loaded, CLIENT, "203.0.113.7"), said("deny", &[odd, "1|threat|threat.feed:bad|deny|0"]));
    assert_eq!(ask(&loaded, "203.0.113.7", CLIENT), said("allow", &[odd]));
    assert_eq!(ask(&loaded, CLIENT, "203.0.113.8"), said("allow", &[odd]));
    assert_eq!(ask(&loaded, CLIENT, "198.51.100.1"), said("allow", &[]));
    // A disabled feed is no network set either; the one that is always there says nothing yet.
    let sets = loaded.library.resources(&loaded.config).network_sets;
    let names: Vec<_> = sets.iter().map(|set| (&*set.name, set.nets.len())).collect();
    assert_eq!(names, [("feodo", 0), ("bad", 1), ("odd", 1)]);
    assert_eq!(sets[1].labels.label("feed"), Some("bad"));
}

#[test]
fn an_earlier_rule_makes_an_exception_and_any_rule_can_name_a_feed() {
    let directory = Directory::new();
    let bad = list(&directory, "bad", "203.0.113.7:443\n203.0.113.8\n");
    let text = format!(
        "[[feed]]\nname = \"bad\"\nfile = \"{bad}\"\naction = \"ACTION\"\n\
         [[endpoint]]\nname = \"client\"\naddresses = [\"{CLIENT}\"]\nprofiles = [\"default-allow\"]\n"
    );
    let exception = "[[policy]]\nname = \"known-good\"\ntier = \"TIER\"\ntypes = [\"egress\"]\n[[policy.egress]]\n\
                     action = \"VERB\"\ndestination = { nets = [\"203.0.113.8\"] }\n";
    let with = |action: &str, more: &str| loaded(&directory, &(text.replace("ACTION", action) + more));
    let denied = said("deny", &["0|threat|threat.feed:bad|deny|0"]);
    assert_eq!(ask(&with("block", ""), CLIENT, "203.0.113.8"), denied);
    // A tier that comes before, and the tier of feeds itself, in which policies come first.
    for (tier, verb) in [("first", "allow"), ("threat", "allow")] {
        let tiers = "[[tier]]\nname = \"first\"\norder = 1\ndefault = \"pass\"\n";
        let exception = tiers.to_owned() + &exception.replace("TIER", tier).replace("VERB", verb);
        let found = ask(&with("block", &exception), CLIENT, "203.0.113.8");
        assert_eq!(found, said("allow", &[&format!("0|{tier}|{tier}.known-good|allow|0")]));
    }
    // To pass in the tier of feeds is an exception from feeds alone.
    let pass = exception.replace("TIER", "threat").replace("VERB", "pass");
    let found = ask(&with("block", &pass), CLIENT, "203.0.113.8");
    let profile = "1|__PROFILE__|__PROFILE__.default-allow|allow|0";
    assert_eq!(found, said("allow", &["0|threat|threat.known-good|pass|0", profile]));
    // The policy ends with the tier's default, which passes, and so would pass feeds over: they come before it.
    assert_eq!(ask(&with("block", &pass), CLIENT, "203.0.113.7"), denied);
    // As a network set a feed is its addresses, whatever the port.
    let rule = "[[policy]]\nname = \"own\"\ntypes = [\"egress\"]\n[[policy.egress]]\naction = \"reject\"\n\
                destination = { selector = \"feed == 'bad'\" }\n[[policy.egress]]\naction = \"allow\"\n";
    let noted = with("alert", rule);
    let found = ask(&noted, CLIENT, "203.0.113.8");
    assert_eq!(found, said("reject", &["0|threat|threat.feed:bad|log|0", "1|default|default.own|reject|0"]));
    assert_eq!(ask(&noted, CLIENT, "203.0.113.9"), said("allow", &["0|default|default.own|allow|1"]));
}

#[test]
fn a_feed_that_cannot_be_read_is_reported_and_says_nothing() {
    let directory = Directory::new();
    let page = list(&directory, "page", "<!DOCTYPE html><html></html>");
    let text = format!(
        "[[feed]]\nname = \"gone\"\nfile = \"{}\"\n[[feed]]\nname = \"page\"\nfile = \"{page}\"\n",
        Path::new("/nowhere/list").display()
    );
    let Loaded { warnings, library, .. } = loaded(&directory, &text);
    let said: Vec<_> = warnings.diagnostics().iter().map(|finding| finding.message.clone()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("`gone` says nothing") && said[1].contains("HTML"), "{said:?}");
    assert!(library.indicators().is_empty());
}

#[test]
fn what_changed_between_two_copies_is_what_a_network_set_gains_and_loses() {
    let config = Config::default();
    let library = |lines: &str| {
        let mut library = Library::new(&config);
        library.put("feodo", Arc::new(contents(lines)));
        library
    };
    let (before, after) = (
        library("192.0.2.0-192.0.2.2\n2001:db8::1\n"),
        library("192.0.2.0-192.0.2.1\n2001:db8::1\n203.0.113.9\n"),
    );
    let members = before.members(&after, "feodo");
    let texts =
        |nets: &[ravelin_config::types::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (texts(&members.join), texts(&members.leave)),
        (vec!["203.0.113.9/32".to_owned()], vec!["192.0.2.2/32".to_owned()])
    );
    assert_eq!(after.indicators().len(), 3);
}

#[test]
fn what_a_feed_said_is_kept_while_its_source_says_nothing() {
    let directory = Directory::new();
    let bad = list(&directory, "bad", "203.0.113.7\n203.0.113.8\n");
    let text = format!("[[feed]]\nname = \"bad\"\nfile = \"{bad}\"\n");
    let before = loaded(&directory, &text).library;
    std::fs::remove_file(&bad).unwrap();
    // Guarded meanwhile.
    let text = format!("[threat]\nguard = [\"203.0.113.8/32\"]\n{text}");
    let Loaded { mut library, .. } = loaded(&directory, &text);
    assert!(library.indicators().is_empty());
    library.keep(&before);
    let entries: Vec<_> = library.feeds()[1].contents.entries().map(|entry| entry.to_string()).collect();
    assert_eq!(entries, ["203.0.113.7"]);
    // Another source is another feed.
    let text = format!("[[feed]]\nname = \"bad\"\nfile = \"{bad}.other\"\n");
    let Loaded { mut library, .. } = loaded(&directory, &text);
    library.keep(&before);
    assert!(library.indicators().is_empty());
}

/// Two feeds that overlap, with these exceptions.
fn with_exceptions(directory: &Directory, allow: &str) -> Loaded {
    let bad = list(directory, "bad", "203.0.113.0/29\n203.0.113.9:443\n2001:db8::7\n");
    let other = list(directory, "other", "203.0.113.5\n203.0.113.6\n");
    loaded(
        directory,
        &format!(
            "{allow}\n[[feed]]\nname = \"bad\"\nfile = \"{bad}\"\n[[feed]]\nname = \"other\"\nfile = \"{other}\"\naction = \"alert\"\n"
        ),
    )
}

fn allow(address: &str, more: &str) -> String {
    format!("[[threat.allow]]\naddress = \"{address}\"\nreason = \"shared host\"\n{more}\n")
}

fn entries(library: &Library, feed: usize) -> Vec<String> {
    library.feeds()[feed].contents.entries().map(|entry| entry.to_string()).collect()
}

#[test]
fn what_is_allowed_is_as_if_its_feeds_did_not_name_it() {
    let directory = Directory::new();
    let text = allow("203.0.113.5", "") + &allow("203.0.113.9", "feeds = [\"bad\"]");
    let text = text + &allow("2001:db8::/64", "feeds = [\"other\"]");
    let loaded = with_exceptions(&directory, &text);
    let library = &loaded.library;
    // What remains of the prefix; for one feed, for the other, for a port; and another feed's exception is none.
    assert_eq!(entries(library, 1), ["203.0.113.0-203.0.113.4", "203.0.113.6/31", "2001:db8::7"]);
    assert_eq!(entries(library, 2), ["203.0.113.6"]);
    let counts = |feed: usize| {
        let contents = &library.feeds()[feed].contents;
        (contents.len(), contents.allowed(), contents.guarded(), contents.indicators().len())
    };
    assert_eq!((counts(1), counts(2)), ((3, 2, 0, 3), (1, 1, 0, 2)));
    // For the packet path, for alerts, and as network sets for rules.
    let denied = said("deny", &["0|threat|threat.feed:other|log|0", "1|threat|threat.feed:bad|deny|0"]);
    assert_eq!(ask(&loaded, CLIENT, "203.0.113.6"), denied);
    for address in ["203.0.113.5", "203.0.113.9"] {
        assert_eq!(ask(&loaded, CLIENT, address), said("allow", &[]), "{address}");
        assert!(library.about(address.parse().unwrap(), Some(443)).is_empty(), "{address}");
    }
    let sets = library.resources(&loaded.config).network_sets;
    let holds = |set: usize, address: &str| {
        sets[set].nets.iter().any(|net| net.contains(&address.parse::<IpAddr>().unwrap()))
    };
    assert_eq!(
        (sets[1].name.as_str(), holds(1, "203.0.113.5"), holds(1, "203.0.113.4")),
        ("bad", false, true)
    );
    // It is still known what was named, and why it does not count.
    let held = |address: &str, port| -> Vec<String> {
        let mentions = library.held_about(address.parse().unwrap(), port);
        mentions
            .iter()
            .map(|(mention, why)| format!("{} {}: {why}", mention.feed.name, mention.entry))
            .collect()
    };
    let why = "203.0.113.5 is allowed because \"shared host\"";
    assert_eq!(
        held("203.0.113.5", None),
        [format!("bad 203.0.113.5: {why}"), format!("other 203.0.113.5: {why}")]
    );
    assert_eq!(held("203.0.113.9", Some(443)).len(), 1);
    assert!(held("203.0.113.9", Some(80)).is_empty() && held("203.0.113.6", None).is_empty());
}

#[test]
fn an_exception_ends_by_itself() {
    let directory = Directory::new();
    let end: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    let before = end - std::time::Duration::from_secs(1);
    let text = allow("203.0.113.5", "expires = 2998-12-31") + &allow("198.51.100.1", "expires = 2998-12-30");
    let mut library = with_exceptions(&directory, &text).library;
    let said = |ended: &[Arc<Allowance>]| ended.iter().map(|it| it.address.to_string()).collect::<Vec<_>>();
    // One that nothing was held back by changes no feed.
    let (ended, changed) = library.expire(before);
    assert_eq!((said(&ended), changed), (vec!["198.51.100.1".to_owned()], vec![]));
    assert_eq!(
        (library.feeds()[1].contents.allowed(), entries(&library, 2)),
        (1, vec!["203.0.113.6".to_owned()])
    );
    let earlier = library.clone();
    let (ended, changed) = library.expire(end);
    assert_eq!(
        (said(&ended), changed),
        (vec!["203.0.113.5".to_owned()], vec!["bad".to_owned(), "other".to_owned()])
    );
    assert_eq!(entries(&library, 1), ["203.0.113.0/29", "203.0.113.9:443", "2001:db8::7"]);
    assert_eq!(entries(&library, 2), ["203.0.113.5", "203.0.113.6"]);
    // Rules that name the set see the address join.
    let join = earlier.members(&library, "other").join;
    assert_eq!(join.iter().map(ToString::to_string).collect::<Vec<_>>(), ["203.0.113.5/32"]);
    assert!(library.expire(end).0.is_empty(), "it is over");
}

#[test]
fn an_exception_may_be_covered_by_another_and_by_what_is_guarded() {
    let directory = Directory::new();
    let end: Timestamp = "2999-01-01T00:00:00Z".parse().unwrap();
    let text = "[threat]\nguard = [\"203.0.113.4/32\"]\n".to_owned()
        + &allow("203.0.113.5", "expires = 2998-12-31")
        + &allow("203.0.113.4-203.0.113.5", "feeds = [\"bad\"]");
    let mut library = with_exceptions(&directory, &text).library;
    let contents = &library.feeds()[1].contents;
    assert_eq!((contents.allowed(), contents.guarded()), (1, 0), "the wider of the two stands for both");
    let remains = ["203.0.113.0/30", "203.0.113.6/31", "203.0.113.9:443", "2001:db8::7"];
    assert_eq!(entries(&library, 1), remains);
    library.expire(end);
    assert_eq!((entries(&library, 1), entries(&library, 2).len()), (remains.map(str::to_owned).to_vec(), 2));
    // What has ended when it is read never counts.
    let library = with_exceptions(&directory, &allow("203.0.113.5", "expires = 2020-01-01")).library;
    assert_eq!((library.feeds()[1].contents.allowed(), entries(&library, 2).len()), (0, 2));
}
