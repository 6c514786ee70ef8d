use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{Imported, Importer, MAX_FILE};

/// A file of manifests cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{}`: {source}", path.display())]
pub struct LoadError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// What the manifests in these files say, whatever order they are named in.
///
/// # Errors
/// [`LoadError`] for the first file that cannot be read. What is wrong in a file has a remark.
pub fn load(paths: &[PathBuf]) -> Result<Imported, LoadError> {
    let mut sorted: Vec<&PathBuf> = paths.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let mut importer = Importer::default();
    for path in sorted {
        let bytes =
            File::open(path).and_then(limited).map_err(|source| LoadError { path: path.clone(), source })?;
        importer.read(&bytes, &path.display().to_string());
    }
    Ok(importer.finish())
}

/// All that can be read, or one byte more than a file of manifests may have.
///
/// # Errors
/// What reading says.
pub fn limited(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The files of manifests in a directory and below, by their names: `.yaml`, `.yml` and `.json`. What starts with a dot is
/// left out, and links to directories are not followed.
///
/// # Errors
/// [`LoadError`] for the first directory that cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        let mut list = || {
            for entry in std::fs::read_dir(&directory)? {
                let entry = entry?;
                let path = entry.path();
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                let named =
                    path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
                if entry.file_type()?.is_dir() && !hidden {
                    waiting.push(path);
                } else if named && !hidden && path.is_file() {
                    found.push(path);
                }
            }
            Ok(())
        };
        list().map_err(|source| LoadError { path: directory.clone(), source })?;
    }
    found.sort_unstable();
    Ok(found)
}
