use std::net::{IpAddr, SocketAddr};

use super::{PeerSlot, wire::Ends};
use crate::io::PortId;

/// A message that is neither data nor an answer to data: of a handshake, a cookie, or a keepalive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    bytes: [u8; Self::MOST],
    length: u8,
    /// For whom it is.
    pub(super) to: To,
}

/// For whom a message is.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
    /// A peer, wherever it is.
    Peer(PeerSlot),
    /// Somebody of whom nothing is known but where their message to an interface came from, and to which address of ours.
    Stranger { interface: PortId, local: Option<IpAddr>, remote: SocketAddr },
    /// The same on the wire of a bridge.
    Sender { interface: PortId, ends: Ends, peer: Option<PeerSlot> },
}

impl Message {
    /// The longest one, that which begins a handshake.
    pub(super) const MOST: usize = 148;

    /// A message of these bytes; none if they are too many.
    pub(super) fn new(content: &[u8], to: To) -> Option<Self> {
        let mut bytes = [0; Self::MOST];
        bytes.get_mut(..content.len())?.copy_from_slice(content);
        Some(Self { bytes, length: u8::try_from(content.len()).ok()?, to })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}
