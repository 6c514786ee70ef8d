//! Peers that change without a configuration that says so: `ravelin wg set`, `syncconf` and their like.

use std::{fs, process::Output};

use ravelin_tests::{
    echo::Echo,
    gateway::{OUTSIDE, SERVER},
    process::wait_for,
    ravelin::Ravelin,
    topology::ping_all,
    wireguard::{Keys, Kind, Remote, preshared_key},
};
use serde_json::Value;

use super::tunnel::{PORT, Tunnel, secret, shown};

/// What `ravelin wg` says to these words.
fn wg(ravelin: &Ravelin, words: &[&str]) -> Output {
    ravelin.command(&[&["wg"], words].concat()).output().expect("it starts")
}

/// Has peers of `wg0` change, and returns what is said of that.
fn change(ravelin: &Ravelin, words: &[&str]) -> String {
    let output = wg(ravelin, words);
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && output.stdout.is_empty(), "{words:?}: {said}");
    said
}

fn set(ravelin: &Ravelin, words: &str) {
    let words: Vec<_> = ["set", "wg0"].into_iter().chain(words.split_whitespace()).collect();
    let said = change(ravelin, &words);
    assert!(said.contains("this holds until the next `ravelin reload` or restart"), "{said}");
}

/// What is said to those who want what cannot be.
fn refused(ravelin: &Ravelin, words: &[&str]) -> String {
    let output = wg(ravelin, words);
    assert!(!output.status.success() && output.stdout.is_empty(), "{words:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// The peers of `wg0`, as they are shown.
fn peers(ravelin: &Ravelin) -> Vec<Value> {
    let text = ravelin.ask(&["wg", "show", "wg0", "--json"]).expect("an answer");
    let interface: Value = serde_json::from_str(&text).expect("JSON");
    interface["peers"].as_array().expect("a list of peers").clone()
}

fn peer(ravelin: &Ravelin, key: &str) -> Option<Value> {
    peers(ravelin).into_iter().find(|peer| peer["public_key"] == key)
}

/// What does not change of a peer whose session goes on.
fn session(ravelin: &Ravelin) -> [Value; 4] {
    let peer = shown(ravelin, "client");
    let handshakes = peer["counters"]["handshakes"].clone();
    assert!(handshakes.as_u64() > Some(0), "{peer}");
    [handshakes, peer["latest_handshake"].clone(), peer["endpoint"].clone(), peer["session"].clone()]
}

#[test]
fn peers_come_change_and_go_while_others_speak() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let (lab, client) = (&tunnel.lab, &tunnel.lab.client);
    let (newcomer, heir) = (tunnel.other(3), tunnel.other(4));
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(client, SERVER[0], 1, 56);
    let before = session(&ravelin);
    let echo = Echo::start(lab, SERVER[0], 4, 300);
    wait_for("traffic", || echo.returned() > 100);

    // One with a preshared key, and with a network behind it to which there is no other route.
    let [new, next] = [&newcomer, &heir].map(|other| other.peer.public_key());
    let preshared = preshared_key();
    let file = secret(lab, "new.psk", &preshared);
    set(
        &ravelin,
        &format!("peer {new} preshared-key {} allowed-ips 10.9.0.3/32,10.7.0.1/24", file.display()),
    );
    newcomer.address(client, "10.7.0.1");
    newcomer.peer.add_peer(&Remote {
        endpoint: Some(&format!("{}:{PORT}", OUTSIDE[0])),
        preshared_key: Some(&preshared),
        ..Remote::new(&tunnel.keys.public, "10.9.0.0/24,10.8.2.0/24")
    });
    assert!(newcomer.pings(client));
    ping_all(&lab.appliance, "10.7.0.1", 3, 56);
    let found = peer(&ravelin, new).expect("it was added");
    assert_eq!((&found["origin"], &found["has_preshared_key"]), (&"added".into(), &true.into()), "{found}");
    let text = ravelin.ask(&["wg", "show", "wg0"]).expect("an answer");
    assert!(text.contains("  added: until the next reload"), "{text}");

    // It is spoken to elsewhere.
    newcomer.peer.listen(PORT + 13);
    set(&ravelin, &format!("peer {new} endpoint 10.8.1.2:{}", PORT + 13));
    ping_all(&lab.appliance, "10.9.0.3", 3, 56);
    assert_eq!(peer(&ravelin, new).unwrap()["endpoint"], format!("10.8.1.2:{}", PORT + 13));

    // Who takes a prefix has it; all of it happens, or nothing.
    heir.address(client, "10.7.0.2");
    heir.tell(&tunnel.keys.public);
    let own = &tunnel.keys.public;
    let words = format!("peer {next} allowed-ips 10.9.0.4/32,10.7.0.0/24");
    let all: Vec<_> = ["set", "wg0"].into_iter().chain(words.split(' ')).chain(["peer", own]).collect();
    let error = refused(&ravelin, &all);
    assert!(error.contains("is the interface itself") && error.contains("nothing has changed"), "{error}");
    assert!(peer(&ravelin, next).is_none());
    set(&ravelin, &words);
    assert!(heir.pings(client));
    ping_all(&lab.appliance, "10.7.0.2", 3, 56);
    assert_eq!(peer(&ravelin, new).unwrap()["allowed_ips"], serde_json::json!(["10.9.0.3/32"]));
    set(
        &ravelin,
        &format!(
            "peer {new} allowed-ips +10.6.0.0/24,-10.9.0.3/32 peer {next} update-only persistent-keepalive 7"
        ),
    );
    assert_eq!(peer(&ravelin, new).unwrap()["allowed_ips"], serde_json::json!(["10.6.0.0/24"]));
    assert_eq!(peer(&ravelin, next).unwrap()["persistent_keepalive_seconds"], 7);
    assert!(lab.appliance.ip("route show 10.6.0.0/24").contains("dev wg0"));

    set(&ravelin, &format!("peer {new} remove"));
    assert!(peer(&ravelin, new).is_none() && !newcomer.pings(client));
    assert_eq!(lab.appliance.ip("route show 10.6.0.0/24"), "");
    let said = change(&ravelin, &["set", "wg0", "peer", new, "update-only", "endpoint", "192.0.2.1:1"]);
    assert!(said.contains("nothing differs"), "{said}");

    let seen = echo.returned();
    wait_for("traffic after the last change", || echo.returned() > seen + 100);
    echo.finish().assert_lossless();
    assert_eq!(session(&ravelin), before);
    let expected = [
        "wireguard_unknown_index",
        "wireguard_unknown_peer",
        "wireguard_handshake_failed",
        "wireguard_source_not_allowed",
        "wireguard_no_session",
    ];
    let (_, log) = ravelin.finish_with_log(&expected);
    assert!(log.contains(&format!("wireguard[wg0].peer[{new}]")), "{log}");
    assert!(!log.contains(&preshared[..20]), "a key is in the log");
}

#[test]
fn a_file_changes_whom_it_says_otherwise_of_and_no_one_else() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let (lab, client) = (&tunnel.lab, &tunnel.lab.client);
    let (leaver, changed, newcomer) = (tunnel.other(3), tunnel.other(4), tunnel.other(5));
    let ravelin = tunnel.start(&(leaver.section("") + &changed.section("")));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    [&leaver, &changed, &newcomer].iter().for_each(|other| other.tell(&tunnel.keys.public));
    ping_all(client, SERVER[0], 1, 56);
    assert!(leaver.pings(client) && changed.pings(client));
    let before = session(&ravelin);
    let echo = Echo::start(lab, SERVER[0], 4, 300);
    wait_for("traffic", || echo.returned() > 100);

    let client_section = format!(
        "[Peer]\nPublicKey = {}\nPresharedKey = {}\nAllowedIPs = 10.9.0.2/32, fd09::2/128\n",
        tunnel.peer.public_key(),
        tunnel.preshared
    );
    let changed_section = format!(
        "[Peer]\nPublicKey = {}\nAllowedIPs = 10.9.0.4/32, 10.7.0.0/24\nPersistentKeepalive = 9\n",
        changed.peer.public_key()
    );
    let newcomer_section =
        format!("[Peer]\nPublicKey = {}\nAllowedIPs = 10.9.0.5/32\n", newcomer.peer.public_key());
    let interface = format!("[Interface]\nPrivateKey = {}\nListenPort = {PORT}\n", tunnel.keys.private);
    let text = [interface.as_str(), &client_section, &changed_section, &newcomer_section].concat();
    let good = secret(lab, "peers.conf", &text);
    let good = good.to_str().expect("a path");

    // What is wrong is said with its line, and changes nothing.
    let other = Keys::new();
    for (name, text, says) in [
        ("prefix.conf", text.replace("10.9.0.5/32", "10.9.0.500/32"), "prefix.conf:14:14"),
        ("port.conf", text.replace(&format!("{PORT}"), "7"), "expected 51820, the port that `wg0` has"),
        (
            "key.conf",
            text.replace(&tunnel.keys.private, &other.private),
            "this is not the private key that `wg0` has",
        ),
        ("quick.conf", text.replace("ListenPort", "Address = 10.9.0.1/24\nListenPort"), "quick.conf:3:11"),
    ] {
        let path = secret(lab, name, &text);
        let error = refused(&ravelin, &["syncconf", "wg0", path.to_str().expect("a path")]);
        assert!(error.contains(says) && error.contains("nothing has changed"), "{name}: {error}");
        for key in [&other.private, &tunnel.keys.private, &tunnel.preshared] {
            assert!(!error.contains(&key[..20]), "{name}: a key is in {error}");
        }
    }
    assert_eq!(peers(&ravelin).len(), 3);
    let open = lab.folder().join("open.conf");
    fs::write(&open, &text).expect("the folder is writable");
    let error = refused(&ravelin, &["syncconf", "wg0", open.to_str().expect("a path")]);
    assert!(error.contains("lets others use it") && error.contains("chmod 600"), "{error}");

    change(&ravelin, &["syncconf", "wg0", good]);
    assert!(newcomer.pings(client) && !leaver.pings(client));
    let found = shown(&ravelin, "wg4");
    assert_eq!(found["origin"], "changed");
    assert_eq!(found["allowed_ips"], serde_json::json!(["10.9.0.4/32", "10.7.0.0/24"]));
    wait_for("who begins anew to be back", || changed.pings(client));
    assert_eq!(
        (session(&ravelin), shown(&ravelin, "client")["origin"].clone()),
        (before.clone(), "configuration".into())
    );

    // What is shown says the same again, without keys, which stay.
    let saved = ravelin.ask(&["wg", "showconf", "wg0"]).expect("an answer");
    assert!(
        !saved.contains(&tunnel.preshared[..20]) && !saved.contains(&tunnel.keys.private[..20]),
        "{saved}"
    );
    assert!(saved.contains("wg0.key.") && saved.contains("peer.psk."), "{saved}");
    let saved = secret(lab, "saved.conf", &saved);
    let said = change(&ravelin, &["syncconf", "wg0", saved.to_str().expect("a path")]);
    assert!(said.contains("keeps its preshared key"), "{said}");
    assert_eq!(session(&ravelin), before);

    // Who is added is, and the others are still there.
    let more = format!("[Peer]\nPublicKey = {}\nAllowedIPs = 10.9.0.3/32\n", leaver.peer.public_key());
    let more = secret(lab, "more.conf", &more);
    change(&ravelin, &["addconf", "wg0", more.to_str().expect("a path")]);
    wait_for("who was gone to be back", || leaver.pings(client));
    assert_eq!(shown(&ravelin, "wg3")["origin"], "configuration", "it has its name again");
    assert_eq!(peers(&ravelin).len(), 4);
    change(&ravelin, &["setconf", "wg0", good]);
    assert_eq!(peers(&ravelin).len(), 3);

    let seen = echo.returned();
    wait_for("traffic after the last change", || echo.returned() > seen + 100);
    echo.finish().assert_lossless();
    assert_eq!(session(&ravelin), before);
    let expected = [
        "wireguard_unknown_index",
        "wireguard_unknown_peer",
        "wireguard_handshake_failed",
        "wireguard_no_session",
    ];
    let (_, log) = ravelin.finish_with_log(&expected);
    for key in [&other.private, &tunnel.keys.private, &tunnel.preshared] {
        assert!(!log.contains(&key[..20]), "a key is in the log");
    }
}

#[test]
fn a_reload_takes_back_what_no_file_says() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let client = &tunnel.lab.client;
    let other = tunnel.other(3);
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    other.tell(&tunnel.keys.public);
    let (known, new) = (tunnel.peer.public_key(), other.peer.public_key());
    set(
        &ravelin,
        &format!(
            "listen-port {PORT} peer {new} allowed-ips 10.9.0.3/32 peer {known} allowed-ips +10.7.0.0/24"
        ),
    );
    assert!(other.pings(client));
    assert_eq!(shown(&ravelin, "client")["origin"], "changed");

    // What cannot change, who is not there, what is none.
    let secret_of_other = secret(&tunnel.lab, "other.key", &Keys::new().private);
    let path = secret_of_other.to_str().expect("a path");
    for (words, says) in [
        (&["set", "wg1", "peer", new][..], "there is no WireGuard interface `wg1`"),
        (
            &["set", "wg0", "listen-port", "7", "peer", new, "remove"],
            "change `listen_port` of [[wireguard]], and restart",
        ),
        (&["set", "wg0", "private-key", path, "peer", new, "remove"], "`ravelin wg rotate`"),
        (&["set", "wg0", "fwmark", "7", "peer", new, "remove"], "`fwmark` has no meaning here"),
        (&["set", "wg0", "peer", new, "endpoint", "nowhere"], "`nowhere` is no endpoint"),
        (&["set", "wg0", "peer", new, "preshared-key", "/nowhere"], "cannot read `/nowhere`"),
        (&["syncconf", "wg0", "/nowhere"], "cannot read `/nowhere`"),
    ] {
        let error = refused(&ravelin, words);
        assert!(error.contains(says), "{words:?}: {error}");
    }
    assert_eq!(peers(&ravelin).len(), 2);

    let said = ravelin.reload().expect("the configuration is as it was");
    assert!(said.contains(&format!("wireguard[wg0].peer[{new}]")), "{said}");
    assert!(said.contains("wireguard[wg0].peer[client].allowed_ips"), "{said}");
    assert!(peer(&ravelin, new).is_none() && !other.pings(client));
    let back = shown(&ravelin, "client");
    assert_eq!(back["origin"], "configuration");
    assert_eq!(back["allowed_ips"], serde_json::json!(["10.9.0.2/32", "fd09::2/128"]));
    ping_all(client, SERVER[0], 3, 56);
    ravelin.finish(&[
        "wireguard_unknown_index",
        "wireguard_unknown_peer",
        "wireguard_handshake_failed",
        "wireguard_no_session",
    ]);
}
