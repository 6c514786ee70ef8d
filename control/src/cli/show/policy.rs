//! Tables of what policies do.

use comfy_table::{Cell, Row, Table};
use jiff::Timestamp;

use super::{
    number,
    tables::{ends, fit, list, right, table, traffic},
};
use crate::api::view::{CutFlows, CutOne, Flow, RuleUse, StagedFlows, Used, decider};

/// What rules did. `unused` in seconds, if only those that did nothing were asked for.
pub(super) fn used(now: &Used, unused: Option<u64>, time: Timestamp) -> String {
    let mut text = String::new();
    if !now.unused_policies.is_empty() {
        text.push_str("policies of which no rule was met:\n");
        for policy in &now.unused_policies {
            text.push_str(&format!("  {policy}\n"));
        }
        text.push('\n');
    }
    match (now.rules.is_empty(), unused) {
        (true, None) => text.push_str("there is no policy"),
        (true, Some(_)) => text.push_str("every rule was met in that time"),
        (false, _) => text.push_str(&fit(used_table(now, time))),
    }
    text.push_str(&format!("\n\ncounted since {}", now.since));
    let counted = since(Some(&now.since), time);
    if let Some(unused) = unused.filter(|unused| counted.is_some_and(|counted| counted < *unused)) {
        let asked = number::duration(unused);
        text.push_str(&format!(": the process has not run for {asked}, so this may change"));
    }
    text.push_str(&no_answer(&now.missing));
    text
}

/// What rules did, before it is fitted to the terminal.
pub(super) fn used_table(now: &Used, time: Timestamp) -> Table {
    let mut table = table(&["policy", "action", "flows", "packets / bytes", "first, last"]);
    for rule in &now.rules {
        let RuleUse { policy, direction, action, flows, packets, bytes, first, last, .. } = rule;
        let ago = |when: &Option<String>| match since(when.as_deref(), time) {
            Some(seconds) => format!("{} ago", number::duration(seconds)),
            None => "never".to_owned(),
        };
        let which = if rule.rule < 0 { "default".to_owned() } else { format!("rule {}", rule.rule) };
        table.add_row(Row::from(vec![
            Cell::new(format!("{policy}\n{direction}, {which}")),
            Cell::new(action),
            right(flows.to_string()),
            right(format!("{packets}\n{}", number::bytes(*bytes))),
            right(format!("{}\n{}", ago(first), ago(last))),
        ]));
    }
    table
}

/// Seconds from then to now.
fn since(then: Option<&str>, now: Timestamp) -> Option<u64> {
    let then: Timestamp = then?.parse().ok()?;
    Some(u64::try_from(now.duration_since(then).as_secs()).unwrap_or_default())
}

fn no_answer(missing: &[u8]) -> String {
    if missing.is_empty() { String::new() } else { format!("; no answer from worker {}", list(missing)) }
}

/// The flows that staged policies would decide otherwise.
pub(super) fn staged(now: &StagedFlows) -> String {
    let mut text = String::new();
    if now.groups.is_empty() {
        text.push_str("no live flow would be decided otherwise");
    } else {
        let (groups, flows) = (fit(staged_groups(now)), fit(staged_table(now)));
        text.push_str(&format!("{groups}\n\n{flows}"));
    }
    let shown = now.flows.len();
    text.push_str(&format!("\n\n{shown} shown, {} would change, {} in all", now.changing, now.seen));
    text.push_str(if (shown as u64) < now.changing { "; --limit shows more" } else { "" });
    text.push_str(&no_answer(&now.missing));
    text
}

/// How many flows each rule would turn.
pub(super) fn staged_groups(now: &StagedFlows) -> Table {
    let mut table = table(&["policy", "change", "flows", "packets / bytes"]);
    for group in &now.groups {
        let which = if group.rule < 0 { "default".to_owned() } else { format!("rule {}", group.rule) };
        let place = group.direction.as_ref().map_or(which.clone(), |way| format!("{way}, {which}"));
        table.add_row(Row::from(vec![
            Cell::new(format!("{}\n{place}", group.policy)),
            Cell::new(format!("{} > {}", group.verdict, group.pending_verdict)),
            right(group.flows.to_string()),
            right(format!("{}\n{}", group.packets, number::bytes(group.bytes))),
        ]));
    }
    table
}

/// The flows one by one.
pub(super) fn staged_table(now: &StagedFlows) -> Table {
    let mut table = table(&["proto", "from, to", "change", "meaning", "packets / bytes"]);
    for flow in &now.flows {
        let decision = &flow.decision;
        let last = decision.pending.last().map(|entry| entry_decider(entry)).unwrap_or_default();
        table.add_row(Row::from(vec![
            Cell::new(&flow.proto),
            Cell::new(ends(flow)),
            Cell::new(format!("{} > {}", decision.verdict, decision.pending_verdict)),
            Cell::new(format!("by {last}")),
            right(traffic(flow)),
        ]));
    }
    table
}

/// The policy and rule of an entry of a trace, in words.
fn entry_decider(entry: &str) -> String {
    let fields: Vec<_> = entry.split('|').collect();
    match fields.as_slice() {
        [_, _, policy, _, rule] => decider(Some(policy), rule.parse().ok()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The flows that changes of policy have cut.
pub(super) fn cut(now: &CutFlows) -> String {
    let mut text = if now.flows.is_empty() { "no flow was cut".to_owned() } else { fit(cut_table(now)) };
    text.push_str(&format!("\n\n{} shown, {} in all", now.flows.len(), now.total));
    text
}

/// The same before it is fitted to the terminal.
pub(super) fn cut_table(now: &CutFlows) -> Table {
    let mut table = table(&["when", "from, to", "meaning", "packets / bytes"]);
    for CutOne { time, now, flow } in &now.flows {
        let Flow { proto, decision, .. } = flow;
        let before = decision.decider().unwrap_or_else(|| "no policy".to_owned());
        let since = match now.decider() {
            Some(decider) => format!("{} by {decider}", now.verdict),
            None => now.verdict.clone(),
        };
        let when = time.get(..19).unwrap_or(time).replace('T', "\n");
        table.add_row(Row::from(vec![
            Cell::new(when),
            Cell::new(format!("{}\n{proto}", ends(flow))),
            Cell::new(format!("{since};\nbefore: {} by {before}", decision.verdict)),
            right(traffic(flow)),
        ]));
    }
    table
}
