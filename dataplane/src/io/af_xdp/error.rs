//! What can go wrong while interfaces are taken over. Nothing here happens per packet.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::Owner;

/// Why AF_XDP could not be set up or taken down.
#[derive(Debug, Error)]
pub enum AfXdpError {
    /// The interface does not exist in this network namespace, or cannot be asked.
    #[error("interface {interface}: {source}")]
    Interface {
        /// Its name.
        interface: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// Another program's XDP program is attached, and replacing it would break that program.
    #[error(
        "interface {interface} already has the XDP program `{program}`, which is not ours; detach it first"
    )]
    Occupied {
        /// The interface's name.
        interface: String,
        /// The foreign program's name.
        program: String,
    },

    /// The kernel refused the program.
    #[error("interface {interface}: the XDP program could not be {step}: {reason}")]
    Program {
        /// The interface's name.
        interface: String,
        /// What was tried.
        step: &'static str,
        /// What libbpf and the kernel said, one mode after the other.
        reason: String,
    },

    /// The packet memory could not be made.
    #[error("packet memory of {frames} frames of {frame_size} bytes: {reason}")]
    Memory {
        /// How many frames were asked for.
        frames: u32,
        /// Bytes in each.
        frame_size: u32,
        /// What was refused.
        reason: String,
    },

    /// A socket could not be bound to a queue.
    #[error("interface {interface}, queue {queue}: {reason}")]
    Socket {
        /// The interface's name.
        interface: String,
        /// The queue's number.
        queue: u32,
        /// What was refused.
        reason: String,
    },

    /// A running process has the interface.
    #[error("interface {interface} is in use by {}", .owner.as_ref().map_or("another process".to_owned(), Owner::to_string))]
    InUse {
        /// The interface's name.
        interface: String,
        /// Which process, unless it cannot be seen from here.
        owner: Option<Owner>,
    },

    /// The file that remembers changed interface settings cannot be read or written.
    #[error("state file {}: {source}", path.display())]
    State {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The kernel refused a change of the list of sources that it drops.
    #[error("{reason}")]
    Blocklist {
        /// What it said.
        reason: String,
    },

    /// The kernel refused a change of what is left to it on interfaces that route.
    #[error("the kernel cannot be told what is its own on interfaces that route: {reason}")]
    Own {
        /// What it said.
        reason: String,
    },

    /// A value in the configuration cannot be used.
    #[error("{0}")]
    Settings(&'static str),
}

impl AfXdpError {
    pub(super) fn interface(interface: &str, source: impl Into<io::Error>) -> Self {
        Self::Interface { interface: interface.to_owned(), source: source.into() }
    }
}

/// The error with everything that caused it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// What was at the bottom of an error.
pub(super) fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
