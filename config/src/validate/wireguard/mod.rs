//! From sections and files of WireGuard to interfaces.
//!
//! Files are read here (`secret.rs` for what has to be true of those with keys, `rotation.rs` for the key before), their peers and those of
//! TOML become one list (`peers.rs`), and peers that people can tell apart become network sets (`sets.rs`). So are files that change peers of a
//! running process (`file.rs`), and what comes of a configuration with those (`live.rs`). What holds on a bridge is in `bridge.rs`.

mod bridge;
mod file;
mod live;
mod peers;
mod rotation;
mod secret;
mod sets;
#[cfg(test)]
mod tests;

pub use file::{PeersFile, Standing, read_peers};
pub(in crate::validate) use sets::set_names;

use crate::model::{BridgeModel, InterfaceMode, Lists, WireguardModel};
use crate::report::{Code, Findings, Place};
use crate::resources::NetworkSet;
use crate::schema::reader::{At, Field};
use crate::types::{IfName, IpNet};
use crate::validate::unique;
use crate::wireguard::{Conf, KeyPlace, PreviousKey, PrivateKey, Wireguard};
use jiff::Timestamp;
use secret::{Content, Kept};
use std::{
    collections::{HashMap, HashSet},
    mem,
    path::PathBuf,
};

/// What comes out of all sections.
pub(super) struct Wireguards {
    pub(super) interfaces: Vec<Wireguard>,
    /// Peers with names or labels.
    pub(super) sets: Vec<NetworkSet>,
    /// The files that were read.
    pub(super) files: Vec<PathBuf>,
}

/// Checks the sections, which the model gives away, and reads the files that they name, as of `now`.
pub(super) fn validate(lists: &mut Lists, now: Timestamp, findings: &mut Findings) -> Wireguards {
    let models = mem::take(&mut lists.wireguards);
    names(&models, lists, findings);
    routes(&models, lists, findings);
    if let Some(name) = models.get(Wireguard::MAX).and_then(|model| model.name.given()) {
        let message = format!("expected at most {} [[wireguard]], found {}", Wireguard::MAX, models.len());
        findings.add(Code::TooLarge, &name.range, message);
    }
    bridge::once(&models, findings);
    let bridges = &lists.bridges;
    let mut sections = Sections { findings, bridges, ports: HashMap::new(), files: Vec::new(), now };
    let interfaces: Vec<_> = models.into_iter().filter_map(|model| sections.section(model)).collect();
    let sets = interfaces.iter().flat_map(sets::sets).collect();
    Wireguards { sets, files: sections.files, interfaces }
}

/// Reports names that the kernel could not give, or has given away.
fn names(models: &[WireguardModel], lists: &Lists, findings: &mut Findings) {
    let names = || models.iter().filter_map(|model| model.name.given());
    unique("interfaces of WireGuard", names(), findings);
    let ports =
        lists.bridges.iter().filter_map(|bridge| bridge.ports.value()).flatten().map(|port| &port.value);
    let own = names().map(|name| &name.value);
    let others: HashSet<_> = lists.interface_names().chain(ports).map(IfName::as_str).collect();
    let all: HashSet<_> = own.map(IfName::as_str).chain(others.iter().copied()).collect();
    for At { value: name, range } in names() {
        let (text, our_end) = (name.as_str(), format!("rvln-{name}"));
        let problem = if text.len() > Wireguard::NAME_MAX {
            let (most, bytes) = (Wireguard::NAME_MAX, text.len());
            format!("the name of an interface of WireGuard has at most {most} bytes, this one has {bytes}")
        } else if text.contains('%') {
            "the name of an interface of WireGuard must not contain '%': the kernel puts a number there"
                .to_owned()
        } else if others.contains(text) {
            format!("the interface `{name}` is there already, with [[interface]] or as a port of a bridge")
        } else if all.contains(our_end.as_str()) {
            format!("our end of `{name}` is called `{our_end}`, and an interface has that name already")
        } else {
            continue;
        };
        let too_long = text.len() > Wireguard::NAME_MAX;
        let code = if too_long || text.contains('%') { Code::Malformed } else { Code::DuplicateName };
        let finding = findings.add(code, range, problem);
        if too_long {
            finding.help("Ravelin puts `rvln-` before it for its own end, and the kernel takes 15 bytes");
        }
    }
}

/// Reports that nothing routes, so that nothing could come out of a tunnel or go into it.
fn routes(models: &[WireguardModel], lists: &Lists, findings: &mut Findings) {
    let routes =
        |mode: &Field<InterfaceMode>| mode.is_unusable() || mode.value() == Some(&InterfaceMode::Route);
    if lists.interfaces.iter().any(|interface| routes(&interface.mode)) {
        return;
    }
    let of_host = models.iter().filter(|model| model.bridge.is_absent());
    if let Some(name) = of_host.filter_map(|model| model.name.given()).next() {
        let message = format!("`{}` needs an interface with mode = \"route\", and there is none", name.value);
        let finding = findings.add(Code::Combination, &name.range, message);
        finding.help("add an [[interface]] with mode = \"route\", through which its peers are reached");
    }
}

struct Sections<'s> {
    findings: &'s mut Findings,
    bridges: &'s [BridgeModel],
    /// Where each port was asked for first.
    ports: HashMap<u16, Place>,
    files: Vec<PathBuf>,
    now: Timestamp,
}

impl Sections<'_> {
    fn section(&mut self, model: WireguardModel) -> Option<Wireguard> {
        self.one_key(&model);
        let bridge = self.bridge(&model)?;
        let conf_path = self.conf_path(&model);
        let conf = model.conf.given().map(|path| self.conf(path));
        // Nothing is said of what a file lacks that could not be read.
        let unknown = matches!(conf, Some(None));
        let conf = conf.flatten();
        let private_key = if unknown { None } else { self.private_key(&model, conf.as_ref()) };
        let (private_key_file, previous_key) =
            self.rotation(&model, private_key.as_ref().map(|(key, _)| key)).unzip();
        if let Some(conf) = &conf {
            self.said_once("listen_port", &model.listen_port, conf.listen_port.given().map(|at| &at.range));
            self.said_once("addresses", &model.addresses, conf.addresses.first().map(|at| &at.range));
            self.said_once("mtu", &model.mtu, conf.mtu.given().map(|at| &at.range));
            self.said_once("routes", &model.routes, conf.routes.given().map(|at| &at.range));
        }
        let (listen_port, addresses, mtu, routes, peers) = match conf {
            Some(conf) => (
                conf.listen_port.or(model.listen_port),
                if conf.addresses.is_empty() {
                    model.addresses.into_value().unwrap_or_default()
                } else {
                    conf.addresses
                },
                conf.mtu.or(model.mtu),
                conf.routes.or(model.routes),
                conf.peers,
            ),
            None => {
                let addresses = model.addresses.into_value().unwrap_or_default();
                (model.listen_port, addresses, model.mtu, model.routes, Vec::new())
            }
        };
        self.port(&listen_port);
        self.short(&mtu, &addresses);
        let peers = peers::peers((peers, &conf_path), model.peer, &mut self.files, self.findings);
        let (private_key, private_key_place) = private_key?;
        Some(Wireguard {
            name: model.name.into_value()?,
            bridge,
            private_key,
            private_key_place,
            private_key_file,
            previous_key: previous_key.flatten(),
            rotation_grace: model.rotation_grace.into_value()?,
            listen_port: listen_port.into_value().filter(|port| *port != 0),
            addresses: addresses.into_iter().map(|at| at.value).collect(),
            mtu: mtu.into_value(),
            zone: model.zone.into_value(),
            routes: routes.into_value()?,
            require_encryption: model.require_encryption.into_value()?,
            mss_clamp: model.mss_clamp.into_value()?,
            reverse_path: model.reverse_path.into_value()?,
            peers,
        })
    }

    /// Reports a section with no private key, or with several.
    fn one_key(&mut self, model: &WireguardModel) {
        let absent = [
            model.conf.is_absent(),
            model.private_key_file.is_absent(),
            model.private_key_credential.is_absent(),
        ];
        let Some(name) = model.name.given() else { return };
        let message = match absent.iter().filter(|absent| !**absent).count() {
            0 if !model.private_key => format!("`{}` has no private key", name.value),
            0 | 1 => return,
            _ => format!("`{}` has its private key from more than one place", name.value),
        };
        let code = if absent == [true; 3] { Code::MissingKey } else { Code::Combination };
        let finding = self.findings.add(code, &name.range, message);
        finding.help("give one of `conf`, `private_key_file` and `private_key_credential`");
    }

    fn conf(&mut self, path: &At<PathBuf>) -> Option<Conf> {
        let At { value, range } = path;
        let path = self.path(value, range);
        let content = Content::conf(&path, range, self.findings)?;
        let conf = Conf::read(content.text(), path.clone(), self.findings);
        if conf.holds_secrets() {
            content.private(&path, range, self.findings);
        }
        Some(conf)
    }

    /// Where the file of wg-quick(8) is, if there is one.
    fn conf_path(&self, model: &WireguardModel) -> PathBuf {
        let path = model.conf.given().map(|At { value, range }| self.resolved(value, range));
        path.unwrap_or_default()
    }

    fn private_key(&mut self, model: &WireguardModel, conf: Option<&Conf>) -> Option<(PrivateKey, KeyPlace)> {
        if let Some(conf) = conf {
            if conf.private_key.is_absent()
                && let Some(place) = model.conf.given().map(|path| &path.range)
            {
                let finding = self.findings.add(Code::MissingKey, place, "the file has no `PrivateKey`");
                finding.help("write it into [Interface] of the file");
            }
            let place = KeyPlace::File(self.conf_path(model));
            return Some((conf.private_key.value()?.clone(), place));
        }
        if let Some(At { value, range }) = model.private_key_file.given() {
            let path = self.path(value, range);
            let kept = Kept::File(path);
            return Some((kept.key(range, self.findings)?, kept.place()));
        }
        let credential = model.private_key_credential.given()?;
        let kept = Kept::Credential(&credential.value);
        Some((kept.key(&credential.range, self.findings)?, kept.place()))
    }

    /// The file of the private key, if it has one of its own, and the key before, if that is still served.
    fn rotation(
        &mut self,
        model: &WireguardModel,
        key: Option<&PrivateKey>,
    ) -> Option<(PathBuf, Option<PreviousKey>)> {
        let Some(At { value, range }) = model.private_key_file.given() else {
            if let Some(grace) = model.rotation_grace.given() {
                let message = "`rotation_grace` is of no use without `private_key_file`";
                let finding = self.findings.add(Code::Combination, &grace.range, message);
                finding.help("the key before stands beside that file, in FILE.previous");
            }
            return None;
        };
        let path = self.findings.sources().directory(range).join(value);
        let grace = *model.rotation_grace.value()?;
        let previous = rotation::previous(&path, key, self.now, grace, range, self.findings);
        if previous.is_some() {
            self.files.push(Wireguard::previous_key_file(&path));
        }
        Some((path, previous))
    }

    /// A path that is written relative to the directory of its file, relative to the working directory: of a file that is read.
    fn path(&mut self, path: &PathBuf, place: &Place) -> PathBuf {
        let path = self.resolved(path, place);
        self.files.push(path.clone());
        path
    }

    fn resolved(&self, path: &PathBuf, place: &Place) -> PathBuf {
        self.findings.sources().directory(place).join(path)
    }

    /// Reports what TOML says although the file says it.
    fn said_once<T>(&mut self, key: &str, field: &Field<T>, of_file: Option<&Place>) {
        if let (Some(given), Some(of_file)) = (field.given(), of_file) {
            let message = format!("`{key}` stands in the file of WireGuard already");
            let help = format!("that is at {}: leave it out in one of them", self.findings.position(of_file));
            self.findings.add(Code::Combination, &given.range, message).help(help);
        }
    }

    /// Reports a port that another interface has.
    fn port(&mut self, port: &Field<u16>) {
        let Some(port) = port.given().filter(|port| port.value != 0) else { return };
        let Some(first) = self.ports.get(&port.value) else {
            self.ports.insert(port.value, port.range.clone());
            return;
        };
        let message = format!("two interfaces of WireGuard have the port {}", port.value);
        let help = format!("the first is at {}", self.findings.position(first));
        self.findings.add(Code::PeerTaken, &port.range, message).help(help);
    }

    /// Warns of an interface that is too short for its IPv6 addresses.
    fn short(&mut self, mtu: &Field<u16>, addresses: &[At<IpNet>]) {
        let Some(mtu) = mtu.given().filter(|mtu| mtu.value < IPV6_MTU) else { return };
        if let Some(address) = addresses.iter().find(|address| matches!(address.value, IpNet::V6(_))) {
            let message = format!("IPv6 needs an MTU of {IPV6_MTU}, and this one is {}", mtu.value);
            let finding = self.findings.add(Code::ShortMtu, &mtu.range, message);
            finding.help(format!("the kernel will not put {} on the interface", address.value));
        }
    }
}

/// What IPv6 needs at least (RFC 8200 section 5).
const IPV6_MTU: u16 = 1280;
