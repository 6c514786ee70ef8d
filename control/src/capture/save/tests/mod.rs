use std::{fs, net::IpAddr};

use proptest::prelude::*;

use super::*;
use crate::{
    capture::{
        RingSettings,
        budget::Budget,
        compile,
        fixtures::{Sample, chunk, expected, read},
        ring::Ring,
    },
    testing::Directory,
};

mod found;

const MIB: u64 = 1 << 20;
const NOW: Timestamp = Timestamp::from_nanos(1_000_000);
const MEMORY: RingSettings = RingSettings { memory: 8 * MIB, disk: 0, keep: None };
const DISK: RingSettings = RingSettings { memory: 0, disk: 100 * MIB, keep: None };
const BOTH: RingSettings = RingSettings { memory: 2 * MIB, disk: 100 * MIB, keep: None };

struct Test {
    root: Directory,
    budget: Budget,
    ring: Ring,
}

impl Test {
    fn new(settings: RingSettings) -> Self {
        let root = Directory::new();
        let budget = Budget::new(root.file(""), u64::MAX, 0);
        let ring = Ring::open(&root.file(""), settings, Arc::new(["eth0".to_owned()]));
        Self { root, budget, ring }
    }

    fn take(&mut self, samples: &[Sample]) {
        self.ring.take(chunk(samples), samples.len() as u64, NOW, &mut self.budget);
    }

    fn save(&self, request: &SaveRequest) -> (Saved, Vec<u8>) {
        let mut out = Vec::new();
        let held = self.ring.held(request.from, request.until);
        let saved = save(&held, request, &mut Commentator::default(), &mut out).unwrap();
        assert_eq!(saved.bytes, out.len() as u64);
        (saved, out)
    }
}

fn everything() -> SaveRequest {
    let until = Timestamp::from_nanos(u64::MAX);
    SaveRequest { from: Timestamp::ZERO, until, wanted: Wanted::default(), filter: None, subject: None }
}

fn of(wanted: Wanted) -> SaveRequest {
    SaveRequest { wanted, ..everything() }
}

fn of_host(host: impl Into<IpAddr>) -> SaveRequest {
    of(Wanted { host: Some(host.into()), ..Wanted::default() })
}

/// Chunks of about 600 kB, each with packets of a host of its own.
fn chunks(count: u64) -> Vec<Vec<Sample>> {
    let of_chunk = |part: u64| {
        (0..10).map(move |at| {
            Sample::new(part * 10 + at, 1, 60_000).from([10, 1, (part >> 8) as u8, part as u8])
        })
    };
    (0..count).map(|part| of_chunk(part).collect()).collect()
}

#[test]
fn one_host_is_found_without_reading_the_rest() {
    let mut test = Test::new(DISK);
    let chunks = chunks(20);
    chunks.iter().for_each(|samples| test.take(samples));
    let request = of_host([10, 1, 0, 7]);
    let (saved, file) = test.save(&request);
    assert_eq!(read(file), (expected(&chunks[7]), false));
    assert_eq!((saved.packets, saved.gone), (10, 0));
    assert!(saved.read > 600_000 && saved.read < 610_000, "one chunk, and the index: {}", saved.read);
    // Without an index it takes longer.
    let entries = fs::read_dir(test.root.file("ring")).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.to_str().unwrap().contains("index"))
        .for_each(|path| fs::remove_file(path).unwrap());
    let (saved, file) = test.save(&request);
    assert_eq!(read(file), (expected(&chunks[7]), false));
    assert!(saved.read > 20 * 600_000);
    // Who has never sent anything: nothing, as a file.
    let (saved, file) = test.save(&of_host([10, 77, 0, 7]));
    assert_eq!((saved.packets, read(file)), (0, (Vec::new(), false)));
}

#[test]
fn the_time_and_the_filter_are_those_asked_for() {
    for settings in [MEMORY, DISK, BOTH] {
        let mut test = Test::new(settings);
        let chunks = chunks(5);
        chunks.iter().for_each(|samples| test.take(samples));
        let all = chunks.concat();
        let (from, until) = (Timestamp::from_nanos(15), Timestamp::from_nanos(33));
        let (saved, file) = test.save(&SaveRequest { from, until, ..everything() });
        assert_eq!((saved.packets, read(file).0), (19, expected(&all[15..=33])), "{settings:?}");
        let filter = Some(Arc::new(compile("host 10.1.0.3 or host 10.1.0.1").unwrap()));
        let (saved, file) = test.save(&SaveRequest { filter, ..everything() });
        let wanted = all[10..20].iter().chain(&all[30..40]);
        assert_eq!((saved.packets, read(file).0), (20, expected(wanted)), "{settings:?}");
    }
}

#[test]
fn a_packet_in_memory_and_on_the_disk_comes_once() {
    let mut test = Test::new(BOTH);
    let chunks = chunks(5);
    chunks.iter().for_each(|samples| test.take(samples));
    let few = [Sample::new(1000, 1, 10)];
    test.take(&few);
    let (saved, file) = test.save(&everything());
    assert_eq!(read(file).0, expected(chunks.concat().iter().chain(&few)));
    assert!((3 * 600_000..4 * 700_000).contains(&saved.read), "two of five are in memory: {}", saved.read);
}

#[test]
fn what_others_have_captured_is_not_the_rings() {
    let mut test = Test::new(MEMORY);
    let samples = [Sample::new(1, 1, 10), Sample::new(2, 2, 10), Sample::new(3, 3, 10)];
    test.take(&samples);
    let (_, file) = test.save(&everything());
    assert_eq!(read(file).0, expected([&samples[0], &samples[2]]));
}

#[test]
fn files_that_go_meanwhile_are_told() {
    let mut test = Test::new(DISK);
    chunks(3).iter().for_each(|samples| test.take(samples));
    let held = test.ring.held(Timestamp::ZERO, NOW);
    fs::remove_dir_all(test.root.file("ring")).unwrap();
    let mut out = Vec::new();
    let saved = save(&held, &everything(), &mut Commentator::default(), &mut out).unwrap();
    assert_eq!((saved.packets, saved.gone, read(out)), (0, 30, (Vec::new(), false)));
}

#[test]
fn interfaces_of_an_earlier_process_keep_their_names() {
    let mut test = Test::new(DISK);
    test.take(&chunks(1)[0]);
    test.ring.finish(NOW, &mut test.budget);
    test.ring = Ring::open(&test.root.file(""), DISK, Arc::new(["wan".to_owned(), "lan".to_owned()]));
    while test.ring.size().0 == 0 {
        std::thread::yield_now();
        test.ring.tidy(NOW);
    }
    let later = [Sample::new(5000, 1, 600_000 / 10)];
    test.take(&later);
    test.ring.settle(NOW, &mut test.budget);
    let (saved, file) = test.save(&everything());
    assert_eq!(saved.packets, 11);
    let (names, start) = blocks::section(&file).unwrap();
    assert_eq!(names, ["wan", "lan", "eth0"]);
    let interface = |at: usize| u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap());
    assert_eq!(interface(start), 2);
    let last = u32::from_le_bytes(file[file.len() - 4..].try_into().unwrap()) as usize;
    assert_eq!(interface(file.len() - last), 0);
}

#[test]
fn an_output_that_fails_is_an_error() {
    let mut test = Test::new(MEMORY);
    chunks(3).iter().for_each(|samples| test.take(samples));
    let held = test.ring.held(Timestamp::ZERO, NOW);
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let error = save(&held, &everything(), &mut Commentator::default(), &mut full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order from several workers: a save is what one would pick by hand, sorted by time.
    #[test]
    fn a_save_is_what_one_would_pick_by_hand(
        chunks in proptest::collection::vec(
            proptest::collection::vec((0_u64..1000, 0_u64..4, 0_u8..6, 0_usize..40_000), 1..20), 1..12),
        settle in any::<bool>(),
        (from, length) in (0_u64..1000, 0_u64..1000),
        host in proptest::option::of(0_u8..6),
        settings in proptest::sample::select(vec![MEMORY, DISK, BOTH]),
    ) {
        let mut test = Test::new(settings);
        let mut all = Vec::new();
        for (part, packets) in chunks.into_iter().enumerate() {
            let sample = |(time, captures, host, payload): (u64, u64, u8, usize)| {
                Sample::new(part as u64 * 100 + time, captures, payload).from([10, 3, 0, host])
            };
            let samples: Vec<_> = packets.into_iter().map(sample).collect();
            test.take(&samples);
            if settle && settings.disk > 0 {
                test.ring.settle(NOW, &mut test.budget);
            }
            all.extend(samples);
        }
        let (from, until) = (Timestamp::from_nanos(from), Timestamp::from_nanos(from + length));
        let host_wanted = host.map(|host| IpAddr::from([10, 3, 0, host]));
        let request = SaveRequest { from, until, ..of(Wanted { host: host_wanted, ..Wanted::default() }) };
        let wanted = |sample: &&Sample| {
            sample.captures & 1 != 0
                && (from.as_nanos()..=until.as_nanos()).contains(&sample.time)
                && host.is_none_or(|host| sample.source.octets()[3] == host)
        };
        let mut by_hand = expected(all.iter().filter(wanted));
        by_hand.sort();
        let (saved, file) = test.save(&request);
        let (mut found, cut) = read(file);
        prop_assert!(!cut && found.is_sorted_by_key(|(time, _)| *time));
        found.sort();
        prop_assert_eq!(saved.packets, found.len() as u64);
        prop_assert!(found == by_hand);
    }
}
