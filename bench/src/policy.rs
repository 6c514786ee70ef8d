//! The policy engine on sets of the size that large clusters have: full compilation, one new flow judged, one thing changed.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use ravelin_config::{
    resources::{Endpoint, Labels, NetworkSet, Policy, Resources},
    types::{Action, IpNet, Protocol},
};
use ravelin_control::policy::{Change, Engine, Members, Settings};
use ravelin_dataplane::policy::Key;

use crate::harness::{Report, state_calibration};

/// How large, how often.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// Runs of everything.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Flows that are judged in each run.
    #[arg(long, default_value_t = 20_000)]
    flows: usize,
}

/// A cluster, and flows that happen in it.
struct Shape {
    name: &'static str,
    resources: Resources,
    flows: Vec<Key>,
}

/// Numbers that are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

pub(crate) fn run(report: &Report, options: &Options) {
    state_calibration(report);
    for shape in [calico(options.flows), cluster(options.flows)] {
        measure(report, &shape, options.rounds);
    }
}

fn measure(report: &Report, shape: &Shape, rounds: usize) {
    let Shape { name, resources, flows } = shape;
    report.heading(name);
    let settings = Settings {
        unknown: Action::Allow,
        on_change: ravelin_config::resources::OnChange::Drop,
        reject_rate: 1000,
        failsafe_inbound: Vec::new(),
        failsafe_outbound: Vec::new(),
        zones: ravelin_control::policy::Zones::default(),
        feeds: Vec::new(),
        indicators: std::sync::Arc::default(),
    };
    let mut compiled = Vec::new();
    let mut engine = Engine::new(resources.clone(), settings.clone()).expect("it compiles");
    for _ in 0..rounds {
        let resources = resources.clone();
        let start = Instant::now();
        engine = Engine::new(resources, settings.clone()).expect("it compiles");
        compiled.push(start.elapsed().as_secs_f64() * 1e3);
    }
    report.figure("compile everything", &compiled, "ms", Some("must be below 1000"));

    let mut judged = Vec::new();
    let mut allowed = 0;
    for _ in 0..rounds {
        let start = Instant::now();
        for key in flows {
            allowed += usize::from(black_box(engine.policy().judge(key)).action == Action::Allow);
        }
        judged.push(start.elapsed().as_secs_f64() * 1e9 / flows.len() as f64);
    }
    report.figure("judge one new flow, with its trace", &judged, "ns", Some("must be below 20000"));
    report.note(&format!(
        "{:.0} % of the flows are allowed",
        100.0 * allowed as f64 / (rounds * flows.len()) as f64
    ));

    let mut dice = Dice(0x5eed);
    let policies: Vec<&Policy> = resources.policies.iter().collect();
    let mut changed = Vec::new();
    for round in 0..rounds * 4 {
        let mut policy = policies[dice.below(policies.len())].clone();
        let last = if policy.ingress.is_empty() { &mut policy.egress } else { &mut policy.ingress };
        if let Some(rule) = last.last_mut() {
            rule.description = Some(format!("changed {round}"));
            rule.destination.ports = vec![ravelin_config::resources::PortMatch::Range(
                ravelin_config::types::PortRange::single(20_000 + round as u16),
            )];
        }
        let start = Instant::now();
        engine.apply(vec![Change::Policy(Box::new(policy))]).expect("it compiles");
        black_box(engine.policy().clone());
        changed.push(start.elapsed().as_secs_f64() * 1e6);
        engine.renew().expect("it compiles");
    }
    report.figure("change one policy", &changed, "µs", Some("must be below 10000"));

    if let Some(set) = resources.network_sets.first() {
        let mut joined = Vec::new();
        for round in 0..rounds * 4 {
            let address = Ipv4Addr::from(0xc800_0000 + round as u32 * 7);
            let members = Members {
                namespace: None,
                name: set.name.clone(),
                join: vec![IpNet::from(IpAddr::V4(address))],
                leave: Vec::new(),
            };
            let start = Instant::now();
            engine.apply(vec![Change::Members(members)]).expect("it compiles");
            black_box(engine.policy().clone());
            joined.push(start.elapsed().as_secs_f64() * 1e6);
            engine.renew().expect("it compiles");
        }
        let size = set.nets.len();
        report.figure(
            &format!("add one member to a set of {size}"),
            &joined,
            "µs",
            Some("must be below 100"),
        );
    }

    let mut relabelled = Vec::new();
    for round in 0..rounds * 4 {
        let mut endpoint = resources.endpoints[dice.below(resources.endpoints.len())].clone();
        endpoint.labels.insert("role", format!("r{}", round % 10));
        let start = Instant::now();
        engine.apply(vec![Change::Endpoint(Box::new(endpoint))]).expect("it compiles");
        black_box(engine.policy().clone());
        relabelled.push(start.elapsed().as_secs_f64() * 1e6);
        engine.renew().expect("it compiles");
    }
    report.figure("relabel one endpoint", &relabelled, "µs", None);
}

fn flow(source: Ipv4Addr, destination: Ipv4Addr, port: u16) -> Key {
    Key {
        source: IpAddr::V4(source),
        destination: IpAddr::V4(destination),
        protocol: Protocol::TCP,
        source_port: 40_000,
        destination_port: port,
        zones: Key::NO_ZONES,
    }
}

/// Policies as TOML, which is how they are written.
fn resources(text: &str) -> Resources {
    match ravelin_config::parse(text, "shape") {
        Ok(loaded) => loaded.config.resources,
        Err(report) => panic!("{report}"),
    }
}

/// What was published of a large production deployment of Calico: 294 policies of 68 rules on one endpoint, 3,700 sets with 256
/// thousand members. One set holds 100 thousand.
fn calico(flows: usize) -> Shape {
    const SETS: usize = 3_700;
    const LARGE: usize = 100_000;
    const MEMBERS: usize = 256_000;
    let mut dice = Dice(294);
    let mut text = String::new();
    // Of each rule: which set, which port.
    let mut rules = Vec::new();
    for policy in 0..294 {
        text.push_str(&format!(
            "[[policy]]\nname = \"p{policy:03}\"\norder = {policy}\ntypes = [\"ingress\"]\n"
        ));
        for rule in 0..68 {
            let set = dice.below(SETS);
            let port = 1000 + (policy * 68 + rule) % 20_000;
            rules.push((set, port as u16));
            let action = if dice.below(4) == 0 { "deny" } else { "allow" };
            text.push_str(&format!(
                "[[policy.ingress]]\naction = \"{action}\"\nprotocol = \"tcp\"\nsource = {{ selector = \"set == 's{set}'\" }}\ndestination = {{ ports = [{port}] }}\n"
            ));
        }
    }
    let mut resources = resources(&text);
    let mut sets: Vec<NetworkSet> = (0..SETS)
        .map(|set| NetworkSet {
            name: format!("s{set}"),
            namespace: None,
            labels: Labels::from_iter([("set", format!("s{set}"))]),
            nets: Vec::new(),
            nets_file: None,
            except: Vec::new(),
            domains: Vec::new(),
        })
        .collect();
    let mut sources = Vec::new();
    for member in 0..MEMBERS {
        let set = if member < LARGE { 0 } else { 1 + dice.below(SETS - 1) };
        let address = Ipv4Addr::from(0x0a00_0000 + dice.below(1 << 20) as u32);
        sources.push(address);
        sets[set].nets.push(IpNet::from(IpAddr::V4(address)));
    }
    resources.network_sets = sets;
    let own = Ipv4Addr::new(192, 0, 2, 1);
    resources.endpoints.push(endpoint("node", None, own, &[("role", "node".to_owned())]));
    let flows = (0..flows).map(|_| {
        // Half of them are meant by a rule.
        let (set, port) = rules[dice.below(rules.len())];
        match resources.network_sets[set].nets.as_slice() {
            [IpNet::V4(net), ..] if dice.below(2) == 0 => flow(net.addr(), own, port),
            _ => flow(sources[dice.below(sources.len())], own, 1000 + dice.below(20_000) as u16),
        }
    });
    let flows = flows.collect();
    Shape {
        name: "Calico's published shape: 294 policies of 68 rules, 3,700 sets, 256,000 members",
        resources,
        flows,
    }
}

/// Ten thousand policies over ten thousand pods in a thousand namespaces.
fn cluster(flows: usize) -> Shape {
    const NAMESPACES: usize = 1_000;
    let mut dice = Dice(10_000);
    let mut text = String::new();
    for namespace in 0..NAMESPACES {
        text.push_str(&format!(
            "[[namespace]]\nname = \"n{namespace}\"\nlabels = {{ team = \"t{}\" }}\n",
            namespace % 50
        ));
        for policy in 0..10 {
            text.push_str(&format!(
                "[[policy]]\nname = \"p{policy}\"\nnamespace = \"n{namespace}\"\norder = 1000\nselector = \"role == 'r{policy}'\"\ntypes = [\"ingress\", \"egress\"]\n"
            ));
            for rule in 0..3 {
                let role = dice.below(10);
                text.push_str(&format!(
                    "[[policy.ingress]]\naction = \"allow\"\nprotocol = \"tcp\"\nsource = {{ selector = \"role == 'r{role}'\" }}\ndestination = {{ ports = [{}] }}\n",
                    80 + rule
                ));
            }
            text.push_str(&format!(
                "[[policy.egress]]\naction = \"allow\"\ndestination = {{ namespace_selector = \"team == 't{}'\" }}\n",
                dice.below(50)
            ));
        }
    }
    let mut resources = resources(&text);
    let address = |pod: usize| Ipv4Addr::from(0x0a00_0000 + pod as u32);
    for pod in 0..NAMESPACES * 10 {
        let (namespace, role) = (format!("n{}", pod / 10), format!("r{}", pod % 10));
        let labels = [("role", role), ("app", format!("a{}", pod % 97))];
        let pod_endpoint = endpoint(&format!("pod{pod}"), Some(namespace), address(pod), &labels);
        resources.endpoints.push(pod_endpoint);
    }
    let flows = (0..flows).map(|_| {
        let from = dice.below(NAMESPACES * 10);
        // Half of them stay in their namespace.
        let to =
            if dice.below(2) == 0 { from / 10 * 10 + dice.below(10) } else { dice.below(NAMESPACES * 10) };
        flow(address(from), address(to), 80 + dice.below(4) as u16)
    });
    let flows = flows.collect();
    Shape { name: "A cluster: 10,000 policies, 10,000 pods, 1,000 namespaces", resources, flows }
}

fn endpoint(name: &str, namespace: Option<String>, address: Ipv4Addr, labels: &[(&str, String)]) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        namespace,
        kind: ravelin_config::resources::EndpointKind::Workload,
        addresses: vec![IpNet::from(IpAddr::V4(address))],
        labels: labels.iter().map(|(label, value)| (*label, value.clone())).collect(),
        service_account: None,
        ports: Vec::new(),
        profiles: Vec::new(),
    }
}
