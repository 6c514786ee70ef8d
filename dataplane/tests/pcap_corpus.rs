//! The fuzzer's captures, replayed: each ends without a panic and yields the packets that its name promises.
//!
//! Files are named `<what>.<packets>.pcap`; those that end in an error say so by `.error.pcap`. New findings of the fuzz
//! target `pcap` belong here, with a name that says what they show.

use std::{fs, path::Path};

use ravelin_dataplane::{
    batch::Batch,
    io::{
        PacketIo,
        pcap::{PcapIo, PortMap},
    },
};

#[test]
fn every_capture_of_the_corpus_ends_as_its_name_says() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/pcap");
    let mut files = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let parts: Vec<_> = name.split('.').collect();
        let expected = (parts[1].parse::<u64>().unwrap(), parts[2] == "error");
        assert_eq!(packets(&path), expected, "{name}");
        files += 1;
    }
    assert!(files >= 15, "the corpus in {} is not complete: {files} files", corpus.display());
}

/// How many packets a capture yields, and whether it ends in an error.
fn packets(path: &Path) -> (u64, bool) {
    let Ok(mut io) = PcapIo::open(path, PortMap::default()) else { return (0, true) };
    let mut batch = Batch::new(64);
    while !io.is_exhausted() {
        let now = io.now();
        io.receive(now, &mut batch);
        for (frame, _) in batch.drain() {
            io.release(frame);
        }
    }
    let damaged = io.finish().is_err();
    (io.summary().packets, damaged)
}
