//! Replays the committed inputs of the fuzz targets `manifests` and `feeds`, whole, cut off and damaged. Every input that ever broke
//! something is to be added to them.

#[path = "../../tests/fuzz/src/feeds.rs"]
mod feeds;
#[path = "../../tests/fuzz/src/manifests.rs"]
mod manifests;

use std::{fs, path::Path};

/// What checks an input.
type Check = fn(&[u8]);

/// The committed inputs by their names, and what checks them.
fn inputs() -> Vec<(String, Vec<u8>, Check)> {
    let targets = [("manifests", manifests::check as Check), ("feeds", feeds::check)];
    let inputs = targets.map(|(target, check)| {
        let inputs = of_target(target).into_iter();
        inputs.map(move |(name, bytes)| (format!("{target}/{name}"), bytes, check))
    });
    inputs.into_iter().flatten().collect()
}

fn of_target(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let entry = entry.expect("the folder can be read");
            let bytes = fs::read(entry.path()).expect("the file can be read");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 12, "the corpus in {} is gone", folder.display());
    inputs
}

#[test]
fn whole_inputs() {
    for (name, bytes, check) in inputs() {
        println!("{name}"); // shown if the check fails
        check(&bytes);
    }
}

#[test]
fn inputs_that_are_cut_off() {
    for (name, bytes, check) in inputs() {
        println!("{name}");
        for length in (0..bytes.len()).step_by(bytes.len() / 50 + 1) {
            check(&bytes[..length]);
        }
    }
}

#[test]
fn inputs_that_are_damaged() {
    const CHARACTERS: &[u8] = b"-:?[]{},#&*!|>'\"%@` \t\n\r\\.~<=019azA/\x00\x85\xff";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).expect("it is below a usize")
    };
    for (name, bytes, check) in inputs() {
        for _ in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..=random(4) {
                let at = random(damaged.len());
                let line = damaged[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .map_or(damaged.len(), |end| at + end);
                match random(4) {
                    0 => damaged[at] = CHARACTERS[random(CHARACTERS.len())],
                    1 => damaged.insert(at, CHARACTERS[random(CHARACTERS.len())]),
                    2 => drop(damaged.drain(at..line)),
                    _ => {
                        let part = damaged[at..line].to_vec();
                        let to = random(damaged.len());
                        damaged.splice(to..to, part);
                    }
                }
                if damaged.is_empty() {
                    break;
                }
            }
            println!("{name}: {}", String::from_utf8_lossy(&damaged));
            check(&damaged);
        }
    }
}
