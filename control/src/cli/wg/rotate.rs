//! A new key pair for an interface, while the old one is still served.

mod files;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use super::{keys::Key, show};
use crate::{
    api::{
        client,
        view::{WireguardInterface, WireguardKeys, WireguardPrevious},
    },
    cli::{Failure, target},
};
use files::KeyFiles;

/// Makes a new key pair for an interface, and prints the public key, which peers have to be told.
///
/// The private key is written over the `private_key_file` of the interface, and the old one beside it, to FILE.previous. For
/// `rotation_grace` the process serves both: sessions go on, and who knows the one public key or the other can begin new ones. Then the old
/// key is no longer served.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// The interface.
    interface: String,
    /// Do so although a key before is still served: that one ends at once.
    #[arg(long)]
    force: bool,
}

/// What is told of it.
#[derive(Debug, Serialize)]
struct Rotated<'r> {
    interface: &'r str,
    public_key: &'r str,
    previous: Option<&'r WireguardPrevious>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let file = key_file(&ask(&socket, &args.interface)?)?;
    let files = KeyFiles::lock(&file)?;
    // Nobody changes them any more.
    let before = ask(&socket, &args.interface)?;
    if let Some(WireguardPrevious { until, .. }) = before.previous.as_ref().filter(|_| !args.force) {
        let name = &before.name;
        return Err(Failure::failed(format_args!(
            "`{name}` has a previous key already, which is served until {until}"
        ))
        .help(
            "wait until then, or say --force: the previous key ends at once, and the present one becomes it",
        ));
    }
    let key = Key::random().map_err(|error| Failure::failed(format_args!("no random numbers: {error}")))?;
    let key = key.clamped();
    files.replace(&before.public_key, &key)?;
    let asked = WireguardKeys { interface: before.name };
    let answer = client::send_json(&socket, "/wireguard/keys", &asked);
    let now: WireguardInterface =
        target::block_on(async { Ok(answer.await?) }).map_err(|failure: Failure| {
            failure.help(
                "the files are changed already: `ravelin reload`, or start it, and both keys are served",
            )
        })?;
    if now.public_key != key.public().text() {
        return Err(Failure::failed(format_args!(
            "{} was changed by somebody else at the same time",
            file.display()
        ))
        .help("see `ravelin wg show` for the key that is in force"));
    }
    told(&now, json)
}

fn told(now: &WireguardInterface, json: bool) -> Result<(), Failure> {
    let WireguardInterface { name, public_key, previous, .. } = now;
    if json {
        let rotated = Rotated { interface: name, public_key, previous: previous.as_ref() };
        return target::print_json(&rotated, false);
    }
    let previous = previous.as_ref().map(|WireguardPrevious { public_key, until }| {
        format!("\nprevious public key: {public_key} (until {until})")
    });
    target::print(&format!("public key: {public_key}{}", previous.unwrap_or_default()))
}

/// An interface of the running process.
fn ask(socket: &Path, name: &str) -> Result<WireguardInterface, Failure> {
    let all: Vec<WireguardInterface> =
        target::block_on(async { Ok(client::get(socket, "/wireguard").await?) })?;
    show::find(&all, name).cloned()
}

/// The file of an interface's private key.
fn key_file(interface: &WireguardInterface) -> Result<std::path::PathBuf, Failure> {
    interface.private_key_file.clone().ok_or_else(|| {
        let name = &interface.name;
        Failure::failed(format_args!("the key of `{name}` stands in a file of wg-quick or is a credential, which is not written here"))
            .help("write it to a file of its own and name that with `private_key_file`; or put a new key there yourself and `ravelin reload`, and peers have to know it at once")
    })
}
