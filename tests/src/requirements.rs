//! What a test needs of the machine, and what happens when it is not there: the test fails and says what is missing,
//! unless `RAVELIN_ALLOW_SKIP=1` says that tests may be skipped here. In CI nothing may be skipped.

use std::{io::Write, path::PathBuf};

use crate::binary;

/// Whether a test that needs root and `programs` may run. Panics with all that is missing if it may not, or, when skipping
/// is allowed, says so on standard error and returns `false`.
pub fn met(programs: &[&str]) -> bool {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root (network namespaces and AF_XDP sockets need it)".to_owned());
    }
    for program in programs.iter().filter(|program| find(program).is_none()) {
        missing.push(format!("the program `{program}` (`./x setup` installs it)"));
    }
    if !has_af_xdp() {
        missing.push("a kernel with AF_XDP (CONFIG_XDP_SOCKETS)".to_owned());
    }
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    let allowed = std::env::var("RAVELIN_ALLOW_SKIP").is_ok_and(|value| value == "1");
    assert!(allowed, "this test cannot run here; missing: {missing}. RAVELIN_ALLOW_SKIP=1 skips such tests");
    // Not `eprintln!`, which the test harness swallows when a test passes.
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: missing {missing}");
    false
}

/// Where `program` is: on the path, to which the directories of system programs belong as root, or among those that cargo has installed
/// for tests.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let system = path.split(':').chain(["/usr/sbin", "/sbin"]).map(PathBuf::from);
    let folders = system.chain([binary::root().join("target/tools/bin")]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Whether the kernel makes AF_XDP sockets.
fn has_af_xdp() -> bool {
    let kind = rustix::net::AddressFamily::from_raw(44);
    let made = rustix::net::socket(kind, rustix::net::SocketType::RAW, None);
    !matches!(made, Err(rustix::io::Errno::AFNOSUPPORT))
}
