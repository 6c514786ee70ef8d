use std::io::IsTerminal;

use clap::ValueEnum;
use jiff::Timestamp;

use super::{plain, text};
use crate::{
    api::{client, view::WireguardInterface},
    cli::{Failure, target},
};

/// Shows interfaces and peers in the words of wg(8): all, or one, or one thing of it in the form that wg(8) has for programs.
///
/// Beyond what wg(8) says there are the `previous public key` of an interface while that is still served, a peer's `name`, its `session` with the round trip of the handshake, and what was `dropped`, if
/// anything was. There are no colours and no firewall marks. Private and preshared keys are `(hidden)` everywhere, also in `dump`: the
/// process tells them to nobody. With `--json`, everything that is known.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// The interface; `all` for every one, each line of a FIELD beginning with its name; `interfaces` for their names.
    interface: Option<String>,
    /// One thing of it, without words around it.
    field: Option<Field>,
}

/// What wg(8) has a form for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Field {
    /// The interface's public key.
    PublicKey,
    /// Whether the interface has a private key.
    PrivateKey,
    /// The port at which peers reach the interface.
    ListenPort,
    /// Always `off`.
    Fwmark,
    /// The peers' public keys.
    Peers,
    /// Which peers have a preshared key.
    PresharedKeys,
    /// Where packets for peers are sent.
    Endpoints,
    /// What may be sent to peers and come from them.
    AllowedIps,
    /// When handshakes were completed, in seconds since 1970; 0 for never.
    LatestHandshakes,
    /// Bytes received from peers, and sent to them.
    Transfer,
    /// Seconds after which something is sent to peers whatever happens, or `off`.
    PersistentKeepalive,
    /// All of it, separated by tabs: a line for the interface, then one for each peer.
    Dump,
}

/// What is shown of which interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted<'a> {
    All,
    Names,
    One(&'a str),
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let wanted = match args.interface.as_deref() {
        None | Some("all") => Wanted::All,
        Some("interfaces") => Wanted::Names,
        Some(name) => Wanted::One(name),
    };
    if args.field.is_some() && (json || wanted == Wanted::Names) {
        return Err(Failure::usage(if json {
            "--json shows everything, so no FIELD may be named with it"
        } else {
            "`interfaces` has nothing but names"
        }));
    }
    let socket = args.target.socket(json)?;
    let now: Vec<WireguardInterface> =
        target::block_on(async { Ok(client::get(&socket, "/wireguard").await?) })?;
    let known: Vec<&str> = now.iter().map(|interface| interface.name.as_str()).collect();
    if let Wanted::One(name) = wanted {
        let interface = find(&now, name)?;
        return match args.field {
            _ if json => target::print_json(interface, false),
            None => target::print(&text::interface(interface, seconds())),
            Some(field) => print_lines(&plain::lines(interface, field, false)),
        };
    }
    match (wanted, args.field) {
        (Wanted::Names, _) if json => target::print_json(&known, false),
        (Wanted::Names, _) => print_lines(&[known.join(" ")]),
        _ if json => target::print_json(&now, false),
        (_, Some(field)) => {
            let lines: Vec<_> =
                now.iter().flat_map(|interface| plain::lines(interface, field, true)).collect();
            print_lines(&lines)
        }
        (_, None) => {
            if now.is_empty() && std::io::stderr().is_terminal() {
                eprintln!("ravelin: there is no WireGuard interface");
            }
            let texts: Vec<_> = now.iter().map(|interface| text::interface(interface, seconds())).collect();
            print_lines(&[texts.join("\n\n")])
        }
    }
}

/// Nothing is printed for nothing, as programs expect it.
fn print_lines(lines: &[String]) -> Result<(), Failure> {
    let text = lines.join("\n");
    if text.is_empty() { Ok(()) } else { target::print(&text) }
}

fn seconds() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// The interface of that name.
pub(super) fn find<'i>(all: &'i [WireguardInterface], name: &str) -> Result<&'i WireguardInterface, Failure> {
    all.iter().find(|interface| interface.name == name).ok_or_else(|| {
        let failure = Failure::failed(format_args!("there is no WireGuard interface `{name}`"));
        let known: Vec<_> = all.iter().map(|interface| interface.name.as_str()).collect();
        match known.as_slice() {
            [] => failure.help("there is none at all"),
            known => failure.help(format_args!("there are: {}", known.join(", "))),
        }
    })
}
