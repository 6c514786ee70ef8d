mod alerts;
mod capture;
mod golden;
mod offload;
mod repeat;
mod run;

use std::{fs, path::Path};

use serde_json::Value;

use super::{Replay, Summary};
use crate::testing::Directory;

/// Replays `capture` with `config`, and gives the summary and the records as text.
fn replay(capture: &[u8], config: &str, change: impl FnOnce(&mut Replay)) -> (Summary, String) {
    let directory = Directory::new();
    let records = directory.file("records.json");
    let mut replay = Replay {
        files: vec![directory.write("capture.pcap", capture)],
        config: load(config),
        records: Some(records.clone()),
        ..Replay::default()
    };
    change(&mut replay);
    let summary = replay.run(|_| {}).unwrap();
    (summary, fs::read_to_string(records).unwrap_or_default())
}

fn load(config: &str) -> ravelin_config::Config {
    ravelin_config::parse(config, "test.toml").unwrap_or_else(|report| panic!("{report}")).config
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Compares with a golden file beside the tests.
fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/replay/tests/golden").join(name);
    if std::env::var_os("RAVELIN_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == found,
        "{} differs; RAVELIN_BLESS=1 accepts what was found:\n{found}",
        path.display()
    );
}
