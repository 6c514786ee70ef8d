//! One attempt to get a feed's bytes.
//!
//! [`Client::fetch`] asks an HTTP server, with the system's certificates and proxies, and says what came: a new copy, or that
//! the one we have is still the one. Promises: it ends, whatever the server does, within [`Timeouts::whole`]; it never holds more than
//! the feed's `max_size`, counted behind decompression; headers that the configuration adds go to the feed's own server and
//! nowhere else; `https` never becomes `http`. Refuses: to retry (`schedule.rs`), and to believe a copy that is shorter than its
//! length.

mod error;
mod redirect;
#[cfg(test)]
mod tests;

pub use error::{Failure, FetchError, Problem};

use std::{
    env, fs,
    io::{self, Read},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ravelin_config::feed::{Feed, FeedHeader, FeedSource, FeedUrl, HeaderValue, MinisignKey, Sha256};
use rustls::crypto::{CryptoProvider, ring};
use sha2::Digest;
use ureq::{
    Agent, Body, Proxy,
    http::{HeaderMap, Response, StatusCode, header},
    tls::{RootCerts, TlsConfig},
};

/// The most redirects that are followed.
pub const REDIRECTS_MAX: usize = 5;

/// The longest validator that is kept.
const VALIDATOR_MAX: usize = 1024;

/// The longest signature.
pub(super) const SIGNATURE_MAX: u64 = 4096;

/// What stands behind the path of a feed in that of its signature.
pub(super) const SIGNATURE: &str = ".minisig";

/// The longest value of a header that is read from a file.
const HEADER_MAX: u64 = 8192;

/// How long the parts of a fetch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection, each time there is one to be made.
    pub connect: Duration,
    /// While nothing at all is received.
    pub silence: Duration,
    /// Altogether, redirects included.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            whole: Duration::from_mins(5),
        }
    }
}

/// What a server said by which it can tell whether our copy is still the one.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The header `Last-Modified`.
    pub last_modified: Option<String>,
}

/// The bytes of a feed.
#[derive(Clone, PartialEq, Eq)]
pub struct Copy {
    /// All of them, decompressed if the server compressed them for the way.
    pub bytes: Vec<u8>,
    /// Their checksum.
    pub sha256: Sha256,
    /// What the server says about them.
    pub validators: Validators,
}

impl Copy {
    /// A copy of these bytes.
    pub fn new(bytes: Vec<u8>, validators: Validators) -> Self {
        let sha256 = Sha256(sha2::Sha256::digest(&bytes).into());
        Self { bytes, sha256, validators }
    }

    /// The same, if it has the checksum that the feed is declared to have.
    pub(super) fn check(self, feed: &Feed) -> Result<Self, Problem> {
        match feed.sha256 {
            Some(expected) if expected != self.sha256 => {
                Err(Problem::Checksum { expected, found: self.sha256 })
            }
            Some(_) | None => Ok(self),
        }
    }

    /// The same, if `signature` is what `key` has made of it.
    pub(super) fn signed(self, key: &MinisignKey, signature: &[u8]) -> Result<Self, Problem> {
        key.verify(&self.bytes, &String::from_utf8_lossy(signature))?;
        Ok(self)
    }
}

impl std::fmt::Debug for Copy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Copy of {} bytes, {}, {:?}", self.bytes.len(), self.sha256, self.validators)
    }
}

/// What a fetch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Another copy.
    New(Copy),
    /// The copy that we have is still the one.
    Unchanged,
}

/// How feeds are fetched. Certificates and proxies are looked up anew at each fetch, so that a change of them needs no restart.
#[derive(Clone, Debug)]
pub struct Client {
    timeouts: Timeouts,
    roots: RootCerts,
    proxy: fn() -> Option<Proxy>,
}

impl Client {
    /// A client that trusts whom the system trusts, and uses the proxies that the environment names.
    pub fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, roots: RootCerts::PlatformVerifier, proxy: Proxy::try_from_env }
    }

    /// Fetches a feed. Waits, for as long as [`Timeouts::whole`].
    ///
    /// # Errors
    /// [`FetchError`] if there is neither a new copy nor word that ours is still the one.
    pub fn fetch(&self, feed: &Feed, known: &Validators) -> Result<Fetched, FetchError> {
        match &feed.source {
            FeedSource::Url { url, headers, .. } => self
                .ask(feed, url, headers, known)
                .map_err(|problem| FetchError::new(&feed.name, url.to_string(), problem)),
            FeedSource::File { file } => super::file::read(feed, file).map(Fetched::New),
        }
    }

    fn ask(
        &self,
        feed: &Feed,
        url: &FeedUrl,
        headers: &[FeedHeader],
        known: &Validators,
    ) -> Result<Fetched, Problem> {
        let headers = headers.iter().map(|header| Ok((header.name.as_str(), value_of(header)?)));
        let conversation = Conversation {
            agent: self.agent(),
            headers: headers.collect::<Result<_, Problem>>()?,
            deadline: Instant::now() + self.timeouts.whole,
        };
        let Some(copy) = conversation.get(url, known, feed.max_size)? else { return Ok(Fetched::Unchanged) };
        let copy = copy.check(feed)?;
        let Some(key) = &feed.minisign_key else { return Ok(Fetched::New(copy)) };
        let signature = signature_of(url)
            .and_then(|url| conversation.get(&url, &Validators::default(), SIGNATURE_MAX))
            .map_err(|problem| Problem::NoSignature(Box::new(problem)))?;
        copy.signed(key, &signature.map(|signature| signature.bytes).unwrap_or_default()).map(Fetched::New)
    }
    fn agent(&self) -> Agent {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here: others would be sent our headers, and may send without end.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A server may close a connection that is kept for the next request just as that is sent, and the feed would fail for nothing.
            .max_idle_connections(0)
            .proxy((self.proxy)())
            .user_agent(concat!("ravelin/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(self.timeouts.connect))
            .timeout_resolve(Some(self.timeouts.connect))
            .timeout_per_read(Some(self.timeouts.silence))
            .timeout_per_write(Some(self.timeouts.silence))
            .tls_config(
                TlsConfig::builder()
                    .root_certs(self.roots.clone())
                    .unversioned_rustls_crypto_provider(provider)
                    .build(),
            );
        config.build().new_agent()
    }
}

/// Requests that belong together.
struct Conversation<'h> {
    agent: Agent,
    /// What is said to the server that is asked first, and to no other.
    headers: Vec<(&'h str, String)>,
    /// When all of it has to be over.
    deadline: Instant,
}

impl Conversation<'_> {
    /// What is at a URL, of at most `limit` bytes; `None` if that is what is known.
    fn get(&self, first: &FeedUrl, known: &Validators, limit: u64) -> Result<Option<Copy>, Problem> {
        let mut url = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let own = if redirect::same_server(&url, first) { self.headers.as_slice() } else { &[] };
            let response = request(&self.agent, &url, own, known, self.deadline)?;
            match response.status() {
                StatusCode::OK => return receive(response, limit).map(Some),
                StatusCode::NOT_MODIFIED if *known != Validators::default() => return Ok(None),
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => {
                    let location = text(response.headers(), header::LOCATION).ok_or(Problem::BadRedirect)?;
                    let next = redirect::join(&url, &location).ok_or(Problem::BadRedirect)?;
                    if url.is_https() && !next.is_https() {
                        return Err(Problem::Downgrade { to: next.to_string() });
                    }
                    url = next;
                }
                status => {
                    let retry_after = text(response.headers(), header::RETRY_AFTER);
                    let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                    return Err(Problem::Status { status: status.as_u16(), retry_after });
                }
            }
        }
        Err(Problem::Redirects)
    }
}

/// Where the signature of what is at a URL stands.
fn signature_of(url: &FeedUrl) -> Result<FeedUrl, Problem> {
    let url = url.reveal();
    let (path, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    format!("{path}{SIGNATURE}{rest}").parse().map_err(|_| Problem::BadRedirect)
}

/// The value of a header, from wherever it comes.
fn value_of(header: &FeedHeader) -> Result<String, Problem> {
    let wrong = |what: String| Problem::Header { name: header.name.clone(), what };
    let value = match &header.value {
        HeaderValue::Text(secret) => secret.reveal().to_owned(),
        HeaderValue::Env(name) => env::var(name)
            .map_err(|_| wrong(format!("the environment variable `{name}` is not set, or no text")))?,
        HeaderValue::File(path) => {
            let text = read_value(path);
            text.map_err(|error| wrong(format!("cannot read `{}`: {error}", path.display())))?
        }
    };
    // Anything else could end the header, and begin another.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(wrong("its value has other than printable ASCII characters, or none".to_owned()));
    }
    Ok(value)
}

/// What a small file says.
fn read_value(path: &Path) -> io::Result<String> {
    // Not a pipe, for which the thread would wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut value = String::new();
    fs::File::open(path)?.take(HEADER_MAX).read_to_string(&mut value)?;
    Ok(value.trim().to_owned())
}

fn request(
    agent: &Agent,
    url: &FeedUrl,
    headers: &[(&str, String)],
    known: &Validators,
    deadline: Instant,
) -> Result<Response<Body>, Problem> {
    let left = deadline.saturating_duration_since(Instant::now());
    let mut request = agent.get(url.reveal()).config().timeout_global(Some(left)).build();
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if let Some(etag) = &known.etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    if let Some(date) = &known.last_modified {
        request = request.header(header::IF_MODIFIED_SINCE, date);
    }
    request.call().map_err(Problem::from)
}

/// The body of a response, if it is whole and not too large.
fn receive(response: Response<Body>, limit: u64) -> Result<Copy, Problem> {
    let validators = Validators {
        etag: text(response.headers(), header::ETAG),
        last_modified: text(response.headers(), header::LAST_MODIFIED),
    };
    let body = response.into_body();
    if body.content_length().is_some_and(|length| length > limit) {
        return Err(Problem::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    body.into_with_config().limit(limit).reader().read_to_end(&mut bytes).map_err(ureq::Error::from)?;
    Ok(Copy::new(bytes, validators))
}

/// The text of a header that is no longer than it should be.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (text.len() <= VALIDATOR_MAX).then(|| text.to_owned())
}
