mod updates;

use ravelin_config::{
    resources::{Endpoint, EndpointKind, Labels, Namespace, NetworkSet, Profile, Resources},
    selector::{Expression, Selector},
    types::IpNet,
};
use ravelin_dataplane::policy::AddressSet;

use super::{Identities, ItemId, Kind};

fn endpoint(namespace: Option<&str>, name: &str, labels: Labels) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        kind: EndpointKind::Workload,
        addresses: Vec::new(),
        labels,
        service_account: None,
        ports: Vec::new(),
        profiles: Vec::new(),
    }
}

fn network_set(namespace: Option<&str>, name: &str, nets: &[&str]) -> NetworkSet {
    NetworkSet {
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        labels: Labels::default(),
        nets: self::nets(nets),
        nets_file: None,
        except: Vec::new(),
        domains: Vec::new(),
    }
}

fn profile(name: &str, labels: Labels) -> Profile {
    Profile { name: name.to_owned(), labels_to_apply: labels, ingress: Vec::new(), egress: Vec::new() }
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn set(texts: &[&str]) -> AddressSet {
    AddressSet::of_nets(&nets(texts))
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap()
}

#[test]
fn labels_are_own_automatic_and_inherited() {
    let mut pod = endpoint(
        Some("shop"),
        "web-1",
        labels(&[("app", "web"), ("pcns.team", "mine"), ("projectcalico.org/namespace", "kube-system")]),
    );
    pod.service_account = Some("runner".to_owned());
    pod.profiles = vec!["kns.shop".to_owned(), "ksa.shop.runner".to_owned(), "unknown".to_owned()];
    let mut feed = network_set(Some("shop"), "partners", &[]);
    feed.labels = labels(&[("trust", "low")]);
    let resources = Resources {
        endpoints: vec![pod, endpoint(None, "router", labels(&[("projectcalico.org/namespace", "own")]))],
        network_sets: vec![feed, network_set(None, "bad", &[])],
        namespaces: vec![Namespace {
            name: "shop".to_owned(),
            labels: labels(&[("team", "red"), ("stage", "live")]),
        }],
        profiles: vec![
            profile("kns.shop", labels(&[("tier", "first")])),
            profile("ksa.shop.runner", labels(&[("pcsa.role", "run"), ("tier", "second")])),
        ],
        ..Resources::default()
    };
    let identities = Identities::new(&resources);
    let all = |item| -> Vec<_> {
        let labels = identities.labels(item);
        labels.iter().map(|(label, value)| format!("{label}={value}")).collect()
    };
    let items: Vec<_> = identities.items().collect();
    assert_eq!(
        items,
        [ItemId::endpoint(0), ItemId::endpoint(1), ItemId::network_set(0), ItemId::network_set(1)]
    );
    assert_eq!(
        all(items[0]),
        [
            "app=web",
            "pcns.projectcalico.org/name=shop",
            "pcns.stage=live",
            "pcns.team=mine",
            "pcsa.role=run",
            "projectcalico.org/namespace=shop",
            "projectcalico.org/serviceaccount=runner",
            "tier=first",
        ]
    );
    assert_eq!(all(items[1]), ["projectcalico.org/namespace=own"]);
    assert_eq!(
        all(items[2]),
        [
            "pcns.projectcalico.org/name=shop",
            "pcns.stage=live",
            "pcns.team=red",
            "projectcalico.org/kind=NetworkSet",
            "projectcalico.org/name=partners",
            "projectcalico.org/namespace=shop",
            "trust=low",
        ]
    );
    assert_eq!(all(items[3]), ["projectcalico.org/kind=NetworkSet", "projectcalico.org/name=bad"]);
    assert_eq!((identities.name(items[2]), identities.namespace(items[2])), ("partners", Some("shop")));
    assert_eq!(identities.find(Kind::Endpoint, Some("shop"), "web-1"), Some(items[0]));
    assert_eq!(identities.find(Kind::Endpoint, None, "web-1"), None);
    assert_eq!(identities.find(Kind::NetworkSet, None, "bad"), Some(items[3]));
}

#[test]
fn namespaces_are_matched_by_their_labels_and_their_name() {
    let namespace = |name: &str, pairs| Namespace { name: name.to_owned(), labels: labels(pairs) };
    let resources = Resources {
        namespaces: vec![namespace("a", &[("team", "red")]), namespace("b", &[])],
        ..Resources::default()
    };
    let mut identities = Identities::new(&resources);
    let matching =
        |identities: &Identities, text: &str| identities.matching_namespaces(selector(text).expression());
    assert_eq!(matching(&identities, "has(team)"), [0]);
    assert_eq!(matching(&identities, "projectcalico.org/name == 'b'"), [1]);
    assert_eq!(matching(&identities, ""), [0, 1]);
    assert!(identities.matching(&Expression::All).is_empty());
    identities.update_namespace(&namespace("b", &[("team", "blue")]));
    identities.update_namespace(&namespace("c", &[("team", "blue")]));
    assert_eq!(matching(&identities, "team == 'blue'"), [1, 2]);
}

#[test]
fn the_longer_prefix_owns_an_address() {
    let with = |name: &str, addresses: &[&str]| Endpoint {
        addresses: nets(addresses),
        ..endpoint(None, name, Labels::default())
    };
    let resources = Resources {
        endpoints: vec![
            with("site", &["10.0.0.0/8", "10.1.2.0/28", "2001:db8::/32"]),
            with("room", &["10.1.0.0/16"]),
            with("desk", &["10.1.2.3/32", "2001:db8::7/128", "10.1.2.3/24"]),
            with("guest", &["10.1.2.3/32", "192.0.2.1/32"]),
        ],
        ..Resources::default()
    };
    let mut identities = Identities::new(&resources);
    let owner = |identities: &Identities, address: &str| {
        identities.endpoint_of(address.parse().unwrap()).map(|item| identities.name(item).to_owned())
    };
    for (address, name) in [
        ("10.9.0.1", "site"),
        ("10.1.0.1", "room"),
        ("10.1.2.3", "desk"),
        ("10.1.2.4", "site"),
        ("10.1.2.200", "desk"),
        ("192.0.2.1", "guest"),
        ("2001:db8::7", "desk"),
        ("2001:db8::8", "site"),
    ] {
        assert_eq!(owner(&identities, address).as_deref(), Some(name), "{address}");
    }
    assert_eq!(owner(&identities, "192.0.2.2"), None);
    let addresses = |identities: &Identities, index| identities.addresses(ItemId::endpoint(index));
    let around = set(&["10.0.0.0/8", "2001:db8::/32"]).difference(&set(&["10.1.0.0/16", "2001:db8::7/128"]));
    let island = set(&["10.1.2.0/28"]).difference(&set(&["10.1.2.3/32"]));
    assert_eq!(addresses(&identities, 0), AddressSet::union_of([&around, &island]));
    assert_eq!(addresses(&identities, 3), set(&["192.0.2.1/32"]), "the first endpoint has what two claim");
    identities.remove_endpoint(None, "desk").unwrap();
    assert_eq!(owner(&identities, "10.1.2.3").as_deref(), Some("guest"));
    assert_eq!(addresses(&identities, 1), set(&["10.1.0.0/16"]).difference(&set(&["10.1.2.0/28"])));
}

#[test]
fn network_sets_name_an_address_in_order() {
    let mut odd = network_set(Some("b"), "odd", &["10.0.0.0/8"]);
    odd.except = nets(&["10.0.0.0/31"]);
    let resources = Resources {
        network_sets: vec![
            network_set(Some("b"), "other", &["10.0.0.1/32"]),
            odd,
            network_set(None, "wide", &["10.0.0.0/8", "10.0.0.0/30"]),
            network_set(None, "narrow", &["10.0.0.0/8", "10.0.0.0/31"]),
            network_set(Some("a"), "z", &["10.0.0.0/16"]),
            network_set(Some("a"), "y", &["10.0.0.0/16"]),
            network_set(None, "elsewhere", &["192.0.2.0/24", "2001:db8::/64"]),
        ],
        ..Resources::default()
    };
    let identities = Identities::new(&resources);
    let names = |address: &str, namespace| -> Vec<_> {
        let sets = identities.network_sets_of(address.parse().unwrap(), namespace);
        sets.into_iter().map(|item| identities.name(item)).collect()
    };
    assert_eq!(names("10.0.0.1", Some("a")), ["y", "z", "narrow", "wide", "other"]);
    assert_eq!(names("10.0.0.1", Some("b")), ["other", "narrow", "wide", "y", "z"]);
    assert_eq!(names("10.0.0.1", None), ["narrow", "wide", "other", "y", "z"]);
    assert_eq!(names("10.0.0.2", None), ["wide", "narrow", "y", "z", "odd"]);
    assert_eq!(names("2001:db8::1", None), ["elsewhere"]);
    assert!(names("203.0.113.1", None).is_empty());
    assert_eq!(
        identities.addresses(ItemId::network_set(1)),
        set(&["10.0.0.0/8"]).difference(&set(&["10.0.0.0/31"]))
    );
    let (first, last) = (ItemId::network_set(0), ItemId::network_set(6));
    assert_eq!(
        identities.addresses_of(&[first, last]),
        set(&["10.0.0.1/32", "192.0.2.0/24", "2001:db8::/64"])
    );
}
