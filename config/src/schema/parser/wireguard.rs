//! What only WireGuard has: keys, endpoints, addresses of interfaces, credentials.

use super::{Parser, Value, boolean, integer, network::parser, quoted, text, wrong_type};
use crate::report::{Code, Findings};
use crate::types::IpNet;
use crate::wireguard::{PeerEndpoint, PublicKey, WireguardRoutes, without_keys};
use std::net::IpAddr;

parser! {
    /// The public key of a peer. One that is none is not shown: it may be another kind of key.
    public_key, PublicKeyParser -> PublicKey, "public key", parse_public_key, |key| quoted(&key.to_string())
}

fn parse_public_key(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<PublicKey> {
    match text(value, kind, findings)?.parse() {
        Ok(key) => Some(key),
        Err(error) => {
            findings.hide(value.span());
            findings.add(Code::Malformed, value.span(), format!("this is not a {kind}: {error}"));
            None
        }
    }
}

parser! {
    /// Where a peer is.
    peer_endpoint, PeerEndpointParser -> PeerEndpoint, "address or name of a host, and port", parse_endpoint, |endpoint| quoted(&endpoint.to_string())
}

fn parse_endpoint(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<PeerEndpoint> {
    let text = text(value, kind, findings)?;
    match text.parse() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            let message = format!("`{}` is not the endpoint of a peer: {error}", without_keys(text));
            let finding = findings.add(Code::Malformed, value.span(), message);
            finding.help("examples: \"192.0.2.7:51820\", \"[2001:db8::1]:51820\", \"vpn.example.org:51820\"");
            None
        }
    }
}

parser! {
    /// An address of an interface, with the length of its network.
    interface_address, InterfaceAddressParser -> IpNet, "address, with or without the length of its network", parse_interface_address, |net| quoted(&net.to_string())
}

fn parse_interface_address(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<IpNet> {
    let text = text(value, kind, findings)?;
    let net = address_or_net(text);
    if net.is_none() {
        let text = without_keys(text);
        let message = format!("`{text}` is not an IP address, with or without the length of its network");
        findings
            .add(Code::Malformed, value.span(), message)
            .help("examples: \"10.8.0.1/24\", \"fd00:8::1/64\"");
    }
    net
}

/// An address with the length of its network, or one that stands for itself alone. Host bits are kept.
pub(crate) fn address_or_net(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => text.parse().ok(),
    }
}

parser! {
    /// Whether there are routes to the allowed IPs of peers.
    wireguard_routes, WireguardRoutesParser -> WireguardRoutes, "true, false or number of a table", parse_routes, |routes| routes.to_string()
}

fn parse_routes(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<WireguardRoutes> {
    if value.get_ref().is_integer() {
        integer(1..=u64::from(u32::MAX)).parse(value, findings).map(WireguardRoutes::Table)
    } else if value.get_ref().as_bool().is_some() {
        let has = boolean().parse(value, findings)?;
        Some(if has { WireguardRoutes::Auto } else { WireguardRoutes::Off })
    } else {
        wrong_type(value, kind, findings);
        None
    }
}

parser! {
    /// The name of a credential of systemd.
    credential, CredentialParser -> String, "name of a credential", parse_credential, |name| quoted(name)
}

/// The most bytes of the name of a file, which a credential is.
const CREDENTIAL_MAX: usize = 255;

fn parse_credential(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    let text = text(value, kind, findings)?;
    let legal = |character: char| character.is_ascii_graphic() && !matches!(character, '/' | ':');
    let is_name = (1..=CREDENTIAL_MAX).contains(&text.len()) && text.chars().all(legal);
    if !is_name || matches!(text, "." | "..") {
        let message = format!("`{}` is not the {kind}", without_keys(text));
        let finding = findings.add(Code::Malformed, value.span(), message);
        finding.help("it is the name of a file in $CREDENTIALS_DIRECTORY: what stands before the colon of LoadCredential=");
        return None;
    }
    Some(text.to_owned())
}
