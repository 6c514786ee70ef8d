//! A running appliance in a test's hand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    binary,
    counters::Counters,
    netns::Namespace,
    process::{Process, attempt, wait_for, wait_until},
};

/// The process `ravelin run` in a namespace. A test ends it by [`Ravelin::finish`], which checks its counters, by
/// [`Ravelin::stop`], or says by [`Ravelin::kill`] that it dies without a word.
#[derive(Debug)]
pub struct Ravelin {
    process: Process,
    namespace: String,
    config: PathBuf,
    socket: PathBuf,
    ended: bool,
}

impl Ravelin {
    /// Starts `ravelin run` with this configuration, and waits until it answers and every worker takes packets.
    pub fn start(namespace: &Namespace, folder: &Path, config: &str) -> Self {
        let ravelin = Self::launch(namespace, folder, config);
        ravelin.wait_until_ready()
    }

    /// Starts `ravelin run` as a service manager does that listens on the socket `manager`, and wants a sign of life within so
    /// many milliseconds; and waits until it answers.
    pub fn start_as_service(
        namespace: &Namespace,
        folder: &Path,
        config: &str,
        manager: &Path,
        watchdog: Option<u32>,
    ) -> Self {
        let ravelin = Self::launch_with(namespace, folder, config, |command| {
            command.env("NOTIFY_SOCKET", manager);
            command.envs(watchdog.map(|limit| ("WATCHDOG_USEC", (limit * 1000).to_string())));
        });
        ravelin.wait_until_ready()
    }

    /// Starts `ravelin run` and does not wait for anything.
    pub fn launch(namespace: &Namespace, folder: &Path, config: &str) -> Self {
        Self::launch_with(namespace, folder, config, |_| {})
    }

    fn launch_with(
        namespace: &Namespace,
        folder: &Path,
        config: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let path = folder.join("ravelin.toml");
        let socket = folder.join("control.sock");
        let mut command = namespace.command(binary::ravelin());
        command.arg("run").arg("-c").arg(&path);
        prepare(&mut command);
        Self::write(&path, &socket, config);
        let process = Process::start("ravelin", command, folder);
        Self { process, namespace: namespace.name().to_owned(), config: path, socket, ended: false }
    }

    fn write(path: &Path, socket: &Path, config: &str) {
        let text = format!("{config}\n[control]\nsocket = \"{}\"\n", socket.display());
        fs::write(path, text).expect("the test's folder is writable");
    }

    fn wait_until_ready(mut self) -> Self {
        wait_for("ravelin to answer", || {
            assert!(!self.process.has_ended(), "ravelin ended:\n{}", self.process.output());
            self.ask(&["show", "status"]).is_ok()
        });
        wait_for("every worker to have turned once", || {
            self.show("workers")
                .as_array()
                .is_some_and(|workers| workers.iter().all(|worker| worker["pulse"] != 0))
        });
        self
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Runs a command of `ravelin` against this process.
    ///
    /// # Errors
    /// What the command said on standard error, if it failed.
    pub fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let (status, out, err) = attempt(&mut self.command(arguments));
        if status.success() { Ok(out) } else { Err(err) }
    }

    /// A command of `ravelin` for this process.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(binary::ravelin()).args(arguments);
        command.arg("--socket").arg(&self.socket);
        command
    }

    /// `ravelin show … --json`.
    pub fn show(&self, what: &str) -> Value {
        let arguments: Vec<&str> =
            ["show"].into_iter().chain(what.split_whitespace()).chain(["--json"]).collect();
        let answer =
            self.ask(&arguments).unwrap_or_else(|error| panic!("show {what}: {error}\n{}", self.log()));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("show {what}: {error}\n{answer}"))
    }

    /// The flows that match filters such as `--port 80`, as `show flows --json` gives them.
    pub fn flows(&self, filters: &str) -> Vec<Value> {
        let answer = self.show(&format!("flows {filters}"));
        answer["flows"].as_array().expect("a list of flows").clone()
    }

    /// Waits for a flow that matches filters and a condition, and returns it.
    pub fn wait_for_flow(&self, filters: &str, mut condition: impl FnMut(&Value) -> bool) -> Value {
        let find = || self.flows(filters).into_iter().find(&mut condition);
        wait_until(&format!("a flow with {filters}"), find)
    }

    /// Its counters now. Packets that come in between are in the drops and not in the rest.
    pub fn counters(&self) -> Counters {
        Counters::new(&self.show("counters"), &self.show("drops"))
    }

    /// Its counters, all of the same moment, when the rings between workers are empty and no packet came in meanwhile.
    fn settled(&self) -> Counters {
        wait_until("a moment without packets", || {
            let (before, counters) = (self.counters(), self.counters());
            let quiet = counters.has_same_packets(&before) && counters["handed_off"] == counters["handed_in"];
            quiet.then_some(before)
        })
    }

    /// Waits until its counters fulfil a condition, and returns them.
    pub fn wait_for_counters(&self, what: &str, mut condition: impl FnMut(&Counters) -> bool) -> Counters {
        wait_until(what, || Some(self.counters()).filter(&mut condition))
    }

    /// Puts another configuration in place; in force it comes by [`Ravelin::reload`].
    pub fn rewrite(&self, config: &str) {
        Self::write(&self.config, &self.socket, config);
    }

    /// `ravelin reload`.
    ///
    /// # Errors
    /// What the command said on standard error, if it was refused.
    pub fn reload(&self) -> Result<String, String> {
        self.ask(&["reload"])
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills it without a chance to clean up.
    pub fn kill(mut self) {
        self.ended = true;
        self.process.signal(Signal::KILL);
        self.process.wait();
    }

    /// Stops it cleanly, and checks that its last counters obey the conservation law and that nothing was dropped but for
    /// the reasons in `expected`. Returns the counters.
    pub fn finish(self, expected: &[&str]) -> Counters {
        self.finish_with_log(expected).0
    }

    /// As [`Ravelin::finish`], and returns what it logged to its end as well.
    pub fn finish_with_log(self, expected: &[&str]) -> (Counters, String) {
        let counters = self.settled();
        counters.assert_balanced();
        counters.assert_drops_only(expected);
        (counters, self.stop())
    }

    /// Stops it cleanly whatever it does at the moment, and returns what it logged to its end.
    pub fn stop(mut self) -> String {
        self.ended = true;
        self.process.signal(Signal::TERM);
        let status = self.process.wait();
        let log = self.process.output();
        assert!(status.success(), "a clean stop ended with {status}:\n{log}");
        log
    }
}

/// The number that a log gives last under `name`.
pub fn logged(log: &str, name: &str) -> u64 {
    let value = log.rsplit_once(&format!(" {name}=")).and_then(|(_, rest)| rest.split_whitespace().next());
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("there is no number {name} in:\n{log}"))
}

impl Drop for Ravelin {
    fn drop(&mut self) {
        if thread::panicking() && !self.ended {
            for what in ["interfaces", "counters", "drops", "flows"] {
                eprintln!("--- show {what}\n{}", self.ask(&["show", what]).unwrap_or_else(|error| error));
            }
        }
        assert!(self.ended || thread::panicking(), "a test ends with `finish` or `kill`");
    }
}
