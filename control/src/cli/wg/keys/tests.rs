use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
};

use super::*;

/// RFC 7748, section 6.1: private and public keys of Alice and Bob.
const VECTORS: [[&str; 2]; 2] = [
    [
        "77076d0a7318a57d3c16c17251b26645 df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a 0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ],
    [
        "5dab087e624a8a4b79e17f8b83800ee6 6f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece43537 3f8343c85b78674dadfc7e146f882b4f",
    ],
];

fn bytes(hex: &str) -> [u8; 32] {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn public_keys_are_those_of_the_standard() {
    for [private, public] in VECTORS {
        assert_eq!(Key(bytes(private)).public().0, bytes(public));
        assert_eq!(Key(bytes(private)).clamped().public().0, bytes(public), "clamped or not");
    }
    // The same, as wg(8) says it.
    let alice = Key::read(b"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n").unwrap();
    assert_eq!(alice.public().text(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
}

#[test]
fn private_keys_are_clamped_and_no_two_are_the_same() {
    let keys: Vec<_> = (0..64).map(|_| Key::random().unwrap().clamped()).collect();
    for key in &keys {
        assert_eq!((key.0[0] & 7, key.0[31] >> 6), (0, 1));
        assert_eq!(Key::read(key.text().as_bytes()).unwrap().0, key.0);
    }
    let distinct: std::collections::BTreeSet<_> = keys.iter().map(|key| key.0).collect();
    assert_eq!(distinct.len(), keys.len());
    // What is not clamped has all bits in time.
    let any = (0..64)
        .map(|_| Key::random().unwrap().0)
        .fold([0; 2], |seen, key| [seen[0] | key[0], seen[1] | key[31]]);
    assert_eq!(any, [255, 255]);
}

#[test]
fn a_key_is_44_characters_and_then_nothing() {
    let key = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
    for good in [key.to_owned(), format!("{key}\n"), format!("{key} \t\r\n\0\x0b")] {
        assert!(Key::read(good.as_bytes()).is_some(), "{good:?}");
    }
    let short = &key[..43];
    for bad in [
        String::new(),
        short.to_owned(),
        format!("{short}\n"),
        format!(" {key}"),
        format!("{key}{key}"),
        format!("{key}\n#"),
        format!("{short}A"),
        // Bits beyond the last byte.
        format!("{}l=", &key[..42]),
        format!("{}-=", &key[..42]),
        "A".repeat(44),
    ] {
        assert!(Key::read(bad.as_bytes()).is_none(), "{bad:?}");
    }
}

#[test]
fn only_files_that_all_may_use_are_warned_of() {
    let scratch = crate::testing::Directory::new();
    let path = scratch.write("key", "");
    let file = File::options().write(true).open(&path).unwrap();
    for (mode, open) in [(0o600, false), (0o660, false), (0o604, true), (0o602, true), (0o601, true)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_open_to_all(&file), open, "{mode:o}");
    }
    assert!(!is_open_to_all(File::open("/dev/null").unwrap()), "it is no file");
}
