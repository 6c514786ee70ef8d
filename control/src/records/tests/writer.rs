use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use ravelin_config::RecordsTarget;
use ravelin_dataplane::flow::RecordSink;

use super::{
    super::{
        RecordRing, RingSink, Writer, WriterStats,
        output::{Lines, Output, Target},
    },
    encoder, raw,
};
use crate::testing::Directory;

const LONG: Duration = Duration::from_secs(600);

fn rings(count: usize, capacity: usize) -> Vec<Arc<RecordRing>> {
    (0..count).map(|_| Arc::new(RecordRing::new(capacity))).collect()
}

fn wait(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_was_pushed_was_written_or_lost() {
    let directory = Directory::new();
    let path = directory.file("records.json");
    let rings = rings(3, 64);
    let writer =
        Writer::start(Target::open(&RecordsTarget::File(path.clone())).unwrap(), rings.clone(), encoder())
            .unwrap();
    let counts: Vec<(u64, u64)> = thread::scope(|scope| {
        let workers: Vec<_> = rings
            .iter()
            .map(|ring| {
                let mut sink = RingSink::new(Arc::clone(ring));
                scope.spawn(move || {
                    let (mut kept, mut lost) = (0, 0);
                    for port in 0..20_000 {
                        match sink.push(&raw(("10.0.0.1", port), ("10.0.0.2", 53))) {
                            Ok(()) => kept += 1,
                            Err(_) => lost += 1,
                        }
                    }
                    (kept, lost)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let kept: u64 = counts.iter().map(|(kept, _)| kept).sum();
    let lost: u64 = counts.iter().map(|(_, lost)| lost).sum();
    assert_eq!(kept + lost, 60_000);
    assert_eq!(writer.stop(LONG), WriterStats { written: kept, unwritten: 0, failing: false });
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count() as u64, kept);
    for line in text.lines().step_by(101) {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o007, 0, "not for everybody");
}

#[test]
fn a_line_arrives_without_a_stop() {
    let directory = Directory::new();
    let path = directory.file("records.json");
    let rings = rings(1, 64);
    let writer =
        Writer::start(Target::open(&RecordsTarget::File(path.clone())).unwrap(), rings.clone(), encoder())
            .unwrap();
    RingSink::new(Arc::clone(&rings[0])).push(&raw(("10.0.0.1", 1), ("10.0.0.2", 53))).unwrap();
    wait(|| fs::read_to_string(&path).unwrap().ends_with('\n'));
    wait(|| writer.stats().written == 1);
    assert_eq!(writer.stop(LONG).written, 1);
}

#[test]
fn a_line_that_another_process_left_torn_is_not_continued() {
    let directory = Directory::new();
    let path = directory.file("records.json");
    fs::write(&path, "{\"whole\":1}\n{\"torn\":").unwrap();
    let rings = rings(1, 64);
    let mut sink = RingSink::new(Arc::clone(&rings[0]));
    let writer =
        Writer::start(Target::open(&RecordsTarget::File(path.clone())).unwrap(), rings, encoder()).unwrap();
    sink.push(&raw(("10.0.0.1", 1), ("10.0.0.2", 53))).unwrap();
    assert_eq!(writer.stop(LONG).written, 1);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, "{\"torn\":"));
    serde_json::from_str::<serde_json::Value>(lines[2]).unwrap();
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let directory = Directory::new();
    let (path, rotated) = (directory.file("records.json"), directory.file("records.json.1"));
    let rings = rings(1, 64);
    let mut sink = RingSink::new(Arc::clone(&rings[0]));
    let writer =
        Writer::start(Target::open(&RecordsTarget::File(path.clone())).unwrap(), rings, encoder()).unwrap();
    sink.push(&raw(("10.0.0.1", 1), ("10.0.0.2", 53))).unwrap();
    wait(|| writer.stats().written == 1);
    fs::rename(&path, &rotated).unwrap();
    wait(|| path.exists());
    sink.push(&raw(("10.0.0.1", 2), ("10.0.0.2", 53))).unwrap();
    wait(|| writer.stats().written == 2);
    fs::remove_file(&path).unwrap();
    wait(|| path.exists());
    sink.push(&raw(("10.0.0.1", 3), ("10.0.0.2", 53))).unwrap();
    assert_eq!(writer.stop(LONG), WriterStats { written: 3, unwritten: 0, failing: false });
    let port = |path| {
        let line: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        line["src_port"].as_u64()
    };
    assert_eq!((port(&rotated), port(&path)), (Some(1), Some(3)));
}

#[test]
fn whoever_asks_may_compress_the_rotated_file() {
    let directory = Directory::new();
    let path = directory.file("records.json");
    let rings = rings(1, 1024);
    let mut sink = RingSink::new(Arc::clone(&rings[0]));
    let writer =
        Writer::start(Target::open(&RecordsTarget::File(path.clone())).unwrap(), rings, encoder()).unwrap();
    let mut rotated = Vec::new();
    for round in 0..20 {
        for port in 0..50 {
            sink.push(&raw(("10.0.0.1", port), ("10.0.0.2", 53))).unwrap();
        }
        let name = directory.file(&format!("records.json.{round}"));
        fs::rename(&path, &name).unwrap();
        let request = writer.look();
        wait(|| writer.has_looked(request));
        // Nothing is written to it from here on.
        rotated.push((fs::read_to_string(&name).unwrap(), name));
    }
    assert_eq!(writer.stop(LONG), WriterStats { written: 1000, unwritten: 0, failing: false });
    let mut lines = fs::read_to_string(&path).unwrap().lines().count();
    for (text, name) in rotated {
        assert_eq!(text, fs::read_to_string(name).unwrap());
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        lines += text.lines().count();
    }
    assert_eq!(lines, 1000);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let target = RecordsTarget::File(Directory::new().file("gone/records.json"));
    assert_eq!(Target::open(&target).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// A device that is always full: the kernel's own.
#[test]
fn a_full_disk_does_not_stop_the_writer_and_every_record_is_counted() {
    let rings = rings(1, 64);
    let mut sink = RingSink::new(Arc::clone(&rings[0]));
    let writer = Writer::start(
        Target::open(&RecordsTarget::File("/dev/full".into())).unwrap(),
        rings.clone(),
        encoder(),
    )
    .unwrap();
    let mut kept = 0;
    while writer.stats().unwritten == 0 {
        kept += u64::from(sink.push(&raw(("10.0.0.1", 1), ("10.0.0.2", 53))).is_ok());
    }
    assert!(writer.stats().failing);
    assert_eq!(writer.stop(LONG), WriterStats { written: 0, unwritten: kept, failing: true });
}

/// An output that blocks for ever, like a pipe that nobody reads.
#[test]
fn stop_keeps_its_deadline_and_the_account() {
    struct Stuck;
    impl Output for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }
        fn has_moved(&self) -> bool {
            false
        }
        fn reopen(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let rings = rings(1, 64);
    let mut sink = RingSink::new(Arc::clone(&rings[0]));
    let writer = Writer::with_output(Stuck, rings.clone(), encoder()).unwrap();
    sink.push(&raw(("10.0.0.1", 1), ("10.0.0.2", 53))).unwrap();
    wait(|| rings[0].is_empty());
    for port in 0..5 {
        sink.push(&raw(("10.0.0.1", port), ("10.0.0.2", 53))).unwrap();
    }
    assert_eq!(
        writer.stop(Duration::from_millis(10)),
        WriterStats { written: 0, unwritten: 6, failing: true }
    );
}

/// Takes so many bytes, then is full until it gets room.
#[derive(Clone, Default)]
struct Disk {
    room: Arc<AtomicUsize>,
    files: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Disk {
    fn new() -> Self {
        let disk = Self::default();
        disk.files.lock().unwrap().push(Vec::new());
        disk
    }

    fn files(&self) -> Vec<String> {
        self.files.lock().unwrap().iter().map(|file| String::from_utf8(file.clone()).unwrap()).collect()
    }
}

impl Output for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.room.load(Ordering::Relaxed).min(bytes.len()).min(7);
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room.fetch_sub(count, Ordering::Relaxed);
        self.files.lock().unwrap().last_mut().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn has_moved(&self) -> bool {
        false
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.files.lock().unwrap().push(Vec::new());
        Ok(())
    }
}

fn account<O: Output>(lines: &Lines<O>) -> (u64, u64) {
    (lines.written(), lines.discarded())
}

#[test]
fn a_torn_line_is_completed_when_there_is_room_again() {
    let disk = Disk::new();
    let mut lines = Lines::new(disk.clone());
    for text in ["one\n", "two\n", "three\n"] {
        lines.push(|out| out.extend_from_slice(text.as_bytes()));
    }
    disk.room.store(6, Ordering::Relaxed);
    assert_eq!(lines.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!((account(&lines), disk.files()), ((1, 0), vec!["one\ntw".to_owned()]));
    disk.room.store(100, Ordering::Relaxed);
    lines.flush().unwrap();
    assert_eq!((account(&lines), disk.files()), ((3, 0), vec!["one\ntwo\nthree\n".to_owned()]));
}

#[test]
fn the_rest_of_a_torn_line_does_not_start_a_new_file() {
    let disk = Disk::new();
    let mut lines = Lines::new(disk.clone());
    for text in ["one\n", "two\n", "three\n"] {
        lines.push(|out| out.extend_from_slice(text.as_bytes()));
    }
    disk.room.store(6, Ordering::Relaxed);
    lines.reopen().unwrap();
    disk.room.store(100, Ordering::Relaxed);
    lines.flush().unwrap();
    assert_eq!(account(&lines), (2, 1));
    assert_eq!(disk.files(), ["one\ntw", "three\n"]);
}

#[test]
fn what_waits_too_long_is_discarded_and_counted() {
    let disk = Disk::new();
    let mut lines = Lines::new(disk.clone());
    let line = [b'x'; 1023];
    for _ in 0..5_000 {
        lines.push(|out| {
            out.extend_from_slice(&line);
            out.push(b'\n');
        });
    }
    assert_eq!(account(&lines), (0, 5_000 - 4_096));
    disk.room.store(usize::MAX, Ordering::Relaxed);
    lines.flush().unwrap();
    assert_eq!(account(&lines), (4_096, 904));
    lines.push(|out| out.extend_from_slice(b"last\n"));
    lines.discard();
    assert_eq!(account(&lines), (4_096, 905));
}
