use base64::{DecodeError, DecodeSliceError, Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a key.
const BYTES: usize = 32;
/// Characters of a key: base64 with its padding.
const CHARACTERS: usize = 44;

/// Declares a key that nobody may see: no form of it that is meant for people or records shows more than `***`. The bytes stay in one
/// place, and are overwritten when the key goes.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Box<[u8; BYTES]>);

        impl $name {
            /// The bytes themselves, for the one place that computes with them.
            pub fn reveal(&self) -> &[u8; BYTES] {
                &self.0
            }
        }

        impl From<&[u8; BYTES]> for $name {
            fn from(bytes: &[u8; BYTES]) -> Self {
                let mut key = Self(Box::new([0; BYTES]));
                key.0.copy_from_slice(bytes);
                key
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("***")
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str("***")
            }
        }
    };
}

secret! {
    /// What an interface proves that it is itself with.
    PrivateKey
}

impl PresharedKey {
    /// The key as wg(8) writes it, for the one place that sends it to the process that computes with it.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }
}

secret! {
    /// What two peers know and nobody else does, beside their keys.
    PresharedKey
}

impl FromStr for PrivateKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text)?;
        if *bytes == [0; BYTES] { Err(KeyError::Zero) } else { Ok(Self::from(&*bytes)) }
    }
}

impl FromStr for PresharedKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text).map(|bytes| Self::from(&*bytes))
    }
}

/// By which a peer is known. Displayed as wg(8) does: 44 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; BYTES]);

impl PublicKey {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text).map(|bytes| Self(*bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; CHARACTERS];
        let length = STANDARD.encode_slice(self.0, &mut buffer).map_err(|_| fmt::Error)?;
        let text = buffer.get(..length).and_then(|text| std::str::from_utf8(text).ok());
        f.pad(text.ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The bytes of a key that is written as wg(8) writes it, and in no other way.
fn decode(text: &str) -> Result<Zeroizing<[u8; BYTES]>, KeyError> {
    let characters = text.chars().count();
    if characters != CHARACTERS {
        return Err(KeyError::Length { characters });
    }
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=');
    if let Some(before) = text.chars().position(|character| !legal(character)) {
        return Err(KeyError::Character { at: before + 1 });
    }
    if text.find('=') != Some(CHARACTERS - 1) {
        return Err(KeyError::Padding);
    }
    // The library asks for room for three bytes of every four characters.
    let mut room = Zeroizing::new([0; CHARACTERS / 4 * 3]);
    let length = STANDARD.decode_slice(text, &mut *room).map_err(|error| match error {
        DecodeSliceError::DecodeError(DecodeError::InvalidLastSymbol(..)) => KeyError::Remainder,
        DecodeSliceError::DecodeError(
            DecodeError::InvalidByte(..) | DecodeError::InvalidLength(_) | DecodeError::InvalidPadding,
        )
        | DecodeSliceError::OutputSliceTooSmall => KeyError::Padding,
    })?;
    let mut key = Zeroizing::new([0; BYTES]);
    match room.get(..length).filter(|bytes| bytes.len() == BYTES) {
        Some(bytes) => key.copy_from_slice(bytes),
        None => return Err(KeyError::Padding),
    }
    Ok(key)
}

/// Why a text is not a key. Says nothing of what the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 44 characters.
    #[error("a key has {CHARACTERS} characters of base64, this one has {characters}")]
    Length {
        /// How many there are.
        characters: usize,
    },
    /// A character that base64 does not have.
    #[error("a key has letters, digits, `+` and `/`, and character {at} is none of them")]
    Character {
        /// The number of the first such character.
        at: usize,
    },
    /// No `=` at the end, or more than one.
    #[error("a key has {CHARACTERS} characters of base64, of which the last is `=`, and no other")]
    Padding,
    /// Bits of the last digit that are of no byte.
    #[error("a key has 32 bytes, and the digit before `=` has bits that belong to none of them")]
    Remainder,
    /// All bytes are zero.
    #[error("a key of zeros is none")]
    Zero,
}
