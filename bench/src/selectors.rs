//! Who matches which selector: labels of endpoints change one at a time, and the registered selectors are kept right.
//!
//! The cluster is as Kubernetes ones are: deployments of ten pods with eight labels each, one pod of twenty with labels that no other
//! has, namespaces with labels, profiles. The peer does what needs no index: it evaluates every selector on the changed labels.

use std::{
    collections::BTreeSet,
    hint::black_box,
    time::{Duration, Instant},
};

use ravelin_config::{
    resources::{Endpoint, EndpointKind, Labels, Namespace, Profile, Resources},
    selector::Selector,
};
use ravelin_control::identity::{Identities, ItemId, SelectorId};

use crate::{
    harness::{Report, nanos, ratios, resident, state_calibration},
    traffic::splitmix,
};

/// What to measure.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Options {
    /// Endpoints.
    #[arg(long, default_value_t = 100_000)]
    endpoints: u64,
    /// Registered selectors.
    #[arg(long, default_value_t = 1_000)]
    selectors: u64,
    /// Updates per run; the peer does a fiftieth of them.
    #[arg(long, default_value_t = 100_000)]
    updates: u64,
    /// Every endpoint has a label value that no other has: there is nothing to share.
    #[arg(long)]
    distinct: bool,
    /// Runs.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub(crate) fn run(report: &Report, options: &Options) {
    let kind = if options.distinct { "all different" } else { "as in Kubernetes" };
    report.heading(&format!("{} endpoints, {kind}, {} selectors", options.endpoints, options.selectors));
    // Memory first, while nothing that was freed can be used again.
    let resources = resources(options);
    let selectors: Vec<Selector> = (0..options.selectors).map(selector).collect();
    let before = resident();
    let mut identities = Identities::new(&resources);
    let ids: Vec<SelectorId> = selectors.iter().map(|selector| identities.register(selector)).collect();
    let each = (resident() - before) as f64 / options.endpoints as f64;
    report.figure("memory, index, names and addresses included", &[each], "B/endpoint", Some("aim 256"));
    state_calibration(report);

    let mut build = Vec::new();
    let mut scans = Vec::new();
    let (mut mean, mut median, mut worst, mut naive) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut world = World { resources, selectors, ids, identities, turn: 0, changed: 0 };
    for _ in 0..options.rounds {
        build.push(nanos(time(|| black_box(Identities::new(&world.resources)))) / 1e6);
        let mut times: Vec<f64> = (0..options.updates).map(|_| nanos(world.update()) / 1e3).collect();
        naive.push(
            (0..options.updates / 50).map(|_| nanos(world.rescan()) / 1e3).sum::<f64>() * 50.0
                / options.updates as f64,
        );
        mean.push(times.iter().sum::<f64>() / times.len() as f64);
        times.sort_by(f64::total_cmp);
        median.push(times[times.len() / 2]);
        worst.push(times[times.len() * 999 / 1000]);
        scans.push(nanos(world.look_up()) / 1e3 / world.selectors.len() as f64);
    }
    assert!(world.changed > 0, "updates change members");
    world.check();
    report.figure("one label changed, median", &median, "us", Some("aim 10"));
    report.figure("the same, mean", &mean, "us", Some("aim 10"));
    report.figure("the same, of a thousand the slowest", &worst, "us", None);
    report.figure("every selector evaluated, mean", &naive, "us", None);
    report.figure("every selector evaluated / ravelin, means", &ratios(&naive, &mean), "x", None);
    report.figure("everything anew", &build, "ms", None);
    report.figure("all members of one selector", &scans, "us", None);
}

struct World {
    resources: Resources,
    selectors: Vec<Selector>,
    /// Their numbers; the same one twice for the same one twice.
    ids: Vec<SelectorId>,
    identities: Identities,
    turn: u64,
    changed: u64,
}

impl World {
    /// Changes one label of some endpoint.
    fn change(&mut self) -> (usize, Labels) {
        self.turn += 1;
        let random = splitmix(self.turn ^ 0x5e1e_c702);
        let index = (random % self.resources.endpoints.len() as u64) as usize;
        let labels = &mut self.resources.endpoints[index].labels;
        let (label, value) = match random >> 32 & 7 {
            0 => ("app.kubernetes.io/component", pick("component-", random >> 40, 6)),
            1 => ("tier", pick("", random >> 40, TIERS.len() as u64)),
            2 => ("environment", pick("env-", random >> 40, 4)),
            3 => ("app", pick("app-", random >> 40, 2_000)),
            _ => ("version", pick("v", random >> 40, 40)),
        };
        let value =
            if label == "tier" { TIERS[value.parse::<usize>().expect("a number")].to_owned() } else { value };
        labels.insert(label, value);
        (index, labels.clone())
    }

    fn update(&mut self) -> Duration {
        let (index, labels) = self.change();
        let start = Instant::now();
        let change = self.identities.update_labels(ItemId::endpoint(index), &labels);
        let spent = start.elapsed();
        self.changed += u64::from(!change.is_nothing());
        spent
    }

    /// The same without an index; what it costs to find the labels is not counted.
    fn rescan(&mut self) -> Duration {
        let (index, labels) = self.change();
        self.identities.update_labels(ItemId::endpoint(index), &labels);
        let all = self.identities.labels(ItemId::endpoint(index));
        time(|| black_box(self.selectors.iter().filter(|selector| selector.matches(&all)).count()))
    }

    /// Asks for the members of every selector.
    fn look_up(&self) -> Duration {
        time(|| {
            for selector in &self.selectors {
                black_box(self.identities.matching(selector.expression()));
            }
        })
    }

    /// What all the updates have led to is what is true.
    fn check(&self) {
        for index in (0..self.resources.endpoints.len()).step_by(101) {
            let item = ItemId::endpoint(index);
            let all = self.identities.labels(item);
            let numbered = self.selectors.iter().zip(&self.ids);
            let matching = numbered.filter(|(selector, _)| selector.matches(&all)).map(|(_, id)| *id);
            let matching: BTreeSet<_> = matching.collect();
            assert!(matching.into_iter().eq(self.identities.selectors(item)), "endpoint {index}");
        }
    }
}

const TIERS: [&str; 5] = ["web", "api", "db", "cache", "queue"];
const NAMESPACES: u64 = 200;

fn pick(prefix: &str, random: u64, of: u64) -> String {
    format!("{prefix}{}", random % of)
}

fn labels<const N: usize>(pairs: [(&str, String); N]) -> Labels {
    pairs.into_iter().collect()
}

fn resources(options: &Options) -> Resources {
    let namespace = |n| format!("namespace-{n}");
    Resources {
        namespaces: (0..NAMESPACES)
            .map(|n| Namespace {
                name: namespace(n),
                labels: labels([
                    ("kubernetes.io/metadata.name", namespace(n)),
                    ("team", pick("team-", n, 30)),
                    ("environment", pick("env-", n, 4)),
                ]),
            })
            .collect(),
        profiles: (0..NAMESPACES)
            .map(|n| Profile {
                name: format!("ksa.{}.default", namespace(n)),
                labels_to_apply: labels([("pcsa.team", pick("team-", n, 30))]),
                ingress: Vec::new(),
                egress: Vec::new(),
            })
            .collect(),
        endpoints: (0..options.endpoints).map(|n| pod(n, options.distinct)).collect(),
        ..Resources::default()
    }
}

fn pod(n: u64, distinct: bool) -> Endpoint {
    let deployment = n / 10;
    let random = splitmix(deployment);
    let namespace = format!("namespace-{}", random % NAMESPACES);
    let name = format!("app-{}-{:010x}-{:05x}", deployment % 2_000, random >> 24, splitmix(n) >> 44);
    let mut labels = labels([
        ("app", pick("app-", deployment, 2_000)),
        ("app.kubernetes.io/component", pick("component-", random >> 8, 6)),
        ("app.kubernetes.io/part-of", pick("product-", random >> 12, 100)),
        ("environment", pick("env-", random, 4)),
        ("pod-template-hash", format!("{:010x}", random >> 24)),
        ("projectcalico.org/orchestrator", "k8s".to_owned()),
        ("tier", TIERS[(random >> 16) as usize % TIERS.len()].to_owned()),
        ("version", pick("v", random >> 20, 40)),
    ]);
    if distinct || deployment.is_multiple_of(20) {
        labels.insert("statefulset.kubernetes.io/pod-name", name.as_str());
    }
    let [_, a, b, c] = (n as u32).to_be_bytes();
    Endpoint {
        profiles: vec![format!("kns.{namespace}"), format!("ksa.{namespace}.default")],
        namespace: Some(namespace),
        name,
        kind: EndpointKind::Workload,
        addresses: vec![format!("10.{a}.{b}.{c}/32").parse().expect("an address")],
        labels,
        service_account: Some("default".to_owned()),
        ports: Vec::new(),
    }
}

/// Selectors in the proportions in which policies have them.
fn selector(n: u64) -> Selector {
    let random = splitmix(n ^ 0xab5e_11ec);
    let app = pick("app-", random >> 8, 2_000);
    let namespace = pick("namespace-", random >> 24, NAMESPACES);
    let tier = TIERS[(random >> 40) as usize % TIERS.len()];
    let text = match random % 100 {
        0..35 => format!(
            "projectcalico.org/orchestrator == 'k8s' && projectcalico.org/namespace == '{namespace}' && app == '{app}'"
        ),
        35..55 => format!("app == '{app}' && version == 'v{}'", (random >> 48) % 40),
        55..70 => format!("projectcalico.org/namespace == '{namespace}'"),
        70..78 => format!("pcns.team == 'team-{}' && tier == '{tier}'", (random >> 48) % 30),
        78..84 => format!("app in {{'{app}', 'app-1', 'app-2'}} && environment not in {{'env-0'}}"),
        84..88 => format!("has(statefulset.kubernetes.io/pod-name) && tier == '{tier}'"),
        88..92 => format!("app == '{app}' || app starts with '{app}'"),
        92..95 => format!("tier == '{tier}' && environment != 'env-{}'", (random >> 48) % 4),
        95..97 => format!("version != 'v{}'", (random >> 48) % 40),
        97..99 => format!("!has(label-{n})"),
        _ => format!("pcsa.team contains '{}'", (random >> 48) % 10),
    };
    text.parse().expect("a selector")
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let result = work();
    let spent = start.elapsed();
    drop(result);
    spent
}
