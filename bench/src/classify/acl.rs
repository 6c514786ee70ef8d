//! DPDK's rte_acl on the same rules and headers, by its own test program (Debian's package `dpdk`).

use std::{fs, path::PathBuf, process::Command};

use ravelin_dataplane::policy::classifier::Key;

use super::filters::{Filter, filter_file, trace_file};

const PROGRAM: &str = "dpdk-test-acl";

/// Files for the program, removed at the end.
#[derive(Debug)]
pub(super) struct Peer {
    folder: PathBuf,
    rules: usize,
    headers: usize,
}

/// What it says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) nanos: f64,
    pub(super) bytes: f64,
}

impl Peer {
    /// None, if the program is not installed.
    pub(super) fn new(filters: &[Filter], keys: &[Key]) -> Option<Self> {
        Command::new(PROGRAM).arg("--help").output().ok()?;
        let folder = std::env::temp_dir().join(format!("ravelin-bench-acl-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        fs::write(folder.join("rules"), filter_file(filters)).expect("a file with the rules");
        fs::write(folder.join("trace"), trace_file(keys)).expect("a file with the headers");
        Some(Self { folder, rules: filters.len(), headers: keys.len() })
    }

    /// Builds and looks everything up. None, if it fails, as it does when rules need more memory than there is.
    pub(super) fn run(&self, algorithm: &str, iterations: usize) -> Option<Measured> {
        let (rules, trace) = (self.folder.join("rules"), self.folder.join("trace"));
        let output = Command::new(PROGRAM)
            .args(["--no-huge", "--no-pci", "--no-telemetry", "-m", "8192", "-l", "1"])
            .args(["--log-level=lib.acl:debug", "--force-max-simd-bitwidth=512", "--"])
            .args([format!("--rulesf={}", rules.display()), format!("--tracef={}", trace.display())])
            .args([format!("--rulenum={}", self.rules + 1), format!("--tracenum={}", self.headers)])
            .args([format!("--iter={iterations}"), format!("--alg={algorithm}")])
            .args(["--tracestep=256", "--bldcat=1", "--runcat=1", "--verbose=0"])
            .output()
            .ok()?;
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let number_before = |unit: &str| -> Option<f64> {
            text.lines()
                .rev()
                .find_map(|line| line.split_once(unit)?.0.split_whitespace().next_back()?.parse().ok())
        };
        let bytes = text
            .lines()
            .find_map(|line| line.strip_prefix("total: ")?.strip_suffix(" bytes")?.parse::<f64>().ok());
        Some(Measured { nanos: 1e9 / number_before(" pkt/sec")?, bytes: bytes? })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _left = fs::remove_dir_all(&self.folder);
    }
}
