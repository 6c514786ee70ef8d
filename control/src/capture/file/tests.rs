use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;
use crate::{
    capture::{
        blocks::{self, Packets},
        fixtures::*,
    },
    testing::Directory,
};

fn interfaces() -> Vec<String> {
    vec!["eth0".to_owned(), "eth1".to_owned()]
}

struct Test {
    root: Directory,
    budget: Budget,
    files: Files,
}

impl Test {
    fn new(spec: Spec) -> Self {
        let root = Directory::new();
        let budget = Budget::new(root.file(""), u64::MAX, 0);
        let files = Files::create(&root.file(""), spec, &interfaces()).unwrap();
        Self { root, budget, files }
    }

    /// Pushes packets until the capture is at its end; says how many were taken.
    fn push(&mut self, samples: &[Sample]) -> io::Result<usize> {
        for (taken, sample) in samples.iter().enumerate() {
            let chunk = chunk([sample]);
            let packet = Packets::new(chunk.bytes()).next().unwrap();
            if self.files.push(&packet, "allow, worker 1", &mut self.budget)? == Pushed::Ended {
                return Ok(taken);
            }
        }
        Ok(samples.len())
    }

    fn finish(&mut self) {
        self.files.finish(&mut self.budget).unwrap();
        assert!(hidden(&self.root, "a").is_empty());
    }

    /// The contents of the complete files, unpacked, in order.
    fn contents(&self) -> Vec<Vec<u8>> {
        let mut names: Vec<_> = list(&self.root, "a").into_iter().filter(|name| is_complete(name)).collect();
        names.sort();
        assert_eq!(names.len(), self.files.complete());
        names
            .into_iter()
            .map(|name| unpack(&name, fs::read(self.root.file("a").join(&name)).unwrap()))
            .collect()
    }
}

fn list(root: &Directory, capture: &str) -> Vec<String> {
    let entries = fs::read_dir(root.file(capture)).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn hidden(root: &Directory, capture: &str) -> Vec<String> {
    list(root, capture).into_iter().filter(|name| name.starts_with('.')).collect()
}

fn unpack(name: &str, bytes: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    if name.ends_with(".gz") {
        io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&bytes[..]), &mut out).unwrap();
        out
    } else if name.ends_with(".zst") {
        zstd::decode_all(&bytes[..]).unwrap()
    } else {
        bytes
    }
}

fn samples(count: u64, payload: usize) -> Vec<Sample> {
    (0..count).map(|at| Sample::new(1_700_000_000_000_000_000 + at, 2, payload)).collect()
}

#[test]
fn a_file_is_hidden_until_it_is_complete() {
    let mut test = Test::new(Spec::new("a"));
    assert!(list(&test.root, "a").is_empty());
    let samples = samples(3, 10);
    test.push(&samples).unwrap();
    assert_eq!(list(&test.root, "a"), [".a-00001.pcapng.part"]);
    assert_eq!(test.files.tally().packets, 0, "they wait");
    test.files.tick(Timestamp::from_nanos(samples[0].time), &mut test.budget).unwrap();
    assert_eq!(test.files.tally().packets, 3);
    let part = fs::read(test.root.file("a/.a-00001.pcapng.part")).unwrap();
    assert_eq!(read(part), (expected(&samples), false));
    test.finish();
    assert_eq!(list(&test.root, "a"), ["a-00001.pcapng"]);
    let path = test.root.file("a/a-00001.pcapng");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.mode() & 0o777), (test.files.tally().bytes, 0o600));
    assert_eq!(fs::metadata(test.root.file("a")).unwrap().mode() & 0o777, 0o700);
    let file = fs::read(path).unwrap();
    let ending = blocks::statistics(Timestamp::from_nanos(samples[2].time), 3, 0);
    assert!(file.ends_with(&ending), "what was received and lost stands at the end");
    assert_eq!(test.files.tally(), Tally { packets: 3, bytes: metadata.len(), lost: 0 });
}

#[test]
fn what_a_dead_process_left_is_found_and_numbered_on() {
    let mut test = Test::new(Spec::new("a"));
    let samples = samples(2, 10);
    test.push(&samples).unwrap();
    test.files.tick(Timestamp::ZERO, &mut test.budget).unwrap();
    fs::write(test.root.file("a/.a-00007.pcapng.part"), []).unwrap();
    fs::write(test.root.file("a/a-b-00009.pcapng"), []).unwrap();
    let again = Files::create(&test.root.file(""), Spec::new("a"), &interfaces()).unwrap();
    let mut names = list(&test.root, "a");
    names.sort();
    assert_eq!(names, ["a-00001.pcapng", "a-b-00009.pcapng"]);
    assert_eq!((again.next, again.complete()), (2, 1));
    assert_eq!(read(fs::read(test.root.file("a/a-00001.pcapng")).unwrap()), (expected(&samples), false));
}

#[test]
fn files_of_one_time_are_told_from_those_of_another() {
    let spec = |mark: &str| Spec {
        mark: Some(mark.to_owned()),
        rotate_packets: Some(2),
        files: Some(3),
        ..Spec::new("a")
    };
    let mut test = Test::new(spec("20260801T0200Z"));
    test.push(&samples(4, 60)).unwrap();
    test.finish();
    test.files = Files::create(&test.root.file(""), spec("20260802T0200Z"), &interfaces()).unwrap();
    test.push(&samples(4, 60)).unwrap();
    test.finish();
    let mut names = list(&test.root, "a");
    names.sort();
    // They are numbered on, and the oldest of all go.
    let expected =
        ["a-00002-20260801T0200Z.pcapng", "a-00003-20260802T0200Z.pcapng", "a-00004-20260802T0200Z.pcapng"];
    assert_eq!(names, expected);
}

#[test]
fn names_lead_nowhere_else() {
    let root = Directory::new();
    for name in ["", ".", "..", "../a", "/tmp/a", "a/b", ".a", "a\0", "a b", "ring", "ä", &"a".repeat(129)] {
        let error = Files::create(&root.file(""), Spec::new(name), &interfaces()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
    }
    assert!(list(&root, "").is_empty());
    for name in ["a", "A-b_c.1", "ring-1", "a..b"] {
        Files::create(&root.file(""), Spec::new(name), &interfaces()).unwrap();
    }
}

#[test]
fn files_end_by_size_time_and_count() {
    let size = Spec { rotate_size: Some(1000), ..Spec::new("a") };
    let count = Spec { rotate_packets: Some(4), ..Spec::new("a") };
    let time = Spec { rotate_time: Some(Duration::from_nanos(5)), ..Spec::new("a") };
    for (spec, files) in [(size, 5), (count, 3), (time, 2)] {
        let mut test = Test::new(spec.clone());
        let samples = samples(10, 200);
        assert_eq!(test.push(&samples).unwrap(), 10);
        test.finish();
        let contents = test.contents();
        assert_eq!(contents.len(), files, "{spec:?}");
        // The end of a file comes on top.
        assert!(
            spec.rotate_size
                .is_none_or(|most| contents.iter().all(|it| it.len() as u64 <= most + Files::END))
        );
        let all: Vec<_> = contents.into_iter().flat_map(|file| read(file).0).collect();
        assert_eq!(all, expected(&samples));
    }
    // A file whose time is over is completed even if nothing comes any more.
    let mut test = Test::new(Spec { rotate_time: Some(Duration::from_secs(60)), ..Spec::new("a") });
    let samples = samples(1, 10);
    test.push(&samples).unwrap();
    let first = Timestamp::from_nanos(samples[0].time);
    test.files.tick(first + Duration::from_secs(59), &mut test.budget).unwrap();
    assert_eq!(test.files.complete(), 0);
    test.files.tick(first + Duration::from_secs(60), &mut test.budget).unwrap();
    assert_eq!(read(test.contents().remove(0)), (expected(&samples), false));
}

#[test]
fn the_oldest_files_of_a_capture_go() {
    let spec = Spec { rotate_packets: Some(2), files: Some(2), ..Spec::new("a") };
    let mut test = Test::new(spec);
    let samples = samples(9, 10);
    test.push(&samples).unwrap();
    test.finish();
    let all: Vec<_> = test.contents().into_iter().flat_map(|file| read(file).0).collect();
    assert_eq!(all, expected(&samples[6..]));
    assert_eq!(test.files.tally().packets, 9);
}

#[test]
fn a_capture_ends_when_it_has_what_it_may() {
    let mut test = Test::new(Spec { max_packets: Some(4), ..Spec::new("a") });
    let samples = samples(10, 100);
    assert_eq!(test.push(&samples).unwrap(), 4);
    test.finish();
    assert_eq!(read(test.contents().remove(0)).0, expected(&samples[..4]));
    for rotate_size in [None, Some(700)] {
        let mut test = Test::new(Spec { max_size: Some(2000), rotate_size, ..Spec::new("a") });
        let taken = test.push(&samples).unwrap();
        test.finish();
        let bytes: u64 = test.contents().iter().map(|file| file.len() as u64).sum();
        assert_eq!(bytes, test.files.tally().bytes);
        assert!((1600..=2000).contains(&bytes), "{bytes}");
        assert!((4..10).contains(&taken), "{taken}");
        assert_eq!(test.files.tally().packets, taken as u64);
    }
}

#[test]
fn a_packet_is_cut_to_what_the_capture_keeps() {
    for format in [Format::Pcapng, Format::Pcap] {
        let mut test = Test::new(Spec { snap: 60, format, ..Spec::new("a") });
        let samples = samples(2, 100);
        test.push(&samples).unwrap();
        test.finish();
        let (packets, _) = read(test.contents().remove(0));
        assert_eq!(packets.len(), 2);
        for ((_, kept), (_, whole)) in packets.iter().zip(expected(&samples)) {
            assert_eq!(kept[..], whole[..60]);
        }
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_readable_up_to_its_last_block() {
    for format in [Format::Pcapng, Format::Pcap] {
        let mut test = Test::new(Spec { format, ..Spec::new("a") });
        let samples = samples(4, 20);
        test.push(&samples).unwrap();
        test.finish();
        let file = test.contents().remove(0);
        let header = format.header(&interfaces(), 262_144).len();
        let all = expected(&samples);
        let mut most = 0;
        for end in header..=file.len() {
            let (packets, _) = read(file[..end].to_vec());
            assert!(packets.len() >= most && packets.len() <= most + 1, "{format:?} {end}");
            most = packets.len();
            assert_eq!(packets, all[..most], "{format:?} {end}");
        }
        assert_eq!(most, 4);
    }
}

#[test]
fn when_the_budget_is_used_up_a_capture_fails_and_counts() {
    let mut test = Test::new(Spec::new("a"));
    test.budget = Budget::new(test.root.file(""), 600_000, 0);
    let samples = samples(1000, 1400);
    let error = test.push(&samples).unwrap_err();
    assert!(error.to_string().contains("budget of 600000 bytes"), "{error}");
    let Tally { packets, bytes, lost } = test.files.tally();
    assert!(packets > 300 && lost > 100, "{packets} {lost}");
    let pushed = samples.iter().take((packets + lost) as usize);
    // What was written before is there, and readable.
    let (found, cut) = read(test.contents().remove(0));
    assert_eq!((found, cut), (expected(pushed.take(packets as usize)), false));
    assert!(bytes <= 600_000);
    assert!(hidden(&test.root, "a").is_empty());
}

#[test]
fn with_its_own_old_files_in_the_way_a_capture_goes_on() {
    let mut test = Test::new(Spec { rotate_size: Some(300_000), ..Spec::new("a") });
    test.budget = Budget::new(test.root.file(""), 1_000_000, 0);
    let samples = samples(2000, 1400);
    assert_eq!(test.push(&samples).unwrap(), 2000);
    for path in test.budget.removed() {
        test.files.forget(&path);
    }
    test.finish();
    assert_eq!((test.files.tally().packets, test.files.tally().lost), (2000, 0));
    let all: Vec<_> = test.contents().into_iter().flat_map(|file| read(file).0).collect();
    assert!(all.len() > 300 && all.len() < 1000, "{}", all.len());
    assert_eq!(all, expected(&samples[2000 - all.len()..]), "the newest are there");
}

#[test]
fn a_directory_that_goes_away_is_an_error() {
    let mut test = Test::new(Spec::new("a"));
    let samples = samples(3, 10);
    test.push(&samples[..1]).unwrap();
    test.files.tick(Timestamp::ZERO, &mut test.budget).unwrap();
    test.push(&samples[1..]).unwrap();
    fs::remove_dir_all(test.root.file("a")).unwrap();
    let error = test.files.tick(Timestamp::ZERO, &mut test.budget).unwrap_err();
    assert!(error.to_string().contains("was removed"), "{error}");
    let Tally { packets, lost, .. } = test.files.tally();
    assert_eq!((packets, lost), (1, 2));
    assert!(test.push(&samples[..1]).is_err(), "nor can another file be begun");
    assert_eq!(test.files.tally().lost, 3);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Whatever comes, and however files end: together they hold the packets, in order, and each is readable.
    #[test]
    fn files_together_hold_what_was_captured(
        packets in proptest::collection::vec((0_u64..1000, 0_usize..3000), 1..200),
        rotate_size in proptest::option::of(100_u64..20_000),
        rotate_time in proptest::option::of(1_u64..5000),
        rotate_packets in proptest::option::of(1_u64..50),
        max_packets in proptest::option::of(1_u64..200),
        format in proptest::sample::select(vec![Format::Pcapng, Format::Pcap]),
        compression in proptest::sample::select(vec![Compression::None, Compression::Gzip, Compression::Zstd]),
        ticks in 1_usize..50,
    ) {
        let mut time = 1_700_000_000_000_000_000;
        let samples: Vec<_> = packets.into_iter().map(|(passed, payload)| {
            time += passed;
            Sample::new(time, 2, payload)
        }).collect();
        let rotate_time = rotate_time.map(Duration::from_nanos);
        let spec = Spec { format, compression, rotate_size, rotate_time, rotate_packets, max_packets, ..Spec::new("a") };
        let mut test = Test::new(spec);
        let mut taken = 0;
        for some in samples.chunks(ticks) {
            taken += test.push(some).unwrap();
            test.files.tick(Timestamp::from_nanos(some[0].time), &mut test.budget).unwrap();
        }
        test.finish();
        prop_assert_eq!(taken as u64, max_packets.unwrap_or(u64::MAX).min(samples.len() as u64));
        let mut all = Vec::new();
        for file in test.contents() {
            let (packets, cut) = read(file);
            prop_assert!(!cut && !packets.is_empty());
            prop_assert!(packets.len() as u64 <= rotate_packets.unwrap_or(u64::MAX));
            all.extend(packets);
        }
        prop_assert_eq!(all, expected(&samples[..taken]));
        let Tally { packets, lost, .. } = test.files.tally();
        prop_assert_eq!((packets, lost), (taken as u64, 0));
    }
}
