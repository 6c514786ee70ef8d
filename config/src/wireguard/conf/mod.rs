//! Files as wg-quick(8) has them: `[Interface]` and `[Peer]`, with what wg(8) knows and what it adds.
//!
//! Names of keys and sections are read whatever their case, `#` starts a comment, lists have commas, and `Address` and `AllowedIPs` may
//! be repeated. Stricter than both tools where they would guess: of two values of one key they take the last. The text that findings
//! show is a copy without keys (`mask.rs`); only what is behind `PrivateKey` and `PresharedKey` is read from the text itself.

mod setting;
mod value;

pub(super) use setting::Setting;

use super::{PeerEndpoint, PresharedKey, PrivateKey, PublicKey, WireguardRoutes, mask};
use crate::report::{Code, Findings, Place, Range};
use crate::schema::reader::{At, Field, nearest};
use crate::types::IpNet;
use setting::Section;
use std::path::PathBuf;

/// What a file says.
#[derive(Debug)]
pub(crate) struct Conf {
    pub(crate) private_key: Field<PrivateKey>,
    /// 0 for any.
    pub(crate) listen_port: Field<u16>,
    pub(crate) addresses: Vec<At<IpNet>>,
    pub(crate) mtu: Field<u16>,
    pub(crate) routes: Field<WireguardRoutes>,
    pub(crate) peers: Vec<ConfPeer>,
}

/// A peer of a file.
#[derive(Debug)]
pub(crate) struct ConfPeer {
    /// The line that begins it.
    header: Place,
    pub(crate) public_key: Field<PublicKey>,
    pub(crate) preshared_key: Field<PresharedKey>,
    pub(crate) endpoint: Field<PeerEndpoint>,
    pub(crate) allowed_ips: Vec<At<IpNet>>,
    /// 0 for off.
    pub(crate) persistent_keepalive: Field<u16>,
}

impl Conf {
    /// Reads the text of the file at `path`, and reports what is wrong with it.
    pub(crate) fn read(text: &str, path: PathBuf, findings: &mut Findings) -> Self {
        let shown = mask::conf(text);
        findings.read(shown.as_str().into(), path);
        let mut reader = ConfReader { text, findings, section: None, conf: Self::empty() };
        for line in shown.split('\n') {
            reader.line(line, offset(&shown, line));
        }
        reader.finish()
    }

    const fn empty() -> Self {
        Self {
            private_key: Field::Absent(None),
            listen_port: Field::Absent(None),
            addresses: Vec::new(),
            mtu: Field::Absent(None),
            routes: Field::Absent(None),
            peers: Vec::new(),
        }
    }

    /// Whether there is something in it that nobody else may read.
    pub(crate) fn holds_secrets(&self) -> bool {
        !self.private_key.is_absent() || self.peers.iter().any(|peer| !peer.preshared_key.is_absent())
    }
}

/// A piece of a text without space around it. An editor may have put a mark before the first that says that it is UTF-8.
pub(super) fn bare(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

/// How many bytes into `text` its piece `part` starts.
pub(super) fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// Where in a file a line is.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Known(Section),
    /// A section that is none, which is reported.
    Unknown,
}

/// A line with a key.
struct Entry<'l> {
    key: Setting,
    name: Range,
    value: &'l str,
    range: Range,
}

struct ConfReader<'r> {
    /// The text with its keys.
    text: &'r str,
    findings: &'r mut Findings,
    section: Option<Within>,
    conf: Conf,
}

impl ConfReader<'_> {
    /// Reads the line that is shown as `line` and starts at `start`.
    fn line(&mut self, line: &str, start: usize) {
        let words = bare(line.split('#').next().unwrap_or_default());
        let at = |part: &str| start + offset(line, part)..start + offset(line, part) + part.len();
        if words.is_empty() {
            return;
        }
        if words.starts_with('[') {
            self.header(words, at(words));
            return;
        }
        let Some((name, value)) = words.split_once('=') else {
            let finding = self.findings.add(Code::Malformed, at(words), "expected a key, `=` and its value");
            finding.help("or [Interface] or [Peer], or a comment behind `#`");
            return;
        };
        let (name, value) = (bare(name), bare(value));
        self.key(name, at(name), value, at(value));
    }

    fn header(&mut self, words: &str, range: Range) {
        let section = Section::find(words);
        self.section = Some(section.map_or(Within::Unknown, Within::Known));
        match section {
            Some(Section::Peer) => self.conf.peers.push(ConfPeer {
                header: self.findings.place(range),
                public_key: Field::Absent(None),
                preshared_key: Field::Absent(None),
                endpoint: Field::Absent(None),
                allowed_ips: Vec::new(),
                persistent_keepalive: Field::Absent(None),
            }),
            Some(Section::Interface) => {}
            None => {
                let message = format!("there is no section `{words}`");
                let finding = self.findings.add(Code::UnknownKey, range, message);
                finding.help("sections of a file of WireGuard are [Interface] and [Peer]");
            }
        }
    }

    fn key(&mut self, name: &str, range: Range, value: &str, value_range: Range) {
        let Some(within) = self.section else {
            let message = "a key stands behind [Interface] or [Peer]";
            self.findings.add(Code::Malformed, range, message);
            return;
        };
        let Within::Known(section) = within else { return };
        let Some(key) = Setting::find(name) else {
            self.unknown(section, name, range);
            return;
        };
        if key.section() != section {
            let (name, own) = (key.name(), key.section().header());
            let message = format!("`{name}` belongs into {own}, and stands in {}", section.header());
            self.findings.add(Code::Combination, range, message);
        } else if value.is_empty() && key != Setting::AllowedIps {
            self.findings.add(Code::Malformed, range, format!("`{}` has no value", key.name()));
        } else {
            self.value(&Entry { key, name: range, value, range: value_range });
        }
    }

    fn unknown(&mut self, section: Section, name: &str, range: Range) {
        let known = Setting::ALL.iter().filter(|(key, _)| key.section() == section).map(|(_, name)| *name);
        let lower: Vec<_> = known.clone().map(str::to_lowercase).collect();
        let near = nearest(&name.to_lowercase(), lower.iter().map(String::as_str)).map(str::to_owned);
        let near = near.and_then(|near| known.clone().find(|name| name.eq_ignore_ascii_case(&near)));
        let message = format!("there is no key `{name}` in {}", section.header());
        let finding = self.findings.add(Code::UnknownKey, range, message);
        match near {
            Some(near) => finding.label(format!("did you mean `{near}`?")),
            None => finding.help(format!("known here: {}", known.collect::<Vec<_>>().join(", "))),
        };
    }

    /// Reports peers without a key.
    fn finish(self) -> Conf {
        for peer in &self.conf.peers {
            if peer.public_key.is_absent() {
                let finding =
                    self.findings.add(Code::MissingKey, &peer.header, "this [Peer] has no `PublicKey`");
                finding.help("add `PublicKey`: 44 characters of base64, as `wg pubkey` writes them");
            }
        }
        self.conf
    }
}
