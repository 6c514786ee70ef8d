use super::*;

/// Keys of the examples of wg(8).
const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";

fn parse(line: &str) -> Result<Words, String> {
    let words: Vec<_> = line
        .replace("{A}", A)
        .replace("{B}", B)
        .split(' ')
        .map(|word| if word == "''" { "" } else { word }.to_owned())
        .collect();
    Words::parse(&words).map_err(|failure| failure.to_string())
}

fn peer(key: &str) -> WireguardPeerChange {
    WireguardPeerChange { public_key: key.to_owned(), ..WireguardPeerChange::default() }
}

fn only(change: WireguardPeerChange) -> Words {
    Words { peers: vec![PeerWords { change, preshared_key: None }], ..Words::default() }
}

#[test]
fn words_are_those_of_wg() {
    // From wg(8), its quick start, and wg-quick(8).
    let found = parse(
        "listen-port 51820 private-key /path/to/key peer {A} allowed-ips 192.168.88.0/24 endpoint 209.202.254.14:8172",
    );
    let change = WireguardPeerChange {
        endpoint: Some("209.202.254.14:8172".to_owned()),
        allowed_ips: Some(vec!["192.168.88.0/24".to_owned()]),
        ..peer(A)
    };
    let expected =
        Words { listen_port: Some(51820), private_key: Some("/path/to/key".into()), ..only(change) };
    assert_eq!(found.unwrap(), expected);

    let found = parse(
        "fwmark 0xca6c peer {A} preshared-key /dev/stdin persistent-keepalive off allowed-ips 10.0.0.1/8,fd00::1 \
         peer {B} remove peer {A} update-only endpoint [2607:5300:60:6b0::c05f:543]:2468 persistent-keepalive 25",
    );
    let [first, gone, again] = <[PeerWords; 3]>::try_from(found.unwrap().peers).unwrap();
    assert_eq!(first.preshared_key, Some("/dev/stdin".into()));
    let nets = vec!["10.0.0.1/8".to_owned(), "fd00::1".to_owned()];
    let change =
        WireguardPeerChange { persistent_keepalive_seconds: Some(0), allowed_ips: Some(nets), ..peer(A) };
    assert_eq!(first.change, change);
    assert_eq!(gone.change, WireguardPeerChange { remove: true, ..peer(B) });
    let change = WireguardPeerChange {
        update_only: true,
        endpoint: Some("[2607:5300:60:6b0::c05f:543]:2468".to_owned()),
        persistent_keepalive_seconds: Some(25),
        ..peer(A)
    };
    assert_eq!(again.change, change);

    for (word, mark) in [("off", 0), ("0", 0), ("7", 7), ("0xffffffff", u32::MAX)] {
        assert_eq!(parse(&format!("fwmark {word}")).unwrap().fwmark, Some(mark));
    }
    let found = parse("peer {A} allowed-ips -c001::/16 -c a.toml --json").unwrap();
    assert_eq!(found.peers[0].change.allowed_ips, Some(vec!["-c001::/16".to_owned()]));
    assert_eq!(found.options, ["-c", "a.toml", "--json"]);
    // Without a word it is only made.
    assert_eq!(parse("peer {A}").unwrap(), only(peer(A)));
    let nets = |text: &str| parse(&format!("peer {{A}} allowed-ips {text}")).unwrap().peers.remove(0).change;
    assert_eq!(nets("''").allowed_ips, Some(Vec::new()), "all leave");
    let signed = vec!["+10.0.0.0/8".to_owned(), "-fd00::/8".to_owned()];
    assert_eq!(nets("+10.0.0.0/8,-fd00::/8").allowed_ips, Some(signed));
    assert_eq!(nets("-10.0.0.0/8").allowed_ips, Some(vec!["-10.0.0.0/8".to_owned()]));
}

#[test]
fn what_makes_no_sense_is_refused_and_no_key_is_repeated() {
    for (line, says) in [
        ("", "`` says nothing here (expected one of listen-port PORT,"),
        ("endpoint 192.0.2.1:1", "`endpoint` says nothing here (expected one of listen-port PORT"),
        ("peer", "expected a public key behind `peer`, found nothing"),
        ("peer nobody", "behind `peer` stands no public key: a key has 44 characters"),
        ("peer {A} listen-port 1", "`listen-port` is of the interface, and stands before the first `peer`"),
        ("peer {A} {B}", "`a key` says nothing here (expected one of remove,"),
        ("peer {A} endpoint", "expected an address and a port behind `endpoint`, found nothing"),
        ("peer {A} endpoint 192.0.2.1", "`192.0.2.1` is no endpoint: an endpoint has a port"),
        ("peer {A} persistent-keepalive 65536", "expected a number from 0 to 65535, or off"),
        ("peer {A} persistent-keepalive -1", "behind `persistent-keepalive`, found `-1`"),
        ("peer {A} allowed-ips 10.0.0.0/8,", "`allowed-ips`: expected an IP address or prefix"),
        ("peer {A} allowed-ips 10.0.0.0/33", "found `10.0.0.0/33`"),
        ("peer {A} remove endpoint 192.0.2.1:1", "is removed, so nothing else can be said of it"),
        ("listen-port 65536", "expected a port from 0 to 65535 behind `listen-port`, found `65536`"),
        ("fwmark 0x100000000", "expected a number of 32 bits, or off, behind `fwmark`"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(says), "{line}: {error}");
        assert!(!error.contains(&B[..8]), "{line}: {error}");
    }
}
