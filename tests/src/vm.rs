//! A Debian with a kernel of its own, under qemu: for what depends on that kernel, on drivers of virtual machines, on systemd, or on a boot.
//!
//! ```text
//!  home                 the virtual machine           wherever the test says
//!  vm0 ------- tap ------- eth0   eth1, ... ------ tap ------- eth0
//!  10.8.0.2               10.8.0.1
//!  fd08::2                 fd08::1
//! ```
//!
//! Every machine begins with the same file system ([`image`]), and what it writes is gone with it. It has two processors and 1 GiB, emulated: that
//! works everywhere, which cannot be said of `/dev/kvm` where there is one (in machines that are virtual themselves it may fail half-way).
//! `RAVELIN_VM_ACCEL=kvm` says that it does.

pub mod image;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
};

use image::Image;

use crate::{
    netns::Namespace,
    process::{Process, attempt, run, wait_for},
    topology::Lab,
};

/// What has to be installed for virtual machines.
pub const PROGRAMS: [&str; 6] =
    ["qemu-system-x86_64", "mmdebstrap", "mke2fs", "apt-get", "ssh", "ssh-keygen"];
/// Its address on `eth0`, where it is administered.
pub const ADDRESS: &str = "10.8.0.1";

/// A virtual machine. It is killed when dropped.
#[derive(Debug)]
pub struct Vm {
    qemu: Process,
    home: String,
    image: Image,
    folder: PathBuf,
    /// The connection that commands share: to make one takes an emulated processor seconds.
    line: Option<Process>,
}

impl Vm {
    /// Boots a machine, with `eth0` in the namespace `home`, where qemu and those who administer it are, and one more interface for
    /// each of `cables`, whose other end is the interface of that name in that namespace. Waits until root can log in.
    pub fn boot(lab: &Lab, home: &Namespace, cables: &[(&Namespace, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let image = Image::get();
        let qemu = Process::start("qemu", qemu(&image, home, number, cables.len() + 1), lab.folder());
        let folder = lab.folder().to_owned();
        let mut vm = Self { qemu, home: home.name().to_owned(), image, folder, line: None };
        vm.connect(home, cables);
        vm.log_in(|_| true);
        vm
    }

    /// Waits for qemu to make its ends of the cables, and brings them where they belong. They stay qemu's wherever they are.
    fn connect(&mut self, home: &Namespace, cables: &[(&Namespace, &str)]) {
        for number in 0..=cables.len() {
            wait_for("qemu to make its interfaces", || {
                assert!(!self.qemu.has_ended(), "qemu ended:\n{}", self.qemu.output());
                home.succeeds(&format!("ip link show vm{number}"))
            });
        }
        for (number, (namespace, name)) in (1..).zip(cables) {
            home.ip(&format!("link set vm{number} netns {} name {name}", namespace.name()));
            namespace.ip(&format!("link set {name} up"));
        }
        home.ip("address add 10.8.0.2/24 dev vm0");
        home.ip("address add fd08::2/64 dev vm0 nodad");
        home.ip("link set vm0 up");
    }

    /// Logs in as soon as that is possible, to a system whose number of boot is as wanted.
    fn log_in(&mut self, wanted: impl Fn(&str) -> bool) {
        wait_for("the virtual machine to boot", || {
            assert!(!self.qemu.has_ended(), "qemu ended:\n{}", self.qemu.output());
            let (status, boot, _) = attempt(&mut self.session("cat /proc/sys/kernel/random/boot_id"));
            status.success() && wanted(&boot)
        });
        let mut command = self.program("ssh");
        command.args(["-M", "-N"]).arg(format!("root@{ADDRESS}"));
        self.line = Some(Process::start("line", command, &self.folder));
        wait_for("a connection to the virtual machine", || self.socket().exists());
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(format!("{}.ssh", self.home))
    }

    /// A command that has root's shell run `script` there.
    pub fn command(&self, script: &str) -> Command {
        let mut command = self.program("ssh");
        command.arg(format!("root@{ADDRESS}")).arg(script);
        command
    }

    /// The same over a connection of its own.
    pub fn session(&self, script: &str) -> Command {
        let mut command = self.program("ssh");
        command.args(["-S", "none"]).arg(format!("root@{ADDRESS}")).arg(script);
        command
    }

    /// One of the programs of SSH, with what it has to know.
    fn program(&self, name: &str) -> Command {
        let options = "-q -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60 \
                       -o ServerAliveInterval=30";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.home, name]).args(options.split_whitespace());
        command.arg("-i").arg(self.image.key());
        command.arg("-o").arg(format!("ControlPath={}", self.socket().display()));
        command
    }

    /// Runs a script there, and returns what it printed. Panics if it fails.
    pub fn run(&self, script: &str) -> String {
        let (status, out, error) = self.attempt(script);
        assert!(status.success(), "{script}: {status}\n{out}{error}");
        out
    }

    /// Runs a script there to its end, whatever that is; returns its status, standard output and standard error.
    pub fn attempt(&self, script: &str) -> (ExitStatus, String, String) {
        attempt(&mut self.command(script))
    }

    /// Copies a file to a place there.
    pub fn send(&self, file: &Path, place: &str) {
        run(self.program("scp").arg(file).arg(format!("root@{ADDRESS}:{place}")));
    }

    /// Copies a file from a place there.
    pub fn fetch(&self, place: &str, file: &Path) {
        run(self.program("scp").arg(format!("root@{ADDRESS}:{place}")).arg(file));
    }

    /// Writes a file there.
    pub fn write(&self, place: &str, text: &str) {
        self.run(&format!("cat >{place} <<'END OF FILE'\n{text}\nEND OF FILE"));
    }

    /// Has it boot again as an operator would, and waits until root can log in.
    pub fn reboot(&mut self) {
        let before = self.run("cat /proc/sys/kernel/random/boot_id");
        // The connection may end before the answer comes.
        let _ended = self.attempt("systemctl reboot");
        self.line = None;
        let _left_behind = fs::remove_file(self.socket());
        self.log_in(|boot| boot != before);
    }
}

/// What starts qemu in `home`, for a machine with so many interfaces.
fn qemu(image: &Image, home: &Namespace, number: u32, interfaces: usize) -> Command {
    let accelerator = std::env::var("RAVELIN_VM_ACCEL").unwrap_or_else(|_| "tcg,thread=multi".to_owned());
    let mut command = home.command("qemu-system-x86_64");
    command.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-machine",
        "q35",
    ]);
    command.args(["-cpu", "max", "-smp", "2", "-m", "1024", "-device", "virtio-rng-pci"]);
    command.args(["-accel", &accelerator]);
    command.arg("-kernel").arg(image.kernel()).arg("-initrd").arg(image.initrd());
    command.args(["-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0"]);
    let disk = image.disk();
    command.arg("-drive").arg(format!("if=virtio,format=raw,snapshot=on,file={}", disk.display()));
    for interface in 0..interfaces {
        let mac = format!("52:54:00:00:{number:02x}:{interface:02x}");
        command
            .arg("-netdev")
            .arg(format!("tap,id=n{interface},ifname=vm{interface},script=no,downscript=no"));
        command.arg("-device").arg(format!("virtio-net-pci,netdev=n{interface},mac={mac},romfile="));
    }
    command
}
