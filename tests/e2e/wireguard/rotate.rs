//! Another key for an interface while its tunnels are used.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command, time::Duration};

use ravelin_tests::{
    echo::Echo,
    gateway::{OUTSIDE, SERVER, start},
    process::{run, wait_for},
    ravelin::Ravelin,
    topology::{ping_all, pings},
    wireguard::{Kind, Remote, public_key},
};

use super::{
    faults::{everything, forms},
    tunnel::{PORT, THEIRS, Tunnel, secret, shown},
};

const INSIDE: &str = "10.9.0.0/24,10.8.2.0/24,fd09::/64,fd08:2::/64";

/// The configuration where a key is served for so long after it was replaced.
fn section(tunnel: &Tunnel, grace: &str, more: &str) -> String {
    tunnel.section(more).replace("listen_port", &format!("rotation_grace = \"{grace}\"\nlisten_port"))
}

/// Rotates, and returns the new public key.
fn rotate(ravelin: &Ravelin, old: &str) -> String {
    let text = ravelin.ask(&["wg", "rotate", "wg0", "--json"]).expect("a new key");
    let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((&told["interface"], &told["previous"]["public_key"]), (&"wg0".into(), &old.into()), "{told}");
    told["public_key"].as_str().expect("a key").to_owned()
}

/// Tells the peer what key the gateway has, instead of another.
fn tell_instead(tunnel: &Tunnel, new: &str, old: &str) {
    let endpoint = format!("{}:{PORT}", OUTSIDE[0]);
    tunnel.peer.remove_peer(old);
    tunnel.peer.add_peer(&Remote {
        endpoint: Some(&endpoint),
        preshared_key: Some(&tunnel.preshared),
        ..Remote::new(new, INSIDE)
    });
}

/// The files of the key and of the one before.
fn files(tunnel: &Tunnel) -> [PathBuf; 2] {
    ["wg0.key", "wg0.key.previous"].map(|name| tunnel.lab.folder().join(name))
}

fn read(path: &PathBuf) -> String {
    let mode = fs::metadata(path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "{}", path.display());
    fs::read_to_string(path).expect("it is ours").trim().to_owned()
}

#[test]
fn a_stream_goes_on_through_a_rotation_and_the_new_key_works_at_once() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let (client, old) = (&tunnel.lab.client, tunnel.keys.public.as_str());
    let other = tunnel.other(3);
    let ravelin = tunnel.start(&other.section(""));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(client, SERVER[0], 1, 56);
    let echo = Echo::start(&tunnel.lab, SERVER[0], 4, 300);
    wait_for("traffic", || echo.returned() > 100);
    let new = rotate(&ravelin, old);
    let [key, previous] = files(&tunnel);
    assert_eq!((read(&previous), public_key(&read(&key))), (tunnel.keys.private.clone(), new.clone()));
    let seen = echo.returned();
    wait_for("traffic after the rotation", || echo.returned() > seen + 100);

    // A peer that begins now, and knows no key but the old one.
    other.tell(old);
    assert!(other.pings(client));
    let text = ravelin.ask(&["wg", "show", "wg0"]).expect("an answer");
    assert!(text.contains(&format!("  public key: {new}\n  previous public key: {old} (until 20")), "{text}");
    assert_eq!(text.matches("session: up under previous key").count(), 2, "{text}");
    let dump = ravelin.ask(&["wg", "show", "wg0", "dump"]).expect("an answer");
    assert!(dump.starts_with(&format!("(hidden)\t{new}\t{PORT}\toff\n")) && !dump.contains(old), "{dump}");
    let refused = ravelin.ask(&["wg", "rotate", "wg0"]).expect_err("once is enough");
    assert!(refused.contains("served until") && refused.contains("--force"), "{refused}");
    // A reload says the same.
    ravelin.reload().expect("nothing is wrong");
    let seen = echo.returned();
    wait_for("traffic after the reload", || echo.returned() > seen + 100);
    assert_eq!(shown(&ravelin, "client")["is_under_previous_key"], true);
    echo.finish().assert_lossless();

    tell_instead(&tunnel, &new, old);
    ping_all(client, SERVER[0], 3, 56);
    ping_all(&tunnel.lab.server, THEIRS[0], 3, 56);
    assert!(shown(&ravelin, "client").get("is_under_previous_key").is_none());
    assert!(other.pings(client), "who was told nothing goes on");

    let text = ravelin.ask(&["wg", "rotate", "wg0", "--force"]).expect("a third key");
    let third = text.lines().next().and_then(|line| line.strip_prefix("public key: ")).expect("a key");
    assert!(text.contains(&format!("previous public key: {new} (until ")), "{text}");
    assert!(!other.pings(client), "the first key is over");
    ping_all(client, SERVER[0], 3, 56);
    other.peer.remove_peer(old);
    other.tell(third);
    assert!(other.pings(client));
    ravelin.finish(&["wireguard_no_session", "wireguard_bad_mac", "wireguard_handshake_failed"]);
}

#[test]
fn the_old_key_is_served_across_a_restart_and_no_longer_than_that() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let (client, old) = (&tunnel.lab.client, tunnel.keys.public.as_str());
    let endpoint = format!("endpoint = \"10.8.1.2:{PORT}\"");
    let ravelin = start(&tunnel.lab, &section(&tunnel, "15s", &endpoint));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(client, SERVER[0], 3, 56);
    let new = rotate(&ravelin, old);
    ravelin.kill();
    let ravelin = start(&tunnel.lab, &section(&tunnel, "15s", &endpoint));
    // The gateway begins, and does not know which key the peer knows.
    ping_all(&tunnel.lab.server, THEIRS[0], 3, 56);
    assert_eq!(shown(&ravelin, "client")["is_under_previous_key"], true);
    // The peer does.
    tell_instead(&tunnel, old, old);
    ping_all(client, SERVER[0], 3, 56);
    let is_over = || !ravelin.ask(&["wg", "show", "wg0"]).expect("an answer").contains("previous");
    wait_for("the end of the old key", is_over);
    assert!(ravelin.log().contains("sessions=1"), "{}", ravelin.log());
    tell_instead(&tunnel, old, old);
    assert!(!pings(client, SERVER[0]));
    ravelin.wait_for_counters("the old key to be none", |it| it.dropped("wireguard_bad_mac") > 0);
    tell_instead(&tunnel, &new, old);
    ping_all(client, SERVER[0], 3, 56);
    ravelin.reload().expect("nothing is wrong");
    ping_all(client, SERVER[0], 3, 56);
    // What was asked for under the old key, by whoever was it.
    ravelin.finish(&["wireguard_no_session", "wireguard_bad_mac", "wireguard_handshake_failed"]);
}

#[test]
fn files_that_are_wrong_are_refused_and_no_key_is_said() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let lab = &tunnel.lab;
    let records = lab.folder().join("records.jsonl");
    let more = format!(
        "[log]\nlevel = \"trace\"\n[metrics]\nlisten = \"127.0.0.1:9100\"\n[records]\nfile = \"{}\"\n",
        records.display()
    );
    let ravelin = tunnel.start(&more);
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(&lab.client, SERVER[0], 3, 56);
    let [key, previous] = files(&tunnel);
    let mut said = everything(&tunnel, &ravelin);
    for nobody in ["wg1", "no/../such?name"] {
        let refused = ravelin.ask(&["wg", "rotate", nobody]).expect_err("there is none");
        assert!(refused.contains("there is no WireGuard interface"), "{refused}");
    }
    // The file holds another key than the process has.
    let stranger = run(Command::new("wg").arg("genkey")).trim().to_owned();
    secret(lab, "wg0.key", &stranger);
    let refused = ravelin.ask(&["wg", "rotate", "wg0"]).expect_err("whose key would that be");
    assert!(refused.contains("another key than the one that is in force"), "{refused}");
    said += &refused;
    assert!(!previous.exists() && read(&key) == stranger, "nothing has changed");
    secret(lab, "wg0.key", &tunnel.keys.private);

    said += &rotate(&ravelin, &tunnel.keys.public);
    let (new, whole) = (read(&key), tunnel.keys.private.clone());
    said += &everything(&tunnel, &ravelin);
    for wrong in forms(&whole)[1..].iter().cloned().chain([format!("{whole}\n{whole}"), String::new()]) {
        secret(lab, "wg0.key.previous", &wrong);
        let refused = ravelin.reload().expect_err("this is no key");
        assert!(refused.contains("wg0.key.previous"), "{refused}");
        said += &refused;
        said += &everything(&tunnel, &ravelin);
        ping_all(&lab.client, SERVER[0], 1, 56);
    }
    let path = secret(lab, "wg0.key.previous", &whole);
    run(Command::new("chmod").arg("644").arg(&path));
    let refused = ravelin.reload().expect_err("others can read it");
    assert!(refused.contains("chmod 600") && refused.contains("wg0.key.previous"), "{refused}");
    said += &refused;
    run(Command::new("chmod").arg("600").arg(&path));
    ravelin.reload().expect("all is well again");
    ping_all(&lab.client, SERVER[0], 3, 56);

    // Without the file, and with one that is old, there is no key before; nobody may read that then.
    fs::remove_file(&previous).expect("it is ours");
    ravelin.reload().expect("it need not be there");
    assert!(!ravelin.ask(&["wg", "show"]).expect("an answer").contains("previous"));
    fs::write(&previous, "no key").expect("it is ours");
    let old = fs::File::options().append(true).open(&previous).expect("it is ours");
    let day = Duration::from_hours(25);
    old.set_modified(std::time::SystemTime::now() - day).expect("a file has a time");
    ravelin.reload().expect("what is over does not matter");
    tell_instead(&tunnel, &public_key(&new), &tunnel.keys.public);
    ping_all(&lab.client, SERVER[0], 3, 56);
    said += &ravelin.finish_with_log(&["wireguard_no_session", "wireguard_bad_mac"]).1;
    said += &fs::read_to_string(records).expect("there are records");
    for key in [&tunnel.keys.private, &new, &stranger] {
        let hex = said.to_lowercase();
        let [_, base64, digits] = forms(key);
        assert!(!said.contains(&base64) && !hex.contains(&digits), "a key was said");
    }
}

#[test]
fn keys_that_stand_elsewhere_are_left_alone() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let conf = format!(
        "[Interface]\nPrivateKey = {}\nListenPort = {PORT}\n[Peer]\nPublicKey = {}\nAllowedIPs = 10.9.0.2/32\n",
        tunnel.keys.private,
        tunnel.peer.public_key()
    );
    let path = secret(&tunnel.lab, "wg0.conf", &conf);
    let ravelin =
        start(&tunnel.lab, &format!("[[wireguard]]\nname = \"wg0\"\nconf = \"{}\"\n", path.display()));
    let refused = ravelin.ask(&["wg", "rotate", "wg0"]).expect_err("a file of wg-quick is not written");
    assert!(refused.contains("private_key_file") && refused.contains("ravelin reload"), "{refused}");
    assert_eq!(fs::read_to_string(&path).expect("it is ours"), conf);
    ravelin.finish(&[]);
}

#[test]
fn a_peer_that_is_only_spoken_to_is_found_under_the_new_key() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(&tunnel.lab.client, SERVER[0], 3, 56);
    let new = rotate(&ravelin, &tunnel.keys.public);
    tell_instead(&tunnel, &new, &tunnel.keys.public);
    // There is a session that the peer knows nothing of any more, and says nothing about.
    assert!(!pings(&tunnel.lab.server, THEIRS[0]));
    wait_for("the peer to answer under the new key", || pings(&tunnel.lab.server, THEIRS[0]));
    ping_all(&tunnel.lab.server, THEIRS[0], 3, 56);
    assert!(shown(&ravelin, "client").get("is_under_previous_key").is_none());
    ravelin.finish(&[]);
}
