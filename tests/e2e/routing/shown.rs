//! What is shown of routes and neighbours, next to what the kernel says of them.

use ravelin_tests::{
    gateway::{CLIENT, OUTSIDE, SERVER, batch, gateway, start},
    netns::Namespace,
    process::{wait_for, wait_until},
    ravelin::Ravelin,
    topology::{Lab, ping_all},
};
use serde_json::Value;

fn route(ravelin: &Ravelin, to: &str) -> Value {
    let shown = ravelin.show(&format!("routes {to}"));
    shown["routes"][0].clone()
}

/// The MAC of an interface, as its kernel says it.
fn mac(host: &Namespace, interface: &str) -> String {
    let link = host.ip(&format!("-o link show dev {interface}"));
    let mac = link.split_whitespace().skip_while(|word| *word != "link/ether").nth(1);
    mac.expect("it is Ethernet").to_owned()
}

/// Adds a route of each kind to the appliance.
fn route_everywhere(lab: &Lab) {
    lab.appliance.ip("link add side type veth peer name edge");
    ["side", "edge"].iter().for_each(|name| drop(lab.appliance.ip(&format!("link set {name} up"))));
    lab.appliance.ip("address add 10.8.3.1/24 dev side");
    for line in [
        "add 10.60.0.0/16 nexthop via 10.8.1.2 weight 1 nexthop via 10.8.2.2 weight 3",
        "add 10.61.0.0/16 via 10.8.2.2 mtu 1300",
        "add blackhole 10.62.0.0/16",
        "add prohibit 10.63.0.0/16",
        "add 10.64.0.0/16 via 10.8.3.2",
        "add 10.65.0.0/16 via 10.8.2.77",
    ] {
        lab.appliance.ip(&format!("route {line}"));
    }
}

#[test]
fn the_route_of_an_address_is_shown_with_who_is_next() {
    let Some(lab) = gateway(&["ping"]) else { return };
    route_everywhere(&lab);
    let ravelin = start(&lab, "");
    for (server, gateway) in SERVER.into_iter().zip(OUTSIDE) {
        ping_all(&lab.client, server, 5, 56);
        assert_eq!(route(&ravelin, gateway)["leads"], "host");
        // What was used is known for a second or two.
        let shown = wait_until("the neighbour in use", || {
            ping_all(&lab.client, server, 1, 56);
            Some(route(&ravelin, server)).filter(|shown| shown["next_hops"][0]["neighbour"]["used"] == true)
        });
        let [hop] = shown["next_hops"].as_array().expect("a list").as_slice() else { panic!("{shown}") };
        let next = &hop["neighbour"];
        let seen = [&shown["leads"], &hop["interface"], &next["address"], &next["mac"], &next["state"]];
        let wanted: [Value; 5] =
            ["on".into(), "inside".into(), server.into(), mac(&lab.server, "eth0").into(), "known".into()];
        assert_eq!(seen.map(Clone::clone), wanted, "{shown}");
    }
    let balanced = route(&ravelin, "10.60.0.1");
    let hop =
        |hop: &Value| [&hop["via"], &hop["interface"], &hop["weight"]].map(ToString::to_string).join(" ");
    let hops: Vec<_> = balanced["next_hops"].as_array().expect("a list").iter().map(hop).collect();
    assert_eq!(hops, ["\"10.8.1.2\" \"outside\" 1", "\"10.8.2.2\" \"inside\" 3"]);
    assert_eq!(route(&ravelin, "10.61.0.1")["next_hops"][0]["mtu"], 1300);
    let unknown = route(&ravelin, "10.65.0.1");
    assert_eq!(unknown["next_hops"][0]["neighbour"]["state"], "unknown", "{unknown}");
    for (address, leads, why) in [
        ("10.62.0.1", "nowhere", Value::Null),
        ("10.63.0.1", "kernel", "prohibited".into()),
        ("10.64.0.1", "kernel", "side does not route here".into()),
    ] {
        let shown = route(&ravelin, address);
        assert_eq!((&shown["leads"], &shown["why"]), (&leads.into(), &why), "{shown}");
    }
    assert_eq!(route(&ravelin, "192.0.2.1"), Value::Null);
    let text = ravelin.ask(&["show", "routes", "192.0.2.1"]).expect("an answer");
    assert!(text.starts_with("there is no route to 192.0.2.1"), "{text}");
    ravelin.finish(&[]);
}

#[test]
fn the_table_is_the_kernels() {
    let Some(lab) = gateway(&["ping"]) else { return };
    route_everywhere(&lab);
    let ravelin = start(&lab, "");
    batch(
        &lab.appliance,
        (0..1000)
            .map(|number| format!("route add 20.0.{}.{}/30 via {}", number / 64, number % 64 * 4, SERVER[0])),
    );
    wait_for("all routes", || ravelin.show("routes 20.0.0.0/8 --limit 1")["behind"] == 999);
    let (mut prefixes, mut after) = (Vec::new(), String::new());
    loop {
        let part = ravelin.show(&format!("routes 20.0.0.0/8 --limit 300{after}"));
        let shown = part["routes"].as_array().expect("a list").iter();
        prefixes.extend(shown.map(|route| route["prefix"].as_str().expect("text").to_owned()));
        if part["behind"] == 0 {
            break;
        }
        after = format!(" --after {}", prefixes.last().expect("there are some"));
    }
    let mut kernels: Vec<_> = lab
        .appliance
        .ip("-4 route show root 20.0.0.0/8")
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    kernels.sort();
    prefixes.sort();
    assert_eq!(prefixes, kernels);
    let text = ravelin.ask(&["show", "routes", "20.0.0.0/8", "--limit", "2"]).expect("an answer");
    assert!(text.contains("2 shown, 998 behind them"), "{text}");
    ravelin.finish(&[]);
}

#[test]
fn neighbours_are_shown_as_they_come_and_go() {
    let Some(lab) = gateway(&["ping"]) else { return };
    let ravelin = start(&lab, "");
    SERVER.iter().for_each(|address| drop(ping_all(&lab.client, address, 3, 56)));
    let find = |address: &str| {
        let shown = ravelin.show("neighbours --limit 1000");
        let all = shown["neighbours"].as_array().expect("a list").clone();
        all.into_iter().find(|it| it["address"] == address).unwrap_or_default()
    };
    for (host, interface, addresses) in [(&lab.client, "outside", CLIENT), (&lab.server, "inside", SERVER)] {
        for (address, server) in addresses.into_iter().zip(SERVER) {
            let wanted: [Value; 3] = [interface.into(), mac(host, "eth0").into(), "known".into()];
            assert_eq!(["interface", "mac", "state"].map(|key| find(address)[key].clone()), wanted);
            // What goes there while the list of neighbours changes may be noted in the list before it.
            wait_for("a neighbour in use", || {
                let _replies = ping_all(&lab.client, server, 1, 56);
                find(address)["used"] == true
            });
        }
    }
    // Nobody is there.
    let _nobody = lab.appliance.succeeds("ping -n -c 1 -W 1 10.8.2.99");
    wait_for("an address that is asked for in vain", || {
        let neighbour = find("10.8.2.99");
        neighbour["state"] == "unknown" && neighbour["kernel"] == "failed" && neighbour["mac"].is_null()
    });
    lab.appliance.ip("neighbour flush all");
    lab.appliance.ip(&format!("neighbour replace {} lladdr 02:00:00:00:00:77 dev inside", SERVER[0]));
    wait_for("the operator's word", || {
        let neighbour = find(SERVER[0]);
        neighbour["mac"] == "02:00:00:00:00:77" && neighbour["kernel"] == "permanent"
    });
    ravelin.finish(&[]);
}
