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
