//! Changes of routes: one at a time, some together, many; and what looking up takes meanwhile.

use std::{
    hint::black_box,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use ravelin_dataplane::{
    parse::Address,
    route::{Change, Fib, Rib},
};

use super::{Options, batched, change, tables::Table};
use crate::{
    harness::{Report, interleave},
    traffic::splitmix,
};

pub(super) fn measure(report: &Report, options: &Options, table: &Table, rib: Rib) {
    let mut feed = Feed { table, rib, counter: 0 };
    let mut published = feed.rib.apply(&[]);
    for (together, applies) in [(1, 20_000), (10, 5_000), (10_000, 10)] {
        let mut spent = Vec::new();
        for _ in 0..options.rounds {
            let changes: Vec<Vec<Change>> = (0..applies).map(|_| feed.changes(together)).collect();
            let start = Instant::now();
            for changes in &changes {
                // What was published before ends here.
                published = black_box(feed.rib.apply(changes));
            }
            spent.push((together * applies) as f64 / start.elapsed().as_secs_f64() / 1e3);
        }
        report.figure(
            &format!("changes, {together} at a time"),
            &spent,
            "thousand/s",
            (together <= 10).then_some("must 100"),
        );
    }
    for together in [1, 10] {
        while_changing(report, options, &mut feed, &published, together);
    }
}

/// Routes that come, go and change.
struct Feed<'t> {
    table: &'t Table,
    rib: Rib,
    counter: u64,
}

impl Feed<'_> {
    /// Half of them withdraw a route or bring it back, half give it other next hops.
    fn changes(&mut self, count: usize) -> Vec<Change> {
        let change = |_| {
            self.counter += 1;
            let random = splitmix(self.counter >> 1);
            let (prefix, next) = self.table.routes[(random >> 8) as usize % self.table.routes.len()];
            match (random & 1, self.counter & 1) {
                (0, 0) => change(prefix, next + 1),
                (0, _) => Change { prefix, next: None },
                (_, 0) => change(prefix, next),
                (_, _) => change(prefix, next + 2),
            }
        };
        (0..count).map(change).collect()
    }
}

/// Looks up while another thread changes so many routes at a time: as the mirror of the kernel does, which publishes what has come together.
fn while_changing(report: &Report, options: &Options, feed: &mut Feed<'_>, published: &Fib, together: usize) {
    let [(_, addresses), _] = feed.table.addresses(options.lookups);
    let given: Vec<Address> = addresses.into_iter().map(Address::from).collect();
    let current = Mutex::new(published.clone());
    let (busy, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let (results, changed) = thread::scope(|scope| {
        let changer = scope.spawn(|| {
            let mut rates = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                if !busy.load(Ordering::Relaxed) {
                    thread::yield_now();
                    continue;
                }
                let start = Instant::now();
                let mut changes: usize = 0;
                while busy.load(Ordering::Relaxed) {
                    let some = feed.changes(together);
                    let fib = feed.rib.apply(&some);
                    *current.lock().expect("nobody panics") = fib;
                    changes += some.len();
                }
                rates.push(changes as f64 / start.elapsed().as_secs_f64() / 1e3);
            }
            rates
        });
        let asked = |changing: bool| {
            busy.store(changing, Ordering::Relaxed);
            let mut taken = 0.0;
            for given in given.chunks(64_000) {
                // As a worker takes a snapshot.
                let fib = current.lock().expect("nobody panics").clone();
                taken += batched(&fib, given) * given.len() as f64;
            }
            busy.store(false, Ordering::Relaxed);
            taken / given.len() as f64
        };
        let (mut quiet, mut changing) = (|| asked(false), || asked(true));
        let results = interleave(options.rounds, &mut [&mut quiet, &mut changing]);
        ended.store(true, Ordering::Relaxed);
        (results, changer.join().expect("nobody panics"))
    });
    report.figure("batched lookup, no changes", &results[0], "ns/lookup", None);
    report.figure("batched lookup, while routes change", &results[1], "ns/lookup", None);
    let name = format!("routes that change meanwhile, {together} at a time");
    report.figure(&name, &changed, "thousand/s", Some("must 100"));
}
