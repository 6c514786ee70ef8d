//! Tables of feeds and of what they have found.

use comfy_table::{Cell, Row, Table};

use super::{
    number,
    tables::{fit, right, table},
};
use crate::{
    alerts::{About, Alert, Exhaustion, Standing},
    api::view::{Alerts, Feed},
};

/// How the feeds stand.
pub(in crate::cli) fn feeds(now: &[Feed]) -> String {
    let mut text = fit(feed_table(now));
    for feed in now {
        if let Some(error) = &feed.last_error {
            text.push_str(&format!("\n\n{}: {error}", feed.name));
        }
    }
    text
}

/// The same before it is fitted to the terminal.
pub(super) fn feed_table(now: &[Feed]) -> Table {
    let mut table = table(&["feed", "state", "entries", "hits / blocked", "age, next", "action"]);
    for feed in now {
        let mut entries = feed.entries.to_string();
        for (count, what) in [
            (feed.others as u64, "of other kinds"),
            (feed.problems, "unreadable"),
            (feed.guarded as u64, "guarded"),
            (feed.allowed as u64, "allowed"),
        ] {
            if count > 0 {
                entries.push_str(&format!("\n{count} {what}"));
            }
        }
        if let Some(count) = feed.in_kernel {
            entries.push_str(&format!("\n{count} in the kernel"));
        }
        let age = feed
            .age_seconds
            .map_or_else(|| "never".to_owned(), |age| format!("{} ago", number::duration(age)));
        let next =
            feed.next_seconds.map(|next| format!("\nin {}", number::duration(next))).unwrap_or_default();
        table.add_row(Row::from(vec![
            Cell::new(format!("{}\n{}", feed.name, feed.source)),
            Cell::new(&feed.state),
            right(entries),
            right(format!("{} / {}", feed.hits, feed.blocked)),
            Cell::new(age + &next),
            Cell::new(format!("{}, {}\nseverity {}", feed.action, feed.direction, feed.severity)),
        ]));
    }
    table
}

/// The last alerts.
pub(super) fn alerts(now: &Alerts) -> String {
    let mut text = if now.alerts.is_empty() { "there is no alert".to_owned() } else { fit(alert_table(now)) };
    text.push_str(&format!("\n\n{} shown, {} in all", now.alerts.len(), now.total));
    text
}

/// The same before it is fitted to the terminal.
pub(super) fn alert_table(now: &Alerts) -> Table {
    let mut table = table(&["last", "endpoint, direction", "what", "feed", "verdict, state", "times"]);
    for Alert { about, severity, last, count, capture_file, .. } in &now.alerts {
        let when = last.get(..19).unwrap_or(last).replace('T', "\n");
        let (who, what, feed, outcome) = match about {
            About::Indicator(hit) => {
                let port = if hit.port > 0 { format!(", port {}", hit.port) } else { String::new() };
                let malware = hit.malware.as_ref().map(|name| format!("\n{name}")).unwrap_or_default();
                let who = format!("{}\n{}{port}", hit.endpoint, hit.direction);
                (who, format!("{}{malware}", hit.indicator), hit.feed.as_str(), hit.verdict.as_str())
            }
            About::Feed(Standing { feed, state, age_seconds, last_error }) => {
                let age = age_seconds.map_or_else(
                    || "there has been no copy".to_owned(),
                    |age| format!("the copy was {} old", number::duration(age)),
                );
                let error = last_error.as_ref().map(|error| format!("\n{error}")).unwrap_or_default();
                (String::new(), age + &error, feed.as_str(), state.name())
            }
            About::Nat(Exhaustion { dropped_packets }) => {
                let what = format!("no outside port is left: {dropped_packets} packets dropped");
                (String::new(), what, "", "exhausted")
            }
        };
        // Its path without the directories, which are the same for all.
        let file = capture_file.as_ref().and_then(|file| file.rsplit('/').next());
        let file = file.map(|file| format!("\npackets: {file}")).unwrap_or_default();
        table.add_row(Row::from(vec![
            Cell::new(when),
            Cell::new(who),
            Cell::new(what + &file),
            Cell::new(format!("{feed}\nseverity {severity}").trim_start()),
            Cell::new(outcome),
            right(count.to_string()),
        ]));
    }
    table
}
