//! Network namespaces that go away with the test.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::process::{attempt, run};

/// What all names begin with; the process id of the test follows.
const PREFIX: &str = "ravelin-test-";

/// A network namespace with its loopback up. Deleted when dropped, with every interface in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace that no other test has; `role` is the end of its name.
    pub fn new(role: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if NUMBER.load(Ordering::Relaxed) == 0 {
            sweep();
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs `program` inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a program with blank-separated arguments inside, and returns what it printed. Panics if it fails.
    pub fn run(&self, line: &str) -> String {
        run(&mut self.split(line))
    }

    /// Runs a program inside and says whether it succeeded.
    pub fn succeeds(&self, line: &str) -> bool {
        attempt(&mut self.split(line)).0.success()
    }

    /// A command from a line with blank-separated arguments.
    pub fn split(&self, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().expect("a program"));
        command.args(words);
        command
    }

    /// Runs `ip` on the interfaces inside.
    pub fn ip(&self, line: &str) -> String {
        run(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    /// Sets a network parameter, such as `ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.inside(|| fs::write(&path, value)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Runs `work` on a thread of its own inside the namespace: the sockets that it opens belong there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                self.enter();
                work()
            });
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace, for good.
    pub fn enter(&self) {
        let file = File::open(PathBuf::from("/run/netns").join(&self.name)).expect("the namespace is there");
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))
            .expect("root may enter namespaces");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = delete(&self.name) {
            eprintln!("cannot delete the namespace {}: {error}", self.name);
        }
    }
}

/// Deletes what test processes left behind that were killed and could not clean up.
fn sweep() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !PathBuf::from("/proc").join(pid).exists()) {
            let _ = delete(&name);
        }
    }
}

/// Deletes a namespace that a test made. Programs that still run inside, such as what a shell script started, would keep it.
fn delete(name: &str) -> Result<(), String> {
    let (_, pids, _) = attempt(Command::new("ip").args(["netns", "pids", name]));
    for pid in pids.lines().filter_map(|line| line.trim().parse().ok()).filter_map(Pid::from_raw) {
        let _ended_meanwhile = kill_process(pid, Signal::KILL);
    }
    let (status, _, error) = attempt(Command::new("ip").args(["netns", "del", name]));
    if status.success() { Ok(()) } else { Err(error) }
}
