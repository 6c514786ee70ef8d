use super::{Failsafe, RateLimit};
use crate::types::Protocol;
use std::time::Duration;

#[test]
fn failsafes_are_written_as_they_are_read() {
    for text in [
        "22",
        "tcp:22",
        "udp:65535",
        "sctp:1",
        "tcp:192.0.2.0/24:22",
        "tcp:192.0.2.1/32:22",
        "udp:[2001:db8::/32]:53",
    ] {
        assert_eq!(text.parse::<Failsafe>().map(|failsafe| failsafe.to_string()).as_deref(), Ok(text));
    }
    let one = "tcp:[::1]:22".parse::<Failsafe>().unwrap();
    assert_eq!(
        (one.protocol, one.net, one.port),
        (Some(Protocol::TCP), Some("::1/128".parse().unwrap()), 22)
    );
    assert_eq!("tcp:10.1.2.3/8:1".parse::<Failsafe>().unwrap().net, Some("10.0.0.0/8".parse().unwrap()));
    for text in [
        "",
        "0",
        "tcp:0",
        "tcp",
        "tcp:",
        ":22",
        "icmp:22",
        "tcp:+22",
        "tcp:65536",
        "tcp:10.0.0.0/33:1",
        "tcp::1",
        "tcp:::1:1",
        "tcp:2001:db8::/32:22",
        "tcp:[10.0.0.0/8]:22",
        "tcp:[::1]22",
        "tcp:10.0.0.0/8",
        "10.0.0.0/8:22",
    ] {
        assert!(text.parse::<Failsafe>().is_err(), "{text}");
    }
    // What Calico leaves open.
    let shown = |all: Vec<Failsafe>| all.iter().map(Failsafe::to_string).collect::<Vec<_>>().join(" ");
    let cluster = "tcp:179 tcp:2379 tcp:2380 tcp:5473 tcp:6443 tcp:6666 tcp:6667";
    assert_eq!(shown(Failsafe::inbound()), format!("tcp:22 udp:68 {cluster}"));
    assert_eq!(shown(Failsafe::outbound()), format!("udp:53 udp:67 {cluster}"));
}

#[test]
fn rate_limits_are_written_as_they_are_read() {
    for (text, flows, seconds, written) in [
        ("1/second", 1, 1, "1/second"),
        ("5/s", 5, 1, "5/second"),
        ("60/m", 60, 60, "60/minute"),
        ("4294967295/h", u32::MAX, 3600, "4294967295/hour"),
        ("7/d", 7, 86400, "7/day"),
    ] {
        let limit = text.parse::<RateLimit>().unwrap();
        assert_eq!(limit, RateLimit { flows, per: Duration::from_secs(seconds) });
        assert_eq!(limit.to_string(), written);
        assert_eq!(written.parse(), Ok(limit));
    }
    for text in [
        "",
        "1",
        "1/",
        "/s",
        "0/s",
        "-1/s",
        "+1/s",
        "1.5/s",
        "1/S",
        "1/Second",
        "1 / s",
        "1/week",
        "4294967296/s",
    ] {
        assert!(text.parse::<RateLimit>().is_err(), "{text}");
    }
}
