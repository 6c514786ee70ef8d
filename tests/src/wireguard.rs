//! WireGuard as others do it: peers for the appliance, each a program with an interface in a namespace.
//!
//! Each program has a folder of its own mounted where control sockets are (`/run/wireguard`, one for the whole machine otherwise), so that
//! peers may be called the same in every namespace, by every test at the same time, and nothing stays when a test is killed.
//!
//! A peer behind the outside interface of a gateway ([`crate::gateway`]) that terminates `wg0` itself:
//!
//! ```no_run
//! use ravelin_tests::{gateway, wireguard::{Keys, Kind, Peer, Remote}};
//! let lab = gateway::gateway(&Kind::Go.programs()).expect("it can run here");
//! let ours = Keys::new();
//! let peer = Peer::start(&lab.client, Kind::Go, "wg0");
//! peer.address("10.9.0.2/24");
//! peer.add_peer(&Remote { endpoint: Some("10.8.1.1:51820"), ..Remote::new(&ours.public, "0.0.0.0/0") });
//! // Now `ours.private` and `peer.public_key()` go into the configuration of `ravelin run`.
//! ```

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    netns::Namespace,
    process::{Process, attempt, run, wait_for},
    requirements,
    topology::Folder,
};

/// The MTU of interfaces: what wireguard-go takes, and the kernel over Ethernet.
pub const MTU: u32 = 1420;

/// Runs its arguments where its name, a folder, is what `/run/wireguard` is. `ip netns exec` has made mounts private.
const IN_FOLDER: &str = "mkdir -p /run/wireguard && mount --bind \"$0\" /run/wireguard && exec \"$@\"";

/// Who made the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `wireguard-go`, the reference among those that are no part of a kernel.
    Go,
    /// `boringtun-cli`, which has the same state machine as the appliance. It cannot change a peer: that has to be removed and added.
    Boringtun,
}

impl Kind {
    /// What a test with such a peer needs.
    pub fn programs(self) -> [&'static str; 2] {
        ["wg", self.program()]
    }

    fn program(self) -> &'static str {
        match self {
            Self::Go => "wireguard-go",
            Self::Boringtun => "boringtun-cli",
        }
    }

    /// The options with which it stays in the foreground, as root, and says little.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Go => &["--foreground"],
            Self::Boringtun => &["--foreground", "--disable-drop-privileges", "--verbosity", "info"],
        }
    }
}

/// The keys of an interface, in base64.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The private key.
    pub private: String,
    /// The public key.
    pub public: String,
}

impl Keys {
    /// New ones.
    #[expect(clippy::new_without_default, reason = "no two are the same")]
    pub fn new() -> Self {
        let private = run(Command::new("wg").arg("genkey")).trim().to_owned();
        let public = public_key(&private);
        Self { private, public }
    }
}

/// The public key of a private key, as wg(8) says it.
pub fn public_key(private: &str) -> String {
    let mut command = Command::new("wg");
    let mut child =
        command.arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wg starts");
    child.stdin.take().expect("a pipe").write_all(private.as_bytes()).expect("wg reads");
    let output = child.wait_with_output().expect("wg ends");
    assert!(output.status.success(), "wg pubkey failed");
    String::from_utf8(output.stdout).expect("base64").trim().to_owned()
}

/// A new preshared key.
pub fn preshared_key() -> String {
    run(Command::new("wg").arg("genpsk")).trim().to_owned()
}

/// Whom a peer has as its peer.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    /// Its public key.
    pub public_key: &'a str,
    /// What may be sent to it and come from it, separated by commas.
    pub allowed_ips: &'a str,
    /// Where it is, `address:port`; else it has to come.
    pub endpoint: Option<&'a str>,
    /// Seconds after which something is sent whatever happens.
    pub keepalive: Option<u16>,
    /// The preshared key.
    pub preshared_key: Option<&'a str>,
}

impl<'a> Remote<'a> {
    /// One that has to come, without anything else.
    pub fn new(public_key: &'a str, allowed_ips: &'a str) -> Self {
        Self { public_key, allowed_ips, endpoint: None, keepalive: None, preshared_key: None }
    }
}

/// What a peer says of its peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its public key.
    pub public_key: String,
    /// Where it is, if that is known.
    pub endpoint: Option<String>,
    /// What may be sent to it and come from it.
    pub allowed_ips: Vec<String>,
    /// When the last handshake was completed, in seconds since 1970; 0 for never. boringtun says how many seconds ago instead.
    pub latest_handshake: u64,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
    /// Seconds after which something is sent whatever happens.
    pub keepalive: Option<u16>,
}

/// A program with an interface in a namespace. Both go away when it is dropped.
#[derive(Debug)]
pub struct Peer {
    host: String,
    interface: String,
    keys: Keys,
    process: Process,
    /// For the control socket, and files that `wg` reads.
    folder: Folder,
}

impl Peer {
    /// Starts a program of this kind with an interface called `name` and new keys. The interface is up and has no address yet.
    pub fn start(host: &Namespace, kind: Kind, name: &str) -> Self {
        Self::start_with(host, kind, name, Keys::new())
    }

    /// The same with keys that there are already, as after a restart.
    pub fn start_with(host: &Namespace, kind: Kind, name: &str, keys: Keys) -> Self {
        let folder = Folder::new();
        let program = requirements::find(kind.program()).expect("the test has asked for it");
        let mut command = in_folder(host.name(), &folder.0, program);
        command.args(kind.options()).arg(name);
        let process = Process::start(kind.program(), command, &folder.0);
        let mut peer =
            Self { host: host.name().to_owned(), interface: name.to_owned(), keys, process, folder };
        peer.wait_until_ready();
        peer.configure("");
        peer.ip(&format!("link set {name} mtu {MTU} up"));
        peer
    }

    fn wait_until_ready(&mut self) {
        let Self { host, interface, folder, process, .. } = self;
        wait_for("a peer's control socket", || {
            assert!(!process.has_ended(), "the peer ended:\n{}", process.output());
            attempt(in_folder(host, &folder.0, "wg").args(["show", interface.as_str()])).0.success()
        });
    }

    /// Its public key.
    pub fn public_key(&self) -> &str {
        &self.keys.public
    }

    /// Its keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Has it be configured so and not otherwise. `text` is what `wg setconf` reads from behind the private key on: what else there is to
    /// say of the interface, then sections `[Peer]`.
    pub fn configure(&self, text: &str) {
        let path = self.folder.0.join("configuration").display().to_string();
        let text = format!("[Interface]\nPrivateKey = {}\n{text}", self.keys.private);
        fs::write(&path, text).expect("the folder is writable");
        self.wg(&["setconf", &self.interface, &path]);
    }

    /// Has it be reached at this UDP port.
    pub fn listen(&self, port: u16) {
        self.set(&["listen-port", &port.to_string()]);
    }

    /// Adds a peer, or changes it.
    pub fn add_peer(&self, remote: &Remote<'_>) {
        let keepalive = remote.keepalive.unwrap_or_default().to_string();
        let mut words = vec!["peer", remote.public_key, "allowed-ips", remote.allowed_ips];
        words.extend(["persistent-keepalive", &keepalive]);
        words.extend(remote.endpoint.into_iter().flat_map(|endpoint| ["endpoint", endpoint]));
        let path = self.folder.0.join("preshared-key").display().to_string();
        if let Some(key) = remote.preshared_key {
            fs::write(&path, key).expect("the folder is writable");
            words.extend(["preshared-key", &path]);
        }
        self.set(&words);
    }

    /// Removes a peer.
    pub fn remove_peer(&self, public_key: &str) {
        self.set(&["peer", public_key, "remove"]);
    }

    /// Gives the interface an address, with the length of its prefix, usable at once.
    pub fn address(&self, address: &str) {
        let usable = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("address add {address} dev {} {usable}", self.interface));
    }

    /// Has the host send what is for these addresses through the interface. Peers have to allow them, too.
    pub fn route(&self, prefix: &str) {
        self.ip(&format!("route add {prefix} dev {}", self.interface));
    }

    /// What it says of its peers.
    pub fn show(&self) -> Vec<Shown> {
        shown(&self.wg(&["show", &self.interface, "dump"]))
    }

    /// What it says of one.
    pub fn show_peer(&self, public_key: &str) -> Shown {
        let mut all = self.show().into_iter();
        all.find(|peer| peer.public_key == public_key)
            .unwrap_or_else(|| panic!("it does not know {public_key}"))
    }

    /// Waits until it says that it has completed a handshake with a peer; boringtun does a second later.
    pub fn wait_for_handshake(&self, public_key: &str) {
        wait_for("a handshake", || self.show_peer(public_key).latest_handshake > 0);
    }

    /// What the program has printed so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    fn set(&self, words: &[&str]) {
        self.wg(&[&["set", &self.interface], words].concat());
    }

    fn wg(&self, words: &[&str]) -> String {
        run(in_folder(&self.host, &self.folder.0, "wg").args(words))
    }

    fn ip(&self, line: &str) {
        run(Command::new("ip").args(["-n", &self.host]).args(line.split_whitespace()));
    }
}

/// A command that runs `program` in a namespace with a folder for control sockets.
fn in_folder(host: &str, folder: &Path, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", host, "sh", "-c", IN_FOLDER]).arg(folder).arg(program);
    command
}

/// What `wg show INTERFACE dump` says of peers, of whatever program it is asked.
pub fn shown(dump: &str) -> Vec<Shown> {
    dump.lines().skip(1).map(shown_in).collect()
}

/// A line of it about a peer.
fn shown_in(line: &str) -> Shown {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[public_key, _preshared_key, endpoint, allowed_ips, handshake, received, sent, keepalive] =
        fields.as_slice()
    else {
        panic!("wg says {line:?} of a peer")
    };
    let number = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text:?} in {line:?}: {error}"));
    let list = |text: &str| text.split(',').filter(|item| *item != "(none)").map(str::to_owned).collect();
    Shown {
        public_key: public_key.to_owned(),
        endpoint: (endpoint != "(none)").then(|| endpoint.to_owned()),
        allowed_ips: list(allowed_ips),
        latest_handshake: number(handshake),
        received: number(received),
        sent: number(sent),
        keepalive: keepalive.parse().ok(),
    }
}
