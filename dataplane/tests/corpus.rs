//! Replays the committed inputs of the fuzz targets. Every input that ever broke something is to be added to them, so
//! that it is checked on every test run and not only when somebody fuzzes.

#[path = "../../tests/fuzz/src/classifier.rs"]
mod classifier;
#[path = "../../tests/fuzz/src/decode.rs"]
mod decode;
#[path = "../../tests/fuzz/src/fragments.rs"]
mod fragments;

use std::{fs, path::Path};

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    assert!(inputs.len() >= 12, "the corpus in {} is gone", folder.display());
    for input in inputs {
        println!("{}", input.display()); // shown if the check fails
        check(&fs::read(&input).expect("the file can be read"));
    }
}

#[test]
fn classifier_inputs() {
    replay("classifier", classifier::check);
}

#[test]
fn decode_inputs() {
    replay("decode", decode::check);
}

#[test]
fn fragment_inputs() {
    replay("fragments", fragments::check);
}
