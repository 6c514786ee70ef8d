//! `ravelin test`: flows with the verdicts that they should have.

mod file;
mod junit;

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

use self::file::{Flow, TestFile};
use super::{
    DEFAULT_CONFIG, Failure,
    explain::{block, explainer, without_zone},
    target,
};
use crate::policy::{Answer, Explainer, Verdicts};

/// Checks that flows have the verdicts that they should have.
///
/// Nothing is asked of a running process: the configuration is compiled and asked. Meant for CI: the exit code is 1 if a flow has
/// another verdict than expected.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file is TOML:

  config = \"ravelin.toml\"    # relative to the file; --config wins

  [[flow]]
  name = \"the shop reaches its database\"
  from = \"shop/web-1\"       # as in `ravelin explain`
  to = \"shop/db\"
  proto = \"tcp\"             # and port, source_port, icmp_type, icmp_code, from_zone, to_zone
  port = 5432
  expect = \"allow\"          # or \"deny\", \"reject\"
  pending = \"allow\"         # with every staged policy
  policy = \"shop/default.db\" # the policy that decides, as traces call it
  rule = 0                  # and its rule; -1 for the end of its tier

Of a flow to a service, every endpoint behind it must be as expected.")]
pub(super) struct Args {
    /// The files with flows.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The configuration; else the one that the file names, else the usual one.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write what came of it to a file, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    // All are read before anything is said: a file that is wrong is no failed flow.
    let files = args.files.iter().map(|path| TestFile::read(path)).collect::<Result<Vec<_>, _>>()?;
    let mut explainers = HashMap::new();
    let mut suites = Vec::new();
    for file in files {
        let config = args.config.clone().or(file.config).unwrap_or_else(|| DEFAULT_CONFIG.into());
        if !explainers.contains_key(&config) {
            explainers.insert(config.clone(), explainer(&config)?);
        }
        let Some(explainer) = explainers.get_mut(&config) else { continue };
        let flows = file.flows.iter().map(|(line, flow)| Case::of(explainer, *line, flow)).collect();
        suites.push(Suite { file: file.path, flows });
    }
    let report = Report::of(suites);
    if let Some(path) = &args.junit {
        let write = std::fs::write(path, junit::xml(&report));
        write.map_err(|error| Failure::failed(format_args!("cannot write `{}`: {error}", path.display())))?;
    }
    if json {
        target::print_json(&report, false)?;
    } else {
        target::print(&report.to_string())?;
    }
    if report.failed > 0 { Err(Failure::failed("not every flow is as expected").told()) } else { Ok(()) }
}

/// What came of all files.
#[derive(Debug, Serialize)]
struct Report {
    /// Flows that are as expected.
    passed: usize,
    /// Flows that are not, or that cannot be asked about.
    failed: usize,
    files: Vec<Suite>,
}

/// What came of one file.
#[derive(Debug, Serialize)]
struct Suite {
    file: PathBuf,
    flows: Vec<Case>,
}

/// What came of one flow.
#[derive(Debug, Serialize)]
struct Case {
    line: usize,
    name: String,
    /// What is wrong, in one sentence; absent if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// Whether there was no answer at all.
    #[serde(skip)]
    is_error: bool,
    /// What explains it: the way of each answer that is not as expected.
    #[serde(skip)]
    ways: String,
    answers: Vec<Answer>,
}

impl Case {
    fn of(explainer: &mut Explainer, line: usize, flow: &Flow) -> Self {
        let name = flow.name();
        let answers = match explainer.ask(&flow.question()) {
            Ok(answers) => answers,
            Err(error) => {
                let (problem, ways) = (Some(error.to_string()), String::new());
                return Self { line, name, problem, is_error: true, ways, answers: Vec::new() };
            }
        };
        let (mut problem, mut ways) = (None, String::new());
        for answer in &answers {
            let Some(wrong) = flow.judge(answer) else { continue };
            if problem.is_none() {
                ways.push_str(&without_zone(explainer, &flow.question()));
            }
            problem.get_or_insert(wrong);
            ways.push_str(&block(explainer, &flow.question(), answer));
        }
        Self { line, name, problem, is_error: false, ways, answers }
    }
}

impl Flow {
    /// What is not as expected, if anything.
    fn judge(&self, answer: &Answer) -> Option<String> {
        let found = &answer.enforced;
        let mut wrong = Vec::new();
        if found.verdict != self.expect.name() {
            wrong.push(format!("expected {}, found {}", self.expect.name(), described(found)));
        }
        if let Some(expected) = self.pending.filter(|expected| expected.name() != answer.pending.verdict) {
            let found = described(&answer.pending);
            wrong.push(format!("expected {} with every staged policy, found {found}", expected.name()));
        }
        let (policy, rule) = decider(found).unzip();
        if let Some(expected) = self.policy.as_deref().filter(|expected| Some(*expected) != policy) {
            wrong.push(format!("expected `{expected}` to decide, found {}", described(found)));
        }
        if let Some(expected) = self.rule.filter(|expected| Some(expected.to_string().as_str()) != rule) {
            wrong.push(format!("expected rule {expected} to decide, found {}", described(found)));
        }
        (!wrong.is_empty()).then(|| wrong.join("; "))
    }
}

/// The policy that decided, and which of its rules: from the last entry of the way.
fn decider(verdicts: &Verdicts) -> Option<(&str, &str)> {
    let side = verdicts.ingress.as_ref().or(verdicts.egress.as_ref())?;
    let mut fields = side.trace.last()?.split('|').skip(2);
    Some((fields.next()?, fields.nth(1)?))
}

/// A verdict, and who decided, in words.
fn described(verdicts: &Verdicts) -> String {
    match decider(verdicts) {
        Some((policy, "-1")) => format!("{} by {policy}, default", verdicts.verdict),
        Some((policy, rule)) => format!("{} by {policy}, rule {rule}", verdicts.verdict),
        None => format!("{}: neither end is an endpoint", verdicts.verdict),
    }
}

impl Report {
    fn of(files: Vec<Suite>) -> Self {
        let cases = || files.iter().flat_map(|suite| &suite.flows);
        let failed = cases().filter(|case| case.problem.is_some()).count();
        Self { passed: cases().count() - failed, failed, files }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Suite { file, flows } in &self.files {
            for case in flows {
                let Some(problem) = &case.problem else { continue };
                writeln!(f, "FAILED {}:{}: {}: {problem}", Path::display(file), case.line, case.name)?;
                for line in case.ways.lines() {
                    writeln!(f, "  {line}")?;
                }
            }
        }
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}
