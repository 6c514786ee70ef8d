//! What stands behind the keys of a file of wg-quick(8).

use super::{ConfReader, Entry, Setting, bare, offset};
use crate::model::MTU;
use crate::report::{Code, Findings};
use crate::schema::parser::address_or_net;
use crate::schema::reader::{At, Field};
use crate::types::IpNet;
use crate::wireguard::{KeyError, WireguardRoutes};
use std::str::FromStr;

impl ConfReader<'_> {
    /// Reads the value of a key that is in its place.
    pub(super) fn value(&mut self, entry: &Entry<'_>) {
        match entry.key {
            Setting::PrivateKey => {
                let key = self.secret(entry);
                set(&mut self.conf.private_key, entry, key, self.findings);
            }
            Setting::ListenPort => {
                let port = self.number(entry, 0..=65535);
                set(&mut self.conf.listen_port, entry, port, self.findings);
            }
            Setting::Mtu => {
                let mtu = self.number(entry, MTU);
                set(&mut self.conf.mtu, entry, mtu, self.findings);
            }
            Setting::Table => {
                let routes = self.table(entry);
                set(&mut self.conf.routes, entry, routes, self.findings);
            }
            Setting::Address => {
                // wg-quick takes spaces between them as well.
                let addresses = self.nets(entry, |it| it == ',' || it.is_whitespace(), true);
                self.conf.addresses.extend(addresses);
            }
            Setting::PublicKey
            | Setting::PresharedKey
            | Setting::AllowedIps
            | Setting::Endpoint
            | Setting::PersistentKeepalive => {
                self.peer(entry);
            }
            Setting::FwMark
            | Setting::Dns
            | Setting::PreUp
            | Setting::PostUp
            | Setting::PreDown
            | Setting::PostDown
            | Setting::SaveConfig => self.without_effect(entry),
        }
    }

    fn peer(&mut self, entry: &Entry<'_>) {
        let Some(mut peer) = self.conf.peers.pop() else { return };
        match entry.key {
            Setting::PublicKey => {
                let key = self.secret(entry);
                set(&mut peer.public_key, entry, key, self.findings);
            }
            Setting::PresharedKey => {
                let key = self.secret(entry);
                set(&mut peer.preshared_key, entry, key, self.findings);
            }
            Setting::Endpoint => {
                let endpoint = self.endpoint(entry);
                set(&mut peer.endpoint, entry, endpoint, self.findings);
            }
            Setting::PersistentKeepalive => {
                let is_off = entry.value.eq_ignore_ascii_case("off");
                let seconds = if is_off { Some(0) } else { self.number(entry, 0..=65535) };
                set(&mut peer.persistent_keepalive, entry, seconds, self.findings);
            }
            Setting::AllowedIps => {
                let nets = self.nets(entry, |it| it == ',', false);
                peer.allowed_ips.extend(nets.into_iter().map(|net| self.truncated(net)));
            }
            Setting::PrivateKey
            | Setting::ListenPort
            | Setting::FwMark
            | Setting::Address
            | Setting::Dns
            | Setting::Mtu
            | Setting::Table
            | Setting::PreUp
            | Setting::PostUp
            | Setting::PreDown
            | Setting::PostDown
            | Setting::SaveConfig => {}
        }
        self.conf.peers.push(peer);
    }

    /// A key, from the text itself. Nothing of one that is none is said.
    fn secret<K: FromStr<Err = KeyError>>(&mut self, entry: &Entry<'_>) -> Option<K> {
        match self.text.get(entry.range.clone()).unwrap_or_default().parse() {
            Ok(key) => Some(key),
            Err(error) => {
                let message = format!("`{}` is not a key: {error}", entry.key.name());
                self.findings.add(Code::Malformed, entry.range.clone(), message);
                None
            }
        }
    }

    fn number(&mut self, entry: &Entry<'_>, range: std::ops::RangeInclusive<u64>) -> Option<u16> {
        let is_number = entry.value.bytes().all(|byte| byte.is_ascii_digit());
        let number =
            entry.value.parse::<u16>().ok().filter(|number| is_number && range.contains(&u64::from(*number)));
        if number.is_none() {
            let (first, last) = range.into_inner();
            let message = format!("expected a number from {first} to {last}, found `{}`", entry.value);
            self.findings.add(Code::OutOfRange, entry.range.clone(), message);
        }
        number
    }

    fn table(&mut self, entry: &Entry<'_>) -> Option<WireguardRoutes> {
        let table = match entry.value.to_ascii_lowercase().as_str() {
            "auto" => Some(WireguardRoutes::Auto),
            "off" => Some(WireguardRoutes::Off),
            "main" => Some(WireguardRoutes::Table(MAIN)),
            number => number.parse().ok().filter(|table| *table != 0).map(WireguardRoutes::Table),
        };
        if table.is_none() {
            let message = format!("expected auto, off or the number of a table, found `{}`", entry.value);
            self.findings.add(Code::Malformed, entry.range.clone(), message);
        }
        table
    }

    fn endpoint(&mut self, entry: &Entry<'_>) -> Option<crate::wireguard::PeerEndpoint> {
        match entry.value.parse() {
            Ok(endpoint) => Some(endpoint),
            Err(error) => {
                let message = format!("`{}` is not the endpoint of a peer: {error}", entry.value);
                self.findings.add(Code::Malformed, entry.range.clone(), message);
                None
            }
        }
    }

    /// Addresses or prefixes between separators. `lenient`: there may be nothing between two of them.
    fn nets(&mut self, entry: &Entry<'_>, separator: fn(char) -> bool, lenient: bool) -> Vec<At<IpNet>> {
        let mut nets = Vec::new();
        for item in entry.value.split(separator).map(bare) {
            if item.is_empty() && (lenient || entry.value.is_empty()) {
                continue;
            }
            let start = entry.range.start + offset(entry.value, item);
            let range = start..start + item.len();
            if let Some(value) = address_or_net(item) {
                nets.push(At { value, range: self.findings.place(range) });
                continue;
            }
            let found = if item.is_empty() { "nothing".to_owned() } else { format!("`{item}`") };
            let message = format!("expected an IP address or prefix, found {found}");
            self.findings.add(Code::Malformed, range, message);
        }
        nets
    }

    /// A prefix without host bits, which wg(8) takes and clears as well.
    fn truncated(&mut self, net: At<IpNet>) -> At<IpNet> {
        let value = net.value.trunc();
        if value != net.value {
            let message = format!("`{}` has bits set behind its length of {}", net.value, value.prefix_len());
            let finding = self.findings.add(Code::HostBits, &net.range, message);
            finding.label(format!("read as {value}"));
        }
        At { value, range: net.range }
    }

    /// Says what is not done, and why.
    fn without_effect(&mut self, entry: &Entry<'_>) {
        let name = entry.key.name();
        let (why, help) = match entry.key {
            Setting::FwMark
                if matches!(entry.value, "0" | "0x0") || entry.value.eq_ignore_ascii_case("off") =>
            {
                return;
            }
            Setting::SaveConfig if entry.value.eq_ignore_ascii_case("false") => return,
            Setting::FwMark => (
                "packets to peers do not pass the rules of the host's routing, so that none can turn back into the tunnel",
                "leave it out",
            ),
            Setting::Dns => (
                "how the host resolves names is not for Ravelin to change",
                "tell the resolver of the host, for example with resolvectl",
            ),
            Setting::SaveConfig => ("nothing is written into files of the configuration", "leave it out"),
            Setting::PreUp | Setting::PostUp | Setting::PreDown | Setting::PostDown => (
                "no commands of files are run",
                "what they are for has a place in TOML: [[policy]], [[nat.source]], `routes` of [[wireguard]]",
            ),
            Setting::PrivateKey
            | Setting::ListenPort
            | Setting::Address
            | Setting::Mtu
            | Setting::Table
            | Setting::PublicKey
            | Setting::PresharedKey
            | Setting::AllowedIps
            | Setting::Endpoint
            | Setting::PersistentKeepalive => return,
        };
        let message = format!("`{name}` has no effect: {why}");
        self.findings.add(Code::ConfPart, entry.name.clone(), message).help(help);
    }
}

/// The number of the main table: `RT_TABLE_MAIN` of the kernel.
const MAIN: u32 = 254;

/// Gives a field its value, if it has none.
fn set<T>(field: &mut Field<T>, entry: &Entry<'_>, value: Option<T>, findings: &mut Findings) {
    if !field.is_absent() {
        let help = field.given().map(|first| format!("the first is at {}", findings.position(&first.range)));
        let message = format!("`{}` stands here twice", entry.key.name());
        let finding = findings.add(Code::DuplicateName, entry.name.clone(), message);
        if let Some(help) = help {
            finding.help(help);
        }
        return;
    }
    *field = match value {
        Some(value) => Field::Given(At { value, range: findings.place(entry.range.clone()) }),
        None => Field::Unusable,
    };
}
