use std::{fmt::Write, time::Duration};

use super::{Failure, target};
use crate::api::{
    client,
    query::TraceQuery,
    view::{TraceEnd, TraceLine, TracedPacket, decider},
};

/// Shows the next packets, the steps that they passed and why they were dropped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    query: TraceQuery,
    /// End after so many seconds, even if fewer packets came.
    #[arg(long, short, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    wait: Option<u64>,
    #[command(flatten)]
    target: target::Target,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let socket = args.target.socket(json)?;
    let request = format!("/trace?{}", args.query.to_query());
    let (mut packets, mut complete) = (0_u64, false);
    let wait = args.wait.map_or(Duration::MAX, Duration::from_secs);
    let outcome = target::block_on(async {
        let show = |line: TraceLine| {
            match &line {
                TraceLine::Packet(_) => packets += 1,
                TraceLine::End(_) => complete = true,
            }
            if json { target::print_json(&line, true) } else { print(&line) }
        };
        Ok(tokio::time::timeout(wait, client::follow(&socket, &request, show)).await)
    })?;
    match outcome {
        Ok(ended) => ended?,
        Err(_elapsed) if packets == 0 => {
            let seconds = wait.as_secs();
            return Err(Failure::failed(format_args!(
                "no packet that was asked for came within {seconds} s"
            ))
            .help("`ravelin show interfaces` tells whether any come"));
        }
        Err(_elapsed) => return Ok(()),
    }
    if complete {
        return Ok(());
    }
    Err(Failure::failed("the trace ended early: ravelin stopped").help("see in its log why"))
}

fn print(line: &TraceLine) -> Result<(), Failure> {
    match line {
        TraceLine::Packet(packet) => target::print(&describe(packet)),
        TraceLine::End(TraceEnd { shown, skipped, lost }) => {
            if *lost > 0 {
                eprintln!("ravelin: {lost} packets came too fast to be traced");
            }
            eprintln!("{shown} packets shown, {skipped} others passed by");
            Ok(())
        }
    }
}

/// A packet as a block: what it is, the steps, why it was dropped.
pub(super) fn describe(packet: &TracedPacket) -> String {
    let mut text =
        format!("{}  worker {}  in {}  {} bytes", packet.time, packet.worker, packet.port_in, packet.length);
    if packet.handed_in {
        text.push_str("  from another worker");
    }
    text.push('\n');
    text.push_str(&headline(packet));
    for step in &packet.steps {
        line(&mut text, format_args!("    {:<9} {}", step.step, step.verdict));
    }
    if let Some(drop) = &packet.drop {
        line(&mut text, format_args!("  dropped by {}: {}", drop.group, drop.reason));
        for entry in &packet.enforced {
            line(&mut text, format_args!("    policy    {entry}"));
        }
        line(&mut text, format_args!("    meaning   {}", drop.help));
    } else if let Some(decider) = decider(packet.policy.as_deref(), packet.rule) {
        line(&mut text, format_args!("  {} by {decider}", packet.verdict));
        for entry in &packet.enforced {
            line(&mut text, format_args!("    policy    {entry}"));
        }
    }
    text.push('\n');
    text
}

fn headline(packet: &TracedPacket) -> String {
    let mut text = String::from("  ");
    let proto = packet.proto.as_deref().unwrap_or(&packet.network);
    text.push_str(proto);
    if let (Some(src), Some(dst)) = (&packet.src, &packet.dst) {
        add(&mut text, format_args!(" {} > {}", end(src, packet.src_port), end(dst, packet.dst_port)));
        if let Some(id) = packet.icmp_id {
            add(&mut text, format_args!("  id {id}"));
        }
        add(&mut text, format_args!("  ttl {}", packet.ttl));
    }
    if let Some(flags) = &packet.flags {
        add(&mut text, format_args!("  flags {flags}"));
    }
    if let Some([kind, code]) = packet.icmp {
        add(&mut text, format_args!("  type {kind} code {code}"));
    }
    for vlan in &packet.vlan {
        add(&mut text, format_args!("  vlan {vlan}"));
    }
    if let Some(fragment) = &packet.fragment {
        add(&mut text, format_args!("  {fragment} fragment"));
    }
    text
}

/// An address, and the port if there is one.
pub(super) fn end(address: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_owned(),
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.push('\n');
    add(text, arguments);
}

fn add(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _infallible = text.write_fmt(arguments);
}
