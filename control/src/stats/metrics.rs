//! From counter blocks to metrics.

use std::sync::Arc;

use jiff::Timestamp;
use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder,
};
use metrics_exporter_prometheus::PrometheusBuilder;
use ravelin_config::types::IfName;
use ravelin_dataplane::{
    counters::{COUNTERS, CounterKind, WorkerCounters},
    verdict::{DropGroup, DropReason},
};

use super::metric;
use crate::{
    api::view::LinkState,
    appliance::{Appliance, captures::CaptureFigures},
    capture::{
        registry::State,
        trigger::{Cause, Counts, Standing},
    },
    feeds::{
        Shelf,
        fetch::Failure,
        schedule::{self, Status},
    },
    policy::{Live, RuleUsage, action_name},
    supervisor::crew::Member,
};

/// A metric that is not a worker counter.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: CounterKind,
    pub(super) labels: &'static str,
    pub(super) help: &'static str,
}

macro_rules! families {
    ($($constant:ident $kind:ident $name:literal $labels:literal $help:literal,)+) => {
        $(const $constant: &str = $name;)+

        /// Every metric that is not a worker counter.
        pub(super) const FAMILIES: &[Family] =
            &[$(Family { name: $name, kind: CounterKind::$kind, labels: $labels, help: $help },)+];
    };
}

families! {
    DROPPED Counter "ravelin_worker_dropped_packets_total" "worker, reason" "Packets dropped.",
    STALLED Gauge "ravelin_worker_stalled" "worker" "Whether the worker makes no progress.",
    RECEIVED Counter "ravelin_interface_received_packets_total" "interface" "Packets received.",
    RECEIVED_BYTES Counter "ravelin_interface_received_bytes_total" "interface" "Bytes received, whole frames.",
    SENT Counter "ravelin_interface_sent_packets_total" "interface" "Packets sent.",
    SENT_BYTES Counter "ravelin_interface_sent_bytes_total" "interface" "Bytes sent, whole frames.",
    INTERFACE_DROPPED Counter "ravelin_interface_dropped_packets_total" "interface" "Packets received at the interface and dropped.",
    INTERFACE_UP Gauge "ravelin_interface_up" "interface" "Whether the interface has a link and the program in the kernel is in place: 0 if it is down, has no carrier, is gone, or somebody has detached the program.",
    GENERATION Gauge "ravelin_config_generation" "" "Number of the configuration in force.",
    RELOAD_SUCCESS Gauge "ravelin_config_last_reload_success" "" "Whether the last reload succeeded.",
    RELOAD_TIME Gauge "ravelin_config_last_reload_timestamp_seconds" "" "When the last reload was tried, in seconds since 1970.",
    FLOW_CAPACITY Gauge "ravelin_flow_capacity_flows" "" "Flows that the tables of all workers hold.",
    START_TIME Gauge "ravelin_process_start_time_seconds" "" "When the process was started, in seconds since 1970.",
    POLICY_FLOWS Counter "ravelin_policy_flows_total" "tier, policy, direction, rule, action, staged" "Flows that met the rule, if `[metrics] policies` asks for it; `rule` is its number from 0, or -1 for the default behind the rules.",
    POLICY_PACKETS Counter "ravelin_policy_packets_total" "tier, policy, direction, rule, action, staged" "Packets of those flows that have ended.",
    POLICY_BYTES Counter "ravelin_policy_bytes_total" "tier, policy, direction, rule, action, staged" "Bytes of those flows that have ended, whole frames.",
    KERNEL_PREFIXES Gauge "ravelin_threat_kernel_prefixes" "" "Prefixes on the list of sources that the kernel drops.",
    KERNEL_LEFT Gauge "ravelin_threat_kernel_left_prefixes" "" "Prefixes that should be on that list and are left to the workers: there is no room for them or for what is spared, or the kernel refuses the list.",
    TRIGGERS_FIRED Counter "ravelin_capture_triggers_fired_total" "cause" "What has triggered captures, by `alert`, `rule`, `drop` and `verdict`, without what happened to a flow of which a file was being made.",
    TRIGGERS Counter "ravelin_capture_triggers_total" "cause, result" "Files of what was triggered: `written`, `failed`, or `suppressed` by the limits of `[capture.trigger]`. With those under way they are as many as were triggered.",
    TRIGGERS_UNDER_WAY Gauge "ravelin_capture_triggers_under_way" "" "Files of what was triggered that are being made.",
    FEED_ENTRIES Gauge "ravelin_feed_entries" "feed" "Entries of the feed that are in force.",
    FEED_OTHERS Gauge "ravelin_feed_other_entries" "feed" "Entries of other kinds than addresses, which nothing acts upon yet.",
    FEED_GUARDED Gauge "ravelin_feed_guarded_entries" "feed" "Entries, or parts of them, that are guarded or too wide, and so not acted upon.",
    FEED_ALLOWED Gauge "ravelin_feed_allowed_entries" "feed" "Entries, or parts of them, that `[[threat.allow]]` allows, and so not acted upon.",
    FEED_PROBLEMS Gauge "ravelin_feed_problems" "feed" "Entries of the copy in force that could not be read.",
    FEED_HITS Counter "ravelin_feed_hits_total" "feed" "Flows with what the feed names, as often as they were judged.",
    FEED_BLOCKED Counter "ravelin_feed_blocked_total" "feed" "Those that were denied.",
    FEED_FETCHES Counter "ravelin_feed_fetches_total" "feed, result" "Attempts to get a copy: `loaded`, `unchanged`, `held_back`, or the kind of failure, `unreachable`, `timeout`, `tls`, `status`, `redirect`, `too_large`, `damaged`, `request`.",
    FEED_AGE Gauge "ravelin_feed_age_seconds" "feed" "How long ago the copy in force was confirmed; nothing if there is none.",
    FEED_CONFIRMED Gauge "ravelin_feed_last_success_timestamp_seconds" "feed" "When the copy in force was confirmed, in seconds since 1970; nothing if there is none.",
    FEED_FAILURES Gauge "ravelin_feed_failures" "feed" "Attempts in a row that brought nothing.",
    FEED_STALE Gauge "ravelin_feed_stale" "feed" "Whether the copy in force was not confirmed for too long.",
    CAPTURE_PACKETS Counter "ravelin_capture_packets_total" "capture" "Packets written of the capture; `ring` is the ring. Jobs, what is under way or to come, and what ended last are shown, 256 captures at most.",
    CAPTURE_BYTES Counter "ravelin_capture_bytes_total" "capture" "Bytes written of the capture; not of the ring.",
    CAPTURE_LOST Counter "ravelin_capture_lost_packets_total" "capture" "Packets that were for the capture and could not be written.",
    CAPTURE_SKIPPED Counter "ravelin_capture_skipped_total" "capture" "Times that the capture should have begun at and did not: it was under way, or nobody was there; at most a hundred are counted at once.",
    CAPTURE_STATE Gauge "ravelin_capture_state" "capture, state" "1 for the state that the capture is in, 0 for the others: `Scheduled`, `WaitingForTraffic`, `Capturing`, `Finished`, `Error`.",
    CAPTURE_FILES Gauge "ravelin_capture_files" "capture" "Complete files that the capture has.",
    CAPTURE_STORED Gauge "ravelin_capture_stored_bytes" "capture" "Bytes of its complete files; of the ring, what it holds, in memory too.",
    BUILD Gauge "ravelin_build_info" "version" "Always 1; the label says which version runs.",
}

/// In the place of a worker's number: what the kernel dropped before any worker.
const KERNEL: &str = "kernel";

/// Turns what workers published into metrics.
pub struct Metrics {
    appliance: Arc<Appliance>,
}

impl Metrics {
    /// Metrics of this process.
    pub fn new(appliance: Arc<Appliance>) -> Self {
        Self { appliance }
    }

    /// All metrics as of now, in Prometheus' text form.
    pub fn render(&self) -> String {
        // A new one each time: what is gone, such as a feed or a rule, has no series any more.
        let recorder = PrometheusBuilder::new().build_recorder();
        with_local_recorder(&recorder, || {
            self.describe();
            self.record();
        });
        sorted(&recorder.handle().render())
    }

    fn describe(&self) {
        let describe = |name: String, kind, help: SharedString| match kind {
            CounterKind::Counter => describe_counter!(name, Unit::Count, help),
            CounterKind::Gauge => describe_gauge!(name, Unit::Count, help),
        };
        for info in COUNTERS {
            describe(metric(info), info.kind, info.help.into());
        }
        for family in FAMILIES {
            describe(family.name.to_owned(), family.kind, family.help.into());
        }
        for link in self.appliance.interfaces.links() {
            for statistic in link.statistics {
                describe(interface_metric(&statistic.name), CounterKind::Counter, statistic.help.into());
            }
        }
    }

    fn record(&self) {
        let mut totals = WorkerCounters::default();
        for member in self.appliance.roster.members() {
            let counters = member.counters();
            record_worker(member, &counters);
            totals.add(&counters);
        }
        let kernel = self.appliance.dropped_by_kernel();
        record_kernel(&kernel);
        totals.add(&kernel);
        let list = self.appliance.kernel_list();
        gauge!(KERNEL_PREFIXES).set(approximate(list.prefixes as u64));
        gauge!(KERNEL_LEFT).set(approximate(list.left as u64));
        let in_force = self.appliance.in_force();
        let names = in_force.config.interfaces.iter().map(|interface| &interface.name);
        for (name, link) in names.clone().zip(self.appliance.interfaces.links()) {
            let up = link.state == LinkState::Up;
            gauge!(INTERFACE_UP, "interface" => name.to_string()).set(f64::from(u8::from(up)));
            for statistic in link.statistics {
                counter!(interface_metric(&statistic.name), "interface" => name.to_string())
                    .absolute(statistic.value);
            }
        }
        for (name, port) in names.zip(totals.ports) {
            let count = |metric, value| interface_counter(metric, name, value);
            count(RECEIVED, port.received);
            count(RECEIVED_BYTES, port.received_bytes);
            count(SENT, port.sent);
            count(SENT_BYTES, port.sent_bytes);
            count(INTERFACE_DROPPED, port.dropped);
        }
        if in_force.config.metrics.policies {
            // Flows that have ended only: these counts never go down.
            self.appliance.usage(&Live::new()).iter().for_each(record_rule);
        }
        if let Some(standing) = self.appliance.triggers_standing() {
            record_triggers(&standing);
        }
        let (standing, now) = (self.appliance.feeds(), Timestamp::now());
        for shelf in in_force.library.feeds() {
            // One that is disabled has no status.
            if let Some(status) = standing.get(&shelf.feed.name) {
                record_feed(shelf, status, self.appliance.hits(&shelf.feed.name), now);
            }
        }
        self.appliance.capture_figures().iter().for_each(record_capture);
        gauge!(GENERATION).set(in_force.generation);
        gauge!(RELOAD_SUCCESS).set(f64::from(u8::from(in_force.last_reload.succeeded)));
        gauge!(RELOAD_TIME).set(seconds(in_force.last_reload_time));
        gauge!(FLOW_CAPACITY).set(approximate(in_force.config.flow.capacity as u64));
        gauge!(START_TIME).set(seconds(self.appliance.started));
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Families by name, so that two scrapes can be compared.
fn sorted(text: &str) -> String {
    let mut families: Vec<_> =
        text.split("\n\n").map(str::trim).filter(|family| !family.is_empty()).collect();
    // The name is the third word: `# HELP name ...`.
    families.sort_unstable_by_key(|family| family.split_whitespace().nth(2));
    families.iter().map(|family| format!("{family}\n\n")).collect()
}

fn record_worker(member: &Member, counters: &WorkerCounters) {
    let worker = member.id.to_string();
    for (info, value) in COUNTERS.iter().zip(counters.values()) {
        match info.kind {
            CounterKind::Counter => {
                counter!(metric(info), "worker" => worker.clone()).absolute(value);
            }
            CounterKind::Gauge => gauge!(metric(info), "worker" => worker.clone()).set(approximate(value)),
        }
    }
    for reason in DropReason::ALL.iter().filter(|reason| reason.group() != DropGroup::Kernel) {
        counter!(DROPPED, "worker" => worker.clone(), "reason" => reason.name())
            .absolute(counters.drops.count(*reason));
    }
    gauge!(STALLED, "worker" => worker).set(f64::from(u8::from(member.is_stalled())));
}

/// What the kernel drops has a place among what workers count, so that sums over them hold.
fn record_kernel(kernel: &WorkerCounters) {
    for (info, value) in COUNTERS.iter().zip(kernel.values()).filter(|(_, value)| *value > 0) {
        counter!(metric(info), "worker" => KERNEL).absolute(value);
    }
    for reason in DropReason::ALL.iter().filter(|reason| reason.group() == DropGroup::Kernel) {
        counter!(DROPPED, "worker" => KERNEL, "reason" => reason.name())
            .absolute(kernel.drops.count(*reason));
    }
}

/// The exporter escapes what needs it in the values of labels.
fn record_rule(rule: &RuleUsage) {
    let RuleUsage { tier, policy, staged, direction, index, action, usage } = rule;
    let number = index.map_or_else(|| "-1".to_owned(), |index| index.to_string());
    let labels = [
        Label::new("tier", tier.clone()),
        Label::new("policy", policy.clone()),
        Label::new("direction", direction.name()),
        Label::new("rule", number),
        Label::new("action", action_name(*action)),
        Label::new("staged", staged.to_string()),
    ];
    for (metric, value) in
        [(POLICY_FLOWS, usage.flows), (POLICY_PACKETS, usage.packets), (POLICY_BYTES, usage.bytes)]
    {
        counter!(metric, labels.iter()).absolute(value);
    }
}

fn record_feed(
    Shelf { feed, contents, .. }: &Shelf,
    status: &Status,
    (hits, blocked): (u64, u64),
    now: Timestamp,
) {
    let gauge = |metric: &'static str, value: f64| gauge!(metric, "feed" => feed.name.clone()).set(value);
    gauge(FEED_ENTRIES, approximate(contents.len() as u64));
    gauge(FEED_OTHERS, approximate(contents.others() as u64));
    gauge(FEED_GUARDED, approximate(contents.guarded() as u64));
    gauge(FEED_ALLOWED, approximate(contents.allowed() as u64));
    gauge(FEED_PROBLEMS, approximate(contents.problems()));
    gauge(FEED_FAILURES, status.failures.into());
    gauge(FEED_STALE, u8::from(status.is_stale).into());
    if let Some(age) = status.age {
        gauge(FEED_AGE, age.as_secs_f64());
        gauge(FEED_CONFIRMED, seconds(now) - age.as_secs_f64());
    }
    counter!(FEED_HITS, "feed" => feed.name.clone()).absolute(hits);
    counter!(FEED_BLOCKED, "feed" => feed.name.clone()).absolute(blocked);
    let schedule::Counts { loaded, unchanged, held_back, failed } = &status.counts;
    let kinds = Failure::ALL.map(|kind| (kind.name(), failed.get(&kind).copied().unwrap_or_default()));
    for (result, count) in
        [("loaded", *loaded), ("unchanged", *unchanged), ("held_back", *held_back)].into_iter().chain(kinds)
    {
        counter!(FEED_FETCHES, "feed" => feed.name.clone(), "result" => result).absolute(count);
    }
}

fn record_triggers(standing: &Standing) {
    gauge!(TRIGGERS_UNDER_WAY).set(approximate(standing.under_way as u64));
    for (cause, Counts { fired, written, failed, suppressed }) in
        Cause::KINDS.into_iter().zip(standing.counts)
    {
        counter!(TRIGGERS_FIRED, "cause" => cause).absolute(fired);
        for (result, count) in [("written", written), ("failed", failed), ("suppressed", suppressed)] {
            counter!(TRIGGERS, "cause" => cause, "result" => result).absolute(count);
        }
    }
}

fn record_capture(figures: &CaptureFigures) {
    let counter = |metric: &'static str, value: u64| {
        counter!(metric, "capture" => figures.name.clone()).absolute(value);
    };
    counter(CAPTURE_PACKETS, figures.packets);
    counter(CAPTURE_LOST, figures.lost);
    // What the ring has written is not counted, and it skips nothing.
    if let Some((bytes, skipped)) = figures.written {
        counter(CAPTURE_BYTES, bytes);
        counter(CAPTURE_SKIPPED, skipped);
    }
    for state in State::NAMES {
        let value = f64::from(u8::from(state == figures.state));
        gauge!(CAPTURE_STATE, "capture" => figures.name.clone(), "state" => state).set(value);
    }
    gauge!(CAPTURE_FILES, "capture" => figures.name.clone()).set(approximate(figures.files));
    gauge!(CAPTURE_STORED, "capture" => figures.name.clone()).set(approximate(figures.stored));
}

fn interface_counter(metric: &'static str, name: &IfName, value: u64) {
    counter!(metric, "interface" => name.to_string()).absolute(value);
}

fn interface_metric(statistic: &str) -> String {
    format!("ravelin_interface_{statistic}_total")
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// Prometheus' numbers are floating point; nothing that goes up and down here comes near 2 to the power of 53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn approximate(value: u64) -> f64 {
    value as f64
}
