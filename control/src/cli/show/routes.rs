//! Tables of routes and neighbours.

#[cfg(test)]
mod tests;

use comfy_table::{Cell, Row};

use super::tables::{fit, right, table};
use crate::api::{
    query::Destination,
    view::{Acquaintance, Leads, Neighbour, Neighbours, NextHop, Route, Routes},
};

/// Routes, as they were asked for.
pub(super) fn routes(now: &Routes, to: Option<Destination>) -> String {
    let mut text = match (now.routes.as_slice(), to) {
        ([], Some(Destination::Address(address))) => {
            format!("there is no route to {address}: the kernel tells the sender so")
        }
        ([], _) => "there is no such route".to_owned(),
        ([route], Some(Destination::Address(_))) => one(route),
        (routes, _) => all(routes),
    };
    if !matches!(to, Some(Destination::Address(_))) {
        text.push_str(&format!(
            "\n\n{} shown, {} behind them, {} in all",
            now.routes.len(),
            now.behind,
            now.total
        ));
        if let Some(last) = now.routes.last().filter(|_| now.behind > 0) {
            text.push_str(&format!("; --after {} goes on", last.prefix));
        }
    }
    if now.vrf.is_none() && !now.vrfs.is_empty() {
        text.push_str(&format!("\nthe main table; --vrf shows others: {}", now.vrfs.join(", ")));
    }
    for words in &now.not_followed {
        text.push_str(&format!("\nthe kernel does otherwise: {words}"));
    }
    for words in &now.not_forwarding {
        text.push_str(&format!("\nthe kernel does not forward {words}, so workers do not"));
    }
    text
}

fn all(routes: &[Route]) -> String {
    let mut table = table(&["to", "next", "interface", "mtu", "weight"]);
    for route in routes {
        let column = |cell: &dyn Fn(&NextHop) -> String| {
            route.next_hops.iter().map(cell).collect::<Vec<_>>().join("\n")
        };
        table.add_row(Row::from(vec![
            Cell::new(&route.prefix),
            Cell::new(match route.leads {
                Leads::On => column(&next),
                Leads::Host | Leads::Kernel | Leads::Nowhere => leads(route),
            }),
            Cell::new(column(&|hop| hop.interface.clone())),
            right(column(&|hop| hop.mtu.to_string())),
            right(column(&|hop| hop.weight.to_string())),
        ]));
    }
    fit(table)
}

fn next(hop: &NextHop) -> String {
    hop.via.clone().unwrap_or_else(|| "on the link".to_owned())
}

/// Where a route leads, in words.
fn leads(route: &Route) -> String {
    let why = route.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let whither = match route.leads {
        Leads::On => "the next hop",
        Leads::Host => "the host itself",
        Leads::Kernel => "the kernel",
        Leads::Nowhere => "nowhere, in silence",
    };
    format!("{whither}{why}")
}

/// The route of an address.
fn one(route: &Route) -> String {
    let mut table = table(&[]);
    let mut row = |name: &str, value: String| {
        table.add_row(vec![name.to_owned(), value]);
    };
    row("route", route.prefix.clone());
    row("leads to", leads(route));
    for hop in &route.next_hops {
        let share =
            if route.next_hops.len() > 1 { format!(", weight {}", hop.weight) } else { String::new() };
        row("next", format!("{}, {}, mtu {}{share}", next(hop), hop.interface, hop.mtu));
        if let Some(neighbour) = &hop.neighbour {
            let mac = neighbour.mac.as_ref().map(|mac| format!(" at {mac}")).unwrap_or_default();
            row("neighbour", format!("{}{mac}, {}", neighbour.address, state(neighbour)));
        }
    }
    fit(table)
}

fn state(neighbour: &Neighbour) -> String {
    let state = match neighbour.state {
        Acquaintance::Known => "known",
        Acquaintance::Asked => "asked: packets wait in the kernel",
        Acquaintance::Unknown => "unknown: the kernel asks when packets come",
    };
    let kernel = neighbour.kernel.as_ref().map(|kernel| format!(" ({kernel})")).unwrap_or_default();
    format!("{state}{kernel}")
}

/// Who is on the links.
pub(super) fn neighbours(now: &Neighbours) -> String {
    let mut table = table(&["interface", "address", "mac", "state", "used lately"]);
    for neighbour in &now.neighbours {
        table.add_row(vec![
            neighbour.interface.clone(),
            neighbour.address.clone(),
            neighbour.mac.clone().unwrap_or_default(),
            state(neighbour),
            if neighbour.used { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let text = if now.neighbours.is_empty() { "there is no neighbour".to_owned() } else { fit(table) };
    format!("{text}\n\n{} shown, {} in all", now.neighbours.len(), now.total)
}
