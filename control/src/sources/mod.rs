//! Where configuration comes from: the file with what it includes, manifests, and the directory of endpoints.
//!
//! [`load`] reads all of it into one `Config`, for every verb. A running process also watches what may change by itself
//! (`watch.rs`). Promises: a manifest that cannot be read refuses the whole configuration, so that the old one stays; part of a
//! manifest that cannot be carried over fails closed and is reported; a file of an endpoint that cannot be used is left out and
//! reported, since whoever writes such files is a program. Refuses: to resolve conflicts; two things of one name are an error.

mod references;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use watch::Stamp;
pub use watch::{Watched, Watcher};

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use ravelin_config::{
    Code, Config, Report,
    resources::{Endpoint, Resources},
};

use crate::{
    capture::check_jobs,
    feeds::Library,
    manifests::{self, Severity},
};
use references::References;

/// A configuration with all that it names.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is doubtful about it.
    pub warnings: Report,
    /// What its feeds say, as far as copies are at hand.
    pub library: Library,
}

/// Loads a configuration with all that it names.
///
/// # Errors
/// A [`Report`] of everything that is wrong, warnings included.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let loaded = ravelin_config::load(path)?;
    let (manifests, report) = read_manifests(&loaded.config, loaded.warnings);
    let (endpoints, report) = read_endpoints(&loaded.config, report);
    let own = &loaded.config.resources;
    let report = repeated([own, &manifests, &endpoints], report);
    let mut references = References::new(&[own, &manifests, &endpoints]);
    let mut report = references.check_directory(&endpoints, report);
    // Without manifests whoever read the configuration has looked, and says where.
    if !loaded.config.manifests.is_empty() {
        report = references.check(own, report);
        report = references.check(&manifests, report);
    }
    report = check_jobs(&loaded.config, report);
    let mut config = loaded.config;
    config.resources.extend(manifests);
    config.resources.extend(endpoints);
    if report.errors() > 0 {
        return Err(report);
    }
    let (library, warnings) = Library::open(&config, report);
    Ok(Loaded { config, warnings, library })
}

/// What the manifests say that a configuration names.
fn read_manifests(config: &Config, mut report: Report) -> (Resources, Report) {
    let mut files = Vec::new();
    for pattern in &config.manifests {
        match pattern.files() {
            Ok(found) if found.is_empty() => {
                report = report
                    .with(Code::NoMatch, format!("no file matches `{pattern}`, where manifests should be"));
            }
            Ok(found) => files.extend(found),
            Err(error) => report = report.with(Code::Manifest, format!("`{pattern}`: {error}")),
        }
    }
    let imported = match manifests::load(&files) {
        Ok(imported) => imported,
        Err(error) => return (Resources::default(), report.with(Code::Manifest, error.to_string())),
    };
    for remark in imported.remarks.iter().filter(|remark| remark.severity != Severity::Note) {
        // What has no kind is no object: nobody knows what it would have said.
        let is_broken = remark.severity == Severity::Error && remark.kind.is_none();
        report = report.with(if is_broken { Code::Manifest } else { Code::ManifestPart }, remark.to_string());
    }
    let mut resources = imported.resources;
    // Objects of a namespace may come without it.
    let implied = manifests::output::declare_namespaces(&mut resources);
    let declared =
        |name: &String| config.resources.namespaces.iter().any(|namespace| namespace.name == *name);
    let declared: HashSet<_> = implied.into_iter().filter(declared).collect();
    resources.namespaces.retain(|namespace| !declared.contains(&namespace.name));
    (resources, report)
}

/// The files of the directory of endpoints, sorted; or why it cannot be read.
fn endpoint_files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let list = || {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    };
    list().map_err(|error: io::Error| {
        format!("cannot read the directory of endpoints `{}`: {error}", directory.display())
    })
}

/// What the directory of endpoints holds.
fn read_endpoints(config: &Config, mut report: Report) -> (Resources, Report) {
    let mut resources = Resources::default();
    let Some(directory) = &config.endpoints_dir else { return (resources, report) };
    let files = match endpoint_files(directory) {
        Ok(files) => files,
        Err(wrong) => return (resources, report.with(Code::Unreadable, wrong)),
    };
    let mut names = HashSet::new();
    for file in files {
        match ravelin_config::load_endpoints(&file) {
            Ok(endpoints) => {
                for endpoint in endpoints {
                    if names.insert((endpoint.namespace.clone(), endpoint.name.clone())) {
                        resources.endpoints.push(endpoint);
                    } else {
                        report = report.with(Code::EndpointFile, held_twice(&file, &endpoint));
                    }
                }
            }
            Err(wrong) => report = report.with(Code::EndpointFile, one_line(&file, &wrong)),
        }
    }
    (resources, report)
}

/// The first thing that is wrong with a file, in one line.
fn one_line(file: &Path, report: &Report) -> String {
    let first = report.diagnostics().first();
    let line = first.and_then(|finding| finding.span.as_ref()).map(|span| format!(":{}", span.line));
    let message = first.map_or("", |finding| finding.message.as_str());
    format!("`{}{}` is left out: {message}", file.display(), line.unwrap_or_default())
}

fn held_twice(file: &Path, endpoint: &Endpoint) -> String {
    format!("`{}`: another file has the endpoint `{}` too", file.display(), called(endpoint))
}

fn called(endpoint: &Endpoint) -> String {
    match &endpoint.namespace {
        Some(namespace) => format!("{namespace}/{}", endpoint.name),
        None => endpoint.name.clone(),
    }
}

/// Reports what more than one source declares.
fn repeated(sources: [&Resources; 3], mut report: Report) -> Report {
    const KINDS: [&str; 3] = ["the configuration", "a manifest", "the directory of endpoints"];
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (source, kind) in sources.into_iter().zip(KINDS) {
        for name in names(source) {
            // Within one source, whoever reads it has looked.
            let first = *seen.entry(name.clone()).or_insert(kind);
            if first != kind {
                report = report.with(Code::Duplicate, format!("{name} is declared in {first} and in {kind}"));
            }
        }
    }
    report
}

/// What tells each resource from all others, in words.
fn names(resources: &Resources) -> impl Iterator<Item = String> + '_ {
    let within = |namespace: &Option<String>, name: &str| match namespace {
        Some(namespace) => format!("`{namespace}/{name}`"),
        None => format!("`{name}`"),
    };
    let tiers = resources.tiers.iter().map(|tier| format!("the tier `{}`", tier.name));
    let policies = resources.policies.iter().map(move |policy| {
        let staged = if policy.staged.is_some() { "staged " } else { "" };
        format!("the {staged}policy {} of tier `{}`", within(&policy.namespace, &policy.name), policy.tier)
    });
    let profiles = resources.profiles.iter().map(|profile| format!("the profile `{}`", profile.name));
    let namespaces =
        resources.namespaces.iter().map(|namespace| format!("the namespace `{}`", namespace.name));
    let endpoints =
        resources.endpoints.iter().map(move |it| format!("the endpoint {}", within(&it.namespace, &it.name)));
    let services =
        resources.services.iter().map(move |it| format!("the service {}", within(&it.namespace, &it.name)));
    let sets = resources
        .network_sets
        .iter()
        .map(move |it| format!("the network set {}", within(&it.namespace, &it.name)));
    tiers.chain(policies).chain(profiles).chain(namespaces).chain(endpoints).chain(services).chain(sets)
}
