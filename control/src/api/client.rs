//! Asks a running process.

use std::{
    io,
    path::{Path, PathBuf},
};

use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use super::view::{Refusal, TraceLine};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no ravelin answers at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended, or the connection did.
    #[error("the connection to ravelin broke: {0}")]
    Broken(#[from] hyper::Error),
    /// The process said no.
    #[error("{}", refusal.error)]
    Refused {
        /// Whether what was asked is wrong, rather than the state of the process.
        wrong: bool,
        /// Its words.
        refusal: Refusal,
    },
    /// The process says something that this program does not understand.
    #[error("the running ravelin answers in a way that this one does not understand: {0}")]
    Strange(#[from] serde_json::Error),
    /// What came cannot be written.
    #[error("cannot be written: {0}")]
    Write(io::Error),
}

/// Asks for `target`, such as `/status`.
///
/// # Errors
/// [`ClientError`].
pub async fn get<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, ClientError> {
    answer(send(socket, Method::GET, target).await?).await
}

/// Tells the process to do `target`, such as `/reload`.
///
/// # Errors
/// [`ClientError`].
pub async fn post<T: DeserializeOwned>(socket: &Path, target: &str) -> Result<T, ClientError> {
    answer(send(socket, Method::POST, target).await?).await
}

/// Asks for `target` and shows each line of the answer when it comes.
///
/// # Errors
/// [`ClientError`], or what `show` returned.
pub async fn follow<E: From<ClientError>>(
    socket: &Path,
    target: &str,
    mut show: impl FnMut(TraceLine) -> Result<(), E>,
) -> Result<(), E> {
    let mut body = send(socket, Method::GET, target).await?;
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ClientError::from)?;
        let Ok(data) = frame.into_data() else { continue };
        rest.extend_from_slice(&data);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = rest.drain(..=end).collect::<Vec<_>>();
            show(serde_json::from_slice(&line).map_err(ClientError::from)?)?;
        }
    }
    Ok(())
}

/// Sends `value` to `target` and reads the answer.
///
/// # Errors
/// [`ClientError`].
pub async fn send_json<T: DeserializeOwned>(
    socket: &Path,
    target: &str,
    value: &impl Serialize,
) -> Result<T, ClientError> {
    answer(send_body(socket, Method::POST, target, serde_json::to_vec(value)?.into()).await?).await
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub struct Download(Incoming);

/// Asks for `target`.
///
/// # Errors
/// [`ClientError`].
pub async fn download(socket: &Path, target: &str) -> Result<Download, ClientError> {
    Ok(Download(send(socket, Method::GET, target).await?))
}

/// Sends `value` to `target`.
///
/// # Errors
/// [`ClientError`].
pub async fn download_json(
    socket: &Path,
    target: &str,
    value: &impl Serialize,
) -> Result<Download, ClientError> {
    let body = serde_json::to_vec(value)?.into();
    Ok(Download(send_body(socket, Method::POST, target, body).await?))
}

impl Download {
    /// Writes the answer as it comes.
    ///
    /// # Errors
    /// [`ClientError`]; what was written so far is not all of it.
    pub async fn write(mut self, out: &mut impl io::Write) -> Result<(), ClientError> {
        while let Some(frame) = self.0.frame().await {
            if let Ok(data) = frame?.into_data() {
                out.write_all(&data).map_err(ClientError::Write)?;
            }
        }
        out.flush().map_err(ClientError::Write)
    }
}

async fn send(socket: &Path, method: Method, target: &str) -> Result<Incoming, ClientError> {
    send_body(socket, method, target, Bytes::new()).await
}

async fn send_body(
    socket: &Path,
    method: Method,
    target: &str,
    body: Bytes,
) -> Result<Incoming, ClientError> {
    let unreachable = |source| ClientError::Unreachable { path: socket.to_owned(), source };
    let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // What goes wrong with the connection is reported to the request.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "ravelin")
        .header("content-type", "application/json")
        .body(Full::new(body))
        .map_err(|error| unreachable(io::Error::other(error)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response.into_body());
    }
    let refusal: Refusal = answer(response.into_body()).await?;
    // A conflict over fields is about the configuration, any other about what the process does now.
    let state = status.is_server_error() || (status == StatusCode::CONFLICT && refusal.fields.is_empty());
    Err(ClientError::Refused { wrong: !state, refusal })
}

async fn answer<T: DeserializeOwned>(body: Incoming) -> Result<T, ClientError> {
    Ok(serde_json::from_slice(&body.collect().await?.to_bytes())?)
}
