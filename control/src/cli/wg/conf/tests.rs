use zeroize::Zeroizing;

use super::*;
use crate::cli::wg::fixture::interfaces;

/// Keys of the examples of wg(8).
const A: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const B: &str = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
const SECRET: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

fn read(text: &str) -> Result<PeersFile, Report> {
    let standing = Standing { name: "wg0", listen_port: 51_820, has_key: &|_| true };
    read_peers(text, "wg0.conf", &standing)
}

#[test]
fn a_file_says_all_of_a_peer_but_where_it_is_and_its_secret() {
    let file = read(&format!(
        "[Interface]\nPrivateKey = {SECRET}\nListenPort = 51820\n[Peer]\nPublicKey = {A}\n\
         [Peer]\nPublicKey = {B}\nPresharedKey = {SECRET}\nEndpoint = site.example:1\nAllowedIPs = 10.0.0.1/8\n\
         AllowedIPs = fd00::1\nPersistentKeepalive = 25\n"
    ));
    let file = file.unwrap();
    assert!(file.holds_secrets);
    let changes: Vec<_> = file.peers.iter().map(change).collect();
    let nothing = WireguardPeerChange {
        public_key: A.to_owned(),
        persistent_keepalive_seconds: Some(0),
        allowed_ips: Some(Vec::new()),
        ..WireguardPeerChange::default()
    };
    let all = WireguardPeerChange {
        public_key: B.to_owned(),
        preshared_key: Some(SentKey(Zeroizing::new(SECRET.to_owned()))),
        endpoint: Some("site.example:1".to_owned()),
        persistent_keepalive_seconds: Some(25),
        allowed_ips: Some(vec!["10.0.0.0/8".to_owned(), "fd00::1/128".to_owned()]),
        ..WireguardPeerChange::default()
    };
    assert_eq!(changes, [nothing, all]);
    assert!(!format!("{changes:?}").contains(&SECRET[..8]));

    let mut interface = interfaces().remove(0);
    assert!(keeping(&file, &interface).is_empty());
    interface.peers[1].public_key = A.to_owned();
    assert_eq!(keeping(&file, &interface), [A]);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let failure = refused(Path::new("wg0.conf"), &read("[Peer]\nEndpoint = 192.0.2.1\n").unwrap_err());
    let text = failure.to_string();
    assert!(text.starts_with("`wg0.conf` cannot be used; nothing has changed\n\n"), "{text}");
    assert!(text.contains("wg0.conf:2:12") && text.contains("has no `PublicKey`"), "{text}");
}
