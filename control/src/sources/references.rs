//! Names of what is declared nowhere. The configuration crate looks at its own files alone, and not at all if there are manifests,
//! which may declare what those name; what comes from elsewhere is looked at here.

use std::collections::HashSet;

use ravelin_config::{
    Code, Report,
    resources::{Endpoint, Resources},
};

use crate::policy::{PROFILES, TIERS};

/// What is declared, and what was reported already.
pub(super) struct References<'r> {
    tiers: HashSet<&'r str>,
    namespaces: HashSet<&'r str>,
    profiles: HashSet<&'r str>,
    reported: HashSet<(Code, &'r str)>,
}

impl<'r> References<'r> {
    /// All that is declared in any of `parts`.
    pub(super) fn new(parts: &[&'r Resources]) -> Self {
        let tiers = parts.iter().flat_map(|part| &part.tiers).map(|tier| tier.name.as_str());
        let namespaces = parts.iter().flat_map(|part| &part.namespaces).map(|it| it.name.as_str());
        let profiles = parts.iter().flat_map(|part| &part.profiles).map(|profile| profile.name.as_str());
        Self {
            tiers: tiers.chain(TIERS.map(|(name, ..)| name)).collect(),
            namespaces: namespaces.collect(),
            profiles: profiles.chain(PROFILES).collect(),
            reported: HashSet::new(),
        }
    }

    /// Reports what `part` names and nothing declares, each name once.
    pub(super) fn check(&mut self, part: &'r Resources, mut report: Report) -> Report {
        for tier in part.policies.iter().map(|policy| policy.tier.as_str()) {
            if !self.tiers.contains(tier) && self.reported.insert((Code::UnknownTier, tier)) {
                let message = format!(
                    "the tier `{tier}` is not declared: it is asked after all other tiers, and denies what its policies do not decide"
                );
                report = report.with(Code::UnknownTier, message);
            }
        }
        let report = self.namespaces(part, report);
        self.profiles(&part.endpoints, Code::UnknownProfile, report)
    }

    /// The same for endpoints of the directory, where a name that nobody knows is no reason to refuse everything else.
    pub(super) fn check_directory(&mut self, part: &'r Resources, report: Report) -> Report {
        let report = self.namespaces(part, report);
        self.profiles(&part.endpoints, Code::EndpointFile, report)
    }

    fn namespaces(&mut self, part: &'r Resources, mut report: Report) -> Report {
        let mentioned = (part.policies.iter().map(|it| &it.namespace))
            .chain(part.endpoints.iter().map(|it| &it.namespace))
            .chain(part.services.iter().map(|it| &it.namespace))
            .chain(part.network_sets.iter().map(|it| &it.namespace));
        for namespace in mentioned.flatten().map(String::as_str) {
            let unknown = !self.namespaces.contains(namespace);
            if unknown && self.reported.insert((Code::UnknownNamespace, namespace)) {
                let message = format!(
                    "the namespace `{namespace}` is not declared: nothing is known of its labels; add a [[namespace]] or its manifest"
                );
                report = report.with(Code::UnknownNamespace, message);
            }
        }
        report
    }

    fn profiles(&mut self, endpoints: &'r [Endpoint], code: Code, mut report: Report) -> Report {
        for endpoint in endpoints {
            for profile in endpoint.profiles.iter().map(String::as_str) {
                let namespace = profile.strip_prefix("kns.");
                let known = self.profiles.contains(profile)
                    || namespace.is_some_and(|namespace| self.namespaces.contains(namespace));
                if known || !self.reported.insert((code, profile)) {
                    continue;
                }
                let hint = match namespace {
                    Some(namespace) => format!("declare the namespace `{namespace}`"),
                    None => "declare it with [[profile]] or a manifest".to_owned(),
                };
                let endpoint = super::called(endpoint);
                let message = format!(
                    "there is no profile `{profile}`, which the endpoint `{endpoint}` names: it allows nothing; {hint}"
                );
                report = report.with(code, message);
            }
        }
        report
    }
}
