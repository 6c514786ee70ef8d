//! Tables of feeds and of what they have found.

use comfy_table::{Cell, Row, Table};

use super::{
    number,
    tables::{fit, right, table},
};
use crate::{
    alerts::Alert,
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
    let mut table = table(&["last", "endpoint, direction", "named", "by", "verdict", "times"]);
    for alert in &now.alerts {
        let Alert {
            last, endpoint, direction, indicator, malware, feed, severity, verdict, count, port, ..
        } = alert;
        let when = last.get(..19).unwrap_or(last).replace('T', "\n");
        let port = if *port > 0 { format!(", port {port}") } else { String::new() };
        let malware = malware.as_ref().map(|name| format!("\n{name}")).unwrap_or_default();
        table.add_row(Row::from(vec![
            Cell::new(when),
            Cell::new(format!("{endpoint}\n{direction}{port}")),
            Cell::new(format!("{indicator}{malware}")),
            Cell::new(format!("{feed}\nseverity {severity}")),
            Cell::new(verdict),
            right(count.to_string()),
        ]));
    }
    table
}
