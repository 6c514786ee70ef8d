//! What a capture's file consists of: the beginning, packets, the end, in either format; and their compression.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
};

use clap::ValueEnum;
use flate2::write::GzEncoder;
use ravelin_dataplane::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::blocks::{self, Packet};

/// The format of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// pcapng: with interfaces, what became of each packet, and what was lost.
    #[default]
    Pcapng,
    /// The format of tcpdump, in nanoseconds.
    Pcap,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, as fast as it goes.
    Gzip,
    /// Zstandard, as fast as it goes.
    Zstd,
}

impl Format {
    /// Nanoseconds, little endian.
    const MAGIC: u32 = 0xa1b2_3c4d;

    /// The ending of a file's name.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Pcapng => ".pcapng",
            Self::Pcap => ".pcap",
        }
    }

    /// The beginning of a file.
    pub(super) fn header(self, interfaces: &[String], snap: u32) -> Vec<u8> {
        match self {
            Self::Pcapng => blocks::header(interfaces.iter().map(String::as_str), snap),
            Self::Pcap => {
                // Version 2.4; two fields that nobody uses; link type Ethernet.
                let words = [Self::MAGIC, 2 | 4 << 16, 0, 0, snap, 1];
                words.into_iter().flat_map(u32::to_le_bytes).collect()
            }
        }
    }

    /// Appends a packet.
    pub(super) fn packet(self, packet: &Packet<'_>, comment: &str, out: &mut Vec<u8>) {
        match self {
            Self::Pcapng => packet.write(comment.as_bytes(), out),
            Self::Pcap => {
                let nanos = (packet.time.as_nanos() % 1_000_000_000) as u32;
                let words = [packet.time.as_secs() as u32, nanos, packet.bytes.len() as u32, packet.length];
                words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
                out.extend_from_slice(packet.bytes);
            }
        }
    }

    /// Appends the end of a file: what was offered to its capture until now, and what of that was lost.
    pub(super) fn end(self, now: Timestamp, offered: u64, lost: u64, out: &mut Vec<u8>) {
        match self {
            Self::Pcapng => out.extend(blocks::statistics(now, offered, lost)),
            Self::Pcap => {}
        }
    }
}

impl Compression {
    /// The ending of a file's name.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// What compresses one file.
    pub(super) fn packer(self) -> io::Result<Packer> {
        Ok(match self {
            Self::None => Packer::None,
            Self::Gzip => Packer::Gzip,
            Self::Zstd => Packer::Zstd(zstd::Encoder::new(Vec::new(), 1)?),
        })
    }
}

/// Compresses a file piece by piece: a file that ends behind any piece can be unpacked up to there.
pub(super) enum Packer {
    None,
    /// Each piece is a member, so that the file is whole behind each.
    Gzip,
    /// All pieces are one frame, as Wireshark (4.0) stumbles over several.
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Gzip => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Packer {
    /// What is written to the file for a piece. The last one ends it, and may be empty.
    pub(super) fn pack<'b>(&mut self, piece: &'b [u8], is_last: bool) -> io::Result<Cow<'b, [u8]>> {
        match self {
            Self::Gzip if !piece.is_empty() => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(piece)?;
                encoder.finish().map(Cow::Owned)
            }
            Self::None | Self::Gzip => Ok(Cow::Borrowed(piece)),
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                if is_last { encoder.do_finish() } else { encoder.flush() }?;
                Ok(Cow::Owned(std::mem::take(encoder.get_mut())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::capture::{blocks::Packets, fixtures::*};

    #[test]
    fn both_formats_hold_the_packets() {
        let samples =
            [Sample::new(1_700_000_000_123_456_789, 2, 3), Sample::new(1_700_000_001_000_000_001, 2, 100)];
        for format in [Format::Pcapng, Format::Pcap] {
            let mut file = format.header(&["eth0".to_owned()], 65_535);
            let chunk = chunk(&samples);
            for packet in Packets::new(chunk.bytes()) {
                format.packet(&packet, "allow, worker 1", &mut file);
            }
            format.end(Timestamp::from_nanos(5), 2, 0, &mut file);
            assert_eq!(read(file), (expected(&samples), false), "{format:?}");
        }
    }

    #[test]
    fn what_is_compressed_in_pieces_is_one_file() {
        let pieces = [vec![1; 70_000], vec![2; 3], Vec::new(), vec![3; 100], Vec::new()];
        let pack = |compression: Compression| -> Vec<u8> {
            let mut packer = compression.packer().unwrap();
            let mut packed = Vec::new();
            for (at, piece) in pieces.iter().enumerate() {
                packed.extend_from_slice(&packer.pack(piece, at + 1 == pieces.len()).unwrap());
                if compression == Compression::Zstd && at == 1 {
                    // Whoever finds no more than this has what is in it.
                    let mut unpacked = Vec::new();
                    let result = zstd::Decoder::new(&packed[..]).unwrap().read_to_end(&mut unpacked);
                    assert_eq!((unpacked, result.is_err()), (pieces[..2].concat(), true));
                }
            }
            packed
        };
        let mut unpacked = Vec::new();
        flate2::read::MultiGzDecoder::new(&pack(Compression::Gzip)[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, pieces.concat());
        assert_eq!(zstd::decode_all(&pack(Compression::Zstd)[..]).unwrap(), pieces.concat());
        assert_eq!(pack(Compression::None), pieces.concat());
        assert!(pack(Compression::Gzip).len() < 2000 && pack(Compression::Zstd).len() < 2000);
    }
}
