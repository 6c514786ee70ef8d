//! Tables of captures.

use comfy_table::{Cell, Row, Table};

use super::{
    number,
    tables::{fit, right, table},
};
use crate::{
    api::view::{Capture, TriggerCounts},
    capture::{CaptureSpec, Point},
};

/// All captures.
pub(in crate::cli) fn captures(now: &[Capture]) -> String {
    if now.is_empty() {
        return "there is no capture".to_owned();
    }
    let mut text = fit(capture_table(now));
    for capture in now {
        if let Some(error) = &capture.error {
            text.push_str(&format!("\n\n{}: {error}", capture.name));
        }
    }
    text
}

/// One capture, with its files.
pub(in crate::cli) fn capture(now: &Capture) -> String {
    let mut text = captures(std::slice::from_ref(now));
    for TriggerCounts { cause, fired, written, failed, suppressed } in &now.triggers {
        let line = format!("{fired} triggered, {written} written, {failed} failed, {suppressed} suppressed");
        text.push_str(&format!("\n{cause:>10}  {line}"));
    }
    for file in &now.files {
        text.push_str(&format!("\n{:>10}  {}", number::bytes(file.size), file.name));
    }
    text
}

/// The same before it is fitted to the terminal.
pub(super) fn capture_table(now: &[Capture]) -> Table {
    let mut table = table(&["capture", "state", "packets", "bytes", "lost", "started, ends"]);
    for capture in now {
        let when = |time: &str| time.get(..19).unwrap_or(time).replace('T', " ");
        let is_triggered = !capture.triggers.is_empty();
        let end = match (&capture.begins, &capture.ended, &capture.ends) {
            (Some(begins), ..) => format!("next {}", when(begins)),
            (None, Some(ended), _) => format!("ended {}", when(ended)),
            (None, None, Some(ends)) => format!("until {}", when(ends)),
            (None, None, None) if is_triggered => String::new(),
            (None, None, None) => "until it is stopped".to_owned(),
        };
        let times = [capture.started.as_deref().map(when), Some(end)];
        let skipped = (capture.skipped > 0).then(|| format!("{} skipped", capture.skipped));
        let times: Vec<_> = times.into_iter().flatten().chain(skipped).collect();
        table.add_row(Row::from(vec![
            Cell::new(format!(
                "{}\n{}",
                capture.name,
                if is_triggered { TRIGGERED.to_owned() } else { wanted(&capture.spec) }
            )),
            Cell::new(&capture.state),
            right(capture.packets.to_string()),
            right(number::bytes(capture.bytes)),
            right(capture.lost.to_string()),
            Cell::new(times.join("\n")),
        ]));
    }
    table
}

/// What is wanted where something triggers it.
const TRIGGERED: &str = "flows to which something happened";

/// What a capture wants, in a line.
fn wanted(spec: &CaptureSpec) -> String {
    let mut parts = Vec::new();
    parts.extend(spec.endpoint.as_ref().map(|selector| format!("endpoints {selector}")));
    parts.extend(spec.filter.clone());
    parts.extend(
        (!spec.drop_reasons.is_empty()).then(|| format!("dropped for {}", spec.drop_reasons.join(", "))),
    );
    let decided = [
        ("tier", spec.tier.clone()),
        ("policy", spec.policy.clone()),
        ("rule", spec.rule.map(|rule| rule.to_string())),
    ];
    let decided: Vec<_> =
        decided.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", name?))).collect();
    parts.extend((!decided.is_empty()).then(|| format!("decided by {}", decided.join(", "))));
    parts.extend((spec.point == Point::Forwarded).then(|| "as it leaves".to_owned()));
    if let Some(cron) = &spec.cron {
        let zone = spec.time_zone.clone().unwrap_or_default();
        parts.push(format!("at {cron} ({zone})"));
    }
    parts.extend((spec.sample > 1).then(|| format!("one flow in {}", spec.sample)));
    if parts.is_empty() { "everything".to_owned() } else { parts.join("; ") }
}
