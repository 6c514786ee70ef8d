//! `ravelin wg`: what wg(8) does.

mod keys;

use super::Failure;

/// Makes keys for WireGuard, as wg(8) does.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
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
        What::Genkey => keys::private(json),
        What::Pubkey => keys::public(json),
        What::Genpsk => keys::preshared(json),
    }
}
