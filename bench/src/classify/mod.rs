//! The packet classifier alone, against linear search, and against DPDK's rte_acl where that is installed: the same rules,
//! the same headers, one after the other in the same run.

mod acl;
mod filters;
mod policies;

use std::{hint::black_box, path::PathBuf, sync::Arc, time::Instant};

use ravelin_dataplane::policy::{
    AddressSet,
    classifier::{Classifier, Key, Linear, Match, MemberChange, Patch, Position, Rule, SetId},
};

use self::{
    acl::Peer,
    filters::{Filter, Headers, Profile},
    policies::CLUSTERS,
};
use crate::harness::{Report, nanos, nanos_per_item, ratios, state_calibration};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Kinds of rule sets.
    #[arg(long, value_delimiter = ',', default_value = "acl,fw,ipc")]
    profiles: Vec<Profile>,
    /// Rules in a set; 0 for none.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000,100000,500000")]
    rules: Vec<usize>,
    /// A rule set in ClassBench's format instead.
    #[arg(long)]
    filters: Option<PathBuf>,
    /// Which headers come how often.
    #[arg(long, value_delimiter = ',', default_value = "uniform,zipf")]
    headers: Vec<Headers>,
    /// Headers looked up in a run.
    #[arg(long, default_value_t = 200_000)]
    lookups: usize,
    /// Keys in a batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The algorithm of rte_acl.
    #[arg(long, default_value = "avx512x32")]
    algorithm: String,
    /// No comparison with rte_acl beyond so many rules, which it takes minutes to build.
    #[arg(long, default_value_t = 50_000)]
    peer_rules: usize,
    /// Leave the sets of policies out.
    #[arg(long)]
    no_policies: bool,
}

pub(crate) fn run(report: &Report, options: &Options) {
    if let Some(core) = core_affinity::get_core_ids().into_iter().flatten().next_back() {
        core_affinity::set_for_current(core);
    }
    state_calibration(report);
    if let Some(path) = &options.filters {
        let text = std::fs::read_to_string(path).expect("the file with the rules is readable");
        classbench(report, options, &path.display().to_string(), &filters::parse(&text));
        return;
    }
    for profile in &options.profiles {
        for rules in options.rules.iter().filter(|rules| **rules > 0) {
            classbench(report, options, profile.name(), &filters::generate(*profile, *rules, *rules as u64));
        }
    }
    if !options.no_policies {
        for cluster in CLUSTERS {
            let (sets, rules, keys) = cluster.generate();
            report.heading(&format!("{}, {} rules, {} sets", cluster.name, rules.len(), sets.len()));
            let bench = Bench::new(report, sets, rules);
            let must = Some("must 20000, aim 1000");
            let (single, batched) = bench.lookups(options, &keys, || None);
            report.figure("one lookup", &single.0, "ns", must);
            report.figure("lookup in a batch", &batched, "ns", must);
            bench.linear(report, &keys);
            bench.update(report, &keys);
        }
    }
}

fn classbench(report: &Report, options: &Options, name: &str, filters: &[Filter]) {
    report.heading(&format!("{name}, {} rules", filters.len()));
    let (sets, rules) = filters::rules(filters);
    let bench = Bench::new(report, sets, rules);
    for kind in &options.headers {
        let keys = filters::headers(filters, *kind, options.lookups, 7);
        let peer = Peer::new(filters, &keys).filter(|_| filters.len() <= options.peer_rules);
        let mut bytes = f64::NAN;
        let iterations = 2_000_000_usize.div_ceil(options.lookups);
        let ((single, theirs), batched) = bench.lookups(options, &keys, || {
            let measured = peer.as_ref()?.run(&options.algorithm, iterations)?;
            bytes = measured.bytes;
            Some(measured.nanos)
        });
        let what = format!("{kind:?} headers").to_lowercase();
        report.figure(&format!("{what}, one lookup"), &single, "ns", None);
        report.figure(&format!("{what}, lookup in a batch of {}", options.batch), &batched, "ns", None);
        if !theirs.is_empty() {
            report.figure(&format!("{what}, rte_acl, {}", options.algorithm), &theirs, "ns", None);
            let must = match filters.len() {
                ..5_000 => "must 0.7",
                5_000..20_000 => "must 1.0, aim 1.5",
                20_000.. => "must 2, aim 4",
            };
            report.figure(&format!("{what}, rte_acl / ravelin"), &ratios(&theirs, &batched), "x", Some(must));
            if *kind == Headers::Uniform {
                let ratio = bench.classifier.bytes() as f64 / bytes;
                report.figure("memory of rte_acl", &[bytes / 1e6], "MB", None);
                report.figure("memory, ravelin / rte_acl", &[ratio], "x", Some("must 0.2 at 50,000 rules"));
            }
        }
        if *kind == Headers::Uniform {
            bench.linear(report, &keys);
            bench.update(report, &keys);
        }
    }
}

struct Bench {
    sets: Vec<Arc<AddressSet>>,
    rules: Vec<Rule>,
    classifier: Classifier,
}

impl Bench {
    fn new(report: &Report, sets: Vec<Arc<AddressSet>>, rules: Vec<Rule>) -> Self {
        let start = Instant::now();
        let classifier = Classifier::new(sets.clone(), rules.clone());
        report.figure("build", &[start.elapsed().as_secs_f64()], "s", None);
        report.figure("memory", &[classifier.bytes() as f64 / 1e6], "MB", None);
        Self { sets, rules, classifier }
    }

    /// Nanoseconds of single lookups with those of the peer, and of batched ones.
    #[expect(clippy::type_complexity, reason = "three lists of runs")]
    fn lookups(
        &self,
        options: &Options,
        keys: &[Key],
        mut peer: impl FnMut() -> Option<f64>,
    ) -> ((Vec<f64>, Vec<f64>), Vec<f64>) {
        let (mut single, mut theirs, mut batched) = (Vec::new(), Vec::new(), Vec::new());
        let mut out = vec![None; options.batch];
        let from = vec![Position::START; options.batch];
        for _ in 0..options.rounds {
            single.push(self.single(&self.classifier, keys));
            // The peer's program goes over its headers several times, too.
            let rounds = 5;
            batched.push(nanos_per_item(|| {
                for _ in 0..rounds {
                    for keys in keys.chunks(options.batch) {
                        self.classifier.first_of_batch(keys, &from, &mut out);
                        black_box(&mut out);
                    }
                }
                rounds * keys.len() as u64
            }));
            theirs.extend(peer());
        }
        ((single, theirs), batched)
    }

    fn single(&self, classifier: &Classifier, keys: &[Key]) -> f64 {
        nanos_per_item(|| {
            for key in keys {
                black_box(classifier.first(key, Position::START));
            }
            keys.len() as u64
        })
    }

    /// Linear search over a part of the keys, which also has to agree.
    fn linear(&self, report: &Report, keys: &[Key]) {
        let linear = Linear::new(self.sets.clone(), self.rules.clone());
        let keys: Vec<Key> = keys.iter().step_by(keys.len().div_ceil(500)).copied().collect();
        let mut expected: Vec<Option<Match>> = Vec::new();
        let spent = nanos_per_item(|| {
            expected.extend(keys.iter().map(|key| linear.first(key, Position::START)));
            keys.len() as u64
        });
        report.figure("linear search", &[spent], "ns", None);
        let mut out = vec![None; keys.len()];
        self.classifier.first_of_batch(&keys, &vec![Position::START; keys.len()], &mut out);
        assert_eq!(out, expected, "linear search finds something else");
    }

    /// One rule changed, one address changed, and what lookups cost when many have.
    fn update(&self, report: &Report, keys: &[Key]) {
        let changes = Classifier::CHANGES;
        let patch = |n: usize| {
            let at = n * self.rules.len() / changes;
            Patch {
                remove: vec![self.rules[at].position..=self.rules[at].position],
                rules: vec![Rule { outcome: 1, ..self.rules[at] }],
                ..Patch::default()
            }
        };
        let mut changed = self.classifier.clone();
        let mut spent = Vec::new();
        for n in 0..changes / 2 {
            let patch = patch(n);
            let start = Instant::now();
            changed = black_box(changed.patched(&patch));
            spent.push(nanos(start.elapsed()) / 1e3);
        }
        report.figure("one rule changed", &spent, "us", Some("must 50, aim 5"));
        report.figure(
            &format!("one lookup after {} changes", changed.changes()),
            &[self.single(&changed, keys)],
            "ns",
            None,
        );
        let member = AddressSet::of_nets([&"10.0.3.7/32".parse().expect("a net")]);
        let mut spent = Vec::new();
        let mut changed = self.classifier.clone();
        for n in 0..changes / 2 {
            let set = SetId((n * self.sets.len() / changes) as u32);
            let members = vec![MemberChange { set, leave: AddressSet::empty(), join: member.clone() }];
            let patch = Patch { members, ..Patch::default() };
            let start = Instant::now();
            changed = black_box(changed.patched(&patch));
            spent.push(nanos(start.elapsed()) / 1e3);
        }
        report.figure("one address joins a set", &spent, "us", Some("must 50, aim 5"));
    }
}
