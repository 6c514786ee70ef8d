//! What can stand in the middle.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    myself,
    programs::Mode,
    topology::{Host, Process, Topology},
};

/// A program, or the kernel, that joins `r0` and `r1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Middle {
    /// The barest AF_XDP forwarder.
    Bare(Mode),
    /// `ravelin run`.
    Ravelin(Mode),
    /// The same in native mode, with the kernel's receive work in threads on the other core (`napi_threads = "auto"`).
    RavelinWithReceiveThreads,
    /// The same in native mode, with a ring of whole packets in memory.
    RavelinWithRing,
    /// DPDK's testpmd on its AF_XDP driver.
    Testpmd,
    /// The kernel's bridge.
    KernelBridge,
    /// The kernel's bridge, with segmentation offload switched off at both endpoints.
    KernelBridgeWithoutSegmentation,
}

impl Middle {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bare(mode) => format!("bare AF_XDP forwarder, {}", mode.name()),
            Self::Ravelin(mode) => format!("ravelin, {}", mode.name()),
            Self::RavelinWithReceiveThreads => "ravelin, native, receive threads".to_owned(),
            Self::RavelinWithRing => "ravelin, native, ring in memory".to_owned(),
            Self::Testpmd => "testpmd, net_af_xdp".to_owned(),
            Self::KernelBridge => "kernel bridge".to_owned(),
            Self::KernelBridgeWithoutSegmentation => "kernel bridge without TSO".to_owned(),
        }
    }

    /// Whether it can run here.
    pub(crate) fn is_available(self) -> Result<(), String> {
        match self {
            Self::Testpmd => Command::new("dpdk-testpmd")
                .arg("--version")
                .output()
                .map(|_| ())
                .map_err(|_| "install the package dpdk".to_owned()),
            Self::Ravelin(_) | Self::RavelinWithReceiveThreads | Self::RavelinWithRing => match ravelin() {
                path if path.exists() => Ok(()),
                path => {
                    Err(format!("{} is missing: cargo build --release -p ravelin-control", path.display()))
                }
            },
            Self::Bare(_) | Self::KernelBridge | Self::KernelBridgeWithoutSegmentation => Ok(()),
        }
    }

    /// Puts it in the middle and waits until it forwards. `cpu` is its core.
    pub(crate) fn start(self, topology: &Topology, cpu: usize) -> Running {
        let process = match self {
            Self::Bare(mode) => {
                let arguments = ["role", "bare", "r0", "r1", mode.name()];
                let mut process = topology.start(Host::Middle, cpu, &myself(), &arguments);
                assert_eq!(process.line(), "ready");
                Some(process)
            }
            Self::Ravelin(mode) => Some(start_ravelin(topology, cpu, mode, "idle = \"spin\"", "")),
            Self::RavelinWithReceiveThreads => {
                let io = "napi_threads = \"auto\"";
                Some(start_ravelin(topology, cpu, Mode::Native, "idle = \"spin\"", io))
            }
            Self::RavelinWithRing => {
                let directory = write_config(cpu, Mode::Native, "", "").0.with_file_name("captures");
                let ring = format!(
                    "[capture]\ndirectory = \"{}\"\n[capture.ring]\nmemory = \"512MiB\"\n",
                    directory.display()
                );
                Some(start_ravelin(topology, cpu, Mode::Native, "idle = \"spin\"", &ring))
            }
            Self::Testpmd => {
                let arguments = "--no-huge --no-pci -m 512 -l 0,1 --main-lcore 0 --no-telemetry \
                     --vdev net_af_xdp0,iface=r0 --vdev net_af_xdp1,iface=r1 -- \
                     --forward-mode=io --auto-start --nb-cores=1 --no-mlockall --total-num-mbufs=16384";
                let arguments: Vec<&str> = arguments.split_whitespace().collect();
                // testpmd sets the affinity of its threads itself.
                Some(topology.start(Host::Middle, cpu, "dpdk-testpmd", &arguments))
            }
            Self::KernelBridge | Self::KernelBridgeWithoutSegmentation => {
                topology.ip(Host::Middle, &["link", "add", "br0", "type", "bridge"]);
                for interface in ["r0", "r1"] {
                    topology.ip(Host::Middle, &["link", "set", interface, "master", "br0"]);
                }
                topology.ip(Host::Middle, &["link", "set", "br0", "up"]);
                let state = if self == Self::KernelBridge { "on" } else { "off" };
                for (host, interface) in [(Host::Client, "a0"), (Host::Server, "b0")] {
                    let features = ["-K", interface, "tso", state, "gso", state, "gro", state];
                    let _done = topology.command(host, cpu, "ethtool", &features).output();
                }
                None
            }
        };
        // Forwarding has begun when the neighbour answers; programs that do not answer ARP for others pass it on.
        std::thread::sleep(Duration::from_millis(500));
        Running { process, middle: self }
    }
}

/// Something in the middle that forwards.
pub(crate) struct Running {
    process: Option<Process>,
    middle: Middle,
}

impl Running {
    /// A program that was started by itself.
    pub(crate) const fn of(process: Process, middle: Middle) -> Self {
        Self { process: Some(process), middle }
    }

    /// Takes it out of the middle.
    pub(crate) fn stop(self, topology: &Topology) {
        match (self.middle, self.process) {
            (Middle::KernelBridge | Middle::KernelBridgeWithoutSegmentation, _) => {
                topology.ip(Host::Middle, &["link", "delete", "br0"]);
                for (host, interface) in [(Host::Client, "a0"), (Host::Server, "b0")] {
                    let features = ["-K", interface, "tso", "on", "gso", "on", "gro", "off"];
                    let _done = topology.command(host, 0, "ethtool", &features).output();
                }
            }
            (
                Middle::Bare(_)
                | Middle::Ravelin(_)
                | Middle::RavelinWithReceiveThreads
                | Middle::RavelinWithRing
                | Middle::Testpmd,
                process,
            ) => {
                if let Some(process) = process {
                    process.stop();
                }
                // Whatever is still attached would drop the next one's packets.
                for interface in ["r0", "r1"] {
                    for hook in ["xdpdrv", "xdpgeneric"] {
                        topology.ip(Host::Middle, &["link", "set", "dev", interface, hook, "off"]);
                    }
                }
                // The kernel takes a closed socket's queue back some milliseconds later.
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// The binary that is measured: beside this one.
pub(crate) fn ravelin() -> PathBuf {
    std::env::current_exe().expect("the program knows its path").with_file_name("ravelin")
}

/// How a configuration joins `r0` and `r1`.
pub(crate) const BRIDGE: &str = "[[bridge]]\nname = \"bench\"\nports = [\"r0\", \"r1\"]\n";
/// The same for a router.
pub(crate) const ROUTER: &str =
    "[[interface]]\nname = \"r0\"\nmode = \"route\"\n[[interface]]\nname = \"r1\"\nmode = \"route\"\n";

/// A configuration that joins `r0` and `r1` by a bridge, with more keys for its `workers` and `io`, and sections behind the latter; returns its path and
/// that of its control socket.
pub(crate) fn write_config(cpu: usize, mode: Mode, workers: &str, io: &str) -> (PathBuf, PathBuf) {
    write(cpu, mode, workers, io, BRIDGE)
}

fn write(cpu: usize, mode: Mode, workers: &str, io: &str, joins: &str) -> (PathBuf, PathBuf) {
    let directory = std::env::temp_dir().join(format!("ravelin-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let (config, socket) = (directory.join("ravelin.toml"), directory.join("control.sock"));
    let text = format!(
        "[workers]\ncores = [{cpu}]\n{workers}\n[io]\nmode = \"{}\"\n{io}\n[log]\nlevel = \"warn\"\n\
         [control]\nsocket = \"{}\"\n{joins}",
        mode.name(),
        socket.display(),
    );
    std::fs::write(&config, text).expect("the temporary directory is writable");
    (config, socket)
}

/// Starts `ravelin run` between `r0` and `r1`; returns when it says that it forwards.
pub(crate) fn start_ravelin(topology: &Topology, cpu: usize, mode: Mode, workers: &str, io: &str) -> Process {
    start_ravelin_as(topology, cpu, mode, [workers, io, BRIDGE])
}

/// The same, with what joins the two.
pub(crate) fn start_ravelin_as(
    topology: &Topology,
    cpu: usize,
    mode: Mode,
    [workers, io, joins]: [&str; 3],
) -> Process {
    let (config, socket) = write(cpu, mode, workers, io, joins);
    run_ravelin(topology, Host::Middle, &config, &socket)
}

/// Runs `ravelin run` with a configuration that names this control socket; returns when it says that it forwards.
pub(crate) fn run_ravelin(topology: &Topology, host: Host, config: &Path, socket: &Path) -> Process {
    let binary = ravelin().display().to_string();
    // It pins its worker by itself; its control thread takes the other core, as in production.
    let mut process = topology.start(host, "0-1", &binary, &["run", "-c", &config.display().to_string()]);
    let status = ["show", "status", "--socket", &socket.display().to_string()];
    while !topology
        .command(host, "0-1", &binary, &status)
        .output()
        .is_ok_and(|output| output.status.success())
    {
        assert!(process.is_running(), "ravelin ended; it said why");
        std::thread::sleep(Duration::from_millis(50));
    }
    process
}
