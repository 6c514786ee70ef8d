//! Captures: started, shown, ended, fetched and removed.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http_body_util::channel::Channel;
use jiff::{Timestamp, tz::Offset};
use tokio::sync::mpsc;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

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
        .route("/captures/{name}/files", get(files))
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
    Ok(Json(view::CapturesRemoved { removed: appliance.clean_captures()? }))
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

/// All complete files as a zip archive, as it is made: nothing in it is compressed once more.
async fn files(State(appliance): Shared, Path(name): Path<String>) -> Result<Response, Refused> {
    let paths = appliance.capture_files(&name)?;
    if paths.is_empty() {
        return Err(refuse(StatusCode::NOT_FOUND, &format!("the capture `{name}` has no complete file yet")));
    }
    let (out, answer) = answer_in_pieces();
    tokio::task::spawn_blocking(move || {
        // An archive without its end is none, which is how whoever reads it knows.
        if let Err(error) = archive(&paths, out) {
            tracing::warn!(capture = name, %error, "the files of the capture were not sent");
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/zip")], answer).into_response())
}

/// What has fewer bytes fits into a zip archive's usual form.
const LARGE: u64 = u32::MAX as u64;

/// Writes files as a zip archive. One that is gone by now is left out.
fn archive(paths: &[PathBuf], out: impl Write) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(out);
    for path in paths {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(moment(&file).unwrap_or_default())
            .unix_permissions(0o600)
            // Not every program understands the other form.
            .large_file(file.metadata()?.len() >= LARGE);
        archive.start_file(name, options)?;
        io::copy(&mut file, &mut archive)?;
    }
    archive.finish()?.into_inner().flush()
}

/// When a file was changed, in UTC, as zip archives say it.
fn moment(file: &File) -> Option<zip::DateTime> {
    let changed = Timestamp::try_from(file.metadata().ok()?.modified().ok()?).ok()?;
    let clock = Offset::UTC.to_datetime(changed);
    let small = |number: i8| u8::try_from(number).ok();
    let (date, time) = (clock.date(), clock.time());
    zip::DateTime::from_date_and_time(
        date.year().try_into().ok()?,
        small(date.month())?,
        small(date.day())?,
        small(time.hour())?,
        small(time.minute())?,
        small(time.second())?,
    )
    .ok()
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
    let (out, answer) = answer_in_pieces();
    appliance.save_ring(&query, Box::new(out))?;
    Ok(([(header::CONTENT_TYPE, "application/x-pcapng")], answer).into_response())
}

/// An answer that has what another thread writes, as it is written. One whose writer ends without a flush breaks off, so that nobody takes
/// it for all there is.
fn answer_in_pieces() -> (Pieces, Body) {
    let (give, mut take) = mpsc::channel::<Option<Bytes>>(8);
    let (mut reader, body) = Channel::<Bytes, io::Error>::new(8);
    tokio::spawn(async move {
        let mut is_whole = false;
        while let Some(piece) = take.recv().await {
            is_whole = piece.is_none();
            // Where nobody reads any more the writer is told when it writes again.
            if let Some(piece) = piece
                && reader.send_data(piece).await.is_err()
            {
                return;
            }
        }
        if !is_whole {
            reader.abort(io::ErrorKind::UnexpectedEof.into());
        }
    });
    (Pieces(give), Body::new(body))
}

/// Gives what is written to an answer, piece by piece, and what is flushed as `None`. Waits while the reader does not take it.
struct Pieces(mpsc::Sender<Option<Bytes>>);

impl Pieces {
    fn give(&self, piece: Option<Bytes>) -> io::Result<()> {
        self.0.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.give(Some(Bytes::copy_from_slice(bytes))).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.give(None)
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
            CaptureError::Start(_)
            | CaptureError::UnderWay(_)
            | CaptureError::Job(_)
            | CaptureError::Triggered => StatusCode::CONFLICT,
            CaptureError::Unavailable | CaptureError::NoRing | CaptureError::Files { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        refuse(status, &error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read, Write};

    use http_body_util::BodyExt;
    use zip::ZipArchive;

    use super::{answer_in_pieces, archive};
    use crate::testing::Directory;

    #[test]
    fn an_archive_has_the_files_as_they_are() {
        let directory = Directory::new();
        let big = vec![7; 300_000];
        let paths = [
            directory.write("a-00001.pcapng", "first"),
            directory.file("a-00002.pcapng"),
            directory.write("a-00003.pcapng", &big),
        ];
        let mut bytes = Vec::new();
        archive(&paths, &mut bytes).unwrap();
        let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
        // The second was removed meanwhile.
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a-00001.pcapng", "a-00003.pcapng"]);
        for (name, expected) in [("a-00001.pcapng", b"first".as_slice()), ("a-00003.pcapng", &big)] {
            let mut found = Vec::new();
            let mut file = zip.by_name(name).unwrap();
            assert_eq!(file.compression(), zip::CompressionMethod::Stored);
            assert!(file.last_modified().unwrap().year() >= 2024);
            file.read_to_end(&mut found).unwrap();
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
        for (is_whole, flushes) in [(true, 1), (false, 0)] {
            let (mut out, body) = answer_in_pieces();
            let writer = tokio::task::spawn_blocking(move || {
                // What is written behind a flush has to be flushed, too.
                out.flush().unwrap();
                out.write_all(b"packets").unwrap();
                (0..flushes).for_each(|_| out.flush().unwrap());
            });
            let answer = body.collect().await;
            writer.await.unwrap();
            assert_eq!(
                answer.map(|answer| answer.to_bytes()).ok().as_deref(),
                is_whole.then_some(&b"packets"[..])
            );
        }
    }
}
