//! The cipher as OpenSSL has it, which for long messages uses AVX-512: what its own `openssl speed` says, with all that the processor can do and without that.
//!
//! Its loop sets a nonce for each message, as [`super::aead`] does, but has 13 bytes of associated data besides, and one message, which stays in the
//! first cache, where ours go through 64.

use std::process::Command;

/// Turns AVX-512 off for OpenSSL: F, DQ, IFMA, PF, ER, CD, BW and VL, of leaf 7 (`OPENSSL_ia32cap(3)`).
const WITHOUT_AVX512: &str = ":~0xdc230000";

/// How OpenSSL is asked to work.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub(super) name: &'static str,
    opens: bool,
    has_avx512: bool,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [
        Self { name: "seal", opens: false, has_avx512: true },
        Self { name: "open", opens: true, has_avx512: true },
        Self { name: "seal, without AVX-512", opens: false, has_avx512: false },
    ];

    /// Nanoseconds for each message of a length, measured for a second.
    pub(super) fn nanos(self, length: usize) -> Result<f64, String> {
        let mut command = Command::new("openssl");
        command.args(["speed", "-mr", "-elapsed", "-seconds", "1", "-aead", "-evp", "chacha20-poly1305"]);
        command.args(["-bytes", &length.to_string()]);
        if self.opens {
            command.arg("-decrypt");
        }
        if self.has_avx512 {
            command.env_remove("OPENSSL_ia32cap");
        } else {
            command.env("OPENSSL_ia32cap", WITHOUT_AVX512);
        }
        let output = command.output().map_err(|error| format!("openssl cannot be run: {error}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        bytes_a_second(&text)
            .map(|bytes| length as f64 * 1e9 / bytes)
            .ok_or_else(|| format!("openssl speed said: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// The last field of the line of results, such as `+F:25:ChaCha20-Poly1305:2142978800.00`.
fn bytes_a_second(text: &str) -> Option<f64> {
    let result = text.lines().find_map(|line| line.strip_prefix("+F:"))?;
    result.rsplit(':').next()?.parse().ok().filter(|bytes| *bytes > 0.0)
}
