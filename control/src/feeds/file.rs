//! Feeds that are files: read whole, and watched for change.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use ravelin_config::feed::{Feed, FeedMode, FeedSource};

use super::fetch::{Copy, FetchError, Problem, SIGNATURE, SIGNATURE_MAX, Validators};
use crate::sources::Stamp;

/// Reads a feed that is the file at `path`.
///
/// # Errors
/// [`FetchError`] if it cannot be read, has more bytes than the feed may, or others than it should.
pub fn read(feed: &Feed, path: &Path) -> Result<Copy, FetchError> {
    checked(feed, path).map_err(|problem| FetchError::new(&feed.name, path.display().to_string(), problem))
}

fn checked(feed: &Feed, path: &Path) -> Result<Copy, Problem> {
    let copy = Copy::new(bytes(path, feed.max_size)?, Validators::default()).check(feed)?;
    let Some(key) = &feed.minisign_key else { return Ok(copy) };
    let signature = bytes(&signature_of(path), SIGNATURE_MAX);
    copy.signed(key, &signature.map_err(|problem| Problem::NoSignature(Box::new(problem)))?)
}

fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    // Not a pipe, for which a thread would wait for ever, and not a device that never ends.
    if !fs::metadata(path)?.is_file() {
        return Err(Problem::NotAFile);
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(Problem::TooLarge { limit }) } else { Ok(bytes) }
}

/// Where the signature of a file stands.
fn signature_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SIGNATURE);
    name.into()
}

/// When the file at `path` was written; now, if that cannot be told.
pub(super) fn written_at(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now())
}

/// What a feed's file and its signature are like.
pub(super) type Stamps = [Option<Stamp>; 2];

/// What the file of a feed is like now.
pub(super) fn stamps(feed: &Feed, file: &Path) -> Stamps {
    [Stamp::of(file), feed.minisign_key.as_ref().and_then(|_| Stamp::of(&signature_of(file)))]
}

/// What feeds that are files were like when they were looked at last.
#[derive(Debug, Default)]
pub struct FileWatch {
    stamps: BTreeMap<String, Stamps>,
}

impl FileWatch {
    /// Begins with what files were like when they were read, by the names of their feeds.
    pub(super) fn knowing(files: impl Iterator<Item = (String, Stamps)>) -> Self {
        Self { stamps: files.collect() }
    }

    /// The names of the feeds whose files changed, came or went since the last call; all that were not known at the first. Costs one
    /// look at each file.
    pub fn changed<'f>(&mut self, feeds: &'f [Feed]) -> Vec<&'f str> {
        let mut changed = Vec::new();
        let mut found = BTreeMap::new();
        for feed in feeds.iter().filter(|feed| feed.mode == FeedMode::Enabled) {
            let FeedSource::File { file } = &feed.source else { continue };
            let stamp = stamps(feed, file);
            if self.stamps.get(&feed.name) != Some(&stamp) {
                changed.push(feed.name.as_str());
            }
            found.insert(feed.name.clone(), stamp);
        }
        self.stamps = found;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{feeds::tests::SIGNED, testing::Directory};

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
        let signed = format!("minisign_key = '{}'", SIGNED.key);
        let error = read(&feed(&path, &signed), &path).unwrap_err();
        assert!(error.to_string().contains("its signature cannot be had"), "{error}");
        directory.write("feed", SIGNED.bytes);
        directory.write("feed.minisig", SIGNED.signature);
        assert_eq!(read(&feed(&path, &signed), &path).unwrap().bytes, SIGNED.bytes);
        directory.write("feed", "192.0.2.66\n");
        let error = read(&feed(&path, &signed), &path).unwrap_err();
        assert!(error.to_string().contains("not of these bytes"), "{error}");
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
        // A signature that comes later makes no difference where none is asked for.
        directory.write("feed.minisig", "a");
        assert!(watch.changed(&feeds).is_empty());
        let mut signed = feeds.clone();
        signed[1].minisign_key = Some(SIGNED.key.parse().unwrap());
        assert_eq!(watch.changed(&signed), ["a"]);
        directory.write("feed.minisig", "bb");
        assert_eq!(watch.changed(&signed), ["a"]);
        assert_eq!(watch.changed(&feeds), ["a"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watch.changed(&feeds), ["a"]);
        assert!(watch.changed(&feeds).is_empty());
        // A feed that comes back is new.
        assert!(watch.changed(&feeds[..1]).is_empty());
        assert_eq!(watch.changed(&feeds), ["a", "b"]);
    }
}
