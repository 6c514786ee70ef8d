//! What a filter selects is what tcpdump selects, over a table of expressions and the inputs of the scenarios; and a capture without
//! a filter is the input.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ravelin_control::{capture::compile, replay::Replay};
use ravelin_tests::requirements;

/// Inputs of many kinds of packets: tags, fragments, IPv6, broken headers, other protocols.
const INPUTS: [&str; 12] = [
    "both-ends",
    "fragments",
    "icmp-errors",
    "icmp-types",
    "ipv6",
    "malformed",
    "named-ports",
    "non-ip",
    "partial-checksums",
    "tcp-close",
    "tcp-flags",
    "vlan",
];

fn input(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).join("input.pcap")
}

/// Each packet as time, length and bytes.
fn packets(file: &Path) -> Vec<String> {
    let output = Command::new("tcpdump")
        .args(["-nn", "-tt", "--nano", "-xx", "-q", "-r"])
        .arg(file)
        .output()
        .expect("tcpdump was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut packets: Vec<String> = Vec::new();
    for line in text.lines() {
        match packets.last_mut() {
            Some(packet) if line.starts_with('\t') => packet.push_str(line),
            Some(_) | None => packets.push(line.to_owned()),
        }
    }
    packets
}

fn selected_by_tcpdump(file: &Path, expression: &str, folder: &Path) -> Vec<String> {
    let out = folder.join("tcpdump.pcap");
    let output = Command::new("tcpdump").arg("-r").arg(file).arg("-w").arg(&out).arg(expression).output();
    let output = output.expect("tcpdump was there a moment ago");
    assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
    packets(&out)
}

fn selected_by_ravelin(file: &Path, expression: &str, folder: &Path) -> Vec<String> {
    let out = folder.join("ravelin.pcapng");
    let filter = compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let replay = Replay {
        files: vec![file.to_owned()],
        capture: Some(out.clone()),
        filter: Some(filter),
        ..Replay::default()
    };
    let summary = replay.run(|_| {}).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let packets = packets(&out);
    assert_eq!(summary.selected, Some(packets.len() as u64), "{expression}");
    packets
}

fn expressions() -> Vec<String> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("filters/expressions.txt");
    let text = fs::read_to_string(table).expect("the table is there");
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// All inputs behind one another, as one capture.
fn together() -> Vec<u8> {
    let mut all = Vec::new();
    for name in INPUTS {
        let bytes = fs::read(input(name)).expect("scenarios have inputs");
        let (header, packets) = bytes.split_at(24);
        match all.get(..24) {
            None => all.extend_from_slice(&bytes),
            Some(first) => {
                assert_eq!(first, header, "{name}: one link, one precision");
                all.extend_from_slice(packets);
            }
        }
    }
    all
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ravelin-filters-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone_already = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn filters_select_what_tcpdump_selects() {
    if !requirements::met(&["tcpdump"]) {
        return;
    }
    let folder = Folder::new("table");
    let all = folder.0.join("all.pcap");
    fs::write(&all, together()).expect("the folder is writable");
    let expressions = expressions();
    assert!(expressions.len() >= 200, "{}", expressions.len());
    let mut selective = 0;
    for expression in &expressions {
        let expected = selected_by_tcpdump(&all, expression, &folder.0);
        assert_eq!(selected_by_ravelin(&all, expression, &folder.0), expected, "{expression}");
        selective += usize::from(!expected.is_empty());
    }
    assert!(selective >= 150, "only {selective} of the expressions select anything of these inputs");
}

#[test]
fn a_capture_without_a_filter_is_the_input() {
    if !requirements::met(&["tcpdump"]) {
        return;
    }
    let folder = Folder::new("whole");
    for name in INPUTS {
        assert_eq!(selected_by_ravelin(&input(name), "", &folder.0), packets(&input(name)), "{name}");
    }
}
