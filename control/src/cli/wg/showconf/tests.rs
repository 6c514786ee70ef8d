use ravelin_config::wireguard::{Standing, read_peers};

use super::*;
use crate::cli::wg::fixture::interfaces;

#[test]
fn what_is_shown_is_in_the_format_of_wg_without_secrets() {
    let all = interfaces();
    let text = conf(&all[0]);
    assert_eq!(
        text,
        "\
[Interface]
ListenPort = 51820
# PrivateKey is not shown. It came from /etc/ravelin/wg0.key.

[Peer]
# laptop
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D1=

[Peer]
# site-b
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D2=
# PresharedKey is not shown. It came from the credential site?b.
AllowedIPs = 10.20.0.0/16, fd20::/48
Endpoint = 192.0.2.2:51820
PersistentKeepalive = 25

[Peer]
# phone
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D3=
AllowedIPs = 10.9.0.3/32
Endpoint = [2001:db8::7]:40000"
    );
    // And is read again: keys of the fixture are none, so the last letter of each is another.
    let text = ["1=", "2=", "3="]
        .iter()
        .zip(["g=", "k=", "o="])
        .fold(text, |text, (is, becomes)| text.replace(&format!("8D{is}"), &format!("8D{becomes}")));
    let standing = Standing { name: "wg0", listen_port: 51_820, has_key: &|_| false };
    let file = read_peers(&text, "saved", &standing).unwrap();
    assert_eq!((file.peers.len(), file.holds_secrets, file.warnings.is_empty()), (3, false, true));
    assert_eq!(file.peers[1].allowed_ips.len(), 2);
}
