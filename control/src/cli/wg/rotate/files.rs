use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use ravelin_config::wireguard::Wireguard;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::cli::{Failure, wg::keys::Key};

/// The most bytes of a file with one key.
const MOST: u64 = 1024;

/// The file of a key and that of the key before, which nobody else changes meanwhile.
pub(super) struct KeyFiles {
    /// Where the key stands, links followed.
    key: PathBuf,
    previous: PathBuf,
    /// The directory of the key.
    directory: File,
}

/// Whose a file is, and who may do what with it.
#[derive(Clone, Copy)]
struct Access {
    owner: (u32, u32),
    mode: u32,
}

impl KeyFiles {
    /// The files of the key that is in `path`.
    pub(super) fn lock(path: &Path) -> Result<Self, Failure> {
        let wrong = |error: io::Error| cannot("find", path, &error);
        let key = fs::canonicalize(path).map_err(wrong)?;
        let directory = File::open(key.parent().unwrap_or(Path::new("/"))).map_err(wrong)?;
        flock(&directory, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => {
                Failure::failed(format_args!("somebody else is changing keys beside {}", path.display()))
                    .help("try again")
            }
            error => cannot("lock", path, &error.into()),
        })?;
        Ok(Self { key, previous: Wireguard::previous_key_file(path), directory })
    }

    /// Puts another key in the place of the one with the public key `in_force`, which is kept as the one before. Each file is whole at any
    /// time, and no key is lost: the old one is kept first.
    pub(super) fn replace(&self, in_force: &str, new: &Key) -> Result<(), Failure> {
        let path = self.key.display();
        let read = || {
            let metadata = fs::metadata(&self.key)?;
            if metadata.len() > MOST {
                return Err(io::Error::other(format!("it has more than {MOST} bytes")));
            }
            Ok((metadata, fs::read_to_string(&self.key)?))
        };
        let (metadata, old) = read().map_err(|error| cannot("read", &self.key, &error))?;
        let old = Key::read(old.trim().as_bytes())
            .ok_or_else(|| Failure::failed(format_args!("{path} holds no key")))?;
        if old.public().text() != in_force {
            return Err(Failure::failed(format_args!(
                "{path} holds another key than the one that is in force"
            ))
            .help("`ravelin reload` brings it into force, or write back the one that was there"));
        }
        let access = Access { owner: (metadata.uid(), metadata.gid()), mode: metadata.mode() & 0o7777 };
        write(&self.previous, &old, Access { mode: 0o600, ..access })?;
        write(&self.key, new, access)?;
        // Otherwise the names may be those of the old files after a power failure.
        self.directory.sync_all().map_err(|error| cannot("keep", &self.key, &error))
    }
}

/// Puts a file with a key in the place of another, if there is one.
fn write(path: &Path, key: &Key, access: Access) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let written = write_new(&beside, key, access).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // What is wrong with it has been said.
        drop(fs::remove_file(&beside));
        cannot("write", path, &error)
    })
}

fn write_new(path: &Path, key: &Key, Access { owner, mode }: Access) -> io::Result<()> {
    // One that was left by somebody who was interrupted is nobody's: the directory is locked.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != owner {
        let (user, group) = owner;
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(format!("{}\n", key.text()).as_bytes())?;
    file.sync_all()
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::failed(format_args!("cannot {what} {}: {error}", path.display()));
    if error.kind() == io::ErrorKind::PermissionDenied {
        return failure.help("only its owner may: try again as that user, usually root");
    }
    failure
}
