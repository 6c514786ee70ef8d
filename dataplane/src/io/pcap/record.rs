use super::{Link, PcapError, classic::Classic, ng::Ng, source::Source};
use crate::{clock::Timestamp, io::PortId};

/// The largest packet that a capture may hold, as libpcap has it (`MAXIMUM_SNAPLEN`).
pub(super) const MAX_CAPTURED: u32 = 256 << 10;

/// A packet in the source's buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) time: Timestamp,
    /// `None` for a kind of link that is not understood.
    pub(super) link: Option<Link>,
    /// The port that is named like the interface of the capture.
    pub(super) port: Option<PortId>,
    /// Length of the packet on its link in bytes, without checksum.
    pub(super) length: u32,
    /// Where the packet starts, counted from the start of the record.
    pub(super) start: usize,
    /// Bytes of it that were captured.
    pub(super) captured: usize,
    /// Bytes of the whole record.
    pub(super) size: usize,
}

/// What comes next in a capture.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    Packet(Record),
    /// It has to be read first, and reading is not allowed now.
    Later,
    /// Nothing: the file ends here.
    End,
    /// The file ends inside a record.
    Cut,
}

impl Next {
    pub(super) fn at_end(source: &Source) -> Self {
        if source.is_consumed() { Self::End } else { Self::Cut }
    }
}

/// The two formats.
#[derive(Debug)]
pub(super) enum Format {
    Classic(Classic),
    Ng(Ng),
}

impl Format {
    /// Looks at the file's first bytes.
    pub(super) fn detect(source: &mut Source) -> Result<Self, PcapError> {
        source.fill(4)?;
        let found = source.available();
        match found.first_chunk() {
            Some(magic) if *magic == Ng::MAGIC => Ok(Self::Ng(Ng::open(source)?)),
            Some(magic) if Classic::order(*magic).is_some() => Ok(Self::Classic(Classic::open(source)?)),
            Some(_) | None => Err(PcapError::NotACapture {
                file: source.file().to_owned(),
                found: found.iter().take(4).copied().collect(),
            }),
        }
    }

    /// The next packet, not yet consumed.
    #[inline]
    pub(super) fn next(
        &mut self,
        source: &mut Source,
        port_named: impl Fn(&str) -> Option<PortId>,
    ) -> Result<Next, PcapError> {
        match self {
            Self::Classic(classic) => classic.next(source),
            Self::Ng(ng) => ng.next(source, port_named),
        }
    }
}

/// The byte order of the machine that wrote the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) const fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }

    /// The first words of `bytes`; `None` if there are fewer.
    #[inline]
    pub(super) fn words<const N: usize>(self, bytes: &[u8]) -> Option<[u32; N]> {
        let mut words = [0; N];
        let mut chunks = bytes.as_chunks::<4>().0.iter();
        for word in &mut words {
            *word = self.u32(*chunks.next()?);
        }
        Some(words)
    }
}
