//! The kernel: whether it has what Ravelin is built on.

use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, socket},
};

use super::{Finding, system};

/// `AF_XDP` of `linux/socket.h`.
const AF_XDP: u16 = 44;
/// Sockets of several interfaces share one packet memory since then.
const OLDEST: (u32, u32) = (5, 10);

pub(super) struct Facts {
    /// As `uname -r` says.
    pub release: String,
    /// Whether it knows AF_XDP sockets.
    pub sockets: bool,
    /// Whether it has the system call `bpf`.
    pub bpf: bool,
    /// Whether it describes its own types.
    pub types: bool,
    /// `net.core.bpf_jit_enable`
    pub compiler: Option<u64>,
}

impl Facts {
    pub(super) fn read() -> Self {
        // Whoever may not make such a socket is told so only by a kernel that knows them.
        let made = socket(AddressFamily::from_raw(AF_XDP), SocketType::RAW, None);
        Self {
            release: system::text("/proc/sys/kernel/osrelease").unwrap_or_default(),
            sockets: !matches!(made, Err(Errno::AFNOSUPPORT)),
            bpf: system::text("/proc/sys/kernel/unprivileged_bpf_disabled").is_some(),
            types: std::path::Path::new("/sys/kernel/btf/vmlinux").exists(),
            compiler: system::number("/proc/sys/net/core/bpf_jit_enable"),
        }
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Facts { release, sockets, bpf, types, compiler } = facts;
    let install = "install a kernel that has it; Debian's own has";
    let mut findings = Vec::new();
    match version(release) {
        Some(version) if version < OLDEST => findings.push(Finding::problem(
            "version",
            format_args!("Linux {release}"),
            "Linux 5.10: since then the sockets of several interfaces share one packet memory",
            "install a newer kernel and boot it",
        )),
        Some(_) => findings.push(Finding::ok("version", format_args!("Linux {release}"))),
        None => {}
    }
    findings.push(if *sockets {
        Finding::ok("af-xdp", "AF_XDP sockets")
    } else {
        Finding::problem(
            "af-xdp",
            "no AF_XDP sockets",
            "a kernel with CONFIG_XDP_SOCKETS, through which all packets come",
            install,
        )
    });
    findings.push(if *bpf {
        Finding::ok("bpf", "BPF programs")
    } else {
        Finding::problem(
            "bpf",
            "no BPF programs",
            "a kernel with CONFIG_BPF_SYSCALL, for the XDP program",
            install,
        )
    });
    findings.push(if *types {
        Finding::ok("btf", "the kernel describes its types (BTF)")
    } else {
        Finding::advice(
            "btf",
            "the kernel does not describe its types (BTF)",
            "a kernel with CONFIG_DEBUG_INFO_BTF: without it VLAN tags that travel beside a frame are lost in native mode",
            install,
        )
    });
    match compiler {
        Some(0) => findings.push(Finding::advice(
            "bpf-jit",
            "net.core.bpf_jit_enable = 0: the XDP program is interpreted for every packet",
            "net.core.bpf_jit_enable = 1",
            "sysctl -w net.core.bpf_jit_enable=1",
        )),
        Some(_) => findings.push(Finding::ok("bpf-jit", "BPF programs are compiled")),
        None => {}
    }
    findings
}

/// The first two numbers of a release such as `6.1.0-28-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
