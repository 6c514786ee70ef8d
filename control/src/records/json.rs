//! The pieces of a JSON line, written into a buffer that is used again: no value tree, no allocation.

use std::{io::Write, net::IpAddr};

use ravelin_dataplane::clock::Timestamp;

/// Appends a number.
pub(super) fn number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number that is `null` when there is none.
pub(super) fn optional(out: &mut Vec<u8>, value: Option<impl itoa::Integer>) {
    match value {
        Some(value) => number(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a text in quotes, escaped as RFC 8259 section 7 asks.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                self::byte(out, byte);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Appends a byte as two hexadecimal digits.
pub(super) fn byte(out: &mut Vec<u8>, value: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(&[DIGITS[usize::from(value >> 4)], DIGITS[usize::from(value & 0xf)]]);
}

/// Appends a number with leading zeros.
pub(super) fn three_digits(out: &mut Vec<u8>, value: u8) {
    let mut text = [0; 3];
    digits(&mut text, u64::from(value));
    out.extend_from_slice(&text);
}

/// Appends an address without quotes; IPv6 in the form of RFC 5952.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            number(out, a);
            for octet in [b, c, d] {
                out.push(b'.');
                number(out, octet);
            }
        }
        // A vector takes all that is written.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// Appends a time without quotes as Suricata writes it: `2024-03-26T10:11:12.123456+0000`.
pub(super) fn timestamp(out: &mut Vec<u8>, time: Timestamp) {
    const DAY: u64 = 86_400;
    let (seconds, micros) = (time.as_secs(), time.as_micros() % 1_000_000);
    let (year, month, day) = civil(seconds / DAY);
    let second = seconds % DAY;
    let mut text = *b"0000-00-00T00:00:00.000000+0000";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], second / 3600);
    digits(&mut text[14..16], second / 60 % 60);
    digits(&mut text[17..19], second % 60);
    digits(&mut text[20..26], micros);
    out.extend_from_slice(&text);
}

/// Fills `text` with the last decimal digits of `value`.
fn digits(text: &mut [u8], mut value: u64) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Years are taken to start in March, so
/// that the leap day is the last of its year.
const fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468; // from 0000-03-01
    const ERA: u64 = 146_097; // 400 years
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}
