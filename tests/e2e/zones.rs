//! Rules about zones: who may open flows is a matter of where packets come in and leave, not of addresses.

use ravelin_tests::{
    gateway::{CLIENT, SERVER, gateway, give, routes},
    netns::Namespace,
    ravelin::Ravelin,
    topology::{Links, connect},
};

use crate::routing::{fetch, is_shut, web};

/// A host in a network of its own.
const PUBLISHED: [&str; 2] = ["10.8.3.2", "fd08:3::2"];

/// Whatever is routed is governed: from the inside anybody may be reached but the published servers. `dmz` is the zone of their interface.
fn config(dmz: &str) -> String {
    let interfaces = [("outside", "wan"), ("inside", "lan"), ("published", dmz)];
    let interfaces: String =
        interfaces.iter().map(|(name, zone)| routes(name, &format!("zone = \"{zone}\""))).collect();
    let spare = "[[interface]]\nname = \"spare\"\nmode = \"route\"\nzone = \"servers\"\n";
    format!(
        "{interfaces}{spare}[[endpoint]]\nname = \"everybody\"\naddresses = [\"0.0.0.0/0\", \"::/0\"]\n\
         profiles = [\"default-allow\"]\n\
         [[policy]]\nname = \"routed\"\ntypes = [\"ingress\"]\n\
         [[policy.ingress]]\naction = \"log\"\nsource.zones = [\"wan\"]\n\
         [[policy.ingress]]\naction = \"allow\"\nsource.zones = [\"lan\"]\ndestination.zones = [\"wan\"]\n\
         [[policy.ingress]]\naction = \"deny\"\nsource.zones = [\"lan\"]\ndestination.zones = [\"servers\"]\n"
    )
}

#[test]
fn the_inside_reaches_the_outside_and_not_the_servers() {
    let Some(lab) = gateway(&["busybox", "curl"]) else { return };
    let published = Namespace::new("published");
    connect(&published, "eth0", &lab.appliance, "published", Links::default());
    connect(&published, "eth1", &lab.appliance, "spare", Links::default());
    give(&published, "eth0", PUBLISHED);
    give(&lab.appliance, "published", ["10.8.3.1", "fd08:3::1"]);
    published.ip("route add default via 10.8.3.1");
    published.ip("-6 route add default via fd08:3::1");

    let page = lab.random_file("page", 100_000);
    let _servers = [web(&lab, &lab.client, 80), web(&lab, &published, 80), web(&lab, &lab.server, 80)];
    let ravelin = Ravelin::start(&lab.appliance, lab.folder(), &config("servers"));
    for family in [0, 1] {
        fetch(&lab, &lab.server, CLIENT[family], 80, &page);
        assert!(is_shut(&lab.server, PUBLISHED[family], 80));
        assert!(is_shut(&lab.client, SERVER[family], 80));
        assert!(is_shut(&published, CLIENT[family], 80));
        let flow = |destination: &str, source: &str| {
            let flow =
                ravelin.wait_for_flow(&format!("--src {source} --dst {destination} --port 80"), |_| true);
            (flow["policy"].clone(), flow["rule"].clone(), flow["verdict"].clone())
        };
        let routed = |rule: i64, verdict: &str| ("default.routed".into(), rule.into(), verdict.into());
        assert_eq!(flow(CLIENT[family], SERVER[family]), routed(1, "allow"));
        assert_eq!(flow(PUBLISHED[family], SERVER[family]), routed(2, "deny"));
        assert_eq!(flow(SERVER[family], CLIENT[family]), routed(-1, "deny"));
        assert_eq!(flow(CLIENT[family], PUBLISHED[family]), routed(-1, "deny"));
    }
    // The servers' interface is outside from now on.
    ravelin.rewrite(&config("wan"));
    ravelin.reload().expect("a zone is live");
    for published in PUBLISHED {
        fetch(&lab, &lab.server, published, 80, &page);
    }
    assert!(is_shut(&published, SERVER[0], 80));
    ravelin.finish(&["rule_deny", "default_deny"]);
}
