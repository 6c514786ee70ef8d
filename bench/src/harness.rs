//! How figures are made: interleaved runs, medians with their spread, a calibration that says when the machine drifted.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde::Serialize;

/// Prints figures, as lines or as JSON.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Figure<'a> {
    /// What was measured.
    pub(crate) name: &'a str,
    /// The median of the runs.
    pub(crate) median: f64,
    /// The lowest run.
    pub(crate) lowest: f64,
    /// The highest run.
    pub(crate) highest: f64,
    /// Unit of the three.
    pub(crate) unit: &'a str,
    /// What the figure must be, if it is a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) must: Option<&'a str>,
}

impl Report {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// A heading, for people only.
    pub(crate) fn heading(&self, text: &str) {
        if !self.json {
            println!("\n{text}");
        }
    }

    /// A note, for people only.
    pub(crate) fn note(&self, text: &str) {
        if !self.json {
            println!("  {text}");
        }
    }

    /// One figure from several runs.
    pub(crate) fn figure(&self, name: &str, runs: &[f64], unit: &str, must: Option<&str>) -> f64 {
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
        let lowest = sorted.first().copied().unwrap_or(f64::NAN);
        let highest = sorted.last().copied().unwrap_or(f64::NAN);
        let figure = Figure { name, median, lowest, highest, unit, must };
        if self.json {
            println!("{}", serde_json::to_string(&figure).expect("a figure is plain data"));
        } else {
            let must = must.map(|must| format!("   [{must}]")).unwrap_or_default();
            println!("  {name:<52} {median:>9.2} {unit:<12} ({lowest:.2} to {highest:.2}){must}");
        }
        median
    }
}

/// Runs the candidates in turn, `rounds` times, so that a slow moment of the machine meets all of them; returns each one's
/// results in the order of `candidates`.
pub(crate) fn interleave(rounds: usize, candidates: &mut [&mut dyn FnMut() -> f64]) -> Vec<Vec<f64>> {
    let mut results = vec![Vec::with_capacity(rounds); candidates.len()];
    for _ in 0..rounds {
        for (candidate, results) in candidates.iter_mut().zip(&mut results) {
            results.push(candidate());
        }
    }
    results
}

/// The ratio of each pair of runs, `first / second`.
pub(crate) fn ratios(first: &[f64], second: &[f64]) -> Vec<f64> {
    first.iter().zip(second).map(|(first, second)| first / second).collect()
}

/// Nanoseconds per item of `work`, which says how many items it did.
pub(crate) fn nanos_per_item(work: impl FnOnce() -> u64) -> f64 {
    let start = Instant::now();
    let items = work();
    nanos(start.elapsed()) / items as f64
}

pub(crate) fn nanos(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

/// A fixed chain of dependent additions: how long it takes says how much of the core we really had. Returns
/// nanoseconds per step, the best and the worst of several tries.
pub(crate) fn calibrate() -> (f64, f64) {
    const STEPS: u64 = 20_000_000;
    let tries: Vec<f64> = (0..5)
        .map(|_| {
            nanos_per_item(|| {
                let mut x = black_box(1_u64);
                for _ in 0..STEPS {
                    x = black_box(x.wrapping_mul(3).wrapping_add(1));
                }
                black_box(x);
                STEPS
            })
        })
        .collect();
    let best = tries.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = tries.iter().copied().fold(0.0, f64::max);
    (best, worst)
}

/// Says whether the machine is quiet enough to believe what follows.
pub(crate) fn state_calibration(report: &Report) {
    let (best, worst) = calibrate();
    let drift = worst / best;
    report.figure("calibration: slowest of 5 loops against fastest", &[drift], "x", None);
    if drift > 1.1 {
        report.note("the machine is noisy (over 1.1): believe ratios, not times");
    }
}

/// Bytes of memory that the process has.
pub(crate) fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux tells what a process has");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second number is of resident pages") * rustix::param::page_size() as u64
}
