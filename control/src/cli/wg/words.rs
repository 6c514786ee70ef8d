//! What stands behind `wg set INTERFACE`, as wg(8) has it.

#[cfg(test)]
mod tests;

use std::{path::PathBuf, slice::Iter};

use ravelin_config::{
    types::{PeerEndpoint, PublicKey},
    wireguard::change::AllowedIp,
};

use crate::{api::view::WireguardPeerChange, cli::Failure};

/// What was said, with files that are not read yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) listen_port: Option<u16>,
    pub(super) fwmark: Option<u32>,
    pub(super) private_key: Option<PathBuf>,
    pub(super) peers: Vec<PeerWords>,
    /// What stands behind all of it, with a dash.
    pub(super) options: Vec<String>,
}

/// What was said of a peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PeerWords {
    pub(super) change: WireguardPeerChange,
    pub(super) preshared_key: Option<PathBuf>,
}

/// All words, for whoever has written another.
const OF_INTERFACE: &str = "listen-port PORT, private-key FILE, fwmark MARK, peer KEY";
const OF_PEER: &str = "remove, update-only, preshared-key FILE, endpoint ADDRESS:PORT, persistent-keepalive SECONDS, allowed-ips PREFIXES, peer KEY";

impl Words {
    /// Understands words.
    pub(super) fn parse(words: &[String]) -> Result<Self, Failure> {
        let mut found = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match (word.as_str(), found.peers.last_mut()) {
                _ if word.starts_with('-') => {
                    found.options = [word].into_iter().chain(rest.by_ref()).cloned().collect();
                }
                ("peer", _) => {
                    let key = value(word, "a public key", &mut rest)?;
                    found.peers.push(PeerWords::new(key)?);
                }
                ("listen-port" | "private-key" | "fwmark", Some(_)) => {
                    let error = format!("`{word}` is of the interface, and stands before the first `peer`");
                    return Err(Failure::usage(error));
                }
                ("listen-port", None) => found.listen_port = Some(port(word, &mut rest)?),
                ("private-key", None) => {
                    found.private_key = Some(value(word, "a file", &mut rest)?.into());
                }
                ("fwmark", None) => found.fwmark = Some(mark(value(word, "a number or off", &mut rest)?)?),
                (_, Some(peer)) => peer.word(word, &mut rest)?,
                (_, None) => return Err(unknown(word, OF_INTERFACE)),
            }
        }
        found.peers.iter().try_for_each(PeerWords::check)?;
        Ok(found)
    }
}

impl PeerWords {
    fn new(key: &str) -> Result<Self, Failure> {
        // It may be a secret one, so it is not repeated.
        let parsed = key.parse::<PublicKey>();
        let key = parsed
            .map_err(|error| Failure::usage(format_args!("behind `peer` stands no public key: {error}")))?;
        let change = WireguardPeerChange { public_key: key.to_string(), ..WireguardPeerChange::default() };
        Ok(Self { change, preshared_key: None })
    }

    fn word(&mut self, word: &str, rest: &mut Iter<'_, String>) -> Result<(), Failure> {
        let change = &mut self.change;
        match word {
            "remove" => change.remove = true,
            "update-only" => change.update_only = true,
            "preshared-key" => self.preshared_key = Some(value(word, "a file", rest)?.into()),
            "endpoint" => {
                let text = value(word, "an address and a port", rest)?;
                let endpoint: PeerEndpoint = text
                    .parse()
                    .map_err(|error| Failure::usage(format_args!("`{text}` is no endpoint: {error}")))?;
                change.endpoint = Some(endpoint.to_string());
            }
            "persistent-keepalive" => change.persistent_keepalive_seconds = Some(seconds(word, rest)?),
            "allowed-ips" => {
                let text = value(word, "prefixes, separated by commas", rest)?;
                change.allowed_ips = Some(prefixes(text)?);
            }
            _ => return Err(unknown(word, OF_PEER)),
        }
        Ok(())
    }

    /// Refuses to say something of a peer and to have it go.
    fn check(&self) -> Result<(), Failure> {
        let WireguardPeerChange { public_key, remove, endpoint, .. } = &self.change;
        let is_said = endpoint.is_some()
            || self.preshared_key.is_some()
            || self.change.persistent_keepalive_seconds.is_some()
            || self.change.allowed_ips.is_some();
        if *remove && is_said {
            let error = format!("the peer {public_key} is removed, so nothing else can be said of it");
            return Err(Failure::usage(error));
        }
        Ok(())
    }
}

/// The word behind another.
fn value<'w>(word: &str, what: &str, rest: &mut Iter<'w, String>) -> Result<&'w str, Failure> {
    let value = rest.next().map(String::as_str);
    value.ok_or_else(|| Failure::usage(format_args!("expected {what} behind `{word}`, found nothing")))
}

fn port(word: &str, rest: &mut Iter<'_, String>) -> Result<u16, Failure> {
    let text = value(word, "a port", rest)?;
    text.parse().map_err(|_| {
        Failure::usage(format_args!("expected a port from 0 to 65535 behind `{word}`, found `{text}`"))
    })
}

fn seconds(word: &str, rest: &mut Iter<'_, String>) -> Result<u16, Failure> {
    match value(word, "seconds or off", rest)? {
        "off" => Ok(0),
        text => text.parse().map_err(|_| {
            let expected = format!("expected a number from 0 to 65535, or off, behind `{word}`");
            Failure::usage(format_args!("{expected}, found `{text}`"))
        }),
    }
}

fn mark(text: &str) -> Result<u32, Failure> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.or((text == "off").then_some(0)).ok_or_else(|| {
        Failure::usage(format_args!("expected a number of 32 bits, or off, behind `fwmark`, found `{text}`"))
    })
}

/// A list of prefixes; none in nothing.
fn prefixes(text: &str) -> Result<Vec<String>, Failure> {
    let items = text.split(',').map(str::trim).filter(|_| !text.trim().is_empty());
    let check = |item: &str| match item.parse::<AllowedIp>() {
        Ok(_) => Ok(item.to_owned()),
        Err(error) => Err(Failure::usage(format_args!("`allowed-ips`: {error}, found `{item}`"))),
    };
    items.map(check).collect()
}

fn unknown(word: &str, known: &str) -> Failure {
    // What looks like a key may be one.
    let shown = if word.parse::<PublicKey>().is_ok() { "a key" } else { word };
    Failure::usage(format_args!("`{shown}` says nothing here")).help(format_args!("expected one of {known}"))
}
