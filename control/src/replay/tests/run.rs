use std::fs;

use super::{
    super::{Replay, ReplayError},
    capture::{Capture, tcp, udp},
    lines, replay,
};
use crate::testing::Directory;

const CLIENT: &str = "10.0.0.2";
const SERVER: &str = "192.0.2.7";

fn datagrams(count: u16, start: u64) -> Capture {
    let mut capture = Capture::new();
    for number in 0..count {
        let time = start + u64::from(number) * 1_000;
        capture.add(time, &udp(&[], (CLIENT, 1_000 + number), (SERVER, 53), 30));
    }
    capture
}

#[test]
fn files_follow_one_another() {
    let directory = Directory::new();
    let records = directory.file("records.json");
    let forwarded = directory.file("forwarded.pcap");
    let summary = Replay {
        files: vec![
            directory.write("1.pcap", datagrams(10, 0).bytes()),
            directory.write("2.pcap", datagrams(15, 1_000_000).bytes()),
            directory.write("3.pcap", datagrams(5, 2_000_000).bytes()),
        ],
        records: Some(records.clone()),
        write: Some(forwarded.clone()),
        ..Replay::default()
    }
    .run(|_| {})
    .unwrap();
    assert_eq!((summary.packets, summary.forwarded, summary.written), (30, 30, 30));
    assert_eq!((summary.flows.allow, summary.records), (15, Some(15)));
    assert!((summary.duration - 2.004).abs() < 1e-9);
    assert_eq!(lines(&fs::read_to_string(records).unwrap()).len(), 15);
    let (again, _) = replay(&fs::read(forwarded).unwrap(), "", |_| {});
    assert_eq!((again.packets, again.bytes), (summary.packets, summary.bytes));
}

#[test]
fn what_is_denied_is_not_written() {
    let directory = Directory::new();
    let mut capture = Capture::new();
    capture.add(0, &tcp((CLIENT, 1), (SERVER, 23), "S", (1, 0), 0));
    capture.add(1, &tcp((CLIENT, 1), (SERVER, 80), "S", (1, 0), 0));
    let forwarded = directory.file("forwarded.pcap");
    let config = "[[endpoint]]\nname = \"servers\"\naddresses = [\"192.0.2.0/24\"]\n\
                  [[policy]]\nname = \"no-telnet\"\n\
                  ingress = [{ action = \"deny\", protocol = \"tcp\", destination.ports = [23] }, { action = \"allow\" }]\n";
    let (summary, _) = replay(capture.bytes(), config, |replay| replay.write = Some(forwarded.clone()));
    assert_eq!((summary.written, summary.dropped()), (1, 1));
    let [drops] = summary.drops.as_slice() else { panic!("{:?}", summary.drops) };
    assert_eq!((drops.reason, drops.packets), ("rule_deny", 1));
}

/// With the interfaces of the configuration; those of a bridge by `inside`. What is decided does not depend on them.
#[test]
fn interfaces_follow_the_inside() {
    let config = "[[bridge]]\nname = \"b\"\nports = [\"wan\", \"lan\"]\n\
                  [[endpoint]]\nname = \"clients\"\naddresses = [\"10.0.0.0/8\"]\n\
                  [[policy]]\nname = \"out\"\negress = [{ action = \"deny\" }]\n";
    let ends = |inside: &[&str]| {
        let (summary, records) = replay(datagrams(3, 0).bytes(), config, |replay| {
            replay.inside = inside.iter().map(|net| net.parse().unwrap()).collect();
        });
        assert_eq!(summary.flows.deny, 3);
        let ravelin = &lines(&records)[0]["ravelin"];
        assert_eq!((&ravelin["policy"], &ravelin["rule"]), (&"default.out".into(), &0.into()));
        [&ravelin["in"], &ravelin["out"]].map(|name| name.as_str().unwrap().to_owned())
    };
    assert_eq!(ends(&["10.0.0.0/8"]), ["lan", "wan"]);
    assert_eq!(ends(&[]), ["wan", "lan"]);
}

#[test]
fn a_monitor_consumes() {
    let config = "[[interface]]\nname = \"mirror\"\nmode = \"monitor\"\n";
    let (summary, records) = replay(datagrams(3, 0).bytes(), config, |_| {});
    assert_eq!((summary.consumed, summary.forwarded, summary.flows.allow), (3, 0, 3));
    let ravelin = &lines(&records)[0]["ravelin"];
    assert_eq!((&ravelin["in"], &ravelin["out"]), (&"mirror".into(), &serde_json::Value::Null));
}

#[test]
fn a_file_that_is_cut_off_is_replayed_up_to_there() {
    let capture = datagrams(3, 0);
    let bytes = &capture.bytes()[..capture.bytes().len() - 1];
    let (summary, _) = replay(bytes, "", |_| {});
    assert_eq!((summary.packets, summary.truncated.len()), (2, 1));
    assert_eq!(summary.truncated[0].offset, 24 + 2 * (16 + 72));
    assert!(summary.failure.is_none());
}

#[test]
fn a_damaged_file_says_where_and_keeps_what_came_before() {
    let mut bytes = datagrams(3, 0).bytes().to_vec();
    // The captured length of the second packet.
    bytes[24 + 88 + 8..24 + 88 + 12].fill(0xff);
    let (summary, records) = replay(&bytes, "", |_| {});
    assert_eq!((summary.packets, lines(&records).len()), (1, 1));
    assert!(matches!(summary.failure, Some(ReplayError::Capture(_))), "{:?}", summary.failure);
}

#[test]
fn faults_are_injected_and_counted() {
    let capture = datagrams(1_000, 0);
    let faults = "drop=0.1,corrupt=0.1,reorder=0.1,stall=0.1,full=0.1,down=0.1,seed=7".parse().unwrap();
    let (summary, _) = replay(capture.bytes(), "", |replay| replay.faults = Some(faults));
    assert_eq!(summary.packets, 1_000);
    assert_eq!(summary.packets, summary.forwarded + summary.dropped());
    let faults = summary.faults.unwrap();
    let dropped = |reason: &str| {
        summary.drops.iter().find(|drops| drops.reason == reason).map_or(0, |drops| drops.packets)
    };
    assert_eq!(faults.dropped, dropped("fault_injected"));
    assert_eq!(faults.full, dropped("transmit_full"));
    assert_eq!(faults.down, dropped("transmit_down"));
    assert!(faults.dropped > 0 && faults.full > 0 && faults.down > 0 && faults.stalled > 0);
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let directory = Directory::new();
    let capture = directory.write("capture.pcap", datagrams(1, 0).bytes());
    let same = |replay: Replay| matches!(replay.run(|_| {}), Err(ReplayError::SameFile { .. }));
    let base = || Replay { files: vec![capture.clone()], ..Replay::default() };
    assert!(same(Replay { records: Some(capture.clone()), ..base() }));
    assert!(same(Replay { write: Some(directory.file("./capture.pcap")), ..base() }));
    let out = directory.file("out");
    assert!(same(Replay { records: Some(out.clone()), write: Some(out), ..base() }));
    assert!(same(Replay { records: Some("-".into()), write: Some("-".into()), ..base() }));
    assert_eq!(fs::read(capture).unwrap(), datagrams(1, 0).bytes());
}

#[test]
fn what_cannot_be_opened_is_found_before_anything_is_read() {
    let directory = Directory::new();
    let capture = directory.write("capture.pcap", datagrams(1, 0).bytes());
    let replay = Replay { files: vec![capture, directory.file("gone.pcap")], ..Replay::default() };
    let error = replay.run(|_| panic!("nothing is read")).unwrap_err();
    assert!(matches!(error, ReplayError::Capture(_)) && error.to_string().contains("gone.pcap"), "{error}");
    let error = Replay::default().run(|_| {}).unwrap_err();
    assert!(matches!(error, ReplayError::NoFile));
}

#[test]
fn records_that_cannot_be_written_are_an_error() {
    let (directory, capture) = (Directory::new(), datagrams(10, 0));
    let files = vec![directory.write("capture.pcap", capture.bytes())];
    let replay = Replay { files, records: Some("/dev/full".into()), ..Replay::default() };
    let error = replay.run(|_| {}).unwrap_err();
    assert!(matches!(error, ReplayError::Records { .. }), "{error}");
}
