//! Compiles `bpf/ravelin.bpf.c` for the `af-xdp` feature; without the feature it does nothing and needs nothing.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = "bpf/ravelin.bpf.c";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    if env::var_os("CARGO_FEATURE_AF_XDP").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile(&[], &out.join("ravelin.bpf.o"))?;
    compile(&["-DRAVELIN_VLAN_TAG"], &out.join("ravelin_tag.bpf.o"))
}

fn compile(defines: &[&str], object: &Path) -> Result<(), Box<dyn Error>> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    // The headers of the libbpf that is linked: libbpf-sys names their directory to direct dependants.
    let libbpf = env::var("DEP_BPF_INCLUDE")?;
    // `asm/types.h` is in the directory of the machine's architecture, which clang does not search for the target bpf.
    let multiarch = format!("/usr/include/{}-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);

    let mut command = Command::new(&clang);
    command.args([
        "-g", "-O2", "-target", "bpf", "-Wall", "-Wextra", "-Werror", "-I", &libbpf, "-I", &multiarch,
    ]);
    command.args(defines).args(["-c", SOURCE, "-o"]).arg(object);
    let status = command.status().map_err(|error| {
        format!("`{clang}` cannot be started ({error}): install clang, or build without `af-xdp`")
    })?;
    if !status.success() {
        return Err(format!("{clang} could not compile {SOURCE}").into());
    }
    Ok(())
}
