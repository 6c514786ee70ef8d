//! The samples are also where the fuzzer of decode starts from; `dataplane/tests/corpus.rs` replays its inputs.

use std::{fs, path::Path};

use super::*;

#[test]
fn the_samples_are_in_the_fuzz_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/decode");
    for (name, frame) in samples::all() {
        let file = folder.join(name);
        if std::env::var_os("RAVELIN_WRITE_CORPUS").is_some() {
            fs::write(&file, &frame).expect("the file can be written");
        }
        let written = fs::read(&file).unwrap_or_default();
        assert_eq!(written, frame, "{name}: RAVELIN_WRITE_CORPUS=1 writes the samples");
    }
}
