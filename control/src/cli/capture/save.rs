use std::{net::IpAddr, path::PathBuf, time::Duration};

use crate::{
    api::{client, view::SaveQuery},
    cli::{Failure, target},
};

/// Writes what the ring still has: packets from before anyone asked.
///
/// The ring is there if `[capture.ring]` says how much it may hold. Packets have all that is asked for. A later fragment has no ports: of a flow
/// or port there are first fragments only, of a host all.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    target: target::Target,
    /// How far back: 30s, 5m, 2h. All that there is without it.
    #[arg(long, value_name = "TIME", value_parser = ravelin_config::parse_duration)]
    last: Option<Duration>,
    /// Only packets from or to this address.
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Only packets of this protocol: tcp, udp, icmp, 47.
    #[arg(long, value_name = "PROTOCOL")]
    protocol: Option<String>,
    /// Only packets from or to this port of TCP, UDP or SCTP.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Only packets of this flow, both ways: 10.0.0.1:1234-10.0.0.2:443/tcp.
    #[arg(long, value_name = "FLOW")]
    flow: Option<String>,
    /// Only packets of the flow with this Community ID, as flow records and other tools name it.
    #[arg(long, value_name = "ID")]
    community_id: Option<String>,
    /// Only what tcpdump would select so.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Where to write it, as pcapng; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let socket = args.target.socket(true)?;
    let query = SaveQuery {
        last: args.last.map(|last| last.as_secs()),
        host: args.host,
        protocol: args.protocol.clone(),
        port: args.port,
        flow: args.flow.clone(),
        community_id: args.community_id.clone(),
        filter: args.filter.clone(),
    };
    target::block_on(async {
        let answer = client::download_json(&socket, "/captures/save", &query).await?;
        // Not before it is clear that there is something to write.
        let mut out = target::output(&args.output)?;
        Ok(answer.write(&mut out).await?)
    })
}
