//! Keys, made and printed.

#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    os::fd::AsFd,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::{
    fs::{FileType, Mode, fstat},
    rand::{GetRandomFlags, getrandom},
};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::cli::{Failure, target};

/// What wg(8) says on standard error, and goes on.
const WARNING: &str =
    "Warning: writing to world accessible file.\nConsider setting the umask to 077 and trying again.";

/// More than a key and the blanks behind it.
const LIMIT: u64 = 4096;

/// Prints a new private key.
pub(super) fn private(json: bool) -> Result<(), Failure> {
    secret(json, Key::clamped)
}

/// Prints a new preshared key.
pub(super) fn preshared(json: bool) -> Result<(), Failure> {
    secret(json, |key| key)
}

/// Prints the public key of the private key on standard input.
pub(super) fn public(json: bool) -> Result<(), Failure> {
    let mut text = Vec::new();
    io::stdin().lock().take(LIMIT).read_to_end(&mut text).map_err(Failure::failed)?;
    let key = Key::read(&text).ok_or_else(|| {
        // Not what it is instead: it may be a key with a slip of the pen.
        Failure::failed("standard input is not a private key")
            .help("a key is 44 characters of base64; `ravelin wg genkey` makes one")
    })?;
    print(&key.public(), json)
}

fn secret(json: bool, shape: fn(Key) -> Key) -> Result<(), Failure> {
    if is_open_to_all(io::stdout()) {
        eprintln!("{WARNING}");
    }
    let key = Key::random().map_err(|error| Failure::failed(format_args!("no random numbers: {error}")))?;
    print(&shape(key), json)
}

fn print(key: &Key, json: bool) -> Result<(), Failure> {
    let text = key.text();
    if json { target::print_json(&text, false) } else { target::print(&text) }
}

/// Whether what is written there lands in a file with any permission for everybody.
fn is_open_to_all(out: impl AsFd) -> bool {
    fstat(out).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXO)
    })
}

/// A key of any kind; in text, base64. It cannot be shown by accident.
pub(super) struct Key([u8; 32]);

impl Key {
    /// Any 32 bytes, which nobody can guess.
    pub(super) fn random() -> io::Result<Self> {
        let mut key = [0; 32];
        let length = rustix::io::retry_on_intr(|| getrandom(&mut key, GetRandomFlags::empty()))?;
        if length == key.len() { Ok(Self(key)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// With the bits set that every private key has (RFC 7748, section 5).
    pub(super) fn clamped(mut self) -> Self {
        self.0[0] &= 0b1111_1000;
        self.0[31] &= 0b0111_1111;
        self.0[31] |= 0b0100_0000;
        self
    }

    /// What wg(8) takes for a key: 44 characters from the first on, then nothing but blanks, ends of lines and zeros.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let (key, rest) = text.split_at_checked(44)?;
        let is_blank = |byte: &u8| matches!(byte, 0 | b'\t'..=b'\r' | b' ');
        let key = STANDARD.decode(key).ok()?.try_into().ok()?;
        rest.iter().all(is_blank).then_some(Self(key))
    }

    pub(super) fn public(&self) -> Self {
        Self(PublicKey::from(&StaticSecret::from(self.0)).to_bytes())
    }

    pub(super) fn text(&self) -> String {
        STANDARD.encode(self.0)
    }
}
