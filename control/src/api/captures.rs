//! Captures: started, shown, ended, fetched and removed.

use std::{io::Write, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http_body_util::channel::Channel;
use tokio::sync::mpsc;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::{
    handlers::{Refused, Shared, refuse},
    view,
};
use crate::{
    appliance::{Appliance, captures::CaptureError},
    capture::CaptureSpec,
};

/// What can be asked about captures.
pub(super) fn routes() -> Router<Arc<Appliance>> {
    Router::new()
        .route("/captures", get(list).post(start))
        .route("/captures/clean", post(clean))
        .route("/captures/save", post(save))
        .route("/captures/{name}", get(show))
        .route("/captures/{name}/stop", post(stop))
        .route("/captures/{name}/remove", post(remove))
        .route("/captures/{name}/files/{file}", get(file))
}

async fn list(State(appliance): Shared) -> Json<Vec<view::Capture>> {
    Json(appliance.captures())
}

async fn show(State(appliance): Shared, Path(name): Path<String>) -> Result<Json<view::Capture>, Refused> {
    Ok(Json(appliance.capture(&name)?))
}

async fn start(State(appliance): Shared, body: Bytes) -> Result<Json<view::Capture>, Refused> {
    let spec: CaptureSpec = read(&body)?;
    Ok(Json(appliance.start_capture(spec).await?))
}

async fn stop(State(appliance): Shared, Path(name): Path<String>) -> Result<Json<view::Capture>, Refused> {
    Ok(Json(appliance.stop_capture(&name).await?))
}

async fn remove(
    State(appliance): Shared,
    Path(name): Path<String>,
) -> Result<Json<view::CapturesRemoved>, Refused> {
    appliance.remove_capture(&name)?;
    Ok(Json(view::CapturesRemoved { removed: vec![name] }))
}

async fn clean(State(appliance): Shared) -> Result<Json<view::CapturesRemoved>, Refused> {
    let mut removed = Vec::new();
    for capture in appliance.captures().into_iter().filter(view::Capture::may_go) {
        appliance.remove_capture(&capture.name)?;
        removed.push(capture.name);
    }
    Ok(Json(view::CapturesRemoved { removed }))
}

/// A complete file, or the ranges of it that are asked for.
async fn file(
    State(appliance): Shared,
    Path((name, file)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refused> {
    let path = appliance.capture_file(&name, &file);
    let path = path.ok_or_else(|| {
        refuse(StatusCode::NOT_FOUND, &format!("the capture `{name}` has no complete file `{file}`"))
    })?;
    let served = ServeFile::new_with_mime(path, &mime(&file)).oneshot(request).await;
    Ok(served.into_response())
}

fn mime(file: &str) -> mime::Mime {
    let name = match file.rsplit('.').next() {
        Some("pcap") => "application/vnd.tcpdump.pcap",
        Some("pcapng") => "application/x-pcapng",
        Some("gz") => "application/gzip",
        Some("zst") => "application/zstd",
        Some(_) | None => "application/octet-stream",
    };
    name.parse().unwrap_or(mime::APPLICATION_OCTET_STREAM)
}

/// What the ring still has, as it is read.
async fn save(State(appliance): Shared, body: Bytes) -> Result<Response, Refused> {
    let query: view::SaveQuery = read(&body)?;
    let (give, mut take) = mpsc::channel(8);
    let (mut reader, body) = Channel::<Bytes>::new(8);
    appliance.save_ring(&query, Box::new(Pieces(give)))?;
    tokio::spawn(async move {
        while let Some(piece) = take.recv().await {
            // Nobody reads any more; the writer is told when it writes again.
            if reader.send_data(piece).await.is_err() {
                break;
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-pcapng")], Body::new(body)).into_response())
}

/// Gives what is written to an answer, piece by piece. Waits while the reader does not take it.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::ErrorKind::BrokenPipe.into();
        self.0.blocking_send(Bytes::copy_from_slice(bytes)).map(|()| bytes.len()).map_err(gone)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| refuse(StatusCode::BAD_REQUEST, &error))
}

impl From<CaptureError> for Refused {
    fn from(error: CaptureError) -> Self {
        let status = match &error {
            CaptureError::Unknown(_) => StatusCode::NOT_FOUND,
            CaptureError::Spec(_) | CaptureError::Query(_) => StatusCode::BAD_REQUEST,
            CaptureError::Start(_) | CaptureError::UnderWay(_) | CaptureError::Triggered => {
                StatusCode::CONFLICT
            }
            CaptureError::Unavailable | CaptureError::NoRing | CaptureError::Files { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        refuse(status, &error)
    }
}
