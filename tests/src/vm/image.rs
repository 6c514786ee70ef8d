//! The file system of virtual machines, made of Debian's packages. It is made once, and kept in `target/vm` under a name that follows
//! from all that it is made of.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{binary::root, process::run};

/// The release of Debian.
const RELEASE: &str = "bookworm";
/// Its kernel, what starts it, what reaches it, what the package of Ravelin depends on, and what tests run in it.
const PACKAGES: [&str; 14] = [
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "udev",
    "dbus",
    "openssh-server",
    "iproute2",
    "iputils-ping",
    "ethtool",
    "libelf1",
    "libpcap0.8",
    "zlib1g",
    "curl",
    "wireguard-tools",
];
const CUSTOMIZE: &str = include_str!("customize.sh");
/// Of the file system. What is not written takes no room.
const SIZE: &str = "2G";

/// What a virtual machine starts from.
#[derive(Debug)]
pub struct Image(PathBuf);

impl Image {
    /// The image, which is made if there is none yet.
    pub fn get() -> Self {
        let mut hasher = DefaultHasher::new();
        (RELEASE, PACKAGES, CUSTOMIZE, SIZE).hash(&mut hasher);
        let all = root().join("target/vm");
        let folder = all.join(format!("{:016x}", hasher.finish()));
        if !folder.exists() {
            // What is there was made otherwise, or only by half.
            match fs::remove_dir_all(&all) {
                Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", all.display()),
                _ => {}
            }
            let unfinished = all.join("unfinished");
            fs::create_dir_all(&unfinished).expect("target is writable");
            make(&unfinished);
            fs::rename(&unfinished, &folder).expect("target is writable");
        }
        Self(folder)
    }

    /// The root file system, ext4.
    pub fn disk(&self) -> PathBuf {
        self.0.join("disk")
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.0.join("kernel")
    }

    /// The kernel's first file system, with the drivers for the other one.
    pub fn initrd(&self) -> PathBuf {
        self.0.join("initrd")
    }

    /// The private key with which root may log in.
    pub fn key(&self) -> PathBuf {
        self.0.join("key")
    }
}

/// Makes all files of an image in an empty folder.
fn make(folder: &Path) {
    // Not `eprintln!`, which the test harness swallows: who waits shall know for what.
    let _ = writeln!(std::io::stderr(), "installing a virtual machine into target/vm, which takes minutes");
    let (key, tree) = (folder.join("key"), folder.join("tree"));
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f"]).arg(&key));
    // What it mounts in the tree goes with it, however it ends.
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
    ]);
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.arg(format!("--customize-hook={CUSTOMIZE}")).env("KEY", folder.join("key.pub"));
    run(command.arg(RELEASE).arg(&tree).args(sources()));
    for (link, file) in [("vmlinuz", "kernel"), ("initrd.img", "initrd")] {
        fs::copy(tree.join(link), folder.join(file)).expect("a kernel is installed");
    }
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-d"])
        .arg(&tree)
        .arg(folder.join("disk"))
        .arg(SIZE));
    fs::remove_dir_all(&tree).expect("it is root's own");
}

/// Where this machine gets the packages of the release from, as lines of `sources.list`. None if it is another Debian, or none: then
/// mmdebstrap knows.
fn sources() -> Vec<String> {
    let format = "$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)";
    let known =
        run(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]));
    let start = format!("Debian {RELEASE}");
    let lines = known.lines().filter(|line| line.starts_with(&start));
    lines.filter_map(|line| line.find("deb ").map(|place| line[place..].to_owned())).collect()
}
