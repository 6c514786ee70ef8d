use std::fmt::Write;

use ravelin_dataplane::{
    counters::{COUNTERS, CounterKind},
    verdict::DropReason,
};

use super::{metric, metrics::FAMILIES};

/// The page `docs/counters.md`, generated from the declarations of counters and drop reasons.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Worker counters\n\nLabel: `worker`.\n\n| counter | metric | kind | unit | meaning |\n|---|---|---|---|---|\n");
    for info in COUNTERS {
        let kind = kind(info.kind);
        line(&mut page, &[&code(info.name), &code(&metric(info)), kind, info.unit, info.help]);
    }
    page.push_str("\n## Drop reasons\n\nEvery packet that does not leave has exactly one. Metric: `ravelin_worker_dropped_packets_total`, labels `worker` and `reason`.\nWhat the kernel drops in the place of workers is counted as received and dropped by a worker that is called `kernel`.\n\n| reason | step | meaning |\n|---|---|---|\n");
    for reason in DropReason::ALL {
        line(&mut page, &[&code(reason.name()), reason.group().name(), reason.help()]);
    }
    page.push_str("\n## Other metrics\n\nInterfaces on AF_XDP also have what the kernel counts for them: `ravelin_interface_<name>_total`, with the names that\n`ravelin show interfaces` lists.\n\n| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for family in FAMILIES {
        line(&mut page, &[&code(family.name), kind(family.kind), family.labels, family.help]);
    }
    page
}

const INTRODUCTION: &str = "\
# Counters and metrics

Generated from the declarations in `dataplane/src/counters.rs`, `dataplane/src/verdict.rs` and `control/src/stats/metrics.rs` by
`cargo run -p ravelin-control --example counters`; do not edit.

`ravelin show counters` and `ravelin show drops` print the same numbers that `[metrics] listen` serves. All count from the
start of the process. For every worker: received + injected + handed_in = forwarded + local + handed_off + consumed +
the sum of all drops.
";

const fn kind(kind: CounterKind) -> &'static str {
    match kind {
        CounterKind::Counter => "counter",
        CounterKind::Gauge => "gauge",
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn line(page: &mut String, cells: &[&str]) {
    for cell in cells {
        // Writing to a string cannot fail.
        let _infallible = write!(page, "| {} ", cell.replace('|', "\\|"));
    }
    page.push_str("|\n");
}
