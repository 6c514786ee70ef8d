//! What changes by itself while the process runs: files of the directory of endpoints, and manifests.
//!
//! Files are looked at every now and then, by time and size, as with a renamed log file: it works on every file system, and a
//! change of one file among thousands costs one file. A file of endpoints that changed becomes changes of those endpoints; a
//! changed manifest means that the configuration has to be read again, which costs more and happens less often.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ravelin_config::{Config, resources::Endpoint};

use super::{called, endpoint_files, held_twice, one_line};
use crate::policy::Change;

/// When a file was changed last, and how: equal if it is the same file as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    seconds: i64,
    nanoseconds: i64,
    size: u64,
    inode: u64,
}

impl Stamp {
    /// That of the file at `path`, if there is one.
    pub(crate) fn of(path: &Path) -> Option<Self> {
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
    /// Whether the directory could not be read: that is said once.
    is_lost: bool,
}

/// Namespace and name of an endpoint.
type Name = (Option<String>, String);

fn name_of(endpoint: &Endpoint) -> Name {
    (endpoint.namespace.clone(), endpoint.name.clone())
}

/// What became of a file: it is another than before, or gone.
type Update = (PathBuf, Option<(Stamp, Vec<Endpoint>)>);

impl Watcher {
    /// Begins to watch what a configuration names that was just loaded.
    pub fn new(config: &Config) -> Self {
        let mut watcher = Self::default();
        watcher.look_at_manifests(config);
        for path in endpoints_of(config).unwrap_or_default() {
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
        let updates = self.updates(config, &mut watched.refused);
        if updates.is_empty() {
            return watched;
        }
        let mut names = BTreeSet::new();
        for (path, now) in &updates {
            let before = self.endpoints.get(path).into_iter().chain(now);
            names.extend(before.flat_map(|(_, endpoints)| endpoints).map(name_of));
        }
        let before = self.holders(&names);
        let updated: Vec<_> = updates.iter().map(|(path, _)| path.clone()).collect();
        for (path, now) in updates {
            match now {
                Some(now) => drop(self.endpoints.insert(path, now)),
                None => drop(self.endpoints.remove(&path)),
            }
        }
        let after = self.holders(&names);
        for path in updated {
            self.not_in_force(&path, &after, &mut watched.refused);
        }
        names.retain(|name| !self.declared.contains(name));
        // What is gone comes first: its addresses may be another's now.
        for (namespace, name) in
            names.iter().filter(|name| before.contains_key(name) && !after.contains_key(name))
        {
            watched.changes.push(Change::NoEndpoint(namespace.clone(), name.clone()));
        }
        for name in &names {
            let (was, is) = (before.get(name), after.get(name));
            if let Some((_, is)) = is.filter(|(_, is)| was.is_none_or(|(_, was)| was != is)) {
                watched.changes.push(Change::Endpoint(Box::new(is.clone())));
            }
        }
        watched
    }

    /// The files that changed, came or went. One that cannot be used stays what it was.
    fn updates(&mut self, config: &Config, refused: &mut Vec<String>) -> Vec<Update> {
        let files = match endpoints_of(config) {
            Ok(files) => files,
            Err(wrong) => {
                // A directory that cannot be read is not an empty one: everything stays.
                refused.extend((!self.is_lost).then_some(wrong));
                self.is_lost = true;
                return Vec::new();
            }
        };
        self.is_lost = false;
        let there: HashSet<_> = files.iter().collect();
        let gone = self.endpoints.keys().filter(|path| !there.contains(path));
        let mut updates: Vec<Update> = gone.map(|path| (path.clone(), None)).collect();
        for path in files {
            let Some(stamp) = Stamp::of(&path) else { continue };
            if self.endpoints.get(&path).is_some_and(|(known, _)| *known == stamp) {
                continue;
            }
            match ravelin_config::load_endpoints(&path) {
                Ok(endpoints) => updates.push((path, Some((stamp, endpoints)))),
                Err(report) => {
                    refused.push(one_line(&path, &report));
                    // It is looked at again when it changes.
                    self.endpoints.entry(path).or_insert((stamp, Vec::new())).0 = stamp;
                }
            }
        }
        updates
    }

    /// Which file each of some endpoints is in, and as what: as when the configuration is loaded, the first one counts.
    fn holders(&self, names: &BTreeSet<Name>) -> HashMap<Name, (PathBuf, Endpoint)> {
        let mut holders = HashMap::new();
        for (path, (_, endpoints)) in &self.endpoints {
            for endpoint in endpoints {
                let name = name_of(endpoint);
                if names.contains(&name) {
                    holders.entry(name).or_insert_with(|| (path.clone(), endpoint.clone()));
                }
            }
        }
        holders
    }

    /// Reports the endpoints of a file that are declared elsewhere.
    fn not_in_force(
        &self,
        path: &Path,
        holders: &HashMap<Name, (PathBuf, Endpoint)>,
        refused: &mut Vec<String>,
    ) {
        for endpoint in self.endpoints.get(path).into_iter().flat_map(|(_, endpoints)| endpoints) {
            let name = name_of(endpoint);
            if self.declared.contains(&name) {
                let called = called(endpoint);
                refused.push(format!("the endpoint `{called}` is declared in the configuration already"));
            } else if holders.get(&name).is_some_and(|(holder, _)| holder != path) {
                refused.push(held_twice(path, endpoint));
            }
        }
    }

    fn look_at_manifests(&mut self, config: &Config) -> bool {
        let files = config.manifests.iter().filter_map(|pattern| pattern.files().ok()).flatten();
        let now = files.filter_map(|path| Some((path.clone(), Stamp::of(&path)?))).collect();
        let changed = self.manifests != now;
        self.manifests = now;
        changed
    }
}

/// The files of the directory of endpoints; none if there is no such directory to look at.
fn endpoints_of(config: &Config) -> Result<Vec<PathBuf>, String> {
    let directory = config.endpoints_dir.as_deref();
    directory.map_or(Ok(Vec::new()), endpoint_files)
}
