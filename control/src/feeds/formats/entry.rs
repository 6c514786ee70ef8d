//! What one entry says: an address, a domain, a URL or a fingerprint.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
    str,
};

use idna::{AsciiDenyList, uts46};
use ravelin_config::types::IpRange;

use crate::feeds::{Addresses, What};

/// What should have stood there.
pub(super) type Expected = &'static str;

pub(super) const ADDRESS: Expected = "an address, prefix or range";
const OCTETS: Expected = "an IPv4 address of four numbers up to 255 without leading zeros";
const V6: Expected = "an IPv6 address";
const LENGTH: Expected = "a prefix length that the address can have";
const ENDS: Expected = "a range from a lower to a higher address of the same family";
const PORT: Expected = "a port from 1 to 65535";
const DOMAIN: Expected = "a domain name";
const URL: Expected = "a URL of http, https or ftp with a host";
/// Longer than what servers and browsers take.
const LONGEST_URL: usize = 16 << 10;
const UTF8: Expected = "UTF-8";

/// An entry that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Addresses(Read),
    Domain(Cow<'a, str>),
    Url(Cow<'a, str>),
}

/// Addresses, and whether they were written as a prefix with bits behind it, which were cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) addresses: Addresses,
    pub(super) host_bits: bool,
}

impl Entry<'_> {
    pub(super) fn what(&self) -> What<'_> {
        match self {
            Self::Addresses(read) => What::Addresses(read.addresses),
            Self::Domain(name) => What::Domain(name),
            Self::Url(url) => What::Url(url),
        }
    }
}

/// Reads an entry of any of the three kinds.
pub(super) fn entry(text: &[u8]) -> Result<Entry<'_>, Expected> {
    if let Some(octets) = ipv4(text) {
        return Ok(Entry::Addresses(single(octets)));
    }
    let word = str::from_utf8(text).map_err(|_| UTF8)?;
    if word.contains("://") {
        return url(word).map(Entry::Url);
    }
    let colons = word.bytes().filter(|byte| *byte == b':').count();
    let numeric = word.bytes().all(|byte| byte.is_ascii_digit() || b"./:- ".contains(&byte));
    let goes_on = matches!(prefix_of_ipv4(text), Some((_, [b'/' | b':', ..])));
    if numeric || colons > 1 || word.starts_with('[') || goes_on {
        return addresses(text).map(Entry::Addresses);
    }
    domain(word).map(Entry::Domain)
}

/// Reads an address, a prefix or a range, with or without `:port`. Prefixes and ranges of IPv6 stand in brackets before a port.
pub(super) fn addresses(text: &[u8]) -> Result<Read, Expected> {
    if let Some(octets) = ipv4(text) {
        return Ok(single(octets));
    }
    let text = str::from_utf8(text).map_err(|_| UTF8)?;
    if let Some(inner) = text.strip_prefix('[') {
        let (inner, behind) = inner.split_once(']').ok_or(V6)?;
        let mut read = range(inner)?;
        if matches!(inner.parse(), Ok(Ipv4Addr { .. })) {
            return Err(V6);
        }
        if !behind.is_empty() {
            read.addresses.port = Some(port(behind.strip_prefix(':').ok_or(PORT)?)?);
        }
        return Ok(read);
    }
    match text.split_once(':') {
        Some((before, behind)) if before.contains('.') => {
            let mut read = range(before)?;
            read.addresses.port = Some(port(behind)?);
            Ok(read)
        }
        Some(_) | None => range(text),
    }
}

/// Reads a port.
pub(super) fn port(text: &str) -> Result<NonZeroU16, Expected> {
    // `parse` would take a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PORT);
    }
    text.parse().map_err(|_| PORT)
}

fn single(address: Ipv4Addr) -> Read {
    let range = IpRange::V4 { first: address, last: address };
    Read { addresses: Addresses { range, port: None }, host_bits: false }
}

fn range(text: &str) -> Result<Read, Expected> {
    let whole = |range| Read { addresses: Addresses { range, port: None }, host_bits: false };
    if let Some((address, length)) = text.split_once('/') {
        return prefix(address, length);
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (address(first.trim_ascii_end())?, address(last.trim_ascii_start())?);
        return IpRange::new(first, last).map(whole).ok_or(ENDS);
    }
    let address = address(text)?;
    IpRange::new(address, address).map(whole).ok_or(ADDRESS)
}

/// Reads a prefix. Bits of the host are cleared: that is how firewalls read such a line.
fn prefix(text: &str, length: &str) -> Result<Read, Expected> {
    let plain = length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = if plain { length.parse().map_err(|_| LENGTH)? } else { return Err(LENGTH) };
    let written = address(text)?;
    let (first, last): (IpAddr, IpAddr) = match written {
        IpAddr::V4(address) => {
            let host = u32::BITS.checked_sub(length).ok_or(LENGTH)?;
            let mask = 1_u32.checked_shl(host).map_or(u32::MAX, |bit| bit - 1);
            let bits = address.to_bits();
            (Ipv4Addr::from_bits(bits & !mask).into(), Ipv4Addr::from_bits(bits | mask).into())
        }
        IpAddr::V6(address) => {
            let host = u128::BITS.checked_sub(length).ok_or(LENGTH)?;
            let mask = 1_u128.checked_shl(host).map_or(u128::MAX, |bit| bit - 1);
            let bits = address.to_bits();
            (Ipv6Addr::from_bits(bits & !mask).into(), Ipv6Addr::from_bits(bits | mask).into())
        }
    };
    let range = IpRange::new(first, last).ok_or(ADDRESS)?;
    Ok(Read { addresses: Addresses { range, port: None }, host_bits: first != written })
}

fn address(text: &str) -> Result<IpAddr, Expected> {
    if let Some(octets) = ipv4(text.as_bytes()) {
        return Ok(octets.into());
    }
    if !text.contains(':') {
        let numbers = text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        return Err(if numbers { OCTETS } else { ADDRESS });
    }
    text.parse::<Ipv6Addr>().map(IpAddr::from).map_err(|_| V6)
}

/// An IPv4 address and nothing else.
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    match prefix_of_ipv4(text) {
        Some((address, [])) => Some(address),
        Some(_) | None => None,
    }
}

/// An IPv4 address at the beginning, and what follows. A number with a leading zero is none: some read it as octal.
fn prefix_of_ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut rest = text;
    let mut bits = 0_u32;
    for place in 0..4 {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let mut number = 0_u32;
        let mut digits = 0;
        while let [digit @ b'0'..=b'9', behind @ ..] = rest {
            if digits == 3 || (digits == 1 && number == 0) {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
            digits += 1;
            rest = behind;
        }
        if digits == 0 || number > 255 {
            return None;
        }
        bits = bits << 8 | number;
    }
    Some((Ipv4Addr::from_bits(bits), rest))
}

/// A domain in its one form: lower case, `xn--…` for what is not ASCII, no dot at the end. It has at least two labels, and the
/// last one begins with a letter.
pub(super) fn domain(text: &str) -> Result<Cow<'_, str>, Expected> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'))
        && !text.contains("xn--");
    let name = if plain {
        Cow::Borrowed(text)
    } else {
        // The longest name in its Unicode form is shorter than this; the algorithm is slow for much more.
        if text.len() > 1024 {
            return Err(DOMAIN);
        }
        // No wildcards, and no characters that hosts cannot have; `_` may be in names of services.
        uts46::Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::URL, uts46::Hyphens::Allow, uts46::DnsLength::Ignore)
            .map_err(|_| DOMAIN)?
    };
    let name = match name.strip_suffix('.') {
        Some(shorter) => Cow::Owned(shorter.to_owned()),
        None => name,
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let legal = name.len() <= 253
        && name.contains('.')
        && name.split('.').all(|label| (1..=63).contains(&label.len()))
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && last.starts_with(|first: char| first.is_ascii_alphabetic());
    if legal { Ok(name) } else { Err(DOMAIN) }
}

/// A URL; its host is an address or a domain.
pub(super) fn url(text: &str) -> Result<Cow<'_, str>, Expected> {
    let (scheme, rest) = text.split_once("://").ok_or(URL)?;
    let known = ["http", "https", "ftp"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !known || text.len() > LONGEST_URL || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(URL);
    }
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, place) = authority.rsplit_once('@').map_or(("", authority), |(user, place)| (user, place));
    let (host, number) = match place.rsplit_once(':') {
        Some((host, number)) if !number.contains(']') => (host, Some(number)),
        Some(_) | None => (place, None),
    };
    if let Some(number) = number {
        port(number).map_err(|_| URL)?;
    }
    let host: Cow<'_, str> = if let Some(inner) = host.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']').and_then(|inner| inner.parse().ok()).ok_or(URL)?;
        format!("[{address}]").into()
    } else if ipv4(host.as_bytes()).is_some() {
        host.into()
    } else {
        domain(host).map_err(|_| URL)?
    };
    let at = if user.is_empty() { "" } else { "@" };
    let colon = number.map_or("", |_| ":");
    let scheme = scheme.to_ascii_lowercase();
    let number = number.unwrap_or_default();
    Ok(format!("{scheme}://{user}{at}{host}{colon}{number}{path}").into())
}

/// A fingerprint of so many bytes, in hexadecimal digits.
pub(super) fn fingerprint<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}
