use std::{collections::HashSet, net::IpAddr, sync::Arc};

use parking_lot::Mutex;
use proptest::prelude::*;
use ravelin_config::types::{Action, IpNet, Protocol};
use ravelin_dataplane::{
    io::blocklist::{BlockChange, PATTERNS, Pattern, Spared},
    policy::Key,
};

use super::{Blocklist, KernelKeeper, KernelStatus, list::List};
use crate::{
    feeds::Library,
    policy::{Engine, Exempt},
    sources,
    testing::Directory,
};

/// A configuration with lists beside it.
struct World {
    directory: Directory,
    engine: Engine,
    library: Library,
}

/// Lists that the kernel may drop, each under its name, and more configuration.
fn world(lists: &[(&str, &str)], more: &str) -> World {
    let directory = Directory::new();
    let mut text = "[threat]\nguard = []\nwidest = { ipv4 = 0, ipv6 = 0 }\n".to_owned();
    for (name, lines) in lists {
        let file = directory.write(name, format!("# A list\n{lines}\n"));
        text += &format!(
            "[[feed]]\nname = '{name}'\nfile = '{}'\nformat = 'lines'\ndrop_in_kernel = true\n",
            file.display()
        );
    }
    let path = directory.write("ravelin.toml", format!("{text}{more}"));
    let loaded = sources::load(&path).unwrap_or_else(|report| panic!("{report}"));
    let engine = Engine::of(&loaded.config, &loaded.library).unwrap();
    World { directory, engine, library: loaded.library }
}

impl World {
    fn exempt(&self) -> Exempt {
        self.engine.before_feeds().work_out().unwrap()
    }

    fn list(&self) -> List {
        List::new(&self.library, &self.exempt())
    }
}

fn nets(list: &List) -> Vec<String> {
    list.after(&List::default()).join.iter().map(ToString::to_string).collect()
}

/// What the programs do with a packet, as `is_blocked` in ravelin.bpf.c has it. The ports of protocols without are 0.
fn drops(list: &List, packet: &Key) -> bool {
    let BlockChange { join, has, spared, .. } = list.after(&List::default());
    let Spared { destinations, patterns } = spared.unwrap_or_default();
    let longest = |nets: &mut dyn Iterator<Item = (IpNet, u64)>, address: IpAddr| {
        nets.filter(|(net, _)| net.contains(&address)).max_by_key(|(net, _)| net.prefix_len())
    };
    if !has[usize::from(packet.source.is_ipv6())]
        || longest(&mut join.iter().map(|net| (*net, 0)), packet.source).is_none()
    {
        return false;
    }
    let bits = longest(&mut destinations.iter().copied(), packet.destination).map_or(0, |(_, bits)| bits);
    let matches = |pattern: &Pattern| {
        pattern.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && (!packet.protocol.has_ports()
                || (pattern.source_ports.contains(packet.source_port)
                    && pattern.destination_ports.contains(packet.destination_port)))
    };
    !patterns.iter().enumerate().any(|(at, pattern)| bits >> at & 1 == 1 && matches(pattern))
}

fn key(source: &str, source_port: u16, destination: &str, destination_port: u16) -> Key {
    let [source, destination] = [source, destination].map(|address| address.parse().unwrap());
    Key { source, destination, protocol: Protocol::TCP, source_port, destination_port, zones: Key::NO_ZONES }
}

#[test]
fn only_what_is_named_without_a_port_goes_to_the_kernel() {
    let lists = [
        ("a", "198.18.2.0/25\n198.18.2.128/25\n198.51.100.7:443\n2001:db8::/32"),
        ("b", "198.18.2.9\n203.0.113.1-203.0.113.6"),
    ];
    let world = world(
        &lists,
        "[[feed]]\nname = 'alert'\nfile = '/nowhere'\nmode = 'disabled'\ndrop_in_kernel = true\n",
    );
    let list = world.list();
    // Two halves are one, and a range is what it is made of.
    assert_eq!(
        nets(&list),
        [
            "198.18.2.0/24",
            "203.0.113.1/32",
            "203.0.113.2/31",
            "203.0.113.4/31",
            "203.0.113.6/32",
            "2001:db8::/32"
        ]
    );
    assert_eq!((list.len(), list.left), (6, 0));
    let mut feeds: Vec<_> = list.feeds.iter().map(|(name, entries)| (name.as_str(), *entries)).collect();
    feeds.sort_unstable();
    assert_eq!(feeds, [("a", 3), ("b", 2)]);
}

#[test]
fn a_feed_that_does_not_ask_for_it_stays_with_the_workers() {
    let mut world = world(&[("a", "198.18.2.0/24")], "");
    let text = std::fs::read_to_string(world.directory.file("ravelin.toml")).unwrap();
    let path = world.directory.write("ravelin.toml", text.replace("drop_in_kernel = true", ""));
    world.library = sources::load(&path).unwrap().library;
    assert_eq!(world.list(), List::default());
}

#[test]
fn lists_follow_one_another_by_differences() {
    let before = world(&[("a", "198.18.2.0/24\n198.51.100.1\n2001:db8::1")], "").list();
    let after = world(&[("a", "198.18.2.0/24\n198.51.100.2")], "").list();
    let expected = BlockChange {
        leave: ["198.51.100.1/32", "2001:db8::1/128"].map(|net| net.parse().unwrap()).to_vec(),
        join: vec!["198.51.100.2/32".parse().unwrap()],
        has: [true, false],
        spared: None,
    };
    assert_eq!(after.after(&before), expected);
    let nothing = List::default().after(&after);
    assert_eq!((nothing.leave.len(), nothing.join.len(), nothing.has), (2, 0, [false; 2]));
}

#[test]
fn where_there_is_no_room_the_widest_go_first_and_the_rest_is_counted() {
    let world = world(&[("a", "198.18.2.1\n198.18.2.128/25\n198.51.100.0/24\n2001:db8::1")], "");
    let list = List::within(2, &world.library, &world.exempt());
    assert_eq!(nets(&list), ["198.18.2.128/25", "198.51.100.0/24", "2001:db8::1/128"]);
    assert_eq!((list.left, list.feeds["a"]), (1, 3));
}

const SERVER: &str =
    "[[endpoint]]\nname = 'server'\naddresses = ['10.0.0.1']\nlabels = { role = 'server' }\n";

#[test]
fn what_an_exception_may_be_about_is_left_to_the_workers() {
    let policy = |tier: &str, keys: &str| {
        format!(
            "{SERVER}[[tier]]\nname = 'early'\norder = 1\n[[policy]]\nname = 'p'\ntier = '{tier}'\n{keys}\n"
        )
    };
    let list = |tier: &str, keys: &str| world(&[("a", "198.18.2.0/30")], &policy(tier, keys)).list();
    let allow = "[[policy.ingress]]\naction = 'allow'\nsource.nets = ['198.18.2.1']";
    let left = ["198.18.2.0/32", "198.18.2.2/31"];
    assert_eq!(nets(&list("early", allow)), left);
    assert_eq!(nets(&list("threat", allow)), left);
    assert_eq!(nets(&list("threat", &allow.replace("allow", "pass"))), left);
    assert_eq!(
        nets(&list("threat", "[[policy.egress]]\naction = 'allow'\ndestination.nets = ['198.18.2.1']")),
        left
    );
    // These cannot let anything pass that a feed names.
    for (tier, keys) in [
        ("default", allow.to_owned()),
        ("early", allow.replace("allow", "pass")),
        ("early", allow.replace("allow", "deny")),
        ("early", format!("staged = 'set'\n{allow}")),
    ] {
        assert_eq!(nets(&list(tier, &keys)), ["198.18.2.0/30"], "{tier} {keys}");
    }
    // Whom it lets in from anywhere is spared, and at its ports only.
    let web = "selector = 'role == \"server\"'\n[[policy.ingress]]\naction = 'allow'\nprotocol = 'tcp'\ndestination.ports = [80]";
    let list = list("early", web);
    assert_eq!(nets(&list), ["198.18.2.0/30"]);
    assert!(!drops(&list, &key("198.18.2.1", 4000, "10.0.0.1", 80)));
    assert!(drops(&list, &key("198.18.2.1", 80, "10.0.0.1", 4000)));
    assert!(drops(&list, &key("198.18.2.1", 4000, "10.0.0.2", 80)));
}

#[test]
fn failsafe_ports_of_hosts_are_open_to_everybody() {
    let hosts = "[[endpoint]]\nname = 'host'\nkind = 'host'\naddresses = ['10.0.0.9']\n";
    let list = world(&[("a", "198.18.2.0/30")], &format!("{SERVER}{hosts}")).list();
    assert_eq!(nets(&list), ["198.18.2.0/30"]);
    assert!(!drops(&list, &key("198.18.2.1", 4000, "10.0.0.9", 22)));
    // A resolver's answer.
    let answer = Key { protocol: Protocol::UDP, ..key("198.18.2.1", 53, "10.0.0.9", 4000) };
    assert!(!drops(&list, &answer));
    assert!(drops(&list, &Key { source_port: 54, ..answer }));
    assert!(drops(&list, &key("198.18.2.1", 4000, "10.0.0.9", 23)));
    assert!(drops(&list, &key("198.18.2.1", 4000, "10.0.0.1", 22)), "only hosts have failsafe ports");
}

#[test]
fn more_patterns_than_there_are_bits_are_one() {
    let rules: String = (0..=PATTERNS)
        .map(|at| {
            format!(
                "[[policy.ingress]]\naction = 'allow'\nprotocol = 'tcp'\ndestination.ports = [{}]\n",
                80 + 2 * at
            )
        })
        .collect();
    let more = format!("{SERVER}[[policy]]\nname = 'p'\ntier = 'threat'\n{rules}");
    let list = world(&[("a", "198.18.2.0/30")], &more).list();
    assert!(!drops(&list, &key("198.18.2.1", 4000, "10.0.0.1", 9999)));
    assert!(drops(&list, &key("198.18.2.1", 4000, "10.0.0.2", 80)), "what is no endpoint has no exception");
}

/// A policy of a tier before that of feeds, of it, or behind.
fn policy() -> impl Strategy<Value = String> {
    let tier = prop_oneof![Just("early"), Just("threat"), Just("default")];
    let own = prop_oneof![Just("all()"), Just("role == 'server'"), Just("role == 'client'")];
    let action = prop_oneof![Just("allow"), Just("pass"), Just("deny"), Just("log")];
    let peer = prop_oneof![
        Just(""),
        Just("nets = ['198.18.2.1/32']"),
        Just("nets = ['198.18.2.0/31', '10.0.0.1/32']"),
        Just("not_nets = ['198.18.2.2/31']"),
        Just("selector = \"feed == 'b'\""),
        Just("selector = \"role == 'client'\""),
    ];
    let ports = prop_oneof![
        Just(""),
        Just("protocol = 'tcp'\ndestination.ports = [22]"),
        Just("protocol = 'udp'\nsource.ports = [53]"),
        Just("protocol = 'icmp'"),
        Just("not_protocol = 'udp'"),
    ];
    (tier, own, any::<bool>(), action, peer, ports).prop_map(|(tier, own, into, action, peer, ports)| {
        let (direction, side) = if into { ("ingress", "source") } else { ("egress", "destination") };
        let peer = if peer.is_empty() { String::new() } else { format!("{side}.{peer}\n") };
        format!("tier = '{tier}'\nselector = \"{own}\"\n[[policy.{direction}]]\naction = '{action}'\n{peer}{ports}\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever policies there are, what the kernel drops the workers would drop: as the first packet of a flow, and as an
    /// answer in a flow that somebody opened to its sender.
    #[test]
    fn the_kernel_drops_nothing_that_policy_allows(policies in proptest::collection::vec(policy(), 0..4)) {
        let policies: String =
            policies.iter().enumerate().map(|(at, keys)| format!("[[policy]]\nname = 'p{at}'\n{keys}")).collect();
        let more = format!(
            "[[tier]]\nname = 'early'\norder = 1\n{SERVER}[[endpoint]]\nname = 'client'\naddresses = ['198.18.2.3']\n\
             labels = {{ role = 'client' }}\n[[endpoint]]\nname = 'host'\nkind = 'host'\naddresses = ['10.0.0.9']\n{policies}"
        );
        let world = world(&[("a", "198.18.2.0/30"), ("b", "198.18.2.2\n10.0.0.9")], &more);
        let list = world.list();
        let addresses = ["198.18.2.0", "198.18.2.1", "198.18.2.2", "198.18.2.3", "10.0.0.1", "10.0.0.9", "10.0.0.5"];
        let mut dropped = 0;
        for source in addresses {
            for destination in addresses {
                for (protocol, ports) in [
                    (Protocol::TCP, [4000, 22]),
                    (Protocol::TCP, [22, 4000]),
                    (Protocol::UDP, [53, 53]),
                    (Protocol::UDP, [53, 4000]),
                    (Protocol(47), [0, 0]),
                    (Protocol::ICMP, [0, 8 << 8]),
                ] {
                    let [source_port, destination_port] = ports;
                    let packet = Key { protocol, ..key(source, source_port, destination, destination_port) };
                    if !drops(&list, &packet) {
                        continue;
                    }
                    dropped += 1;
                    let opposite = match protocol {
                        Protocol::ICMP => key(destination, source_port, source, destination_port),
                        _ => key(destination, destination_port, source, source_port),
                    };
                    for flow in [packet, Key { protocol, ..opposite }] {
                        let judged = world.engine.policy().judge(&flow);
                        prop_assert_ne!(judged.action, Action::Allow, "{:?} {:?}\n{}", flow, packet, more);
                    }
                }
            }
        }
        // Nobody has an exception for GRE to an address that is nobody's, unless by the sender's address.
        prop_assert!(dropped > 0 || list.len() == 0 || !world.exempt().destinations.is_empty());
    }
}

/// A kernel that remembers what it was told.
#[derive(Clone, Default)]
struct Kernel(Arc<Mutex<(HashSet<IpNet>, [bool; 2])>>);

impl Blocklist for Kernel {
    fn change(&mut self, change: &BlockChange) -> Result<(), String> {
        let (nets, has) = &mut *self.0.lock();
        for net in &change.leave {
            assert!(nets.remove(net), "{net} was not there");
        }
        for net in &change.join {
            // A kernel without memory.
            if net.to_string() == "203.0.113.0/24" {
                (*nets, *has) = (HashSet::new(), [false; 2]);
                return Err("Cannot allocate memory".to_owned());
            }
            assert!(nets.insert(*net), "{net} was there");
        }
        *has = change.has;
        Ok(())
    }
}

fn wait(keeper: &KernelKeeper, prefixes: usize) -> KernelStatus {
    loop {
        let status = keeper.status();
        if status.prefixes == prefixes {
            return status;
        }
        std::thread::yield_now();
    }
}

#[test]
fn the_kernel_follows_and_is_told_nothing_when_nobody_asks_for_it() {
    let kernel = Kernel::default();
    let keeper = KernelKeeper::start(Box::new(kernel.clone())).unwrap();
    keeper.follow(&Library::default(), || panic!("policy is not asked in vain"));
    let follow = |lines: &str| {
        let world = world(&[("a", lines)], "");
        keeper.follow(&world.library, || world.engine.before_feeds());
    };
    follow("198.18.2.0/24\n2001:db8::1");
    assert_eq!(wait(&keeper, 2).feeds["a"], 2);
    assert_eq!(kernel.0.lock().1, [true; 2]);
    follow("198.18.2.0/24");
    wait(&keeper, 1);
    assert_eq!(*kernel.0.lock(), (HashSet::from(["198.18.2.0/24".parse().unwrap()]), [true, false]));
    // What the kernel refuses is not there, and the next list is made from nothing.
    follow("198.18.2.0/24\n203.0.113.0/24");
    assert_eq!(wait(&keeper, 0).left, 2);
    follow("198.18.2.0/24\n198.18.3.1");
    wait(&keeper, 2);
    keeper.follow(&Library::default(), || panic!("policy is not asked in vain"));
    assert_eq!(wait(&keeper, 0), KernelStatus::default());
    assert_eq!(*kernel.0.lock(), (HashSet::new(), [false; 2]));
}
