//! Resources as files of configuration, which a main file can include.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
};

use ravelin_config::resources::{Namespace, Policy, Resources};

/// How a file of ours begins. What does not is never touched.
const MARK: &str = "# Made by `ravelin import`";

/// What was done to a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The files that are there now.
    pub files: Vec<PathBuf>,
    /// Files of an earlier import that are not needed any more, and were removed.
    pub removed: Vec<PathBuf>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A file of somebody else is in the way.
    #[error("`{}` is in the way: `ravelin import` did not write it", .0.display())]
    NotOurs(PathBuf),
    /// The operating system refused.
    #[error("cannot write `{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A resource that TOML cannot express.
    #[error("cannot express this as TOML: {0}")]
    Toml(#[from] toml::ser::Error),
}

/// Declares the namespaces that are only mentioned, with the label that each namespace of a cluster has, so that what is
/// written can stand alone. Returns their names.
pub fn declare_namespaces(resources: &mut Resources) -> Vec<String> {
    let mentioned = (resources.policies.iter().map(|it| &it.namespace))
        .chain(resources.endpoints.iter().map(|it| &it.namespace))
        .chain(resources.services.iter().map(|it| &it.namespace))
        .chain(resources.network_sets.iter().map(|it| &it.namespace));
    let mut missing: BTreeSet<String> = mentioned.flatten().cloned().collect();
    for namespace in &resources.namespaces {
        missing.remove(&namespace.name);
    }
    resources.namespaces.extend(missing.iter().map(|name| Namespace {
        name: name.clone(),
        labels: [("kubernetes.io/metadata.name", name.as_str())].into_iter().collect(),
    }));
    missing.into_iter().collect()
}

/// The files that say the same as `resources`, by their names: those of whole clusters by kind, and one for each namespace.
/// What is said of them comes in the order of its names, so that the same resources make the same bytes.
///
/// # Errors
/// [`OutputError::Toml`], which no resources are known to cause.
pub fn render(mut resources: Resources, sources: &[String]) -> Result<BTreeMap<String, String>, OutputError> {
    resources.tiers.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
    resources.profiles.sort_by(|a, b| a.name.cmp(&b.name));
    resources.policies.sort_by(|a, b| {
        let key = |it: &Policy| (it.order, it.staged.is_some());
        (&a.tier, key(a), &a.name).cmp(&(&b.tier, key(b), &b.name))
    });
    resources.namespaces.sort_by(|a, b| a.name.cmp(&b.name));
    resources.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    resources.services.sort_by(|a, b| a.name.cmp(&b.name));
    resources.network_sets.sort_by(|a, b| a.name.cmp(&b.name));

    let mut parts = Parts::default();
    let Resources { tiers, policies, profiles, namespaces, endpoints, services, network_sets, .. } =
        resources;
    parts.file("tiers.toml").tiers = tiers;
    parts.file("namespaces.toml").namespaces = namespaces;
    parts.file("profiles.toml").profiles = profiles;
    policies.into_iter().for_each(|it| parts.of(it.namespace.as_ref()).policies.push(it));
    endpoints.into_iter().for_each(|it| parts.of(it.namespace.as_ref()).endpoints.push(it));
    services.into_iter().for_each(|it| parts.of(it.namespace.as_ref()).services.push(it));
    network_sets.into_iter().for_each(|it| parts.of(it.namespace.as_ref()).network_sets.push(it));

    let head = head(sources);
    let file = |(name, part)| Ok((name, format!("{head}\n{}", toml::to_string(&part)?)));
    parts.0.into_iter().filter(|(_, part)| *part != Resources::default()).map(file).collect()
}

/// What goes into each file.
#[derive(Default)]
struct Parts(BTreeMap<String, Resources>);

impl Parts {
    fn file(&mut self, name: &str) -> &mut Resources {
        self.0.entry(name.to_owned()).or_default()
    }

    /// The file of a namespace, or of what has none.
    fn of(&mut self, namespace: Option<&String>) -> &mut Resources {
        match namespace {
            Some(namespace) => self.file(&format!("ns-{namespace}.toml")),
            None => self.file("global.toml"),
        }
    }
}

/// Says where a file comes from.
fn head(sources: &[String]) -> String {
    /// Sources that are named.
    const NAMED: usize = 20;
    let mut head = format!("{MARK}, which will write it anew: do not edit. It was made from\n");
    for source in sources.iter().take(NAMED) {
        // A name of a file may hold anything, a comment may not.
        let _infallible = writeln!(head, "#   {}", source.escape_debug());
    }
    if let Some(more) = sources.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _infallible = writeln!(head, "#   and {more} more");
    }
    head
}

/// Writes these files into a directory, which is made if it is not there: all of them, or none as far as a file system allows.
/// Files that an earlier import wrote and that are not among these are removed.
///
/// # Errors
/// [`OutputError`]: nothing was changed, unless the file system failed while files were put in place.
pub fn write(directory: &Path, files: &BTreeMap<String, String>) -> Result<Written, OutputError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OutputError::Io { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let mut written = Written::default();
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let entry = entry.map_err(failed(directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        let ours = is_ours(&path).map_err(failed(&path))?;
        let wanted = name.to_str().is_some_and(|name| files.contains_key(name));
        match (wanted, ours) {
            (true, false) => return Err(OutputError::NotOurs(path)),
            (false, true) if path.extension().is_some_and(|end| end == "toml") => written.removed.push(path),
            (true, true) | (false, _) => {}
        }
    }
    written.removed.sort_unstable();
    let mut staged = Staged::default();
    for (name, text) in files {
        let made = directory.join(format!(".{name}.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&made).map_err(failed(&made))?;
        staged.0.push((made.clone(), directory.join(name)));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&made))?;
    }
    written.files = staged.put_in_place()?;
    for path in &written.removed {
        fs::remove_file(path).map_err(failed(path))?;
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed(directory))?;
    Ok(written)
}

/// Whether a file begins with our mark.
fn is_ours(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    File::open(path)?.take(MARK.len() as u64).read_to_end(&mut start)?;
    Ok(start == MARK.as_bytes())
}

/// Files under names of their own, and where they belong. Those that are left at the end are removed.
#[derive(Default)]
struct Staged(Vec<(PathBuf, PathBuf)>);

impl Staged {
    fn put_in_place(mut self) -> Result<Vec<PathBuf>, OutputError> {
        let mut done = Vec::new();
        self.0.reverse();
        while let Some((made, path)) = self.0.last() {
            if let Err(source) = fs::rename(made, path) {
                return Err(OutputError::Io { path: path.clone(), source });
            }
            done.extend(self.0.pop().map(|(_, path)| path));
        }
        Ok(done)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for (made, _) in &self.0 {
            let _left_behind = fs::remove_file(made);
        }
    }
}
