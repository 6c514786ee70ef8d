//! From files to a [`Config`]: read, parse, model, validate, report.

mod syntax;
#[cfg(test)]
mod tests;

use crate::feed::FeedList;
use crate::model::{FileModel, Lists, Model};
use crate::report::{Code, Findings, Place, Report};
use crate::resources::{Endpoint, Resources};
use crate::schema::reader::{At, Reader};
use crate::validate::validate;
use crate::wireguard::secrets_of_toml;
use crate::{Config, FilePattern};
use jiff::Timestamp;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    vec,
};
use toml::de::DeTable;

/// The most files that a configuration may be made of.
const FILES_MAX: usize = 10_000;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// What the files mean.
    pub config: Config,
    /// What is doubtful about it; no errors.
    pub warnings: Report,
}

/// Loads the file at `path`, and the files that it includes.
///
/// # Errors
/// A [`Report`] of everything that is wrong, warnings included; if the file cannot be read, of one [`Code::Unreadable`].
pub fn load(path: &Path) -> Result<Loaded, Report> {
    load_at_most(FILES_MAX, path)
}

/// Loads the file at `path`, and the files that it includes, `files_max` altogether.
fn load_at_most(files_max: usize, path: &Path) -> Result<Loaded, Report> {
    let bytes = fs::read(path).map_err(|error| {
        Report::whole(Code::Unreadable, format!("cannot read `{}`: {error}", path.display()), None)
    })?;
    let mut loader = Loader::new(files_max);
    loader.files.push(path.to_owned());
    loader.all(bytes, path);
    loader.finish()
}

/// Loads `text`, which is called `file_name` in diagnostics. Files that it names are read, as if it were at this place.
///
/// # Errors
/// A [`Report`] of everything that is wrong, warnings included.
pub fn parse(text: &str, file_name: &str) -> Result<Loaded, Report> {
    let mut loader = Loader::new(FILES_MAX);
    loader.all(text.as_bytes().to_vec(), Path::new(file_name));
    loader.finish()
}

/// Loads a file that holds nothing but `[[endpoint]]`, as in the directory that `endpoints_dir` names. Profiles and namespaces may
/// be declared elsewhere.
///
/// # Errors
/// A [`Report`] of everything that is wrong.
pub fn load_endpoints(path: &Path) -> Result<Vec<Endpoint>, Report> {
    let bytes = fs::read(path).map_err(|error| {
        Report::whole(Code::Unreadable, format!("cannot read `{}`: {error}", path.display()), None)
    })?;
    let mut loader = Loader { part: true, ..Loader::new(1) };
    loader.all(bytes, path);
    let Config { resources, feeds, files, interfaces, .. } = loader.finish()?.config;
    let Resources { endpoints, .. } = &resources;
    let others = Resources { endpoints: Vec::new(), ..resources.clone() };
    if others != Resources::default()
        || feeds != FeedList::default()
        || !files.is_empty()
        || !interfaces.is_empty()
    {
        let message = format!("`{}` may hold nothing but [[endpoint]]", path.display());
        return Err(Report::whole(Code::Misplaced, message, None));
    }
    Ok(endpoints.clone())
}

struct Loader {
    /// Whether what the text names may be declared elsewhere.
    part: bool,
    files_max: usize,
    findings: Findings,
    model: Option<Model>,
    /// The files that were read.
    files: Vec<PathBuf>,
    /// The same, by the paths that they have once links are followed.
    seen: HashSet<PathBuf>,
    /// Whether a text was not TOML.
    broken: bool,
}

/// A file that is included, and where that is said.
type Included = (PathBuf, Place);

/// A file whose includes are being read.
struct Open {
    path: PathBuf,
    /// With links followed.
    real: PathBuf,
    includes: vec::IntoIter<Included>,
}

impl Loader {
    fn new(files_max: usize) -> Self {
        Self {
            part: false,
            files_max,
            findings: Findings::default(),
            model: None,
            files: Vec::new(),
            seen: HashSet::new(),
            broken: false,
        }
    }

    /// Reads the main file and all that it includes. Depth first, and not by recursion: a chain of files may be long.
    fn all(&mut self, bytes: Vec<u8>, path: &Path) {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.seen.insert(real.clone());
        let includes = self.file(bytes, path);
        let mut chain = vec![Open { path: path.to_owned(), real, includes }];
        while let Some(open) = chain.last_mut() {
            let Some((path, place)) = open.includes.next() else {
                chain.pop();
                continue;
            };
            match self.open(&path, &place, &chain) {
                Ok(Some((real, bytes))) => {
                    self.files.push(path.clone());
                    let includes = self.file(bytes, &path);
                    chain.push(Open { path, real, includes });
                }
                Ok(None) => {}
                Err(TooMany) => return,
            }
        }
    }

    /// The content of an included file, unless it was read before or cannot be read.
    fn open(
        &mut self,
        path: &Path,
        place: &Place,
        chain: &[Open],
    ) -> Result<Option<(PathBuf, Vec<u8>)>, TooMany> {
        let read = || {
            let real = fs::canonicalize(path)?;
            if self.seen.contains(&real) {
                return Ok((real, Vec::new()));
            }
            // Not a pipe, for which the appliance would wait, and not a device that never ends.
            if !fs::metadata(path)?.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            fs::read(path).map(|bytes| (real, bytes))
        };
        let (real, bytes) = match read() {
            Ok(read) => read,
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                self.findings.add(Code::Unreadable, place, message);
                return Ok(None);
            }
        };
        if !self.seen.insert(real.clone()) {
            if let Some(at) = chain.iter().position(|open| open.real == real) {
                let names = chain.iter().skip(at).map(|open| open.path.display().to_string());
                let names: Vec<_> = names.chain([path.display().to_string()]).collect();
                let message = format!("`{}` includes itself", path.display());
                let finding = self.findings.add(Code::IncludeCycle, place, message);
                finding.help(format!("the chain is {}", names.join(" > ")));
            }
            return Ok(None);
        }
        if self.seen.len() > self.files_max {
            let message = format!("the configuration is made of more than {} files", self.files_max);
            self.findings.add(Code::TooLarge, place, message);
            return Err(TooMany);
        }
        Ok(Some((real, bytes)))
    }

    /// Reads one file, the main file first, and says what it includes.
    fn file(&mut self, bytes: Vec<u8>, path: &Path) -> vec::IntoIter<Included> {
        let text: Arc<str> = match String::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                self.source(String::from_utf8_lossy(error.as_bytes()).into(), path);
                let message = "the file is not UTF-8 from here on";
                let finding = self.findings.add(Code::Unreadable, valid..valid, message);
                finding.help("save the file with UTF-8 as its encoding");
                return Vec::new().into_iter();
            }
        };
        self.source(Arc::clone(&text), path);
        let (table, errors) = DeTable::parse_recoverable(&text);
        let reader = Reader::new(&table, &mut self.findings);
        let file = match &mut self.model {
            None => {
                let (file, model) = reader.finish(|reader| (FileModel::read(reader), Model::read(reader)));
                self.model = Some(model);
                file
            }
            Some(model) => {
                let (file, lists) =
                    reader.finish(|reader| (FileModel::read(reader), Lists::included(reader)));
                model.lists.extend(lists);
                file
            }
        };
        if !errors.is_empty() {
            self.broken = true;
            syntax::report(&errors, &mut self.findings);
        }
        self.included(file, path)
    }

    /// Turns to a text. Keys that somebody wrote into it are shown in no finding, whatever is wrong.
    fn source(&mut self, text: Arc<str>, path: &Path) {
        let secrets = secrets_of_toml(&text);
        self.findings.read(text, path.to_owned());
        secrets.into_iter().for_each(|range| self.findings.hide(range));
    }

    /// Takes over what a file says as a whole, and looks for the files that it includes.
    fn included(&mut self, file: FileModel, path: &Path) -> vec::IntoIter<Included> {
        let Some(model) = &mut self.model else { return Vec::new().into_iter() };
        let directory = path.parent().unwrap_or(Path::new(""));
        let manifests = file.manifests.into_value().unwrap_or_default();
        model.manifests.extend(manifests.into_iter().map(|at| FilePattern::new(directory, at.value)));
        if let Some(endpoints) = file.endpoints_dir.into_value() {
            model.endpoints_dir = Some(directory.join(endpoints));
        }
        let mut included = Vec::new();
        for At { value, range } in file.include.into_value().unwrap_or_default() {
            let pattern = FilePattern::new(directory, value);
            match pattern.files() {
                Ok(files) if files.is_empty() => {
                    let message = format!("no file matches `{pattern}`");
                    self.findings.add(Code::NoMatch, &range, message);
                }
                Ok(files) => included.extend(files.into_iter().map(|file| (file, range.clone()))),
                Err(error) => {
                    let message = format!("cannot look for `{pattern}`: {error}");
                    self.findings.add(Code::Unreadable, &range, message);
                }
            }
        }
        included.into_iter()
    }

    fn finish(mut self) -> Result<Loaded, Report> {
        let config = self
            .model
            .filter(|_| !self.broken)
            .and_then(|model| validate(model, Timestamp::now(), &mut self.findings));
        if self.part {
            self.findings.retain(|_, finding| {
                !matches!(finding.code(), Code::UnknownProfile | Code::UnknownNamespace)
            });
        }
        let refused = self.findings.has_errors();
        let report = self.findings.into_report();
        match config {
            Some(mut config) if !refused => {
                self.files.extend(config.resources.nets_files.keys().cloned());
                self.files.append(&mut config.files);
                config.files = self.files;
                Ok(Loaded { config, warnings: report })
            }
            Some(_) | None => Err(report),
        }
    }
}

/// There are more files than may be: nothing more is read.
struct TooMany;
