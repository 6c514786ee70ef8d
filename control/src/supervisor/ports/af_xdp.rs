//! From the configuration's words to AF_XDP's, and back from its reports to ours.

use std::{net::IpAddr, path::Path};

use parking_lot::Mutex;
use ravelin_config::{
    self as config, Config, Fail, Interface, InterfaceMode, IoMode, resources::Failsafe, types::Protocol,
};
use ravelin_dataplane::io::{
    af_xdp::{
        self, AfXdpControl, AfXdpError, AfXdpIo, AttachChoice, AttachMode, BusyPoll, CopyMode, FailsafePort,
        InterfaceSettings, KernelCounters, NapiThreads, Note, PortReport, PortState, ReceiveThreads, Role,
        Settings, SocketStatistics, Spread, WithoutProcess, ZeroCopy,
    },
    blocklist::BlockChange,
};

use super::{
    Abilities, Detached, Opened, Outcome, PacketMemory, PortsError, Runs, Survey, state_file, tunnels,
};
use crate::{
    api::view::{self, Link, LinkState, Statistic},
    appliance::{Interfaces, Own},
    compile::{HOST_PAIR, PortFacts, host_port},
    feeds::kernel::Blocklist,
    routing::pair,
    supervisor::privileges,
};

/// Drivers whose packets may come from a stack on the same machine, which leaves checksums to be completed by a network card
/// that is not there.
const LOCAL_DRIVERS: [&str; 5] = ["veth", "virtio_net", "tun", "netkit", "vif"];

/// Packets that one busy poll may process: what the kernel allows without privileges.
const BUSY_POLL_BUDGET: u16 = 64;

/// Whether this process may take interfaces over.
///
/// # Errors
/// [`PortsError::Privileges`].
pub fn check() -> Result<(), PortsError> {
    match privileges::missing() {
        Ok(missing) if missing.is_empty() => Ok(()),
        Ok(missing) => Err(PortsError::Privileges(missing)),
        Err(error) => Err(PortsError::Refused(format!("cannot find out what this process may do: {error}"))),
    }
}

/// Takes over the interfaces of `config` for `workers` workers. The kernel may use the cores `spare`, on which there is none.
///
/// # Errors
/// [`PortsError`]; then everything is as it was before.
pub fn open(config: &Config, workers: usize, spare: &[usize]) -> Result<Opened<AfXdpIo>, PortsError> {
    let routes = host_port(config).is_some();
    let made = routes && pair::make(workers).map_err(|error| without_pair(&error))?;
    let mut made_tunnels = Vec::new();
    let opened = tunnels::make(config, workers, &mut made_tunnels)
        .and_then(|()| af_xdp::open(&settings(config, workers, spare)).map_err(refused));
    let (backends, control) = opened.inspect_err(|_| {
        // The first error counts.
        if made {
            let _second = pair::remove();
        }
        let _seconds = tunnels::remove(&made_tunnels);
    })?;
    for Note { interface, text } in control.notes() {
        tracing::warn!(%interface, "{text}");
    }
    let tunnels = config.wireguard_devices().map(|wireguard| wireguard.name.to_string()).collect();
    let interfaces = Box::new(Taken { control: Mutex::new(Some(control)), has_pair: routes, tunnels });
    Ok(Opened { backends, interfaces })
}

/// Removes our programs from the interfaces `only`, or from all of this network namespace if that is empty, and restores what
/// `state_file` remembers of them.
///
/// # Errors
/// [`PortsError::Privileges`], or that the state file cannot be used.
pub fn detach(state_file: &Path, only: &[String]) -> Result<Outcome, PortsError> {
    check()?;
    let af_xdp::Outcome { detached, errors, notes } = af_xdp::detach(state_file, only).map_err(refused)?;
    let detached = detached.into_iter().map(|af_xdp::Detached { interface, xdp, tc, settings }| Detached {
        interface,
        xdp: xdp.map(mode),
        tc,
        settings,
    });
    if only.is_empty() && errors.is_empty() {
        pair::remove().map_err(|error| {
            PortsError::Refused(format!("{} cannot be removed: {error}", HOST_PAIR.join(" and ")))
        })?;
    }
    Ok(Outcome {
        detached: detached.collect(),
        problems: notes.iter().map(describe).collect(),
        refused: errors.into_iter().map(refused).collect(),
    })
}

/// Looks at an interface, and changes nothing.
///
/// # Errors
/// [`PortsError::Refused`], if there is no such interface.
pub fn survey(interface: &str) -> Result<Survey, PortsError> {
    let af_xdp::Survey { link, state: found, driver, program, filters, offloads, spread } =
        af_xdp::survey(interface).map_err(refused)?;
    Ok(Survey {
        index: link.index,
        driver: link.driver,
        state: state(found),
        queues: link.queues,
        mtu: link.mtu,
        abilities: driver.map(|af_xdp::DriverXdp { native, zero_copy }| Abilities { native, zero_copy }),
        program: program.map(|runs| Runs { name: runs.name, mode: mode(runs.mode), is_ours: runs.is_ours }),
        filters,
        offloads: offloads.into_iter().map(|offload| (offload.name, offload.changeable)).collect(),
        symmetric: match spread {
            Spread::Symmetric => Ok(true),
            Spread::Asymmetric => Ok(false),
            Spread::Unknown(why) => Err(why),
        },
    })
}

/// What taking over these interfaces as `config` says would need, for `workers` workers.
///
/// # Errors
/// [`PortsError::Refused`], if one of them is not there or the configuration does not fit.
pub fn packet_memory(
    config: &Config,
    interfaces: &[String],
    workers: usize,
) -> Result<PacketMemory, PortsError> {
    let links: Result<Vec<_>, _> = interfaces.iter().map(|name| af_xdp::Link::find(name)).collect();
    let settings = settings(config, workers, &[]);
    let memory = af_xdp::packet_memory(&settings, &links.map_err(refused)?).map_err(refused)?;
    Ok(PacketMemory { bytes: memory.bytes, max_frame: memory.max_frame })
}

fn settings(config: &Config, workers: usize, spare: &[usize]) -> Settings {
    let interface = |interface: &Interface| InterfaceSettings {
        name: interface.name.to_string(),
        attach: match config.io.mode {
            IoMode::Auto => AttachChoice::Auto,
            IoMode::Native => AttachChoice::Native,
            IoMode::Generic => AttachChoice::Generic,
        },
        without_process: without_process(config, interface),
        role: match interface.mode {
            InterfaceMode::Route => Role::Router,
            InterfaceMode::Bridge | InterfaceMode::Monitor => Role::Whole,
        },
    };
    let [_, kernels] = HOST_PAIR;
    let host = host_port(config).map(|name| InterfaceSettings {
        name: name.to_string(),
        // Nothing is received here, and natively its packets would have to be short.
        attach: AttachChoice::Generic,
        without_process: WithoutProcess::Closed,
        role: Role::Host(kernels.to_owned()),
    });
    Settings {
        interfaces: config
            .interfaces
            .iter()
            .map(interface)
            .chain(tunnels::settings(config))
            .chain(host)
            .collect(),
        workers: u8::try_from(workers).unwrap_or(u8::MAX),
        batch: config.workers.batch,
        handoff: config.workers.handoff,
        ring: config.io.ring_size,
        frame_size: config.io.frame_size,
        huge_pages: false,
        zero_copy: match config.io.zero_copy {
            config::ZeroCopy::Auto => ZeroCopy::Auto,
            config::ZeroCopy::Off => ZeroCopy::Off,
        },
        busy_poll: (!config.io.busy_poll.is_zero()).then(|| BusyPoll {
            microseconds: u32::try_from(config.io.busy_poll.as_micros()).unwrap_or(u32::MAX),
            budget: BUSY_POLL_BUDGET,
        }),
        napi_threads: match config.io.napi_threads {
            config::NapiThreads::Auto => NapiThreads::Auto,
            config::NapiThreads::On => NapiThreads::On,
            config::NapiThreads::Off => NapiThreads::Off,
        },
        spare_cores: spare.to_owned(),
        state_file: state_file(config),
    }
}

/// A monitor interface only listens: without us its packets go where they went before. On one that routes the kernel does.
fn without_process(config: &Config, interface: &Interface) -> WithoutProcess {
    if interface.mode == InterfaceMode::Route {
        return match interface.fail {
            Fail::Open => WithoutProcess::OpenKernel,
            Fail::Closed => WithoutProcess::Closed,
        };
    }
    let Some(bridge) = interface.bridge.and_then(|bridge| config.bridges.get(bridge)) else {
        return WithoutProcess::OpenKernel;
    };
    let [outside, inside] = &bridge.ports;
    let twin = if *outside == interface.name { inside } else { outside };
    match bridge.fail {
        Fail::Open => WithoutProcess::OpenTwin(twin.to_string()),
        Fail::Closed => WithoutProcess::Closed,
    }
}

/// What the programs of all interfaces drop.
struct KernelList(af_xdp::Blocklist);

impl Blocklist for KernelList {
    fn change(&mut self, change: &BlockChange) -> Result<(), String> {
        self.0.change(change).map_err(|error| error.to_string())
    }
}

/// The protocols that a failsafe port without one is about.
const ALL_WITH_PORTS: [Protocol; 3] = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];

/// What the programs leave to the kernel.
struct KernelOwn(af_xdp::Own);

impl Own for KernelOwn {
    fn set_addresses(&mut self, addresses: &[IpAddr]) -> Result<(), String> {
        self.0.set_addresses(addresses.iter().copied()).map_err(|error| error.to_string())
    }

    fn set_failsafes(&mut self, failsafes: &[Failsafe]) -> Result<(), String> {
        // Those for some senders only are left to workers, who look at senders.
        let anywhere = failsafes.iter().filter(|failsafe| failsafe.net.is_none());
        let ports = anywhere.flat_map(|failsafe| {
            let protocols =
                failsafe.protocol.map_or_else(|| ALL_WITH_PORTS.to_vec(), |protocol| vec![protocol]);
            protocols.into_iter().map(|protocol| FailsafePort { protocol, port: failsafe.port })
        });
        self.0.set_failsafes(ports).map_err(|error| error.to_string())
    }

    fn set_tunnels(&mut self, ports: &[u16]) -> Result<(), String> {
        self.0.set_tunnels(ports.iter().copied()).map_err(|error| error.to_string())
    }
}

/// Interfaces that AF_XDP has taken over.
struct Taken {
    control: Mutex<Option<AfXdpControl>>,
    /// Whether the last of them is one end of the pair.
    has_pair: bool,
    /// The interfaces of tunnels, by the kernel's ends.
    tunnels: Vec<String>,
}

impl Taken {
    /// Removes the pair, and the interfaces of tunnels.
    fn without_pair(&self, mut problems: Vec<String>) -> Vec<String> {
        if self.has_pair
            && let Err(error) = pair::remove()
        {
            problems.push(format!("{} cannot be removed: {error}", HOST_PAIR.join(" and ")));
        }
        problems.extend(tunnels::remove(&self.tunnels));
        problems
    }
}

fn without_pair(error: &std::io::Error) -> PortsError {
    PortsError::Refused(format!("the interfaces {} cannot be made: {error}", HOST_PAIR.join(" and ")))
}

impl Interfaces for Taken {
    fn facts(&self, interface: &Interface) -> PortFacts {
        match af_xdp::Link::find(interface.name.as_str()) {
            Ok(link) => {
                PortFacts { mtu: link.mtu, partial_checksums: LOCAL_DRIVERS.contains(&link.driver.as_str()) }
            }
            // It is gone; whatever comes back in its place has to fit the packets that we send.
            Err(_) => PortFacts::UNLIMITED,
        }
    }

    fn links(&self) -> Vec<Link> {
        self.control.lock().as_ref().map(AfXdpControl::report).unwrap_or_default().iter().map(link).collect()
    }

    fn look(&self) -> Vec<LinkState> {
        let mut control = self.control.lock();
        for Note { interface, text } in control.as_mut().map(AfXdpControl::tend).unwrap_or_default() {
            tracing::warn!(%interface, "{text}");
        }
        let states = control.as_ref().map(AfXdpControl::look).unwrap_or_default();
        states.into_iter().map(state).collect()
    }

    fn blocklist(&self) -> Option<Box<dyn Blocklist>> {
        match self.control.lock().as_ref().map(AfXdpControl::blocklist)? {
            Ok(list) => list.map(|list| Box::new(KernelList(list)) as Box<dyn Blocklist>),
            Err(error) => {
                tracing::error!(%error, "nothing can be dropped in the kernel");
                None
            }
        }
    }

    fn own(&self) -> Option<Box<dyn Own>> {
        match self.control.lock().as_ref().filter(|_| self.has_pair).map(AfXdpControl::own)? {
            Ok(own) => own.map(|own| Box::new(KernelOwn(own)) as Box<dyn Own>),
            Err(error) => {
                tracing::error!(%error, "the kernel's own addresses are not reached at failsafe ports but through workers");
                None
            }
        }
    }

    fn blocked(&self) -> Vec<[u64; 2]> {
        self.control.lock().as_ref().map(AfXdpControl::blocked).unwrap_or_default()
    }

    fn close(&self) -> Vec<String> {
        let Some(control) = self.control.lock().take() else { return Vec::new() };
        self.without_pair(match control.close() {
            Ok(notes) => notes.iter().map(describe).collect(),
            Err(error) => vec![error.to_string()],
        })
    }

    fn abandon(&self) -> Vec<String> {
        let Some(control) = self.control.lock().take() else { return Vec::new() };
        self.without_pair(match control.abandon() {
            Ok(notes) => notes.iter().map(describe).collect(),
            Err(error) => vec![error.to_string()],
        })
    }
}

const fn state(state: PortState) -> LinkState {
    match state {
        PortState::Up => LinkState::Up,
        PortState::NoCarrier => LinkState::NoCarrier,
        PortState::Down => LinkState::Down,
        PortState::Detached => LinkState::Detached,
        PortState::Gone => LinkState::Gone,
    }
}

const fn mode(mode: AttachMode) -> &'static str {
    match mode {
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    }
}

fn link(report: &PortReport) -> Link {
    Link {
        driver: report.link.driver.clone(),
        state: state(report.state),
        mode: mode(report.attach).to_owned(),
        why: report.why_generic.clone(),
        zero_copy: match report.copy {
            CopyMode::ZeroCopy => true,
            CopyMode::Copy => false,
        },
        queues: report.link.queues,
        mtu: report.link.mtu,
        receive_threads: report
            .threads
            .clone()
            .map(|ReceiveThreads { cores, pids, .. }| view::ReceiveThreads { cores, pids }),
        statistics: statistics(&report.kernel, &report.sockets),
    }
}

fn statistics(kernel: &KernelCounters, sockets: &SocketStatistics) -> Vec<Statistic> {
    let KernelCounters {
        redirected,
        oversized,
        open_passed,
        closed_dropped,
        vlan_restored,
        vlan_lost,
        twin_redirected,
        twin_unmarked,
        blocked,
        blocked_bytes,
        kernel_passed,
        local_unmarked,
    } = *kernel;
    let SocketStatistics {
        rx_dropped,
        rx_invalid_descs,
        rx_ring_full,
        rx_fill_ring_empty,
        tx_invalid_descs,
        tx_ring_empty,
    } = *sockets;
    let all = [
        ("xdp_redirected_packets", redirected, "Frames that the XDP program handed to a socket."),
        (
            "xdp_oversized_packets",
            oversized,
            "Frames dropped by the XDP program because no buffer can hold them.",
        ),
        ("xdp_open_passed_packets", open_passed, "Frames left to the kernel because there was no socket."),
        (
            "xdp_closed_dropped_packets",
            closed_dropped,
            "Frames dropped by the XDP program because there was no socket.",
        ),
        (
            "xdp_vlan_restored_packets",
            vlan_restored,
            "Frames that got back the VLAN tag that travelled beside them.",
        ),
        (
            "xdp_vlan_lost_packets",
            vlan_lost,
            "Frames dropped by the XDP program because there was no room for their VLAN tag.",
        ),
        (
            "xdp_twin_redirected_packets",
            twin_redirected,
            "Frames that the kernel sent to the twin interface.",
        ),
        ("xdp_twin_unmarked_packets", twin_unmarked, "Frames that the twin program left to the kernel."),
        (
            "xdp_threat_dropped_packets",
            blocked,
            "Frames dropped by the XDP program because a feed names their sender (`threat_kernel`).",
        ),
        ("xdp_threat_dropped_bytes", blocked_bytes, "Their bytes."),
        (
            "xdp_kernel_passed_packets",
            kernel_passed,
            "Frames of an interface that routes that are the kernel's alone: ARP, neighbour discovery, DHCP, failsafe ports, its own conversations.",
        ),
        (
            "xdp_local_unmarked_packets",
            local_unmarked,
            "Frames dropped at the kernel's end of the pair because they did not come from a worker.",
        ),
        (
            "xsk_receive_dropped_packets",
            rx_dropped,
            "Packets that the kernel could not put into a socket for another reason.",
        ),
        (
            "xsk_receive_ring_full_packets",
            rx_ring_full,
            "Packets dropped because the worker did not empty the receive ring in time.",
        ),
        (
            "xsk_fill_ring_empty_packets",
            rx_fill_ring_empty,
            "Packets that found no buffer to be received into.",
        ),
        ("xsk_receive_invalid_descriptors", rx_invalid_descs, "Buffers that the fill ring named wrongly."),
        (
            "xsk_transmit_invalid_descriptors",
            tx_invalid_descs,
            "Buffers that the transmit ring named wrongly.",
        ),
        ("xsk_transmit_ring_empty_calls", tx_ring_empty, "Times that the kernel found nothing to send."),
    ];
    let statistic = |(name, value, help): (&str, u64, &str)| Statistic {
        name: name.to_owned(),
        value,
        help: help.to_owned(),
    };
    all.into_iter().map(statistic).collect()
}

fn refused(error: AfXdpError) -> PortsError {
    let message = error.to_string();
    match error {
        AfXdpError::InUse { owner, .. } => PortsError::InUse { message, pid: owner.map(|owner| owner.pid) },
        AfXdpError::Interface { .. }
        | AfXdpError::Occupied { .. }
        | AfXdpError::Program { .. }
        | AfXdpError::Memory { .. }
        | AfXdpError::Socket { .. }
        | AfXdpError::State { .. }
        | AfXdpError::Blocklist { .. }
        | AfXdpError::Own { .. }
        | AfXdpError::Settings(_) => PortsError::Refused(message),
    }
}

fn describe(note: &Note) -> String {
    format!("{}: {}", note.interface, note.text)
}
