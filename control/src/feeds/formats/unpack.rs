use std::{
    borrow::Cow,
    fmt,
    io::{self, Cursor, Read},
};

use flate2::bufread::GzDecoder;
use serde::Serialize;
use zip::ZipArchive;

use super::{FormatError, Limits};

/// How a feed is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// gzip.
    Gzip,
    /// A zip archive with one file.
    Zip,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zip => "zip",
        })
    }
}

impl Packing {
    /// How bytes are compressed, by how they begin.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ => None,
        }
    }
}

/// Undoes a compression, up to the limit of bytes. Names in an archive are not looked at.
pub(super) fn unpack<'b>(
    bytes: &'b [u8],
    limits: &Limits,
) -> Result<(Cow<'b, [u8]>, Option<Packing>), FormatError> {
    if bytes.len() > limits.bytes {
        return Err(FormatError::TooLarge { limit: limits.bytes, unpacked: false });
    }
    let Some(packing) = Packing::of(bytes) else { return Ok((bytes.into(), None)) };
    let unpacked = match packing {
        Packing::Gzip => gunzip(bytes, limits)?,
        Packing::Zip => unzip(bytes, limits)?,
    };
    if Packing::of(&unpacked).is_some() {
        return Err(FormatError::Packed("it is compressed twice".to_owned()));
    }
    Ok((unpacked.into(), Some(packing)))
}

fn gunzip(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, FormatError> {
    let mut decoder = GzDecoder::new(bytes);
    let unpacked = bounded(&mut decoder, limits)?;
    // Some pad with zeros; another member would be another file.
    if decoder.into_inner().iter().any(|byte| *byte != 0) {
        return Err(FormatError::Packed("something follows the compressed file".to_owned()));
    }
    Ok(unpacked)
}

fn unzip(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, FormatError> {
    let broken = |error: zip::result::ZipError| FormatError::Packed(error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    if archive.len() != 1 {
        return Err(FormatError::Packed(format!("the archive has {} files in place of one", archive.len())));
    }
    let mut file = archive.by_index(0).map_err(broken)?;
    bounded(&mut file, limits)
}

/// Reads all that there is, and one byte beyond the limit at most.
fn bounded(reader: &mut impl Read, limits: &Limits) -> Result<Vec<u8>, FormatError> {
    let mut unpacked = Vec::new();
    let most = u64::try_from(limits.bytes).unwrap_or(u64::MAX).saturating_add(1);
    let broken = |error: io::Error| FormatError::Packed(error.to_string());
    reader.take(most).read_to_end(&mut unpacked).map_err(broken)?;
    if unpacked.len() > limits.bytes {
        return Err(FormatError::TooLarge { limit: limits.bytes, unpacked: true });
    }
    Ok(unpacked)
}
