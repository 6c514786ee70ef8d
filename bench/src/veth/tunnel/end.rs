//! An end of tunnels: Ravelin, or a program with a TUN device that `wg` speaks to.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use super::super::{
    middle::{ravelin, run_ravelin},
    topology::{Host, Process, Topology},
};

/// What takes packets of 1500 bytes outside.
const MTU: &str = "1420";

/// Runs its arguments where its name, a folder, is what `/run/wireguard` is, where control sockets are: one for the whole machine otherwise. `ip netns exec` has
/// made mounts private.
const IN_FOLDER: &str = "mkdir -p /run/wireguard && mount --bind \"$0\" /run/wireguard && exec \"$@\"";

/// Who can be at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Program {
    /// `ravelin run`.
    Ravelin,
    /// wireguard-go as this machine has it installed.
    WireguardGo,
    /// wireguard-go of Debian's backports.
    WireguardGoBackports,
    /// boringtun-cli.
    Boringtun,
    /// gotatun, what Mullvad made of boringtun.
    Gotatun,
}

impl Program {
    pub(super) const ALL: [Self; 5] =
        [Self::Ravelin, Self::WireguardGo, Self::WireguardGoBackports, Self::Boringtun, Self::Gotatun];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ravelin => "ravelin",
            Self::WireguardGo => "wireguard-go",
            Self::WireguardGoBackports => "wireguard-go, backports",
            Self::Boringtun => "boringtun",
            Self::Gotatun => "gotatun",
        }
    }

    fn path(self) -> PathBuf {
        let tools = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin"));
        match self {
            Self::Ravelin => ravelin(),
            Self::WireguardGo => "wireguard-go".into(),
            Self::WireguardGoBackports => tools.join("wireguard-go-backports"),
            Self::Boringtun => tools.join("boringtun-cli"),
            Self::Gotatun => tools.join("gotatun"),
        }
    }

    /// What it says of itself; or why it cannot run here.
    pub(super) fn version(self) -> Result<String, String> {
        let output = Command::new(self.path()).arg("--version").output();
        let output = output.map_err(|_| "it is missing: `./x bench tunnel` installs it".to_owned())?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// The options with which it stays in the foreground, as root, and says little.
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Ravelin => &[],
            Self::WireguardGo | Self::WireguardGoBackports => &["--foreground"],
            Self::Boringtun | Self::Gotatun => {
                &["--foreground", "--disable-drop-privileges", "--verbosity", "error"]
            }
        }
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self).expect("none is hidden");
        formatter.write_str(value.get_name())
    }
}

/// Whether what the comparison itself needs is there.
pub(super) fn tools() -> Result<(), String> {
    for (program, package) in
        [("wg", "wireguard-tools"), ("iperf3", "iperf3"), ("ethtool", "ethtool"), ("ping", "iputils-ping")]
    {
        if Command::new(program).arg("--version").output().is_err() {
            return Err(format!("{program} is missing: install the package {package}"));
        }
    }
    Ok(())
}

/// The keys of an end, in base64.
pub(super) struct Keys {
    private: String,
    pub(super) public: String,
}

impl Keys {
    pub(super) fn new() -> Self {
        let output = Command::new("wg").arg("genkey").output().expect("it was there a moment ago");
        let private = text(output);
        let mut wg = Command::new("wg");
        let mut wg =
            wg.arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        wg.stdin.take().expect("a pipe").write_all(private.as_bytes()).expect("it reads");
        let public = text(wg.wait_with_output().expect("it ends"));
        Self { private, public }
    }

    /// The private key: nobody else's secret, for one run.
    pub(super) fn private(&self) -> &str {
        &self.private
    }
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "wg failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("wg writes ASCII").trim().to_owned()
}

/// Who is at the other end.
pub(super) struct Remote {
    pub(super) public_key: String,
    /// One prefix.
    pub(super) allowed_ips: String,
    pub(super) endpoint: Option<&'static str>,
}

/// What an end is to be.
pub(super) struct Interface {
    pub(super) host: Host,
    pub(super) name: String,
    /// Where it may run.
    pub(super) cores: &'static str,
    /// Of Ravelin's worker.
    pub(super) core: usize,
    /// What else Ravelin takes.
    pub(super) ports: &'static [&'static str],
    pub(super) address: String,
    pub(super) listen_port: u16,
    pub(super) remotes: Vec<Remote>,
}

/// An end that runs.
pub(super) struct End {
    _process: Process,
    program: Program,
    host: Host,
    name: String,
    folder: PathBuf,
}

impl End {
    pub(super) fn start(topology: &Topology, program: Program, keys: &Keys, interface: &Interface) -> Self {
        let place = match interface.host {
            Host::Client => "client",
            Host::Middle => "middle",
            Host::Server => "server",
        };
        let folder = std::env::temp_dir().join(format!(
            "ravelin-bench-{}/{place}-{}",
            std::process::id(),
            interface.name
        ));
        // What the one before left there is not its.
        let _never_made = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the temporary directory is writable");
        let process = match program {
            Program::Ravelin => start_ravelin(topology, &folder, keys, interface),
            Program::WireguardGo | Program::WireguardGoBackports | Program::Boringtun | Program::Gotatun => {
                start_other(topology, program, &folder, keys, interface)
            }
        };
        let (host, name) = (interface.host, interface.name.clone());
        Self { _process: process, program, host, name, folder }
    }

    /// Bytes of messages that it has received from its peers, and sent to them.
    pub(super) fn transferred(&self, topology: &Topology) -> u64 {
        let dump = match self.program {
            Program::Ravelin => {
                let socket = self.folder.join("control.sock").display().to_string();
                let arguments = ["wg", "show", &self.name, "dump", "--socket", &socket];
                text(
                    topology
                        .command(self.host, "0-1", &ravelin().display().to_string(), &arguments)
                        .output()
                        .expect("it starts"),
                )
            }
            Program::WireguardGo | Program::WireguardGoBackports | Program::Boringtun | Program::Gotatun => {
                wg(topology, self.host, &self.folder, &["show", &self.name, "dump"])
                    .unwrap_or_else(|error| panic!("wg show: {error}"))
            }
        };
        // A line for each peer, behind one for the interface; received and sent are the sixth and seventh field (wg(8)).
        let numbers = dump.lines().skip(1).flat_map(|line| line.split('\t').skip(5).take(2));
        numbers.map(|number| number.parse::<u64>().expect("bytes")).sum()
    }
}

/// Has `wg` speak to who has its control socket in a folder.
fn wg(topology: &Topology, host: Host, folder: &Path, words: &[&str]) -> Result<String, String> {
    let folder = folder.display().to_string();
    let arguments = [&["-c", IN_FOLDER, &folder, "wg"], words].concat();
    let output = topology.command(host, "0-1", "sh", &arguments).output().expect("sh is there");
    if output.status.success() {
        Ok(text(output))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn start_other(
    topology: &Topology,
    program: Program,
    folder: &Path,
    keys: &Keys,
    interface: &Interface,
) -> Process {
    let Interface { host, name, cores, .. } = interface;
    let (sockets, path) = (folder.display().to_string(), program.path().display().to_string());
    // So that wireguard-go does not say what else there is.
    let arguments =
        [&["-c", IN_FOLDER, &sockets, "env", "WG_PROCESS_FOREGROUND=1", &path], program.options(), &[name]];
    let mut process = topology.start(*host, cores, "sh", &arguments.concat());
    let patience = Instant::now();
    while wg(topology, *host, folder, &["show", name]).is_err() {
        assert!(process.is_running(), "{path} ended");
        assert!(patience.elapsed() < Duration::from_secs(10), "{path} does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut text =
        format!("[Interface]\nPrivateKey = {}\nListenPort = {}\n", keys.private, interface.listen_port);
    for remote in &interface.remotes {
        let Remote { public_key, allowed_ips, endpoint } = remote;
        let endpoint = endpoint.map(|endpoint| format!("Endpoint = {endpoint}\n")).unwrap_or_default();
        let _infallible =
            write!(text, "[Peer]\nPublicKey = {public_key}\nAllowedIPs = {allowed_ips}\n{endpoint}");
    }
    let path = folder.join("configuration");
    fs::write(&path, text).expect("the temporary directory is writable");
    let told = wg(topology, *host, folder, &["setconf", name, &path.display().to_string()]);
    told.unwrap_or_else(|error| panic!("wg setconf: {error}"));
    topology.ip(*host, &["link", "set", name, "mtu", MTU, "up"]);
    topology.ip(*host, &["address", "add", &format!("{}/32", interface.address), "dev", name]);
    for remote in &interface.remotes {
        topology.ip(*host, &["route", "add", &remote.allowed_ips, "dev", name]);
    }
    process
}

fn start_ravelin(topology: &Topology, folder: &Path, keys: &Keys, interface: &Interface) -> Process {
    let Interface { host, name, core, ports, address, listen_port, remotes, .. } = interface;
    let [key, socket, config] = ["private-key", "control.sock", "ravelin.toml"].map(|name| folder.join(name));
    fs::write(&key, &keys.private).expect("the temporary directory is writable");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    let mut text = format!(
        "[workers]\ncores = [{core}]\n[io]\nmode = \"native\"\n[log]\nlevel = \"warn\"\n[control]\nsocket = \"{}\"\n",
        socket.display()
    );
    for port in *ports {
        let _infallible = write!(text, "[[interface]]\nname = \"{port}\"\nmode = \"route\"\n");
    }
    let _infallible = write!(
        text,
        "[[wireguard]]\nname = \"{name}\"\nprivate_key_file = \"{}\"\nlisten_port = {listen_port}\nmtu = {MTU}\naddresses = [\"{address}/32\"]\n",
        key.display()
    );
    for Remote { public_key, allowed_ips, endpoint } in remotes {
        let endpoint = endpoint.map(|endpoint| format!("endpoint = \"{endpoint}\"\n")).unwrap_or_default();
        let _infallible = write!(
            text,
            "[[wireguard.peer]]\npublic_key = \"{public_key}\"\nallowed_ips = [\"{allowed_ips}\"]\n{endpoint}"
        );
    }
    fs::write(&config, text).expect("the temporary directory is writable");
    run_ravelin(topology, *host, &config, &socket)
}
