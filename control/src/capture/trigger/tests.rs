use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ravelin_config::types::Protocol;
use ravelin_dataplane::{
    capture::{CaptureRing, Fate, Label},
    clock::{Clock, Timestamp},
    flow::FlowKey,
    parse::{Address, Vlans},
    verdict::DropReason,
};

use super::*;
use crate::{
    capture::{CaptureWriter, Commentator, RingSettings, Settings, fixtures::read, spec::ReasonError},
    testing::Directory,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// An address that nobody else has.
fn client(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 0, high, low)
}

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

/// The flow of the packets that [`packet`] makes for a client.
fn flow(number: u16) -> Subject {
    let end = |address: Ipv4Addr, port| (Address::from(IpAddr::from(address)), port);
    Subject::Flow(FlowKey::new(end(client(number), 1024), end(SERVER, 53), Protocol::UDP, Vlans::default()).0)
}

fn packet(number: u16, payload: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [3; 6])
        .ipv4(client(number).octets(), SERVER.octets(), 64)
        .udp(1024, 53)
        .write(&mut packet, &[payload; 100])
        .unwrap();
    packet
}

fn event(cause: Cause, number: u16, seconds: u64) -> Event {
    let time = Timestamp::from_micros((1_700_000_000 + seconds) * 1_000_000);
    Event { cause, subject: flow(number), address: Some(SERVER.into()), time }
}

/// Settings with nothing but limits.
fn settings(at_once: usize, per_minute: usize) -> Trigger {
    let mut settings = Trigger::default();
    (settings.at_once, settings.per_minute) = (at_once, per_minute);
    settings
}

fn begun(answer: Answer) -> Shot {
    let Answer::Begun(shot) = answer else { panic!("{answer:?}") };
    shot
}

/// Whether it was too much, and whether that is news.
fn too_many(answer: &Answer) -> Option<bool> {
    let Answer::TooMany { is_news } = answer else { return None };
    Some(*is_news)
}

#[test]
fn a_file_is_known_by_time_cause_address_and_number() {
    let mut gate = Gate::new(settings(10, 10));
    let shot = begun(gate.fire(event(Cause::Alert, 1, 0)));
    assert_eq!(&*shot.file, "20231114T221320.000Z-alert-192.0.2.7-1.pcapng");
    let [from, until] = [shot.from, shot.until].map(Timestamp::as_secs);
    assert_eq!((from, until), (1_700_000_000 - 30, 1_700_000_000 + 10));
    // At the same moment, to the same address.
    let other = begun(gate.fire(event(Cause::Drop(DropReason::RuleDeny), 2, 0)));
    assert_eq!(&*other.file, "20231114T221320.000Z-drop-rule_deny-192.0.2.7-2.pcapng");
    let six = Event { address: Some("2001:db8::7".parse().unwrap()), ..event(Cause::Rule, 3, 1) };
    assert_eq!(&*begun(gate.fire(six)).file, "20231114T221321.000Z-rule-2001-db8--7-3.pcapng");
    let nobody = Event { address: None, ..event(Cause::Verdict, 4, 1) };
    assert_eq!(&*begun(gate.fire(nobody)).file, "20231114T221321.000Z-verdict-4.pcapng");
}

#[test]
fn there_is_one_file_at_a_time_for_a_flow() {
    let mut gate = Gate::new(settings(10, 10));
    let shot = begun(gate.fire(event(Cause::Alert, 1, 0)));
    for cause in [Cause::Alert, Cause::Rule, Cause::Verdict] {
        let answer = gate.fire(event(cause, 1, 5));
        assert!(matches!(&answer, Answer::UnderWay(file) if *file == shot.file), "{answer:?}");
    }
    assert_eq!(gate.standing().counts.map(|counts| counts.fired), [1, 0, 0, 0], "it is the same capture");
    gate.end(&shot, Ok(Written { packets: 3, bytes: 300, gone: 1 }));
    let again = begun(gate.fire(event(Cause::Rule, 1, 11)));
    assert_ne!(again.file, shot.file);
    gate.end(&again, Err("no space".to_owned()));
    let standing = gate.standing();
    let fired = Counts { fired: 1, ..Counts::default() };
    assert_eq!(standing.counts[0], Counts { written: 1, ..fired });
    assert_eq!(standing.counts[1], Counts { failed: 1, ..fired });
    assert_eq!((standing.packets, standing.bytes, standing.gone, standing.under_way), (3, 300, 1, 0));
    assert_eq!(standing.error.as_deref(), Some("no space"));
    // What works again is no error any more.
    let third = begun(gate.fire(event(Cause::Rule, 1, 12)));
    gate.end(&third, Ok(Written::default()));
    assert_eq!(gate.standing().error, None);
}

#[test]
fn what_is_too_much_is_counted_and_said_once_a_minute() {
    let mut gate = Gate::new(settings(2, 3));
    let first = begun(gate.fire(event(Cause::Rule, 1, 0)));
    begun(gate.fire(event(Cause::Rule, 2, 0)));
    // Two at once.
    let said: Vec<_> = (3..6).map(|number| too_many(&gate.fire(event(Cause::Rule, number, 1)))).collect();
    assert_eq!(said, [Some(true), Some(false), Some(false)]);
    gate.end(&first, Ok(Written::default()));
    let third = begun(gate.fire(event(Cause::Alert, 6, 2)));
    gate.end(&third, Ok(Written::default()));
    // Three in a minute, which ends a minute after the first.
    assert_eq!(too_many(&gate.fire(event(Cause::Alert, 7, 59))), Some(false));
    begun(gate.fire(event(Cause::Alert, 7, 60)));
    assert_eq!(too_many(&gate.fire(event(Cause::Alert, 8, 61))), Some(true));
    let Standing { counts, under_way, .. } = gate.standing();
    let sum = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
    assert_eq!((sum(|it| it.fired), sum(|it| it.suppressed), sum(|it| it.written)), (9, 5, 2));
    assert_eq!(under_way, 2);
}

#[test]
fn what_cannot_trigger_is_refused() {
    let check = |text: &str| {
        let loaded = ravelin_config::parse(text, "t.toml").unwrap_or_else(|report| panic!("{report}"));
        super::check(&loaded.config.capture)
    };
    let ring = "[capture.ring]\nmemory = '1MiB'\n[capture.trigger]\n";
    let reason = |name: &str| check(&format!("{ring}drop_reasons = ['rule_deny', '{name}']"));
    assert_eq!(reason("ipv4_checksum"), Ok(()));
    assert_eq!(reason("nonsense"), Err(ReasonError::Unknown("nonsense".to_owned()).into()));
    for late in ["transmit_full", "transmit_down", "handoff_full", "threat_kernel"] {
        assert_eq!(reason(late), Err(ReasonError::NotCaptured(late.to_owned()).into()));
    }
    for on in ["alerts = true", "verdict_changes = true", "drop_reasons = ['rule_deny']"] {
        assert_eq!(check(&format!("[capture.trigger]\n{on}")), Err(TriggerError::NoRing));
        assert_eq!(check(&format!("{ring}{on}")), Ok(()));
    }
    assert_eq!(check("[capture.trigger]\nalerts = false\nbefore = '1s'"), Ok(()));
}

/// A ring with its writer, which a test feeds as a worker would.
struct Test {
    root: Directory,
    ring: Arc<CaptureRing>,
    writer: CaptureWriter,
    clock: Clock,
}

impl Test {
    fn new(budget: u64, ring: RingSettings, trigger: Trigger) -> Self {
        let root = Directory::new();
        let chunks = CaptureRing::new(4);
        let directory = root.file("captures");
        let settings = Settings { directory, budget, min_free: 0, ring: Some(ring), trigger };
        let rings = vec![Arc::clone(&chunks)];
        let writer =
            CaptureWriter::start(settings, rings, vec!["eth0".to_owned()], Commentator::default()).unwrap();
        Self { root, ring: chunks, writer, clock: Clock::start() }
    }

    fn triggers(&self) -> &Triggers {
        self.writer.triggers().unwrap()
    }

    fn standing(&self) -> Standing {
        self.triggers().standing()
    }

    /// Hands in packets of these clients.
    fn feed(&self, numbers: &[u16], payload: u8, fate: Fate) {
        let mut chunk = loop {
            match self.ring.empty() {
                Some(chunk) => break chunk,
                None => thread::yield_now(),
            }
        };
        for number in numbers {
            let bytes = packet(*number, payload);
            let label = Label {
                interface: 0,
                time: self.clock.now(),
                length: bytes.len() as u32,
                fate,
                decision: 0,
                worker: 0,
                captures: 1,
            };
            chunk.push(&label, &bytes, bytes.len());
        }
        self.ring.put(chunk);
    }

    fn fire(&self, number: u16) -> Option<String> {
        let event = Event { time: self.clock.now(), ..event(Cause::Rule, number, 0) };
        self.triggers().fire(event, || "a rule was met".to_owned())
    }

    /// Waits until it is so.
    fn wait(&self, is_so: impl Fn(&Standing) -> bool) -> Standing {
        loop {
            let standing = self.standing();
            if is_so(&standing) {
                return standing;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The payloads of the packets in a file.
    fn payloads(&self, file: &str) -> Vec<u8> {
        let (packets, is_cut) = read(fs::read(file).unwrap());
        assert!(!is_cut);
        packets.iter().map(|(_, bytes)| bytes[60]).collect()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.file("captures/triggers")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

const MEMORY: RingSettings = RingSettings { memory: 64 << 20, disk: 0, keep: None };

/// As for [`settings`], with a time behind the trigger.
fn with_after(after: Duration) -> Trigger {
    let mut trigger = settings(16, 100);
    trigger.after = after;
    trigger
}

#[test]
fn a_file_has_the_flow_from_before_and_after() {
    let test = Test::new(u64::MAX, MEMORY, with_after(Duration::from_secs(3)));
    test.feed(&[1, 2, 1], 1, Fate::PASSED);
    let file = test.fire(1).unwrap();
    assert_eq!(test.fire(1).as_ref(), Some(&file), "it is the same");
    assert!(!PathBuf::from(&file).exists(), "it is hidden until it is complete");
    test.feed(&[2, 1], 2, Fate::PASSED);
    // Written in several steps.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        thread::sleep(Duration::from_millis(100));
    }
    test.feed(&[1, 2], 3, Fate::PASSED);
    let standing = test.wait(|standing| standing.under_way == 0);
    assert_eq!(test.payloads(&file), [1, 1, 2, 3]);
    assert_eq!((standing.packets, standing.gone, &standing.error), (4, 0, &None));
    assert_eq!(standing.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!(standing.counts[1], Counts { fired: 1, written: 1, ..Counts::default() });
    let text = fs::read(&file).unwrap();
    assert!(text.windows(14).any(|piece| piece == b"a rule was met"), "the file says why");
    drop(test.writer.stop(PATIENCE));
}

#[test]
fn a_packet_that_is_dropped_triggers_by_itself() {
    let mut trigger = with_after(Duration::ZERO);
    trigger.drop_reasons = vec!["rule_deny".to_owned()];
    let test = Test::new(u64::MAX, MEMORY, trigger.clone());
    test.feed(&[1, 2], 1, Fate::PASSED);
    test.feed(&[3], 1, Fate::dropped(DropReason::DefaultDeny));
    test.feed(&[1, 1], 2, Fate::dropped(DropReason::RuleDeny));
    let standing = test.wait(|standing| standing.counts[2].written == 1);
    assert_eq!(standing.counts[2].fired, 1);
    let [file] = &test.files()[..] else { panic!("{:?}", test.files()) };
    assert!(file.to_str().unwrap().contains("-drop-rule_deny-192.0.2.7-"), "{file:?}");
    assert_eq!(test.payloads(file.to_str().unwrap()), [1, 2], "up to the packet itself");
    // Other settings hold from now on.
    trigger.drop_reasons = vec!["default_deny".to_owned()];
    test.triggers().configure(&trigger);
    test.feed(&[1], 3, Fate::dropped(DropReason::RuleDeny));
    test.feed(&[3], 3, Fate::dropped(DropReason::DefaultDeny));
    let standing = test.wait(|standing| standing.counts[2].written == 2);
    assert_eq!(standing.counts[2].fired, 2);
    drop(test.writer.stop(PATIENCE));
}

#[test]
fn a_ring_that_forgets_at_once_loses_nothing_of_what_is_being_saved() {
    // Not even a chunk of what is fed fits in, but for that which waits for others.
    let tiny = RingSettings { memory: 1 << 20, ..MEMORY };
    let test = Test::new(u64::MAX, tiny, with_after(Duration::from_secs(6)));
    let file = test.fire(1).unwrap();
    test.feed(&[1], 1, Fate::PASSED);
    // The first step has it.
    let hidden = || test.files().into_iter().any(|it| fs::metadata(it).is_ok_and(|it| it.len() > 200));
    while !hidden() {
        thread::sleep(Duration::from_millis(5));
    }
    for _ in 0..4 {
        test.feed(&vec![9; 5000], 9, Fate::PASSED);
    }
    test.feed(&[1], 2, Fate::PASSED);
    test.wait(|standing| standing.under_way == 0);
    assert_eq!(test.payloads(&file), [1, 2]);
    drop(test.writer.stop(PATIENCE));
}

#[test]
fn a_file_ends_where_it_may_have_no_more() {
    let mut trigger = with_after(Duration::from_hours(1));
    trigger.max_size = 1 << 20;
    let test = Test::new(u64::MAX, MEMORY, trigger);
    test.feed(&[1; 5000], 1, Fate::PASSED);
    test.feed(&[1; 5000], 1, Fate::PASSED);
    let file = test.fire(1).unwrap();
    let standing = test.wait(|standing| standing.under_way == 0);
    let length = fs::metadata(&file).unwrap().len();
    assert!((700 << 10..=1 << 20).contains(&length), "{length}");
    assert_eq!((test.payloads(&file).len() as u64, standing.error), (standing.packets, None));
    drop(test.writer.stop(PATIENCE));
}

#[test]
fn what_is_under_way_ends_with_the_process() {
    let test = Test::new(u64::MAX, MEMORY, with_after(Duration::from_hours(1)));
    test.feed(&[1], 1, Fate::PASSED);
    let file = test.fire(1).unwrap();
    let Test { root, writer, .. } = test;
    let triggers = writer.triggers().unwrap().clone();
    drop(writer.stop(PATIENCE));
    assert_eq!(read(fs::read(&file).unwrap()).0.len(), 1);
    assert_eq!(triggers.standing().counts[1].written, 1);
    drop(root);
}

#[test]
fn what_cannot_be_written_is_seen_until_it_can() {
    // The beginning of a file alone is more than that, and no other file can go.
    let test = Test::new(100, MEMORY, with_after(Duration::ZERO));
    test.feed(&[1], 1, Fate::PASSED);
    test.fire(1).unwrap();
    let standing = test.wait(|standing| standing.under_way == 0);
    assert_eq!(standing.counts[1], Counts { fired: 1, failed: 1, ..Counts::default() });
    assert!(standing.error.is_some_and(|error| error.contains("budget of 100 bytes")));
    assert!(test.files().is_empty(), "nothing is left of it");
    drop(test.writer.stop(PATIENCE));

    let test = Test::new(u64::MAX, MEMORY, with_after(Duration::from_secs(3)));
    test.feed(&[1], 1, Fate::PASSED);
    test.fire(1).unwrap();
    while test.files().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    fs::remove_dir_all(test.root.file("captures/triggers")).unwrap();
    test.feed(&[1], 2, Fate::PASSED);
    let standing = test.wait(|standing| standing.under_way == 0);
    assert!(standing.error.is_some_and(|error| error.contains("was removed")));
    // The directory is made again for the next one.
    test.triggers().configure(&with_after(Duration::ZERO));
    let file = test.fire(1).unwrap();
    test.wait(|standing| standing.error.is_none());
    assert_eq!(test.payloads(&file), [1, 2]);
    drop(test.writer.stop(PATIENCE));
}

#[test]
fn the_oldest_files_make_room() {
    // Room for about three files.
    let test = Test::new(9_000, MEMORY, with_after(Duration::ZERO));
    test.feed(&[1; 12], 1, Fate::PASSED);
    let mut files = Vec::new();
    for round in 1..=5 {
        files.push(test.fire(1).unwrap());
        test.wait(|standing| standing.counts[1].written == round);
    }
    let left: Vec<_> = files.iter().map(|file| PathBuf::from(file).exists()).collect();
    assert!(!left[0] && left[4], "{left:?}");
    assert_eq!(test.standing().counts[1], Counts { fired: 5, written: 5, ..Counts::default() });
    drop(test.writer.stop(PATIENCE));
}
