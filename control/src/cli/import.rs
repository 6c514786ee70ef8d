use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{Failure, target};
use crate::manifests::{Imported, Importer, Remark, Severity, files, limited, output};

/// Writes the policies, endpoints and network sets of Kubernetes and Calico manifests as configuration, to be included.
///
/// Says of everything that cannot be carried over what was done instead. What an earlier import wrote into the directory and
/// what is not needed any more is removed; files of others stay untouched.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// YAML or JSON, directories of such files, or `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The directory to write into.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

pub(super) fn run(args: &Args, json: bool) -> Result<(), Failure> {
    let (mut imported, sources) = read(&args.files)?;
    let implied = output::declare_namespaces(&mut imported.resources);
    let Imported { resources, remarks } = imported;
    let resources_of = [
        (resources.tiers.len(), "tier", "tiers"),
        (resources.policies.len(), "policy", "policies"),
        (resources.profiles.len(), "profile", "profiles"),
        (resources.namespaces.len(), "namespace", "namespaces"),
        (resources.endpoints.len(), "endpoint", "endpoints"),
        (resources.services.len(), "service", "services"),
        (resources.network_sets.len(), "network set", "network sets"),
    ];
    let files = output::render(resources, &sources).map_err(Failure::failed)?;
    let written = output::write(&args.output, &files).map_err(|error| explain(&error))?;
    let count = |severity| remarks.iter().filter(|remark: &&Remark| remark.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    if json {
        let resources: serde_json::Map<_, _> =
            resources_of.iter().map(|(count, _, many)| (many.replace(' ', "_"), json!(count))).collect();
        target::print_json(
            &json!({
                "files": written.files,
                "removed": written.removed,
                "resources": resources,
                "implied_namespaces": implied,
                "errors": errors,
                "warnings": warnings,
                "remarks": remarks,
            }),
            false,
        )?;
    } else {
        remarks.iter().try_for_each(|remark| target::print(&remark.to_string()))?;
        for namespace in &implied {
            let known = "it is declared without any labels but its name";
            target::print(&format!("note: nothing is said of the namespace {namespace}; {known}"))?;
        }
        let verbs = [("wrote", &written.files), ("removed", &written.removed)];
        for (verb, path) in verbs.iter().flat_map(|(verb, paths)| paths.iter().map(move |path| (verb, path)))
        {
            target::print(&format!("{verb} {}", path.display()))?;
        }
        let some: Vec<_> = resources_of
            .iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, many)| counted(*count, one, many))
            .collect();
        let all = if some.is_empty() { "nothing".to_owned() } else { some.join(", ") };
        let errors = counted(errors, "error", "errors");
        target::print(&format!("imported {all}; {errors}, {}", counted(warnings, "warning", "warnings")))?;
    }
    if errors == 0 {
        return Ok(());
    }
    let failure = Failure::failed("not everything was carried over")
        .help("where the report says `error`, what would be in force differs from the manifests");
    Err(if json { failure.told() } else { failure })
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What is said in these places, and what they are called.
fn read(places: &[PathBuf]) -> Result<(Imported, Vec<String>), Failure> {
    const STANDARD: &str = "-";
    let mut paths = BTreeSet::new();
    for place in places {
        if place != Path::new(STANDARD) && place.is_dir() {
            paths.extend(files(place).map_err(Failure::failed)?);
        } else {
            paths.insert(place.clone());
        }
    }
    if paths.is_empty() {
        return Err(Failure::usage("there are no manifests")
            .help("in directories, files whose names end in .yaml, .yml or .json are read"));
    }
    let mut importer = Importer::default();
    let mut sources = Vec::new();
    for path in paths {
        let (bytes, name) = if path == Path::new(STANDARD) {
            (limited(io::stdin().lock()), "standard input".to_owned())
        } else {
            (File::open(&path).and_then(limited), path.display().to_string())
        };
        let bytes = bytes.map_err(|error| Failure::failed(format_args!("cannot read {name}: {error}")))?;
        importer.read(&bytes, &name);
        sources.push(name);
    }
    Ok((importer.finish(), sources))
}

fn explain(error: &output::OutputError) -> Failure {
    match error {
        output::OutputError::NotOurs(_) => {
            Failure::failed(error).help("move it away, or write into another directory")
        }
        output::OutputError::Io { .. } | output::OutputError::Toml(_) => Failure::failed(error),
    }
}
