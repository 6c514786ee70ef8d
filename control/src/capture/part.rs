use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::file::about;

/// A file that is being written, hidden until it gets its name. It always ends where the last piece does.
#[derive(Debug)]
pub(super) struct Part {
    directory: PathBuf,
    name: String,
    hidden: PathBuf,
    file: File,
    length: u64,
}

impl Part {
    /// Makes a file that is there only for those who look for hidden ones.
    pub(super) fn create(directory: &Path, name: String) -> io::Result<Self> {
        let hidden = directory.join(format!(".{name}.part"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&hidden);
        let file = file.map_err(|error| about(&hidden, &error))?;
        Ok(Self { directory: directory.to_owned(), name, hidden, file, length: 0 })
    }

    /// Writes a piece, or nothing. Says how many bytes that is.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<u64> {
        if self.file.metadata()?.nlink() == 0 {
            let why = format!("{} was removed", self.hidden.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        match self.file.write_all(piece) {
            Ok(()) => {
                self.length += piece.len() as u64;
                Ok(piece.len() as u64)
            }
            Err(error) => {
                // A block that is half there makes readers complain.
                let _best_effort = self.file.set_len(self.length);
                Err(about(&self.hidden, &error))
            }
        }
    }

    /// The bytes that were written.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Gives the file its name; its path from now on.
    pub(super) fn publish(self) -> io::Result<PathBuf> {
        let path = self.directory.join(self.name);
        fs::rename(&self.hidden, &path).map_err(|error| about(&self.hidden, &error))?;
        Ok(path)
    }

    /// After a failure: what was written becomes a file as it is, and one without content goes. Its path, if there is one.
    pub(super) fn abandon(self) -> Option<PathBuf> {
        if self.length == 0 {
            let _best_effort = fs::remove_file(self.hidden);
            return None;
        }
        // The directory may be what is missing.
        self.publish().ok()
    }
}
