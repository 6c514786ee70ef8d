//! Feeds that are files: read whole, and watched for change.

use std::{collections::BTreeMap, fs, io::Read, path::Path, time::SystemTime};

use ravelin_config::feed::{Feed, FeedMode, FeedSource};

use super::fetch::{Copy, FetchError, Problem, Validators};
use crate::sources::Stamp;

/// Reads a feed that is the file at `path`.
///
/// # Errors
/// [`FetchError`] if it cannot be read, has more bytes than the feed may, or others than it should.
pub fn read(feed: &Feed, path: &Path) -> Result<Copy, FetchError> {
    let limit = feed.max_size;
    let bytes = || {
        // Not a pipe, for which a thread would wait for ever, and not a device that never ends.
        if !fs::metadata(path)?.is_file() {
            return Err(Problem::NotAFile);
        }
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit { Err(Problem::TooLarge { limit }) } else { Ok(bytes) }
    };
    let copy = bytes().and_then(|bytes| Copy::new(bytes, Validators::default()).check(feed));
    copy.map_err(|problem| FetchError::new(&feed.name, path.display().to_string(), problem))
}

/// When the file at `path` was written; now, if that cannot be told.
pub(super) fn written_at(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now())
}

/// What feeds that are files were like when they were looked at last.
#[derive(Debug, Default)]
pub struct FileWatch {
    stamps: BTreeMap<String, Option<Stamp>>,
}

impl FileWatch {
    /// Begins with what files were like when they were read, by the names of their feeds.
    pub(super) fn knowing(files: impl Iterator<Item = (String, Stamp)>) -> Self {
        Self { stamps: files.map(|(name, stamp)| (name, Some(stamp))).collect() }
    }

    /// The names of the feeds whose files changed, came or went since the last call; all that were not known at the first. Costs one
    /// look at each file.
    pub fn changed<'f>(&mut self, feeds: &'f [Feed]) -> Vec<&'f str> {
        let mut changed = Vec::new();
        let mut stamps = BTreeMap::new();
        for feed in feeds.iter().filter(|feed| feed.mode == FeedMode::Enabled) {
            let FeedSource::File { file } = &feed.source else { continue };
            let stamp = Stamp::of(file);
            if self.stamps.get(&feed.name) != Some(&stamp) {
                changed.push(feed.name.as_str());
            }
            stamps.insert(feed.name.clone(), stamp);
        }
        self.stamps = stamps;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;

    fn feeds(text: &str) -> Vec<Feed> {
        ravelin_config::parse(text, "t.toml")
            .unwrap_or_else(|report| panic!("{report}"))
            .config
            .feeds
            .to_vec()
    }

    fn feed(path: &Path, keys: &str) -> Feed {
        feeds(&format!("[[feed]]\nname = 'a'\nfile = '{}'\n{keys}", path.display())).remove(1)
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let directory = Directory::new();
        let path = directory.write("feed", vec![b'1'; 1024]);
        let read_it = |keys: &str| read(&feed(&path, keys), &path);
        let copy = read_it("max_size = '1KiB'").unwrap();
        assert_eq!((copy.bytes.len(), &copy.validators), (1024, &Validators::default()));
        directory.write("feed", vec![b'1'; 1025]);
        let error = read_it("max_size = '1KiB'").unwrap_err();
        assert!(matches!(error.problem, Problem::TooLarge { limit: 1024 }), "{error}");
        let error = read_it(&format!("sha256 = '{}'", "00".repeat(32))).unwrap_err();
        assert!(matches!(error.problem, Problem::Checksum { .. }), "{error}");
        let error = read(&feed(&directory.file(""), ""), &directory.file("")).unwrap_err();
        assert!(matches!(error.problem, Problem::NotAFile), "{error}");
        let error = read(&feed(Path::new("/dev/zero"), ""), Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error.problem, Problem::NotAFile), "{error}");
        let missing = directory.file("missing");
        let error = read(&feed(&missing, ""), &missing).unwrap_err();
        assert!(error.to_string().starts_with("the feed `a` from /"), "{error}");
    }

    #[test]
    fn what_changes_is_noticed_once() {
        let directory = Directory::new();
        let path = directory.write("feed", "1");
        let feeds = feeds(&format!(
            "[[feed]]\nname = 'a'\nfile = '{}'\n[[feed]]\nname = 'b'\nfile = '/nonexistent'\n\
             [[feed]]\nname = 'c'\nfile = '/nonexistent'\nmode = 'disabled'\n",
            path.display()
        ));
        let mut watch = FileWatch::default();
        assert_eq!(watch.changed(&feeds), ["a", "b"]);
        assert!(watch.changed(&feeds).is_empty());
        directory.write("feed", "22");
        assert_eq!(watch.changed(&feeds), ["a"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watch.changed(&feeds), ["a"]);
        assert!(watch.changed(&feeds).is_empty());
        // A feed that comes back is new.
        assert!(watch.changed(&feeds[..1]).is_empty());
        assert_eq!(watch.changed(&feeds), ["a", "b"]);
    }
}
