use serde_json::json;

use super::{Failure, target};

/// Prints the version, and whether this program can use interfaces.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

const AF_XDP: bool = cfg!(feature = "af-xdp");

pub(super) fn run(_args: &Args, json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        return target::print_json(&json!({ "version": version, "af_xdp": AF_XDP }), false);
    }
    let without = if AF_XDP { "" } else { ", without AF_XDP: replay only" };
    target::print(&format!("ravelin {version}{without}"))
}
