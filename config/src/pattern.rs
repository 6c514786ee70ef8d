use serde::{Serialize, Serializer};
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A file by its path, or several by a pattern: `*` and `?` stand for any characters of a name, `[…]` for one of some, `**`
/// for directories of any depth. Relative to the directory of the file that it is written in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePattern {
    directory: PathBuf,
    text: String,
}

impl FilePattern {
    /// The pattern `text`, relative to `directory`.
    pub(crate) fn new(directory: &Path, text: String) -> Self {
        Self { directory: directory.to_owned(), text }
    }

    /// The one file that is meant, if no character stands for others.
    pub fn single(&self) -> Option<PathBuf> {
        (!self.text.contains(['*', '?', '['])).then(|| self.directory.join(&self.text))
    }

    /// The files that there are now, in the order of their names; a single one whether it is there or not. Names that begin with
    /// a dot are only meant by patterns that say so.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, String> {
        if let Some(file) = self.single() {
            return Ok(vec![file]);
        }
        let directory =
            self.directory.to_str().ok_or_else(|| format!("`{}` is not UTF-8", self.directory.display()))?;
        let pattern = Path::new(&glob::Pattern::escape(directory)).join(&self.text);
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let found =
            glob::glob_with(&pattern.to_string_lossy(), options).map_err(|error| error.to_string())?;
        let mut files = Vec::new();
        for path in found {
            let path = path.map_err(|error| error.to_string())?;
            if !path.is_dir() {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

/// Why `text` is not a pattern.
pub(crate) fn check(text: &str) -> Result<(), &'static str> {
    glob::Pattern::new(text).map(drop).map_err(|error| error.msg)
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.directory.join(&self.text).display().fmt(f)
    }
}

impl Serialize for FilePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
