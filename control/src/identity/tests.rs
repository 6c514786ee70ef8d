use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, option, prelude::*, sample::select};
use ravelin_config::{
    resources::{Endpoint, EndpointKind, Labels, Namespace, NetworkSet, Profile, Resources},
    selector::{Comparison, Expression, Selector},
    types::IpNet,
};
use ravelin_dataplane::policy::AddressSet;

use super::{Identities, ItemId, Kind, SelectorId};

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

/// Every item's labels by the book.
fn naive(resources: &Resources) -> BTreeMap<(Kind, Option<String>, String), Labels> {
    let inherited = |namespace: &Option<String>, profiles: &[String]| {
        let mut labels = Labels::default();
        for name in profiles.iter().rev() {
            for profile in resources.profiles.iter().filter(|profile| profile.name == *name) {
                profile.labels_to_apply.iter().for_each(|(label, value)| labels.insert(label, value));
            }
        }
        if let Some(name) = namespace {
            for namespace in resources.namespaces.iter().filter(|namespace| namespace.name == *name) {
                namespace.labels.iter().for_each(|(l, v)| labels.insert(format!("pcns.{l}"), v));
            }
            labels.insert("pcns.projectcalico.org/name", name);
        }
        labels
    };
    let mut items = BTreeMap::new();
    for endpoint in &resources.endpoints {
        let mut all = inherited(&endpoint.namespace, &endpoint.profiles);
        endpoint.labels.iter().for_each(|(label, value)| all.insert(label, value));
        if let Some(namespace) = &endpoint.namespace {
            all.insert("projectcalico.org/namespace", namespace);
        }
        if let Some(account) = &endpoint.service_account {
            all.insert("projectcalico.org/serviceaccount", account);
        }
        items.insert((Kind::Endpoint, endpoint.namespace.clone(), endpoint.name.clone()), all);
    }
    for set in &resources.network_sets {
        let mut all = inherited(&set.namespace, &[]);
        set.labels.iter().for_each(|(label, value)| all.insert(label, value));
        if let Some(namespace) = &set.namespace {
            all.insert("projectcalico.org/namespace", namespace);
        }
        all.insert("projectcalico.org/name", &set.name);
        all.insert("projectcalico.org/kind", "NetworkSet");
        items.insert((Kind::NetworkSet, set.namespace.clone(), set.name.clone()), all);
    }
    items
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

const LABELS: [&str; 8] = [
    "app",
    "env",
    "pcns.env",
    "pcsa.app",
    "pcns.projectcalico.org/name",
    "projectcalico.org/namespace",
    "projectcalico.org/serviceaccount",
    "projectcalico.org/kind",
];
const VALUES: [&str; 5] = ["x", "y", "xy", "n1", "NetworkSet"];

fn expression() -> impl Strategy<Value = Expression> {
    use Comparison::{Contains, EndsWith, Equal, NotEqual, StartsWith};
    let label = || select(&LABELS[..]).prop_map(str::to_owned);
    let value = || select(&VALUES[..]).prop_map(str::to_owned);
    let comparison = select(&[Equal, Equal, NotEqual, Contains, StartsWith, EndsWith][..]);
    let leaf = prop_oneof![
        1 => Just(Expression::All),
        1 => Just(Expression::Global),
        2 => label().prop_map(Expression::Has),
        6 => (label(), comparison, value())
            .prop_map(|(label, comparison, value)| Expression::Compare { label, comparison, value }),
        2 => (label(), vec(value(), 0..3)).prop_map(|(label, values)| Expression::In(label, values)),
        1 => (label(), vec(value(), 0..3)).prop_map(|(label, values)| Expression::NotIn(label, values)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expression::Not(Box::new(inner))),
            vec(inner.clone(), 1..4).prop_map(Expression::And),
            vec(inner, 1..4).prop_map(Expression::Or),
        ]
    })
}

fn some_labels() -> impl Strategy<Value = Labels> {
    vec((select(&LABELS[..6]), select(&VALUES[..])), 0..4).prop_map(|pairs| labels(&pairs))
}

fn some_endpoint() -> impl Strategy<Value = Endpoint> {
    let namespace = option::of(select(&["n1", "n2"][..]));
    let profiles = vec(select(&["p1", "p2"][..]), 0..3);
    let net =
        (0u8..8, 24u8..=32).prop_map(|(last, length)| format!("10.0.0.{last}/{length}").parse().unwrap());
    let rest = (some_labels(), option::of(Just("s".to_owned())), profiles, vec(net, 0..3));
    (namespace, 0u8..6, rest).prop_map(|(namespace, name, (labels, service_account, profiles, addresses))| {
        Endpoint {
            service_account,
            profiles: profiles.into_iter().map(str::to_owned).collect(),
            addresses,
            ..endpoint(namespace, &format!("e{name}"), labels)
        }
    })
}

/// Something that happens to items.
#[derive(Clone, Debug)]
enum Event {
    Update(Endpoint),
    Remove(Option<String>, String),
    Labels(prop::sample::Index, Labels),
    Namespace(&'static str, Labels),
    Profile(&'static str, Labels),
    Register(Expression),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => some_endpoint().prop_map(Event::Update),
        2 => some_endpoint().prop_map(|endpoint| Event::Remove(endpoint.namespace, endpoint.name)),
        4 => (any::<prop::sample::Index>(), some_labels()).prop_map(|(at, labels)| Event::Labels(at, labels)),
        1 => (select(&["n1", "n2"][..]), some_labels()).prop_map(|(name, labels)| Event::Namespace(name, labels)),
        1 => (select(&["p1", "p2"][..]), some_labels()).prop_map(|(name, labels)| Event::Profile(name, labels)),
        1 => expression().prop_map(Event::Register),
    ]
}

/// Which registered selectors match which item, evaluated one by one.
fn members(
    resources: &Resources,
    selectors: &[Selector],
) -> BTreeMap<(Kind, Option<String>, String), BTreeSet<usize>> {
    let items = naive(resources).into_iter();
    items
        .map(|(key, labels)| {
            let all = selectors.iter().enumerate();
            (key, all.filter(|(_, selector)| selector.matches(&labels)).map(|(at, _)| at).collect())
        })
        .collect()
}

proptest! {
    #[test]
    fn updates_and_lookups_are_what_evaluating_everything_gives(
        endpoints in vec(some_endpoint(), 0..8),
        set_labels in vec((option::of(select(&["n1", "n2"][..])), some_labels()), 0..3),
        expressions in vec(expression(), 1..8),
        events in vec(event(), 0..20),
    ) {
        let mut resources = Resources::default();
        for endpoint in endpoints {
            store(&mut resources, &endpoint);
        }
        for (at, (namespace, labels)) in set_labels.into_iter().enumerate() {
            resources.network_sets.push(NetworkSet { labels, ..network_set(namespace, &format!("s{at}"), &[]) });
        }
        let mut identities = Identities::new(&resources);
        let mut selectors: Vec<Selector> = Vec::new();
        for event in expressions.into_iter().map(Event::Register).chain(events) {
            let before = members(&resources, &selectors);
            let mut changes = Vec::new();
            match event {
                Event::Register(expression) => {
                    let selector = Selector::new(expression);
                    let known = selectors.iter().position(|other| *other == selector);
                    let id = identities.register(&selector);
                    prop_assert_eq!(id.index(), known.unwrap_or(selectors.len()));
                    if known.is_none() {
                        selectors.push(selector);
                    }
                    check(&identities, &resources, &selectors)?;
                    continue;
                }
                Event::Update(endpoint) => {
                    store(&mut resources, &endpoint);
                    changes.push(identities.update_endpoint(&endpoint));
                }
                Event::Remove(namespace, name) => {
                    let item = identities.find(Kind::Endpoint, namespace.as_deref(), &name);
                    let change = identities.remove_endpoint(namespace.as_deref(), &name);
                    prop_assert_eq!(change.as_ref().map(|change| change.item), item);
                    if let Some(change) = change {
                        prop_assert!(change.joined.is_empty());
                        let left: BTreeSet<_> = change.left.iter().map(|id| id.index()).collect();
                        prop_assert_eq!(&left, &before[&(Kind::Endpoint, namespace.clone(), name.clone())]);
                        resources.endpoints.retain(|other| (&other.namespace, &other.name) != (&namespace, &name));
                    }
                    check(&identities, &resources, &selectors)?;
                    continue;
                }
                Event::Labels(at, labels) => {
                    let items: Vec<_> = identities.items().collect();
                    if !items.is_empty() {
                        let item = *at.get(&items);
                        relabel(&mut resources, &identities, item, &labels);
                        changes.push(identities.update_labels(item, &labels));
                    }
                }
                Event::Namespace(name, labels) => {
                    let namespace = Namespace { name: name.to_owned(), labels };
                    resources.namespaces.retain(|other| other.name != name);
                    resources.namespaces.push(namespace.clone());
                    changes = identities.update_namespace(&namespace);
                }
                Event::Profile(name, labels) => {
                    resources.profiles.retain(|other| other.name != name);
                    resources.profiles.push(profile(name, labels));
                    changes = identities.update_profile(resources.profiles.last().unwrap());
                }
            }
            let after = members(&resources, &selectors);
            let none = BTreeSet::new();
            for (key, after) in &after {
                let before = before.get(key).unwrap_or(&none);
                let item = identities.find(key.0, key.1.as_deref(), &key.2).unwrap();
                let indices = |ids: &[SelectorId]| ids.iter().map(|id| id.index()).collect::<Vec<_>>();
                let of_item = changes.iter().filter(|change| change.item == item);
                let found: Vec<_> = of_item.map(|change| (indices(&change.joined), indices(&change.left))).collect();
                let joined: Vec<_> = after.difference(before).copied().collect();
                let left: Vec<_> = before.difference(after).copied().collect();
                if joined.is_empty() && left.is_empty() {
                    prop_assert!(found.iter().all(|(joined, left)| joined.is_empty() && left.is_empty()));
                } else {
                    prop_assert_eq!(found, [(joined, left)]);
                }
            }
            check(&identities, &resources, &selectors)?;
        }
    }
}

/// Adds an endpoint, or replaces the one of that name.
fn store(resources: &mut Resources, endpoint: &Endpoint) {
    let same =
        |other: &&mut Endpoint| (&other.namespace, &other.name) == (&endpoint.namespace, &endpoint.name);
    match resources.endpoints.iter_mut().find(same) {
        Some(old) => *old = endpoint.clone(),
        None => resources.endpoints.push(endpoint.clone()),
    }
}

fn relabel(resources: &mut Resources, identities: &Identities, item: ItemId, labels: &Labels) {
    let (namespace, name) = (identities.namespace(item), identities.name(item));
    match item.kind() {
        Kind::Endpoint => {
            let mut endpoints = resources.endpoints.iter_mut();
            let endpoint =
                endpoints.find(|other| (other.namespace.as_deref(), &*other.name) == (namespace, name));
            endpoint.unwrap().labels = labels.clone();
        }
        Kind::NetworkSet => resources.network_sets[item.index()].labels = labels.clone(),
    }
}

/// Checks all that can be asked.
fn check(
    identities: &Identities,
    resources: &Resources,
    selectors: &[Selector],
) -> Result<(), TestCaseError> {
    let items = naive(resources);
    prop_assert_eq!(identities.items().count(), items.len());
    let members = members(resources, selectors);
    for (key, labels) in &items {
        let item = identities.find(key.0, key.1.as_deref(), &key.2).unwrap();
        prop_assert_eq!(&identities.labels(item), labels);
        let ids: BTreeSet<_> = identities.selectors(item).iter().map(|id| id.index()).collect();
        prop_assert_eq!(&ids, &members[key]);
    }
    for (at, selector) in selectors.iter().enumerate() {
        let matching = identities.matching(selector.expression());
        prop_assert!(matching.is_sorted());
        let expected: Vec<_> = identities
            .items()
            .filter(|item| {
                let key = (
                    item.kind(),
                    identities.namespace(*item).map(str::to_owned),
                    identities.name(*item).to_owned(),
                );
                let matches = members[&key].contains(&at);
                assert_eq!(identities.matches(*item, selector.expression()), matches);
                matches
            })
            .collect();
        prop_assert_eq!(matching, expected);
    }
    for last in 0..16u8 {
        let address = std::net::IpAddr::from([10, 0, 0, last]);
        let owner = identities.endpoint_of(address);
        let claims = resources.endpoints.iter().flat_map(|endpoint| {
            let item =
                identities.find(Kind::Endpoint, endpoint.namespace.as_deref(), &endpoint.name).unwrap();
            endpoint.addresses.iter().map(move |net| (net, item))
        });
        let claims = claims.filter(|(net, _)| net.contains(&address));
        let expected = claims.min_by_key(|(net, item)| (std::cmp::Reverse(net.prefix_len()), *item));
        prop_assert_eq!(owner, expected.map(|(_, item)| item));
        for item in identities.items().filter(|item| item.kind() == Kind::Endpoint) {
            prop_assert_eq!(identities.addresses(item).contains(address), owner == Some(item));
        }
    }
    Ok(())
}
