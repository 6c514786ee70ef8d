use super::{
    Interface, PeerSlot, Plan,
    exit::{Exit, Sealed},
    stage::Tunnels,
};
use crate::{
    batch::Meta,
    forward::{fold, sum},
    io::{Frame, PacketIo},
    parse::{self, Network},
    pipeline::Context,
    verdict::DropReason,
};

/// In the field of flags and offset (RFC 791): there is more behind this.
const MORE: u16 = 0x2000;
/// In the same field: the offset, in eights of bytes.
const OFFSET: u16 = 0x1fff;

impl<F: Frame> Tunnels<F> {
    /// Seals a packet of IPv4 in pieces that is too long for its wire, as a router would send it on (RFC 791): who sent it allows that, and
    /// need not listen to who says that it is too long.
    #[cold]
    pub(super) fn seal_in_fragments<I: PacketIo<Frame = F>>(
        &mut self,
        cx: &Context<'_>,
        plan: &Plan,
        interface: &Interface,
        slot: PeerSlot,
        (frame, meta): (F, &Meta),
        exit: &mut Exit<'_, I>,
    ) -> (Sealed, Option<F>) {
        let headers = &meta.headers;
        if headers.network != Network::Ipv4 || headers.dont_fragment {
            return (Sealed::Dropped(DropReason::WireguardTooBig), Some(frame));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut offset = Some(0);
        while let Some(at) = offset {
            offset = piece(frame.bytes(), meta, at, usize::from(interface.mtu), &mut scratch);
            exit.counters.injected += 1;
            let Some(piece) = exit.io.compose(&scratch) else {
                exit.counters.drops.add(DropReason::WireguardTooBig);
                continue;
            };
            let length = u32::try_from(scratch.len()).unwrap_or(u32::MAX);
            let mut meta = Meta { length, headers: parse::Headers::default(), ..*meta };
            parse::decode_into(piece.bytes(), &mut meta);
            meta.verdict = crate::verdict::Verdict::Forward(interface.port);
            let (sealed, piece) = self.seal_own(cx, plan, interface, slot, (piece, &meta), exit);
            exit.settle(sealed, piece, &meta);
        }
        self.scratch = scratch;
        exit.counters.consumed += 1;
        (Sealed::Done, Some(frame))
    }
}

/// Writes the piece of a packet that begins `at` so many bytes of what is behind its header; returns where the next one begins. A packet that
/// says nothing sensible of itself has one piece, itself without what does not fit.
fn piece(frame: &[u8], meta: &Meta, at: usize, mtu: usize, into: &mut Vec<u8>) -> Option<usize> {
    let headers = &meta.headers;
    let start = usize::from(headers.network_offset);
    let packet = frame.get(start..usize::from(headers.end)).unwrap_or_default();
    let header = packet.first().map_or(0, |first| usize::from(first & 15) * 4);
    let content = packet.get(header..).unwrap_or_default();
    let room = mtu.saturating_sub(header) & !7;
    let end = (at + room).min(content.len());
    into.clear();
    into.extend_from_slice(frame.get(..start + header).unwrap_or_default());
    into.extend_from_slice(content.get(at..end).unwrap_or_default());
    let is_last = end == content.len() || room == 0;
    if let Some(fixed) = into.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<20>) {
        let [length_high, length_low] = u16::try_from(header + end - at).unwrap_or(u16::MAX).to_be_bytes();
        let before = u16::from_be_bytes([fixed[6], fixed[7]]);
        let eights = u16::try_from(at / 8).unwrap_or(OFFSET);
        let more = if is_last { before & MORE } else { MORE };
        let [high, low] =
            ((before & !(MORE | OFFSET)) | more | ((before & OFFSET) + eights) & OFFSET).to_be_bytes();
        [fixed[2], fixed[3], fixed[6], fixed[7]] = [length_high, length_low, high, low];
        (fixed[10], fixed[11]) = (0, 0);
    }
    let checksum = into.get(start..start + header).map_or(0, |header| !fold(sum(header)));
    if let Some(field) = into.get_mut(start + 10..start + 12) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
    (!is_last).then_some(end)
}
