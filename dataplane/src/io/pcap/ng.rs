use super::{
    Link, PcapError,
    record::{ByteOrder, MAX_CAPTURED, Next, Record},
    source::{Filled, Source},
};
use crate::{clock::Timestamp, io::PortId};

/// Reads pcapng (draft-ietf-opsawg-pcapng): sections, interfaces and the three kinds of packet blocks. Every other block
/// is skipped.
#[derive(Debug)]
pub(super) struct Ng {
    order: ByteOrder,
    /// The interfaces of this section.
    interfaces: Vec<Interface>,
    /// The time of the last packet, for simple packets, which have none.
    time: Timestamp,
}

/// What an interface description says of its packets.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Option<Link>,
    snap: u32,
    resolution: Resolution,
    /// Seconds to add to every time.
    offset: i64,
    checksum: u32,
    port: Option<PortId>,
}

impl Ng {
    /// The type of a section header; reads the same in either byte order.
    pub(super) const MAGIC: [u8; 4] = SECTION.to_le_bytes();
    const ORDER_MAGIC: u32 = 0x1a2b_3c4d;
    /// The largest block of a kind that is read.
    const MAX_BLOCK: u32 = 1 << 20;
    /// The most interfaces that a section may have.
    const MAX_INTERFACES: usize = 1 << 16;

    pub(super) fn open(source: &mut Source) -> Result<Self, PcapError> {
        const HEADER: usize = 28;
        if source.fill(HEADER)? != Filled::Ready {
            return Err(PcapError::HeaderCut {
                file: source.file().to_owned(),
                found: source.available().len(),
                expected: HEADER,
            });
        }
        let mut ng = Self { order: ByteOrder::Little, interfaces: Vec::new(), time: Timestamp::ZERO };
        ng.read_order(source)?;
        Ok(ng)
    }

    /// Walks over blocks to the next packet.
    pub(super) fn next(
        &mut self,
        source: &mut Source,
        port_named: impl Fn(&str) -> Option<PortId>,
    ) -> Result<Next, PcapError> {
        loop {
            // The smallest block has 12 bytes, which is also where a section header's byte order ends.
            match source.fill(12)? {
                Filled::Ready => {}
                Filled::Ended => return Ok(Next::at_end(source)),
                Filled::Later => return Ok(Next::Later),
            }
            if source.available().first_chunk() == Some(&Self::MAGIC) {
                self.read_order(source)?;
            }
            let Some([kind, length]) = self.order.words(source.available()) else {
                return Ok(Next::at_end(source));
            };
            if length < 12 || !length.is_multiple_of(4) {
                return Err(source.malformed(
                    "block length",
                    u64::from(length),
                    "a multiple of 4, at least 12",
                ));
            }
            if length > Self::MAX_BLOCK {
                if matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
                    return Err(source.malformed("block length", u64::from(length), "at most 1048576"));
                }
                source.skip(u64::from(length));
                continue;
            }
            let size = length as usize;
            match source.fill(size)? {
                Filled::Ready => {}
                Filled::Ended => return Ok(Next::Cut),
                Filled::Later => return Ok(Next::Later),
            }
            let block = source.available().get(..size).unwrap_or_default();
            let again = block.last_chunk().map_or(0, |bytes| self.order.u32(*bytes));
            if again != length {
                return Err(source.malformed(
                    "block length at the end of a block",
                    u64::from(again),
                    "the one at its start",
                ));
            }
            let body = block.get(8..size - 4).unwrap_or_default();
            let record = match kind {
                ENHANCED_PACKET => self.enhanced(source, body)?,
                SIMPLE_PACKET => self.simple(source, body)?,
                PACKET => self.obsolete(source, body)?,
                SECTION => {
                    self.section(source, body)?;
                    None
                }
                INTERFACE => {
                    let interface = self.interface(source, body, &port_named)?;
                    self.interfaces.push(interface);
                    None
                }
                _ => None,
            };
            match record {
                Some(record) => {
                    self.time = record.time;
                    return Ok(Next::Packet(Record { size, ..record }));
                }
                None => source.consume(size),
            }
        }
    }

    /// Takes the byte order from the section header that is next.
    fn read_order(&mut self, source: &Source) -> Result<(), PcapError> {
        let magic = source.available().get(8..12).and_then(|bytes| bytes.first_chunk()).copied();
        let magic = magic.unwrap_or_default();
        self.order = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (Self::ORDER_MAGIC, _) => ByteOrder::Little,
            (_, Self::ORDER_MAGIC) => ByteOrder::Big,
            (found, _) => {
                return Err(source.malformed(
                    "byte-order magic",
                    u64::from(found),
                    "0x1a2b3c4d in either order",
                ));
            }
        };
        Ok(())
    }

    /// Section header: byte-order magic, version, section length, options. A new section starts with no interface.
    fn section(&mut self, source: &Source, body: &[u8]) -> Result<(), PcapError> {
        let Some([_, version, _, _]) = self.order.words(body) else { return Err(short(source, body)) };
        let major = match self.order {
            ByteOrder::Little => version & 0xffff,
            ByteOrder::Big => version >> 16,
        };
        if major != 1 {
            return Err(source.malformed("major version", u64::from(major), "1"));
        }
        self.interfaces.clear();
        Ok(())
    }

    /// Interface description: link type, reserved, snap length, options.
    fn interface(
        &self,
        source: &Source,
        body: &[u8],
        port_named: impl Fn(&str) -> Option<PortId>,
    ) -> Result<Interface, PcapError> {
        let (Some([_, snap]), Some((link, _))) = (self.order.words(body), body.split_first_chunk()) else {
            return Err(short(source, body));
        };
        if self.interfaces.len() >= Self::MAX_INTERFACES {
            let count = self.interfaces.len() as u64 + 1;
            return Err(source.malformed("number of interfaces", count, "at most 65536"));
        }
        let mut interface = Interface {
            link: Link::from_number(u32::from(self.order.u16(*link))),
            snap: if snap == 0 { u32::MAX } else { snap },
            resolution: Resolution::MICROSECONDS,
            offset: 0,
            checksum: 0,
            port: None,
        };
        let mut rest = body.get(8..).unwrap_or_default();
        while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk() {
            let (code, length) = (self.order.u16([a, b]), usize::from(self.order.u16([c, d])));
            let Some(value) = behind.get(..length) else {
                return Err(source.malformed("option length", length as u64, "no more than the block holds"));
            };
            match (code, value) {
                (END_OF_OPTIONS, _) => break,
                (IF_NAME, name) => interface.port = std::str::from_utf8(name).ok().and_then(&port_named),
                (IF_TSRESOL, [resolution]) => interface.resolution = Resolution::new(*resolution),
                // The specification says bits and gives 4 as example; programs write bytes.
                (IF_FCSLEN, [length @ ..=8]) => interface.checksum = u32::from(*length),
                (IF_FCSLEN, [bits]) => interface.checksum = u32::from(*bits / 8),
                (IF_TSOFFSET, value) => {
                    interface.offset = value.first_chunk().map_or(0, |bytes| self.order.i64(*bytes));
                }
                _ => {}
            }
            rest = behind.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(interface)
    }

    /// Enhanced packet: interface, time in two words, captured length, length, packet, options.
    #[inline]
    fn enhanced(&self, source: &Source, body: &[u8]) -> Result<Option<Record>, PcapError> {
        const HEADER: usize = 20;
        let Some([interface, high, low, captured, length]) = self.order.words(body) else {
            return Err(short(source, body));
        };
        let ticks = (u64::from(high) << 32) | u64::from(low);
        self.packet(source, interface, Some(ticks), captured, length, (HEADER, body.len() - HEADER)).map(Some)
    }

    /// Simple packet: length, packet. No time; the first interface's snap length says how much was captured.
    fn simple(&self, source: &Source, body: &[u8]) -> Result<Option<Record>, PcapError> {
        const HEADER: usize = 4;
        let Some([length]) = self.order.words(body) else { return Err(short(source, body)) };
        let snap = self.interfaces.first().map_or(u32::MAX, |interface| interface.snap);
        self.packet(source, 0, None, length.min(snap), length, (HEADER, body.len() - HEADER)).map(Some)
    }

    /// The packet block that the enhanced one replaced: interface, drops, time in two words, captured length, length, packet,
    /// options.
    fn obsolete(&self, source: &Source, body: &[u8]) -> Result<Option<Record>, PcapError> {
        const HEADER: usize = 20;
        let (Some([_, high, low, captured, length]), Some((interface, _))) =
            (self.order.words(body), body.split_first_chunk())
        else {
            return Err(short(source, body));
        };
        let interface = u32::from(self.order.u16(*interface));
        let ticks = (u64::from(high) << 32) | u64::from(low);
        self.packet(source, interface, Some(ticks), captured, length, (HEADER, body.len() - HEADER)).map(Some)
    }

    /// `(header, room)`: where the packet starts in the block's body, and how many bytes of it there can be.
    #[inline]
    fn packet(
        &self,
        source: &Source,
        interface: u32,
        ticks: Option<u64>,
        captured: u32,
        length: u32,
        (header, room): (usize, usize),
    ) -> Result<Record, PcapError> {
        let Some(described) = self.interfaces.get(interface as usize) else {
            return Err(source.malformed(
                "interface",
                u64::from(interface),
                "one that the section describes",
            ));
        };
        if captured > MAX_CAPTURED {
            return Err(source.malformed("captured length", u64::from(captured), "at most 262144"));
        }
        if captured as usize > room {
            return Err(source.malformed(
                "captured length",
                u64::from(captured),
                "no more than the block holds",
            ));
        }
        let length = length.max(captured).saturating_sub(described.checksum);
        Ok(Record {
            time: ticks.map_or(self.time, |ticks| described.time(ticks)),
            link: described.link,
            port: described.port,
            length,
            start: 8 + header,
            captured: captured.min(length) as usize,
            size: 0,
        })
    }
}

impl Interface {
    fn time(&self, ticks: u64) -> Timestamp {
        let nanos = self.resolution.nanos(ticks);
        if self.offset == 0 {
            return Timestamp::from_nanos(nanos);
        }
        let offset = self.offset.unsigned_abs().saturating_mul(1_000_000_000);
        let nanos = if self.offset < 0 { nanos.saturating_sub(offset) } else { nanos.saturating_add(offset) };
        Timestamp::from_nanos(nanos)
    }
}

/// The unit of an interface's times.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    /// So many nanoseconds.
    Multiple(u64),
    /// So many of them make a nanosecond.
    Fraction(u64),
    /// This power of two, negated, of a second.
    Binary(u32),
}

impl Resolution {
    const MICROSECONDS: Self = Self::Multiple(1_000);

    /// Option `if_tsresol`: a negative power of 2 if the highest bit is set, else of 10.
    fn new(option: u8) -> Self {
        let power = u32::from(option & 0x7f);
        if option & 0x80 != 0 {
            Self::Binary(power)
        } else if power <= 9 {
            Self::Multiple(10_u64.saturating_pow(9 - power))
        } else {
            Self::Fraction(10_u64.saturating_pow(power - 9))
        }
    }

    fn nanos(self, ticks: u64) -> u64 {
        match self {
            Self::Multiple(nanos) => ticks.saturating_mul(nanos),
            Self::Fraction(parts) => ticks / parts,
            Self::Binary(power) => {
                let nanos = (u128::from(ticks) * 1_000_000_000).checked_shr(power).unwrap_or(0);
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        }
    }
}

fn short(source: &Source, body: &[u8]) -> PcapError {
    source.malformed("block length", body.len() as u64 + 12, "enough for the block's fixed fields")
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const END_OF_OPTIONS: u16 = 0;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_FCSLEN: u16 = 13;
const IF_TSOFFSET: u16 = 14;
