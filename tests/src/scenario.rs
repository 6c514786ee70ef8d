//! Scenarios: a capture and a configuration go in, records and counters must come out.
//!
//! A scenario is a folder under `tests/scenarios/` with `README.md` (what it shows), `config.toml`, `input.pcap`,
//! `expect.toml` (packets by disposition) and `expect.jsonl` (flow records). `UPDATE=1` writes the last three anew; the
//! difference to what was committed is then to be read and judged like any other change.
//! Read next: [`inputs`], where the packets are made.

pub mod inputs;
pub mod malformed;
pub mod offload;
pub mod policies;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{binary, process::run, topology::Folder};

/// The folder of all scenarios.
pub fn folder() -> PathBuf {
    binary::root().join("tests/scenarios")
}

/// What `ravelin replay` made of a capture.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The summary, as JSON.
    pub summary: Value,
    /// The records, one JSON object per line.
    pub records: String,
}

/// The networks that lie inside in all captures made here.
const INSIDE: [&str; 2] = ["198.51.100.0/24", "2001:db8:2::/64"];

/// Replays the capture of a scenario under its configuration, with more arguments.
pub fn replay(scenario: &Path, arguments: &[&str]) -> Replay {
    let folder = Folder::new();
    let records = folder.0.join("records.jsonl");
    let mut command = Command::new(binary::ravelin());
    command.arg("replay").arg(scenario.join("input.pcap")).arg("-c").arg(scenario.join("config.toml"));
    command.args(INSIDE.iter().flat_map(|prefix| ["--inside", prefix])).arg("--records").arg(&records);
    let summary = run(command.arg("--json").args(arguments));
    Replay {
        summary: serde_json::from_str(&summary).unwrap_or_else(|error| panic!("{error} in {summary}")),
        records: fs::read_to_string(&records).expect("replay writes records"),
    }
}

/// Replays a scenario and compares with what is expected, or writes that.
pub fn check(name: &str) {
    let folder = folder().join(name);
    let (_, capture) =
        inputs::all().into_iter().find(|(known, _)| *known == name).expect("packets are made for it");
    golden(&folder.join("input.pcap"), &capture.to_pcap());
    let replay = replay(&folder, &[]);
    golden(&folder.join("expect.toml"), replay.dispositions().as_bytes());
    golden(&folder.join("expect.jsonl"), replay.records.as_bytes());
}

/// Panics unless the file has these bytes, or writes them if `UPDATE=1`.
pub fn golden(path: &Path, bytes: &[u8]) {
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let committed = fs::read(path).unwrap_or_default();
    if committed == bytes {
        return;
    }
    let (expected, found) = (String::from_utf8_lossy(&committed), String::from_utf8_lossy(bytes));
    let line = expected.lines().zip(found.lines()).position(|(expected, found)| expected != found);
    let line = line.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    panic!(
        "{} differs in line {}:\n expected {}\n    found {}\nUPDATE=1 writes it anew",
        path.display(),
        line + 1,
        expected.lines().nth(line).unwrap_or("the end"),
        found.lines().nth(line).unwrap_or("the end"),
    );
}

impl Replay {
    /// Packets by disposition and drop reason, as TOML.
    pub fn dispositions(&self) -> String {
        let mut text = String::new();
        for name in ["packets", "injected", "forwarded", "consumed"] {
            let _ = writeln!(text, "{name} = {}", self.summary[name]);
        }
        let _ = writeln!(text, "\n[drops]");
        for (reason, packets) in self.drops() {
            let _ = writeln!(text, "{reason} = {packets}");
        }
        text
    }

    /// Packets dropped, by reason.
    pub fn drops(&self) -> Vec<(String, u64)> {
        let drops = self.summary["drops"].as_array().expect("the summary has drops");
        let entry = |drop: &Value| {
            let reason = drop["reason"].as_str().expect("drops have reasons").to_owned();
            (reason, drop["packets"].as_u64().expect("a count"))
        };
        // By name: the summary itself has the most frequent first.
        let mut drops: Vec<_> = drops.iter().map(entry).collect();
        drops.sort();
        drops
    }
}
