//! What changes by itself while the process runs: files of the directory of endpoints, and manifests.
//!
//! Files are looked at every now and then, by time and size, as with a renamed log file: it works on every file system, and a
//! change of one file among thousands costs one file. A file of endpoints that changed becomes changes of those endpoints; a
//! changed manifest means that the configuration has to be read again, which costs more and happens less often.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ravelin_config::{Config, resources::Endpoint};

use super::{called, endpoint_files, one_line};
use crate::policy::Change;

/// When a file was changed last, and how: equal if it is the same file as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    seconds: i64,
    nanoseconds: i64,
    size: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            size: metadata.size(),
            inode: metadata.ino(),
        })
    }
}

/// What was found to have changed.
#[derive(Debug, Default)]
pub struct Watched {
    /// Endpoints that came, changed or went.
    pub changes: Vec<Change>,
    /// Files of endpoints that cannot be used, in one line each; what they said before still holds.
    pub refused: Vec<String>,
    /// Whether manifests changed, came or went.
    pub manifests: bool,
}

impl Watched {
    /// Whether nothing has changed.
    pub fn is_nothing(&self) -> bool {
        self.changes.is_empty() && self.refused.is_empty() && !self.manifests
    }
}

/// What the files were like when they were looked at last.
#[derive(Debug, Default)]
pub struct Watcher {
    endpoints: BTreeMap<PathBuf, (Stamp, Vec<Endpoint>)>,
    manifests: BTreeMap<PathBuf, Stamp>,
    /// Endpoints that are declared elsewhere, which no file of the directory may change.
    declared: HashSet<Name>,
}

/// Namespace and name of an endpoint.
type Name = (Option<String>, String);

fn name_of(endpoint: &Endpoint) -> Name {
    (endpoint.namespace.clone(), endpoint.name.clone())
}

impl Watcher {
    /// Begins to watch what a configuration names that was just loaded.
    pub fn new(config: &Config) -> Self {
        let mut watcher = Self::default();
        watcher.look_at_manifests(config);
        for path in endpoints_of(config) {
            if let Some(stamp) = Stamp::of(&path) {
                let endpoints = ravelin_config::load_endpoints(&path).unwrap_or_default();
                watcher.endpoints.insert(path, (stamp, endpoints));
            }
        }
        let watched: HashSet<Name> =
            watcher.endpoints.values().flat_map(|(_, endpoints)| endpoints).map(name_of).collect();
        let declared = config.resources.endpoints.iter().map(name_of);
        watcher.declared = declared.filter(|name| !watched.contains(name)).collect();
        watcher
    }

    /// Whether there is anything to watch.
    pub fn is_needed(config: &Config) -> bool {
        config.endpoints_dir.is_some() || !config.manifests.is_empty()
    }

    /// Looks at all files, and says what has changed since the last time.
    pub fn look(&mut self, config: &Config) -> Watched {
        let mut watched = Watched { manifests: self.look_at_manifests(config), ..Watched::default() };
        let files = endpoints_of(config);
        let mut before: Vec<Endpoint> = Vec::new();
        let mut after: Vec<Endpoint> = Vec::new();
        let gone: Vec<_> = self.endpoints.keys().filter(|path| !files.contains(path)).cloned().collect();
        for path in gone {
            before.extend(self.endpoints.remove(&path).into_iter().flat_map(|(_, endpoints)| endpoints));
        }
        for path in files {
            let Some(stamp) = Stamp::of(&path) else { continue };
            if self.endpoints.get(&path).is_some_and(|(known, _)| *known == stamp) {
                continue;
            }
            match ravelin_config::load_endpoints(&path) {
                Ok(endpoints) => {
                    after.extend(endpoints.iter().cloned());
                    let old = self.endpoints.insert(path, (stamp, endpoints));
                    before.extend(old.into_iter().flat_map(|(_, endpoints)| endpoints));
                }
                Err(report) => {
                    watched.refused.push(one_line(&path, &report));
                    // It is looked at again when it changes.
                    self.endpoints.entry(path).or_insert((stamp, Vec::new())).0 = stamp;
                }
            }
        }
        watched.changes = self.changes(&before, after, &mut watched.refused);
        watched
    }

    /// From endpoints before and after to what has to change. What stays as it is, in another file perhaps, is no change.
    fn changes(&self, before: &[Endpoint], after: Vec<Endpoint>, refused: &mut Vec<String>) -> Vec<Change> {
        let now: HashSet<Name> =
            self.endpoints.values().flat_map(|(_, endpoints)| endpoints).map(name_of).collect();
        let gone =
            before.iter().map(name_of).filter(|name| !now.contains(name) && !self.declared.contains(name));
        let mut changes: Vec<_> = gone.map(|(namespace, name)| Change::NoEndpoint(namespace, name)).collect();
        for new in after {
            if self.declared.contains(&name_of(&new)) {
                refused.push(format!(
                    "the endpoint `{}` is declared in the configuration already",
                    called(&new)
                ));
            } else if !before.contains(&new) {
                changes.push(Change::Endpoint(Box::new(new)));
            }
        }
        changes
    }

    fn look_at_manifests(&mut self, config: &Config) -> bool {
        let files = config.manifests.iter().filter_map(|pattern| pattern.files().ok()).flatten();
        let now = files.filter_map(|path| Some((path.clone(), Stamp::of(&path)?))).collect();
        let changed = self.manifests != now;
        self.manifests = now;
        changed
    }
}

fn endpoints_of(config: &Config) -> Vec<PathBuf> {
    let directory = config.endpoints_dir.as_deref();
    directory.and_then(|directory| endpoint_files(directory).ok()).unwrap_or_default()
}
