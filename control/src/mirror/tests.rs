//! The mirror against a model that looks everything up anew, and what the kernel's messages mean.

use std::{
    collections::{BTreeMap, HashSet},
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;
use netlink_packet_core::Emitable;
use netlink_packet_route::{
    AddressFamily,
    link::{
        InfoData, InfoKind, InfoVlan, InfoVrf, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, VlanProtocol,
    },
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteType},
};
use proptest::prelude::*;

use super::*;

/// What a user makes of changes, checked for what is promised of them.
#[derive(Debug, Default)]
struct User {
    groups: BTreeMap<GroupId, Target>,
    routes: BTreeMap<(TableId, IpNet), GroupId>,
}

impl User {
    fn take(&mut self, changes: Vec<Change>) {
        let mut told = HashSet::new();
        for change in changes {
            match change {
                Change::Group(id, Some(target)) => {
                    assert_ne!(self.groups.get(&id), Some(&target), "no news");
                    assert!(told.insert(id), "{id:?} was told twice");
                    self.groups.insert(id, target);
                }
                Change::Group(id, None) => {
                    assert!(self.routes.values().all(|used| *used != id), "{id:?} is used");
                    assert!(self.groups.remove(&id).is_some(), "{id:?} was never told");
                }
                Change::Route(table, prefix, Some(id)) => {
                    assert!(self.groups.contains_key(&id), "{id:?} is not known");
                    assert_ne!(self.routes.insert((table, prefix), id), Some(id), "no news");
                }
                Change::Route(table, prefix, None) => {
                    assert!(self.routes.remove(&(table, prefix)).is_some(), "{prefix} was never told");
                }
                Change::Link(..) | Change::Address(..) | Change::Neighbour(..) => {}
            }
        }
    }

    fn lookup(&self, table: TableId, address: IpAddr) -> Option<&Target> {
        let covers = |(of, prefix): &&(TableId, IpNet)| *of == table && prefix.contains(&address);
        let key = self.routes.keys().filter(covers).max_by_key(|(_, prefix)| prefix.prefix_len())?;
        self.groups.get(&self.routes[key]).filter(|target| **target != Target::Unreachable)
    }
}

const RED: TableId = TableId(100);

fn link(index: u32, up: bool, carrier: bool, mtu: u32) -> Link {
    Link { index: LinkIndex(index), name: format!("l{index}"), mtu, up, carrier, ..Link::default() }
}

fn hop(link: u32, gateway: u8) -> NextHop {
    let gateway = (gateway > 0).then(|| Ipv4Addr::new(192, 0, 2, gateway).into());
    NextHop { link: LinkIndex(link), gateway, weight: 1, onlink: false, beyond: false, dead: false }
}

fn rule(priority: u32, says: RuleSays) -> Rule {
    Rule { family: Family::V4, priority, says }
}

fn plain_rules() -> Vec<Rule> {
    vec![
        rule(0, RuleSays::Table(TableId::LOCAL)),
        rule(1000, RuleSays::Vrf),
        rule(32766, RuleSays::Table(TableId::MAIN)),
        rule(32767, RuleSays::Table(TableId::DEFAULT)),
    ]
}

/// What the kernel would do, written down as plainly as can be: a list of everything, in order.
#[derive(Clone, Debug, Default)]
struct Model {
    links: BTreeMap<u32, Link>,
    objects: BTreeMap<u32, Object>,
    routes: Vec<Route>,
}

impl Model {
    fn target(&self, path: &Path) -> Option<Result<Target, ()>> {
        let hops = match (path.kind, &path.via) {
            (RouteKind::Local, _) => return Some(Ok(Target::Local)),
            (RouteKind::Blackhole, _) => return Some(Ok(Target::Blackhole)),
            (RouteKind::Throw, _) => return Some(Err(())),
            (_, Via::Hops(hops)) => hops.clone(),
            (_, Via::Object(id)) => match self.objects.get(id)? {
                Object::Hop(hop) => vec![hop.clone()],
                Object::Blackhole => return Some(Ok(Target::Blackhole)),
                Object::Group(_) => unreachable!("the model has none"),
            },
        };
        let up = |hop: &&NextHop| self.links.get(&hop.link.0).is_some_and(|link| link.up);
        let carried = |hop: &&NextHop| up(hop) && self.links[&hop.link.0].carrier;
        let some: Vec<_> = hops.iter().filter(carried).collect();
        let some = if some.is_empty() { hops.iter().filter(up).collect() } else { some };
        let hops = some.into_iter().map(|hop| {
            let mtu = self.links[&hop.link.0].mtu;
            let mtu = path.mtu.unwrap_or(mtu).min(mtu);
            Hop { link: hop.link, gateway: hop.gateway, weight: hop.weight, mtu, onlink: hop.onlink }
        });
        let hops: Vec<_> = hops.collect();
        (!hops.is_empty()).then_some(Ok(Target::Forward(hops)))
    }

    fn lookup(&self, tables: &[TableId], address: IpAddr) -> Option<Target> {
        for table in tables {
            let mut found: Vec<&Route> = self.routes.iter().collect();
            found.retain(|route| route.table == *table && route.prefix.contains(&address));
            found.sort_by_key(|route| (u8::MAX - route.prefix.prefix_len(), route.marks.metric));
            if let Some(Ok(target)) = found.into_iter().find_map(|route| self.target(&route.path)) {
                return Some(target);
            }
        }
        None
    }

    fn apply(&mut self, step: &Step) {
        let like = |route: &Route, other: &Route| {
            (route.table, route.prefix, route.marks.metric) == (other.table, other.prefix, other.marks.metric)
        };
        match step.clone() {
            Step::Link(link) => drop(self.links.insert(link.index.0, link)),
            Step::LinkGone(index) => drop(self.links.remove(&index)),
            Step::Object(id, object) => drop(self.objects.insert(id, object)),
            Step::ObjectGone(id) => drop(self.objects.remove(&id)),
            Step::Route(route, place) => {
                let first = self.routes.iter().position(|other| like(&route, other));
                let is_there = self.routes.contains(&route);
                match (place, first) {
                    _ if is_there => {}
                    (Place::Instead, Some(at)) => self.routes[at] = route,
                    (Place::First, Some(at)) => self.routes.insert(at, route),
                    (Place::Last, _) | (_, None) => self.routes.push(route),
                }
            }
            Step::RouteGone(route) => self.routes.retain(|other| *other != route),
            Step::Tell | Step::Relist(_) => {}
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Link(Link),
    LinkGone(u32),
    Object(u32, Object),
    ObjectGone(u32),
    Route(Route, Place),
    RouteGone(Route),
    /// Changes are told.
    Tell,
    /// Messages were lost: so many routes, from the end, are gone, and all is listed anew.
    Relist(usize),
}

fn routes() -> impl Strategy<Value = Route> {
    let table =
        prop::sample::select(vec![TableId::LOCAL, TableId::MAIN, TableId::MAIN, RED, TableId::DEFAULT]);
    let prefix = (0_u8..4, prop::sample::select(vec![0_u8, 8, 9, 10, 32])).prop_map(|(bits, length)| {
        IpNet::new(Ipv4Addr::new(10, bits << 6, 0, 0).into(), length).unwrap().trunc()
    });
    let hops = prop::collection::btree_set((1_u32..4, 0_u8..3), 1..3)
        .prop_map(|hops| Via::Hops(hops.into_iter().map(|(link, gateway)| hop(link, gateway)).collect()));
    let via = prop_oneof![4 => hops, 1 => (1_u32..3).prop_map(Via::Object)];
    let kinds = vec![
        RouteKind::Unicast,
        RouteKind::Unicast,
        RouteKind::Local,
        RouteKind::Blackhole,
        RouteKind::Throw,
    ];
    let path = (prop::sample::select(kinds), via, prop::option::of(1300_u32..1302))
        .prop_map(|(kind, via, mtu)| Path { kind, via, mtu });
    (table, prefix, path, 0_u32..2).prop_map(|(table, prefix, path, metric)| Route {
        table,
        prefix,
        path,
        marks: Marks { metric, ..Marks::default() },
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = prop::sample::select(vec![Place::First, Place::Last, Place::Instead]);
    let object = prop_oneof![
        (1_u32..4, 0_u8..3).prop_map(|(link, gateway)| Object::Hop(hop(link, gateway))),
        Just(Object::Blackhole)
    ];
    let step = prop_oneof![
        8 => (routes(), place).prop_map(|(route, place)| Step::Route(route, place)),
        3 => routes().prop_map(Step::RouteGone),
        2 => (1_u32..4, any::<(bool, bool)>(), 1280_u32..1303)
            .prop_map(|(index, (up, carrier), mtu)| Step::Link(link(index, up, carrier, mtu))),
        1 => (1_u32..4).prop_map(Step::LinkGone),
        1 => (1_u32..3, object).prop_map(|(id, object)| Step::Object(id, object)),
        1 => (1_u32..3).prop_map(Step::ObjectGone),
        4 => Just(Step::Tell),
        1 => (0_usize..4).prop_map(Step::Relist),
    ];
    prop::collection::vec(step, 1..60)
}

fn list(mirror: &mut Mirror, part: Part, messages: impl IntoIterator<Item = Message>) {
    mirror.begin(part);
    mirror.listed(messages);
    mirror.end(true);
}

/// Lists everything that a model has, as the kernel would.
fn relist(mirror: &mut Mirror, model: &Model) {
    let vrf = Link { vrf: Some(RED), ..link(9, true, true, 1500) };
    list(mirror, Part::Links, model.links.values().cloned().chain([vrf]).map(Message::Link));
    list(
        mirror,
        Part::Objects,
        model.objects.iter().map(|(id, object)| Message::Object(*id, object.clone())),
    );
    list(mirror, Part::Rules(Family::V4), plain_rules().into_iter().map(Message::Rule));
    let mut routes = model.routes.clone();
    routes.sort_by_key(|route| (route.table, route.prefix, route.marks.metric));
    list(
        mirror,
        Part::Routes(Family::V4),
        routes.into_iter().map(|route| Message::Route(route, Place::First)),
    );
}

proptest! {
    #[test]
    fn lookups_find_what_a_plain_model_finds(steps in steps()) {
        let (mut mirror, mut user, mut model) = (Mirror::default(), User::default(), Model::default());
        for index in 1..4 {
            model.links.insert(index, link(index, true, true, 1500));
        }
        relist(&mut mirror, &model);
        user.take(mirror.changes());
        for step in steps.into_iter().chain([Step::Tell]) {
            model.apply(&step);
            match step {
                Step::Link(link) => mirror.apply(Message::Link(link)),
                Step::LinkGone(index) => mirror.apply(Message::LinkGone(LinkIndex(index))),
                Step::Object(id, object) => mirror.apply(Message::Object(id, object)),
                Step::ObjectGone(id) => mirror.apply(Message::ObjectGone(id)),
                Step::Route(route, place) => mirror.apply(Message::Route(route, place)),
                Step::RouteGone(route) => mirror.apply(Message::RouteGone(route)),
                Step::Relist(lost) => {
                    let left = model.routes.len().saturating_sub(lost);
                    model.routes.truncate(left);
                    mirror.lost();
                    relist(&mut mirror, &model);
                }
                Step::Tell => {
                    user.take(mirror.changes());
                    prop_assert!(mirror.changes().is_empty(), "told twice");
                    let main = [TableId::LOCAL, TableId::MAIN, TableId::DEFAULT];
                    let red = [TableId::LOCAL, RED, TableId::MAIN, TableId::DEFAULT];
                    for (view, tables) in [(TableId::MAIN, &main[..]), (RED, &red[..])] {
                        for (a, b, c) in [(9, 0, 0), (10, 0, 0), (10, 0, 1), (10, 64, 0), (10, 128, 0), (10, 128, 1), (10, 192, 0)] {
                            let address = Ipv4Addr::new(a, b, 0, c).into();
                            let expected = model.lookup(tables, address);
                            prop_assert_eq!(user.lookup(view, address), expected.as_ref(), "{} in {:?}", address, view);
                            let found = mirror.lookup(view, address).map(|(_, target)| target);
                            let found = found.filter(|target| **target != Target::Unreachable);
                            prop_assert_eq!(found, expected.as_ref());
                        }
                    }
                    // Numbers are used again: there are never more than routes.
                    prop_assert!(user.groups.len() <= model.routes.len() + 1);
                }
            }
        }
    }
}

fn route(prefix: &str, metric: u32, hops: Vec<NextHop>) -> Route {
    let path = Path { kind: RouteKind::Unicast, via: Via::Hops(hops), mtu: None };
    let marks = Marks { metric, ..Marks::default() };
    Route { table: TableId::MAIN, prefix: prefix.parse().unwrap(), path, marks }
}

/// A mirror with two links and what is in `routes`, of which all was told.
fn mirror(routes: &[Route]) -> Mirror {
    let links = [(1, link(1, true, true, 1500)), (2, link(2, true, true, 1500))].into();
    let mut mirror = Mirror::default();
    relist(&mut mirror, &Model { links, routes: routes.to_vec(), ..Model::default() });
    list(&mut mirror, Part::Addresses, []);
    list(&mut mirror, Part::Rules(Family::V6), []);
    list(&mut mirror, Part::Routes(Family::V6), []);
    list(&mut mirror, Part::Neighbours, []);
    mirror.changes();
    assert!(mirror.wanted().is_empty());
    mirror
}

#[test]
fn a_link_that_goes_down_changes_groups_and_not_each_route() {
    let several = || vec![hop(1, 1), hop(2, 1)];
    let routes: Vec<Route> =
        (0..100).map(|number| route(&format!("10.0.{number}.0/24"), 0, several())).collect();
    let mut mirror = mirror(&routes);
    mirror.apply(Message::Link(link(1, false, false, 1500)));
    let changes = mirror.changes();
    assert!(
        matches!(&changes[..], [Change::Link(..), Change::Group(_, Some(Target::Forward(hops)))] if hops.len() == 1),
        "{changes:?}"
    );
    let wanted: Vec<Part> = mirror.wanted().iter().copied().collect();
    assert_eq!(
        wanted,
        [Part::Objects, Part::Routes(Family::V4), Part::Routes(Family::V6)],
        "it may have removed some"
    );
}

#[test]
fn what_a_message_said_is_believed_and_not_the_piece_of_a_list_that_was_written_before() {
    let old = route("10.0.0.0/24", 0, vec![hop(1, 1)]);
    let new = route("10.0.0.0/24", 0, vec![hop(2, 1)]);
    let mut mirror = mirror(std::slice::from_ref(&old));
    mirror.begin(Part::Routes(Family::V4));
    mirror.apply(Message::Route(new.clone(), Place::Instead));
    mirror.listed([Message::Route(old.clone(), Place::First)]);
    mirror.end(true);
    let address = "10.0.0.1".parse().unwrap();
    mirror.changes();
    let link = |mirror: &Mirror| mirror.lookup(TableId::MAIN, address).unwrap().1.hops()[0].link.0;
    assert_eq!(link(&mirror), 2);
    assert!(mirror.wanted().contains(&Part::Routes(Family::V4)), "to be sure");
    list(&mut mirror, Part::Routes(Family::V4), [Message::Route(new, Place::First)]);
    assert!(mirror.changes().is_empty() && mirror.wanted().is_empty());
    // What was removed meanwhile does not come back.
    mirror.begin(Part::Routes(Family::V4));
    mirror.apply(Message::RouteGone(route("10.0.0.0/24", 0, vec![hop(2, 1)])));
    mirror.listed([Message::Route(route("10.0.0.0/24", 0, vec![hop(2, 1)]), Place::First)]);
    mirror.end(true);
    mirror.changes();
    assert!(mirror.lookup(TableId::MAIN, address).is_none());
    // A list that was torn is no reason to forget anything.
    list(&mut mirror, Part::Routes(Family::V4), [Message::Route(old, Place::First)]);
    mirror.begin(Part::Routes(Family::V4));
    mirror.end(false);
    mirror.changes();
    assert_eq!(link(&mirror), 1);
}

fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn decode(kind: u16, payload: &[u8]) -> (Option<Message>, u64) {
    let mut decoder = Decoder::default();
    (decoder.decode(kind, 0, payload), decoder.undecoded())
}

#[test]
fn links_are_decoded() {
    let mut message = LinkMessage::default();
    message.header.index = 7;
    message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
    let vlan = vec![InfoVlan::Id(42), InfoVlan::Protocol(VlanProtocol::Ieee8021Ad)];
    message.attributes = vec![
        LinkAttribute::IfName("eth0.42".to_owned()),
        LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
        LinkAttribute::Mtu(1496),
        LinkAttribute::Controller(9),
        LinkAttribute::Link(3),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(vlan))]),
    ];
    let expected = Link {
        index: LinkIndex(7),
        name: "eth0.42".to_owned(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1496,
        up: true,
        carrier: true,
        master: Some(LinkIndex(9)),
        kind: Some("vlan".to_owned()),
        vlan: Some(Vlan { parent: LinkIndex(3), id: 42, protocol: 0x88a8 }),
        vrf: None,
    };
    let mut payload = bytes(&message);
    assert_eq!(decode(16, &payload), (Some(Message::Link(expected.clone())), 0));
    // An attribute that cannot be decoded: a number of three bytes. The link is not lost.
    payload.extend([7, 0, 27, 0, 1, 2, 3, 0]);
    assert_eq!(decode(16, &payload), (Some(Message::Link(expected)), 1));
    message.attributes = vec![LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vrf),
        LinkInfo::Data(InfoData::Vrf(vec![InfoVrf::TableId(100)])),
    ])];
    let (message_of_vrf, _) = decode(16, &bytes(&message));
    assert!(matches!(message_of_vrf, Some(Message::Link(link)) if link.vrf == Some(RED)));
    // A port that leaves a bridge.
    message.header.interface_family = AddressFamily::Bridge;
    assert_eq!(decode(17, &bytes(&message)), (None, 0));
    assert_eq!(decode(16, &[1, 2, 3]), (None, 1));
}

#[test]
fn a_route_that_is_not_understood_is_the_kernels() {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.kind = RouteType::Unicast;
    message.header.destination_prefix_length = 24;
    message.header.table = 254;
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet(Ipv4Addr::new(10, 0, 0, 0))),
        RouteAttribute::Oif(1),
        RouteAttribute::Priority(5),
        RouteAttribute::Metrics(vec![RouteMetric::Mtu(1300)]),
    ];
    let mut expected = route("10.0.0.0/24", 5, vec![hop(1, 0)]);
    expected.path.mtu = Some(1300);
    let mut payload = bytes(&message);
    assert_eq!(decode(24, &payload), (Some(Message::Route(expected.clone(), Place::First)), 0));
    // A gateway of three bytes.
    payload.extend([7, 0, 5, 0, 1, 2, 3, 0]);
    let (message, undecoded) = decode(24, &payload);
    let Some(Message::Route(route, _)) = message else { panic!("{message:?}") };
    assert_eq!(undecoded, 1);
    let mut mirror = mirror(&[]);
    mirror.apply(Message::Route(route, Place::First));
    mirror.changes();
    let found = mirror.lookup(TableId::MAIN, "10.0.0.1".parse().unwrap()).unwrap();
    assert_eq!(found, (expected.prefix, &Target::Kernel));
}

proptest! {
    #[test]
    fn no_bytes_do_harm(kind in 16_u16..110, flags: u16, payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::default();
        if let Some(message) = decoder.decode(kind, flags, &payload) {
            let mut mirror = Mirror::default();
            mirror.apply(message);
            mirror.changes();
        }
    }
}
