//! The laboratory of every end-to-end test: a client and a server with an appliance between them.
//!
//! ```text
//!  client            appliance             server
//!  eth0 ---- veth ---- outside   inside ---- veth ---- eth0
//!  10.9.0.1                                  10.9.0.2
//!  fd09::1                                   fd09::2
//! ```
//!
//! Offloads are what the kernel gives a veth by default: segments of 64 KiB with partial checksums. One test owns the
//! machine at a time, whatever the number of test threads, so that measured counters and CPU time are its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    binary,
    netns::Namespace,
    process::{Process, run, wait_for},
    ravelin::Ravelin,
    requirements,
};

static MACHINE: Mutex<()> = Mutex::new(());

/// The client's address.
pub const CLIENT: &str = "10.9.0.1";
/// The server's address.
pub const SERVER: &str = "10.9.0.2";
/// The client's IPv6 address.
pub const CLIENT6: &str = "fd09::1";
/// The server's IPv6 address.
pub const SERVER6: &str = "fd09::2";

/// Both hosts as endpoints. What no policy governs may pass.
pub const ENDPOINTS: &str = r#"
[[endpoint]]
name = "client"
addresses = ["10.9.0.1", "fd09::1"]
labels = { role = "client" }
profiles = ["default-allow"]

[[endpoint]]
name = "server"
addresses = ["10.9.0.2", "fd09::2"]
labels = { role = "server" }
profiles = ["default-allow"]
"#;

/// Both hosts as endpoints, and a policy `guard` of the server with these rules about flows to it. `keys` are lines that say
/// more about the policy.
pub fn guard(keys: &str, rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("[[policy.ingress]]\n{rule}\n")).collect();
    format!("{ENDPOINTS}[[policy]]\nname = \"guard\"\nselector = \"role == 'server'\"\n{keys}\n{rules}")
}

/// What the links are like.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    /// MTU of all four interfaces.
    pub mtu: u32,
    /// Queues of all four interfaces.
    pub queues: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self { mtu: 1500, queues: 1 }
    }
}

/// Three namespaces, two links, and a folder for files.
#[derive(Debug)]
pub struct Lab {
    /// Where connections come from.
    pub client: Namespace,
    /// Where `ravelin` runs.
    pub appliance: Namespace,
    /// Where connections go.
    pub server: Namespace,
    folder: Folder,
    _machine: MutexGuard<'static, ()>,
}

impl Lab {
    /// A laboratory with default links; `None` if the test has to be skipped, and may be.
    pub fn new(programs: &[&str]) -> Option<Self> {
        Self::with(Links::default(), programs)
    }

    /// A laboratory with links as asked for.
    pub fn with(links: Links, programs: &[&str]) -> Option<Self> {
        let lab = Self::without_addresses(links, programs)?;
        for (host, address, address6) in [(&lab.client, CLIENT, CLIENT6), (&lab.server, SERVER, SERVER6)] {
            host.ip(&format!("address add {address}/24 dev eth0"));
            host.ip(&format!("address add {address6}/64 dev eth0 nodad"));
        }
        Some(lab)
    }

    /// A laboratory whose hosts have no addresses yet.
    pub(crate) fn without_addresses(links: Links, programs: &[&str]) -> Option<Self> {
        if !requirements::met(&[&["ip", "ethtool"], programs].concat()) {
            return None;
        }
        let machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        let lab = Self {
            client: Namespace::new("client"),
            appliance: Namespace::new("appliance"),
            server: Namespace::new("server"),
            folder: Folder::new(),
            _machine: machine,
        };
        connect(&lab.client, "eth0", &lab.appliance, "outside", links);
        connect(&lab.server, "eth0", &lab.appliance, "inside", links);
        Some(lab)
    }

    /// Starts `ravelin run` with the bridge `outside` - `inside` and what `more` adds to the configuration.
    pub fn ravelin(&self, more: &str) -> Ravelin {
        Ravelin::start(&self.appliance, self.folder(), &format!("{}\n{more}", bridge("open")))
    }

    /// Runs `ravelin detach` with the configuration of the process that was started last, and returns what it printed.
    pub fn detach(&self, interfaces: &[&str]) -> String {
        let mut command = self.appliance.command(binary::ravelin());
        run(command.arg("detach").args(interfaces).arg("-c").arg(self.folder().join("ravelin.toml")))
    }

    /// A folder that is deleted with the laboratory.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Starts a program with blank-separated arguments in the background of `host`.
    pub fn spawn(&self, host: &Namespace, line: &str) -> Process {
        let program = line.split_whitespace().next().expect("a program");
        Process::start(program, host.split(line), self.folder())
    }

    /// Starts a shell script in the background of `host`, with the laboratory's folder as its working directory.
    pub fn shell(&self, host: &Namespace, script: &str) -> Process {
        let mut command = host.command("sh");
        command.args(["-c", script]).current_dir(self.folder());
        Process::start("shell", command, self.folder())
    }

    /// Writes a file of `length` bytes that do not compress and do not repeat, into the laboratory's folder.
    pub fn random_file(&self, name: &str, length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            // xorshift64, Marsaglia 2003.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend(state.to_le_bytes());
        }
        bytes.truncate(length);
        fs::write(self.folder().join(name), &bytes).expect("the test's folder is writable");
        bytes
    }

    /// Starts a server in the background of `host` and waits until something listens on `port`.
    pub fn serve(&self, host: &Namespace, port: u16, line: &str) -> Process {
        let mut process = self.spawn(host, line);
        wait_for(&format!("`{line}` to listen"), || {
            assert!(!process.has_ended(), "`{line}` ended:\n{}", process.output());
            listens(host, port)
        });
        process
    }

    /// Puts both hosts wholly into a VLAN: all that they send is tagged, and what they receive must be. With an inner tag
    /// that is not zero, QinQ. By tc programs, because not every kernel has VLAN interfaces.
    pub fn enter_vlan(&self, outer: u16, inner: u16) {
        let source = binary::root().join("tests/bpf/vlan.c");
        let object = self.folder().join("vlan.o");
        let mut clang = Command::new("clang");
        clang.args([
            "-O2",
            "-g",
            "--target=bpf",
            "-c",
            &format!("-DOUTER={outer}"),
            &format!("-DINNER={inner}"),
        ]);
        // Where Debian keeps the headers of the machine's architecture, which clang does not look into for BPF.
        clang.arg(format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH));
        run(clang.arg(source).arg("-o").arg(&object));
        for host in [&self.client, &self.server] {
            if inner != 0 {
                // Links carry their MTU and one tag; the second one takes room from the packet.
                host.ip("route change 10.9.0.0/24 dev eth0 mtu 1496");
                host.ip("-6 route add fd09::/64 dev eth0 metric 1 mtu 1496");
            }
            host.run("tc qdisc add dev eth0 clsact");
            for (hook, section) in [("egress", "tc/tag"), ("ingress", "tc/untag")] {
                let object = object.display();
                host.run(&format!(
                    "tc filter add dev eth0 {hook} bpf direct-action object-file {object} section {section}"
                ));
            }
        }
    }
}

/// The configuration of the laboratory's bridge.
pub fn bridge(fail: &str) -> String {
    format!("[[bridge]]\nname = \"wire\"\nports = [\"outside\", \"inside\"]\nfail = \"{fail}\"\n")
}

/// Joins two interfaces of two namespaces by a veth pair and brings both up.
pub fn connect(a: &Namespace, a_name: &str, b: &Namespace, b_name: &str, links: Links) {
    let Links { mtu, queues } = links;
    let queues = format!("mtu {mtu} numrxqueues {queues} numtxqueues {queues}");
    let b_namespace = b.name();
    a.ip(&format!(
        "link add name {a_name} {queues} type veth peer name {b_name} {queues} netns {b_namespace}"
    ));
    a.ip(&format!("link set {a_name} up"));
    b.ip(&format!("link set {b_name} up"));
}

/// Waits until something on `host` listens on `port`.
pub fn wait_for_port(host: &Namespace, port: u16) {
    wait_for(&format!("something to listen on port {port}"), || listens(host, port));
}

/// Whether at least one echo request from `host` is answered.
pub fn pings(host: &Namespace, target: &str) -> bool {
    host.succeeds(&format!("ping -n -q -c 2 -i 0.2 -W 1 {target}"))
}

/// Panics unless all of `count` echo requests with `size` bytes from `host` are answered; returns what ping printed.
pub fn ping_all(host: &Namespace, target: &str, count: u32, size: u32) -> String {
    let before = echo_replies(host);
    let report = host.run(&format!("ping -n -q -c {count} -i 0.02 -W 60 -s {size} {target}"));
    if !report.contains(&format!("{count} received")) {
        // ping leaves after twice the longest round trip; on a busy machine the last replies come later than that.
        wait_for(&format!("late echo replies: {report}"), || echo_replies(host) >= before + u64::from(count));
    }
    report
}

/// Echo replies that have come to a host, of both versions of IP.
fn echo_replies(host: &Namespace) -> u64 {
    let read = |table: &str| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
    let (v4, v6) = host.inside(|| (read("snmp"), read("snmp6")));
    // Two lines, names and values; a type that has not come yet has no name. In the other table, a line for each.
    let mut lines = v4.lines().filter(|line| line.starts_with("IcmpMsg:")).map(str::split_whitespace);
    let mut pairs = lines.next().into_iter().flatten().zip(lines.next().into_iter().flatten());
    let v4 = pairs.find(|(name, _)| *name == "InType0").map(|(_, value)| value);
    let v6 = v6.lines().find_map(|line| line.strip_prefix("Icmp6InEchoReplies")).map(str::trim);
    [v4, v6].into_iter().flatten().map(|value| value.parse::<u64>().expect("a count")).sum()
}

/// Whether a TCP or UDP socket of `host` is bound to `port` and waits for peers.
fn listens(host: &Namespace, port: u16) -> bool {
    let wanted = format!(":{port:04X}");
    host.inside(|| {
        ["tcp", "tcp6", "udp", "udp6"].iter().any(|table| {
            let table = fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default();
            table.lines().skip(1).any(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                // proc_net_tcp(5): local address, remote address, state; 0A is LISTEN, 07 a UDP socket without peer.
                fields.get(1).is_some_and(|local| local.ends_with(&wanted))
                    && fields.get(3).is_some_and(|state| ["0A", "07"].contains(state))
            })
        })
    })
}

/// A folder that goes away with its owner.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    /// Makes an empty folder.
    #[expect(clippy::new_without_default, reason = "making a folder is not a default")]
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ravelin-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files is writable");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
