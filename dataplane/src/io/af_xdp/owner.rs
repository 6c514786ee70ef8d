//! Whose an interface is: the process that holds the program which runs on it.
//!
//! Every process of ours keeps a descriptor of its program. The kernel does not tell who has one, procfs does, to whoever may
//! look into that process: a process of another container, or one that has just died, is not found.

use std::{
    fmt, fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// A process that was killed a moment ago still has its descriptors.
const DYING: Duration = Duration::from_millis(500);
/// Characters of a command line that are shown.
const SHOWN: usize = 200;

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} (`{}`)", self.pid, self.command)
    }
}

/// The process that holds the program with this number and goes on doing so.
pub(super) fn of_program(number: u32) -> Option<Owner> {
    let start = Instant::now();
    loop {
        let owner = look(number)?;
        if start.elapsed() >= DYING {
            return Some(owner);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn look(number: u32) -> Option<Owner> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let own = std::process::id();
    let holds =
        |pid: &u32| *pid != own && holds(&Path::new("/proc").join(pid.to_string()), number).unwrap_or(false);
    pids.find(holds).map(|pid| Owner { pid, command: command(pid) })
}

/// Whether the process has a descriptor of the program. Fails if it has gone or may not be looked into.
fn holds(process: &Path, number: u32) -> io::Result<bool> {
    let line = format!("prog_id:\t{number}");
    for entry in fs::read_dir(process.join("fd"))?.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target == Path::new("anon_inode:bpf-prog")) {
            let about = fs::read_to_string(process.join("fdinfo").join(entry.file_name()))?;
            if about.lines().any(|found| found == line) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    // Arguments end with a zero byte. Whatever else could command a terminal goes too.
    let shown = line.trim_end_matches('\0').chars().take(SHOWN);
    shown.map(|character| if character.is_control() { ' ' } else { character }).collect()
}
