//! DPDK's rte_fib on the same prefixes and addresses, by its own test program (Debian's package `dpdk`).

use std::{fmt::Write, fs, net::IpAddr, path::PathBuf, process::Command};

use super::tables::{Family, Table};

const PROGRAM: &str = "dpdk-test-fib";

/// Files for the program, removed at the end.
#[derive(Debug)]
pub(super) struct Program {
    folder: PathBuf,
    family: Family,
}

impl Program {
    /// None, if the program is not installed.
    pub(super) fn new(table: &Table, addresses: &[IpAddr]) -> Option<Self> {
        Command::new(PROGRAM).arg("--help").output().ok()?;
        let folder = std::env::temp_dir().join(format!("ravelin-bench-fib-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder");
        let mut text = String::new();
        for (prefix, next) in &table.routes {
            writeln!(text, "{prefix} {next}").expect("a string takes everything");
        }
        fs::write(folder.join("routes"), text).expect("a file with the routes");
        let text: String = addresses.iter().map(|address| format!("{address}\n")).collect();
        let text = text.repeat(super::PASSES);
        fs::write(folder.join("addresses"), text).expect("a file with the addresses");
        Some(Self { folder, family: table.family })
    }

    /// Nanoseconds a lookup. None, if it fails.
    pub(super) fn run(&self) -> Option<f64> {
        let (routes, addresses) = (self.folder.join("routes"), self.folder.join("addresses"));
        // Entries of 2 bytes leave room for 32767 groups of 256 entries, too few for these prefixes of IPv6.
        let own: &[&str] = match self.family {
            Family::V4 => &["-e", "2", "-g", "32767"],
            Family::V6 => &["-6", "-e", "4", "-g", "500000"],
        };
        let output = Command::new(PROGRAM)
            .args(["--no-huge", "--no-pci", "--no-telemetry", "-m", "4096", "-l", "1"])
            .args(["--force-max-simd-bitwidth=512", "--", "-v", "v"])
            .args([format!("-f{}", routes.display()), format!("-t{}", addresses.display())])
            .args(own)
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let cycles =
            text.lines().find_map(|line| line.strip_prefix("AVG FIB lookup ")?.trim().parse::<f64>().ok())?;
        Some(cycles / cycles_per_nano())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _left = fs::remove_dir_all(&self.folder);
    }
}

/// Cycles of the processor's clock, of which Linux says two for each "BogoMIPS" where it counts evenly.
fn cycles_per_nano() -> f64 {
    let text = fs::read_to_string("/proc/cpuinfo").expect("Linux tells what processors it has");
    let line = text.lines().find(|line| line.starts_with("bogomips"));
    let number = line.and_then(|line| line.split(':').nth(1)?.trim().parse::<f64>().ok());
    number.expect("x86-64 has a line of BogoMIPS") / 2e3
}
