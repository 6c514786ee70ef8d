use proptest::prelude::*;

use super::*;
use crate::{clock::Timestamp, verdict::DropReason};

fn program(lines: &[&str]) -> Result<Program, ProgramError> {
    let raw: Vec<RawInstruction> = lines.iter().map(|line| line.parse().unwrap()).collect();
    Program::new(&raw)
}

/// `tcpdump -ddd 'tcp port 80'`, with libpcap's optimiser.
const TCP_PORT_80: &[&str] = &[
    "40 0 0 12",
    "21 0 6 34525",
    "48 0 0 20",
    "21 0 15 6",
    "40 0 0 54",
    "21 12 0 80",
    "40 0 0 56",
    "21 10 11 80",
    "21 0 10 2048",
    "48 0 0 23",
    "21 0 8 6",
    "40 0 0 20",
    "69 6 0 8191",
    "177 0 0 14",
    "72 0 0 14",
    "21 2 0 80",
    "72 0 0 16",
    "21 0 1 80",
    "6 0 0 262144",
    "6 0 0 0",
];

fn tcp(source_port: u16, destination_port: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
        .ipv4([10, 0, 0, 1], [192, 0, 2, 7], 64)
        .tcp(source_port, destination_port, 1, 1000)
        .write(&mut packet, b"GET /")
        .unwrap();
    packet
}

#[test]
fn a_program_of_libpcap_selects_what_its_expression_says() {
    let filter = program(TCP_PORT_80).unwrap();
    let wants = |packet: &[u8]| filter.wants(packet, packet.len() as u32);
    assert!(wants(&tcp(1024, 80)) && wants(&tcp(80, 1024)));
    assert!(!wants(&tcp(1024, 443)));
    // Whatever is cut off is not there.
    let packet = tcp(1024, 80);
    for length in 0..packet.len() {
        assert_eq!(wants(&packet[..length]), length >= 38, "{length}");
    }
}

#[test]
fn instructions_do_what_they_should() {
    // A = length; X = A; A = 7; M[3] = A; X = M[3]; A = X * 6; A = A - 2; A = A / 5; A = A ^ 9; return A
    let all = program(&[
        "128 0 0 0",
        "7 0 0 0",
        "0 0 0 7",
        "2 0 0 3",
        "97 0 0 3",
        "135 0 0 0",
        "36 0 0 6",
        "20 0 0 2",
        "52 0 0 5",
        "164 0 0 9",
        "21 0 1 1",
        "6 0 0 1",
        "6 0 0 0",
    ]);
    assert!(all.unwrap().wants(&[], 0));
    // A division by X, which is zero, ends it.
    let divided = program(&["0 0 0 7", "60 0 0 0", "6 0 0 1"]).unwrap();
    assert!(!divided.wants(&[], 0));
    // Shifts by all bits leave nothing; by X, at run time.
    let shifted = program(&["1 0 0 32", "0 0 0 1", "108 0 0 0", "21 1 0 0", "6 0 0 0", "6 0 0 1"]).unwrap();
    assert!(shifted.wants(&[], 0));
}

#[test]
fn a_program_that_goes_round_in_circles_ends_with_no() {
    assert!(!program(&["5 0 0 4294967295", "6 0 0 1"]).unwrap().wants(&[], 0));
    // Ten times round: A = A + 1; if A == 10 return 1; go back.
    let counting = program(&["4 0 0 1", "21 0 1 10", "6 0 0 1", "5 0 0 4294967292", "6 0 0 0"]).unwrap();
    assert!(counting.wants(&[], 0));
}

#[test]
fn what_is_no_program_is_refused() {
    for (lines, error) in [
        (&[][..], ProgramError::Length(0)),
        (&["0 0 0 1"], ProgramError::Jump(0)),
        (&["5 0 0 1", "6 0 0 0"], ProgramError::Jump(0)),
        (&["5 0 0 4294967294", "6 0 0 0"], ProgramError::Jump(0)),
        (&["21 0 1 0", "6 0 0 0"], ProgramError::Jump(0)),
        (&["6 0 0 0", "2 0 0 16", "6 0 0 0"], ProgramError::Memory(1)),
        (&["52 0 0 0", "6 0 0 0"], ProgramError::Constant(0)),
        (&["148 0 0 0", "6 0 0 0"], ProgramError::Constant(0)),
        (&["100 0 0 32", "6 0 0 0"], ProgramError::Constant(0)),
        (&["65535 0 0 0", "6 0 0 0"], ProgramError::Unknown { at: 0, code: 0xffff }),
        (&["196 0 0 0", "6 0 0 0"], ProgramError::Unknown { at: 0, code: 0xc4 }),
    ] {
        assert_eq!(program(lines), Err(error), "{lines:?}");
    }
    assert_eq!(program(&vec!["6 0 0 0"; Program::MAX + 1]), Err(ProgramError::Length(Program::MAX + 1)));
    for text in ["", "1 2 3", "1 2 3 4 5", "1 256 3 4", "a 2 3 4"] {
        assert!(text.parse::<RawInstruction>().is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever numbers come as a program, and whatever as a packet: there is an answer.
    #[test]
    fn an_aligned_chunk_has_the_same_packets(lengths in proptest::collection::vec(0_usize..3000, 1..40)) {
        let mut chunk = Chunk::new();
        for (time, length) in lengths.iter().enumerate() {
            prop_assert!(chunk.has_room(*length));
            chunk.push(&label(time as u64), &vec![7; *length], *length);
        }
        let before = chunk.bytes().to_vec();
        chunk.align();
        let (start, length) = (chunk.bytes().as_ptr() as usize, chunk.bytes().len());
        prop_assert_eq!((start % AlignedBytes::ALIGN, length % AlignedBytes::ALIGN), (0, 0));
        // Only the last block is another: longer, and so it says at both of its ends.
        let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let mut at = 0;
        for last in (1..=lengths.len()).map(|number| number == lengths.len()) {
            let (old, new) = (word(&before, at + 4), word(chunk.bytes(), at + 4));
            prop_assert_eq!(new - old, if last { length - before.len() } else { 0 });
            prop_assert_eq!(word(chunk.bytes(), at + new - 4), new);
            let kept = if last { old - 8 } else { old };
            prop_assert_eq!(&chunk.bytes()[at + 8..at + kept], &before[at + 8..at + kept]);
            at += new;
        }
        prop_assert_eq!(at, length);
        let again = chunk.bytes().to_vec();
        chunk.align();
        prop_assert_eq!(chunk.bytes(), again);
        chunk.clear();
        prop_assert!(chunk.bytes().is_empty());
    }

    #[test]
    fn any_program_that_is_taken_ends(
        raw in proptest::collection::vec((0_u16..0xc0, 0_u8..4, 0_u8..4, 0_u32..20), 1..24),
        packet in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let raw: Vec<_> = raw
            .into_iter()
            .map(|(code, jump_true, jump_false, k)| RawInstruction { code, jump_true, jump_false, k })
            .chain([RawInstruction { code: 6, jump_true: 0, jump_false: 0, k: 1 }])
            .collect();
        if let Ok(program) = Program::new(&raw) {
            program.wants(&packet, packet.len() as u32);
        }
    }
}

fn label(time: u64) -> Label {
    Label {
        interface: 1,
        time: Timestamp::from_nanos(time),
        length: 1514,
        fate: Fate::dropped(DropReason::RuleDeny),
        decision: 7,
        worker: 2,
        captures: 5,
    }
}

#[test]
fn blocks_are_those_of_pcapng() {
    let mut chunk = Chunk::new();
    chunk.push(&label(0x1_0000_0002), &[0xaa; 7], 5);
    let expected = [
        6,
        0,
        0,
        0,
        72,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        2,
        0,
        0,
        0,
        5,
        0,
        0,
        0,
        0xea,
        5,
        0,
        0, // head
        0xaa,
        0xaa,
        0xaa,
        0xaa,
        0xaa,
        0,
        0,
        0, // what is kept, padded
        0xad,
        0x0b,
        24,
        0,
        0xd9,
        0x7e,
        0,
        0,
        chunk.bytes()[44],
        2,
        0,
        0,
        7,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        5,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        72,
        0,
        0,
        0,
    ];
    assert_eq!(chunk.bytes(), expected);
    assert_eq!(Fate::of_number(chunk.bytes()[44]).drop_reason(), Some(DropReason::RuleDeny));
    assert_eq!((Fate::PASSED.drop_reason(), Fate::of_number(255).drop_reason()), (None, None));
    assert_eq!((chunk.packets(), chunk.captures()), (1, 5));
    let denied = Fates::dropped_for([DropReason::RuleDeny]);
    assert_eq!(chunk.fates(), denied);
    assert!(denied.contains(Fate::dropped(DropReason::RuleDeny)) && !denied.contains(Fate::PASSED));
    assert!(chunk.fates().meets(Fates::DROPPED) && !chunk.fates().meets(Fates::PASSED));
    let at = Timestamp::from_nanos(0x1_0000_0002);
    assert_eq!(chunk.span(), Some((at, at)));
    chunk.clear();
    assert!(chunk.is_empty() && chunk.bytes().is_empty() && chunk.span().is_none());
    assert_eq!(chunk.fates(), Fates::NONE);
}

#[test]
fn a_ring_that_nobody_empties_loses_copies_and_nothing_else() {
    let ring = CaptureRing::new(2);
    let mut recorder = ring::Recorder::new(std::sync::Arc::clone(&ring));
    let packet = vec![0; 1514];
    let mut taken = 0;
    while recorder.record(&label(taken), &packet, 1514) {
        taken += 1;
    }
    assert_eq!(taken, 2 * (Chunk::ROOM / (1516 + 64)) as u64);
    assert!(!recorder.record(&label(0), &packet, 1514));
    let first = ring.take().unwrap();
    assert_eq!(first.span().unwrap().0, Timestamp::ZERO);
    let packets = first.packets();
    ring.give_back(first);
    assert!(recorder.record(&label(taken), &packet, 1514));
    assert_eq!(ring.take().unwrap().packets(), packets);
    assert!(ring.take().is_none(), "the third is not full");
    recorder.flush();
    assert_eq!(ring.take().unwrap().packets(), 1);
}

#[test]
fn chunks_are_joined_while_they_fit() {
    let make = |time, kept| {
        let mut chunk = Chunk::new();
        chunk.push(&label(time), &vec![0; kept], kept);
        chunk
    };
    let (mut all, more) = (make(5, 100), make(3, 100));
    let length = all.bytes().len();
    assert!(all.append(&more));
    assert_eq!((all.packets(), &all.bytes()[length..]), (2, more.bytes()));
    assert_eq!(all.fates(), more.fates());
    assert_eq!(all.span(), Some((Timestamp::from_nanos(3), Timestamp::from_nanos(5))));
    assert!(all.append(&Chunk::new()));
    let before = all.bytes().len();
    assert!(!all.append(&make(9, Chunk::SIZE - before)));
    assert_eq!((all.packets(), all.bytes().len()), (2, before), "it is as it was");
    let mut empty = Chunk::new();
    assert!(empty.append(&more));
    assert_eq!((empty.bytes(), empty.span(), empty.captures()), (more.bytes(), more.span(), 5));
}
