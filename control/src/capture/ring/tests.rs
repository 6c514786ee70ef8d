use std::{fs, path::PathBuf, thread};

use super::*;
use crate::{
    capture::{blocks::Packets, fixtures::*},
    testing::Directory,
};

const MIB: u64 = 1 << 20;
const NOW: Timestamp = Timestamp::from_nanos(1_000_000);

struct Test {
    root: Directory,
    budget: Budget,
    ring: Ring,
}

impl Test {
    fn new(settings: RingSettings) -> Self {
        let root = Directory::new();
        let ring = open(&root, settings);
        let budget = Budget::new(root.file(""), u64::MAX, 0);
        Self { root, budget, ring }
    }

    /// Ends the ring without a word, and begins another one in the same directory.
    fn restart(&mut self, settings: RingSettings) {
        self.ring = open(&self.root, settings);
    }

    fn take(&mut self, samples: &[Sample]) -> Box<Chunk> {
        self.ring.take(chunk(samples), samples.len() as u64, NOW, &mut self.budget)
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.file("ring")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect();
        files.sort();
        files
    }
}

fn open(root: &Directory, settings: RingSettings) -> Ring {
    let mut ring = Ring::open(&root.file(""), settings, Arc::new(["eth0".to_owned()]));
    while ring.disk.as_ref().is_some_and(|disk| !disk.is_settled()) {
        thread::yield_now();
        ring.tidy(NOW);
    }
    ring
}

/// The times of the packets in memory and on the disk.
fn times(held: &Held) -> (Vec<u64>, Vec<u64>) {
    let of = |blocks: &[u8]| Packets::new(blocks).map(|packet| packet.time.as_nanos()).collect::<Vec<_>>();
    let memory = held.memory.iter().flat_map(|kept| of(kept.chunk.bytes())).collect();
    let mut disk = Vec::new();
    for stored in &held.files {
        let mut data = Vec::new();
        io::Read::read_to_end(&mut stored.file.data().unwrap(), &mut data).unwrap();
        for unit in &stored.units {
            disk.extend(of(&data[unit.offset as usize..(unit.offset + u64::from(unit.length)) as usize]));
        }
    }
    (memory, disk)
}

fn all(ring: &Ring) -> (Vec<u64>, Vec<u64>) {
    times(&ring.held(Timestamp::ZERO, Timestamp::from_nanos(u64::MAX)))
}

/// So many packets as make a chunk that is kept as it is.
fn large(from: u64) -> Vec<Sample> {
    (from..from + 10).map(|time| Sample::new(time, 1, 60_000)).collect()
}

const MEMORY: RingSettings = RingSettings { memory: 3 * MIB, disk: 0, keep: None };
const DISK: RingSettings = RingSettings { memory: 0, disk: 100 * MIB, keep: None };

#[test]
fn memory_keeps_the_last_chunks_without_copying_them() {
    let mut test = Test::new(MEMORY);
    let mut places = Vec::new();
    for part in 0..5 {
        let filled = chunk(&large(part * 10));
        let place = filled.bytes().as_ptr();
        let mut given = test.ring.take(filled, 10, NOW, &mut test.budget);
        assert_ne!(given.bytes().as_ptr(), place);
        given.clear();
        // The fourth has no room beside the first three: their memory goes round.
        assert_eq!(places.contains(&given.bytes().as_ptr()), part >= 3);
        places.push(place);
    }
    let held = test.ring.held(Timestamp::ZERO, NOW);
    assert_eq!(held.memory.len(), 3);
    assert!(held.memory.iter().zip(&places[2..]).all(|(kept, place)| kept.chunk.bytes().as_ptr() == *place));
    assert_eq!(all(&test.ring).0, (20..50).collect::<Vec<_>>());
    // What somebody reads is not filled again.
    let before = times(&held);
    for part in 5..10 {
        test.take(&large(part * 10));
    }
    assert_eq!(times(&held), before);
    assert_eq!(test.ring.tally(), Tally { packets: 100, bytes: 0, lost: 0 });
    let of = |from, until| {
        times(&test.ring.held(Timestamp::from_nanos(from), Timestamp::from_nanos(until))).0.len()
    };
    assert_eq!((of(70, 79), of(79, 80), of(99, 99), of(100, 200)), (10, 20, 10, 0));
}

#[test]
fn few_packets_share_a_chunk() {
    let mut test = Test::new(MEMORY);
    for time in 0..5000 {
        test.take(&[Sample::new(time, 1, 100)]);
    }
    assert_eq!(all(&test.ring).0, (0..5000).collect::<Vec<_>>());
    assert_eq!(test.ring.memory.len(), 0, "all of them wait for more");
    for time in 5000..8000 {
        test.take(&[Sample::new(time, 1, 100)]);
    }
    assert_eq!(test.ring.memory.len(), 1);
    assert_eq!(all(&test.ring).0, (0..8000).collect::<Vec<_>>());
    test.ring.finish(NOW, &mut test.budget);
    assert_eq!(test.ring.tally(), Tally { packets: 8000, bytes: 0, lost: 0 });
}

#[test]
fn what_is_too_old_goes() {
    let keep = Some(Duration::from_nanos(100));
    for settings in [RingSettings { keep, ..MEMORY }, RingSettings { keep, ..DISK }] {
        let mut test = Test::new(settings);
        for part in 0..3 {
            test.ring.take(chunk(&large(part * 40)), 10, Timestamp::ZERO, &mut test.budget);
        }
        let kept = |test: &mut Test, now| {
            test.ring.tidy(Timestamp::from_nanos(now));
            let (memory, disk) = all(&test.ring);
            [memory, disk].concat()
        };
        assert_eq!(kept(&mut test, 109).len(), 30);
        assert_eq!(kept(&mut test, 110)[0], 40);
        // The file that is written to stays until it is complete.
        test.ring.finish(NOW, &mut test.budget);
        assert!(kept(&mut test, 10_000).is_empty());
        assert!(settings.disk == 0 || fs::read_dir(test.root.file("ring")).unwrap().next().is_none());
    }
}

#[test]
fn the_disk_keeps_so_many_bytes() {
    let mut test = Test::new(RingSettings { disk: 16 * MIB, ..DISK });
    for part in 0..60 {
        test.take(&large(part * 10));
        test.ring.tidy(NOW);
        let on_disk: u64 = fs::read_dir(test.root.file("ring"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert_eq!(test.ring.size().1, on_disk);
        assert!(on_disk <= 16 * MIB);
    }
    let (_, disk) = all(&test.ring);
    assert_eq!(disk, (600 - disk.len() as u64..600).collect::<Vec<_>>());
    assert!(disk.len() > 200, "{}", disk.len());
    assert_eq!(test.ring.tally().packets, 600);
    assert_eq!(test.files(".part").len(), 2, "one file and its index are written to");
    // Every file stands for itself.
    let complete = test.files(".pcapng");
    assert!(complete.len() > 4);
    let found = complete.iter().flat_map(|path| read(fs::read(path).unwrap()).0);
    let found: Vec<_> = found.map(|(time, _)| time).collect();
    assert_eq!(found, disk[..found.len()]);
}

#[test]
fn what_was_there_before_belongs_to_the_ring() {
    let mut test = Test::new(DISK);
    test.take(&large(0));
    test.take(&large(10));
    test.ring.settle(NOW, &mut test.budget);
    // Killed: the files are still hidden, and the last block was not wholly written.
    let data = test.files(".pcapng.part").remove(0);
    let length = fs::metadata(&data).unwrap().len();
    fs::File::options().write(true).open(&data).unwrap().set_len(length - 5).unwrap();
    test.restart(DISK);
    assert_eq!(all(&test.ring).1, (0..19).collect::<Vec<_>>());
    assert!(test.files(".part").is_empty());
    assert!(!read(fs::read(&test.files(".pcapng")[0]).unwrap()).1, "what was half there is cut off");
    assert_eq!(test.ring.tally(), Tally::default(), "others have counted these");
    // With other files before and behind it, an index that is missing, and a file that is none.
    test.take(&large(100));
    test.ring.finish(NOW, &mut test.budget);
    fs::remove_file(&test.files(".index")[0]).unwrap();
    fs::write(test.root.file("ring/ring-00000000000000000050.pcapng"), b"something else").unwrap();
    test.restart(RingSettings { memory: 3 * MIB, ..DISK });
    assert_eq!(all(&test.ring).1, (0..19).chain(100..110).collect::<Vec<_>>());
    assert_eq!(test.files(".index").len(), 2);
    // New chunks are counted anew: what is on the disk is not taken for what memory has.
    test.take(&large(200));
    let held = test.ring.held(Timestamp::ZERO, NOW);
    assert_eq!(held.files.iter().map(|stored| stored.file.is_own).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((held.remembered, held.files[2].serial), (1, 1));
    assert!(held.files.iter().all(|stored| *stored.file.interfaces == ["eth0".to_owned()]));
}

#[test]
fn a_disk_that_is_full_costs_the_disk_only() {
    let mut test = Test::new(RingSettings { memory: 10 * MIB, ..DISK });
    test.budget = Budget::new(test.root.file(""), 2 * MIB, 0);
    for part in 0..3 {
        test.take(&large(part * 10));
    }
    // The file with three of them is under way, and must not go.
    assert_eq!(test.ring.error(), None);
    test.take(&large(30));
    let error = test.ring.error().unwrap().to_owned();
    assert!(error.contains("budget of 2097152 bytes"), "{error}");
    test.take(&large(40));
    assert_eq!((test.ring.tally().packets, test.ring.tally().lost), (30, 20));
    assert_eq!(all(&test.ring), ((0..50).collect(), (0..30).collect()));
    // Another try, with room for the beginning of a file and no more, leaves nothing behind.
    let hindered = test.budget;
    test.budget = Budget::new(test.root.file(""), 20_000, 0);
    fs::rename(test.files(".pcapng").remove(0), test.root.file("aside")).unwrap();
    test.ring.take(chunk(&large(40)), 10, NOW + Ring::PAUSE, &mut test.budget);
    assert!(test.files(".part").is_empty() && test.files(".pcapng").is_empty());
    fs::rename(test.root.file("aside"), test.root.file("ring/ring-00000000000000000000.pcapng")).unwrap();
    test.budget = hindered;
    assert_eq!((test.ring.tally().packets, test.ring.tally().lost), (30, 30));
    // What was written is complete now. When it is tried again that goes, and there is room.
    let later = NOW + 2 * Ring::PAUSE;
    test.ring.take(chunk(&large(50)), 10, later, &mut test.budget);
    for path in test.budget.removed() {
        test.ring.forget(&path);
    }
    assert_eq!(test.ring.error(), None);
    assert_eq!((test.ring.tally().packets, test.ring.tally().lost), (40, 30));
    assert_eq!(all(&test.ring).1, (50..60).collect::<Vec<_>>());
}

#[test]
fn a_directory_that_goes_away_is_made_again() {
    let mut test = Test::new(DISK);
    test.take(&large(0));
    fs::remove_dir_all(test.root.file("ring")).unwrap();
    test.take(&large(10));
    assert!(test.ring.error().unwrap().contains("was removed"), "{:?}", test.ring.error());
    test.ring.take(chunk(&large(20)), 10, NOW + Ring::PAUSE, &mut test.budget);
    assert_eq!(test.ring.error(), None);
    assert_eq!(all(&test.ring).1, (20..30).collect::<Vec<_>>());
    assert_eq!((test.ring.tally().packets, test.ring.tally().lost), (20, 10));
}

#[test]
fn an_older_ring_from_the_future_stays_behind_the_file_that_is_written() {
    let mut test = Test::new(DISK);
    test.take(&large(1000));
    test.ring.finish(NOW, &mut test.budget);
    // Chunks come before what was there has been looked at.
    test.ring = Ring::open(&test.root.file(""), DISK, Arc::new(["eth0".to_owned()]));
    test.take(&large(0));
    while test.ring.size().0 < 2 {
        test.ring.tidy(NOW);
    }
    test.take(&large(10));
    assert_eq!(all(&test.ring).1, (1000..1010).chain(0..20).collect::<Vec<_>>());
    test.ring.finish(NOW, &mut test.budget);
    assert_eq!((test.files(".pcapng").len(), test.ring.error()), (2, None));
}

#[test]
fn files_are_as_long_as_a_disk_wants_them() {
    let mut test = Test::new(RingSettings { memory: 0, disk: 100 * MIB, keep: None });
    for count in 1..40_u64 {
        let samples: Vec<_> =
            (0..count).map(|time| Sample::new(time, 1, (time * 37 % 900) as usize)).collect();
        test.take(&samples);
        test.ring.settle(NOW, &mut test.budget);
    }
    let held = test.ring.held(Timestamp::ZERO, NOW);
    let [stored] = held.files.as_slice() else { panic!("{held:?}") };
    assert!(stored.units.len() == 39 && stored.units.iter().all(|unit| unit.offset % 4096 == 0));
    let files = test.files("pcapng.part");
    assert_eq!(fs::metadata(&files[0]).unwrap().len() % 4096, 0);
    assert_eq!(times(&held).1.len(), (1..40).sum::<usize>());
}
