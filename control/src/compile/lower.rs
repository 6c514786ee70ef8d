use std::sync::Arc;

use ravelin_config::{
    self as config, ChecksumMode, Config, Handling, Interface, InterfaceMode, NdHandling, types::Direction,
};
use ravelin_dataplane::{
    capture::CapturePlan,
    flow::{Evict, FlowSettings, Midstream, Timeouts},
    forward::{NonIp, Plan, Port},
    parse::FragmentSettings,
    policy::{PolicySet, Zone},
    route::{ReversePath, Routes},
    snapshot::Snapshot,
    worker::Idle,
};

use super::{CompileError, PortFacts, Ports, host_port};
use crate::policy::Zones;

/// Compiles `config` into what workers run on, with the policy that was compiled from its resources. The generation is given by
/// the publisher.
///
/// # Errors
/// [`CompileError::UnknownInterface`] if the configuration names an interface that is not among `ports`;
pub fn snapshot(config: &Config, ports: &Ports, policy: PolicySet) -> Result<Snapshot, CompileError> {
    Ok(Snapshot {
        generation: 0,
        fragments: FragmentSettings { timeout: config.fragments.timeout, full: config.fragments.full },
        flow: flow(&config.flow),
        policy,
        capture: CapturePlan::default(),
        forward: forward(config, ports)?,
        routes: Routes::default(),
        nat: Arc::default(),
        wireguard: Arc::default(),
        change: None,
    })
}

/// How large one worker's tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSizes {
    /// Flows.
    pub flows: usize,
    /// Fragmented datagrams.
    pub fragments: usize,
}

impl TableSizes {
    /// One worker's share of `config`, if there are `workers` of them: flows are configured for all workers together and
    /// rounded up, fragments for each.
    pub fn per_worker(config: &Config, workers: u8) -> Self {
        Self {
            flows: config.flow.capacity.div_ceil(usize::from(workers.max(1))),
            fragments: config.fragments.capacity,
        }
    }
}

/// What a worker does when there is nothing to do.
pub const fn idle(idle: config::Idle) -> Idle {
    match idle {
        config::Idle::Spin => Idle::Spin,
        config::Idle::Adaptive => Idle::Adaptive,
        config::Idle::Sleep => Idle::Sleep,
    }
}

fn flow(flow: &config::Flow) -> FlowSettings {
    let timeouts = &flow.timeouts;
    FlowSettings {
        full: flow.full,
        evict: match flow.evict {
            config::Evict::Unreplied => Evict::Unreplied,
            config::Evict::None => Evict::Expired,
        },
        midstream: match flow.midstream {
            config::Midstream::Pickup => Midstream::Pickup,
            config::Midstream::Drop => Midstream::Drop,
        },
        timeouts: Timeouts {
            tcp_syn: timeouts.tcp_syn,
            tcp_established: timeouts.tcp_established,
            tcp_closing: timeouts.tcp_closing,
            tcp_closed: timeouts.tcp_closed,
            udp_new: timeouts.udp_new,
            udp_established: timeouts.udp_established,
            icmp: timeouts.icmp,
            other_new: timeouts.other_new,
            other_established: timeouts.other_established,
        },
    }
}

fn forward(config: &Config, ports: &Ports) -> Result<Plan, CompileError> {
    let known = Zones::of(config);
    let (mut plan, mut zones) = (vec![Port::Monitor; ports.len()], vec![Zone::NONE; ports.len()]);
    for interface in &config.interfaces {
        let unknown = || CompileError::UnknownInterface { interface: interface.name.clone() };
        let id = ports.id(&interface.name).ok_or_else(unknown)?;
        let facts = ports.facts(id).ok_or_else(unknown)?;
        let bridge = interface.bridge.and_then(|bridge| config.bridges.get(bridge));
        let port = match (interface.mode, bridge) {
            (InterfaceMode::Bridge, Some(bridge)) => {
                let [outside, inside] = &bridge.ports;
                let (direction, twin) = if interface.name == *outside {
                    (Direction::Ingress, inside)
                } else {
                    (Direction::Egress, outside)
                };
                Port::Bridge {
                    twin: ports
                        .id(twin)
                        .ok_or_else(|| CompileError::UnknownInterface { interface: twin.clone() })?,
                    direction,
                    non_ip: non_ip(bridge),
                    complete_checksums: completes(interface, facts),
                    mtu: facts.mtu,
                }
            }
            (InterfaceMode::Route, _) => Port::Route {
                complete_checksums: completes(interface, facts),
                reverse_path: reverse_path(interface.reverse_path),
                mss_clamp: interface.mss_clamp,
            },
            (InterfaceMode::Bridge, None) | (InterfaceMode::Monitor, _) => Port::Monitor,
        };
        if let Some(slot) = plan.get_mut(id.index()) {
            *slot = port;
        }
        let zone = interface.zone.as_ref().and_then(|zone| known.find(zone.as_str()));
        if let (Some(slot), Some(zone)) = (zones.get_mut(id.index()), zone) {
            *slot = zone;
        }
    }
    for wireguard in config.wireguard_devices() {
        let unknown = || CompileError::UnknownInterface { interface: wireguard.name.clone() };
        let id = ports.id(&wireguard.name).ok_or_else(unknown)?;
        if let Some(slot) = plan.get_mut(id.index()) {
            *slot = Port::Route {
                complete_checksums: true,
                reverse_path: reverse_path(wireguard.reverse_path),
                mss_clamp: wireguard.mss_clamp,
            };
        }
        let zone = wireguard.zone.as_ref().and_then(|zone| known.find(zone.as_str()));
        if let (Some(slot), Some(zone)) = (zones.get_mut(id.index()), zone) {
            *slot = zone;
        }
    }
    if let Some(slot) = host_port(config).and_then(|name| plan.get_mut(ports.id(&name)?.index())) {
        *slot = Port::Host;
    }
    Ok(Plan::new(plan).with_zones(zones))
}

const fn reverse_path(reverse_path: config::ReversePath) -> ReversePath {
    match reverse_path {
        config::ReversePath::Strict => ReversePath::Strict,
        config::ReversePath::Loose => ReversePath::Loose,
        config::ReversePath::Off => ReversePath::Off,
    }
}

fn completes(interface: &Interface, facts: PortFacts) -> bool {
    match interface.checksum {
        ChecksumMode::Auto => facts.partial_checksums,
        ChecksumMode::Complete => true,
        ChecksumMode::Keep => false,
    }
}

fn non_ip(bridge: &config::Bridge) -> NonIp {
    let forwards = |handling| match handling {
        Handling::Forward => true,
        Handling::Drop => false,
    };
    NonIp {
        arp: forwards(bridge.arp),
        neighbour_discovery: match bridge.nd {
            NdHandling::Forward => true,
            NdHandling::Judge => false,
        },
        lldp: forwards(bridge.lldp),
        stp: forwards(bridge.stp),
        unknown: forwards(bridge.unknown),
    }
}
