use std::{fs, net::IpAddr};

use super::guard::Role;

/// The addresses that this machine cannot do without: its own, its gateways, its resolvers. What cannot be found out is left
/// out.
pub(super) fn addresses() -> Vec<(IpAddr, Role)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let own = own_v4(&read("/proc/net/fib_trie")).into_iter().chain(own_v6(&read("/proc/net/if_inet6")));
    let gateways =
        gateways_v4(&read("/proc/net/route")).into_iter().chain(gateways_v6(&read("/proc/net/ipv6_route")));
    let resolvers = resolvers(&read("/etc/resolv.conf"));
    let with = |role| move |address| (address, role);
    let own = own.map(with(Role::Own));
    own.chain(gateways.map(with(Role::Gateway)))
        .chain(resolvers.into_iter().map(with(Role::Resolver)))
        .collect()
}

/// Lines `|-- ADDRESS`, of which those that a line with `host LOCAL` follows are the machine's.
fn own_v4(text: &str) -> Vec<IpAddr> {
    let mut last: Option<IpAddr> = None;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.ends_with("host LOCAL") {
            found.extend(last.take());
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Lines that begin with an address of 32 hexadecimal digits.
fn own_v6(text: &str) -> Vec<IpAddr> {
    text.lines().filter_map(|line| v6(line.split_whitespace().next()?)).collect()
}

/// Lines of interface, destination, gateway and so on, as the processor has them in memory.
fn gateways_v4(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let number = u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok()?;
        (number != 0).then(|| IpAddr::from(number.to_ne_bytes()))
    };
    text.lines().skip(1).filter_map(gateway).collect()
}

/// Lines of destination, length, source, length, next hop and so on.
fn gateways_v6(text: &str) -> Vec<IpAddr> {
    let hop = |line: &str| v6(line.split_whitespace().nth(4)?);
    text.lines().filter_map(hop).filter(|hop| !hop.is_unspecified()).collect()
}

fn v6(digits: &str) -> Option<IpAddr> {
    (digits.len() == 32)
        .then(|| u128::from_str_radix(digits, 16).ok())?
        .map(|number| IpAddr::from(number.to_be_bytes()))
}

/// Lines `nameserver ADDRESS`.
fn resolvers(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| line.trim().strip_prefix("nameserver")?.split('%').next()?.trim().parse().ok();
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_the_kernel_says_is_understood() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 192.0.2.0/24 2 0 2\n        \
                    |-- 192.0.2.0\n           /24 link UNICAST\n        |-- 192.0.2.7\n           /32 host LOCAL\n        \
                    |-- 192.0.2.255\n           /32 link BROADCAST\nLocal:\n        |-- 192.0.2.7\n           /32 host LOCAL\n";
        assert_eq!(own_v4(trie), ips(&["192.0.2.7"]));
        let inet6 = "20010db8000000000000000000000007 02 40 00 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(own_v6(inet6), ips(&["2001:db8::7", "::1"]));
        let gateway = u32::from_ne_bytes([192, 0, 2, 1]);
        let route = format!(
            "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t{gateway:08X}\t0003\neth0\t000200C0\t00000000\t0001\n"
        );
        assert_eq!(gateways_v4(&route), ips(&["192.0.2.1"]));
        let (zero, hop) = ("0".repeat(32), "fe800000000000000000000000000001");
        let route = format!(
            "{zero} 00 {zero} 00 {hop} 00000400 00000001 00000000 00000003 eth0\n{zero} 00 {zero} 00 {zero} x\n"
        );
        assert_eq!(gateways_v6(&route), ips(&["fe80::1"]));
        let conf = "# nameserver 192.0.2.99\nnameserver 192.0.2.53\n nameserver\tfe80::53%eth0\nsearch example\nnameserver x\n";
        assert_eq!(resolvers(conf), ips(&["192.0.2.53", "fe80::53"]));
    }

    #[test]
    fn this_machine_has_addresses() {
        assert!(addresses().contains(&("127.0.0.1".parse().unwrap(), Role::Own)));
    }
}
