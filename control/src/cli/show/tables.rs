//! One table for each thing that can be shown.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Row, Table, TableStyle, Width,
};

use super::{Before, number};
use crate::{
    api::view::{Counter, Drop, Flow, Flows, Interface, Link, LinkState, Status, Worker},
    cli::trace::end,
    supervisor::crew::describe_cores,
};

pub(super) fn status(now: &Status, before: Before<'_, Status>) -> String {
    let mut table = table(&[]);
    let mut row = |name: &str, value: String| {
        table.add_row(vec![name.to_owned(), value]);
    };
    row("version", now.version.clone());
    row("process", now.pid.to_string());
    row("running for", format!("{} (since {})", number::duration(now.uptime_seconds), now.started));
    row("configuration", format!("{}, generation {}", now.config, now.generation));
    let reload = &now.last_reload;
    let outcome = if reload.succeeded { "" } else { "FAILED: " };
    row("last reload", format!("{}: {outcome}{}", reload.time, reload.message));
    for interface in &now.interfaces {
        let why = interface.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let state = not_up(interface.state).map(|state| format!("{state}, ")).unwrap_or_default();
        row("interface", format!("{}: {state}{}{why}", interface.name, interface.mode));
    }
    let stalled = match now.stalled.as_slice() {
        [] => "all make progress".to_owned(),
        some => format!("NO PROGRESS: {}", list(some)),
    };
    row("workers", format!("{}, {stalled}", now.workers));
    row("flows", format!("{} of {}", now.flows, now.flow_capacity));
    row(
        "flow records",
        match &now.records {
            None => "off".to_owned(),
            Some(target) => {
                let failing = if now.records_failing { ", WRITING FAILS" } else { "" };
                format!("{target}: {} written, {} lost{failing}", now.records_written, now.records_lost)
            }
        },
    );
    let rate = |get: fn(&Status) -> u64| match before {
        Some((before, seconds)) => {
            format!("{} ({})", get(now), number::rate(get(now), get(before), seconds, ""))
        }
        None => get(now).to_string(),
    };
    row("received", rate(|status| status.received_packets));
    row("forwarded", rate(|status| status.forwarded_packets));
    row("dropped", rate(|status| status.dropped_packets));
    fit(table)
}

pub(super) fn interfaces(now: &[Interface], before: Before<'_, Vec<Interface>>) -> String {
    let mut text = fit(interface_table(now, before));
    let counted = statistics_table(now);
    if !counted.is_empty() {
        text.push_str("\n\n");
        text.push_str(&fit(counted));
    }
    text
}

/// The interfaces before they are fitted to the terminal.
pub(super) fn interface_table(now: &[Interface], before: Before<'_, Vec<Interface>>) -> Table {
    let mut table = table(&["interface", "how", "received", "sent", "dropped"]);
    for (index, interface) in now.iter().enumerate() {
        let earlier = before.and_then(|(all, seconds)| Some((all.get(index)?, seconds)));
        let count = |packets: fn(&Interface) -> u64| match earlier {
            Some((earlier, seconds)) => number::rate(packets(interface), packets(earlier), seconds, "p"),
            None => packets(interface).to_string(),
        };
        let size = |bytes: fn(&Interface) -> u64| match earlier {
            Some((earlier, seconds)) => number::rate(bytes(interface), bytes(earlier), seconds, "B"),
            None => number::bytes(bytes(interface)),
        };
        let Link { driver, mode, state, queues, mtu, zero_copy, receive_threads, why: _, statistics: _ } =
            &interface.link;
        let copy = if *zero_copy { "zero-copy" } else { "copy" };
        let state = not_up(*state).map(|state| format!("\n{state}")).unwrap_or_default();
        let threads = receive_threads.as_ref().map(|threads| describe_cores(&threads.cores));
        let threads = threads.map(|cores| format!("\nreceives on {cores}")).unwrap_or_default();
        table.add_row(Row::from(vec![
            Cell::new(format!("{}\n{}", interface.name, interface.role)),
            Cell::new(format!("{driver} {mode}, {copy}\nmtu {mtu}, queues {queues}{threads}{state}")),
            right(format!("{}\n{}", count(|it| it.received_packets), size(|it| it.received_bytes))),
            right(format!("{}\n{}", count(|it| it.sent_packets), size(|it| it.sent_bytes))),
            right(interface.dropped_packets.to_string()),
        ]));
    }
    table
}

/// What the kernel counted, before it is fitted to the terminal.
pub(super) fn statistics_table(now: &[Interface]) -> Table {
    let mut table = table(&["the kernel counted", "", "meaning"]);
    for interface in now {
        for statistic in interface.link.statistics.iter().filter(|statistic| statistic.value > 0) {
            table.add_row(Row::from(vec![
                Cell::new(format!("{}\n{}", interface.name, statistic.name)),
                right(statistic.value.to_string()),
                Cell::new(&statistic.help),
            ]));
        }
    }
    table
}

/// What is worth a word: the state of an interface that does not do its work.
fn not_up(state: LinkState) -> Option<String> {
    (state != LinkState::Up).then(|| state.name().to_uppercase())
}

pub(super) fn workers(now: &[Worker], before: Before<'_, Vec<Worker>>) -> String {
    fit(worker_table(now, before))
}

/// The workers before they are fitted to the terminal. Numbers stand below one another as their names do.
pub(super) fn worker_table(now: &[Worker], before: Before<'_, Vec<Worker>>) -> Table {
    let mut table = table(&[
        "worker, core",
        "state",
        "received, handed in, flows",
        "forwarded, handed off, dropped",
        "batches, idle, sleeps",
    ]);
    for (index, worker) in now.iter().enumerate() {
        let earlier = before.and_then(|(all, seconds)| Some((all.get(index)?, seconds)));
        let count = |get: fn(&Worker) -> u64| match earlier {
            Some((earlier, seconds)) => number::rate(get(worker), get(earlier), seconds, ""),
            None => get(worker).to_string(),
        };
        table.add_row(Row::from(vec![
            right(format!("{}\n{}", worker.id, worker.core)),
            Cell::new(if worker.stalled { "STALLED" } else { "runs" }),
            right(format!(
                "{}\n{}\n{}",
                count(|worker| worker.received_packets),
                count(|worker| worker.handed_in_packets),
                worker.flows
            )),
            right(format!(
                "{}\n{}\n{}",
                count(|worker| worker.forwarded_packets),
                count(|worker| worker.handed_off_packets),
                count(|worker| worker.dropped_packets)
            )),
            right(format!(
                "{}\n{}\n{}",
                count(|worker| worker.batches),
                count(|worker| worker.idle_turns),
                count(|worker| worker.sleeps)
            )),
        ]));
    }
    table
}

pub(super) fn counters(
    now: &[Counter],
    before: Before<'_, Vec<Counter>>,
    explain: bool,
    all: bool,
) -> String {
    let mut header = vec!["counter", "total"];
    header.extend(before.is_some().then_some("rate"));
    header.push("unit");
    header.extend(explain.then_some("meaning"));
    let mut table = table(&header);
    for (index, counter) in now.iter().enumerate() {
        if counter.total == 0 && !all {
            continue;
        }
        let mut cells = vec![Cell::new(&counter.name), right(counter.total.to_string())];
        if let Some((before, seconds)) = before {
            let earlier = before.get(index).filter(|_| !counter.gauge);
            let rate = earlier.map(|earlier| number::rate(counter.total, earlier.total, seconds, ""));
            cells.push(right(rate.unwrap_or_default()));
        }
        cells.push(Cell::new(&counter.unit));
        cells.extend(explain.then(|| Cell::new(&counter.help)));
        table.add_row(Row::from(cells));
    }
    if table.is_empty() { "nothing was counted yet".to_owned() } else { fit(table) }
}

pub(super) fn drops(now: &[Drop], before: Before<'_, Vec<Drop>>, all: bool) -> String {
    let mut header = vec!["reason", "step", "packets"];
    header.extend(before.is_some().then_some("rate"));
    header.push("meaning");
    let mut table = table(&header);
    for (index, drop) in now.iter().enumerate() {
        if drop.packets == 0 && !all {
            continue;
        }
        let mut cells =
            vec![Cell::new(&drop.reason), Cell::new(&drop.group), right(drop.packets.to_string())];
        if let Some((before, seconds)) = before {
            let earlier = before.get(index).map_or(drop.packets, |earlier| earlier.packets);
            cells.push(right(number::rate(drop.packets, earlier, seconds, "")));
        }
        cells.push(Cell::new(&drop.help));
        table.add_row(Row::from(cells));
    }
    if table.is_empty() { "nothing was dropped".to_owned() } else { fit(table) }
}

/// The flows before they are fitted to the terminal.
pub(super) fn flow_table(now: &Flows) -> Table {
    let mut table = table(&["proto", "from, to", "in > out", "verdict", "packets / bytes", "age, rtt"]);
    for flow in &now.flows {
        table.add_row(Row::from(vec![
            Cell::new(format!("{}\n{}", flow.proto, flow.tcp.as_ref().unwrap_or(&flow.state))),
            Cell::new(ends(flow)),
            Cell::new(path(flow)),
            Cell::new(verdict(flow)),
            right(traffic(flow)),
            right(format!("{:.1}s\n{}", flow.age_seconds, rtt(flow))),
        ]));
    }
    table
}

pub(super) fn flows(now: &Flows) -> String {
    let table = flow_table(now);
    let mut text = if now.flows.is_empty() { "no flow matches".to_owned() } else { fit(table) };
    let shown = now.flows.len();
    text.push_str(&format!("\n\n{shown} shown, {} match, {} in all", now.matching, now.seen));
    if (shown as u64) < now.matching {
        text.push_str("; --limit shows more");
    }
    if !now.missing.is_empty() {
        text.push_str(&format!("; no answer from worker {}", list(&now.missing)));
    }
    text
}

fn path(flow: &Flow) -> String {
    let vlans: String = flow.vlan.iter().map(|vlan| format!("\nvlan {vlan}")).collect();
    format!("{} > {}{vlans}", flow.port_in, flow.port_out)
}

fn verdict(flow: &Flow) -> String {
    let decision = &flow.decision;
    match (decision.decider(), &decision.drop_reason) {
        (Some(decider), _) => format!("{} by {decider}", decision.verdict),
        (None, Some(reason)) => format!("{}: {reason}", decision.verdict),
        (None, None) => decision.verdict.clone(),
    }
}

/// Both ends, one below the other. ICMP has an identifier for both instead of ports.
pub(super) fn ends(flow: &Flow) -> String {
    let id = flow.icmp_id.map(|id| format!("\nid {id}")).unwrap_or_default();
    let known =
        |known: &Option<String>| known.as_ref().map(|known| format!("\n as {known}")).unwrap_or_default();
    let (source, destination) = (end(&flow.src, flow.src_port), end(&flow.dst, flow.dst_port));
    format!("{source}{}\n{destination}{}{id}", known(&flow.nat_src), known(&flow.nat_dst))
}

pub(super) fn traffic(flow: &Flow) -> String {
    let [there, back] = flow.packets;
    let [bytes_there, bytes_back] = flow.bytes.map(number::bytes);
    format!("{there} / {bytes_there} >\n{back} / {bytes_back} <")
}

/// The smoothed time, else that of the handshake.
fn rtt(flow: &Flow) -> String {
    flow.srtt_us.or(flow.rtt_us).map(number::milliseconds).unwrap_or_default()
}

/// A line under the header, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table that fits the terminal; without one, each row is one line.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    table
}

/// The table as text. Numbers, addresses and words are never broken: where there is no room for a table, each row becomes a block.
pub(super) fn fit(mut table: Table) -> String {
    let words = |text: &str| text.split_whitespace().map(str::len).max().unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::len).max().unwrap_or_default();
    let names: Vec<String> = table.header().into_iter().flat_map(Row::cell_iter).map(Cell::content).collect();
    let mut total = 0;
    let mut widths = Vec::new();
    for index in 0..table.column_count() {
        let numeric = |name: &String| !WRAPPED.contains(&name.as_str());
        let keep = names.get(index).is_some_and(numeric);
        let least = |text: String| if keep { lines(&text) } else { words(&text) };
        let cells = table.column_cells_iter(index).flatten().map(Cell::content);
        let width =
            cells.map(least).chain(names.get(index).map(|name| words(name))).max().unwrap_or_default();
        // A space on either side, and one between columns.
        widths.push(width + 2);
        total += width + 3;
    }
    if !names.is_empty() && table.width().is_some_and(|room| usize::from(room) < total) {
        return blocks(&table, &names);
    }
    for (width, column) in widths.into_iter().zip(table.column_iter_mut()) {
        let width = Width::Fixed(u16::try_from(width).unwrap_or(u16::MAX));
        column.set_constraint(ColumnConstraint::LowerBoundary(width));
    }
    table.trim_fmt()
}

/// Columns of words, which may take several lines.
const WRAPPED: &[&str] = &["meaning", "verdict", "interface", "in > out", "how", "the kernel counted"];

/// A line for each cell, a blank line between rows.
fn blocks(table: &Table, names: &[String]) -> String {
    let margin = names.iter().map(String::len).max().unwrap_or_default();
    let block = |row: &Row| {
        let line = |(name, cell): (&String, &Cell)| {
            let text = cell.content().replace('\n', &format!("\n{:margin$}  ", ""));
            format!("{name:<margin$}  {text}\n")
        };
        names.iter().zip(row.cell_iter()).map(line).collect::<String>()
    };
    table.row_iter().map(block).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

pub(super) fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

pub(super) fn list(workers: &[u8]) -> String {
    workers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
