//! What is said of routes and neighbours, of a kernel that speaks as the test wants.

use ravelin_config::types::IpNet;
use ravelin_dataplane::io::PortId;

use super::serve;
use crate::{
    api::{
        client::{self, ClientError},
        query::RouteQuery,
        routes::Sight,
        view::{self, Acquaintance, Leads},
    },
    mirror::{
        Family, Link, LinkIndex, Marks, Message, Mirror, Neighbour, NeighbourState, NextHop, Part, Path,
        Place, Route, RouteKind, Rule, RuleSays, TableId, Via,
    },
    routing::{Latest, Translator},
    testing::{BRIDGE, Running},
};

/// A kernel with the interfaces `in` (1) and `out` (2), which route, `other` (3), which does not, and the VRF `red` (9).
struct Kernel {
    mirror: Mirror,
    translator: Translator,
}

const RED: TableId = TableId(100);

impl Kernel {
    fn new() -> Self {
        let ports = vec![("in".to_owned(), PortId(0)), ("out".to_owned(), PortId(1))];
        let mut kernel = Self {
            mirror: Mirror::default(),
            translator: Translator::new(ports, &[("wg0".to_owned(), PortId(2))]),
        };
        for (index, name, vrf) in
            [(1, "in", None), (2, "out", None), (3, "other", None), (9, "red", Some(RED))]
        {
            kernel.mirror.apply(Message::Link(Link {
                index: LinkIndex(index),
                name: name.to_owned(),
                mac: Some([2; 6]),
                mtu: 1500,
                up: true,
                carrier: true,
                vrf,
                ..Link::default()
            }));
        }
        let rules = [(1000, RuleSays::Vrf), (32766, RuleSays::Table(TableId::MAIN))];
        for family in [Family::V4, Family::V6] {
            let rules = rules.clone().map(|(priority, says)| Rule { family, priority, says });
            kernel.mirror.begin(Part::Rules(family));
            kernel.mirror.listed(rules.map(Message::Rule));
            kernel.mirror.end(true);
        }
        kernel
    }

    fn route(&mut self, table: TableId, prefix: &str, kind: RouteKind, hops: &[(u32, Option<&str>, u16)]) {
        let hop = |(link, gateway, weight): &(u32, Option<&str>, u16)| NextHop {
            link: LinkIndex(*link),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            weight: *weight,
            onlink: false,
            beyond: false,
            dead: false,
        };
        let via = Via::Hops(hops.iter().map(hop).collect());
        let path = Path { kind, via, mtu: None };
        let route = Route { table, prefix: prefix.parse().unwrap(), path, marks: Marks::default() };
        self.mirror.apply(Message::Route(route, Place::Last));
    }

    fn neighbour(&mut self, link: u32, address: &str, mac: Option<[u8; 6]>, state: NeighbourState) {
        let neighbour = Neighbour { mac, state };
        self.mirror.apply(Message::Neighbour(LinkIndex(link), address.parse().unwrap(), neighbour));
    }

    fn look<R>(&mut self, at: impl FnOnce(&Sight<'_>) -> R) -> R {
        let changes = self.mirror.changes();
        let latest: Latest = self.translator.translate(&self.mirror, changes);
        let is_used = |port, address| latest.routes.neighbours.is_used(port, address);
        at(&Sight { mirror: &self.mirror, latest: &latest, is_used: &is_used })
    }

    fn ask(&mut self, query: &str) -> Result<view::Routes, String> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let query = RouteQuery::parse(&pairs).unwrap();
        self.look(|sight| sight.routes(&query))
    }

    fn one(&mut self, address: &str) -> view::Route {
        let routes = self.ask(&format!("to={address}")).unwrap().routes;
        let [route] = routes.as_slice() else { panic!("{routes:?}") };
        route.clone()
    }
}

fn main_routes() -> Kernel {
    let mut kernel = Kernel::new();
    kernel.route(TableId::MAIN, "10.1.0.0/16", RouteKind::Unicast, &[(1, None, 1)]);
    kernel.route(
        TableId::MAIN,
        "0.0.0.0/0",
        RouteKind::Unicast,
        &[(1, Some("10.1.0.1"), 1), (2, Some("10.2.0.1"), 3)],
    );
    kernel.route(TableId::MAIN, "10.3.0.0/16", RouteKind::Unicast, &[(3, Some("10.3.0.1"), 1)]);
    kernel.route(TableId::MAIN, "10.4.0.0/16", RouteKind::Blackhole, &[]);
    kernel.route(TableId::MAIN, "10.5.0.0/16", RouteKind::Prohibit, &[]);
    kernel.route(TableId::MAIN, "10.1.0.9/32", RouteKind::Local, &[(1, None, 1)]);
    kernel.route(RED, "172.16.0.0/12", RouteKind::Unicast, &[(2, None, 1)]);
    kernel.neighbour(1, "10.1.0.1", Some([4, 0, 0, 0, 0, 1]), NeighbourState::Stale);
    kernel.neighbour(2, "10.2.0.1", None, NeighbourState::Incomplete);
    kernel.neighbour(2, "10.2.0.7", Some([4; 6]), NeighbourState::Failed);
    kernel.neighbour(1, "224.0.0.22", Some([1; 6]), NeighbourState::Fixed);
    kernel.neighbour(3, "10.3.0.1", Some([4; 6]), NeighbourState::Reachable);
    kernel
}

#[test]
fn routes_say_where_they_lead_and_why_not_through_workers() {
    let all = main_routes().ask("limit=100").unwrap();
    assert_eq!((all.total, all.behind, &all.vrf, &all.vrfs), (6, 0, &None, &vec!["red".to_owned()]));
    let said: Vec<_> = all.routes.iter().map(|it| (&*it.prefix, it.leads, it.why.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("0.0.0.0/0", Leads::On, None),
            ("10.1.0.0/16", Leads::On, None),
            ("10.1.0.9/32", Leads::Host, None),
            ("10.3.0.0/16", Leads::Kernel, Some("other does not route here")),
            ("10.4.0.0/16", Leads::Nowhere, None),
            ("10.5.0.0/16", Leads::Kernel, Some("prohibited")),
        ]
    );
    let hops: Vec<_> = all.routes[0]
        .next_hops
        .iter()
        .map(|it| (it.via.as_deref(), &*it.interface, it.mtu, it.weight))
        .collect();
    assert_eq!(hops, [(Some("10.1.0.1"), "in", 1500, 1), (Some("10.2.0.1"), "out", 1500, 3)]);
    assert!(all.routes.iter().flat_map(|route| &route.next_hops).all(|hop| hop.neighbour.is_none()));
    // No interface of this machine has these names.
    assert_eq!(all.not_forwarding, ["IPv4 at in", "IPv6 at in", "IPv4 at out", "IPv6 at out"]);
    let one = main_routes().ask("to=2001:db8::1").unwrap();
    assert_eq!(one.not_forwarding, ["IPv6 at in", "IPv6 at out"]);
}

#[test]
fn a_long_table_is_shown_in_parts() {
    let mut kernel = Kernel::new();
    for number in 0..250_u32 {
        kernel.route(TableId::MAIN, &format!("10.0.{number}.0/24"), RouteKind::Unicast, &[(1, None, 1)]);
    }
    kernel.route(TableId::MAIN, "fd00::/64", RouteKind::Unicast, &[(1, None, 1)]);
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let part = kernel.ask(&format!("limit=100{after}")).unwrap();
        seen.extend(part.routes.into_iter().map(|route| route.prefix));
        assert_eq!(part.behind, 251 - seen.len());
        if part.behind == 0 {
            break;
        }
        after = format!("&after={}", seen.last().unwrap());
    }
    assert_eq!(seen.len(), 251);
    assert!(seen.windows(2).all(|pair| pair[0].parse::<IpNet>().unwrap() < pair[1].parse().unwrap()));

    let within = |kernel: &mut Kernel, query: &str| {
        let part = kernel.ask(query).unwrap();
        (part.routes.iter().map(|route| route.prefix.clone()).collect::<Vec<_>>(), part.behind)
    };
    assert_eq!(
        within(&mut kernel, "to=10.0.8.5/22&limit=3").0,
        ["10.0.8.0/24", "10.0.9.0/24", "10.0.10.0/24"]
    );
    assert_eq!(within(&mut kernel, "to=10.0.8.0/22&limit=3").1, 1);
    assert_eq!(
        within(&mut kernel, "to=10.0.8.0/22&after=10.0.10.0/24"),
        (vec!["10.0.11.0/24".to_owned()], 0)
    );
    assert_eq!(within(&mut kernel, "to=10.0.7.0/24").0, ["10.0.7.0/24"]);
    // Another one that is gone, or was never there.
    assert_eq!(within(&mut kernel, "after=10.0.248.7/32").0, ["10.0.249.0/24", "fd00::/64"]);
    assert_eq!(within(&mut kernel, "to=192.0.2.0/24"), (Vec::new(), 0));
    let most = RouteQuery::parse(&[("limit".to_owned(), "1000000".to_owned())]).unwrap().limit;
    assert_eq!(most, RouteQuery::MOST);
}

#[test]
fn an_address_has_one_route_and_somebody_who_is_next() {
    let mut kernel = main_routes();
    let route = kernel.one("10.1.7.7");
    assert_eq!((&*route.prefix, route.leads), ("10.1.0.0/16", Leads::On));
    let neighbour = route.next_hops[0].neighbour.as_ref().unwrap();
    assert_eq!(
        (&*neighbour.address, neighbour.state, &neighbour.kernel),
        ("10.1.7.7", Acquaintance::Unknown, &None)
    );

    let route = kernel.one("192.0.2.1");
    let next: Vec<_> = route.next_hops.iter().filter_map(|hop| hop.neighbour.as_ref()).collect();
    let said: Vec<_> = next.iter().map(|it| (&*it.address, it.mac.as_deref(), it.state)).collect();
    assert_eq!(
        said,
        [
            ("10.1.0.1", Some("04:00:00:00:00:01"), Acquaintance::Known),
            ("10.2.0.1", None, Acquaintance::Asked)
        ]
    );
    assert_eq!(kernel.one("10.1.0.9").leads, Leads::Host);
    assert_eq!(kernel.one("10.3.1.1").next_hops[0].neighbour, None, "that interface is the kernel's");
    let said = |route: view::Route| (route.leads, route.why);
    assert_eq!(
        said(kernel.one("169.254.1.1")),
        (Leads::Kernel, Some("it is an address of a link".to_owned()))
    );
    assert_eq!(said(kernel.one("239.1.1.1")), (Leads::Kernel, Some("it is for a group".to_owned())));
    assert_eq!(kernel.ask("to=2001:db8::1").unwrap().routes, []);
}

#[test]
fn a_vrf_has_routes_of_its_own() {
    let mut kernel = main_routes();
    let red = kernel.ask("vrf=red&to=172.16.0.0/12").unwrap();
    assert_eq!((red.vrf.as_deref(), &*red.routes[0].prefix), (Some("red"), "172.16.0.0/12"));
    // A VRF that says nothing of an address goes on with the main table.
    assert_eq!(kernel.ask("vrf=red&to=10.4.0.1").unwrap().routes[0].leads, Leads::Nowhere);
    assert_eq!(kernel.ask("vrf=blue"), Err("blue".to_owned()));
}

#[test]
fn neighbours_are_those_on_our_interfaces() {
    let mut kernel = main_routes();
    let all = kernel.look(|sight| sight.neighbours(10));
    let said: Vec<_> = all
        .neighbours
        .iter()
        .map(|it| (&*it.interface, &*it.address, it.mac.as_deref(), it.state, it.kernel.as_deref(), it.used))
        .collect();
    assert_eq!(
        said,
        [
            ("in", "10.1.0.1", Some("04:00:00:00:00:01"), Acquaintance::Known, Some("stale"), false),
            ("out", "10.2.0.1", None, Acquaintance::Asked, Some("incomplete"), false),
            ("out", "10.2.0.7", None, Acquaintance::Unknown, Some("failed"), false),
        ]
    );
    let two = kernel.look(|sight| sight.neighbours(2));
    assert_eq!((two.neighbours.len(), two.total), (2, 3));
}

#[test]
fn in_a_tunnel_nobody_is_next() {
    let mut kernel = main_routes();
    kernel.mirror.apply(Message::Link(Link {
        index: LinkIndex(4),
        name: "wg0".to_owned(),
        mac: Some([2; 6]),
        mtu: 1420,
        up: true,
        carrier: true,
        ..Link::default()
    }));
    kernel.route(TableId::MAIN, "10.7.0.0/16", RouteKind::Unicast, &[(4, None, 1)]);
    // As the kernel has it, once the host has sent something there.
    kernel.neighbour(4, "10.7.0.1", Some([2; 6]), NeighbourState::Fixed);
    let route = kernel.one("10.7.0.1");
    assert_eq!((&*route.prefix, route.leads), ("10.7.0.0/16", Leads::On));
    let hop = &route.next_hops[0];
    assert_eq!((&*hop.interface, hop.mtu, &hop.neighbour), ("wg0", 1420, &None));
    kernel.look(|sight| {
        let neighbours = sight.neighbours(10).neighbours;
        assert!(neighbours.iter().all(|neighbour| neighbour.interface != "wg0"), "{neighbours:?}");
        let Latest { routes, .. } = sight.latest;
        let link = routes.link(PortId(2)).unwrap();
        assert!(link.is_tunnel && link.index == 4);
        assert!(!routes.link(PortId(1)).unwrap().is_tunnel);
        assert_eq!(routes.neighbours.len(), 2, "those of `in`, a group among them");
    });
}

#[tokio::test]
async fn where_nothing_routes_that_is_said() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    for target in ["/routes", "/neighbours"] {
        let error = client::get::<serde_json::Value>(&socket, target).await.unwrap_err();
        let ClientError::Refused { refusal, .. } = &error else { panic!("{error}") };
        assert_eq!((&*refusal.error, refusal.help.is_some()), ("no interface routes", true));
    }
}
