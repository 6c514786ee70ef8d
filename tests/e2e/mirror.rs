//! The mirror of the kernel's routes and neighbours, held against the kernel in a namespace of its own.

use std::time::Instant;

use ravelin_control::mirror::{GroupId, LinkIndex, Mirror, NeighbourState, Settings, TableId, Target};
use ravelin_tests::process::wait_for;

use crate::mirror_world::{World, describe};

const ROUTES: usize = 10_000;

fn prefix(number: usize) -> String {
    format!("20.{}.{}.0/24", number / 256, number % 256)
}

#[test]
fn ten_thousand_routes_at_once_are_followed() {
    let Some(world) = World::new(Settings::default()) else { return };
    for (what, count, verb, way) in [
        ("added", ROUTES, "add", "via 10.1.0.2"),
        ("replaced", ROUTES, "replace", "via 10.2.0.2"),
        ("deleted", 0, "del", ""),
    ] {
        let start = Instant::now();
        world.batch("", (0..ROUTES).map(|number| format!("route {verb} {} {way}", prefix(number))));
        let done = Instant::now();
        wait_for(what, || {
            let told = world.told();
            let ours = told.routes.iter().filter(|((_, prefix), _)| prefix.starts_with("20."));
            let is_there = |id: &GroupId| {
                let gateway = told.groups[id].hops().first().and_then(|hop| hop.gateway);
                gateway.is_some_and(|gateway| way.ends_with(&gateway.to_string()))
            };
            let ours: Vec<bool> = ours.map(|(_, id)| is_there(id)).collect();
            ours.len() == count && ours.iter().all(|is| *is)
        });
        println!(
            "10000 routes {what}: the kernel took {:?}, the mirror {:?} more",
            done - start,
            done.elapsed()
        );
        world.agrees(what);
    }
    let counts = world.follower.counts();
    assert_eq!(counts.overruns, 0);
    assert!(counts.messages as usize >= 3 * ROUTES, "{counts:?}");
    assert!(counts.told < counts.changes / 10, "changes come together: {counts:?}");

    // What comes and goes at once need not be told; in the end everything is as it was.
    let told = world.told().changes;
    let flap = (0..ROUTES).flat_map(|number| {
        ["add", "del"].map(|verb| format!("route {verb} {} via 10.1.0.2", prefix(number % 100)))
    });
    world.batch("", flap);
    world.agrees("flapping");
    let told = world.told().changes - told;
    println!("{} changes that undo one another: {told} told", 2 * ROUTES);
    assert!(told < ROUTES, "{told}");
}

#[test]
fn what_the_kernel_removes_without_a_word_is_noticed() {
    let Some(world) = World::new(Settings::default()) else { return };
    world.here.ip("route add 20.0.0.0/24 via 10.1.0.2 metric 10");
    world.here.ip("route add 20.0.0.0/24 via 10.2.0.2 metric 20");
    world.here.ip("route add 20.0.1.0/24 via 10.1.0.2");
    world.here.ip("route add 20.0.2.0/24 nexthop via 10.1.0.2 weight 3 nexthop via 10.2.0.2");
    world.here.ip("-6 route add fd20::/64 via fd01::2 metric 10");
    world.here.ip("-6 route add fd20::/64 via fd02::2 metric 20");
    world.goes("20.0.0.1", "via 10.1.0.2 dev east");
    world.goes("20.0.2.1", "via 10.1.0.2 dev east + via 10.2.0.2 dev west");
    world.goes("fd20::1", "via fd01::2 dev east");

    // A link goes down: the second route takes over, routes of the first are gone for good.
    world.here.ip("link set east down");
    world.goes("20.0.0.1", "via 10.2.0.2 dev west");
    world.goes("20.0.2.1", "via 10.2.0.2 dev west");
    world.goes("fd20::1", "via fd02::2 dev west");
    world.agrees("a link down");
    world.here.ip("link set east up");
    world.goes("10.1.0.2", "dev east");
    world.goes("20.0.2.1", "via 10.1.0.2 dev east + via 10.2.0.2 dev west");
    world.goes("20.0.0.1", "via 10.2.0.2 dev west");
    world.agrees("a link up");
    assert!(!world.told().routes.contains_key(&(TableId::MAIN, "20.0.1.0/24".to_owned())));

    // The other end goes: routes stay, but what can be sent another way is.
    world.there.ip("link set east down");
    world.goes("20.0.2.1", "via 10.2.0.2 dev west");
    world.there.ip("link set east up");
    world.goes("20.0.2.1", "via 10.1.0.2 dev east + via 10.2.0.2 dev west");

    // An address that routes use as their source, then the last one of a link.
    world.here.ip("address add 10.9.9.9/32 dev west");
    world.here.ip("route add 20.0.3.0/24 via 10.2.0.2 src 10.9.9.9");
    world.goes("20.0.3.1", "via 10.2.0.2 dev west");
    world.here.ip("address del 10.9.9.9/32 dev west");
    world.goes("20.0.3.1", "nowhere");
    world.agrees("a source address gone");
    world.here.ip("address flush dev east scope global");
    world.goes("20.0.2.1", "via 10.2.0.2 dev west");
    world.agrees("no address any more");
    world.here.ip("address add 10.1.0.1/24 dev east");
    world.agrees("an address again");
    world.here.ip("address change 10.1.0.1/24 dev east metric 77");
    world.agrees("another metric");

    // The size of packets follows the link.
    world.here.ip("route add 20.0.4.0/24 via 10.2.0.2 mtu 1300");
    world.here.ip("route add 20.0.5.0/24 via 10.2.0.2");
    world.goes("20.0.4.1", "via 10.2.0.2 dev west");
    world.goes("20.0.5.1", "via 10.2.0.2 dev west");
    for (link, route, plain) in [(9000, 1300, 9000), (1280, 1280, 1280), (1500, 1300, 1500)] {
        world.here.ip(&format!("link set west mtu {link}"));
        for (address, expected) in [("20.0.4.1", route), ("20.0.5.1", plain)] {
            wait_for("the size", || {
                world.follower.look(|mirror| {
                    let (_, target) =
                        mirror.lookup(TableId::MAIN, address.parse().unwrap()).expect("a route");
                    target.hops()[0].mtu == expected
                })
            });
        }
    }
    // A link that is gone takes everything with it.
    world.here.ip("link del west");
    world.agrees("a link gone");
    world.goes("20.0.5.1", "nowhere");
    assert_eq!(world.follower.counts().overruns, 0);
}

#[test]
fn a_port_that_leaves_a_bridge_is_still_a_link() {
    let Some(world) = World::new(Settings::default()) else { return };
    world.here.ip("link add bridge type bridge");
    world.here.ip("link set bridge up");
    world.here.ip("link set east master bridge");
    let (a, bridge) = (world.link("east"), world.link("bridge"));
    wait_for("a port", || world.follower.look(|mirror| mirror.link(a).unwrap().master == Some(bridge)));
    world.here.ip("link set east nomaster");
    wait_for("no port", || world.follower.look(|mirror| mirror.link(a).unwrap().master.is_none()));
    world.goes("10.1.0.2", "dev east");
    world.agrees("a bridge");
}

#[test]
fn next_hop_objects_are_followed() {
    let Some(world) = World::new(Settings::default()) else { return };
    for line in [
        "nexthop add id 1 via 10.1.0.2 dev east",
        "nexthop add id 2 via 10.2.0.2 dev west",
        "nexthop add id 3 blackhole",
        "nexthop add id 10 group 1,3/2,1",
        "route add 20.0.0.0/24 nhid 10",
        "route add 20.0.1.0/24 nhid 1",
    ] {
        world.here.ip(line);
    }
    world.goes("20.0.0.1", "via 10.1.0.2 dev east + via 10.2.0.2 dev west");
    world.follower.look(|mirror| {
        let Some((_, Target::Forward(hops))) = mirror.lookup(TableId::MAIN, "20.0.0.1".parse().unwrap())
        else {
            panic!("no group")
        };
        assert_eq!(hops.iter().map(|hop| hop.weight).collect::<Vec<_>>(), [3, 1]);
    });
    world.goes("20.0.1.1", "via 10.1.0.2 dev east");
    let before = world.told().changes;
    world.here.ip("nexthop replace id 10 group 2");
    world.goes("20.0.0.1", "via 10.2.0.2 dev west");
    assert_eq!(world.told().changes - before, 1, "the group is another, the route the same");
    world.here.ip("nexthop replace id 1 via 10.1.0.7 dev east");
    world.goes("20.0.1.1", "via 10.1.0.7 dev east");
    world.here.ip("route add 20.0.2.0/24 nhid 3");
    world.goes("10.2.0.1", "local");
    wait_for("a black hole", || {
        world
            .follower
            .look(|mirror| describe(mirror, TableId::MAIN, "20.0.2.1".parse().unwrap()) == "blackhole")
    });
    world.here.ip("nexthop replace id 10 group 1/2");
    world.goes("20.0.0.1", "via 10.1.0.7 dev east + via 10.2.0.2 dev west");
    world.agrees("groups");
    // The kernel removes the objects of the link, and routes with them.
    world.here.ip("link set east down");
    world.goes("20.0.0.1", "via 10.2.0.2 dev west");
    world.agrees("a member down");
    world.here.ip("link set east up");
    world.agrees("a member's link up again");
    world.goes("20.0.0.1", "via 10.2.0.2 dev west");
    world.here.ip("nexthop del id 2");
    world.goes("20.0.0.1", "nowhere");
    world.agrees("an object gone");
}

#[test]
fn next_hops_of_ipv6_come_and_go_one_by_one() {
    let Some(world) = World::new(Settings::default()) else { return };
    world.here.ip("-6 route add fd20::/64 nexthop via fd01::2 nexthop via fd02::2");
    world.goes("fd20::1", "via fd01::2 dev east + via fd02::2 dev west");
    world.here.ip("-6 route append fd20::/64 via fd02::3");
    world.goes("fd20::1", "via fd01::2 dev east + via fd02::2 dev west + via fd02::3 dev west");
    world.agrees("one more");
    world.here.ip("-6 route del fd20::/64 via fd02::2");
    world.goes("fd20::1", "via fd01::2 dev east + via fd02::3 dev west");
    world.here.ip("-6 route replace fd20::/64 via fd01::5");
    world.goes("fd20::1", "via fd01::5 dev east");
    world.here.ip("-6 route replace fd20::/64 nexthop via fd01::2 nexthop via fd02::2 nexthop via fd02::3");
    world.agrees("another");
    world.here.ip("link set west down");
    world.goes("fd20::1", "via fd01::2 dev east");
    world.agrees("down");
    world.here.ip("link set west up");
    world.agrees("up");
    world.here.ip("-6 route del fd20::/64");
    world.goes("fd20::1", "nowhere");
    world.agrees("gone");
    world.here.ip("route append 20.0.0.0/24 via inet6 fd01::2 dev east");
    world.here.ip("route append 20.0.0.0/24 via 10.1.0.2");
    world.here.ip("route prepend 20.0.0.0/24 via 10.1.0.3");
    world.goes("20.0.0.1", "via 10.1.0.3 dev east");
    world.here.ip("route del 20.0.0.0/24 via 10.1.0.3");
    wait_for("IPv6 on the way of IPv4", || {
        world.follower.look(|mirror| {
            describe(mirror, TableId::MAIN, "20.0.0.1".parse().unwrap()) == "via fd01::2 dev east"
        })
    });
    world.here.ip("route change 20.0.0.0/24 via 10.2.0.2");
    world.goes("20.0.0.1", "via 10.2.0.2 dev west");
    world.agrees("several with one metric");
}

#[test]
fn rules_are_followed_as_far_as_they_are_plain() {
    let Some(world) = World::new(Settings::default()) else { return };
    world.here.ip("route add 20.0.0.0/16 via 10.1.0.2");
    assert!(world.follower.look(Mirror::not_followed).is_empty());
    world.here.ip("rule add pref 500 table 77");
    world.here.ip("route add 20.0.0.0/24 table 77 via 10.1.0.9");
    world.goes("20.0.0.1", "via 10.1.0.9 dev east");
    world.here.ip("rule add pref 600 fwmark 5/7 table 78");
    wait_for("the warning", || !world.follower.look(Mirror::not_followed).is_empty());
    assert_eq!(
        world.follower.look(Mirror::not_followed),
        ["rules beyond main/local/VRF are not followed: 600: fwmark 0x5 fwmask 0x7 lookup 78"]
    );
    world.agrees("another table");
    world.here.ip("rule del pref 500");
    world.here.ip("rule del pref 600");
    world.goes("20.0.0.1", "via 10.1.0.2 dev east");
    wait_for("no warning", || world.follower.look(Mirror::not_followed).is_empty());
    world.here.ip("route add 20.0.0.0/28 tos 0x10 via 10.1.0.9");
    world.goes("20.0.0.1", "via 10.1.0.2 dev east");
    assert_eq!(
        world.follower.look(Mirror::not_followed),
        ["routes for a type of service or a source are not followed: 1 in table main"]
    );
    world.agrees("rules");
}

#[test]
fn a_mirror_that_was_too_slow_is_right_again_afterwards() {
    let Some(world) = World::new(Settings { room: 4096, ..Settings::default() }) else { return };
    // While nobody takes what is told, nobody takes what the kernel says.
    let held = world.told();
    world.batch("", (0..ROUTES).map(|number| format!("route add {} via 10.1.0.2", prefix(number))));
    drop(held);
    world.agrees("too much at once");
    let odd = (0..ROUTES).filter(|number| number % 2 == 1);
    world.batch("", odd.map(|number| format!("route del {}", prefix(number))));
    world.agrees("half of it gone");
    let counts = world.follower.counts();
    println!("{counts:?}");
    assert!(counts.overruns > 0 && counts.lists > 8, "{counts:?}");
}

#[test]
fn neighbours_are_resolved_and_told() {
    let Some(world) = World::new(Settings::default()) else { return };
    let a = world.link("east");
    let neighbour =
        |address: &str| world.follower.look(|mirror| mirror.neighbour(a, address.parse().unwrap()).copied());
    let mac = world.there.run("cat /sys/class/net/east/address");
    for address in ["10.1.0.2", "fd01::2"] {
        assert_eq!(neighbour(address), None);
        world.follower.resolve(a, address.parse().unwrap()).expect("the kernel asks");
        wait_for("an answer", || neighbour(address).is_some_and(|is| is.state == NeighbourState::Reachable));
        let found = neighbour(address).unwrap().usable().expect("a MAC address");
        assert_eq!(found.map(|byte| format!("{byte:02x}")).join(":"), mac.trim());
        // Confirmed again when it has become stale.
        world.here.ip(&format!("neighbour change {address} dev east nud stale"));
        wait_for("stale", || neighbour(address).is_some_and(|is| is.state == NeighbourState::Stale));
        world.follower.resolve(a, address.parse().unwrap()).expect("the kernel asks");
        wait_for("an answer", || neighbour(address).is_some_and(|is| is.state != NeighbourState::Stale));
        world.here.ip(&format!("neighbour del {address} dev east"));
        wait_for("nobody", || neighbour(address).is_none_or(|is| is.usable().is_none()));
    }
    world.follower.resolve(a, "10.1.0.77".parse().unwrap()).expect("the kernel asks");
    wait_for("no answer", || neighbour("10.1.0.77").is_some_and(|is| is.state == NeighbourState::Failed));
    let error = world.follower.resolve(LinkIndex(9999), "10.1.0.2".parse().unwrap()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(19), "no such device: {error}");
}
