use super::{Bridge, Interface, unique};
use crate::model::{BridgeModel, ChecksumMode, Fail, InterfaceMode, InterfaceModel, Lists, ReversePath};
use crate::report::{Code, Findings};
use crate::schema::reader::{At, Field};
use crate::types::{BridgeName, IfName, MssClamp};
use std::collections::{HashMap, HashSet};

/// Checks interfaces and bridges, and makes the complete list of interfaces.
pub(super) fn validate(lists: &Lists, findings: &mut Findings) -> Option<(Vec<Interface>, Vec<Bridge>)> {
    let Lists { interfaces: declared, bridges, .. } = lists;
    unique("interfaces", declared.iter().filter_map(|interface| interface.name.given()), findings);
    unique("bridges", bridges.iter().filter_map(|bridge| bridge.name.given()), findings);
    let used = ports(bridges, findings);
    zones(lists, &used, findings);
    for interface in declared {
        use_of(interface, &used, bridges.iter().all(|bridge| !bridge.ports.is_unusable()), findings);
    }
    let bridges: Vec<_> = bridges.iter().map(bridge).collect::<Option<_>>()?;
    let mut interfaces: Vec<_> = declared.iter().map(interface).collect::<Option<_>>()?;
    for (index, bridge) in bridges.iter().enumerate() {
        for port in &bridge.ports {
            match interfaces.iter_mut().find(|interface| interface.name == *port) {
                Some(interface) => interface.bridge = Some(index),
                None => interfaces.push(Interface {
                    name: port.clone(),
                    mode: InterfaceMode::Bridge,
                    zone: None,
                    checksum: ChecksumMode::Auto,
                    reverse_path: ReversePath::Loose,
                    mss_clamp: MssClamp::Off,
                    fail: Fail::Open,
                    bridge: Some(index),
                }),
            }
        }
    }
    Some((interfaces, bridges))
}

/// The ports of bridges: where each interface was first used.
type Used<'m> = HashMap<&'m IfName, (&'m At<IfName>, Option<&'m BridgeName>)>;

/// Reports bridges with other than two ports, and interfaces that are ports twice.
fn ports<'m>(bridges: &'m [BridgeModel], findings: &mut Findings) -> Used<'m> {
    let mut used = Used::new();
    for bridge in bridges {
        let Some(ports) = bridge.ports.given() else { continue };
        let name = bridge.name.value();
        let called = name.map_or_else(|| "this bridge".to_owned(), |name| format!("bridge `{name}`"));
        if ports.value.len() != 2 {
            let message = format!("{called} has {}, but a bridge joins two", count(ports.value.len()));
            let finding = findings.add(Code::BridgePorts, ports.range.clone(), message);
            finding.help("write ports = [\"outside\", \"inside\"]");
        }
        for port in &ports.value {
            let Some((first, other)) = used.get(&port.value) else {
                used.insert(&port.value, (port, name));
                continue;
            };
            let message = if ports.value.iter().any(|own| own.range == first.range) {
                format!("{called} has the interface `{}` twice", port.value)
            } else {
                let other =
                    other.map_or_else(|| "another bridge".to_owned(), |name| format!("bridge `{name}`"));
                format!("the interface `{}` is a port of {other} already", port.value)
            };
            let help = format!("the first use is at {}", findings.position(&first.range));
            findings.add(Code::PortTaken, port.range.clone(), message).help(help);
        }
    }
    used
}

fn count(ports: usize) -> String {
    format!("{ports} port{}", if ports == 1 { "" } else { "s" })
}

/// Reports a monitor or a router that is a port, an interface that is neither, and what only routers have. `all_known`: whether every bridge told
/// its ports.
fn use_of(interface: &InterfaceModel, used: &Used<'_>, all_known: bool, findings: &mut Findings) {
    let (Some(name), Some(mode)) = (interface.name.given(), interface.mode.value()) else { return };
    if *mode != InterfaceMode::Route {
        let given = [
            ("reverse_path", interface.reverse_path.given().map(|given| &given.range)),
            ("mss_clamp", interface.mss_clamp.given().map(|given| &given.range)),
            ("fail", interface.fail.given().map(|given| &given.range)),
        ];
        for (key, range) in given {
            let Some(range) = range else { continue };
            let message = format!("`{key}` is for interfaces that route, and `{}` does not", name.value);
            let finding = findings.add(Code::Combination, range.clone(), message);
            finding.help(format!("leave `{key}` out, or set mode = \"route\""));
        }
    }
    match (mode, used.get(&name.value)) {
        (InterfaceMode::Monitor | InterfaceMode::Route, Some((port, _))) => {
            let (does, word) = match mode {
                InterfaceMode::Route => ("routes", "route"),
                InterfaceMode::Monitor | InterfaceMode::Bridge => ("only receives", "monitor"),
            };
            let message =
                format!("the interface `{}` {does}, so it cannot be a port of a bridge", name.value);
            let place = interface.mode.given().map_or(&name.range, |mode| &mode.range);
            let help = format!("mode = \"{word}\" is at {}", findings.position(place));
            findings.add(Code::MonitorPort, port.range.clone(), message).help(help);
        }
        (InterfaceMode::Bridge, None) if all_known => {
            let message = format!("the interface `{}` is not a port of any bridge", name.value);
            let finding = findings.add(Code::UnusedInterface, name.range.clone(), message);
            finding.help(
                "add it to the ports of a bridge, or set mode = \"route\" to route, or \"monitor\" to only listen",
            );
        }
        (InterfaceMode::Monitor | InterfaceMode::Route, None) | (InterfaceMode::Bridge, _) => {}
    }
}

/// The most zones: the packet path has a bit for each in one word.
const ZONES_MAX: usize = 62;

/// Reports zones that could be taken for an interface, and the first that is one too many.
fn zones(lists: &Lists, used: &Used<'_>, findings: &mut Findings) {
    let names: HashSet<_> = lists.interface_names().chain(used.keys().copied()).collect();
    let given = || lists.zones().filter_map(Field::given);
    for zone in given().filter(|zone| names.contains(&zone.value)) {
        let message = format!("`{}` is the name of an interface already", zone.value);
        findings.add(Code::Combination, &zone.range, message).help("call the zone something else");
    }
    let mut zones = HashSet::new();
    let new: Vec<_> = given().filter(|zone| zones.insert(&zone.value)).collect();
    if let Some(zone) = new.get(ZONES_MAX) {
        let message = format!("expected at most {ZONES_MAX} zones, found {}", new.len());
        findings.add(Code::TooLarge, &zone.range, message);
    }
}

fn interface(model: &InterfaceModel) -> Option<Interface> {
    Some(Interface {
        name: model.name.value()?.clone(),
        mode: *model.mode.value()?,
        zone: model.zone.value().cloned(),
        checksum: *model.checksum.value()?,
        reverse_path: *model.reverse_path.value()?,
        mss_clamp: *model.mss_clamp.value()?,
        fail: *model.fail.value()?,
        bridge: None,
    })
}

fn bridge(model: &BridgeModel) -> Option<Bridge> {
    let [outside, inside] = model.ports.value()?.as_slice() else { return None };
    Some(Bridge {
        name: model.name.value()?.clone(),
        ports: [outside.value.clone(), inside.value.clone()],
        fail: *model.fail.value()?,
        arp: *model.arp.value()?,
        nd: *model.nd.value()?,
        lldp: *model.lldp.value()?,
        stp: *model.stp.value()?,
        unknown: *model.unknown.value()?,
    })
}
