use std::str;

use ravelin_config::types::Protocol;
use ravelin_dataplane::parse::Vlans;

use super::super::community::CommunityId;

fn id(protocol: Protocol, source: (&str, u16), destination: (&str, u16)) -> Option<String> {
    let (key, initiator) = super::key(protocol, source, destination, Vlans::default());
    let text = CommunityId::of(&key, initiator).text()?;
    Some(format!("1:{}", str::from_utf8(&text).unwrap()))
}

/// The vectors that the specification publishes (baseline/baseline_deflt.json), for protocols with ports or without any.
#[test]
fn published_vectors() {
    let cases = [
        (
            6,
            ("2001:470:e5bf:dead:4957:2174:e82c:4887", 63943),
            ("2607:f8b0:400c:c03::1a", 25),
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (132, ("192.168.170.8", 7), ("192.168.170.56", 7), "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (6, ("128.232.110.120", 34855), ("66.35.250.204", 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (17, ("192.168.1.52", 54585), ("8.8.8.8", 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (46, ("10.1.12.1", 0), ("10.1.12.2", 0), "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
    ];
    for (protocol, source, destination, expected) in cases {
        let protocol = Protocol(protocol);
        assert_eq!(id(protocol, source, destination).as_deref(), Some(expected), "{protocol}");
        assert_eq!(id(protocol, destination, source).as_deref(), Some(expected), "{protocol} reversed");
    }
}

/// A ping has its identifier as both ports here, and request and reply as ports in the specification.
#[test]
fn published_vectors_of_icmp_echo() {
    let four = id(Protocol::ICMP, ("192.168.0.89", 77), ("192.168.0.1", 77));
    assert_eq!(four.as_deref(), Some("1:X0snYXpgwiv9TZtqg64sgzUn6Dk="));
    let six = id(Protocol::ICMPV6, ("3ffe:507:0:1:200:86ff:fe05:80da", 77), ("3ffe:501:0:1001::2", 77));
    assert_eq!(six.as_deref(), Some("1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="));
}

#[test]
fn other_icmp_has_no_name() {
    assert_eq!(id(Protocol::ICMP, ("10.0.0.1", 0), ("10.0.0.2", 0)), None);
    assert_eq!(id(Protocol::ICMPV6, ("fe80::1", 0), ("ff02::2", 0)), None);
}

/// What packets are called, by the same vectors, in which types and codes of ICMP stand in the place of ports.
#[test]
fn published_vectors_of_packets() {
    let name = |protocol: Protocol, source: &str, destination: &str, numbers: Option<[u16; 2]>| {
        let ends = [source, destination].map(|address| address.parse().unwrap());
        match numbers {
            Some([kind, code]) if !protocol.has_ports() => {
                CommunityId::of_message(ends, protocol, [kind, code].map(|number| number as u8))
            }
            _ => CommunityId::of_ends(ends, protocol, numbers),
        }
    };
    let (a, b) = ("fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea");
    for (protocol, source, destination, numbers, expected) in [
        (58, a, b, Some([135, 0]), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
        (58, b, a, Some([136, 0]), "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
        (58, b, a, Some([135, 0]), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
        (58, a, b, Some([136, 0]), "1:zavyT/cezQr1fmImYCwYnMXbgck="),
        (58, a, "ff02::2", Some([133, 0]), "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
        (58, b, "ff02::1", Some([134, 0]), "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
        (
            58,
            "3ffe:501:1800:2345::2",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            Some([3, 0]),
            "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        ),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            Some([1, 4]),
            "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        ),
        (1, "192.168.0.89", "192.168.0.1", Some([8, 0]), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "192.168.0.1", "192.168.0.89", Some([0, 0]), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "10.0.0.1", "10.0.0.2", Some([11, 0]), "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
        (6, "66.35.250.204", "128.232.110.120", Some([80, 34855]), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (6, "128.232.110.120", "66.35.250.204", Some([34855, 80]), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (46, "10.1.12.2", "10.1.12.1", None, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
    ] {
        let name = name(Protocol(protocol), source, destination, numbers);
        assert_eq!(name.to_string(), expected, "{protocol} {source}");
        assert_eq!(expected.parse(), Ok(name));
    }
    for bad in ["", "1:", "LQU9qZlK+B5F3KDmev6m5PMibrg=", "2:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:LQU9", "1:?"] {
        assert!(bad.parse::<CommunityId>().is_err(), "{bad}");
    }
}
