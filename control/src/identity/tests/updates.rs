use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, option, prelude::*, sample::select};
use ravelin_config::{
    resources::{Endpoint, Labels, Namespace, NetworkSet, Resources},
    selector::{Comparison, Expression, Selector},
};

use super::{endpoint, labels, network_set, profile};
use crate::identity::{Identities, ItemId, Kind, SelectorId};

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
