//! How much room captures may take: all together, and how much the file system keeps for others.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use parking_lot::Mutex;

/// The room that the files of all captures and of the ring share. Clones are the same one, for threads that write.
///
/// When it is used up, the oldest complete files go, whosever they are. What is hidden is under way, and stays.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Mutex<Room>>);

#[derive(Debug)]
struct Room {
    root: PathBuf,
    limit: u64,
    min_free: u64,
    used: u64,
    free: u64,
    removed: Vec<PathBuf>,
}

/// A file that may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Complete {
    changed: SystemTime,
    path: PathBuf,
    size: u64,
}

/// What is in the directory.
#[derive(Debug, Default)]
struct Survey {
    used: u64,
    complete: Vec<Complete>,
}

impl Budget {
    /// The room in a directory with one for each capture.
    pub(super) fn new(root: PathBuf, limit: u64, min_free: u64) -> Self {
        let mut room = Room { root, limit, min_free, used: 0, free: 0, removed: Vec::new() };
        room.look();
        Self(Arc::new(Mutex::new(room)))
    }

    /// Looks anew at what is used and what is free, for others write and remove files as well.
    pub(super) fn look(&mut self) {
        self.0.lock().look();
    }

    /// Takes so many bytes out of the room, which somebody is about to write. Removes the oldest files if it has to.
    pub(super) fn take(&mut self, bytes: u64) -> io::Result<()> {
        self.0.lock().take(bytes)
    }

    /// The files that were removed since somebody asked.
    pub(super) fn removed(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0.lock().removed)
    }
}

impl Room {
    /// The complete files are what it saw.
    fn look(&mut self) -> Vec<Complete> {
        let Survey { used, complete } = survey(&self.root);
        self.used = used;
        // What cannot be known is not what stops a capture: writing will tell.
        self.free =
            rustix::fs::statvfs(&self.root).map_or(u64::MAX, |it| it.f_bavail.saturating_mul(it.f_frsize));
        complete
    }

    fn take(&mut self, bytes: u64) -> io::Result<()> {
        if !self.has(bytes) {
            let mut complete = self.look();
            complete.sort();
            for file in complete {
                if self.has(bytes) {
                    break;
                }
                self.remove(file);
            }
        }
        if !self.has(bytes) {
            let why = if self.used.saturating_add(bytes) > self.limit {
                format!("the budget of {} bytes for captures is used up", self.limit)
            } else {
                format!("less than {} bytes would be left free on the file system", self.min_free)
            };
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!("{why}, and no complete file is left to be removed"),
            ));
        }
        self.used = self.used.saturating_add(bytes);
        self.free = self.free.saturating_sub(bytes);
        Ok(())
    }

    fn has(&self, bytes: u64) -> bool {
        self.used.saturating_add(bytes) <= self.limit && self.free.saturating_sub(bytes) >= self.min_free
    }

    fn remove(&mut self, file: Complete) {
        match fs::remove_file(&file.path) {
            Ok(()) => {
                tracing::info!(file = %file.path.display(), "the oldest capture file was removed to make room");
                // The index of a file of the ring is worth nothing without it.
                let _is_none = fs::remove_file(file.path.with_extension("index"));
                self.used = self.used.saturating_sub(file.size);
                self.free = self.free.saturating_add(file.size);
                self.removed.push(file.path);
            }
            Err(error) => {
                tracing::warn!(file = %file.path.display(), %error, "an old capture file cannot be removed");
            }
        }
    }
}

/// Whether a file of this name is a complete one of a capture or of the ring. An index is no file of its own.
pub(super) fn is_complete(name: &str) -> bool {
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    !name.starts_with('.') && (name.ends_with(".pcapng") || name.ends_with(".pcap"))
}

/// Adds up all files one level below, and lists those that are complete. What cannot be read is not there.
fn survey(root: &Path) -> Survey {
    let mut survey = Survey::default();
    let directories = fs::read_dir(root).into_iter().flatten().flatten();
    let files = directories.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
    for file in files {
        let Some(metadata) = file.metadata().ok().filter(fs::Metadata::is_file) else { continue };
        let size = metadata.len();
        survey.used += size;
        if file.file_name().to_str().is_some_and(is_complete) {
            let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            survey.complete.push(Complete { changed, path: file.path(), size });
        }
    }
    survey
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::Directory;

    fn write(root: &Directory, path: &str, size: usize, age: u64) -> PathBuf {
        let path = root.file(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![0; size]).unwrap();
        let file = fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
        path
    }

    #[test]
    fn the_oldest_complete_files_go_whosever_they_are() {
        let root = Directory::new();
        let old = write(&root, "a/a-00001.pcapng", 100, 30);
        let ring = write(&root, "ring/ring-1.pcapng", 100, 20);
        let index = write(&root, "ring/ring-1.index", 10, 20);
        let compressed = write(&root, "b/b-00001.pcap.gz", 100, 10);
        let hidden = write(&root, "a/.a-00002.pcapng.part", 100, 40);
        let foreign = write(&root, "a/notes.txt", 50, 50);
        let mut budget = Budget::new(root.file(""), 500, 0);
        assert_eq!(budget.0.lock().used, 460);
        budget.take(40).unwrap();
        assert!(budget.removed().is_empty() && old.exists());
        // From here on what was taken is not written: what is there counts, 460.
        budget.take(60).unwrap();
        assert_eq!(budget.removed(), [old]);
        assert!(ring.exists() && index.exists());
        budget.take(200).unwrap();
        assert_eq!(budget.removed(), [ring]);
        assert!(!index.exists() && compressed.exists());
        let error = budget.take(400).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("budget of 500 bytes"), "{error}");
        assert!(!compressed.exists() && hidden.exists() && foreign.exists());
        assert_eq!(budget.0.lock().used, 150, "a failure takes nothing");
    }

    #[test]
    fn others_are_left_their_room() {
        let root = Directory::new();
        let file = write(&root, "a/a-00001.pcapng", 100, 30);
        let mut budget = Budget::new(root.file(""), u64::MAX, u64::MAX / 2);
        let error = budget.take(1).unwrap_err();
        assert!(error.to_string().contains("left free"), "{error}");
        assert_eq!(budget.removed(), [file]);
        let mut unlimited = Budget::new(root.file(""), u64::MAX, 0);
        unlimited.take(1 << 20).unwrap();
        // A directory that is not there hinders nobody here.
        Budget::new(root.file("none"), 10, 1).take(10).unwrap();
    }

    #[test]
    fn what_is_complete_is_told_by_its_name() {
        for (name, complete) in [
            ("a-00001.pcapng", true),
            ("a.pcap", true),
            ("a.pcap.gz", true),
            ("a.pcapng.zst", true),
            (".a-00001.pcapng", false),
            (".a.pcapng.part", false),
            ("ring-1.index", false),
            ("a.gz", false),
        ] {
            assert_eq!(is_complete(name), complete, "{name}");
        }
    }
}
