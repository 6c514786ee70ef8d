use std::{cell::Cell, fs, time::Duration};

use ravelin_config::types::{Action, Protocol};
use ravelin_dataplane::{
    capture::Point,
    handoff::WorkerId,
    policy::{Key, RuleId},
};

use super::*;
use crate::testing::{BRIDGE, Directory};

const FACTS: PortFacts = PortFacts { mtu: 1500, partial_checksums: false };

fn begin(directory: &Directory, text: &str, workers: u8) -> Reloader {
    let path = directory.write("ravelin.toml", text);
    let (loaded, changes) = prepare(&path, None).unwrap();
    assert!(changes.is_empty(), "nothing differs from nothing");
    Reloader::begin(path, loaded.config, loaded.library, workers, |_| FACTS).unwrap()
}

/// What happens to FTP.
fn verdict(reader: &Reader) -> Action {
    let [source, destination] = [[192, 0, 2, 1], [198, 51, 100, 1]].map(Into::into);
    let key = Key {
        source,
        destination,
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: 21,
        zones: Key::NO_ZONES,
    };
    reader.snapshot().policy.judge(&key).action
}

#[test]
fn a_live_change_is_published_and_named() {
    let directory = Directory::new();
    let mut reloader = begin(&directory, BRIDGE, 1);
    let mut reader = reloader.reader(WorkerId(0));
    assert_eq!((reader.snapshot().generation, verdict(&reader)), (1, Action::Allow));

    let more = "[[policy]]\nname = \"no-ftp\"\n[[policy.ingress]]\naction = \"deny\"\nprotocol = \"tcp\"\n\
                destination.ports = [21]\n";
    directory.write("ravelin.toml", format!("{BRIDGE}{more}"));
    let reloaded = reloader.reload(|_| FACTS).unwrap();
    assert_eq!(reloaded.generation, 2);
    let fields: Vec<_> = reloaded.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["policy[no-ftp]"]);

    reader.observe();
    assert_eq!((reader.snapshot().generation, verdict(&reader)), (2, Action::Deny));
    let book = reloader.book();
    assert!(book.blocks().iter().any(|(_, block)| block.policy == "default.no-ftp"));
}

#[test]
fn what_the_system_says_of_interfaces_is_asked_again() {
    let directory = Directory::new();
    let mut reloader = begin(&directory, BRIDGE, 1);
    let mut reader = reloader.reader(WorkerId(0));
    let reloaded = reloader.reload(|_| PortFacts { mtu: 9000, ..FACTS }).unwrap();
    assert_eq!((reloaded.generation, reloaded.changes), (2, Vec::new()));
    reader.observe();
    assert!(format!("{:?}", reader.snapshot().forward).contains("mtu: 9000"));
}

#[test]
fn a_change_that_needs_a_restart_is_refused_with_the_fields_and_nothing_changes() {
    let directory = Directory::new();
    let mut reloader = begin(&directory, BRIDGE, 1);
    let mut reader = reloader.reader(WorkerId(0));
    let before = Arc::clone(reloader.running());

    let changed = BRIDGE.replace("in0", "in1");
    directory
        .write("ravelin.toml", format!("{changed}[enforcement]\nunknown = \"deny\"\n[workers]\nbatch = 7\n"));
    let ReloadError::Restart(fields) = reloader.reload(|_| FACTS).unwrap_err() else {
        panic!("a bridge with other ports needs a restart")
    };
    assert!(fields.contains(&"workers.batch".to_owned()), "{fields:?}");
    assert!(fields.contains(&"bridge[edge].ports".to_owned()), "{fields:?}");
    assert!(!fields.contains(&"enforcement.unknown".to_owned()), "that one is live: {fields:?}");

    reader.observe();
    assert_eq!(reader.snapshot().generation, 1);
    assert_eq!(reloader.generation(), 1);
    assert_eq!(*reloader.running(), before);
}

#[test]
fn a_wrong_file_is_refused_with_its_report_and_the_next_right_one_is_taken() {
    let directory = Directory::new();
    let mut reloader = begin(&directory, BRIDGE, 1);
    for wrong in ["[[bridge]\n", "", "[nonsense]\n"] {
        directory.write("ravelin.toml", wrong);
        let error = reloader.reload(|_| FACTS).unwrap_err();
        let ReloadError::Config(report) = &error else { panic!("{error}") };
        assert_eq!(report.errors(), 1, "{report}");
        assert_eq!(reloader.generation(), 1);
    }
    fs::remove_file(directory.file("ravelin.toml")).unwrap();
    assert!(matches!(reloader.reload(|_| FACTS), Err(ReloadError::Config(_))));
    directory.write("ravelin.toml", format!("{BRIDGE}[enforcement]\nunknown = \"deny\"\n"));
    assert_eq!(reloader.reload(|_| FACTS).unwrap().generation, 2);
}

#[tokio::test]
async fn a_reload_waits_for_every_worker_and_names_those_that_are_behind() {
    let directory = Directory::new();
    let mut reloader = begin(&directory, BRIDGE, 2);
    let mut quick = reloader.reader(WorkerId(0));
    let mut slow = reloader.reader(WorkerId(1));
    let old = Arc::downgrade(&reloader.publisher.current());

    reloader.reload(|_| FACTS).unwrap();
    quick.observe();
    let woken = Cell::new(0);
    let behind = reloader
        .settle(Duration::from_millis(20), |worker| {
            assert_eq!(worker, WorkerId(1), "the quick one is left alone");
            woken.set(woken.get() + 1);
        })
        .await;
    assert_eq!(behind, [WorkerId(1)]);
    assert!(woken.get() > 0);
    assert!(old.upgrade().is_some(), "a worker still runs on it");

    slow.observe();
    assert_eq!(reloader.settle(Duration::from_millis(20), |_| ()).await, []);
    assert!(old.upgrade().is_none(), "it died here, not on a worker");
}

#[test]
fn a_capture_of_what_a_rule_decided_follows_the_rule() {
    let directory = Directory::new();
    let policy = |first: &str| {
        format!(
            "[[policy]]\nname = \"no-ftp\"\n[[policy.ingress]]\naction = \"{first}\"\nprotocol = \"udp\"\n\
             [[policy.ingress]]\naction = \"deny\"\nprotocol = \"tcp\"\ndestination.ports = [21]\n"
        )
    };
    let mut reloader = begin(&directory, &format!("{BRIDGE}{}", policy("pass")), 1);
    let mut reader = reloader.reader(WorkerId(0));
    let spec = |more: &str| serde_json::from_str(&format!("{{\"name\": \"a\"{more}}}")).unwrap();

    for (more, says) in [
        (", \"policy\": \"no-fpt\"", "there is no policy `no-fpt`; there is `default.no-ftp`"),
        (", \"tier\": \"defualt\"", "there is no tier `defualt`; there is `default`"),
        (", \"tier\": \"threat\", \"policy\": \"no-ftp\"", "there is no policy `no-ftp`"),
        (", \"policy\": \"no-ftp\", \"rule\": 2", "there is no rule `2`; there is"),
        (", \"policy\": \"no-ftp\", \"rule\": -2", "there is no rule `-2`; there is"),
        (", \"rule\": 2", "a rule has its number in a policy"),
        (", \"point\": \"forwarded\", \"verdict\": \"drop\"", "what is dropped does not leave"),
    ] {
        let error = reloader.check_capture(&spec(more)).unwrap_err().to_string();
        assert!(error.contains(says), "{more}: {error}");
    }

    for (number, more) in [
        (1, ", \"policy\": \"no-ftp\", \"rule\": 1"),
        (2, ", \"policy\": \"default.no-ftp\", \"rule\": -1"),
        (3, ", \"tier\": \"default\""),
        (4, ", \"tier\": \"default\", \"policy\": \"no-ftp\""),
    ] {
        reloader.start_capture(number, spec(more)).unwrap();
    }
    // Which of the numbers of a policy's rules each capture wants, and whether the one behind.
    let mut wanted = |reloader: &Reloader| {
        let blocks = reloader.book().blocks();
        let (first, _) = blocks.iter().rfind(|(_, block)| block.policy == "default.no-ftp").unwrap();
        reader.observe();
        assert!(reader.snapshot().policy.outcomes.iter().any(|outcome| outcome.rule.0 == first.0 + 1),);
        let plan = reader.snapshot().capture.at(Point::Received).to_vec();
        let has = |at: usize| {
            let rules = plan[at].decided_by.clone().unwrap();
            [0, 1, 2].map(|place| rules.has(RuleId(first.0 + place)))
        };
        ([0, 1, 2, 3].map(has), first.0)
    };
    let all = [[false, true, false], [false, false, true], [true; 3], [true; 3]];
    let (found, before) = wanted(&reloader);
    assert_eq!(found, all);
    directory.write("ravelin.toml", format!("{BRIDGE}{}", policy("log")));
    reloader.reload(|_| FACTS).unwrap();
    let (found, after) = wanted(&reloader);
    assert_eq!(found, all);
    assert_ne!(before, after, "its rules have other numbers");
    // What is gone decides nothing more, and is no reason to capture something else.
    directory.write("ravelin.toml", BRIDGE);
    reloader.reload(|_| FACTS).unwrap();
    let mut reader = reloader.reader(WorkerId(0));
    reader.observe();
    assert_eq!(reader.snapshot().capture.at(Point::Received).len(), 4);
    assert!(reloader.check_capture(&spec(", \"policy\": \"no-ftp\"")).is_err());
}

/// A router between two zones of which one may open flows to the other.
const ZONED: &str = "[[interface]]\nname = \"lan\"\nmode = \"route\"\nzone = \"inside\"\n\
    [[interface]]\nname = \"wan\"\nmode = \"route\"\nzone = \"outside\"\n\
    [[endpoint]]\nname = \"all\"\naddresses = [\"0.0.0.0/0\"]\nprofiles = [\"default-allow\"]\n\
    [[policy]]\nname = \"out\"\n[[policy.ingress]]\naction = \"allow\"\n";

/// Whether a flow that was judged before a change is judged again.
fn is_asked_again(reloader: &mut Reloader, change: impl FnOnce(&mut Reloader)) -> bool {
    let before = reloader.generation();
    change(reloader);
    let snapshot = reloader.current();
    assert_eq!(snapshot.generation, before + 1);
    snapshot.change.as_ref().is_none_or(|change| change.since > before || !change.addresses.is_empty())
}

#[test]
fn routes_that_change_have_flows_judged_again_if_a_rule_asks_for_zones() {
    let routes = |reloader: &Reloader| Routes { fibs: [].into(), ..reloader.current().routes.clone() };
    let zones = "source.zones = [\"inside\"]\ndestination.zones = [\"outside\"]\n";
    for (text, expected) in [(ZONED.to_owned(), false), (format!("{ZONED}{zones}"), true)] {
        let directory = Directory::new();
        let mut reloader = begin(&directory, &text, 1);
        assert_eq!(reloader.policy().uses_zones(), expected);
        let other = routes(&reloader);
        let asked =
            is_asked_again(&mut reloader, |reloader| reloader.follow_routes(other.clone(), Vec::new()));
        assert_eq!(asked, expected);
        // Who is on a link has no say in where a flow leaves.
        let neighbours = Routes { neighbours: Arc::default(), ..other };
        assert!(!is_asked_again(&mut reloader, |reloader| reloader.follow_routes(neighbours, Vec::new())));
    }
}

#[test]
fn an_interface_changes_its_zone_while_it_runs() {
    let directory = Directory::new();
    let zones = "source.zones = [\"inside\"]\ndestination.zones = [\"outside\"]\n";
    let text = format!("{ZONED}{zones}");
    let mut reloader = begin(&directory, &text, 1);
    let zone = |reloader: &Reloader, port| reloader.current().forward.zone(Some(PortId(port))).number();
    assert_eq!([0, 1].map(|port| zone(&reloader, port)), [0, 1]);
    let none = reloader.current().forward.zone(Some(PortId(2)));
    assert_eq!(none, ravelin_dataplane::policy::Zone::NONE, "the kernel's end");
    let swapped = text.replace("\"inside\"\n[[", "\"x\"\n[[").replacen("\"outside\"", "\"inside\"", 1);
    let swapped = swapped.replacen("\"x\"", "\"outside\"", 1);
    directory.write("ravelin.toml", swapped);
    let asked = is_asked_again(&mut reloader, |reloader| {
        let changes = reloader.reload(|_| FACTS).unwrap().changes;
        let fields: Vec<_> = changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["interface[lan].zone", "interface[wan].zone"]);
    });
    assert!(asked);
    // The rule asks for the same names, which have other numbers now.
    let judge = |source: u8, destination: u8| {
        let snapshot = reloader.current();
        let zones = [source, destination].map(|port| snapshot.forward.zone(Some(PortId(port))));
        let [from, to] = [[192, 0, 2, 1], [198, 51, 100, 1]].map(Into::into);
        let key = Key {
            source: from,
            destination: to,
            protocol: Protocol::TCP,
            source_port: 1,
            destination_port: 1,
            zones,
        };
        snapshot.policy.judge(&key).action
    };
    assert_eq!((judge(1, 0), judge(0, 1)), (Action::Allow, Action::Deny));
}
