//! Three namespaces in a row, joined by veth, and the programs that run in them. All of it goes when this is dropped.

use std::{
    fmt::Display,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Once,
};

/// Client, middle and server. The middle has `r0` (to the client) and `r1` (to the server).
pub(crate) struct Topology {
    prefix: String,
}

/// Which namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// Has `a0`, 10.77.0.1/24.
    Client,
    /// Has `r0` and `r1`.
    Middle,
    /// Has `b0`, 10.77.0.2/24.
    Server,
}

impl Topology {
    /// Makes the namespaces. Interfaces have one queue and this MTU; offloads are as the kernel makes them.
    pub(crate) fn new(mtu: u32) -> Self {
        static SWEEPS: Once = Once::new();
        SWEEPS.call_once(sweep_on_panic);
        let topology = Self { prefix: prefix() };
        for host in [Host::Client, Host::Middle, Host::Server] {
            ip(&["netns", "add", &topology.namespace(host)]);
            topology.ip(host, &["link", "set", "lo", "up"]);
        }
        let mtu = mtu.to_string();
        for (host, outer, inner) in [(Host::Client, "a0", "r0"), (Host::Server, "b0", "r1")] {
            let (middle, outside) = (topology.namespace(Host::Middle), topology.namespace(host));
            ip(&[
                "link", "add", inner, "mtu", &mtu, "netns", &middle, "type", "veth", "peer", "name", outer,
                "mtu", &mtu, "netns", &outside,
            ]);
            for (host, name) in [(host, outer), (Host::Middle, inner)] {
                topology.ip(host, &["link", "set", name, "up"]);
            }
        }
        topology.ip(Host::Client, &["address", "add", "10.77.0.1/24", "dev", "a0"]);
        topology.ip(Host::Server, &["address", "add", "10.77.0.2/24", "dev", "b0"]);
        topology
    }

    /// The same, where the middle is a router between two networks: 10.77.0.254 on `r0`, 10.79.0.254 on `r1`. The server is 10.79.0.2 then.
    pub(crate) fn routed(mtu: u32) -> Self {
        let topology = Self::new(mtu);
        let ip = |host, line: &str| topology.ip(host, &line.split(' ').collect::<Vec<_>>());
        let forwarding = ["-q", "-w", "net.ipv4.ip_forward=1"];
        let status = topology.command(Host::Middle, 0, "sysctl", &forwarding).status();
        assert!(status.is_ok_and(|status| status.success()), "sysctl is installed");
        ip(Host::Middle, "address add 10.77.0.254/24 dev r0");
        ip(Host::Middle, "address add 10.79.0.254/24 dev r1");
        ip(Host::Server, "address flush dev b0");
        ip(Host::Server, "address add 10.79.0.2/24 dev b0");
        ip(Host::Client, "route add 10.79.0.0/24 via 10.77.0.254");
        ip(Host::Server, "route add 10.77.0.0/24 via 10.79.0.254");
        topology
    }

    fn namespace(&self, host: Host) -> String {
        let suffix = match host {
            Host::Client => "c",
            Host::Middle => "m",
            Host::Server => "s",
        };
        format!("{}-{suffix}", self.prefix)
    }

    /// Runs `ip` in a namespace.
    pub(crate) fn ip(&self, host: Host, arguments: &[&str]) {
        ip(&[&["-n", &self.namespace(host)], arguments].concat());
    }

    /// Makes both endpoints compute whole checksums, for middles that forward bytes as they are.
    pub(crate) fn compute_checksums(&self) {
        for (host, interface) in [(Host::Client, "a0"), (Host::Server, "b0")] {
            let output = self.command(host, 0, "ethtool", &["-K", interface, "tx", "off"]).output();
            assert!(output.is_ok_and(|output| output.status.success()), "ethtool is installed");
        }
    }

    /// A command that will run in a namespace, on the CPUs named, in a session of its own, so that the scheduler's
    /// autogroups weigh it alone.
    pub(crate) fn command(
        &self,
        host: Host,
        cpu: impl Display,
        program: &str,
        arguments: &[&str],
    ) -> Command {
        let mut command = Command::new("setsid");
        command.args([
            "ip",
            "netns",
            "exec",
            &self.namespace(host),
            "taskset",
            "-c",
            &cpu.to_string(),
            program,
        ]);
        command.args(arguments);
        command
    }

    /// Starts a program and keeps its input and output.
    pub(crate) fn start(&self, host: Host, cpu: impl Display, program: &str, arguments: &[&str]) -> Process {
        let mut command = self.command(host, cpu, program, arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Process { child, output }
    }
}

fn prefix() -> String {
    format!("ravelin-bench-{}", std::process::id())
}

/// Has a panic take the namespaces with it, and what runs in them: it ends this program before anything is dropped.
fn sweep_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        let said = |arguments: &[&str]| {
            let output = Command::new("ip").args(arguments).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        let (all, ours) = (said(&["netns", "list"]), format!("{}-", prefix()));
        for name in
            all.lines().filter_map(|line| line.split(' ').next()).filter(|name| name.starts_with(&ours))
        {
            let processes = said(&["netns", "pids", name]);
            for process in processes.split_whitespace() {
                let _ended_already = Command::new("kill").args(["-KILL", process]).status();
            }
            let _gone_already = Command::new("ip").args(["netns", "delete", name]).status();
        }
        let _never_made = std::fs::remove_dir_all(std::env::temp_dir().join(prefix()));
    }));
}

impl Drop for Topology {
    fn drop(&mut self) {
        for host in [Host::Client, Host::Middle, Host::Server] {
            let _gone_already = Command::new("ip").args(["netns", "delete", &self.namespace(host)]).status();
        }
    }
}

/// A running program. Killed when dropped.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Its process number: `setsid`, `ip netns exec` and `taskset` each replace themselves by what they start.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output is a pipe");
        assert!(!line.is_empty(), "the program ended without saying anything more");
        line.trim().to_owned()
    }

    /// Sends it an empty line.
    pub(crate) fn tell(&mut self) {
        let input = self.child.stdin.as_mut().expect("its input is a pipe");
        input.write_all(b"\n").expect("it reads its input");
    }

    /// Sends it an empty line and returns what it answers.
    pub(crate) fn ask(&mut self) -> String {
        self.tell();
        self.line()
    }

    /// Everything it prints until it ends.
    pub(crate) fn finish(mut self) -> String {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut text).expect("its output is text");
        let _status = self.child.wait();
        text
    }

    /// Whether it has not ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, by SIGTERM, and waits.
    pub(crate) fn stop(mut self) {
        let _status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _status = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {} failed (root?)", arguments.join(" "));
}
