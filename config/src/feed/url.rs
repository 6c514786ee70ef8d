use super::Secret;
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};

/// Where a feed is fetched: an `http` or `https` URL. User name, password and query may be secret; shown, they are left out.
#[derive(Clone, PartialEq, Eq)]
pub struct FeedUrl {
    /// All of it.
    text: Secret,
    /// What may be shown.
    shown: String,
    is_https: bool,
    has_user: bool,
}

impl FeedUrl {
    /// All of it, secrets included.
    pub fn reveal(&self) -> &str {
        self.text.reveal()
    }

    /// Whether nobody on the way can read or change what is fetched.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether it has a user name, and a password perhaps.
    pub fn has_user(&self) -> bool {
        self.has_user
    }
}

impl FromStr for FeedUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(character) = text.chars().find(|it| !it.is_ascii_graphic() || "\"<>\\^`{|}".contains(*it))
        {
            return Err(UrlError::Character { character });
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let behind = rest.strip_prefix(authority).unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        check_host(host)?;
        let path = behind.split(['?', '#']).next().unwrap_or_default();
        let query = if behind.contains('?') { "?…" } else { "" };
        Ok(Self {
            text: Secret::new(text),
            shown: format!("{}://{host}{path}{query}", scheme.to_ascii_lowercase()),
            is_https,
            has_user: user.is_some(),
        })
    }
}

/// Checks `name`, `name:port`, `[address]` or `[address]:port`.
fn check_host(text: &str) -> Result<(), UrlError> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            address.parse::<std::net::Ipv6Addr>().map_err(|_| UrlError::Host)?;
            (address, port)
        }
        None => text.split_at_checked(text.find(':').unwrap_or(text.len())).unwrap_or_default(),
    };
    if host.is_empty() || host.contains(['[', ']', '@']) {
        return Err(UrlError::Host);
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().ok().filter(|port| *port != 0).map(drop),
        None => port.is_empty().then_some(()),
    };
    port.ok_or(UrlError::Port)
}

impl fmt::Display for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Serialize for FeedUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

/// Why a text is not a [`FeedUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `http` nor `https`.
    #[error("a URL begins with \"https://\" or \"http://\"")]
    Scheme,
    /// No host, or one that cannot be.
    #[error("this URL names no host")]
    Host,
    /// Something other than a port behind the host.
    #[error("the port of a URL is a number from 1 to 65535")]
    Port,
    /// A character that has to be written as `%XX`, or a name of other letters, which has to be written as `xn--`.
    #[error("a URL must not contain {character:?}")]
    Character {
        /// The first such character.
        character: char,
    },
}
