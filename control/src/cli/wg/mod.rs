//! `ravelin wg`: what wg(8) does, for the interfaces of the running process.
//!
//! Promises: what is printed for programs is what wg(8) prints, byte by byte, but for secrets: they are `(hidden)` wherever there
//! are any, `dump` included, since the process does not tell them. What changes peers (`words.rs`, `conf.rs`) does so as a whole or not at all, and
//! only until the next reload, which is said; another key for an interface (`rotate.rs`) is for good. Refuses: to change other files than that of the
//! key, and what only these can change. Read next: `show.rs`, `keys.rs`, `change.rs`.

mod change;
mod conf;
#[cfg(test)]
pub(super) mod fixture;
mod keys;
mod plain;
mod rotate;
mod secret;
mod set;
mod show;
mod showconf;
mod text;
mod words;

use super::Failure;

/// Makes keys for WireGuard, shows its interfaces and peers, and changes peers of the running process, as wg(8) does.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Show(show::Args),
    Showconf(showconf::Args),
    Set(set::Args),
    /// Adds the peers of a file to those of the running process, and changes those that are there, until the next `ravelin reload`.
    ///
    /// As for `syncconf`, but who is not in the file stays.
    Addconf(conf::Args),
    /// Has the running process have the peers of a file and no others, until the next `ravelin reload`.
    ///
    /// The same as `syncconf`: there is no reason for which sessions of peers should end that stay.
    Setconf(conf::Args),
    Syncconf(conf::Args),
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
        What::Showconf(args) => showconf::run(args, json),
        What::Set(args) => set::run(args, json),
        What::Addconf(args) => conf::run(args, false, json),
        What::Setconf(args) | What::Syncconf(args) => conf::run(args, true, json),
        What::Rotate(args) => rotate::run(args, json),
        What::Genkey => keys::private(json),
        What::Pubkey => keys::public(json),
        What::Genpsk => keys::preshared(json),
    }
}
