use std::{io, time::Duration};

use ravelin_config::feed::{Sha256, SignatureError};

/// Why a feed could not be had. Displayed with the feed's name and its URL, of which secrets are left out.
#[derive(Debug, thiserror::Error)]
#[error("the feed `{feed}` from {origin}: {problem}")]
pub struct FetchError {
    /// The feed's name.
    pub feed: String,
    /// Its URL without user name, password and query; or its path.
    pub origin: String,
    /// What happened.
    pub problem: Problem,
}

impl FetchError {
    pub(in crate::feeds) fn new(feed: &str, origin: String, problem: Problem) -> Self {
        Self { feed: feed.to_owned(), origin, problem }
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.problem {
            Problem::Status { retry_after, .. } => retry_after,
            Problem::Header { .. }
            | Problem::Resolve
            | Problem::Io(_)
            | Problem::Tls(_)
            | Problem::Timeout(_)
            | Problem::Redirects
            | Problem::BadRedirect
            | Problem::Downgrade { .. }
            | Problem::TooLarge { .. }
            | Problem::Truncated
            | Problem::Compression
            | Problem::Checksum { .. }
            | Problem::NoSignature(_)
            | Problem::Signature(_)
            | Problem::NotAFile
            | Problem::Protocol(_) => None,
        }
    }
}

/// Kinds of failures, of which there are few, so that they can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// There was no connection, or it broke; or the file cannot be read.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The server could not show who it is.
    Tls,
    /// The server answered with an error.
    Status,
    /// A redirect was not followed.
    Redirect,
    /// There was too much.
    TooLarge,
    /// It was not what it should be, or not whole.
    Damaged,
    /// The request could not be made.
    Request,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Tls,
        Self::Status,
        Self::Redirect,
        Self::TooLarge,
        Self::Damaged,
        Self::Request,
    ];

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Status => "status",
            Self::Redirect => "redirect",
            Self::TooLarge => "too_large",
            Self::Damaged => "damaged",
            Self::Request => "request",
        }
    }
}

impl Problem {
    /// Which kind of failure it is.
    pub fn kind(&self) -> Failure {
        match self {
            Self::Resolve | Self::Io(_) | Self::NotAFile => Failure::Unreachable,
            Self::Timeout(_) => Failure::Timeout,
            Self::Tls(_) => Failure::Tls,
            Self::Status { .. } => Failure::Status,
            Self::Redirects | Self::BadRedirect | Self::Downgrade { .. } => Failure::Redirect,
            Self::TooLarge { .. } => Failure::TooLarge,
            Self::Truncated
            | Self::Compression
            | Self::Checksum { .. }
            | Self::Signature(_)
            | Self::Protocol(_) => Failure::Damaged,
            Self::NoSignature(problem) => problem.kind(),
            Self::Header { .. } => Failure::Request,
        }
    }
}

/// What happened while a feed was fetched.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no value for a header that the configuration adds.
    #[error("the header `{name}` cannot be sent: {what}")]
    Header {
        /// The header's name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The name of the server has no address.
    #[error("there is no address for the name of the server")]
    Resolve,
    /// The connection could not be made, or broke; or the file could not be read.
    #[error("{0}")]
    Io(io::Error),
    /// The server's certificate is not trusted, or TLS failed otherwise.
    #[error("TLS: {0}")]
    Tls(String),
    /// It took too long.
    #[error("it took too long: {0}")]
    Timeout(&'static str),
    /// The server answered with another status than 200, or 304 to what was no question.
    #[error("the server answered with status {status}")]
    Status {
        /// The status.
        status: u16,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server sent us around more than [`super::REDIRECTS_MAX`] times.
    #[error("more than {} redirects", super::REDIRECTS_MAX)]
    Redirects,
    /// A redirect says nothing that could be followed.
    #[error("a redirect without a URL that can be followed")]
    BadRedirect,
    /// A redirect leads from `https` to `http`.
    #[error("a redirect from https to {to}")]
    Downgrade {
        /// Where to, without secrets.
        to: String,
    },
    /// There are more bytes than `max_size`.
    #[error("more than {limit} bytes, which is its `max_size`")]
    TooLarge {
        /// The most bytes that there may be.
        limit: u64,
    },
    /// The connection ended before the body did.
    #[error("the connection ended too early")]
    Truncated,
    /// The body is not compressed as the server says.
    #[error("the body cannot be decompressed")]
    Compression,
    /// The bytes are not those that the configuration wants.
    #[error("the SHA-256 checksum is {found}, not {expected}")]
    Checksum {
        /// What the configuration says.
        expected: Sha256,
        /// What came.
        found: Sha256,
    },
    /// There is no signature beside it.
    #[error("its signature cannot be had: {0}")]
    NoSignature(Box<Problem>),
    /// The signature beside it is not the one that it should have.
    #[error("its signature is not used: {0}")]
    Signature(#[from] SignatureError),
    /// What should be a file is a directory, a device or a pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// The server, or a proxy, does not speak HTTP as it should.
    #[error("{0}")]
    Protocol(String),
}

impl From<ureq::Error> for Problem {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "these enums grow, and what is new is told in their words"
    )]
    fn from(error: ureq::Error) -> Self {
        use ureq::Error;
        match error {
            Error::HostNotFound => Self::Resolve,
            Error::Timeout(what) => Self::Timeout(match what {
                ureq::Timeout::Resolve => "no address for the server's name",
                ureq::Timeout::Connect => "no connection",
                ureq::Timeout::PerRead => "the server says nothing",
                ureq::Timeout::PerWrite => "the server takes nothing",
                _ => "the whole",
            }),
            Error::Tls(what) => Self::Tls(what.to_owned()),
            Error::Rustls(error) => Self::Tls(error.to_string()),
            Error::BodyExceedsLimit(limit) => Self::TooLarge { limit },
            Error::Decompress(_, error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            Error::Decompress(..) => Self::Compression,
            Error::Io(error) => error.into(),
            // These quote URLs, which may have secrets.
            Error::BadUri(_) => Self::Protocol("the URL cannot be used".to_owned()),
            Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => {
                Self::Protocol("the proxy cannot be used".to_owned())
            }
            error => Self::Protocol(error.to_string()),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        // TLS tells of its errors through the connection.
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Tls(tls.to_string());
        }
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}
