//! Interfaces on the outside of a bridge: what they need, and what has no meaning there.

use super::Sections;
use crate::model::{Fail, WireguardModel};
use crate::report::{Code, Findings, Place};
use crate::schema::reader::Field;
use crate::types::BridgeName;
use crate::wireguard::OnBridge;
use std::collections::HashMap;

/// Reports bridges on which there are two interfaces of WireGuard: a packet would be for either.
pub(super) fn once(models: &[WireguardModel], findings: &mut Findings) {
    let mut taken: HashMap<&BridgeName, &Place> = HashMap::new();
    for bridge in models.iter().filter_map(|model| model.bridge.given()) {
        let first = *taken.entry(&bridge.value).or_insert(&bridge.range);
        if *first != bridge.range {
            let message = format!("two interfaces of WireGuard are on the bridge `{}`", bridge.value);
            let help = format!("the first is at {}: give that more peers", findings.position(first));
            findings.add(Code::Combination, &bridge.range, message).help(help);
        }
    }
}

impl Sections<'_> {
    /// Where an interface is that names a bridge; `Some(None)` if it is one of the host.
    pub(super) fn bridge(&mut self, model: &WireguardModel) -> Option<Option<OnBridge>> {
        let Some(bridge) = model.bridge.given() else {
            if let Some(local) = model.local_ips.given() {
                let message = "`local_ips` has a meaning only with `bridge`";
                let finding = self.findings.add(Code::Combination, &local.range, message);
                finding.help("name the bridge; an interface of the host has `addresses`");
            }
            return (!model.bridge.is_unusable()).then_some(None);
        };
        self.without_meaning(model);
        for (key, is_missing, example) in [
            ("local_ips", model.local_ips.is_absent(), "local_ips = [\"10.0.1.0/24\"]"),
            ("listen_port", model.listen_port.is_absent(), "listen_port = 51871"),
        ] {
            if is_missing {
                let message = format!("on a bridge, `{key}` is needed");
                self.findings.add(Code::MissingKey, &bridge.range, message).help(format!("write {example}"));
            }
        }
        let mut known = self.bridges.iter().filter(|known| known.name.value() == Some(&bridge.value));
        let Some(known) = known.next() else {
            if self.bridges.iter().all(|known| known.name.value().is_some()) {
                let message = format!("there is no bridge `{}`", bridge.value);
                self.findings.add(Code::Combination, &bridge.range, message).help("add it as a [[bridge]]");
            }
            return None;
        };
        if let Some(strict) = model.require_encryption.given()
            && strict.value
            && known.fail.value() == Some(&Fail::Open)
        {
            let message = format!(
                "`{}` lets all pass in the clear when the process has died, for it has fail = \"open\"",
                bridge.value
            );
            let finding = self.findings.add(Code::Combination, &strict.range, message);
            finding.help("write fail = \"closed\" into that [[bridge]], or leave out `require_encryption`");
        }
        let outside = known.ports.value()?.first()?.value.clone();
        let local_ips = model.local_ips.value()?.iter().map(|net| net.value).collect();
        Some(Some(OnBridge { name: bridge.value.clone(), outside, local_ips }))
    }

    /// Reports what is said of an interface that only one of the host can have.
    fn without_meaning(&mut self, model: &WireguardModel) {
        fn place<T>(field: &Field<T>) -> Option<Place> {
            field.given().map(|at| at.range.clone())
        }
        let keys = [
            ("conf", place(&model.conf), "say it in TOML, without addresses"),
            (
                "addresses",
                place(&model.addresses),
                "a bridge has none; who is on its inside is in `local_ips`",
            ),
            ("zone", place(&model.zone), "the zone is that of the bridge's outside, with [[interface]]"),
            ("routes", place(&model.routes), "nothing is routed there"),
            ("reverse_path", place(&model.reverse_path), "nothing is routed there"),
        ];
        let endpoints = model.peer.iter().map(|peer| {
            ("endpoint", place(&peer.endpoint), "messages travel between those on the insides of the bridges")
        });
        for (key, place, help) in keys.into_iter().chain(endpoints) {
            let Some(place) = place else { continue };
            let message = format!("`{key}` has no meaning on a bridge");
            self.findings.add(Code::Combination, &place, message).help(help);
        }
    }
}
