//! The last good copy of each feed, on disk.
//!
//! A copy is one file, `NAME.feed`: a line of JSON that describes it, then its bytes. Promises: a file is whole or not there, whenever
//! the machine stops (written beside, synchronised, renamed); a copy that is loaded is the one that was saved, of the same source. Refuses:
//! to judge what is good: whoever saves has parsed it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ravelin_config::feed::{Feed, FeedSource, Sha256};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::fetch::{Copy, Validators};

/// The longest description of a copy.
const DESCRIPTION_MAX: u64 = 64 << 10;

/// The number of the form of these files.
const VERSION: u32 = 1;

/// A directory of last good copies.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A copy that was good when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The copy.
    pub copy: Copy,
    /// When it was fetched.
    pub fetched_at: SystemTime,
    /// How many entries it has.
    pub entries: usize,
}

/// What stands before the bytes of a copy.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    version: u32,
    /// A checksum of where it came from, which may be secret in part, and of who signed it.
    source: String,
    #[serde(flatten)]
    validators: Validators,
    /// In seconds since 1970.
    fetched_at: u64,
    sha256: String,
    size: u64,
    entries: usize,
}

/// Why a copy could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[error("the last good copy of a feed, `{}`: {problem}", path.display())]
pub struct StoreError {
    /// The file.
    pub path: PathBuf,
    /// What happened.
    pub problem: StoreProblem,
}

/// What happened to a copy on disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreProblem {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// The feed may not be as large any more.
    #[error("it has {size} bytes, more than the feed's `max_size`")]
    TooLarge {
        /// How large it is.
        size: u64,
    },
}

impl Store {
    /// The store in `directory`, which is made when there is something to save.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The last good copy of a feed; `None` if there is none, or if it came from another source than the feed has now.
    ///
    /// # Errors
    /// [`StoreError`] if there is one that cannot be used.
    pub fn load(&self, feed: &Feed) -> Result<Option<Stored>, StoreError> {
        let path = self.path(&feed.name);
        match load(&path, feed) {
            Err(StoreProblem::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            result => result.map_err(|problem| StoreError { path, problem }),
        }
    }

    /// Keeps a copy in place of the one before.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written. The one before is still there.
    pub fn save(&self, feed: &Feed, stored: &Stored) -> Result<(), StoreError> {
        let path = self.path(&feed.name);
        self.write(&path, feed, stored).map_err(|error| StoreError { path, problem: error.into() })
    }

    /// Forgets the copy of the feed called `name`, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] if there is one that cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError { path, problem: error.into() })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Names of feeds have no `/`, and what is behind keeps `..` from being a directory.
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.feed"))
    }

    fn write(&self, path: &Path, feed: &Feed, stored: &Stored) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let since = stored.fetched_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let description = Description {
            version: VERSION,
            source: source(feed),
            validators: stored.copy.validators.clone(),
            fetched_at: since.as_secs(),
            sha256: stored.copy.sha256.to_string(),
            size: stored.copy.bytes.len() as u64,
            entries: stored.entries,
        };
        let mut line = serde_json::to_vec(&description)?;
        line.push(b'\n');
        let beside = self.directory.join(format!("{}.feed.new", feed.name));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&line)?;
        file.write_all(&stored.copy.bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // Otherwise the name may be that of the old file after a power failure.
        File::open(&self.directory)?.sync_all()
    }
}

fn load(path: &Path, feed: &Feed) -> Result<Option<Stored>, StoreProblem> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    file.by_ref().take(DESCRIPTION_MAX).read_until(b'\n', &mut line)?;
    let description: Description = serde_json::from_slice(&line).map_err(|_| StoreProblem::Damaged)?;
    let Description { version, source: from, validators, fetched_at, sha256, size, entries } = description;
    // Nothing of before is believed when something else has to vouch for it.
    let is_other = feed.sha256.is_some_and(|wanted| wanted.to_string() != sha256);
    if version != VERSION || from != source(feed) || is_other {
        return Ok(None);
    }
    if size > feed.max_size {
        return Err(StoreProblem::TooLarge { size });
    }
    let mut bytes = Vec::new();
    file.take(size.saturating_add(1)).read_to_end(&mut bytes)?;
    let copy = Copy::new(bytes, validators);
    if sha256.parse::<Sha256>().ok() != Some(copy.sha256) {
        return Err(StoreProblem::Damaged);
    }
    let fetched_at = UNIX_EPOCH.checked_add(Duration::from_secs(fetched_at)).ok_or(StoreProblem::Damaged)?;
    Ok(Some(Stored { copy, fetched_at, entries }))
}

/// A checksum of where a feed comes from, and of who signs it.
fn source(feed: &Feed) -> String {
    let place = match &feed.source {
        FeedSource::Url { url, .. } => url.reveal().as_bytes(),
        FeedSource::File { file } => file.as_os_str().as_encoded_bytes(),
    };
    let key = feed.minisign_key.as_ref().map(ToString::to_string).unwrap_or_default();
    let digest = sha2::Sha256::new().chain_update(place).chain_update(key).finalize();
    Sha256(digest.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{feeds::tests::SIGNED, testing::Directory};

    fn feed(keys: &str) -> Feed {
        let text = format!("[[feed]]\nname = 'a'\nurl = 'https://u:hunter2@a.example/x?hunter2'\n{keys}");
        ravelin_config::parse(&text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config.feeds[1]
            .clone()
    }

    fn stored(bytes: &[u8]) -> Stored {
        let validators = Validators { etag: Some("\"1\"".to_owned()), last_modified: None };
        let fetched_at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Stored { copy: Copy::new(bytes.to_vec(), validators), fetched_at, entries: 3 }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let directory = Directory::new();
        let (store, feed) = (Store::new(directory.file("state/feeds")), feed(""));
        assert_eq!(store.load(&feed).unwrap(), None);
        for bytes in [&b"192.0.2.1\n"[..], b"", b"{\"a\":\n1}\n\xff\0"] {
            store.save(&feed, &stored(bytes)).unwrap();
            assert_eq!(store.load(&feed).unwrap(), Some(stored(bytes)));
        }
        let names: Vec<_> = fs::read_dir(directory.file("state/feeds")).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        let text = fs::read(directory.file("state/feeds/a.feed")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("hunter2"));
        store.remove("a").unwrap();
        store.remove("a").unwrap();
        assert_eq!(store.load(&feed).unwrap(), None);
    }

    #[test]
    fn a_copy_of_another_source_is_none() {
        let directory = Directory::new();
        let store = Store::new(directory.file(""));
        let here = feed("");
        store.save(&here, &stored(b"1")).unwrap();
        // Not even if only what is secret differs: it may say which list is meant.
        let query = ravelin_config::parse(
            "[[feed]]\nname = 'a'\nurl = 'https://u:hunter2@a.example/x?other'",
            "t.toml",
        );
        assert_eq!(store.load(&query.unwrap().config.feeds[1]).unwrap(), None);
        for keys in [format!("sha256 = '{}'", "00".repeat(32)), format!("minisign_key = '{}'", SIGNED.key)] {
            assert_eq!(store.load(&super::tests::feed(&keys)).unwrap(), None, "{keys}");
        }
        let there = Feed { source: FeedSource::File { file: "x".into() }, ..here.clone() };
        assert_eq!(store.load(&there).unwrap(), None);
        assert_eq!(store.load(&Feed { name: "b".to_owned(), ..here }).unwrap(), None);
    }

    /// Whatever byte changes and wherever the file ends, it is the old copy, none, or an error: never another copy.
    #[test]
    fn damage_is_noticed() {
        let directory = Directory::new();
        let (store, feed) = (Store::new(directory.file("")), feed(""));
        store.save(&feed, &stored(b"192.0.2.1\n192.0.2.2\n")).unwrap();
        let path = directory.file("a.feed");
        let good = fs::read(&path).unwrap();
        let mut damaged = 0;
        let mut check = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            match store.load(&feed) {
                Ok(None) => {}
                Ok(Some(loaded)) => {
                    assert_eq!(loaded.copy.bytes, stored(b"192.0.2.1\n192.0.2.2\n").copy.bytes);
                }
                Err(error) => {
                    assert!(
                        matches!(error.problem, StoreProblem::Damaged | StoreProblem::TooLarge { .. }),
                        "{error}"
                    );
                    damaged += 1;
                }
            }
        };
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x11;
            check(&bytes);
            check(&good[..at]);
        }
        check(&[&good[..], b"more"].concat());
        assert!(damaged > good.len(), "{damaged}");
    }

    #[test]
    fn a_copy_that_is_too_large_now_is_not_read() {
        let directory = Directory::new();
        let store = Store::new(directory.file(""));
        store.save(&feed(""), &stored(&[b'1'; 2048])).unwrap();
        let error = store.load(&feed("max_size = '1KiB'")).unwrap_err();
        assert!(matches!(error.problem, StoreProblem::TooLarge { size: 2048 }), "{error}");
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_copy() {
        let directory = Directory::new();
        let (store, feed) = (Store::new(directory.file("")), feed(""));
        store.save(&feed, &stored(b"1")).unwrap();
        // Where the new file would be written there is a directory, which not even root writes to.
        fs::create_dir(directory.file("a.feed.new")).unwrap();
        assert!(store.save(&feed, &stored(b"2")).is_err());
        assert_eq!(store.load(&feed).unwrap(), Some(stored(b"1")));
    }

    #[test]
    fn names_are_no_directories() {
        let directory = Directory::new();
        let store = Store::new(directory.file("feeds"));
        for name in ["..", ".", "a.feed", "a.b"] {
            let feed = Feed { name: name.to_owned(), ..feed("") };
            store.save(&feed, &stored(name.as_bytes())).unwrap();
            assert_eq!(store.load(&feed).unwrap(), Some(stored(name.as_bytes())));
        }
        assert_eq!(fs::read_dir(directory.file("feeds")).unwrap().count(), 4);
    }
}
