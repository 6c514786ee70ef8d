//! What a file may say: every section and key, declared once, without judgement of how they fit together.
//!
//! Read next: `schema/mod.rs` for what a declaration yields, `validate/` for the judgement.

mod bridge;
mod endpoint;
mod flow;
mod fragments;
mod interface;
mod io;
mod operation;
mod policy;
mod rule;
mod workers;

pub(crate) use bridge::BridgeModel;
pub use bridge::{Fail, Handling, NdHandling};
pub(crate) use endpoint::{
    EndpointModel, NamedPortModel, NamespaceModel, NetworkSetModel, ServiceModel, ServicePortModel,
};
pub use flow::{Evict, Flow, Midstream, Timeouts};
pub use fragments::Fragments;
pub(crate) use interface::InterfaceModel;
pub use interface::{ChecksumMode, InterfaceMode};
pub use io::{Io, IoMode, NapiThreads, ZeroCopy};
pub use operation::{Control, Log, LogFormat, LogLevel, Metrics, Records, RecordsTarget};
pub(crate) use policy::{
    EntityModel, IcmpModel, PolicyModel, PolicyRuleModel, ProfileModel, ServiceAccountsModel,
    ServiceRefModel, TierModel,
};
pub use rule::Policy;
pub(crate) use rule::RuleModel;
pub use workers::{Idle, Workers};

use crate::schema::{Section, reader::Reader};

/// A whole file.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) workers: Workers,
    pub(crate) io: Io,
    pub(crate) interfaces: Vec<InterfaceModel>,
    pub(crate) bridges: Vec<BridgeModel>,
    pub(crate) policy: Policy,
    pub(crate) rules: Vec<RuleModel>,
    pub(crate) tiers: Vec<TierModel>,
    pub(crate) policies: Vec<PolicyModel>,
    pub(crate) profiles: Vec<ProfileModel>,
    pub(crate) namespaces: Vec<NamespaceModel>,
    pub(crate) endpoints: Vec<EndpointModel>,
    pub(crate) services: Vec<ServiceModel>,
    pub(crate) network_sets: Vec<NetworkSetModel>,
    pub(crate) flow: Flow,
    pub(crate) fragments: Fragments,
    pub(crate) records: Records,
    pub(crate) metrics: Metrics,
    pub(crate) control: Control,
    pub(crate) log: Log,
}

impl Model {
    /// Reads a file.
    pub(crate) fn read(reader: &mut Reader<'_, '_, '_>) -> Self {
        // TOML has one meaning for a name: where `[[policy]]` stands, the section `[policy]` has its other name.
        let settings =
            if reader.has("enforcement") || reader.has_list("policy") { "enforcement" } else { "policy" };
        let policies =
            if settings == "policy" { Vec::new() } else { reader.entries("policy", PolicyModel::read) };
        Self {
            workers: reader.table("workers", Workers::read),
            io: reader.table("io", Io::read),
            interfaces: reader.entries("interface", InterfaceModel::read),
            bridges: reader.entries("bridge", BridgeModel::read),
            policy: reader.table(settings, Policy::read),
            rules: reader.entries("rule", RuleModel::read),
            tiers: reader.entries("tier", TierModel::read),
            policies,
            profiles: reader.entries("profile", ProfileModel::read),
            namespaces: reader.entries("namespace", NamespaceModel::read),
            endpoints: reader.entries("endpoint", EndpointModel::read),
            services: reader.entries("service", ServiceModel::read),
            network_sets: reader.entries("network_set", NetworkSetModel::read),
            flow: reader.table("flow", Flow::read),
            fragments: reader.table("fragments", Fragments::read),
            records: reader.table("records", Records::read),
            metrics: reader.table("metrics", Metrics::read),
            control: reader.table("control", Control::read),
            log: reader.table("log", Log::read),
        }
    }

    /// The declarations of all sections, in the order in which people should read them.
    pub(crate) fn declare() -> Vec<Section> {
        let mut sections = Vec::new();
        for declare in [
            Workers::declare,
            Io::declare,
            InterfaceModel::declare,
            BridgeModel::declare,
            Policy::declare,
            RuleModel::declare,
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
