use serde_json::json;

use super::{Failure, print};

/// Prints the version, and whether this program can use interfaces.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

const AF_XDP: bool = cfg!(feature = "af-xdp");

pub(super) fn run(_args: &Args, json: bool) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        return print::json(&json!({ "version": version, "af_xdp": AF_XDP }));
    }
    let without = if AF_XDP { "" } else { ", without AF_XDP: replay only" };
    print::text(&format!("ravelin {version}{without}"))
}
