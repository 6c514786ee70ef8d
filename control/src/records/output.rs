//! Where lines go, and the exact account of those that arrived.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use ravelin_config::RecordsTarget;

/// A file or standard output.
pub(super) trait Output: Send {
    /// Writes some of `bytes`, and says how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether the file is no longer what its path names, as after a rotation.
    fn has_moved(&self) -> bool;

    /// Opens the path again.
    fn reopen(&mut self) -> io::Result<()>;
}

/// What the configuration names, open.
#[derive(Debug)]
pub struct Target {
    file: File,
    /// Where the file was opened, and what it was there: device and inode.
    path: Option<(PathBuf, (u64, u64))>,
}

impl Target {
    /// Opens the file, to append to it, or standard output.
    ///
    /// # Errors
    /// Why the file cannot be opened.
    pub fn open(target: &RecordsTarget) -> io::Result<Self> {
        match target {
            RecordsTarget::StandardOutput => {
                // Without the line buffer that the standard library puts around it.
                Ok(Self { file: File::from(io::stdout().as_fd().try_clone_to_owned()?), path: None })
            }
            RecordsTarget::File(path) => {
                let (file, identity) = open(path)?;
                Ok(Self { file, path: Some((path.clone(), identity)) })
            }
        }
    }
}

fn open(path: &Path) -> io::Result<(File, (u64, u64))> {
    // Who talked with whom is not everybody's business.
    let mut file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && ends_in_a_torn_line(path, metadata.len()) {
        // If the disk is still full, one line of ours is torn as well.
        let _still_full = file.write_all(b"\n");
    }
    Ok((file, (metadata.dev(), metadata.ino())))
}

/// Whether the file was left within a line, as by a process that was killed or stopped while the disk was full. Our first line
/// must not become the rest of that one.
fn ends_in_a_torn_line(path: &Path, length: u64) -> bool {
    let Some(last) = length.checked_sub(1) else { return false };
    let mut byte = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_ok() && byte != *b"\n"
}

impl Output for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn has_moved(&self) -> bool {
        let Some((path, identity)) = &self.path else { return false };
        match path.metadata() {
            Ok(metadata) => (metadata.dev(), metadata.ino()) != *identity,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Some((path, identity)) = &mut self.path {
            (self.file, *identity) = open(path)?;
        }
        Ok(())
    }
}

/// Lines that wait to be written. What was written in part stays at the front until the rest can follow, so that no line is torn
/// by a disk that was full for a while.
#[derive(Debug)]
pub(super) struct Lines<O> {
    pub(super) output: O,
    buffer: Vec<u8>,
    /// Lines in the buffer, the torn one included.
    waiting: u64,
    /// Whether the front of the buffer is the rest of a line.
    torn: bool,
    written: u64,
    discarded: u64,
}

impl<O: Output> Lines<O> {
    /// Bytes that are worth a write.
    const CHUNK: usize = 256 << 10;
    /// Bytes that wait at most, while writing fails.
    const LIMIT: usize = 4 << 20;

    pub(super) fn new(output: O) -> Self {
        Self { output, buffer: Vec::new(), waiting: 0, torn: false, written: 0, discarded: 0 }
    }

    /// Adds a line, which `encode` appends; discards it if too much waits already.
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.buffer.len() >= Self::LIMIT {
            self.discarded += 1;
        } else {
            encode(&mut self.buffer);
            self.waiting += 1;
        }
    }

    /// Whether enough waits to be worth a write.
    pub(super) fn is_plenty(&self) -> bool {
        self.buffer.len() >= Self::CHUNK
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let mut done = 0;
        let result = loop {
            let rest = &self.buffer[done..];
            if rest.is_empty() {
                break Ok(());
            }
            match self.output.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if let Some(last) = done.checked_sub(1) {
            let lines = self.buffer[..done].iter().filter(|byte| **byte == b'\n').count() as u64;
            self.written += lines;
            self.waiting -= lines;
            self.torn = self.buffer[last] != b'\n';
            self.buffer.drain(..done);
        }
        result
    }

    /// Opens the output again, after a last attempt to write to the old one.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if self.flush().is_err() && self.torn {
            // The rest of this line must not start the new file.
            let end = self.buffer.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            self.buffer.drain(..end);
            self.torn = false;
            self.waiting -= 1;
            self.discarded += 1;
        }
        self.output.reopen()
    }

    /// Gives up what waits.
    pub(super) fn discard(&mut self) {
        self.buffer.clear();
        self.discarded += std::mem::take(&mut self.waiting);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    pub(super) const fn discarded(&self) -> u64 {
        self.discarded
    }
}
