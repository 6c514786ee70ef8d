use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use ravelin_config::wireguard::PeerEndpoint;
use ravelin_dataplane::wireguard::Peer;

use crate::supervisor::privileges;

/// How long it takes until a name is asked for again.
const AGAIN: Duration = Duration::from_secs(10);

/// Has the worker of a peer told where it is; asks for the addresses of a name in a thread of its own, until there are any.
pub(super) fn tell(endpoint: &PeerEndpoint, peer: &Arc<Peer>) {
    match endpoint {
        PeerEndpoint::Address(address) => peer.send_to(*address),
        PeerEndpoint::Host { name, port } => {
            let (place, peer) = ((name.clone(), *port), Arc::downgrade(peer));
            let asking =
                thread::Builder::new().name("wireguard-names".into()).spawn(move || ask(&place, &peer));
            if let Err(error) = asking {
                tracing::error!(%name, %error, "nobody can ask where a peer is");
            }
        }
    }
}

fn ask((host, port): &(String, u16), peer: &Weak<Peer>) {
    if let Err(error) = privileges::drop_all() {
        tracing::warn!(%error, "a thread that asks for names keeps its privileges");
    }
    let mut is_told = false;
    while peer.strong_count() > 0 {
        match (&**host, *port).to_socket_addrs().map(|mut addresses| addresses.next()) {
            Ok(Some(address)) => {
                found(peer, address);
                return;
            }
            answer if !is_told => {
                let error =
                    answer.err().map_or_else(|| "it has no address".to_owned(), |error| error.to_string());
                tracing::warn!(name = %host, %error, "the name of a peer's endpoint is not known; it is asked for again");
                is_told = true;
            }
            Ok(None) | Err(_) => {}
        }
        thread::sleep(AGAIN);
    }
}

fn found(peer: &Weak<Peer>, address: SocketAddr) {
    if let Some(peer) = peer.upgrade() {
        peer.send_to(address);
    }
}
