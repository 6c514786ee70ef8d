//! Where configuration comes from: the file with what it includes, manifests, and the directory of endpoints.
//!
//! [`load`] reads all of it into one `Config`, for every verb. A running process also watches what may change by itself
//! (`watch.rs`). Promises: a manifest that cannot be read refuses the whole configuration, so that the old one stays; part of a
//! manifest that cannot be carried over fails closed and is reported; a file of an endpoint that cannot be used is left out and
//! reported, since whoever writes such files is a program. Refuses: to resolve conflicts; two things of one name are an error.

#[cfg(test)]
mod tests;
mod watch;

pub use watch::{Watched, Watcher};

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use ravelin_config::{
    Code, Config, Loaded, Report,
    resources::{Endpoint, Resources},
};

use crate::manifests::{self, Severity};

/// Loads a configuration with all that it names.
///
/// # Errors
/// A [`Report`] of everything that is wrong, warnings included.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let mut loaded = ravelin_config::load(path)?;
    let (manifests, report) = read_manifests(&loaded.config, loaded.warnings);
    let (endpoints, report) = read_endpoints(&loaded.config, report);
    loaded.warnings = join(&mut loaded.config.resources, [manifests, endpoints], report);
    if loaded.warnings.errors() > 0 { Err(loaded.warnings) } else { Ok(loaded) }
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
    (imported.resources, report)
}

/// The files of the directory of endpoints, sorted.
fn endpoint_files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
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
}

/// What the directory of endpoints holds.
fn read_endpoints(config: &Config, mut report: Report) -> (Resources, Report) {
    let mut resources = Resources::default();
    let Some(directory) = &config.endpoints_dir else { return (resources, report) };
    let files = match endpoint_files(directory) {
        Ok(files) => files,
        Err(error) => {
            let message =
                format!("cannot read the directory of endpoints `{}`: {error}", directory.display());
            return (resources, report.with(Code::Unreadable, message));
        }
    };
    let mut names = HashSet::new();
    for file in files {
        match ravelin_config::load_endpoints(&file) {
            Ok(endpoints) => {
                for endpoint in endpoints {
                    if names.insert((endpoint.namespace.clone(), endpoint.name.clone())) {
                        resources.endpoints.push(endpoint);
                    } else {
                        let name = called(&endpoint);
                        let message =
                            format!("`{}`: another file has the endpoint `{name}` too", file.display());
                        report = report.with(Code::EndpointFile, message);
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

fn called(endpoint: &Endpoint) -> String {
    match &endpoint.namespace {
        Some(namespace) => format!("{namespace}/{}", endpoint.name),
        None => endpoint.name.clone(),
    }
}

/// Adds resources from elsewhere, and reports those that are there already.
fn join<const N: usize>(resources: &mut Resources, others: [Resources; N], mut report: Report) -> Report {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (source, part) in std::iter::once(&*resources).chain(&others).enumerate() {
        for name in names(part) {
            // Within one source, whoever reads it has looked.
            if *seen.entry(name.clone()).or_insert(source) != source {
                report =
                    report.with(Code::Duplicate, format!("{name} is declared twice, in different places"));
            }
        }
    }
    others.into_iter().for_each(|part| resources.extend(part));
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
