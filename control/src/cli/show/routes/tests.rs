use super::{neighbours, routes};
use crate::api::view::{Acquaintance, Leads, Neighbour, Neighbours, NextHop, Route, Routes};

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn line(text: &str, number: usize) -> Vec<&str> {
    words(text.lines().nth(number).unwrap_or_default())
}

fn hop(via: Option<&str>, interface: &str, weight: u16) -> NextHop {
    NextHop {
        via: via.map(str::to_owned),
        interface: interface.to_owned(),
        mtu: 1400,
        weight,
        neighbour: None,
    }
}

fn some() -> Routes {
    let route = |prefix: &str, leads, why: Option<&str>, next_hops| Route {
        prefix: prefix.to_owned(),
        leads,
        why: why.map(str::to_owned),
        next_hops,
    };
    let two = vec![hop(Some("10.0.0.2"), "eth1", 1), hop(None, "eth2", 3)];
    Routes {
        vrfs: vec!["red".to_owned()],
        total: 9,
        behind: 7,
        routes: vec![
            route("10.0.0.0/8", Leads::On, None, two),
            route("10.9.0.0/16", Leads::Kernel, Some("prohibited"), vec![]),
        ],
        not_followed: vec!["rules with marks".to_owned()],
        not_forwarding: vec!["IPv6 at eth1".to_owned()],
        ..Routes::default()
    }
}

fn acquaintance() -> Neighbour {
    Neighbour {
        interface: "eth1".to_owned(),
        address: "10.0.0.2".to_owned(),
        mac: Some("04:00:00:00:00:01".to_owned()),
        state: Acquaintance::Known,
        kernel: Some("stale".to_owned()),
        used: true,
    }
}

#[test]
fn every_next_hop_is_shown_and_what_is_the_kernels() {
    let text = routes(&some(), None);
    assert_eq!(line(&text, 0), ["to", "next", "interface", "mtu", "weight"]);
    assert_eq!(line(&text, 2), ["10.0.0.0/8", "10.0.0.2", "eth1", "1400", "1"]);
    assert_eq!(line(&text, 3), ["on", "the", "link", "eth2", "1400", "3"]);
    for part in [
        "the kernel: prohibited",
        "2 shown, 7 behind them, 9 in all; --after 10.9.0.0/16 goes on",
        "the main table; --vrf shows others: red",
        "the kernel does otherwise: rules with marks",
        "the kernel does not forward IPv6 at eth1, so workers do not",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn the_route_of_an_address_names_who_is_next() {
    let address = Some("10.0.0.77".parse().unwrap());
    let mut now = some();
    now.routes.truncate(1);
    now.routes[0].next_hops[0].neighbour = Some(acquaintance());
    let text = routes(&now, address);
    assert_eq!(line(&text, 1), ["leads", "to", "the", "next", "hop"]);
    for part in ["10.0.0.2, eth1, mtu 1400, weight 1", "10.0.0.2 at 04:00:00:00:00:01, known (stale)"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("shown"), "{text}");
    now.routes.clear();
    let text = routes(&now, address);
    assert!(text.starts_with("there is no route to 10.0.0.77: the kernel tells the sender so"), "{text}");
}

#[test]
fn a_neighbour_has_a_row() {
    let text = neighbours(&Neighbours { total: 3, neighbours: vec![acquaintance()] });
    assert_eq!(line(&text, 2), ["eth1", "10.0.0.2", "04:00:00:00:00:01", "known", "(stale)", "yes"]);
    assert!(text.ends_with("1 shown, 3 in all"));
}
