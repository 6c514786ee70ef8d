//! The Debian package: what is in it, and that installing it touches no interface. The chroot that it is installed into is this
//! machine's own file system with a scratch layer over it.

use std::{fs, path::PathBuf, process::Command};

use ravelin_tests::{
    binary::{self, root},
    process::{attempt, run},
    topology::Lab,
};

/// Makes the package of the program that the other tests run, which is built already.
fn package() -> PathBuf {
    let made = run(Command::new(root().join("x")).args(["package", "e2e"]));
    let path = made.lines().rev().find(|line| line.ends_with(".deb")).expect("cargo-deb names what it made");
    PathBuf::from(path)
}

#[test]
fn the_package_has_what_an_operator_expects_and_installs_without_a_trace_on_interfaces() {
    let Some(lab) = Lab::new(&["dpkg-deb", "lintian", "systemd-analyze", "unshare"]) else { return };
    let package = package();
    let contents = run(Command::new("dpkg-deb").arg("-c").arg(&package));
    for path in [
        "./usr/bin/ravelin",
        "./usr/lib/systemd/system/ravelin.service",
        "./usr/share/man/man1/ravelin.1.gz",
        "./usr/share/man/man1/ravelin-doctor.1.gz",
        "./usr/share/bash-completion/completions/ravelin",
        "./usr/share/zsh/vendor-completions/_ravelin",
        "./usr/share/fish/vendor_completions.d/ravelin.fish",
        "./usr/share/doc/ravelin/copyright",
    ] {
        assert!(contents.lines().any(|line| line.ends_with(&format!(" {path}"))), "{path} in:\n{contents}");
    }
    // Feeds may have secrets.
    assert!(
        contents
            .lines()
            .any(|line| line.starts_with("-rw-r----- ") && line.ends_with(" ./etc/ravelin/ravelin.toml"))
    );
    let control = run(Command::new("dpkg-deb").arg("-f").arg(&package));
    for library in ["libc6", "libelf1", "libpcap0.8", "zlib1g"] {
        assert!(
            control.lines().any(|line| line.starts_with("Depends:") && line.contains(library)),
            "{control}"
        );
    }
    // A changelog is for those who publish packages, and so is the address of a maintainer.
    let known = "no-changelog,bogus-mail-host,copyright-without-copyright-notice,non-standard-file-perm";
    let lintian = run(Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning", "--suppress-tags", known])
        .arg(&package));
    assert!(!lintian.contains("ravelin:"), "{lintian}");

    // Installed, run and removed in a namespace of its own, in which somebody left a program of Ravelin's behind.
    let ravelin = lab.ravelin("");
    ravelin.kill();
    fs::copy(&package, lab.folder().join("ravelin.deb")).expect("the folder is writable");
    fs::write(lab.folder().join("install.sh"), include_str!("install.sh")).expect("the folder is writable");
    let mut command = lab.appliance.command("unshare");
    command.args(["--mount", "sh", "-eu", "install.sh"]).current_dir(lab.folder());
    let (status, out, err) = attempt(&mut command);
    assert!(status.success(), "{out}\n{err}");
    let line = |start: &str| {
        let found = out.lines().find_map(|line| line.strip_prefix(start));
        found.unwrap_or_else(|| panic!("no {start} in:\n{out}\n{err}")).trim().to_owned()
    };
    assert_eq!(line("before:"), line("installed:"), "installing changes nothing about interfaces");
    assert_ne!(line("before:"), line("removed:"), "removing takes what was left behind along");
    assert!(!line("removed:").contains("xdp"), "{out}");
    assert_eq!(line("enabled:"), "disabled");
    assert_eq!(line("started as it is:"), "2");
    assert_eq!(line("purged:"), "nothing is left");
}

/// What is commented out in the configuration that is installed works when it is not.
#[test]
fn each_part_of_the_installed_configuration_works() {
    let text = fs::read_to_string(root().join("control/debian/ravelin.toml")).expect("it is there");
    let path = std::env::temp_dir().join(format!("ravelin-test-{}.toml", std::process::id()));
    let mut parts = 0;
    for part in text.split("\n\n").skip(1) {
        let uncommented: Vec<&str> =
            part.lines().filter(|line| !line.starts_with("# ")).map(|line| &line[1..]).collect();
        fs::write(&path, uncommented.join("\n")).expect("there is room for files");
        run(Command::new(binary::ravelin()).arg("check").arg(&path));
        parts += 1;
    }
    assert_eq!(parts, 4);
    let _ = fs::remove_file(&path);
}
