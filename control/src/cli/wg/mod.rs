//! `ravelin wg`: what wg(8) does, for the interfaces of the running process.
//!
//! Promises: what is printed for programs is what wg(8) prints, byte by byte, but for secrets: they are `(hidden)` wherever there
//! are any, `dump` included, since the process does not tell them. Refuses: to change anything but the key of an interface
//! (`rotate.rs`); that is what the configuration is for. Read next: `show.rs`, `keys.rs`.

#[cfg(test)]
pub(super) mod fixture;
mod keys;
mod plain;
mod rotate;
mod show;
mod text;

use super::Failure;

/// Makes keys for WireGuard, and shows its interfaces and peers, as wg(8) does.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Show(show::Args),
    Rotate(rotate::Args),
    /// Makes a private key.
    ///
    /// Into a file that nobody else can read: `(umask 077; ravelin wg genkey > key)`.
    Genkey,
    /// Says what the public key of a private key is, which it reads from standard input.
    Pubkey,
    /// Makes a preshared key.
    Genpsk,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    match &args.what {
        What::Show(args) => show::run(args, json),
        What::Rotate(args) => rotate::run(args, json),
        What::Genkey => keys::private(json),
        What::Pubkey => keys::public(json),
        What::Genpsk => keys::preshared(json),
    }
}
