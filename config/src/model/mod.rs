//! What a file may say: every section and key, declared once, without judgement of how they fit together.
//!
//! Read next: `schema/mod.rs` for what a declaration yields, `validate/` for the judgement.

mod bridge;
mod capture;
mod endpoint;
mod enforcement;
mod feed;
mod file;
mod flow;
mod fragments;
mod interface;
mod io;
mod nat;
mod operation;
mod policy;
mod threat;
mod wireguard;
mod workers;

pub(crate) use bridge::BridgeModel;
pub use bridge::{Fail, Handling, NdHandling};
pub(crate) use capture::JobModel;
pub use capture::{
    Capture, CaptureCompression, CaptureDirection, CaptureFormat, CapturePoint, CaptureVerdict, Ring, Trigger,
};
pub(crate) use endpoint::{
    EndpointModel, NamedPortModel, NamespaceModel, NetworkSetModel, ServiceModel, ServicePortModel,
};
pub use enforcement::Enforcement;
pub(crate) use feed::{CsvModel, FeedHeaderModel, FeedModel, JsonModel};
pub use feed::{FeedAction, FeedDirection, FeedFormat, FeedMode};
pub(crate) use file::FileModel;
pub use flow::{Evict, Flow, Midstream, Timeouts};
pub use fragments::Fragments;
pub(crate) use interface::InterfaceModel;
pub use interface::{ChecksumMode, InterfaceMode, ReversePath};
pub use io::{Io, IoMode, NapiThreads, ZeroCopy};
pub(crate) use nat::{NatDestinationModel, NatSourceModel};
pub use operation::{Control, Log, LogFormat, LogLevel, Metrics, Records, RecordsTarget};
pub(crate) use policy::{
    EntityModel, IcmpModel, PolicyModel, PolicyRuleModel, ProfileModel, ServiceAccountsModel,
    ServiceRefModel, TierModel,
};
pub(crate) use threat::AllowModel;
pub use threat::{Threat, Widest};
pub(crate) use wireguard::{MTU, WireguardModel, WireguardPeerModel};
pub use workers::{Idle, Workers};

use crate::FilePattern;
use crate::schema::{
    Section,
    reader::{Field, Reader},
};
use crate::types::IfName;
use std::path::PathBuf;

/// A whole configuration.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) manifests: Vec<FilePattern>,
    pub(crate) endpoints_dir: Option<PathBuf>,
    pub(crate) workers: Workers,
    pub(crate) io: Io,
    pub(crate) enforcement: Enforcement,
    pub(crate) threat: Threat,
    pub(crate) allow: Vec<AllowModel>,
    pub(crate) capture: Capture,
    pub(crate) jobs: Vec<JobModel>,
    pub(crate) nat_sources: Vec<NatSourceModel>,
    pub(crate) nat_destinations: Vec<NatDestinationModel>,
    pub(crate) flow: Flow,
    pub(crate) fragments: Fragments,
    pub(crate) records: Records,
    pub(crate) metrics: Metrics,
    pub(crate) control: Control,
    pub(crate) log: Log,
    pub(crate) lists: Lists,
}

/// The sections that may be repeated, of one file or of several.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) interfaces: Vec<InterfaceModel>,
    pub(crate) bridges: Vec<BridgeModel>,
    pub(crate) wireguards: Vec<WireguardModel>,
    pub(crate) tiers: Vec<TierModel>,
    pub(crate) policies: Vec<PolicyModel>,
    pub(crate) profiles: Vec<ProfileModel>,
    pub(crate) namespaces: Vec<NamespaceModel>,
    pub(crate) endpoints: Vec<EndpointModel>,
    pub(crate) services: Vec<ServiceModel>,
    pub(crate) network_sets: Vec<NetworkSetModel>,
    pub(crate) feeds: Vec<FeedModel>,
}

impl Lists {
    fn read(reader: &mut Reader<'_, '_>) -> Self {
        let policies = replaced(reader);
        Self {
            interfaces: reader.entries("interface", InterfaceModel::read),
            bridges: reader.entries("bridge", BridgeModel::read),
            wireguards: reader.entries("wireguard", WireguardModel::read),
            tiers: reader.entries("tier", TierModel::read),
            policies: if policies { reader.entries("policy", PolicyModel::read) } else { Vec::new() },
            profiles: reader.entries("profile", ProfileModel::read),
            namespaces: reader.entries("namespace", NamespaceModel::read),
            endpoints: reader.entries("endpoint", EndpointModel::read),
            services: reader.entries("service", ServiceModel::read),
            network_sets: reader.entries("network_set", NetworkSetModel::read),
            feeds: reader.entries("feed", FeedModel::read),
        }
    }

    /// Reads a file that is included, and reports what may only stand in the main file.
    pub(crate) fn included(reader: &mut Reader<'_, '_>) -> Self {
        let lists = Self::read(reader);
        for key in ONCE {
            reader.misplaced(key);
        }
        lists
    }

    /// The zones of interfaces, those of WireGuard included, as they were written.
    pub(crate) fn zones(&self) -> impl Iterator<Item = &Field<IfName>> {
        let interfaces = self.interfaces.iter().map(|interface| &interface.zone);
        interfaces.chain(self.wireguards.iter().map(|wireguard| &wireguard.zone))
    }

    /// The names of interfaces, those of WireGuard included.
    pub(crate) fn interface_names(&self) -> impl Iterator<Item = &IfName> {
        let interfaces = self.interfaces.iter().map(|interface| &interface.name);
        interfaces.chain(self.wireguards.iter().map(|wireguard| &wireguard.name)).filter_map(Field::value)
    }

    /// Takes over all of `other`, behind what is there.
    pub(crate) fn extend(&mut self, other: Self) {
        self.interfaces.extend(other.interfaces);
        self.bridges.extend(other.bridges);
        self.wireguards.extend(other.wireguards);
        self.tiers.extend(other.tiers);
        self.policies.extend(other.policies);
        self.profiles.extend(other.profiles);
        self.namespaces.extend(other.namespaces);
        self.endpoints.extend(other.endpoints);
        self.services.extend(other.services);
        self.network_sets.extend(other.network_sets);
        self.feeds.extend(other.feeds);
    }
}

/// What may stand in the main file only.
const ONCE: [&str; 13] = [
    "endpoints_dir",
    "workers",
    "io",
    "enforcement",
    "threat",
    "capture",
    "nat",
    "flow",
    "fragments",
    "records",
    "metrics",
    "control",
    "log",
];

/// Reports sections of the language as it was before there were endpoints. Says whether `policy` can be read.
fn replaced(reader: &mut Reader<'_, '_>) -> bool {
    reader.replaced(
        "rule",
        "`[[rule]]` was replaced by `[[endpoint]]` and `[[policy]]`",
        "say who lives on the network with [[endpoint]], and what may talk to what with [[policy]]: see the README",
    );
    let settings = reader.has_table("policy");
    if settings {
        reader.replaced(
            "policy",
            "the section `[policy]` is called `[enforcement]` now",
            "write [enforcement], without `default`: each tier has its own; a policy is written [[policy]]",
        );
    }
    !settings
}

impl Model {
    /// Reads the main file.
    pub(crate) fn read(reader: &mut Reader<'_, '_>) -> Self {
        let (threat, allow) = reader
            .table("threat", |reader| (Threat::read(reader), reader.entries("allow", AllowModel::read)));
        let (capture, jobs) =
            reader.table("capture", |reader| (Capture::read(reader), reader.entries("job", JobModel::read)));
        let (nat_sources, nat_destinations) = reader.table("nat", |reader| {
            (
                reader.entries("source", NatSourceModel::read),
                reader.entries("destination", NatDestinationModel::read),
            )
        });
        Self {
            manifests: Vec::new(),
            endpoints_dir: None,
            workers: reader.table("workers", Workers::read),
            io: reader.table("io", Io::read),
            enforcement: reader.table("enforcement", Enforcement::read),
            threat,
            allow,
            capture,
            jobs,
            nat_sources,
            nat_destinations,
            flow: reader.table("flow", Flow::read),
            fragments: reader.table("fragments", Fragments::read),
            records: reader.table("records", Records::read),
            metrics: reader.table("metrics", Metrics::read),
            control: reader.table("control", Control::read),
            log: reader.table("log", Log::read),
            lists: Lists::read(reader),
        }
    }

    /// The declarations of all sections, in the order in which people should read them.
    pub(crate) fn declare() -> Vec<Section> {
        let mut sections = Vec::new();
        for declare in [
            FileModel::declare,
            Workers::declare,
            Io::declare,
            InterfaceModel::declare,
            BridgeModel::declare,
            WireguardModel::declare,
            WireguardPeerModel::declare,
            NatSourceModel::declare,
            NatDestinationModel::declare,
            Enforcement::declare,
            TierModel::declare,
            PolicyModel::declare,
            PolicyRuleModel::declare,
            EntityModel::declare,
            ServiceAccountsModel::declare,
            ServiceRefModel::declare,
            IcmpModel::declare,
            ProfileModel::declare,
            NamespaceModel::declare,
            EndpointModel::declare,
            NamedPortModel::declare,
            ServiceModel::declare,
            ServicePortModel::declare,
            NetworkSetModel::declare,
            Threat::declare,
            AllowModel::declare,
            FeedModel::declare,
            FeedHeaderModel::declare,
            CsvModel::declare,
            JsonModel::declare,
            Capture::declare,
            JobModel::declare,
            Flow::declare,
            Fragments::declare,
            Records::declare,
            Metrics::declare,
            Control::declare,
            Log::declare,
        ] {
            declare(&mut sections);
        }
        sections
    }
}
