use super::{BridgeName, IfName, IfNameError, IpNet, IpRange, NameError, PortRange, Protocol};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv6Addr};

#[test]
fn interface_names_are_those_of_the_kernel() {
    for name in ["a", "eth0", "enp0s31f6", "veth.100", "...", "exactly15bytes_", "日本"] {
        assert_eq!(name.parse::<IfName>().unwrap().as_str(), name);
    }
    let error = |name: &str| name.parse::<IfName>().unwrap_err();
    assert_eq!(error(""), IfNameError::Empty);
    assert_eq!(error("sixteen_bytes_ab"), IfNameError::TooLong { bytes: 16 });
    assert_eq!(error("日本日本日本"), IfNameError::TooLong { bytes: 18 });
    assert_eq!(error("."), IfNameError::Reserved { text: ".".to_owned() });
    assert_eq!(error(".."), IfNameError::Reserved { text: "..".to_owned() });
    for (name, character) in [("a/b", '/'), ("a:b", ':'), ("a b", ' '), ("a\tb", '\t'), ("a\u{0}", '\u{0}')] {
        assert_eq!(error(name), IfNameError::Character { character });
    }
}

#[test]
fn names_are_printable() {
    let long = "ä".repeat(63);
    for name in ["a", "no telnet", &long] {
        assert_eq!(name.parse::<BridgeName>().unwrap().as_str(), name);
        assert_eq!(name.parse::<BridgeName>().unwrap().to_string(), name);
    }
    let error = |name: &str| name.parse::<BridgeName>().unwrap_err();
    assert_eq!(error(""), NameError::Empty);
    assert_eq!(error(&"a".repeat(64)), NameError::TooLong { characters: 64 });
    assert_eq!(error(" a"), NameError::Margin);
    assert_eq!(error("a\n"), NameError::Margin);
    assert_eq!(error("a\u{1b}b"), NameError::Character { character: '\u{1b}' });
}

#[test]
fn ports_and_protocols_are_written_as_they_are_read() {
    for text in ["0", "65535", "1-2"] {
        assert_eq!(text.parse::<PortRange>().unwrap().to_string(), text);
    }
    for text in ["tcp", "icmpv6", "200"] {
        assert_eq!(text.parse::<Protocol>().unwrap().to_string(), text);
    }
    for number in 0..=u8::MAX {
        assert_eq!(Protocol(number).to_string().parse(), Ok(Protocol(number)));
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpRange {
    text.parse::<IpNet>().unwrap().into()
}

#[test]
fn ranges_of_addresses_have_one_family_and_one_direction() {
    let range = |first: &str, last: &str| IpRange::new(ip(first), ip(last));
    assert_eq!(range("10.0.0.2", "10.0.0.1"), None);
    assert_eq!(range("10.0.0.1", "::1"), None);
    assert_eq!(range("10.0.0.0", "10.0.0.255"), Some(net("10.0.0.0/24")));
    assert_eq!(net("::ffff:10.0.0.0/120"), net("10.0.0.0/24"));
    assert_eq!(IpRange::from(ip("::ffff:192.0.2.1")).to_string(), "192.0.2.1");
    assert!(net("10.0.0.0/24").contains(ip("::ffff:10.0.0.7")));
    assert!(net("2001:db8::/32").contains(ip("2001:db8:ffff::")) && !net("::/0").contains(ip("10.0.0.1")));
}

#[test]
fn ranges_of_addresses_are_written_as_lists_have_them_and_as_wide_as_they_are() {
    let range = |first: &str, last: &str| IpRange::new(ip(first), ip(last)).unwrap();
    for (range, text, width) in [
        (net("0.0.0.0/0"), "0.0.0.0/0", 0),
        (net("::/0"), "::/0", 0),
        (net("10.0.0.0/8"), "10.0.0.0/8", 8),
        (net("2001:db8::/32"), "2001:db8::/32", 32),
        (net("192.0.2.1/32"), "192.0.2.1", 32),
        (net("::1/128"), "::1", 128),
        // One more than a prefix has, and three of four.
        (range("10.0.0.0", "10.0.1.0"), "10.0.0.0-10.0.1.0", 23),
        (range("10.0.0.1", "10.0.0.3"), "10.0.0.1-10.0.0.3", 30),
    ] {
        assert_eq!((range.to_string().as_str(), range.width()), (text, width));
    }
}

/// Few addresses, so that things overlap; both ends of each family, so that nothing overflows.
fn any_address() -> impl Strategy<Value = IpAddr> {
    (any::<bool>(), any::<bool>(), 0_u8..8).prop_map(|(v4, high, low)| match (v4, high) {
        (true, false) => IpAddr::from([0, 0, 0, low]),
        (true, true) => IpAddr::from([255, 255, 255, 248 + low]),
        (false, false) => IpAddr::from(Ipv6Addr::from(u128::from(low))),
        (false, true) => IpAddr::from(Ipv6Addr::from(u128::MAX - 7 + u128::from(low))),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// The parts of a range hold the addresses that they should, and no other.
    #[test]
    fn ranges_of_addresses_are_cut_as_their_addresses_stand(
        ends in (any_address(), any_address()),
        others in (any_address(), any_address()),
        cut in any_address(),
        asked in any_address(),
    ) {
        let (Some(range), Some(other)) = (IpRange::new(ends.0, ends.1), IpRange::new(others.0, others.1)) else {
            return Ok(());
        };
        let holds = |part: Option<IpRange>| part.is_some_and(|part| part.contains(asked));
        let is_in = range.contains(asked);
        prop_assert_eq!(is_in, ends.0 <= asked && asked <= ends.1);
        prop_assert_eq!(holds(range.and(&other)), is_in && other.contains(asked));
        prop_assert_eq!(holds(range.below(cut)), is_in && asked < cut);
        prop_assert_eq!(holds(range.above(cut)), is_in && asked > cut);
    }
}
