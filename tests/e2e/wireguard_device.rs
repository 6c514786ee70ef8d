//! The interface of a tunnel in the kernel, held against what `ip` says of it.

use std::{io, net::UdpSocket};

use ravelin_control::wireguard::device::{self, Device};
use ravelin_tests::{netns::Namespace, process::wait_for, requirements};

fn host() -> Option<Namespace> {
    requirements::met(&["ip"]).then(|| Namespace::new("host"))
}

fn make(host: &Namespace, queues: usize) -> bool {
    host.inside(|| device::make("wg0", queues)).expect("the kernel makes it")
}

/// Brings the interface to this; returns what was refused.
fn apply(host: &Namespace, mtu: u32, addresses: &[&str], routes: &[&str], table: Option<u32>) -> Vec<String> {
    let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
    let device = Device { name: "wg0".into(), mtu, addresses: nets(addresses), routes: nets(routes), table };
    host.inside(|| device::apply(&device)).expect("it is there")
}

/// The first words of what `ip` lists, sorted.
fn first(text: &str) -> Vec<String> {
    let mut words: Vec<_> =
        text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    words.sort();
    words
}

/// Networks that are routed through the interface by whoever chose the number `protocol`.
fn routes(host: &Namespace, protocol: &str, table: &str) -> Vec<String> {
    let list = |family| host.ip(&format!("{family} route show table {table} dev wg0 proto {protocol}"));
    [first(&list("-4")), first(&list("-6"))].concat()
}

fn addresses(host: &Namespace) -> Vec<String> {
    let text = host.ip("-o address show dev wg0");
    let mut found: Vec<_> =
        text.lines().filter_map(|line| line.split_whitespace().nth(3)).map(str::to_owned).collect();
    found.sort();
    found
}

fn received(host: &Namespace, interface: &str) -> usize {
    let path = format!("cat /sys/class/net/{interface}/statistics/rx_packets");
    host.run(&path).trim().parse().expect("a number")
}

#[test]
fn a_device_is_a_pair_on_which_nobody_speaks_unasked() {
    let Some(host) = host() else { return };
    assert!(make(&host, 3));
    for end in ["wg0", "rvln-wg0"] {
        let about = host.ip(&format!("-d link show {end}"));
        for word in ["NOARP", ",UP", "veth", "numtxqueues 3", "numrxqueues 3"] {
            assert!(about.contains(word), "{word}: {about}");
        }
        assert_eq!(host.ip(&format!("-6 address show dev {end}")), "");
    }
    assert_eq!(apply(&host, 1420, &["10.9.0.1/24", "fd09::1/64"], &["10.20.0.0/16"], None), [""; 0]);
    assert_eq!(addresses(&host), ["10.9.0.1/24", "fd09::1/64"]);
    assert_eq!(host.ip("-6 address show dev wg0 tentative"), "");
    for end in ["wg0", "rvln-wg0"] {
        assert!(host.ip(&format!("link show {end}")).contains("mtu 1420"));
    }
    // What the host sends arrives, the longest packet too, and nothing else.
    host.inside(|| {
        for (from, to) in [("10.9.0.1", "10.20.0.7"), ("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2")] {
            let socket = UdpSocket::bind((from, 0)).expect("the address is usable at once");
            socket.send_to(&[1; 1372], (to, 9)).expect("there is a route");
        }
    });
    wait_for("what was sent", || received(&host, "rvln-wg0") >= 3);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!((received(&host, "rvln-wg0"), received(&host, "wg0")), (3, 0));
}

#[test]
fn a_device_becomes_what_is_asked_and_keeps_what_others_gave_it() {
    let Some(host) = host() else { return };
    assert!(make(&host, 1));
    let (some, others) = (["10.9.0.1/24", "fd09::1/64"], ["10.9.0.2/24", "fd09::1/128", "10.8.0.1/32"]);
    let everything = ["10.20.0.0/16", "10.9.0.0/24", "0.0.0.0/0", "::/0", "fd20::/48"];
    assert_eq!(apply(&host, 1420, &some, &everything, None), [""; 0]);
    let all = ["0.0.0.0/1", "10.20.0.0/16", "128.0.0.0/1", "8000::/1", "::/1", "fd20::/48"];
    assert_eq!(routes(&host, "82", "main"), all, "that of 10.9.0.0/24 is there with the address");

    // By hand, one of it what we have not, one what we shall be asked for.
    for line in [
        "address add 10.9.0.77/24 dev wg0",
        "address add fd09::77/64 dev wg0 nodad",
        "route add 10.30.0.0/16 dev wg0",
        "route add 10.31.0.0/16 dev wg0",
        "-6 route add fd30::/48 dev wg0",
    ] {
        host.ip(line);
    }
    let by_hand = ["10.30.0.0/16", "10.31.0.0/16", "fd30::/48"];
    assert_eq!(apply(&host, 1380, &others, &["10.30.0.0/16", "10.21.0.0/16"], None), [""; 0]);
    let now = ["10.8.0.1/32", "10.9.0.2/24", "10.9.0.77/24", "fd09::1/128", "fd09::77/64"];
    assert_eq!(addresses(&host), now);
    assert_eq!(routes(&host, "82", "main"), ["10.21.0.0/16"]);
    assert_eq!(routes(&host, "boot", "main"), by_hand);
    assert!(host.ip("link show rvln-wg0").contains("mtu 1380"));

    // Into another table, where nobody is in the way.
    assert_eq!(apply(&host, 1380, &others, &["10.30.0.0/16", "fd21::/48"], Some(777)), [""; 0]);
    assert_eq!(routes(&host, "82", "main"), [""; 0]);
    assert_eq!(routes(&host, "82", "777"), ["10.30.0.0/16", "fd21::/48"]);
    // Asked for again nothing changes, and gone is what was taken away by hand.
    host.ip("route del 10.30.0.0/16 table 777");
    assert_eq!(apply(&host, 1380, &others, &["10.30.0.0/16", "fd21::/48"], Some(777)), [""; 0]);
    assert_eq!(routes(&host, "82", "777"), ["10.30.0.0/16", "fd21::/48"]);

    assert_eq!(apply(&host, 1380, &[], &[], None), [""; 0]);
    assert_eq!(addresses(&host), ["10.9.0.77/24", "fd09::77/64"]);
    assert_eq!((routes(&host, "82", "main"), routes(&host, "82", "777")), (Vec::new(), Vec::new()));
    assert_eq!(routes(&host, "boot", "main"), by_hand);

    for _ in 0..2 {
        host.inside(|| device::remove("wg0")).expect("it may be gone");
        assert!(!host.ip("link show").contains("wg0"));
    }
    let gone = host.inside(|| device::apply(&Device { name: "wg0".into(), ..Device::default() }));
    assert_eq!(gone.unwrap_err().raw_os_error(), Some(19), "no such device");
}

#[test]
fn what_a_killed_process_left_is_used_and_cleaned() {
    let Some(host) = host() else { return };
    assert!(make(&host, 2));
    let left = ["10.9.0.1/24", "10.9.1.1/24", "fd09::1/64"];
    assert_eq!(apply(&host, 1420, &left, &["10.20.0.0/16", "fd20::/48", "0.0.0.0/0"], Some(9)), [""; 0]);
    host.ip("route add 10.40.0.0/16 dev wg0");
    assert!(!make(&host, 2));
    assert_eq!(apply(&host, 1420, &["10.9.1.1/24"], &["10.20.0.0/16"], None), [""; 0]);
    assert_eq!(addresses(&host), ["10.9.1.1/24"]);
    assert_eq!(routes(&host, "82", "9"), [""; 0]);
    assert_eq!(routes(&host, "82", "main"), ["10.20.0.0/16"]);
    assert_eq!(routes(&host, "boot", "main"), ["10.40.0.0/16"]);
}

#[test]
fn what_is_refused_is_told_and_the_rest_is_done() {
    let Some(host) = host() else { return };
    assert!(make(&host, 1));
    host.sysctl("ipv6/conf/wg0/disable_ipv6", "1");
    let refused = apply(&host, 1420, &["10.9.0.1/24", "fd09::1/64"], &["10.20.0.0/16", "fd20::/48"], None);
    let [address, route] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(address.starts_with("address fd09::1/64: ") && route.starts_with("route to fd20::/48: "));
    assert_eq!(addresses(&host), ["10.9.0.1/24"]);
    assert_eq!(routes(&host, "82", "main"), ["10.20.0.0/16"]);
}

#[test]
fn an_interface_of_somebody_else_is_left_alone() {
    let Some(host) = host() else { return };
    for kind in ["bridge", "veth peer name other"] {
        host.ip(&format!("link add wg0 type {kind}"));
        let refused: [io::Error; 2] = host.inside(|| {
            let applied = device::apply(&Device { name: "wg0".into(), ..Device::default() });
            device::remove("wg0").expect("there is nothing of ours");
            [device::make("wg0", 1).unwrap_err(), applied.unwrap_err()]
        });
        for error in refused {
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(error.to_string(), "the interface wg0 is there and was not made by ravelin");
        }
        host.ip("link del wg0");
    }
}
