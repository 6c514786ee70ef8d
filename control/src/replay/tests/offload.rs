use super::{
    super::offload::complete,
    capture::{Capture, udp},
    replay,
};

fn frame(vlans: &[u16]) -> Vec<u8> {
    udp(vlans, ("10.0.0.2", 1), ("192.0.2.7", 2), 100)
}

#[test]
fn what_the_card_adds_is_added() {
    for (vlans, header) in [([].as_slice(), 14), (&[5], 18), (&[5, 6], 22)] {
        let whole = frame(vlans);
        let mut left = whole.clone();
        left[header + 10..header + 12].fill(0);
        assert!(complete(&mut left));
        assert_eq!(left, whole);
        left[header + 2..header + 4].fill(0);
        left[header + 10..header + 12].fill(0);
        assert!(complete(&mut left));
        assert_eq!(left, whole);
    }
}

#[test]
fn what_is_wrong_stays_wrong() {
    let whole = frame(&[]);
    let mut wrong = whole.clone();
    wrong[24] ^= 1;
    let before = wrong.clone();
    assert!(!complete(&mut wrong));
    assert_eq!(wrong, before);
    let mut right = whole.clone();
    assert!(!complete(&mut right));
    for length in 0..whole.len() {
        let mut cut = whole[..length].to_vec();
        if let Some(checksum) = cut.get_mut(24..26) {
            checksum.fill(0);
        }
        complete(&mut cut);
    }
    let mut options = whole;
    options[14] = 0x4f;
    options[24..26].fill(0);
    complete(&mut options);
}

#[test]
fn such_packets_are_replayed_and_counted() {
    let mut capture = Capture::new();
    let mut left = frame(&[]);
    left[24..26].fill(0);
    capture.add(0, &left);
    let (summary, _) = replay(capture.bytes(), "", |_| {});
    assert_eq!((summary.completed, summary.forwarded, summary.malformed), (1, 1, 0));
}
