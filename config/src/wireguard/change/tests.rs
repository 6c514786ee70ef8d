use super::*;

/// A peer's key.
fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn peer(number: u8, allowed_ips: &str) -> WireguardPeer {
    WireguardPeer { allowed_ips: nets(allowed_ips), ..new(key(number)) }
}

fn nets(text: &str) -> Vec<IpNet> {
    text.split_whitespace().map(|net| net.parse().unwrap()).collect()
}

/// A change that says nothing but this of allowed IPs.
fn change(number: u8, allowed_ips: Option<&str>) -> PeerChange {
    let allowed = |text: &str| text.split_whitespace().map(|net| net.parse().unwrap()).collect();
    PeerChange {
        public_key: key(number),
        fate: PeerFate::There,
        preshared_key: Setting::Stays,
        endpoint: None,
        persistent_keepalive: Setting::Stays,
        allowed_ips: allowed_ips.map(allowed),
    }
}

/// Who has what afterwards: the number of each peer, and its allowed IPs.
fn after(peers: &[WireguardPeer], changes: &[PeerChange], replaces: bool) -> Vec<(u8, String)> {
    let peers = PeersChange { replaces, peers: changes.to_vec() }.apply(peers).unwrap();
    let list =
        |peer: &WireguardPeer| peer.allowed_ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    peers.iter().map(|peer| (peer.public_key.0[0], list(peer))).collect()
}

fn expected(all: &[(u8, &str)]) -> Vec<(u8, String)> {
    all.iter().map(|(number, nets)| (*number, (*nets).to_owned())).collect()
}

#[test]
fn allowed_ips_are_written_as_wg_takes_them() {
    let read = |text: &str| text.parse::<AllowedIp>().map(|it| (it.sign, it.net.to_string()));
    assert_eq!(read("10.1.2.3/8"), Ok((None, "10.0.0.0/8".to_owned())));
    assert_eq!(read("+10.1.2.3"), Ok((Some(Sign::Plus), "10.1.2.3/32".to_owned())));
    assert_eq!(read("-fd00::1"), Ok((Some(Sign::Minus), "fd00::1/128".to_owned())));
    for wrong in ["", "+", "--10.0.0.1", "+ 10.0.0.1", "10.0.0.1/33", "host"] {
        assert_eq!(read(wrong), Err(AllowedIpError), "{wrong:?}");
    }
}

#[test]
fn a_prefix_belongs_to_the_last_peer_that_took_it() {
    let before = [peer(1, "10.0.0.1/32 10.1.0.0/16"), peer(2, "10.0.0.2/32")];
    for (changes, then) in [
        (vec![change(2, Some("10.1.0.0/16"))], vec![(1, "10.0.0.1/32"), (2, "10.1.0.0/16")]),
        (vec![change(2, Some("+10.1.0.0/16"))], vec![(1, "10.0.0.1/32"), (2, "10.0.0.2/32 10.1.0.0/16")]),
        // They change places, and one is not taken from whom it was given to meanwhile.
        (
            vec![change(1, Some("10.0.0.2/32")), change(2, Some("10.0.0.1/32"))],
            vec![(1, "10.0.0.2/32"), (2, "10.0.0.1/32")],
        ),
        (
            vec![change(3, Some("10.0.0.1/32 10.0.0.2/32")), change(1, Some(""))],
            vec![(1, ""), (2, ""), (3, "10.0.0.1/32 10.0.0.2/32")],
        ),
        // What another has does not leave.
        (
            vec![change(2, Some("-10.1.0.0/16,".trim_end_matches(','))), change(1, Some("-10.0.0.1/32"))],
            vec![(1, "10.1.0.0/16"), (2, "10.0.0.2/32")],
        ),
        // One sign is enough: those that are not mentioned stay.
        (
            vec![change(1, Some("10.2.0.0/16 -10.1.0.0/16"))],
            vec![(1, "10.0.0.1/32 10.2.0.0/16"), (2, "10.0.0.2/32")],
        ),
        (
            vec![change(1, Some("10.1.0.0/16 10.0.0.1/32 10.1.0.0/16"))],
            vec![(1, "10.1.0.0/16 10.0.0.1/32"), (2, "10.0.0.2/32")],
        ),
        (vec![change(1, None)], vec![(1, "10.0.0.1/32 10.1.0.0/16"), (2, "10.0.0.2/32")]),
    ] {
        assert_eq!(after(&before, &changes, false), expected(&then), "{changes:?}");
    }
}

#[test]
fn peers_come_and_go() {
    let before = [peer(1, "10.0.0.1/32"), peer(2, "10.0.0.2/32")];
    let gone = |number| PeerChange { fate: PeerFate::Gone, ..change(number, None) };
    let only = |number, nets| PeerChange { fate: PeerFate::ThereIfItWas, ..change(number, Some(nets)) };
    let both = expected(&[(1, "10.0.0.1/32"), (2, "10.0.0.2/32")]);
    assert_eq!(after(&before, &[gone(1)], false), both[1..]);
    assert_eq!(after(&before, &[gone(3), only(3, "10.0.0.1/32")], false), both);
    assert_eq!(after(&before, &[only(2, "10.0.0.1/32")], false), expected(&[(1, ""), (2, "10.0.0.1/32")]));
    // Gone and made anew, with what it has left behind.
    assert_eq!(
        after(&before, &[gone(1), change(1, Some("10.0.0.1/32"))], false),
        expected(&[(2, "10.0.0.2/32"), (1, "10.0.0.1/32")])
    );
    // Those that are not named go, and who stays keeps its place.
    let changes = [change(3, Some("10.0.0.1/32")), change(2, None)];
    assert_eq!(after(&before, &changes, true), expected(&[(2, "10.0.0.2/32"), (3, "10.0.0.1/32")]));
    assert_eq!(after(&before, &[], true), []);
    let all = (0..=Wireguard::PEERS_MAX).map(|number| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        PeerChange { public_key: PublicKey(key), ..change(0, None) }
    });
    let error = PeersChange { replaces: false, peers: all.collect() }.apply(&[]).unwrap_err();
    assert_eq!(error.to_string(), "expected at most 65536 peers of an interface, found 65537");
}

#[test]
fn what_is_not_said_stays() {
    let place = KeyPlace::File("peer.psk".into());
    let before = WireguardPeer {
        name: Some("site".to_owned()),
        preshared_key: Some(PresharedKey::from(&[7; 32])),
        preshared_key_place: Some(place.clone()),
        endpoint: Some("192.0.2.1:1".parse().unwrap()),
        persistent_keepalive: NonZeroU16::new(25),
        ..peer(1, "10.0.0.1/32")
    };
    let changed = |change: PeerChange| {
        let change = PeersChange { replaces: false, peers: vec![change] };
        change.apply(std::slice::from_ref(&before)).unwrap().remove(0)
    };
    let nothing = change(1, None);
    assert_eq!(changed(nothing.clone()), before);
    // The same key as before is still that of the file.
    let key = Setting::Is(PresharedKey::from(&[7; 32]));
    assert_eq!(changed(PeerChange { preshared_key: key, ..nothing.clone() }), before);
    let key = PresharedKey::from(&[8; 32]);
    let other = changed(PeerChange { preshared_key: Setting::Is(key.clone()), ..nothing.clone() });
    assert_eq!(other.preshared_key, Some(key));
    assert_eq!(other.preshared_key_place, Some(KeyPlace::Given));
    let none = changed(PeerChange {
        preshared_key: Setting::Ends,
        persistent_keepalive: Setting::Ends,
        endpoint: Some("site.example:7".parse().unwrap()),
        ..nothing
    });
    let endpoint = Some("site.example:7".parse().unwrap());
    let expected = WireguardPeer {
        preshared_key: None,
        preshared_key_place: None,
        persistent_keepalive: None,
        endpoint,
        ..before.clone()
    };
    assert_eq!(none, expected);
}
