//! The committed inputs of the fuzz targets, as ordinary tests. Every input that once broke something joins them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let inputs: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    assert!(inputs.len() >= 12, "the corpus in {} is gone", folder.display());
    inputs
}

#[test]
fn decode_inputs_have_a_disposition() {
    for path in inputs("decode") {
        let frame = fs::read(&path).expect("the file can be read");
        assert_disposed(&frame);
        oracle::assert_agrees(&frame);
    }
}

#[test]
fn the_samples_are_in_the_corpus() {
    for (name, frame) in samples::all() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/decode").join(name);
        if std::env::var_os("RAVELIN_WRITE_CORPUS").is_some() {
            fs::write(&file, &frame).expect("the file can be written");
        }
        assert_eq!(
            fs::read(&file).expect("the file can be read"),
            frame,
            "{name}; RAVELIN_WRITE_CORPUS=1 writes it"
        );
    }
}
