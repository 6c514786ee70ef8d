//! Compiles the comparison's XDP programs, as `dataplane/build.rs` does the appliance's.

use std::{env, error::Error, path::PathBuf, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=bpf/bench.bpf.c");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let status = Command::new(&clang)
        .args(["-g", "-O2", "-target", "bpf", "-Wall", "-Werror", "-I"])
        .arg(env::var("DEP_BPF_INCLUDE")?)
        .arg("-I")
        .arg(format!("/usr/include/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?))
        .args(["-c", "bpf/bench.bpf.c", "-o"])
        .arg(PathBuf::from(env::var("OUT_DIR")?).join("bench.bpf.o"))
        .status()
        .map_err(|error| format!("`{clang}` cannot be started ({error}): install clang"))?;
    if status.success() { Ok(()) } else { Err("clang could not compile bpf/bench.bpf.c".into()) }
}
