//! What Kubernetes says that network policies mean, as tables of who reaches whom.
//!
//! A case is a Markdown file under `tests/conformance/cases/`: a sentence that says what must be and why, manifests that are
//! applied to the cluster of `tests/conformance/cluster.yaml` or deleted from it, and tables for the state that results. Several
//! states in one file are an update. `tests/conformance/README.md` has the format. The tables come from the sentences, never from
//! an implementation; nothing here can write them.
//!
//! Promises: a case that says less than everything about a state (a port of [`PORTS`] in one of the families) is an error, as is
//! a manifest that comes over with one. Refuses: to parse YAML; that is the importer's work. An object is known by the `kind` and
//! the `metadata` of its manifest, which stand in a line each.
//! Read next: `conformance/table.rs`.

mod table;
#[cfg(test)]
mod tests;

pub use table::{Cell, Table};

use crate::{
    binary,
    oracle::{Flow, Oracle, Settings, Verdict},
};
use ravelin_config::{
    resources::Resources,
    types::{IpNet, Protocol},
};
use ravelin_control::manifests;
use std::{collections::BTreeMap, fs, net::IpAddr};

/// Those between whom reachability is asked for, in the order of rows and columns: nine pods, and an address outside of the cluster.
pub const ENDS: [&str; 10] = ["x/a", "x/b", "x/c", "y/a", "y/b", "y/c", "z/a", "z/b", "z/c", "out"];

/// The addresses outside of the cluster.
pub const OUTSIDE: [&str; 2] = ["203.0.113.1", "2001:db8:ff::1"];

/// What every state must say something about, in both families.
pub const PORTS: [(Protocol, u16); 3] = [(Protocol::TCP, 80), (Protocol::TCP, 81), (Protocol::UDP, 80)];

/// One file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, without the extension.
    pub name: String,
    /// The states that it goes through.
    pub states: Vec<State>,
}

/// The cluster at one time, and who must reach whom then.
#[derive(Clone, Debug)]
pub struct State {
    /// All manifests.
    pub manifests: String,
    /// What they are.
    pub resources: Resources,
    /// Who reaches whom.
    pub tables: Vec<Table>,
}

/// One question to an implementation.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Row and column.
    pub ends: (usize, usize),
    /// The flow, by the addresses that the ends have in this state.
    pub flow: Flow,
    /// Whether it must be allowed.
    pub allowed: bool,
}

impl State {
    /// The address of an end.
    ///
    /// # Panics
    /// If it has none in this family.
    pub fn address(&self, end: usize, version6: bool) -> IpAddr {
        let Some((namespace, name)) = ENDS[end].split_once('/') else {
            return OUTSIDE[usize::from(version6)].parse().expect("it is an address");
        };
        let ours = self
            .resources
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.namespace.as_deref() == Some(namespace) && endpoint.name == name);
        let mut nets = ours.flat_map(|endpoint| &endpoint.addresses);
        let net = nets.find(|net| matches!(net, IpNet::V6(_)) == version6);
        net.unwrap_or_else(|| panic!("{} has no address", ENDS[end])).addr()
    }

    /// Everything that the tables say, one question for each cell.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for table in &self.tables {
            for (ends, cell) in table.cells() {
                let Some(allowed) = cell.allowed() else { continue };
                for (protocol, port) in &table.ports {
                    for version6 in &table.families {
                        let flow = Flow {
                            source: self.address(ends.0, *version6),
                            destination: self.address(ends.1, *version6),
                            protocol: *protocol,
                            source_port: 40_000,
                            destination_port: *port,
                            icmp: (0, 0),
                            zones: [None; 2],
                        };
                        questions.push(Question { ends, flow, allowed });
                    }
                }
            }
        }
        questions
    }
}

/// All cases, in the order of their names.
///
/// # Panics
/// If one of them is not as it should be.
pub fn cases() -> Vec<Case> {
    let folder = binary::root().join("tests/conformance");
    let read = |path| fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let cluster = objects(&read(folder.join("cluster.yaml")));
    let entries = fs::read_dir(folder.join("cases")).expect("the cases are there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("the folder is readable").path()).collect();
    paths.sort();
    let case = |path: &std::path::PathBuf| {
        let name = path.file_stem().expect("it is a file").to_string_lossy().into_owned();
        let states = states(&name, &read(path.clone()), cluster.clone());
        Case { name, states }
    };
    paths.iter().map(case).collect()
}

/// The manifests of a text by `Kind name` or `Kind namespace/name`.
fn objects(text: &str) -> BTreeMap<String, String> {
    let documents = text.split("---\n").map(str::trim_start).filter(|text| text.contains("kind: "));
    documents.map(|document| (identity(document), document.to_owned())).collect()
}

fn identity(document: &str) -> String {
    let line = |start: &str| {
        let mut lines = document.lines().filter_map(|line| line.strip_prefix(start));
        lines.next().unwrap_or_else(|| panic!("no `{start}` in\n{document}"))
    };
    let (kind, metadata) = (line("kind: "), line("metadata: {"));
    let value = |key: &str| {
        let (_, rest) = metadata.split_once(key)?;
        rest.split([',', '}']).next()
    };
    let name = value("name: ").unwrap_or_else(|| panic!("no name in {metadata}"));
    match value("namespace: ") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// The states that the fenced blocks of a case lead through.
fn states(name: &str, text: &str, mut objects_now: BTreeMap<String, String>) -> Vec<State> {
    let mut states: Vec<State> = Vec::new();
    let mut changed = true;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (head, body) = block.split_once('\n').expect("a block has a first line");
        match head.split_once(' ').unwrap_or((head, "")) {
            ("yaml", "apply") => {
                objects_now.extend(objects(body));
                changed = true;
            }
            ("text", "delete") => {
                for key in body.lines().filter(|line| !line.is_empty()) {
                    assert!(objects_now.remove(key).is_some(), "{name}: there is no {key} to delete");
                }
                changed = true;
            }
            ("reach", what) => {
                if std::mem::take(&mut changed) {
                    let manifests = objects_now.values().cloned().collect::<Vec<_>>().join("\n---\n");
                    let resources = imported(name, &manifests);
                    states.push(State { manifests, resources, tables: Vec::new() });
                }
                let table = Table::parse(what, body).unwrap_or_else(|error| panic!("{name}: {error}"));
                states.last_mut().expect("there is a state").tables.push(table);
            }
            other => panic!("{name}: no such block: {other:?}"),
        }
    }
    assert!(!changed && !states.is_empty(), "{name}: nothing is said about the last state");
    for (number, state) in states.iter().enumerate() {
        for (protocol, port) in PORTS {
            for version6 in [false, true] {
                let said =
                    state.tables.iter().filter(|table| table.is_about(protocol, port, version6)).count();
                assert_eq!(said, 1, "{name}, state {number}: {protocol} {port}, IPv6: {version6}");
            }
        }
    }
    states
}

fn imported(name: &str, manifests: &str) -> Resources {
    let imported = manifests::import(manifests.as_bytes(), name);
    assert!(!imported.has_errors(), "{name}: {:#?}", imported.remarks);
    imported.resources
}

/// Panics unless `allowed` says of every flow of every state what the tables say. It is given a state and its flows and answers with
/// as many truths.
pub fn check(allowed: impl Fn(&Case, usize, &[Question]) -> Vec<bool>) {
    let mut wrong = Vec::new();
    for case in cases() {
        for (number, state) in case.states.iter().enumerate() {
            let questions = state.questions();
            let found = allowed(&case, number, &questions);
            assert_eq!(found.len(), questions.len());
            for (question, found) in questions.iter().zip(found) {
                if question.allowed != found {
                    let (Flow { protocol, destination_port: port, .. }, version) =
                        (question.flow, if question.flow.source.is_ipv6() { 6 } else { 4 });
                    let (from, to) = (ENDS[question.ends.0], ENDS[question.ends.1]);
                    wrong.push(format!(
                        "{}, state {number}: {from} to {to}, {protocol} {port}, IPv{version}: found {found}",
                        case.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the oracle says.
pub fn by_oracle(case: &Case, state: usize, questions: &[Question]) -> Vec<bool> {
    let settings = Settings::default();
    let oracle = Oracle::new(&case.states[state].resources, &settings);
    questions.iter().map(|question| oracle.ask(&question.flow).enforced.verdict == Verdict::Allow).collect()
}
