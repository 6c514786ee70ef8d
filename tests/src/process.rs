//! Programs that run beside a test: their output is kept, and they are killed when the test ends.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before the test is given up. Not a measure of speed: it only keeps a hung test from
/// blocking a machine for ever, and is far beyond what the slowest machine needs.
const GIVE_UP: Duration = Duration::from_secs(180);

/// Waits until `condition` holds.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GIVE_UP, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until `attempt` gives something, and returns that.
pub fn wait_until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    wait_for(what, || {
        found = attempt();
        found.is_some()
    });
    found.expect("the condition held")
}

/// Runs a program to its end and returns what it printed.
///
/// # Panics
/// If it cannot be started or fails; then the message carries what it said.
pub fn run(command: &mut Command) -> String {
    let (status, out, err) = attempt(command);
    assert!(status.success(), "{command:?} failed with {status}\n{out}{err}");
    out
}

/// Runs a program to its end, whatever that is; returns its status, standard output and standard error.
pub fn attempt(command: &mut Command) -> (ExitStatus, String, String) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status, text(output.stdout), text(output.stderr))
}

/// A program that runs in the background.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to a file in `folder`, named after the program.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let output = unused(folder, name);
        let file = File::create(&output).expect("the test's folder is writable");
        let errors = file.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self { name: name.to_owned(), child, output }
    }

    /// The program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits until it has printed `text`; panics if it ends before.
    pub fn wait_for_output(&mut self, text: &str) {
        wait_for(&format!("`{}` to print {text:?}", self.name), || {
            // In this order: what it printed right before its end counts.
            let ended = self.has_ended();
            let found = self.output().contains(text);
            assert!(found || !ended, "`{}` ended before it printed {text:?}:\n{}", self.name, self.output());
            found
        });
    }

    /// Waits for its end and returns what it printed; panics if it failed.
    pub fn finish(&mut self) -> String {
        let status = self.wait();
        assert!(status.success(), "`{}` failed with {status}:\n{}", self.name, self.output());
        self.output()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for(&format!("`{}` to end", self.name), || self.has_ended());
        self.child.wait().expect("a child can be waited for")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal `{}`: {error}", self.name));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- `{}` printed:\n{}", self.name, self.output());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file name in `folder` that nothing has.
fn unused(folder: &Path, name: &str) -> PathBuf {
    (0_u32..)
        .map(|number| folder.join(format!("{name}-{number}.log")))
        .find(|path| !path.exists())
        .expect("there is always another number")
}

/// CPU time that a process has used, user and system, in seconds.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name, in parentheses, may hold blanks: fields are counted from behind it (proc(5), utime is field 14).
    let fields: Vec<&str> =
        stat.rsplit_once(')').expect("stat names the program").1.split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().expect("a number")).sum();
    #[expect(clippy::cast_precision_loss, reason = "the tick rate is a small number")]
    let rate = rustix::param::clock_ticks_per_second() as f64;
    ticks / rate
}
