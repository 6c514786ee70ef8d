use std::{net::IpAddr, process::Command};

use super::*;
use crate::{
    capture::{
        CaptureState::{Capturing, Error, Finished, Waiting},
        Compression, Wanted,
        fixtures::{Sample, expected, read},
    },
    testing::{Directory, skip},
};

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

struct Test {
    root: Directory,
    rings: Vec<Arc<CaptureRing>>,
    writer: CaptureWriter,
}

impl Test {
    fn new(budget: u64, ring: Option<RingSettings>) -> Self {
        let root = Directory::new();
        let rings: Vec<_> = (0..2).map(|_| CaptureRing::new(4)).collect();
        let writer = Self::start(root.file(""), &rings, budget, ring);
        Self { root, rings, writer }
    }

    fn start(
        directory: PathBuf,
        rings: &[Arc<CaptureRing>],
        budget: u64,
        ring: Option<RingSettings>,
    ) -> CaptureWriter {
        let settings = Settings { directory, budget, min_free: 0, ring, trigger: Trigger::default() };
        let interfaces = vec!["eth0".to_owned()];
        CaptureWriter::start(settings, rings.to_vec(), interfaces, Commentator::default()).unwrap()
    }

    /// Hands packets in as a worker would, but waits for room.
    fn feed(&self, worker: usize, samples: &[Sample]) {
        let ring = &self.rings[worker];
        let mut rest = samples.iter().peekable();
        while rest.peek().is_some() {
            let Some(mut chunk) = ring.empty() else {
                thread::yield_now();
                continue;
            };
            while rest.next_if(|sample| sample.push(&mut chunk)).is_some() {}
            ring.put(chunk);
        }
    }

    fn status(&self, number: u8) -> CaptureStatus {
        self.writer.status().into_iter().find(|status| status.number == number).unwrap()
    }

    /// Waits for something that will be so.
    fn wait(&self, number: u8, is_so: impl Fn(&CaptureStatus) -> bool) -> CaptureStatus {
        loop {
            let status = self.status(number);
            if is_so(&status) {
                return status;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn packets(&self, path: &str) -> Vec<(u64, Vec<u8>)> {
        read(fs::read(self.root.file(path)).unwrap()).0
    }
}

fn samples(range: std::ops::Range<u64>, captures: u64, payload: usize) -> Vec<Sample> {
    range.map(|time| Sample::new(1_700_000_000_000_000_000 + time, captures, payload)).collect()
}

fn finished(status: &CaptureStatus) -> bool {
    status.state == Finished
}

#[test]
fn each_capture_has_its_packets() {
    let test = Test::new(u64::MAX, None);
    test.writer.open(1, Spec::new("one"));
    test.writer.open(63, Spec { compression: Compression::None, ..Spec::new("two") });
    test.wait(63, |status| status.state == Waiting);
    let high = 1 << 63;
    let all =
        [samples(0..10, 2, 100), samples(10..15, high, 100), samples(15..20, 2 | high | 4, 100)].concat();
    test.feed(0, &all);
    test.writer.close(1);
    let one = test.wait(1, finished);
    assert_eq!((one.packets, one.lost, one.files, &*one.name), (15, 0, 1, "one"));
    // It has ended: what comes now is nobody's.
    test.feed(1, &samples(20..22, 2 | high, 100));
    test.wait(63, |status| status.packets == 12);
    assert_eq!(test.status(63).state, Capturing);
    assert_eq!(test.writer.unclaimed(), 5 + 2, "those of a capture that never was, and those after the end");
    let root = test.root;
    let last = test.writer.stop(PATIENCE);
    assert_eq!(
        last.iter().map(|status| (status.number, status.packets)).collect::<Vec<_>>(),
        [(1, 15), (63, 12)]
    );
    assert!(last.iter().all(finished));
    let packets = |path: &str| read(fs::read(root.file(path)).unwrap()).0;
    assert_eq!(packets("one/one-00001.pcapng"), expected(all.iter().filter(|it| it.captures & 2 != 0)));
    assert_eq!(packets("two/two-00001.pcapng").len(), 12);
}

#[test]
fn what_was_handed_in_before_the_end_is_written() {
    let test = Test::new(u64::MAX, None);
    test.writer.open(1, Spec::new("one"));
    let all = samples(0..20_000, 2, 1000);
    test.feed(0, &all[..10_000]);
    test.feed(1, &all[10_000..]);
    let (root, last) = (test.root, test.writer.stop(PATIENCE));
    assert_eq!((last[0].packets, last[0].lost, &last[0].state), (20_000, 0, &Finished));
    let mut found = read(fs::read(root.file("one/one-00001.pcapng")).unwrap()).0;
    found.sort();
    assert_eq!(found, expected(&all));
}

#[test]
fn a_capture_that_has_what_it_may_is_finished() {
    let test = Test::new(u64::MAX, None);
    test.writer.open(1, Spec { max_packets: Some(7), ..Spec::new("one") });
    let all = samples(0..20, 2, 100);
    test.feed(0, &all);
    let status = test.wait(1, finished);
    assert_eq!((status.packets, status.lost, status.files), (7, 0, 1));
    assert_eq!(test.packets("one/one-00001.pcapng"), expected(&all[..7]));
    // Under the same number and name again: numbered on.
    test.writer.open(1, Spec::new("one"));
    test.feed(0, &all);
    test.wait(1, |status| status.packets == 20);
    assert_eq!(test.writer.unclaimed(), 13);
    // Stopped and started again at once, under another number.
    test.writer.close(1);
    test.writer.open(2, Spec::new("one"));
    assert_eq!(test.wait(1, finished).packets, 20);
    test.feed(0, &samples(0..3, 4, 100));
    let again = test.wait(2, |status| status.packets == 3);
    assert_eq!((again.state, again.files), (Capturing, 2));
}

#[test]
fn a_capture_that_cannot_be_written_harms_no_other() {
    let test = Test::new(u64::MAX, None);
    test.root.write("file", "in the way");
    test.writer.open(1, Spec::new("file"));
    test.writer.open(2, Spec::new("../escape"));
    test.writer.open(3, Spec::new("good"));
    test.writer.open(4, Spec::new("good"));
    test.feed(0, &samples(0..10, 0b11110, 100));
    test.wait(3, |status| status.packets == 10);
    for (number, says) in [(1, "file"), (2, "no name"), (4, "another capture")] {
        let status = test.wait(number, |status| status.lost == 10);
        assert_eq!((status.packets, status.files), (0, 0));
        assert!(matches!(&status.state, Error(why) if why.contains(says)), "{status:?}");
    }
    // A directory that goes away while it is written to.
    fs::remove_dir_all(test.root.file("good")).unwrap();
    test.feed(0, &samples(0..5, 8, 100));
    let status = test.wait(3, |status| status.lost == 5);
    assert!(matches!(&status.state, Error(why) if why.contains("removed")), "{status:?}");
    test.feed(0, &samples(0..5, 8, 100));
    let status = test.wait(3, |status| status.lost == 10);
    assert_eq!(status.packets, 10);
    test.writer.close(3);
    test.writer.open(5, Spec::new("good"));
    test.feed(0, &samples(0..5, 32, 100));
    test.wait(5, |status| status.packets == 5);
    assert!(matches!(test.status(3).state, Error(_)), "an error remains one");
}

/// A file system of so many bytes, in a directory of its own, until the end of the test.
struct Small(Directory);

impl Small {
    fn new(bytes: u64) -> Option<Self> {
        let small = Self(Directory::new());
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "none"]).arg(small.0.file(""));
        mount.output().is_ok_and(|output| output.status.success()).then_some(small)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg("-l").arg(self.0.file("")).output();
    }
}

#[test]
fn a_full_disk_stops_the_capture_and_is_counted() {
    let Some(small) = Small::new(4 * MIB) else { return skip("a_full_disk", "the right to mount a tmpfs") };
    let rings = vec![CaptureRing::new(4)];
    let ring = RingSettings { memory: 64 * MIB, disk: 64 * MIB, keep: None };
    let writer = Test::start(small.0.file(""), &rings, u64::MAX, Some(ring));
    let test = Test { root: Directory::new(), rings, writer };
    test.writer.open(1, Spec::new("one"));
    let all = samples(0..10_000, 3, 1000);
    test.feed(0, &all);
    let one = test.wait(1, |status| status.packets + status.lost == 10_000);
    assert!(
        matches!(&one.state, Error(why) if why.contains("No space left") && why.contains("one-0000")),
        "{one:?}"
    );
    let of_ring = test.wait(0, |status| status.packets + status.lost > 9_900);
    assert!(matches!(&of_ring.state, Error(why) if why.contains("No space left")), "{of_ring:?}");
    // Memory has it all.
    let request = SaveRequest {
        from: Timestamp::ZERO,
        until: Timestamp::from_nanos(u64::MAX),
        wanted: Wanted::default(),
        filter: None,
        subject: None,
    };
    let saved = test.writer.save(request, Box::new(io::sink())).recv().unwrap().unwrap();
    assert_eq!(saved.packets, 10_000);
    let last = test.writer.stop(PATIENCE);
    assert!(last.iter().all(|status| status.packets + status.lost == 10_000 && status.lost > 0), "{last:?}");
    // What was written is there, whole, and no more.
    let path = small.0.file("one/one-00001.pcapng");
    let (found, cut) = read(fs::read(path).unwrap());
    assert!(!cut && found.len() as u64 == last[1].packets, "{} {last:?}", found.len());
    assert_eq!(found, expected(&all[..found.len()]));
}

#[test]
fn the_ring_has_what_came_before_anyone_asked() {
    let keep = None;
    for settings in [
        RingSettings { memory: 32 * MIB, disk: 0, keep },
        RingSettings { memory: 0, disk: 32 * MIB, keep },
        RingSettings { memory: 2 * MIB, disk: 32 * MIB, keep },
    ] {
        let test = Test::new(u64::MAX, Some(settings));
        test.writer.open(1, Spec::new("one"));
        let mut all = samples(0..3000, 1, 1000);
        all.extend(samples(3000..6000, 3, 1000).into_iter().map(|sample| sample.from([10, 5, 5, 5])));
        let (ours, theirs): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(at, _)| at % 2 == 0);
        let packets =
            |part: Vec<(usize, &Sample)>| part.into_iter().map(|(_, sample)| *sample).collect::<Vec<_>>();
        test.feed(0, &packets(ours));
        test.feed(1, &packets(theirs));
        let now = Clock::start().now();
        let request = SaveRequest {
            from: Timestamp::ZERO,
            until: now,
            wanted: Wanted::default(),
            filter: None,
            subject: None,
        };
        let save = |request| {
            let path = test.root.file("saved");
            let saved = test
                .writer
                .save(request, Box::new(fs::File::create(&path).unwrap()))
                .recv()
                .unwrap()
                .unwrap();
            (saved.packets, test.packets("saved"))
        };
        assert_eq!(save(request.clone()), (6000, expected(&all)), "{settings:?}");
        let host = Some(IpAddr::from([10, 5, 5, 5]));
        assert_eq!(
            save(SaveRequest { wanted: Wanted { host, ..Wanted::default() }, ..request.clone() }),
            (3000, expected(&all[3000..])),
            "{settings:?}"
        );
        let last = test.writer.stop(PATIENCE);
        assert_eq!((last[0].packets, last[0].lost, &*last[0].name), (6000, 0, "ring"));
        assert_eq!(last[1].packets, 3000);
        // After a restart there is what was on the disk.
        let writer = Test::start(test.root.file(""), &test.rings, u64::MAX, Some(settings));
        let expected = if settings.disk > 0 { 6000 } else { 0 };
        let mut found = 0;
        while found < expected {
            found = writer.save(request.clone(), Box::new(io::sink())).recv().unwrap().unwrap().packets;
        }
        assert_eq!(found, expected);
        writer.stop(PATIENCE);
    }
}

#[test]
fn without_a_ring_nothing_can_be_saved() {
    let test = Test::new(u64::MAX, None);
    let request = SaveRequest {
        from: Timestamp::ZERO,
        until: Timestamp::ZERO,
        wanted: Wanted::default(),
        filter: None,
        subject: None,
    };
    let error = test.writer.save(request, Box::new(io::sink())).recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    test.feed(0, &samples(0..3, 1, 100));
    let unclaimed = Arc::clone(&test.writer.shared);
    assert!(test.writer.stop(PATIENCE).is_empty());
    assert_eq!(unclaimed.unclaimed.load(Ordering::Relaxed), 3);
}

#[test]
fn what_a_dead_process_left_is_visible_after_a_start() {
    let root = Directory::new();
    fs::create_dir(root.file("old")).unwrap();
    fs::write(root.file("old/.old-00003.pcapng.part"), "something").unwrap();
    let writer = Test::start(root.file(""), &[], u64::MAX, None);
    assert!(root.file("old/old-00003.pcapng").exists());
    assert!(writer.stop(PATIENCE).is_empty());
}
