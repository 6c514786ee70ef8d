use std::net::IpAddr;

use ravelin_config::types::{MssClamp, Protocol};

use super::{
    AllowedIps, Interface,
    envelope::{Datagram, ETHERNET},
};
use crate::{
    parse::{FragmentKind, Headers, Network, tcp_flags},
    route::{clamp_mss, is_of_link},
};

/// The wire of a bridge, on which two appliances encrypt what those behind them say to each other, and nobody else notices.
#[derive(Debug)]
pub struct Wire {
    /// Who is behind this bridge: any peer.
    pub local: AllowedIps,
    /// To what TCP connections are held that cross it encrypted.
    pub mss_clamp: MssClamp,
}

/// What a packet that comes from the wire is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A message of a peer, or meant to be one.
    Message,
    /// It passes as it is.
    Plain,
    /// It should have been encrypted.
    Refused,
}

impl Wire {
    /// Whether a packet that leaves through the wire is encrypted. Neighbours find each other in the clear, as ARP does.
    #[inline]
    pub(super) fn carries(&self, interface: &Interface, headers: &Headers) -> bool {
        headers.is_ip()
            && !headers.neighbour_discovery
            && !headers.destination.is_multicast()
            && !is_of_link(headers.destination)
            && interface.allowed.peer(headers.destination).is_some()
            && self.local.peer(headers.source).is_some()
    }

    /// What a packet is that comes from the wire.
    #[inline]
    pub(super) fn hear(&self, interface: &Interface, headers: &Headers) -> Heard {
        if !headers.is_ip() || self.local.peer(headers.destination).is_none() {
            return Heard::Plain;
        }
        if headers.protocol == Protocol::UDP
            && headers.fragment.kind == FragmentKind::Whole
            && headers.destination_port == interface.listen_port
        {
            return Heard::Message;
        }
        let is_refused = interface.requires_encryption
            && !headers.neighbour_discovery
            && !is_of_link(headers.source)
            && interface.allowed.peer(headers.source).is_some();
        if is_refused { Heard::Refused } else { Heard::Plain }
    }

    /// Clamps what an end of a TCP connection says of the segments that it takes, if the packet opens one; returns whether it said more.
    #[inline]
    pub(super) fn clamp(&self, mtu: u16, frame: &mut [u8], headers: &Headers) -> bool {
        let opens = headers.protocol == Protocol::TCP && headers.tcp.flags & tcp_flags::SYN != 0;
        opens && headers.fragment.kind == FragmentKind::Whole && self.clamp_opening(mtu, frame, headers)
    }

    #[inline(never)]
    fn clamp_opening(&self, mtu: u16, frame: &mut [u8], headers: &Headers) -> bool {
        // What is in front of a segment without options (RFC 6691).
        let before = if headers.network == Network::Ipv4 { 40 } else { 60 };
        let fits = mtu.saturating_sub(before);
        let most = match self.mss_clamp {
            MssClamp::Off => return false,
            MssClamp::Path => fits,
            MssClamp::Most(bytes) => bytes.min(fits),
        };
        clamp_mss(frame, headers, most)
    }
}

/// Between whom a message travels on a wire: what stands before the IP header, and the addresses in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    ethernet: [u8; Self::MOST],
    length: u8,
    addresses: [IpAddr; 2],
}

impl Ends {
    /// Ethernet with two tags.
    const MOST: usize = ETHERNET + 8;
    /// The longest headers in front of a message.
    pub(super) const HEADERS_MOST: usize = Self::MOST + Datagram::headers(false);

    /// Those of a packet; none if more than two tags are in front of it.
    #[inline]
    pub(super) fn of(frame: &[u8], headers: &Headers) -> Option<Self> {
        let given = frame.get(..usize::from(headers.network_offset))?;
        let mut ethernet = [0; Self::MOST];
        ethernet.get_mut(..given.len())?.copy_from_slice(given);
        Some(Self {
            ethernet,
            length: u8::try_from(given.len()).ok()?,
            addresses: [headers.source.ip(), headers.destination.ip()],
        })
    }

    /// Those of an answer.
    #[must_use]
    pub(super) fn reversed(mut self) -> Self {
        if let Some((destination, rest)) = self.ethernet.split_first_chunk_mut::<6>()
            && let Some(source) = rest.first_chunk_mut::<6>()
        {
            std::mem::swap(destination, source);
        }
        self.addresses.reverse();
        self
    }

    /// From whom.
    pub(super) const fn source(&self) -> IpAddr {
        let [source, _] = self.addresses;
        source
    }

    /// To whom.
    pub(super) const fn destination(&self) -> IpAddr {
        let [_, destination] = self.addresses;
        destination
    }

    /// How long the headers in front of a message are.
    #[inline]
    pub(super) fn headers(&self) -> usize {
        usize::from(self.length) + Datagram::headers(self.destination().is_ipv4())
    }

    /// Writes them. The message stands in `frame` already, and ends with it. Nobody on the way may make fragments of it: nobody would put
    /// them together.
    pub(super) fn write(&self, frame: &mut [u8], port: u16, ecn: u8) -> Option<()> {
        let length = usize::from(self.length);
        let (before, packet) = frame.split_at_mut_checked(length)?;
        before.copy_from_slice(self.ethernet.get(..length)?);
        Datagram { addresses: self.addresses, ports: [port; 2], ecn, id: None }.write(packet)
    }
}

/// Between whom messages to a peer may travel that have no packet in them, whose ends they could share.
#[derive(Debug, Default)]
pub(super) struct KnownEnds {
    /// Where the peer was heard last.
    known: Option<Ends>,
    /// Those of a packet that waits for a session.
    wanted: Option<Ends>,
    /// Those of the last message.
    last: Option<Ends>,
    /// Whether the peer has sent a cookie, which is good for the address that it was sent to.
    is_tied: bool,
}

impl KnownEnds {
    pub(super) const fn is_some(&self) -> bool {
        self.known.is_some() || self.wanted.is_some()
    }

    pub(super) const fn know(&mut self, ends: Ends) {
        (self.known, self.is_tied) = (Some(ends), false);
    }

    pub(super) const fn want(&mut self, ends: Ends) {
        self.wanted = Some(ends);
    }

    pub(super) const fn tie(&mut self) {
        self.is_tied = self.last.is_some();
    }

    /// Those of the next message. Who was known may have gone, and who is wanted may not be there: without a session, each has its turn.
    pub(super) fn next(&mut self, is_up: bool) -> Option<Ends> {
        self.last = match (self.known, self.wanted, self.last) {
            (.., last @ Some(_)) if self.is_tied => last,
            (Some(known), Some(wanted), last) if !is_up && last == Some(known) => Some(wanted),
            (known, wanted, _) => known.or(wanted),
        };
        self.is_tied = false;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(last: u8) -> Ends {
        let address = |last| IpAddr::from([10, 0, 0, last]);
        Ends { ethernet: [last; Ends::MOST], length: 14, addresses: [address(1), address(last)] }
    }

    #[test]
    fn without_a_session_who_was_heard_and_who_is_wanted_take_turns() {
        let mut known = KnownEnds::default();
        assert_eq!((known.is_some(), known.next(false)), (false, None));
        known.want(ends(2));
        assert_eq!([(); 2].map(|()| known.next(false)), [Some(ends(2)); 2]);
        known.know(ends(3));
        assert_eq!([(); 4].map(|()| known.next(false)), [3, 2, 3, 2].map(|last| Some(ends(last))));
        assert_eq!([(); 2].map(|()| known.next(true)), [Some(ends(3)); 2], "a session is with who was heard");
    }

    #[test]
    fn after_a_cookie_the_same_have_another_try() {
        let mut known = KnownEnds::default();
        known.tie();
        known.know(ends(3));
        known.want(ends(2));
        assert_eq!(known.next(false), Some(ends(3)));
        known.tie();
        assert_eq!([(); 3].map(|()| known.next(false)), [3, 2, 3].map(|last| Some(ends(last))));
        // Who is heard is where the peer is.
        known.tie();
        known.know(ends(4));
        assert_eq!(known.next(false), Some(ends(4)));
    }
}
