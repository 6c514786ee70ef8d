//! The cipher of the tunnels, as ring has it and as aws-lc-rs and OpenSSL have it.

use super::openssl;
use crate::harness::{Report, interleave, nanos_per_item, ratios};

/// ChaCha20-Poly1305 under one key; a message has its tag behind it.
pub(super) trait Cipher {
    const NAME: &'static str;
    /// How much longer a message is than its content.
    const TAG: usize = 16;

    fn new() -> Self;

    /// Seals all but the tag, in place, and writes the tag.
    fn seal(&self, counter: u64, message: &mut [u8]);

    /// Opens in place.
    fn open(&self, counter: u64, message: &mut [u8]);
}

macro_rules! cipher {
    ($name:ident, $library:ident, $text:literal) => {
        pub(super) struct $name($library::aead::LessSafeKey);

        impl Cipher for $name {
            const NAME: &'static str = $text;

            fn new() -> Self {
                let algorithm = &$library::aead::CHACHA20_POLY1305;
                let key = $library::aead::UnboundKey::new(algorithm, &[7; 32]).expect("32 bytes are a key");
                Self($library::aead::LessSafeKey::new(key))
            }

            #[inline]
            fn seal(&self, counter: u64, message: &mut [u8]) {
                let (content, place) = message.split_at_mut(message.len() - Self::TAG);
                let nonce = $library::aead::Nonce::assume_unique_for_key(nonce(counter));
                let empty = $library::aead::Aad::empty();
                let tag = self.0.seal_in_place_separate_tag(nonce, empty, content).expect("it is short");
                place.copy_from_slice(tag.as_ref());
            }

            #[inline]
            fn open(&self, counter: u64, message: &mut [u8]) {
                let nonce = $library::aead::Nonce::assume_unique_for_key(nonce(counter));
                self.0.open_in_place(nonce, $library::aead::Aad::empty(), message).expect("it is authentic");
            }
        }
    };
}

cipher!(Ring, ring, "ring");
cipher!(AwsLc, aws_lc_rs, "aws-lc-rs");

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// A batch of messages that are sealed and opened again and again.
pub(super) struct Raw<C> {
    cipher: C,
    counter: u64,
    messages: Vec<Vec<u8>>,
}

impl<C: Cipher> Raw<C> {
    pub(super) fn new(count: usize, length: usize) -> Self {
        Self { cipher: C::new(), counter: 0, messages: vec![vec![3; length + C::TAG]; count] }
    }

    /// Seals all of them.
    pub(super) fn seal(&mut self) {
        for message in &mut self.messages {
            self.counter += 1;
            self.cipher.seal(self.counter, message);
        }
    }

    /// Opens what was sealed last.
    pub(super) fn open(&mut self) {
        let first = self.counter + 1 - self.messages.len() as u64;
        for (message, counter) in self.messages.iter_mut().zip(first..) {
            self.cipher.open(counter, message);
        }
    }
}

/// The libraries, at several lengths.
pub(super) fn run(report: &Report, rounds: usize) {
    const MESSAGES: usize = 64;
    const BYTES: usize = 16 << 20;
    report.heading("the cipher alone, in place, one core");
    for length in [64, 256, 1420, 16_384] {
        let (mut ours, mut other) = (Raw::<Ring>::new(MESSAGES, length), Raw::<AwsLc>::new(MESSAGES, length));
        let turns = (BYTES / length / MESSAGES).min(2000);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let results = interleave(
            rounds,
            &mut [&mut || both(&mut ours, turns, &mut first), &mut || both(&mut other, turns, &mut second)],
        );
        let ciphers = [(Ring::NAME, &results[0], &first), (AwsLc::NAME, &results[1], &second)];
        for (name, sealing, opening) in ciphers {
            report.figure(&format!("{length} B, {name}, seal"), sealing, "ns", None);
            report.figure(&format!("{length} B, {name}, open"), opening, "ns", None);
        }
        let name = |what| format!("{length} B, {what}, time of ring / aws-lc-rs");
        report.figure(&name("seal"), &ratios(&results[0], &results[1]), "x", None);
        report.figure(&name("open"), &ratios(&first, &second), "x", None);
        if let Err(reason) = compare_openssl(report, length, &mut ours, turns) {
            report.note(&format!("OpenSSL left out: {reason}"));
        }
    }
}

/// OpenSSL at a length and ring, in turn.
fn compare_openssl(report: &Report, length: usize, ours: &mut Raw<Ring>, turns: usize) -> Result<(), String> {
    const TIMES: usize = 3;
    let (mut seal, mut open) = (Vec::new(), Vec::new());
    let mut results = openssl::Way::ALL.map(|way| (way, Vec::new()));
    for _ in 0..TIMES {
        seal.push(both(ours, turns, &mut open));
        for (way, result) in &mut results {
            result.push(way.nanos(length)?);
        }
    }
    for (way, result) in &results {
        report.figure(&format!("{length} B, OpenSSL, {}", way.name), result, "ns", None);
    }
    let [(_, sealing), (_, opening), _] = &results;
    report.figure(&format!("{length} B, seal, time of ring / OpenSSL"), &ratios(&seal, sealing), "x", None);
    report.figure(&format!("{length} B, open, time of ring / OpenSSL"), &ratios(&open, opening), "x", None);
    Ok(())
}

/// Nanoseconds to seal a message, and to open it, which goes to `opening`.
fn both<C: Cipher>(raw: &mut Raw<C>, turns: usize, opening: &mut Vec<f64>) -> f64 {
    let (mut sealed, mut opened) = (0.0, 0.0);
    for _ in 0..turns {
        sealed += nanos_per_item(|| {
            raw.seal();
            raw.messages.len() as u64
        });
        opened += nanos_per_item(|| {
            raw.open();
            raw.messages.len() as u64
        });
    }
    opening.push(opened / turns as f64);
    sealed / turns as f64
}
