use std::{fmt, str::FromStr};

use minisign_verify::{PublicKey, Signature};
use serde::{Serialize, Serializer};

/// A public key of minisign: the line of its file that is not a comment.
#[derive(Clone, PartialEq, Eq)]
pub struct MinisignKey {
    text: String,
    key: PublicKey,
}

impl MinisignKey {
    /// Whether `signature`, the text of a signature's file, is that of this key for these bytes.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), SignatureError> {
        let signature = Signature::decode(signature).map_err(|_| SignatureError::Malformed)?;
        // Signatures of old versions are of the bytes themselves, which is as good.
        self.key.verify(bytes, &signature, true).map_err(|error| match error {
            minisign_verify::Error::UnexpectedKeyId => SignatureError::OtherKey,
            minisign_verify::Error::InvalidEncoding
            | minisign_verify::Error::InvalidSignature
            | minisign_verify::Error::IoError(_)
            | minisign_verify::Error::UnexpectedAlgorithm
            | minisign_verify::Error::UnsupportedAlgorithm
            | minisign_verify::Error::UnsupportedLegacyMode => SignatureError::Wrong,
        })
    }
}

impl FromStr for MinisignKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let key = PublicKey::from_base64(text).map_err(|_| KeyError)?;
        Ok(Self { text: text.to_owned(), key })
    }
}

impl fmt::Display for MinisignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for MinisignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MinisignKey({self})")
    }
}

impl Serialize for MinisignKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text is not a public key of minisign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key of minisign has 56 characters and begins with `RW`")]
pub struct KeyError;

/// A signature is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is not written as signatures of minisign are.
    #[error("it is no signature of minisign")]
    Malformed,
    /// Another key made it.
    #[error("another key made it")]
    OtherKey,
    /// It is of other bytes, or forged.
    #[error("it is not of these bytes")]
    Wrong,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQY3l4awLmtL8kWMMOdvLmF77gXZAC1mxuTYL1nFOr9cV4KdyCEgTvl";
    const OTHER: &str = "RWRwUNDjJ1YDRQgaSP5qrWEq6bPPgV4A6o0Ckp/o5VgIvEnd2qc6p2SX";
    const SIGNED: &[u8] = b"192.0.2.1\n192.0.2.2\n";
    const SIGNATURE: &str = "untrusted comment: signature from rsign secret key\n\
        RUQY3l4awLmtL/i8oubbvD0bDNuaxr+iELmC0N4AIQ2Lbt9+3ur7dnehJ3tX9TfWwFXP702aFeIF2XRe9QKeiVa4/L5gnbxjmQU=\n\
        trusted comment: a list\n\
        fyMquFf1iCr0r/uziPwZb4Wbk7MgkbCQ6Ouhy4RXta5QnOjH8TeIgxtOzyd0K9tSxOwTpZqp4jyILAUiWIPlAA==\n";

    #[test]
    fn a_signature_is_of_a_key_and_of_bytes() {
        let key: MinisignKey = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        assert_eq!(key.verify(SIGNED, SIGNATURE), Ok(()));
        assert_eq!(key.verify(b"192.0.2.1\n", SIGNATURE), Err(SignatureError::Wrong));
        let comment = SIGNATURE.replace("a list", "another list");
        assert_eq!(key.verify(SIGNED, &comment), Err(SignatureError::Wrong));
        assert_eq!(key.verify(SIGNED, "<html>"), Err(SignatureError::Malformed));
        let other: MinisignKey = OTHER.parse().unwrap();
        assert_eq!(other.verify(SIGNED, SIGNATURE), Err(SignatureError::OtherKey));
    }

    #[test]
    fn a_key_is_what_minisign_says_it_is() {
        for text in
            ["", "RWQ", &KEY[1..], &format!("{KEY}="), &KEY.replace("RW", "RX"), "untrusted comment: x"]
        {
            assert_eq!(text.parse::<MinisignKey>(), Err(KeyError), "{text}");
        }
    }
}
