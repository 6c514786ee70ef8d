//! Memory: what the configuration sets aside at start, and what there is.

use ravelin_config::{Config, InterfaceMode};
use ravelin_dataplane::flow::FlowTable;

use super::{Finding, system, system::bytes};
use crate::supervisor::ports::PacketMemory;

pub(super) struct Facts {
    /// What is needed, and for what.
    pub needs: Vec<(&'static str, u64)>,
    /// Bytes that can be had without swapping.
    pub available: Option<u64>,
    /// Bytes that are set aside as huge pages and that nobody uses.
    pub huge_pages: u64,
    /// Whether the process runs, and has all that it needs.
    pub is_running: bool,
}

impl Facts {
    pub(super) fn read(
        config: &Config,
        workers: usize,
        packets: Option<PacketMemory>,
        is_running: bool,
    ) -> Self {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let table = system::text("/proc/meminfo").unwrap_or_default();
        let pages = system::number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").unwrap_or(0);
        let routes = config.interfaces.iter().any(|interface| interface.mode == InterfaceMode::Route);
        let per_flow = FlowTable::BYTES_PER_FLOW + if routes { FlowTable::ROUTING_BYTES_PER_FLOW } else { 0 };
        Self {
            needs: vec![
                ("packets", packets.map_or(0, |packets| packets.bytes)),
                ("flows", count(config.flow.capacity).saturating_mul(per_flow)),
                ("capture buffers", config.capture.buffer.saturating_mul(count(workers))),
                ("capture ring", config.capture.ring.memory),
            ],
            available: system::kilobytes(&table, "MemAvailable"),
            huge_pages: pages.saturating_mul(2 << 20),
            is_running,
        }
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let parts: Vec<String> = facts
        .needs
        .iter()
        .filter(|(_, need)| *need > 0)
        .map(|(what, need)| format!("{} for {what}", bytes(*need)))
        .collect();
    let (sum, parts) =
        (facts.needs.iter().fold(0, |sum: u64, (_, need)| sum.saturating_add(*need)), parts.join(", "));
    let mut findings = Vec::new();
    match facts.available {
        _ if facts.is_running => {
            findings
                .push(Finding::ok("memory", format_args!("ravelin runs, and has what it needs: {parts}")));
        }
        Some(available) if available < sum => findings.push(Finding::problem(
            "memory",
            format_args!("{} of memory are free", bytes(available)),
            format_args!("{}: {parts}", bytes(sum)),
            "[flow] capacity, [io] ring_size and [capture] buffer, or more memory",
        )),
        Some(available) => findings.push(Finding::ok(
            "memory",
            format_args!("{} of memory are free, {} are needed: {parts}", bytes(available), bytes(sum)),
        )),
        None => {}
    }
    if facts.huge_pages > 0 {
        findings.push(Finding::advice(
            "huge-pages",
            format_args!("{} are set aside as huge pages that nobody uses", bytes(facts.huge_pages)),
            "none, unless they are for another program: Ravelin does not use them",
            "sysctl -w vm.nr_hugepages=0",
        ));
    }
    findings
}
