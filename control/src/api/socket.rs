//! The Unix socket: who may have it, and how it is served.
//!
//! Promises: one process at a time (a lock that dies with its holder decides, so a socket that a dead process left is
//! taken over and that of a live one never is); nobody but the owner can connect, at any moment. Refuses: to remove what is
//! not a socket.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use axum::Router;
use rustix::fs::{FlockOperation, flock};

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process has it.
    #[error("another ravelin is running with the control socket {} (process {pid})", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
        /// The process that has it.
        pid: String,
    },
    /// Something else is in its place.
    #[error("{} is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("the control socket {}: cannot {step}: {source}", path.display())]
    System {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// The right to a control socket, and so to be the only process of this configuration.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Locked for as long as it is open. The file stays: removing it would let two processes lock two files.
    _lock: File,
    listening: bool,
}

impl Claim {
    /// Claims the socket at `path`, before anything else of the system is touched.
    ///
    /// # Errors
    /// [`SocketError::Taken`] if a live process has it; [`SocketError::System`].
    pub fn new(path: &Path) -> Result<Self, SocketError> {
        let failed = |step| move |source| SocketError::System { path: path.to_owned(), step, source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o755).create(directory).map_err(failed("make its directory"))?;
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(beside(path, ".lock"))
            .map_err(failed("open its lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let _only_a_number_less = lock.read_to_string(&mut pid);
                return Err(SocketError::Taken { path: path.to_owned(), pid: pid.trim().to_owned() });
            }
            Err(error) => return Err(failed("lock it")(error.into())),
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed("write its lock"))?;
        Ok(Self { path: path.to_owned(), _lock: lock, listening: false })
    }

    /// Listens, in the place of whatever a dead process left.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn listen(&mut self) -> Result<UnixListener, SocketError> {
        let path = self.path.clone();
        let failed = |step| {
            let path = path.clone();
            move |source| SocketError::System { path, step, source }
        };
        match fs::symlink_metadata(&self.path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NotASocket(self.path.clone()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look for it")(error)),
        }
        // Made under another name, closed to others, and only then put into place: there is no moment at which
        // somebody else could connect.
        let made = beside(&self.path, ".new");
        match fs::remove_file(&made) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("remove what an earlier start left")(error)),
        }
        let listener = UnixListener::bind(&made).map_err(failed("bind it"))?;
        fs::set_permissions(&made, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&made, &self.path))
            .and_then(|()| listener.set_nonblocking(true))
            .map_err(failed("put it into place"))?;
        self.listening = true;
        Ok(listener)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.listening {
            // Whoever comes next takes over what is left.
            let _already_gone = fs::remove_file(&self.path);
        }
    }
}

/// Answers requests until the process ends.
///
/// # Errors
/// If the listener cannot be handed to the runtime.
pub async fn serve(listener: UnixListener, router: Router) -> io::Result<()> {
    axum::serve(tokio::net::UnixListener::from_std(listener)?, router).await
}

/// The path with something appended to the name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
