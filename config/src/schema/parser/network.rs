use super::{Parser, Value, boolean, integer, quoted, text, wrong_type};
use crate::nat::NatAddress;
use crate::pattern;
use crate::report::{Code, Findings};
use crate::types::{IpNet, MssClamp, PortRange, Protocol};
use crate::wireguard::without_keys;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// Declares a parser without parameters: its constructor, its kind, and how it reads and writes.
macro_rules! parser {
    ($(#[$doc:meta])+ $make:ident, $name:ident -> $output:ty, $kind:literal, $parse:path, $show:expr) => {
        $(#[$doc])+
        pub(crate) struct $name;

        $(#[$doc])+
        pub(crate) const fn $make() -> $name {
            $name
        }

        impl Parser for $name {
            type Output = $output;

            fn kind(&self) -> String {
                $kind.to_owned()
            }

            fn parse(&self, value: &Value<'_>, findings: &mut Findings) -> Option<$output> {
                $parse(value, $kind, findings)
            }

            fn show(&self, value: &$output) -> Option<String> {
                let show: fn(&$output) -> String = $show;
                Some(show(value))
            }
        }
    };
}

pub(super) use parser;

parser! {
    /// An IP prefix, or an address that stands for itself alone.
    prefix, PrefixParser -> IpNet, "address or prefix", parse_prefix, |prefix| quoted(&prefix.to_string())
}

fn parse_prefix(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<IpNet> {
    let text = text(value, kind, findings)?;
    let written = match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok(),
    };
    let Some(written) = written else {
        let message = format!("`{}` is not an IP address or prefix", without_keys(text));
        let finding = findings.add(Code::Malformed, value.span(), message);
        finding.help("examples: \"10.0.0.0/8\", \"192.0.2.7\", \"2001:db8::/32\"");
        return None;
    };
    let prefix = written.trunc();
    if prefix != written {
        let message = format!("`{text}` has bits set behind its length of {}", written.prefix_len());
        let finding = findings.add(Code::HostBits, value.span(), message);
        finding.label(format!("read as {prefix}"));
        let one = IpNet::from(written.addr());
        finding.help(format!("write \"{prefix}\" for the network or \"{one}\" for the one address"));
    }
    Some(prefix)
}

parser! {
    /// An IP address.
    address, AddressParser -> IpAddr, "address", parse_address, |address| quoted(&address.to_string())
}

fn parse_address(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<IpAddr> {
    let text = text(value, kind, findings)?;
    let address = text.parse().ok();
    if address.is_none() {
        let finding = findings.add(Code::Malformed, value.span(), format!("`{text}` is not an IP address"));
        finding.help("examples: \"192.0.2.7\", \"2001:db8::1\"");
    }
    address
}

parser! {
    /// An IPv4 address, or the name of an interface.
    nat_address, NatAddressParser -> NatAddress, "IPv4 address or name of an interface", parse_nat_address, |address| quoted(&address.to_string())
}

fn parse_nat_address(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<NatAddress> {
    let text = text(value, kind, findings)?;
    let address = text.parse().ok();
    if address.is_none() {
        let message = format!("`{text}` is neither an IPv4 address nor the name of an interface");
        findings.add(Code::Malformed, value.span(), message).help("examples: \"192.0.2.7\", \"eth0\"");
    }
    address
}

parser! {
    /// A port or a range of ports.
    ports, PortsParser -> PortRange, "port or range of ports", parse_ports, |ports| quoted(&ports.to_string())
}

fn parse_ports(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<PortRange> {
    let written = match value.get_ref().as_integer() {
        Some(number) => match u16::from_str_radix(number.as_str(), number.radix()) {
            Ok(port) => return Some(PortRange::single(port)),
            Err(_) => number.to_string(),
        },
        None => text(value, kind, findings)?.to_owned(),
    };
    match written.parse() {
        Ok(range) => Some(range),
        Err(error) => {
            let code = if value.get_ref().is_integer() { Code::OutOfRange } else { Code::Malformed };
            findings.add(code, value.span(), format!("{error}"));
            None
        }
    }
}

parser! {
    /// An IP protocol by name or number.
    protocol, ProtocolParser -> Protocol, "name or number of an IP protocol", parse_protocol, |protocol| quoted(&protocol.to_string())
}

fn parse_protocol(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<Protocol> {
    if let Some(number) = value.get_ref().as_integer() {
        let protocol = u8::from_str_radix(number.as_str(), number.radix()).ok().map(Protocol);
        if protocol.is_none() {
            let message = format!("{number} is not a protocol: expected a number from 0 to 255");
            findings.add(Code::OutOfRange, value.span(), message);
        }
        return protocol;
    }
    let text = text(value, kind, findings)?;
    let lower = text.to_ascii_lowercase();
    match text.parse::<Protocol>() {
        Ok(protocol) if lower == text => return Some(protocol),
        Ok(_) => {
            let message = format!("`{text}` is not a protocol: words of the configuration are lower case");
            let finding = findings.add(Code::Malformed, value.span(), message);
            finding.label(format!("did you mean {}?", quoted(&lower)));
        }
        Err(error) => {
            findings.add(Code::Malformed, value.span(), error.to_string());
        }
    }
    None
}

parser! {
    /// Where a server listens: address and port. Warns if other machines may reach it.
    socket_address, SocketAddressParser -> SocketAddr, "address and port", parse_socket_address, |address| quoted(&address.to_string())
}

fn parse_socket_address(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<SocketAddr> {
    let text = text(value, kind, findings)?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let finding = findings.add(Code::Malformed, value.span(), format!("`{text}` is not an {kind}"));
        finding.help("examples: \"127.0.0.1:9650\", \"[::1]:9650\"");
        return None;
    };
    if !address.ip().to_canonical().is_loopback() {
        let message = format!("`{text}` may be reached by other machines, and there is no authentication");
        let finding = findings.add(Code::PublicMetrics, value.span(), message);
        finding.help("listen on 127.0.0.1 or [::1], or make sure that a rule or firewall protects the port");
    }
    Some(address)
}

parser! {
    /// A path of the file system.
    path, PathParser -> PathBuf, "path", parse_path, |path| quoted(&path.to_string_lossy())
}

fn parse_path(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<PathBuf> {
    let text = text(value, kind, findings)?;
    let problem = if text.is_empty() {
        "a path must not be empty"
    } else if text.contains('\0') {
        "a path must not contain a zero byte"
    } else {
        return Some(PathBuf::from(text));
    };
    findings.add(Code::Malformed, value.span(), problem);
    None
}

parser! {
    /// An absolute path of the file system.
    absolute_path, AbsolutePathParser -> PathBuf, "absolute path", parse_absolute_path, |path| quoted(&path.to_string_lossy())
}

fn parse_absolute_path(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<PathBuf> {
    let path = parse_path(value, kind, findings)?;
    if path.is_relative() {
        findings.add(Code::Malformed, value.span(), "this path must be absolute");
        return None;
    }
    Some(path)
}

parser! {
    /// A path, or a pattern of paths.
    path_pattern, PathPatternParser -> String, "path or pattern", parse_path_pattern, |pattern| quoted(pattern)
}

fn parse_path_pattern(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<String> {
    parse_path(value, kind, findings)?;
    let text = value.get_ref().as_str()?;
    match pattern::check(text) {
        Ok(()) => Some(text.to_owned()),
        Err(problem) => {
            findings.add(Code::Malformed, value.span(), format!("`{text}` is not a pattern: {problem}"));
            None
        }
    }
}

/// The most bytes that the path of a Unix socket may have: `sun_path` of unix(7) less the closing zero.
const SOCKET_PATH_MAX: usize = 107;

parser! {
    /// The absolute path of a Unix socket.
    socket_path, SocketPathParser -> PathBuf, "absolute path of at most 107 bytes", parse_socket_path, |path| quoted(&path.to_string_lossy())
}

fn parse_socket_path(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<PathBuf> {
    if !value.get_ref().is_str() {
        wrong_type(value, kind, findings);
        return None;
    }
    let path = parse_path(value, kind, findings)?;
    let bytes = path.as_os_str().len();
    let problem = if path.is_relative() {
        "the path of the control socket must be absolute".to_owned()
    } else if bytes > SOCKET_PATH_MAX {
        format!("the path of a Unix socket has at most {SOCKET_PATH_MAX} bytes, this one has {bytes}")
    } else {
        return Some(path);
    };
    findings.add(Code::Malformed, value.span(), problem);
    None
}

parser! {
    /// Whether the maximum segment size is clamped, or to how many bytes.
    mss_clamp, MssClampParser -> MssClamp, "true, false or integer from 536 to 65495", parse_mss_clamp, |clamp| clamp.to_string()
}

fn parse_mss_clamp(value: &Value<'_>, kind: &str, findings: &mut Findings) -> Option<MssClamp> {
    if value.get_ref().is_integer() {
        integer(MssClamp::RANGE).parse(value, findings).map(MssClamp::Most)
    } else if value.get_ref().as_bool().is_some() {
        let clamps = boolean().parse(value, findings)?;
        Some(if clamps { MssClamp::Path } else { MssClamp::Off })
    } else {
        wrong_type(value, kind, findings);
        None
    }
}
