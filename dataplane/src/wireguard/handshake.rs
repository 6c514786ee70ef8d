use std::net::IpAddr;

use boringtun::noise::{
    HandshakeInit, Packet, TunnResult, errors::WireGuardError, handshake::parse_handshake_anon,
};

use super::{Identity, Interface, Parity, PeerSlot, message::To, stage::Tunnels, state::kind};
use crate::{counters::WorkerCounters, verdict::DropReason};

/// The longest answer to somebody who has to show first that they receive what is sent to them.
const COOKIE: usize = 64;

impl<F> Tunnels<F> {
    /// Who begins a handshake and under which key of ours, if it may be begun now: cheap tests first, then the one multiplication that says
    /// who it is.
    pub(super) fn admit(
        &mut self,
        interface: &Interface,
        message: &[u8],
        sender: (IpAddr, To),
        counters: &mut WorkerCounters,
    ) -> Result<(PeerSlot, Parity), DropReason> {
        let (address, sender) = sender;
        let mut initiation = Err(Unfit::Key);
        for identity in interface.identities() {
            initiation = recognise(identity, address, message).map(|it| (&**identity, it));
            // One for another key is for the one before, or for none.
            if !matches!(initiation, Err(Unfit::Key)) {
                break;
            }
        }
        let (Identity { private, public, parity, .. }, initiation) = match initiation {
            Ok(initiation) => initiation,
            Err(Unfit::Unproven(cookie)) => {
                self.post(&cookie, sender);
                counters.wireguard_cookies_sent += 1;
                return Err(DropReason::WireguardCookieRequired);
            }
            Err(Unfit::Key) => return Err(DropReason::WireguardBadMac),
            Err(Unfit::Malformed) => return Err(DropReason::WireguardMalformed),
        };
        self.handshakes = self.handshakes.checked_sub(1).ok_or(DropReason::WireguardBusy)?;
        let half = parse_handshake_anon(private, public, &initiation)
            .map_err(|_| DropReason::WireguardHandshakeFailed)?;
        let slot = interface.keys.get(&half.peer_static_public).ok_or(DropReason::WireguardUnknownPeer)?;
        Ok((*slot, *parity))
    }
}

/// Why a message begins no handshake.
enum Unfit {
    /// It is for another key.
    Key,
    /// Its sender has to show first that this reaches it.
    Unproven([u8; COOKIE]),
    Malformed,
}

/// The beginning of a handshake with this identity.
fn recognise<'m>(identity: &Identity, remote: IpAddr, message: &'m [u8]) -> Result<HandshakeInit<'m>, Unfit> {
    let mut answer = [0; COOKIE];
    match identity.limiter.verify_packet(Some(remote), message, &mut answer) {
        Ok(Packet::HandshakeInit(initiation)) => Ok(initiation),
        Err(TunnResult::WriteToNetwork(cookie)) => {
            debug_assert_eq!(cookie.first(), Some(&kind::COOKIE), "nothing else is answered unseen");
            Err(cookie.first_chunk().map_or(Unfit::Malformed, |cookie| Unfit::Unproven(*cookie)))
        }
        Err(TunnResult::Err(WireGuardError::InvalidMac)) => Err(Unfit::Key),
        Ok(Packet::HandshakeResponse(_) | Packet::PacketCookieReply(_) | Packet::PacketData(_))
        | Err(
            TunnResult::Err(_)
            | TunnResult::Done
            | TunnResult::WriteToTunnelV4(..)
            | TunnResult::WriteToTunnelV6(..),
        ) => Err(Unfit::Malformed),
    }
}
