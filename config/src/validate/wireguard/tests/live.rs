use super::*;
use crate::validate::wireguard::{Standing, read_peers};
use crate::wireguard::{PublicKey, WireguardPeer};
use std::collections::BTreeMap;

/// What is wrong with a file that changes peers: kind, and line.
fn wrong(text: &str) -> Vec<(Code, usize)> {
    let is_own = |key: &PrivateKey| *key == PRIVATE.parse().unwrap();
    let standing = Standing { name: "wg0", listen_port: 51_820, has_key: &is_own };
    let report = read_peers(text, "peers.conf", &standing).unwrap_err();
    let shown = report.to_string();
    assert!(!shown.contains(&PRIVATE[..8]) && !shown.contains(&OTHER[..8]), "{shown}");
    report.diagnostics().iter().map(|it| (it.code, it.span.as_ref().unwrap().line)).collect()
}

#[test]
fn a_file_that_changes_peers_says_of_the_interface_what_is_so() {
    let standing = Standing { name: "wg0", listen_port: 51_820, has_key: &|_| true };
    let text = format!(
        "[Interface]\nPrivateKey = {PRIVATE}\nListenPort = 51820\nFwMark = 7\n\
        [Peer]\nPublicKey = {ALICE}\nAllowedIPs = 10.8.0.2/24\n"
    );
    let file = read_peers(&text, "peers.conf", &standing).unwrap();
    assert!(file.holds_secrets);
    assert_eq!((file.peers.len(), file.warnings.warnings()), (1, 2), "{}", file.warnings);
    assert_eq!(texts(&file.peers[0].allowed_ips), ["10.8.0.0/24"]);
    let text = format!("[Peer]\nPublicKey = {ALICE}\nPresharedKey = {OTHER}\n");
    let file = read_peers(&text, "peers.conf", &standing).unwrap();
    assert_eq!(file.peers[0].preshared_key_place, Some(KeyPlace::File("peers.conf".into())));
    assert!(!read_peers("", "peers.conf", &standing).unwrap().holds_secrets);

    let interface = |line: &str| wrong(&format!("[Interface]\n{line}\n"));
    assert_eq!(interface(&format!("PrivateKey = {OTHER}")), [(Code::Combination, 2)]);
    for line in ["ListenPort = 1", "Address = 10.8.0.1/24", "MTU = 1400", "Table = off"] {
        assert_eq!(interface(line), [(Code::Combination, 2)], "{line}");
    }
    let peers =
        format!("[Peer]\nPublicKey = {ALICE}\n[Peer]\nPublicKey = {ALICE}\nAllowedIPs = 10.0.0.1/33\n");
    assert_eq!(wrong(&peers), [(Code::PeerTaken, 4), (Code::Malformed, 5)]);
}

#[test]
fn peers_that_change_while_it_runs_have_the_names_of_the_configuration() {
    let directory = Directory::new("live");
    let config = directory.config(&section(&format!(
        "[[wireguard.peer]]\nname = 'alice'\npublic_key = '{ALICE}'\nallowed_ips = ['10.8.0.2']\n\
        preshared_key_file = 'other'\n[[wireguard.peer]]\npublic_key = '{BOB}'\nlabels = {{ a = 'b' }}\n"
    )));
    let wg = &config.wireguards[0];
    assert_eq!(wg.private_key_place, KeyPlace::File(directory.0.join("key")));
    let alice = &wg.peers[0];
    assert_eq!(alice.preshared_key_place, Some(KeyPlace::File(directory.0.join("other"))));
    assert_eq!(config.with_peers(&BTreeMap::new()), config);
    let same = BTreeMap::from([(wg.name.clone(), wg.peers.clone())]);
    assert_eq!(config.with_peers(&same), config);

    let nameless =
        WireguardPeer { name: None, allowed_ips: vec!["10.9.0.0/16".parse().unwrap()], ..alice.clone() };
    let stranger =
        WireguardPeer { public_key: PublicKey([1; 32]), allowed_ips: Vec::new(), ..nameless.clone() };
    let live = BTreeMap::from([(wg.name.clone(), vec![stranger, nameless])]);
    let changed = config.with_peers(&live);
    let names: Vec<_> = changed.wireguards[0].peers.iter().map(|peer| peer.name.as_deref()).collect();
    assert_eq!(names, [None, Some("alice")]);
    let sets = &changed.resources.network_sets;
    assert_eq!(
        sets.iter().map(|set| texts(&set.nets)).collect::<Vec<_>>(),
        [vec!["10.9.0.0/16".to_owned()], vec![]]
    );
    let fields: Vec<_> = diff(&config, &changed).into_iter().map(|change| change.field).collect();
    assert!(fields.contains(&"wireguard[wg0].peer[alice].allowed_ips".to_owned()), "{fields:?}");
    assert!(diff(&config, &changed).iter().all(|change| change.live));
}
