use super::{
    Link, PcapError,
    record::{ByteOrder, MAX_CAPTURED, Next, Record},
    source::{Filled, Source},
};
use crate::clock::Timestamp;

/// Reads the format of tcpdump (draft-ietf-opsawg-pcap).
#[derive(Debug)]
pub(super) struct Classic {
    order: ByteOrder,
    /// Nanoseconds in the unit of the fraction of a second.
    tick: u64,
    link: Link,
    /// Bytes of link checksum at the end of every packet.
    checksum: u32,
}

impl Classic {
    const FILE_HEADER: usize = 24;
    const RECORD_HEADER: usize = 16;

    /// Byte order and unit of time, by the file's first four bytes.
    pub(super) const fn order(magic: [u8; 4]) -> Option<(ByteOrder, u64)> {
        match u32::from_le_bytes(magic) {
            0xa1b2_c3d4 => Some((ByteOrder::Little, 1_000)),
            0xa1b2_3c4d => Some((ByteOrder::Little, 1)),
            0xd4c3_b2a1 => Some((ByteOrder::Big, 1_000)),
            0x4d3c_b2a1 => Some((ByteOrder::Big, 1)),
            _ => None,
        }
    }

    /// Reads the file header.
    pub(super) fn open(source: &mut Source) -> Result<Self, PcapError> {
        source.fill(Self::FILE_HEADER)?;
        let header = source.available();
        let magic = header.first_chunk().copied().unwrap_or_default();
        let (Some((order, tick)), Some([_, version, _, _, _, link])) =
            (Self::order(magic), Self::order(magic).and_then(|(order, _)| order.words::<6>(header)))
        else {
            return Err(PcapError::HeaderCut {
                file: source.file().to_owned(),
                found: header.len(),
                expected: Self::FILE_HEADER,
            });
        };
        let major = match order {
            ByteOrder::Little => version & 0xffff,
            ByteOrder::Big => version >> 16,
        };
        if major != 2 {
            return Err(source.malformed("major version", u64::from(major), "2"));
        }
        // The upper half says whether and how many 16-bit words of checksum follow each packet.
        let checksum = if link & 0x0400_0000 == 0 { 0 } else { (link >> 28) * 2 };
        let number = link & 0xffff;
        let Some(link) = Link::from_number(number) else {
            return Err(PcapError::UnsupportedLink { file: source.file().to_owned(), found: number });
        };
        source.consume(Self::FILE_HEADER);
        Ok(Self { order, tick, link, checksum })
    }

    #[inline]
    pub(super) fn next(&self, source: &mut Source) -> Result<Next, PcapError> {
        match source.fill(Self::RECORD_HEADER)? {
            Filled::Ready => {}
            Filled::Ended => return Ok(Next::at_end(source)),
            Filled::Later => return Ok(Next::Later),
        }
        let Some([seconds, fraction, captured, length]) = self.order.words(source.available()) else {
            return Ok(Next::at_end(source));
        };
        if captured > MAX_CAPTURED {
            return Err(source.malformed("captured length", u64::from(captured), "at most 262144"));
        }
        let size = Self::RECORD_HEADER + captured as usize;
        match source.fill(size)? {
            Filled::Ready => {}
            Filled::Ended => return Ok(Next::Cut),
            Filled::Later => return Ok(Next::Later),
        }
        let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.tick;
        let length = length.max(captured).saturating_sub(self.checksum);
        Ok(Next::Packet(Record {
            time: Timestamp::from_nanos(nanos),
            link: Some(self.link),
            port: None,
            length,
            start: Self::RECORD_HEADER,
            captured: captured.min(length) as usize,
            size,
        }))
    }
}
