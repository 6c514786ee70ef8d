use std::sync::Arc;

use boringtun::noise::{Tunn, TunnResult, errors::WireGuardError};

use super::{Counter, Identity, peer::Offer, state::kind};
use crate::{clock::Timestamp, verdict::DropReason};

/// What a peer is to us under one of our keys: its state machine, and what that does not say.
pub(super) struct Machine {
    /// Who of ours it speaks for.
    pub(super) identity: Arc<Identity>,
    pub(super) tunn: Box<Tunn>,
    /// Whether there is a session to send under.
    pub(super) is_up: bool,
    /// What we call the session that the peer has asked for last, while that has carried nothing yet.
    pub(super) unconfirmed: Option<u32>,
    /// When the last handshake was completed.
    pub(super) since: Timestamp,
    /// Handshakes begun since then.
    asked: u8,
}

impl Machine {
    /// One without a session.
    pub(super) fn new(Offer { identity, tunn }: Offer) -> Self {
        let since = Timestamp::ZERO;
        Self { identity, tunn, is_up: false, unconfirmed: None, since, asked: 0 }
    }

    /// Whether there is a session, and nothing new to be learned from a packet under the one that we call `index`: it may be one before the
    /// one that the peer has asked for.
    #[inline]
    pub(super) fn is_settled(&self, index: Option<u32>) -> bool {
        self.is_up && (self.unconfirmed.is_none() || self.unconfirmed != index)
    }

    /// Whether there is a session that the peer does not seem to know any more: it was asked for another one, and then again.
    pub(super) const fn is_in_vain(&self) -> bool {
        self.is_up && self.asked > 1
    }

    /// A handshake was completed.
    pub(super) const fn established(&mut self, now: Timestamp) {
        (self.is_up, self.unconfirmed, self.since, self.asked) = (true, None, now, 0);
    }

    /// A handshake was begun, or begun again.
    pub(super) const fn asked(&mut self) {
        self.asked = self.asked.saturating_add(1);
    }

    /// Begins a handshake, unless one is under way.
    pub(super) fn begin(&mut self, into: &mut [u8]) -> Option<(u8, usize)> {
        written(self.tunn.format_handshake_initiation(into, false))
    }

    /// What time has come for.
    pub(super) fn tick(&mut self, into: &mut [u8]) -> Option<(u8, usize)> {
        let message = written(self.tunn.update_timers(into));
        self.is_up = self.tunn.time_since_last_handshake().is_some();
        message
    }
}

/// What a state machine wrote to be sent: its first byte, and how long it is.
fn written(result: TunnResult<'_>) -> Option<(u8, usize)> {
    match result {
        TunnResult::WriteToNetwork(message) => Some((message.first().copied()?, message.len())),
        TunnResult::Done
        | TunnResult::Err(_)
        | TunnResult::WriteToTunnelV4(..)
        | TunnResult::WriteToTunnelV6(..) => None,
    }
}

/// Why a message is dropped, and what its peer counts.
pub(super) fn refused(first: u8, error: &WireGuardError) -> (DropReason, Option<Counter>) {
    match error {
        WireGuardError::InvalidCounter | WireGuardError::DuplicateCounter => {
            (DropReason::WireguardReplay, Some(Counter::Replay))
        }
        WireGuardError::InvalidAeadTag if first == kind::DATA => {
            (DropReason::WireguardBadTag, Some(Counter::BadTag))
        }
        WireGuardError::WrongIndex | WireGuardError::NoCurrentSession | WireGuardError::ConnectionExpired
            if first == kind::DATA =>
        {
            (DropReason::WireguardNoSession, Some(Counter::NoSession))
        }
        WireGuardError::InvalidPacket => (DropReason::WireguardInside, Some(Counter::Malformed)),
        // Not known to be of the peer.
        WireGuardError::InvalidMac => (DropReason::WireguardBadMac, None),
        WireGuardError::UnderLoad => (DropReason::WireguardCookieRequired, None),
        WireGuardError::WrongIndex
        | WireGuardError::NoCurrentSession
        | WireGuardError::ConnectionExpired
        | WireGuardError::InvalidAeadTag
        | WireGuardError::DestinationBufferTooSmall
        | WireGuardError::IncorrectPacketLength
        | WireGuardError::UnexpectedPacket
        | WireGuardError::WrongPacketType
        | WireGuardError::WrongKey
        | WireGuardError::InvalidTai64nTimestamp
        | WireGuardError::WrongTai64nTimestamp
        | WireGuardError::LockFailed => {
            (DropReason::WireguardHandshakeFailed, Some(Counter::HandshakeFailed))
        }
    }
}
