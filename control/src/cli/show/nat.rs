use super::tables::{fit, list, right, table};
use crate::api::view::Nat;
use comfy_table::{Cell, Row};

/// What is translated.
pub(super) fn nat(now: &Nat) -> String {
    if now.addresses.is_empty() && now.published.is_empty() {
        return "no addresses are translated: see [[nat.source]] and [[nat.destination]]".to_owned();
    }
    let mut parts = Vec::new();
    if !now.addresses.is_empty() {
        let mut addresses = table(&["outside address", "tcp", "udp", "icmp"]);
        for address in &now.addresses {
            let counts =
                address.used.iter().zip(address.ports).map(|(used, ports)| format!("{used} of {ports}"));
            let cells = [Cell::new(&address.address)].into_iter().chain(counts.map(right));
            addresses.add_row(Row::from(cells.collect::<Vec<_>>()));
        }
        parts.push(fit(addresses));
    }
    if !now.published.is_empty() {
        let mut published = table(&["published", "at", "to", "flows"]);
        for rule in &now.published {
            let cells = [&rule.proto, &rule.at, &rule.to].map(Cell::new);
            published.add_row(Row::from(
                cells.into_iter().chain([right(rule.flows.to_string())]).collect::<Vec<_>>(),
            ));
        }
        parts.push(fit(published));
    }
    if !now.mappings.is_empty() {
        let mut mappings = table(&["proto", "inside", "known as", "flows"]);
        for mapping in &now.mappings {
            let cells = [&mapping.proto, &mapping.inside, &mapping.outside].map(Cell::new);
            mappings.add_row(Row::from(
                cells.into_iter().chain([right(mapping.flows.to_string())]).collect::<Vec<_>>(),
            ));
        }
        parts.push(fit(mappings));
    }
    let shown = now.mappings.len();
    let mut last = format!("{shown} shown of {} that are known as others outside", now.seen);
    if (shown as u64) < now.seen {
        last.push_str("; --limit shows more");
    }
    if !now.missing.is_empty() {
        last.push_str(&format!("; no answer from worker {}", list(&now.missing)));
    }
    parts.push(last);
    parts.join("\n\n")
}
