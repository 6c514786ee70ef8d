//! Every byte string has a disposition.

use super::{samples::all, *};

/// Breaks a packet in one to four places.
fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let place = random.below(frame.len());
        match random.below(8) {
            0 => frame.truncate(place),
            1 => frame.extend((0..random.below(64)).map(|_| 0)),
            2 => {
                let byte = random.byte();
                frame.insert(place, byte);
            }
            3 if !frame.is_empty() => {
                frame.remove(place);
            }
            4 => {
                let tail = frame.split_off(place);
                let count = random.below(tail.len());
                frame.extend(&tail[..count]);
                frame.extend(&tail);
            }
            5 => {
                let edge =
                    [0x00, 0x01, 0x07, 0x08, 0x0f, 0x2c, 0x3c, 0x7f, 0x80, 0xfe, 0xff][random.below(11)];
                if let Some(byte) = frame.get_mut(place) {
                    *byte = edge;
                }
            }
            _ => {
                if let Some(byte) = frame.get_mut(place) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    // Without this the checksum would hide whatever lies behind it.
    if random.below(4) != 0 {
        repair_checksum(frame);
    }
}

#[test]
fn ten_thousand_mutations_of_each_packet_have_a_disposition() {
    for (seed, (name, sample)) in all().into_iter().enumerate() {
        let mut random = Random(seed as u64);
        let (mut passed, mut dropped) = (0, 0);
        for _ in 0..10_000 {
            let mut frame = sample.clone();
            mutate(&mut frame, &mut random);
            assert_disposed(&frame);
            oracle::assert_agrees(&frame);
            if decode(&frame).verdict.is_undecided() {
                passed += 1;
            } else {
                dropped += 1;
            }
        }
        assert!(passed > 500 && dropped > 500, "{name}: {passed} passed, {dropped} dropped");
    }
}

#[test]
fn every_prefix_of_each_packet_has_a_disposition() {
    for (_, sample) in all() {
        for length in 0..=sample.len() {
            assert_disposed(&sample[..length]);
            oracle::assert_agrees(&sample[..length]);
        }
    }
}

#[test]
fn random_bytes_have_a_disposition() {
    let mut random = Random(0x5eed);
    for _ in 0..20_000 {
        let length = random.below(200);
        let mut frame: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        assert_disposed(&frame);
        // Most of it is of no known EtherType, so announce one, and a version that fits.
        if let Some(bytes) = frame.get_mut(12..15) {
            let choices = [
                [0x08, 0x00, 0x45],
                [0x08, 0x00, 0x47],
                [0x86, 0xdd, 0x60],
                [0x81, 0x00, 0],
                [0x08, 0x06, 0],
            ];
            bytes.copy_from_slice(&choices[random.below(choices.len())]);
        }
        repair_checksum(&mut frame);
        assert_disposed(&frame);
        oracle::assert_agrees(&frame);
    }
}
