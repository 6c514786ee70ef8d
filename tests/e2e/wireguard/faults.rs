//! Tunnels with those who have wrong keys, or say things twice; and what becomes known of keys.

use std::{fmt::Write as _, fs, net::UdpSocket, path::Path, process::Command};

use ravelin_tests::{
    binary,
    gateway::{OUTSIDE, SERVER},
    process::{attempt, run},
    topology::ping_all,
    wireguard::{Keys, Kind, preshared_key},
};

use super::tunnel::{PORT, Tunnel, secret, shown};

#[test]
fn who_has_wrong_keys_gets_no_session_and_others_do() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let client = &tunnel.lab.client;
    let (preshared, misled, stranger) = (tunnel.other(3), tunnel.other(4), tunnel.other(5));
    let path = secret(&tunnel.lab, "other.psk", &preshared_key());
    let more = format!(
        "preshared_key_file = \"{}\"\nendpoint = \"10.8.1.2:{}\"",
        path.display(),
        PORT + preshared.number
    );
    let ravelin = tunnel.start(&(preshared.section(&more) + &misled.section("")));
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(client, SERVER[0], 3, 56);
    preshared.tell(&tunnel.keys.public);
    misled.tell(&Keys::new().public);
    stranger.tell(&tunnel.keys.public);

    // The gateway begins: it is the one who finds out.
    assert!(!tunnel.lab.appliance.succeeds("ping -n -q -c 2 -i 0.2 -W 1 10.9.0.3"));
    ravelin
        .wait_for_counters("a preshared key to be wrong", |it| it.dropped("wireguard_handshake_failed") > 0);
    assert!(!misled.pings(client));
    ravelin.wait_for_counters("a key of ours to be wrong", |it| it.dropped("wireguard_bad_mac") > 0);
    assert!(!stranger.pings(client));
    ravelin.wait_for_counters("a stranger", |it| it.dropped("wireguard_unknown_peer") > 0);
    for name in ["wg3", "wg4"] {
        let peer = shown(&ravelin, name);
        assert_eq!(
            (&peer["latest_handshake"], &peer["counters"]["handshakes"]),
            (&0.into(), &0.into()),
            "{peer}"
        );
    }
    assert!(shown(&ravelin, "wg3")["counters"]["handshake_failed"].as_u64() > Some(0));

    ping_all(client, SERVER[0], 3, 56);
    assert_eq!(shown(&ravelin, "client")["session"], "up");
    ravelin.finish(&[
        "wireguard_handshake_failed",
        "wireguard_bad_mac",
        "wireguard_unknown_peer",
        "wireguard_no_session",
    ]);
}

/// The content of the UDP datagrams in a file of tcpdump, over IPv4 without options.
fn datagrams(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).expect("tcpdump wrote it");
    let (mut rest, mut found) = (&file[24..], Vec::new());
    while rest.len() >= 16 {
        let length = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        found.push(rest[16 + 14 + 20 + 8..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    found
}

#[test]
fn what_is_said_again_is_not_heard_again() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let client = &tunnel.lab.client;
    let ravelin = tunnel.start("");
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(client, SERVER[0], 1, 56);
    let path = tunnel.lab.folder().join("messages.pcap");
    // Data, by the first byte of the message.
    let line = format!(
        "tcpdump -i eth0 -Z root -U --immediate-mode -w {} udp dst port {PORT} and dst host 10.8.1.1 and udp[8] = 4",
        path.display()
    );
    let mut capture = tunnel.lab.spawn(client, &line);
    capture.wait_for_output("listening on eth0");
    ping_all(client, SERVER[0], 5, 56);
    capture.signal(rustix::process::Signal::INT);
    capture.finish();
    let messages = datagrams(&path);
    assert!(messages.len() >= 5, "{} messages", messages.len());

    let before = ravelin.counters();
    // From another port: whoever repeats a message is not its peer.
    let socket = client.inside(|| UdpSocket::bind("10.8.1.2:0")).expect("a port is free");
    for message in &messages {
        socket.send_to(message, (OUTSIDE[0], PORT)).expect("the gateway is there");
    }
    let count = messages.len() as u64;
    let after = ravelin.wait_for_counters("replays", |it| it.dropped("wireguard_replay") >= count);
    assert_eq!(after.dropped("wireguard_replay"), count);
    assert_eq!(after["wireguard_opened"], before["wireguard_opened"], "nothing is delivered twice");
    let peer = shown(&ravelin, "client");
    assert_eq!(
        (&peer["counters"]["replay"], &peer["counters"]["roams"]),
        (&count.into(), &0.into()),
        "{peer}"
    );
    assert_eq!(peer["endpoint"], format!("10.8.1.2:{PORT}"));
    ping_all(client, SERVER[0], 3, 56);
    ravelin.finish(&["wireguard_replay"]);
}

/// What a key looks like: in base64, also without padding, and in hexadecimal digits.
pub(super) fn forms(key: &str) -> [String; 3] {
    let script = "printf %s \"$0\" | base64 -d | od -An -v -tx1 | tr -d ' \\n'";
    let hex = run(Command::new("sh").args(["-c", script, key]));
    assert_eq!(hex.len(), 64, "a key has 32 bytes");
    [key.to_owned(), key.trim_end_matches('=').to_owned(), hex]
}

/// Everything that can be asked of a process, and everything that it has said.
pub(super) fn everything(tunnel: &Tunnel, ravelin: &ravelin_tests::ravelin::Ravelin) -> String {
    let mut text = ravelin.log();
    let shown =
        ["status", "interfaces", "workers", "counters", "flows", "policy", "routes", "peers", "drops"];
    let mut questions: Vec<Vec<&str>> = shown.iter().map(|what| vec!["show", what]).collect();
    questions.push(vec!["wg", "show"]);
    questions.extend(["dump", "private-key", "preshared-keys"].map(|what| vec!["wg", "show", "wg0", what]));
    questions.push(vec!["wg", "show", "all", "dump"]);
    for question in &questions {
        for more in [&[][..], &["--json"]] {
            let answer = ravelin.ask(&[question, more].concat());
            let _infallible = write!(text, "{}", answer.unwrap_or_else(|error| error));
        }
    }
    let folder = tunnel.lab.folder();
    for verb in ["check", "lint"] {
        let mut command = tunnel.lab.appliance.command(binary::ravelin());
        let (_, out, error) = attempt(command.arg(verb).arg(folder.join("ravelin.toml")));
        text = text + &out + &error;
    }
    for path in ["wireguard", "status", "interfaces", "counters", "flows", "routes"] {
        let mut command = tunnel.lab.appliance.command("curl");
        command.args(["--silent", "--unix-socket"]).arg(folder.join("control.sock"));
        text += &run(command.arg(format!("http://ravelin/{path}")));
    }
    text += &tunnel.lab.appliance.run("curl --silent --fail http://127.0.0.1:9100/metrics");
    text + &fs::read_to_string(folder.join("records.jsonl")).expect("there are records")
}

#[test]
fn keys_are_in_nothing_that_is_said() {
    let Some(tunnel) = Tunnel::new(Kind::Go) else { return };
    let folder = tunnel.lab.folder();
    let records = folder.join("records.jsonl");
    let more = format!(
        "[log]\nlevel = \"trace\"\n[metrics]\nlisten = \"127.0.0.1:9100\"\n[records]\nfile = \"{}\"\n",
        records.display()
    );
    let ravelin = tunnel.start(&more);
    tunnel.tell_peer(Some(&format!("{}:{PORT}", OUTSIDE[0])));
    ping_all(&tunnel.lab.client, SERVER[0], 3, 56);
    let mut said = everything(&tunnel, &ravelin);
    let public = tunnel.keys.public.as_str();
    assert!(
        said.contains(public) && said.contains(tunnel.peer.public_key()),
        "public keys are said:\n{said}"
    );

    // Files that are wrong in ways that leave the key readable.
    for (name, key) in [("wg0.key", &tunnel.keys.private), ("peer.psk", &tunnel.preshared)] {
        let [whole, short, hex] = forms(key);
        for wrong in [
            short,
            hex,
            format!("{whole} {whole}"),
            format!("{whole}\n{whole}"),
            format!("PrivateKey = {whole}"),
        ] {
            secret(&tunnel.lab, name, &wrong);
            said += &ravelin.reload().expect_err("this is no key");
            said += &everything(&tunnel, &ravelin);
        }
        let path = secret(&tunnel.lab, name, key);
        run(Command::new("chmod").arg("644").arg(&path));
        said += &ravelin.reload().expect_err("others can read it");
        run(Command::new("chmod").arg("600").arg(&path));
    }
    ravelin.reload().expect("all is well again");
    ping_all(&tunnel.lab.client, SERVER[0], 3, 56);
    said += &ravelin.finish_with_log(&[]).1;
    said += &fs::read_to_string(records).expect("there are records");
    for key in [&tunnel.keys.private, &tunnel.preshared] {
        let hex = said.to_lowercase();
        let [_, base64, digits] = forms(key);
        assert!(!said.contains(&base64) && !hex.contains(&digits), "a key was said");
    }
}
