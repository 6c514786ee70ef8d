//! `ravelin replay` over a capture too large for the caches, with records on, as a user would run it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use ravelin_dataplane::{
    batch::Batch,
    io::{Frame, PacketIo},
};

use crate::{
    harness::{Report, state_calibration},
    traffic::{Mix, TrafficIo},
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Packets in the capture.
    #[arg(long, default_value_t = 5_000_000)]
    packets: u64,
    /// Flows in the capture.
    #[arg(long, default_value_t = 100_000)]
    flows: u32,
    /// Runs.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    report.heading(&format!(
        "replay, {} packets of {} flows, 64 B, records on",
        options.packets, options.flows
    ));
    let binary = std::env::current_exe().expect("the program knows its path").with_file_name("ravelin");
    if !binary.exists() {
        return report.note("left out: cargo build --release -p ravelin-control");
    }
    let directory = std::env::temp_dir().join(format!("ravelin-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let (capture, records) = (directory.join("replay.pcap"), directory.join("records.json"));
    write(&capture, options).expect("the temporary directory has room");
    let runs: Vec<f64> = (0..options.rounds)
        .map(|_| {
            let start = Instant::now();
            let output = Command::new(&binary)
                .arg("replay")
                .arg(&capture)
                .arg("--records")
                .arg(&records)
                .output()
                .expect("ravelin starts");
            let spent = start.elapsed().as_secs_f64();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            options.packets as f64 / spent / 1e6
        })
        .collect();
    let lines = std::fs::read_to_string(&records).expect("records were written").lines().count();
    assert_eq!(lines, options.flows as usize, "a record for every flow");
    report.figure("ravelin replay, start to exit", &runs, "Mpps", Some("aim 5"));
    let _already_gone = std::fs::remove_dir_all(directory);
}

/// Writes a capture file: microseconds, Ethernet, a packet each microsecond.
fn write(path: &Path, options: &Options) -> std::io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let header = [0xa1b2_c3d4_u32, 2 | (4 << 16), 0, 0, 65_535, 1];
    for word in header {
        file.write_all(&word.to_le_bytes())?;
    }
    let mut io = TrafficIo::new(options.flows, Mix::Small);
    let mut batch = Batch::new(64);
    let mut written = 0_u64;
    while written < options.packets {
        let now = io.now();
        io.receive(now, &mut batch);
        for (frame, _) in batch.drain() {
            if written < options.packets {
                let (seconds, micros) = (1_700_000_000 + written / 1_000_000, written % 1_000_000);
                let length = frame.bytes().len() as u32;
                for word in [seconds as u32, micros as u32, length, length] {
                    file.write_all(&word.to_le_bytes())?;
                }
                file.write_all(frame.bytes())?;
                written += 1;
            }
            io.release(frame);
        }
    }
    file.flush()
}
