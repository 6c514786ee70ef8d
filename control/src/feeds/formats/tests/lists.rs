use proptest::prelude::*;
use ravelin_config::types::IpRange;

use std::net::{IpAddr, Ipv6Addr};

use super::{super::*, clean, count, names, problems, read};
use crate::feeds::{Addresses, Details, Indicators, What};

#[test]
fn lines_of_every_kind() {
    let text = "\
# comment\n; comment\n\n   \n\
192.0.2.1\n\
 192.0.2.2 # behind it\n\
192.0.2.3;behind it\n\
198.51.100.0/24 ; SBL1\n\
192.0.2.10-192.0.2.20\n\
192.0.2.30 - 192.0.2.40 # a range\n\
192.0.2.50:443\n\
198.51.100.0/25:8080\n\
192.0.2.60\t10\r\n\
0.0.0.0/0\n\
2001:db8::1\n\
2001:DB8::/32\n\
[2001:db8::2]:443\n\
[2001:db8::3]\n\
2001:db8::-2001:db8::ff\n\
::ffff:192.0.2.70\n\
::ffff:192.0.2.128/121\n\
Bad.Example.\n\
192.0.2.1.bad.example\n\
192-0-2-1.bad.example\n\
bücher.example\n\
HTTPS://Bad.Example:8443/Path#part;x ; comment\n";
    let expected = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "198.51.100.0/24",
        "192.0.2.10-192.0.2.20",
        "192.0.2.30-192.0.2.40",
        "192.0.2.50:443",
        "198.51.100.0/25:8080",
        "192.0.2.60",
        "0.0.0.0/0",
        "192.0.2.70",
        "192.0.2.128/25",
        "2001:db8::1",
        "2001:db8::/32",
        "[2001:db8::2]:443",
        "2001:db8::3",
        "2001:db8::/120",
        "bad.example",
        "192.0.2.1.bad.example",
        "192-0-2-1.bad.example",
        "xn--bcher-kva.example",
        "https://bad.example:8443/Path#part;x",
    ];
    assert_eq!(clean(text, Format::Lines), expected);
    assert_eq!(count(&read(text, Format::Lines).unwrap(), Remark::Numbers), 1);
}

#[test]
fn what_is_no_entry_is_named_and_costs_only_its_line() {
    for (line, expected) in [
        ("192.0.2.01", "an IPv4 address of four numbers up to 255 without leading zeros"),
        ("010.0.0.1", "an IPv4 address of four numbers up to 255 without leading zeros"),
        ("192.0.2.256", "an IPv4 address of four numbers up to 255 without leading zeros"),
        ("192.0.2", "an IPv4 address of four numbers up to 255 without leading zeros"),
        ("192.0.2.1.2", "an IPv4 address of four numbers up to 255 without leading zeros"),
        ("192.0.2.0/33", "a prefix length that the address can have"),
        ("192.0.2.0/", "a prefix length that the address can have"),
        ("192.0.2.0/+8", "a prefix length that the address can have"),
        ("192.0.2.0/255.255.255.0", "a prefix length that the address can have"),
        ("2001:db8::/129", "a prefix length that the address can have"),
        ("192.0.2.9-192.0.2.1", "a range from a lower to a higher address of the same family"),
        ("192.0.2.9-2001:db8::1", "an address, prefix or range"),
        ("192.0.2.1:0", "a port from 1 to 65535"),
        ("192.0.2.1:", "a port from 1 to 65535"),
        ("192.0.2.1:65536", "a port from 1 to 65535"),
        ("192.0.2.1:80:80", "a port from 1 to 65535"),
        ("[2001:db8::1]443", "a port from 1 to 65535"),
        ("[192.0.2.1]:443", "an IPv6 address"),
        ("[2001:db8::1", "an IPv6 address"),
        ("fe80::1%eth0", "an IPv6 address"),
        ("2001:db8::1::", "an IPv6 address"),
        ("192.0.2.1 192.0.2.2", "one entry on a line"),
        ("192.0.2.1 bad.example", "one entry on a line"),
        ("localhost", "a domain name"),
        ("bad.example.1a", "a domain name"),
        ("bad.example:443", "a domain name"),
        ("*.bad.example", "a domain name"),
        ("bad..example", "a domain name"),
        ("bad.example/path", "a domain name"),
        ("mailto://bad.example", "a URL of http, https or ftp with a host"),
        ("http://", "a URL of http, https or ftp with a host"),
        ("http://bad.example:port/", "a URL of http, https or ftp with a host"),
        ("12345", "an address, prefix or range"),
    ] {
        let parsed = read(format!("192.0.2.1\n{line}\n192.0.2.2"), Format::Lines).unwrap();
        assert_eq!(problems(&parsed), [format!("line 2: `{line}`, expected {expected}")]);
        assert_eq!(names(&parsed), ["192.0.2.1", "192.0.2.2"]);
    }
}

#[test]
fn a_prefix_with_bits_behind_its_length_is_the_whole_prefix_and_said_so() {
    let parsed = read("192.0.2.77/24\n2001:db8::1/64\n192.0.2.0/24\n", Format::Lines).unwrap();
    assert_eq!(names(&parsed), ["192.0.2.0/24", "192.0.2.0/24", "2001:db8::/64"]);
    assert_eq!(count(&parsed, Remark::HostBits), 2);
    assert_eq!(problems(&parsed), [""; 0]);
}

#[test]
fn hosts_files() {
    let text = "# Title\n127.0.0.1 localhost\n127.0.0.1 localhost.localdomain\n255.255.255.255 broadcasthost\n::1 ip6-localhost\n\
                fe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n\n0.0.0.0 Bad.example worse.example # both\n\
                ::\tbad.test\n192.0.2.1 host.example\n0.0.0.0\n0.0.0.0 *.bad.example\n";
    for format in [Format::Hosts, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::Hosts);
        assert_eq!(names(&parsed), ["bad.example", "worse.example", "bad.test"]);
        assert_eq!(count(&parsed, Remark::OwnName), 6);
        assert_eq!(
            problems(&parsed),
            [
                "line 11: `192.0.2.1 host.example`, expected 0.0.0.0, 127.0.0.1, :: or ::1 before the domain",
                "line 12: `0.0.0.0`, expected an address and a domain behind it",
                "line 13: `*.bad.example`, expected a domain name",
            ]
        );
    }
}

#[test]
fn ipset_files() {
    let text = "create bad hash:net family inet hashsize 1024 maxelem 65536\nadd bad 192.0.2.1\nadd bad 198.51.100.0/24 timeout 0 comment \"a nomatch b\"\n\
                add bad6 2001:db8::/32\nadd ports 192.0.2.2,tcp:443\nadd ports 2001:db8::1,53\nadd macs 00:00:5e:00:53:01\nadd net 192.0.2.0/24,icmp:echo\n";
    for format in [Format::Ipset, Format::Auto] {
        let parsed = read(text, format).unwrap();
        assert_eq!(parsed.format, Format::Ipset);
        assert_eq!(
            names(&parsed),
            ["192.0.2.1", "198.51.100.0/24", "192.0.2.2:443", "2001:db8::/32", "[2001:db8::1]:53"]
        );
        assert_eq!(
            problems(&parsed),
            [
                "line 7: `add macs 00:00:5e:00:53:01`, expected an IPv6 address",
                "line 8: `add net 192.0.2.0/24,icmp:echo`, expected a port of tcp or udp",
            ]
        );
    }
    assert_eq!(clean("# a netset\n192.0.2.0/24\n192.0.2.1\n", Format::Ipset), ["192.0.2.0/24", "192.0.2.1"]);
    for exclusion in ["nomatch", "nomatch comment \"x\"", "comment \"x\" nomatch"] {
        let text = format!("add bad 192.0.2.0/24\nadd bad 192.0.2.1 {exclusion}\n");
        assert_eq!(read(text, Format::Ipset), Err(FormatError::Exclusion { line: 2 }));
    }
}

fn range() -> impl Strategy<Value = IpRange> {
    let v4 = (any::<u32>(), any::<u32>(), 0..=32_u32).prop_map(|(one, other, length)| {
        let mask = u32::MAX.checked_shr(length).unwrap_or(0);
        // A prefix, a range or one address.
        let (first, last) = match other % 3 {
            0 => (one & !mask, one | mask),
            1 => (one.min(other), one.max(other)),
            _ => (one, one),
        };
        IpRange::V4 { first: first.into(), last: last.into() }
    });
    let v6 = (any::<u128>(), any::<u128>(), 0..=128_u32).prop_filter_map("IPv4", |(one, other, length)| {
        let mask = u128::MAX.checked_shr(length).unwrap_or(0);
        let (first, last) = match other % 3 {
            0 => (one & !mask, one | mask),
            1 => (one.min(other), one.max(other)),
            _ => (one, one),
        };
        IpRange::new(IpAddr::V6(Ipv6Addr::from(first)), IpAddr::V6(Ipv6Addr::from(last)))
    });
    prop_oneof![v4, v6]
}

fn word() -> impl Strategy<Value = String> {
    let addresses = (range(), proptest::option::of(any::<std::num::NonZeroU16>()))
        .prop_map(|(range, port)| What::Addresses(Addresses { range, port }).to_string());
    let domain = "[a-z0-9_]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z0-9]{1,8}){0,3}\\.[a-z]{2,6}";
    let domain = domain.prop_filter("punycode", |name| !name.contains("xn--"));
    let url = (domain.clone(), "[a-zA-Z0-9/?=&#;%]{0,20}")
        .prop_map(|(host, path)| format!("https://{host}/{path}"));
    prop_oneof![3 => addresses, 1 => domain, 1 => url]
}

proptest! {
    /// What is printed is read again as the same, whatever stands around it.
    #[test]
    fn what_is_printed_is_read_again(
        words in proptest::collection::vec((word(), "[ \t]{0,2}", "( # [ -~]{0,9})?(\r\n|\n|\n\n)"), 1..40),
    ) {
        let text: String = words.iter().map(|(word, before, behind)| format!("{before}{word}{behind}")).collect();
        let parsed = read(&text, Format::Lines).unwrap();
        prop_assert_eq!(problems(&parsed), [""; 0]);
        let mut names = names(&parsed);
        let mut words: Vec<_> = words.into_iter().map(|(word, ..)| word).collect();
        names.sort_unstable();
        words.sort_unstable();
        prop_assert_eq!(names, words);
    }

    /// The reader of IPv4 addresses is that of the standard library.
    #[test]
    fn ipv4_is_read_as_the_standard_library_reads_it(text in "[0-9]{0,4}(\\.[0-9]{0,4}){2,4}") {
        prop_assert_eq!(entry::ipv4(text.as_bytes()), text.parse().ok());
    }

    /// A domain in its one form stays as it is.
    #[test]
    fn domains_have_one_form(text in "\\PC{1,20}\\.\\PC{1,10}") {
        if let Ok(name) = entry::domain(&text) {
            let again = entry::domain(&name);
            prop_assert_eq!(again.as_deref(), Ok(&*name));
            prop_assert!(name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
        }
    }
}

#[test]
fn entries_are_small_and_details_are_kept_once() {
    let mut indicators = Indicators::default();
    let details = Details { malware: Some("Emotet"), ..Details::default() };
    let id = indicators.details(&details);
    assert_eq!(id, indicators.details(&details));
    assert_eq!(indicators.details(&Details::default()), crate::feeds::DetailsId::default());
    assert_eq!(indicators.get(id), details);
    indicators.push(What::Domain("bad.example"), id);
    indicators.finish();
    assert_eq!(indicators.iter().next().unwrap().details, details);
    assert_eq!((indicators.len(), indicators.is_empty()), (1, false));
    assert_eq!(crate::feeds::indicator::SIZES, (16, 40));
}
