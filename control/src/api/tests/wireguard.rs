use super::serve;
use crate::{
    api::{
        client::{self, ClientError},
        view::{SentKey, WireguardChange, WireguardChanged, WireguardInterface, WireguardPeerChange},
    },
    testing::{BRIDGE, Running},
};

const KEY: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const SECRET: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

#[tokio::test]
async fn who_has_no_wireguard_interface_is_told_of_none() {
    let running = Running::start(BRIDGE, 1);
    let (socket, _claim) = serve(&running);
    let interfaces: Vec<WireguardInterface> = client::get(&socket, "/wireguard").await.unwrap();
    assert!(interfaces.is_empty());
}

/// What is said to a change, and whether it is the fault of who asks.
async fn refusal(running: &Running, name: &str, change: &serde_json::Value) -> (bool, String) {
    let socket = running.directory.file("control.sock");
    let path = format!("/wireguard/{name}/peers");
    let error = client::send_json::<WireguardChanged>(&socket, &path, change).await.unwrap_err();
    let ClientError::Refused { wrong, refusal } = error else { panic!("{error}") };
    (wrong, refusal.error)
}

#[tokio::test]
async fn a_change_of_peers_is_understood_or_refused_and_no_secret_is_repeated() {
    let running = Running::start(BRIDGE, 1);
    let _served = serve(&running);
    let peer = WireguardPeerChange {
        preshared_key: Some(SentKey(SECRET.to_owned().into())),
        ..WireguardPeerChange { public_key: KEY.to_owned(), ..WireguardPeerChange::default() }
    };
    let change = WireguardChange { replace_peers: true, peers: vec![peer] };
    assert!(!format!("{change:?}").contains(&SECRET[..8]));
    let good = serde_json::to_value(&change).unwrap();
    for name in ["wg0", "%2E%2E"] {
        let (wrong, error) = refusal(&running, name, &good).await;
        assert!(wrong && error.starts_with("there is no WireGuard interface `"), "{error}");
    }
    for (key, value, says) in [
        ("public_key", "nobody", "peer 1: public_key: a key has 44 characters"),
        ("preshared_key", &SECRET[1..], "peer 1: preshared_key: a key has 44 characters"),
        ("presharedkey", SECRET, "this is not a change of peers, from line 1, column "),
        ("endpoint", "192.0.2.1", "peer 1: endpoint: an endpoint has a port"),
    ] {
        let mut asked = good.clone();
        asked["peers"][0][key] = value.into();
        let (wrong, error) = refusal(&running, "wg0", &asked).await;
        assert!(wrong && error.contains(says) && !error.contains(&SECRET[1..9]), "{key}: {error}");
    }
    let mut asked = good;
    asked["peers"][0]["allowed_ips"] = serde_json::json!(["10.0.0.0/8", "*10.0.0.1"]);
    let (_, error) = refusal(&running, "wg0", &asked).await;
    assert!(error.starts_with("peer 1: allowed_ips: expected an IP address or prefix"), "{error}");
}
