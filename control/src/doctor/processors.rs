//! The cores of the workers, and the clock that they read once for each batch.

use super::{Finding, system};
use crate::supervisor::crew::{describe_cores, spare_cores};

/// Clocks that are read without a system call (`vdso_clock_mode` in the kernel's `drivers/clocksource` and `arch`).
const FAST_CLOCKS: [&str; 5] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "riscv_clocksource"];
const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

pub(super) struct Facts {
    /// The cores that workers run on.
    pub workers: Vec<usize>,
    /// The cores that this process may use.
    pub allowed: Vec<usize>,
    /// The cores that are switched on.
    pub online: Vec<usize>,
    /// The cores that nothing is scheduled on unless it asks for them.
    pub isolated: Vec<usize>,
    /// How the frequency of a worker's core is chosen, where the machine lets Linux choose it.
    pub governors: Vec<(usize, String)>,
    /// The clock.
    pub clock: Option<String>,
}

impl Facts {
    pub(super) fn read(workers: Vec<usize>, allowed: Vec<usize>) -> Self {
        let cores = |file: &str| {
            system::list(&system::text(&format!("/sys/devices/system/cpu/{file}")).unwrap_or_default())
        };
        let governor = |core: &usize| {
            let path = governor_file(*core);
            Some((*core, system::text(&path)?))
        };
        Self {
            governors: workers.iter().filter_map(governor).collect(),
            online: cores("online"),
            isolated: cores("isolated"),
            clock: system::text(CLOCK),
            workers,
            allowed,
        }
    }
}

fn governor_file(core: usize) -> String {
    format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor")
}

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Facts { workers, allowed, online, isolated, governors, clock } = facts;
    let mut findings = Vec::new();
    // A process may ask for an isolated core although it is not started on one.
    let is_usable =
        |core: &usize| online.contains(core) && (allowed.contains(core) || isolated.contains(core));
    let unusable: Vec<usize> = workers.iter().copied().filter(|core| !is_usable(core)).collect();
    findings.push(if unusable.is_empty() {
        Finding::ok("cores", format_args!("workers on {}", describe_cores(workers)))
    } else {
        Finding::problem(
            "cores",
            format_args!(
                "workers are to run on {}, which this process may not use",
                describe_cores(&unusable)
            ),
            format_args!("cores among {}", describe_cores(allowed)),
            "[workers] cores",
        )
    });
    findings.push(if spare_cores(workers, allowed).is_empty() {
        Finding::advice(
            "spare-core",
            "every core has a worker",
            "one without: the control thread, the kernel and everything else share it",
            "leave a core out of [workers] cores, or give the machine one more",
        )
    } else {
        let spare = spare_cores(workers, allowed);
        Finding::ok("spare-core", format_args!("{} for everything but workers", describe_cores(&spare)))
    });
    let shared: Vec<usize> = workers.iter().copied().filter(|core| !isolated.contains(core)).collect();
    findings.push(if shared.is_empty() {
        Finding::ok("isolated", "nothing else is scheduled on workers' cores")
    } else {
        let list: Vec<_> = workers.iter().map(ToString::to_string).collect();
        let list = list.join(",");
        Finding::advice(
            "isolated",
            format_args!("whatever else runs here may run on {}, too", describe_cores(&shared)),
            "workers' cores that nothing else is scheduled on; a machine that does little else is well without",
            format_args!("isolcpus={list} on the kernel's command line, and cores = [{list}] in [workers]"),
        )
    });
    for (core, governor) in governors {
        findings.push(if governor == "performance" {
            Finding::ok("governor", format_args!("core {core} always runs at its full frequency"))
        } else {
            Finding::advice(
                "governor",
                format_args!("the frequency of core {core} follows the governor `{governor}`"),
                "`performance`: a worker that sleeps between packets is slow to wake at a low frequency",
                format_args!("echo performance > {}", governor_file(*core)),
            )
        });
    }
    findings.extend(clock.as_ref().map(|clock| {
        if FAST_CLOCKS.contains(&clock.as_str()) {
            Finding::ok("clock", format_args!("the clock is {clock}, read without a system call"))
        } else {
            Finding::advice(
                "clock",
                format_args!("the clock is {clock}, so that each batch costs a system call"),
                format_args!("one of {}", FAST_CLOCKS.join(", ")),
                format_args!("echo tsc > {CLOCK}, if available_clocksource beside it lists that"),
            )
        }
    }));
    findings
}
