//! Address translation: whether the interfaces that it names route, and which keys go together.

use super::Router;
use crate::model::{NatDestinationModel, NatSourceModel};
use crate::nat::{Nat, NatAddress, NatDestination, NatSource};
use crate::report::{Code, Findings};
use crate::resources::Failsafe;
use crate::schema::reader::{At, Field, nearest};
use crate::types::{IfName, IpNet, IpRange, Protocol};
use ipnet::Ipv4Net;
use std::net::IpAddr;

/// The most outside addresses, and the most services: each has its place at every worker.
const MOST: u32 = 256;

/// Checks what is to be translated beside what there is that routes, and the ports that always reach the host.
pub(super) fn validate(
    sources: &[NatSourceModel],
    destinations: &[NatDestinationModel],
    routers: &[Router],
    failsafes: &[Failsafe],
    findings: &mut Findings,
) -> Nat {
    let mut checks = Checks { routers, addresses: 0, findings };
    let sources = sources.iter().filter_map(|model| checks.source(model)).collect();
    if let Some(to) = destinations.get(MOST as usize).and_then(|model| model.to.given()) {
        let message = format!("expected at most {MOST} [[nat.destination]], found {}", destinations.len());
        checks.findings.add(Code::TooLarge, &to.range, message);
    }
    let destinations = destinations.iter().filter_map(|model| checks.destination(model, failsafes)).collect();
    Nat { sources, destinations }
}

struct Checks<'c> {
    routers: &'c [Router],
    /// Those of pools so far.
    addresses: u32,
    findings: &'c mut Findings,
}

impl Checks<'_> {
    fn source(&mut self, model: &NatSourceModel) -> Option<NatSource> {
        let out = model.out.given().map(|names| self.routing(&names.value));
        let sources = self.nets(&model.sources);
        let destinations = self.nets(&model.destinations);
        let to = self.pool(&model.to);
        Some(NatSource {
            out: out?,
            sources: sources?,
            destinations: destinations?,
            to: to?,
            ports: *model.ports.value()?,
        })
    }

    fn destination(&mut self, model: &NatDestinationModel, failsafes: &[Failsafe]) -> Option<NatDestination> {
        let entries = match model.r#in.given() {
            Some(names) => self.routing(&names.value),
            None => self.routers.iter().map(|router| router.name.clone()).collect(),
        };
        if let Some(At { value: NatAddress::Interface(name), range }) = model.address.given() {
            self.routing(&[At { value: name.clone(), range: range.clone() }]);
        }
        let to = match model.to.given()? {
            At { value: IpAddr::V4(to), .. } => *to,
            At { value: IpAddr::V6(to), range } => {
                self.findings.add(Code::Combination, range, format!("expected an IPv4 address, found {to}"));
                return None;
            }
        };
        self.ports(model);
        self.failsafe(model, failsafes);
        Some(NatDestination {
            entries,
            address: model.address.value()?.clone(),
            protocol: model.protocol.value().copied(),
            ports: model.ports.value().copied(),
            to,
            to_port: model.to_port.value().copied(),
        })
    }

    /// Reports ports without a protocol that has them, and those that would be beyond the last.
    fn ports(&mut self, model: &NatDestinationModel) {
        let protocol = model.protocol.value().copied();
        if let Some(ports) =
            model.ports.given().filter(|_| !matches!(protocol, Some(Protocol::TCP | Protocol::UDP)))
        {
            let finding = self.findings.add(Code::Combination, &ports.range, "ports are those of TCP or UDP");
            finding.help("write protocol = \"tcp\" or protocol = \"udp\"");
        }
        let Some(to_port) = model.to_port.given() else { return };
        match model.ports.value() {
            None => {
                let finding = self.findings.add(
                    Code::Combination,
                    &to_port.range,
                    "`to_port` is for some `ports` only",
                );
                finding.help("say which ports, with `ports`");
            }
            Some(ports) if u32::from(to_port.value) + u32::from(ports.last() - ports.first()) > 65535 => {
                let message = format!("{ports} are more ports than there are from {} on", to_port.value);
                self.findings.add(Code::OutOfRange, &to_port.range, message);
            }
            Some(_) => {}
        }
    }

    /// Warns of a port that always reaches the host itself.
    fn failsafe(&mut self, model: &NatDestinationModel, failsafes: &[Failsafe]) {
        let Some(ports) = model.ports.given() else { return };
        let protocol = model.protocol.value().copied();
        let reaches = |failsafe: &&Failsafe| {
            ports.value.contains(failsafe.port) && failsafe.protocol.is_none_or(|only| Some(only) == protocol)
        };
        if let Some(failsafe) = failsafes.iter().find(reaches) {
            let message = format!(
                "port {} of the gateway's own addresses is a failsafe, and reaches the gateway itself",
                failsafe.port
            );
            let finding = self.findings.add(Code::NotActedUpon, &ports.range, message);
            finding
                .help("publish the service at another port, or change `failsafe_inbound` of [enforcement]");
        }
    }

    /// The interfaces that are meant, each a name or in a zone of that name.
    fn routing(&mut self, names: &[At<IfName>]) -> Vec<IfName> {
        let mut found = Vec::new();
        for name in names {
            let is_it =
                |router: &&Router| router.name == name.value || router.zone.as_ref() == Some(&name.value);
            let before = found.len();
            found.extend(self.routers.iter().filter(is_it).map(|router| router.name.clone()));
            if found.len() == before {
                self.unknown(name);
            }
        }
        found
    }

    fn unknown(&mut self, name: &At<IfName>) {
        let names = (self.routers.iter())
            .flat_map(|router| [Some(&router.name), router.zone.as_ref()])
            .flatten()
            .map(IfName::as_str);
        let nearest = nearest(name.value.as_str(), names);
        let message = format!("there is no interface and no zone `{}` that routes", name.value);
        let finding = self.findings.add(Code::UnknownInterface, &name.range, message);
        match nearest {
            Some(nearest) => finding.label(format!("did you mean `{nearest}`?")),
            None => finding
                .help("interfaces with mode = \"route\", those of WireGuard, and their zones can be named"),
        };
    }

    fn nets(&mut self, field: &Field<Vec<At<IpNet>>>) -> Option<Vec<Ipv4Net>> {
        let Some(given) = field.given() else { return (!field.is_unusable()).then(Vec::new) };
        let mut nets = Vec::new();
        for net in &given.value {
            match net.value {
                IpNet::V4(net) => nets.push(net),
                IpNet::V6(other) => {
                    let message = format!("only IPv4 is translated, found {other}");
                    self.findings.add(Code::Combination, &net.range, message);
                }
            }
        }
        Some(nets)
    }

    fn pool(&mut self, field: &Field<Vec<At<IpRange>>>) -> Option<Vec<IpRange>> {
        let Some(given) = field.given() else { return (!field.is_unusable()).then(Vec::new) };
        for range in &given.value {
            match range.value {
                IpRange::V4 { first, last } => {
                    let count = (last.to_bits() - first.to_bits()).saturating_add(1);
                    self.addresses = self.addresses.saturating_add(count);
                }
                IpRange::V6 { .. } => {
                    let message = format!("only IPv4 is translated, found {}", range.value);
                    self.findings.add(Code::Combination, &range.range, message);
                }
            }
        }
        if self.addresses > MOST {
            let message =
                format!("expected at most {MOST} outside addresses in all, found {}", self.addresses);
            self.findings.add(Code::TooLarge, &given.range, message);
            return None;
        }
        Some(given.value.iter().map(|range| range.value).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Code, Config, nat::NatAddress, parse, types::IfName};

    const INTERFACES: &str = "[[interface]]\nname = 'wan'\nmode = 'route'\nzone = 'out'\n\
        [[interface]]\nname = 'wan2'\nmode = 'route'\nzone = 'out'\n\
        [[interface]]\nname = 'lan'\nmode = 'route'\n\
        [[interface]]\nname = 'tap'\nmode = 'monitor'\n";

    fn config(text: &str) -> Config {
        parse(&format!("{INTERFACES}{text}"), "t.toml").unwrap_or_else(|report| panic!("{report}")).config
    }

    /// What is found in `text`: codes and lines, counted from its own first.
    fn found(text: &str) -> Vec<(Code, usize)> {
        let first = INTERFACES.lines().count();
        let report = parse(&format!("{INTERFACES}{text}"), "t.toml");
        let report = report.map_or_else(|report| report, |loaded| loaded.warnings);
        let line = |it: &crate::Diagnostic| it.span.as_ref().map_or(0, |span| span.line - first);
        report.diagnostics().iter().map(|it| (it.code, line(it))).collect()
    }

    fn names(names: &[IfName]) -> Vec<&str> {
        names.iter().map(IfName::as_str).collect()
    }

    #[test]
    fn a_zone_stands_for_its_interfaces() {
        let config = config(
            "[[nat.source]]\nout = ['out']\nsources = ['10.0.0.0/8']\n\
            [[nat.destination]]\naddress = 'wan2'\nto = '10.0.0.1'\n",
        );
        let [source] = config.nat.sources.as_slice() else { panic!("{:?}", config.nat) };
        assert_eq!(names(&source.out), ["wan", "wan2"]);
        assert_eq!((source.ports.first(), source.ports.last(), source.to.len()), (1024, 65535, 0));
        let [destination] = config.nat.destinations.as_slice() else { panic!("{:?}", config.nat) };
        assert_eq!(names(&destination.entries), ["wan", "wan2", "lan"]);
        assert_eq!(destination.address, NatAddress::Interface("wan2".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_translated_is_said() {
        let source = |lines: &str| found(&format!("[[nat.source]]\n{lines}"));
        let all = "sources = ['10.0.0.0/8']\n";
        assert_eq!(source(&format!("out = ['wa']\n{all}")), [(Code::UnknownInterface, 2)]);
        assert_eq!(source(&format!("out = ['tap']\n{all}")), [(Code::UnknownInterface, 2)]);
        assert_eq!(source("out = ['wan']\nsources = ['fd00::/8']\n"), [(Code::Combination, 3)]);
        assert_eq!(source(&format!("out = ['wan']\n{all}to = ['fd00::1']\n")), [(Code::Combination, 4)]);
        assert_eq!(
            source(&format!("out = ['wan']\n{all}to = ['10.0.0.0-10.0.0.255', '10.0.2.0']\n")),
            [(Code::TooLarge, 4)]
        );
        assert_eq!(source("out = ['wan']\n"), [(Code::MissingKey, 1)]);

        let destination =
            |lines: &str| found(&format!("[[nat.destination]]\naddress = '192.0.2.1'\n{lines}"));
        assert_eq!(destination("to = 'fd00::1'\n"), [(Code::Combination, 3)]);
        assert_eq!(destination("to = '10.0.0.1'\nports = 80\n"), [(Code::Combination, 4)]);
        assert_eq!(destination("to = '10.0.0.1'\nto_port = 80\n"), [(Code::Combination, 4)]);
        let tcp = "to = '10.0.0.1'\nprotocol = 'tcp'\n";
        assert_eq!(destination(&format!("{tcp}ports = '80-90'\nto_port = 65530\n")), [(Code::OutOfRange, 6)]);
        assert_eq!(
            destination(&format!("{tcp}ports = '20-30'\n")),
            [(Code::NotActedUpon, 5)],
            "22 is a failsafe"
        );
        assert_eq!(
            found("[[nat.destination]]\naddress = 'tap'\nto = '10.0.0.1'\n"),
            [(Code::UnknownInterface, 2)]
        );
        assert_eq!(
            found("[[nat.destination]]\naddress = '1.2.3.4.5/6'\nto = '10.0.0.1'\n"),
            [(Code::Malformed, 2)]
        );
    }

    #[test]
    fn a_zone_is_not_called_like_an_interface() {
        assert_eq!(
            found("[[interface]]\nname = 'x'\nmode = 'route'\nzone = 'lan'\n"),
            [(Code::Combination, 4)]
        );
    }
}
