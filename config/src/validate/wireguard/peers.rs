//! Peers of one interface: those of its file and those of TOML, made one list, and what no two of them may have alike.

use super::secret::Kept;
use crate::model::WireguardPeerModel;
use crate::report::{Code, Findings, Place};
use crate::resources::Labels;
use crate::schema::reader::{At, Field};
use crate::types::IpNet;
use crate::wireguard::{ConfPeer, KeyPlace, PeerEndpoint, PresharedKey, PublicKey, Wireguard, WireguardPeer};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    num::NonZeroU16,
    path::{Path, PathBuf},
};

/// A peer, and where what has to be its alone was written.
struct Draft {
    name: Option<String>,
    public_key: At<PublicKey>,
    preshared_key: Option<(PresharedKey, KeyPlace)>,
    endpoint: Option<PeerEndpoint>,
    allowed_ips: Vec<At<IpNet>>,
    persistent_keepalive: Option<u16>,
    labels: Labels,
    /// Whether the TOML file has spoken of it already.
    in_toml: bool,
}

/// Makes the list of peers, those of the file at `path` first. What cannot be used is left out, and reported.
pub(super) fn peers(
    (conf, path): (Vec<ConfPeer>, &Path),
    models: Vec<WireguardPeerModel>,
    files: &mut Vec<PathBuf>,
    findings: &mut Findings,
) -> Vec<WireguardPeer> {
    let mut list = List { drafts: Vec::new(), by_key: HashMap::new(), files };
    conf.into_iter().filter_map(|peer| of_conf(peer, path)).for_each(|draft| list.add(draft, findings));
    models.into_iter().for_each(|model| list.model(model, findings));
    if let Some(draft) = list.drafts.get(Wireguard::PEERS_MAX) {
        let (most, count) = (Wireguard::PEERS_MAX, list.drafts.len());
        let message = format!("expected at most {most} peers of an interface, found {count}");
        findings.add(Code::TooLarge, &draft.public_key.range, message);
    }
    allowed_ips(&list.drafts, findings);
    list.drafts.into_iter().map(Draft::finish).collect()
}

fn of_conf(peer: ConfPeer, path: &Path) -> Option<Draft> {
    Some(Draft {
        name: None,
        public_key: peer.public_key.given()?.clone(),
        preshared_key: peer.preshared_key.into_value().map(|key| (key, KeyPlace::File(path.to_owned()))),
        endpoint: peer.endpoint.into_value(),
        allowed_ips: peer.allowed_ips,
        persistent_keepalive: peer.persistent_keepalive.into_value(),
        labels: Labels::default(),
        in_toml: false,
    })
}

/// The peers so far.
struct List<'l> {
    drafts: Vec<Draft>,
    /// Where in the list they are.
    by_key: HashMap<PublicKey, usize>,
    /// The files that were read.
    files: &'l mut Vec<PathBuf>,
}

impl List<'_> {
    fn add(&mut self, draft: Draft, findings: &mut Findings) {
        match self.by_key.entry(draft.public_key.value) {
            Entry::Vacant(entry) => {
                entry.insert(self.drafts.len());
                self.drafts.push(draft);
            }
            Entry::Occupied(entry) => {
                let first =
                    self.drafts.get(*entry.get()).map(|first| findings.position(&first.public_key.range));
                let message = format!("there are two peers with the key {}", draft.public_key.value);
                let finding = findings.add(Code::PeerTaken, &draft.public_key.range, message);
                finding.help(format!("the first is at {}", first.unwrap_or_default()));
            }
        }
    }

    /// Adds a peer of TOML, or what that says of one of the file.
    fn model(&mut self, model: WireguardPeerModel, findings: &mut Findings) {
        let preshared_key = self.preshared_key(&model, findings);
        let Some(public_key) = model.public_key.given().cloned() else { return };
        let known = self.by_key.get(&public_key.value).copied();
        if let Some(draft) = known.and_then(|at| self.drafts.get_mut(at)).filter(|draft| !draft.in_toml) {
            twice(&model, &draft.public_key, findings);
            draft.in_toml = true;
            draft.name = model.name.into_value();
            draft.labels = model.labels.into_value().unwrap_or_default();
            return;
        }
        let draft = Draft {
            name: model.name.into_value(),
            public_key,
            preshared_key,
            endpoint: model.endpoint.into_value(),
            allowed_ips: model.allowed_ips.into_value().unwrap_or_default(),
            persistent_keepalive: model.persistent_keepalive.into_value(),
            labels: model.labels.into_value().unwrap_or_default(),
            in_toml: true,
        };
        self.add(draft, findings);
    }

    fn preshared_key(
        &mut self,
        model: &WireguardPeerModel,
        findings: &mut Findings,
    ) -> Option<(PresharedKey, KeyPlace)> {
        if model.preshared_key {
            return None;
        }
        let (file, credential) = (model.preshared_key_file.given(), model.preshared_key_credential.given());
        if let (Some(_), Some(credential)) = (file, credential) {
            let message = "a preshared key is in a file or in a credential, not in both";
            findings.add(Code::Combination, &credential.range, message);
        }
        if let Some(file) = file {
            let path = findings.sources().directory(&file.range).join(&file.value);
            self.files.push(path.clone());
            let kept = Kept::File(path);
            return Some((kept.key(&file.range, findings)?, kept.place()));
        }
        let credential = credential?;
        let kept = Kept::Credential(&credential.value);
        Some((kept.key(&credential.range, findings)?, kept.place()))
    }
}

/// Reports what TOML says of a peer of a file, and only the file can say.
fn twice(model: &WireguardPeerModel, of_file: &At<PublicKey>, findings: &mut Findings) {
    fn place<T>(field: &Field<T>) -> Option<&Place> {
        field.given().map(|at| &at.range)
    }
    let given = [
        ("preshared_key_file", place(&model.preshared_key_file)),
        ("preshared_key_credential", place(&model.preshared_key_credential)),
        ("endpoint", place(&model.endpoint)),
        ("allowed_ips", place(&model.allowed_ips)),
        ("persistent_keepalive", place(&model.persistent_keepalive)),
    ];
    for (key, place) in given {
        let Some(place) = place else { continue };
        let message = format!("`{key}` of a peer of the file of WireGuard stands in that file");
        let help = format!(
            "the peer is at {}; `name` and `labels` can be added here",
            findings.position(&of_file.range)
        );
        findings.add(Code::Combination, place, message).help(help);
    }
}

/// Reports allowed IPs that two peers have: WireGuard would take them from the first without a word.
fn allowed_ips(drafts: &[Draft], findings: &mut Findings) {
    let mut taken: HashMap<IpNet, (&Draft, &Place)> = HashMap::new();
    for draft in drafts {
        for net in &draft.allowed_ips {
            let (other, first) = *taken.entry(net.value).or_insert((draft, &net.range));
            if std::ptr::eq(other, draft) {
                continue;
            }
            let message =
                format!("{} and {} both have the allowed IPs {}", other.called(), draft.called(), net.value);
            let help = format!("the first is at {}", findings.position(first));
            findings.add(Code::PeerTaken, &net.range, message).help(help);
        }
    }
}

impl Draft {
    fn called(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| format!("the peer {}", self.public_key.value), |name| format!("`{name}`"))
    }

    fn finish(self) -> WireguardPeer {
        let mut once = HashSet::new();
        let (preshared_key, preshared_key_place) = self.preshared_key.unzip();
        WireguardPeer {
            name: self.name,
            public_key: self.public_key.value,
            preshared_key,
            preshared_key_place,
            endpoint: self.endpoint,
            allowed_ips: self
                .allowed_ips
                .into_iter()
                .map(|at| at.value)
                .filter(|net| once.insert(*net))
                .collect(),
            persistent_keepalive: self.persistent_keepalive.and_then(NonZeroU16::new),
            labels: self.labels,
        }
    }
}
