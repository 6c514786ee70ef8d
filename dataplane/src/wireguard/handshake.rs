use std::net::IpAddr;

use boringtun::noise::{
    HandshakeInit, Packet, TunnResult, errors::WireGuardError, handshake::parse_handshake_anon,
};

use super::{Identity, Interface, PeerSlot, message::To, stage::Tunnels, state::kind};
use crate::{counters::WorkerCounters, verdict::DropReason};

/// The longest answer to somebody who has to show first that they receive what is sent to them.
const COOKIE: usize = 64;

impl<F> Tunnels<F> {
    /// Who begins a handshake, if it may be begun now: cheap tests first, then the one multiplication that says who it is.
    pub(super) fn admit(
        &mut self,
        interface: &Interface,
        message: &[u8],
        sender: (IpAddr, To),
        counters: &mut WorkerCounters,
    ) -> Result<PeerSlot, DropReason> {
        let (address, sender) = sender;
        let Identity { private, public, limiter } = &*interface.identity;
        let mut answer = [0; COOKIE];
        let initiation: HandshakeInit<'_> = match limiter.verify_packet(Some(address), message, &mut answer) {
            Ok(Packet::HandshakeInit(initiation)) => initiation,
            Err(TunnResult::WriteToNetwork(cookie)) => {
                debug_assert_eq!(cookie.first(), Some(&kind::COOKIE), "nothing else is answered unseen");
                let content = *answer.first_chunk::<COOKIE>().ok_or(DropReason::WireguardMalformed)?;
                self.post(&content, sender);
                counters.wireguard_cookies_sent += 1;
                return Err(DropReason::WireguardCookieRequired);
            }
            Err(TunnResult::Err(WireGuardError::InvalidMac)) => return Err(DropReason::WireguardBadMac),
            Ok(Packet::HandshakeResponse(_) | Packet::PacketCookieReply(_) | Packet::PacketData(_))
            | Err(
                TunnResult::Err(_)
                | TunnResult::Done
                | TunnResult::WriteToTunnelV4(..)
                | TunnResult::WriteToTunnelV6(..),
            ) => return Err(DropReason::WireguardMalformed),
        };
        self.handshakes = self.handshakes.checked_sub(1).ok_or(DropReason::WireguardBusy)?;
        let half = parse_handshake_anon(private, public, &initiation)
            .map_err(|_| DropReason::WireguardHandshakeFailed)?;
        interface.keys.get(&half.peer_static_public).copied().ok_or(DropReason::WireguardUnknownPeer)
    }
}
