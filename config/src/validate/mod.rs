//! From what a file says to what it means.
//!
//! [`validate`] checks what no single value can show: names that repeat, interfaces that are used twice or
//! not at all (`network.rs`), feeds (`feed.rs`), captures (`job.rs`), address translation (`nat.rs`), exceptions from feeds (`threat.rs`), WireGuard (`wireguard/`), and everything about policy (`resources/`). Like the reader, it reports all there is to
//! report; a value that was unusable already is passed over, so that one mistake is one finding.

mod feed;
mod job;
mod nat;
mod network;
mod resources;
#[cfg(test)]
mod tests;
mod threat;
mod wireguard;

pub(crate) use feed::built_in_feed;
pub use wireguard::{PeersFile, Standing, read_peers};

use crate::FilePattern;
use crate::feed::{Allowance, FeedList};
use crate::job::Job;
use crate::model::{
    Capture, ChecksumMode, Control, Enforcement, Fail, Flow, Fragments, Handling, InterfaceMode, Io, Log,
    Metrics, Model, NdHandling, Records, ReversePath, Threat, WireguardModel, Workers,
};
use crate::nat::Nat;
use crate::report::{Code, Findings, Report};
use crate::resources::Resources;
use crate::schema::reader::At;
use crate::types::{BridgeName, IfName, MssClamp};
use crate::wireguard::Wireguard;
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::HashMap, fmt::Display, hash::Hash, mem, path::PathBuf};

/// A configuration that was checked as a whole. Only [`crate::load()`] and [`crate::parse`] make one from text;
/// the default is that of an empty file: no interfaces, everything allowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Config {
    /// The files that it was read from: the main file if there is one, those that it includes, and those of network sets.
    pub files: Vec<PathBuf>,
    /// `manifests`, in the order of the files.
    pub manifests: Vec<FilePattern>,
    /// `endpoints_dir`
    pub endpoints_dir: Option<PathBuf>,
    /// `[workers]`
    pub workers: Workers,
    /// `[io]`
    pub io: Io,
    /// Every interface, each once: those declared with `[[interface]]` in the order of the file, then the
    /// other ports of bridges in the order of the bridges. Each is either a port of one bridge or a monitor.
    pub interfaces: Vec<Interface>,
    /// `[[bridge]]`, in the order of the file.
    pub bridges: Vec<Bridge>,
    /// `[enforcement]`
    pub enforcement: Enforcement,
    /// `[[tier]]`, `[[policy]]`, `[[profile]]`, `[[namespace]]`, `[[endpoint]]`, `[[service]]` and `[[network_set]]`
    pub resources: Resources,
    /// `[threat]`
    pub threat: Threat,
    /// `[[threat.allow]]`, in the order of the file, with what has expired.
    pub allow: Vec<Allowance>,
    /// `[[feed]]`, in the order of the files, and `feodo` before them unless it is among them.
    pub feeds: FeedList,
    /// `[capture]`
    pub capture: Capture,
    /// `[[capture.job]]`, in the order of the file.
    pub jobs: Vec<Job>,
    /// `[[nat.source]]` and `[[nat.destination]]`
    pub nat: Nat,
    /// `[[wireguard]]`, in the order of the files.
    pub wireguards: Vec<Wireguard>,
    /// `[flow]`
    pub flow: Flow,
    /// `[fragments]`
    pub fragments: Fragments,
    /// `[records]`
    pub records: Records,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[control]`
    pub control: Control,
    /// `[log]`
    pub log: Log,
}

/// A network interface that packets are received on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Interface {
    /// The name that the kernel has for it.
    pub name: IfName,
    /// Port of a bridge, router, or receive only.
    pub mode: InterfaceMode,
    /// What kind of place it leads to.
    pub zone: Option<IfName>,
    /// What happens to partial checksums of packets received here.
    pub checksum: ChecksumMode,
    /// How sources of packets are checked that are routed.
    pub reverse_path: ReversePath,
    /// To what TCP connections are held that are routed through it.
    pub mss_clamp: MssClamp,
    /// What the kernel does with packets that are routed when the process is gone.
    pub fail: Fail,
    /// The bridge it is a port of, as an index of [`Config::bridges`], if it is one.
    pub bridge: Option<usize>,
}

/// Two interfaces joined transparently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bridge {
    /// What counters and commands call it.
    pub name: BridgeName,
    /// The outside, then the inside. They differ.
    pub ports: [IfName; 2],
    /// What the kernel does with packets when the process is gone.
    pub fail: Fail,
    /// What happens to ARP.
    pub arp: Handling,
    /// What happens to IPv6 neighbour discovery.
    pub nd: NdHandling,
    /// What happens to LLDP.
    pub lldp: Handling,
    /// What happens to spanning tree frames.
    pub stp: Handling,
    /// What happens to frames of any other EtherType that is not IP.
    pub unknown: Handling,
}

impl Config {
    /// The interfaces of WireGuard that the host has: all but those on bridges.
    pub fn wireguard_devices(&self) -> impl Iterator<Item = &Wireguard> {
        self.wireguards.iter().filter(|wireguard| wireguard.bridge.is_none())
    }

    /// The zones that interfaces are in, each once, in the order of the interfaces; those of WireGuard come last.
    pub fn zones(&self) -> Vec<&IfName> {
        let mut zones = Vec::new();
        let interfaces = self.interfaces.iter().filter_map(|interface| interface.zone.as_ref());
        let wireguards = self.wireguards.iter().filter_map(|wireguard| wireguard.zone.as_ref());
        for zone in interfaces.chain(wireguards) {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        zones
    }

    /// Whether `ravelin run` has something to do with this configuration. `replay` takes any.
    ///
    /// # Errors
    /// A [`Report`] of one [`Code::NothingToRun`] if there is neither a bridge nor a monitor interface.
    pub fn check_runnable(&self) -> Result<(), Report> {
        if !self.interfaces.is_empty() {
            return Ok(());
        }
        Err(Report::whole(
            Code::NothingToRun,
            "the configuration has no [[bridge]] and no [[interface]] with mode = \"monitor\"".to_owned(),
            Some("add a bridge with two ports, or an interface to listen on".to_owned()),
        ))
    }
}

/// Checks `model` as a whole, as of `now`. `None` if anything is missing; what is wrong is in `findings`.
pub(crate) fn validate(mut model: Model, now: Timestamp, findings: &mut Findings) -> Option<Config> {
    let network = network::validate(&model.lists, findings);
    let mut resources = resources::validate(&mut model, findings);
    let allow = threat::validate(mem::take(&mut model.allow), &model.lists.feeds, now, findings);
    let feeds = feed::validate(mem::take(&mut model.lists.feeds), findings);
    let jobs = job::validate(mem::take(&mut model.jobs), findings);
    let routers = network.as_ref().and_then(|(interfaces, _)| routers(interfaces, &model.lists.wireguards));
    let wireguards = wireguard::validate(&mut model.lists, now, findings);
    resources.network_sets.extend(wireguards.sets);
    let (interfaces, bridges) = network?;
    let failsafes = &model.enforcement.failsafe_inbound;
    let nat = nat::validate(&model.nat_sources, &model.nat_destinations, &routers?, failsafes, findings);
    Some(Config {
        files: wireguards.files,
        manifests: model.manifests,
        endpoints_dir: model.endpoints_dir,
        workers: model.workers,
        io: model.io,
        interfaces,
        bridges,
        enforcement: model.enforcement,
        resources,
        threat: model.threat,
        allow,
        feeds: feeds?,
        capture: model.capture,
        jobs,
        nat,
        wireguards: wireguards.interfaces,
        flow: model.flow,
        fragments: model.fragments,
        records: model.records,
        metrics: model.metrics,
        control: model.control,
        log: model.log,
    })
}

/// Something that packets are routed through: an interface with `mode = "route"`, or one of WireGuard.
struct Router {
    name: IfName,
    zone: Option<IfName>,
}

/// All that routes. `None` if something is not known of an interface of WireGuard, which is reported already.
fn routers(interfaces: &[Interface], wireguards: &[WireguardModel]) -> Option<Vec<Router>> {
    let routes = |interface: &&Interface| interface.mode == InterfaceMode::Route;
    let interfaces = interfaces
        .iter()
        .filter(routes)
        .map(|it| Some(Router { name: it.name.clone(), zone: it.zone.clone() }));
    let wireguards = wireguards.iter().filter(|it| it.bridge.is_absent()).map(|it| {
        let zone = it.zone.value().cloned();
        Some(Router { name: it.name.value()?.clone(), zone }).filter(|_| !it.zone.is_unusable())
    });
    interfaces.chain(wireguards).collect()
}

/// Reports every name that was there before, among `things`.
fn unique<'m, T: Eq + Hash + Display + 'm>(
    things: &str,
    names: impl Iterator<Item = &'m At<T>>,
    findings: &mut Findings,
) {
    unique_by(things, names.map(|name| (&name.value, name)), findings);
}

/// Reports every name whose key was there before.
fn unique_by<'m, K: Eq + Hash, T: Display + 'm>(
    things: &str,
    names: impl Iterator<Item = (K, &'m At<T>)>,
    findings: &mut Findings,
) {
    let mut first = HashMap::new();
    for (key, name) in names {
        let earlier = *first.entry(key).or_insert(name);
        if !std::ptr::eq(earlier, name) {
            let help = format!("the first is at {}", findings.position(&earlier.range));
            let message = format!("there are two {things} called `{}`", name.value);
            findings.add(Code::DuplicateName, &name.range, message).help(help);
        }
    }
}
