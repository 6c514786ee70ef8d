//! The captures of the running process: who is under way, what became of them, and the files that they left.

mod figures;
mod jobs;

use std::{fmt::Display, fs, io, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use jiff::Timestamp;
use ravelin_config::Config;
use ravelin_dataplane::clock::{Clock, Timestamp as PacketTime};

use super::{Appliance, whole_seconds};
use crate::{
    api::view,
    capture::{
        CaptureSpec, CaptureState, CaptureWriter, SaveRequest, SpecError, TRIGGERS, Wanted, check_name,
        compile,
        registry::{Capture, Registry, StartError, State},
    },
    reload::Reloader,
};

pub(crate) use figures::CaptureFigures;

/// The captures that there are, and the thread that writes them.
#[derive(Debug)]
pub struct CaptureDesk {
    pub(super) registry: Registry,
    pub(super) writer: CaptureWriter,
    pub(super) directory: PathBuf,
    /// Whether there is a ring to save from.
    pub(super) has_ring: bool,
    /// The configuration whose jobs are among the captures.
    pub(super) declared: Option<Arc<Config>>,
}

/// Why something cannot be done with a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Nothing can be captured.
    #[error("nothing can be captured: the directory of captures cannot be used; the log says why")]
    Unavailable,
    /// What is wanted is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What is to be saved cannot be looked for.
    #[error("{0}")]
    Query(String),
    /// There is no ring to save from.
    #[error("there is no ring: `[capture.ring]` says how much it may hold")]
    NoRing,
    /// There is none of that name.
    #[error("there is no capture `{0}`")]
    Unknown(String),
    /// It goes on by itself.
    #[error(
        "what is triggered is not stopped here: take it out of `[capture.trigger]`, and `capture` out of rules, and reload"
    )]
    Triggered,
    /// The configuration declares it.
    #[error("the capture `{0}` is a job of the configuration: take `[[capture.job]]` out there first")]
    Job(String),
    /// It has to be stopped first.
    #[error("the capture `{0}` is under way: stop it first")]
    UnderWay(String),
    /// Its files cannot be removed.
    #[error("the files of `{name}` cannot be removed: {source}")]
    Files {
        /// The capture.
        name: String,
        /// What the system says.
        source: io::Error,
    },
}

impl Appliance {
    /// Has captures written by this desk.
    pub fn open_captures(&self, desk: Option<CaptureDesk>) {
        *self.captures.lock() = desk;
    }

    /// Takes up the captures that an earlier process had under way, and those that the configuration declares.
    pub async fn resume_captures(&self) {
        let mut reloader = self.reloader.lock().await;
        if let Some(desk) = &mut *self.captures.lock() {
            let under_way: Vec<_> = desk
                .registry
                .iter()
                .filter_map(|capture| Some((capture.spec.name.clone(), capture.number?)))
                .collect();
            for (name, number) in under_way {
                desk.open(&name, number, &mut reloader, "goes on");
            }
        }
        self.watch_captures(&mut reloader).await;
    }

    /// Starts a capture, or has it start later.
    ///
    /// # Errors
    /// [`CaptureError`]; then there is none.
    pub async fn start_capture(&self, spec: CaptureSpec) -> Result<view::Capture, CaptureError> {
        check_name(&spec.name)?;
        let mut reloader = self.reloader.lock().await;
        // Before anything is made for it.
        reloader.check_capture(&spec)?;
        let mut captures = self.captures.lock();
        let desk = captures.as_mut().ok_or(CaptureError::Unavailable)?;
        let name = spec.name.clone();
        let now = Timestamp::now();
        desk.registry.add(spec, false, now)?;
        if let Err(error) = desk.begin(&name, now, &mut reloader) {
            desk.registry.remove(&name);
            return Err(error.into());
        }
        desk.save();
        desk.view(&name).ok_or(CaptureError::Unknown(name))
    }

    /// Ends a capture. Of a job that begins again and again, that is what is under way now; of any other, it is all.
    ///
    /// # Errors
    /// [`CaptureError::Unknown`].
    pub async fn stop_capture(&self, name: &str) -> Result<view::Capture, CaptureError> {
        if name == TRIGGERS {
            return Err(CaptureError::Triggered);
        }
        let mut reloader = self.reloader.lock().await;
        if let Some(number) = self.capture_number(name)? {
            self.end_capture(name, number, State::Finished, &mut reloader).await;
        }
        if let Some(desk) = &mut *self.captures.lock()
            && desk.registry.get(name).is_some_and(|it| !it.job || it.spec.cron.is_none())
        {
            desk.registry.cancel(name, Timestamp::now());
            desk.save();
        }
        self.capture(name)
    }

    /// The number of a capture, if it is under way.
    fn capture_number(&self, name: &str) -> Result<Option<u8>, CaptureError> {
        let captures = self.captures.lock();
        let desk = captures.as_ref().ok_or(CaptureError::Unavailable)?;
        let capture = desk.registry.get(name).ok_or_else(|| CaptureError::Unknown(name.to_owned()))?;
        Ok(capture.number)
    }

    /// Ends a capture, and waits a bounded time until what workers have copied for it is written.
    async fn end_capture(&self, name: &str, number: u8, state: State, reloader: &mut Reloader) {
        reloader.stop_capture(number);
        let behind = reloader.settle(Self::PATIENCE, |worker| self.roster.wake(worker)).await;
        for worker in behind {
            tracing::error!(%worker, capture = name, "the worker has not ended the capture yet");
        }
        // The writer gives workers the time to hand in what they have copied.
        if let Some(desk) = &*self.captures.lock() {
            desk.writer.close(number);
        }
        let end = tokio::time::Instant::now() + Self::PATIENCE;
        let is_written = || {
            let captures = self.captures.lock();
            captures.as_ref().is_none_or(|desk| desk.has_closed(number))
        };
        while !is_written() && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if let Some(desk) = &mut *self.captures.lock() {
            desk.look();
            desk.registry.end(name, state, Timestamp::now());
            desk.save();
        }
    }

    /// All captures.
    pub fn captures(&self) -> Vec<view::Capture> {
        let mut captures = self.captures.lock();
        let Some(desk) = &mut *captures else { return Vec::new() };
        desk.look();
        let names: Vec<_> = desk.registry.iter().map(|capture| capture.spec.name.clone()).collect();
        let own = names.iter().filter_map(|name| desk.view(name));
        own.chain(self.triggered(desk)).collect()
    }

    /// A capture.
    ///
    /// # Errors
    /// [`CaptureError::Unknown`].
    pub fn capture(&self, name: &str) -> Result<view::Capture, CaptureError> {
        self.captures()
            .into_iter()
            .find(|capture| capture.name == name)
            .ok_or_else(|| CaptureError::Unknown(name.to_owned()))
    }

    /// The path of a complete file of a capture, if there is such a one.
    pub fn capture_file(&self, name: &str, file: &str) -> Option<PathBuf> {
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name == file);
        self.capture_files(name).ok()?.into_iter().find(is_it)
    }

    /// The paths of the complete files of a capture, the oldest first.
    ///
    /// # Errors
    /// [`CaptureError::Unknown`].
    pub fn capture_files(&self, name: &str) -> Result<Vec<PathBuf>, CaptureError> {
        let capture = self.capture(name)?;
        let captures = self.captures.lock();
        let desk = captures.as_ref().ok_or(CaptureError::Unavailable)?;
        let directory = desk.directory.join(&capture.name);
        Ok(capture.files.iter().map(|file| directory.join(&file.name)).collect())
    }

    /// Removes a capture that has ended, with its files; of what is triggered, the files that are complete.
    ///
    /// # Errors
    /// [`CaptureError`]; then it is still there.
    pub fn remove_capture(&self, name: &str) -> Result<(), CaptureError> {
        if name == TRIGGERS {
            return self.remove_triggered();
        }
        let mut captures = self.captures.lock();
        let desk = captures.as_mut().ok_or(CaptureError::Unavailable)?;
        let capture = desk.registry.get(name).ok_or_else(|| CaptureError::Unknown(name.to_owned()))?;
        if capture.job {
            return Err(CaptureError::Job(name.to_owned()));
        }
        if capture.number.is_some() {
            return Err(CaptureError::UnderWay(name.to_owned()));
        }
        match fs::remove_dir_all(desk.directory.join(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(CaptureError::Files { name: name.to_owned(), source });
            }
            Ok(()) | Err(_) => {}
        }
        desk.registry.remove(name);
        desk.save();
        Ok(())
    }

    /// Removes every capture that is over and that the configuration does not declare, with its files; their names.
    ///
    /// # Errors
    /// [`CaptureError`]; then some are still there.
    pub fn clean_captures(&self) -> Result<Vec<String>, CaptureError> {
        let over: Vec<_> = {
            let captures = self.captures.lock();
            let desk = captures.as_ref().ok_or(CaptureError::Unavailable)?;
            let over = desk.registry.iter().filter(|capture| capture.is_over() && !capture.job);
            let triggered = self.triggered(desk).filter(|capture| !capture.files.is_empty());
            let triggered = triggered.map(|capture| capture.name);
            over.map(|capture| capture.spec.name.clone()).chain(triggered).collect()
        };
        over.iter().try_for_each(|name| self.remove_capture(name))?;
        Ok(over)
    }

    /// Has what the ring still has written, by a thread of its own.
    ///
    /// # Errors
    /// [`CaptureError::NoRing`] if there is none.
    pub fn save_ring(
        &self,
        query: &view::SaveQuery,
        out: Box<dyn io::Write + Send>,
    ) -> Result<(), CaptureError> {
        let captures = self.captures.lock();
        let desk = captures.as_ref().ok_or(CaptureError::Unavailable)?;
        if !desk.has_ring {
            return Err(CaptureError::NoRing);
        }
        let filter = query.filter.as_deref().map(compile).transpose().map_err(SpecError::from)?;
        let wanted = wanted(query)?;
        let now = Clock::start().now();
        let from = query.last.map_or(PacketTime::ZERO, |last| now - Duration::from_secs(last));
        let request = SaveRequest { from, until: now, wanted, filter: filter.map(Arc::new), subject: None };
        // What goes wrong ends the answer before its end.
        drop(desk.writer.save(request, out));
        Ok(())
    }

    /// The writer of captures, to stop it.
    pub fn take_captures(&self) -> Option<CaptureDesk> {
        self.captures.lock().take()
    }
}

impl CaptureDesk {
    /// The desk of a directory, with what an earlier process has saved there.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn new(directory: PathBuf, writer: CaptureWriter, has_ring: bool) -> io::Result<Self> {
        let registry = Registry::load(&directory, Timestamp::now())?;
        Ok(Self { registry, writer, directory, has_ring, declared: None })
    }

    /// Has a capture begin that is due. What begins too late is told by how it stands.
    fn begin(&mut self, name: &str, now: Timestamp, reloader: &mut Reloader) -> Result<(), StartError> {
        if let Some(number) = self.registry.begin(name, now)? {
            self.open(name, number, reloader, "begins");
        }
        Ok(())
    }

    /// Has packets copied for a capture under its number, and written.
    fn open(&mut self, name: &str, number: u8, reloader: &mut Reloader, what: &str) {
        let Some(Capture { spec, begins, .. }) = self.registry.get(name) else { return };
        self.writer.open(number, spec.files(*begins));
        match reloader.start_capture(number, spec.clone()) {
            Ok(()) => tracing::info!(capture = name, "the capture {what}"),
            Err(error) => {
                tracing::error!(capture = name, %error, "nothing can be captured");
                self.writer.close(number);
                self.registry.end(name, State::Error(error.to_string()), Timestamp::now());
            }
        }
    }

    /// Takes note of what was written; says which captures are to end, and how.
    fn look(&mut self) -> Vec<(String, State)> {
        let mut ends: Vec<_> =
            self.registry.due(Timestamp::now()).into_iter().map(|name| (name, State::Finished)).collect();
        for status in self.writer.status() {
            self.registry.note(status.number, status.packets, status.bytes, status.lost);
            // One that has ended is known to the writer until its number is given to another.
            if self.registry.get(&status.name).and_then(|capture| capture.number) != Some(status.number) {
                continue;
            }
            match status.state {
                CaptureState::Waiting | CaptureState::Capturing => {}
                CaptureState::Finished => ends.push((status.name, State::Finished)),
                CaptureState::Error(error) => ends.push((status.name, State::Error(error))),
            }
        }
        ends
    }

    /// Whether nothing more comes for a number.
    fn has_closed(&self, number: u8) -> bool {
        let status = self.writer.status().into_iter().find(|status| status.number == number);
        status.is_none_or(|status| status.is_settled)
    }

    fn save(&self) {
        if let Err(error) = self.registry.save(&self.directory) {
            tracing::warn!(%error, "what is captured is not kept for the next start");
        }
    }

    fn view(&self, name: &str) -> Option<view::Capture> {
        let Capture {
            spec,
            job,
            number,
            state,
            begins,
            started,
            ends,
            ended,
            skipped,
            packets,
            bytes,
            lost,
            ..
        } = self.registry.get(name)?.clone();
        let error = match &state {
            State::Error(error) => Some(error.clone()),
            State::Scheduled | State::WaitingForTraffic | State::Capturing | State::Finished => None,
        };
        Some(view::Capture {
            name: name.to_owned(),
            state: state.name().to_owned(),
            error,
            spec,
            job,
            begins: begins.filter(|_| number.is_none()).map(whole_seconds),
            started: started.map(whole_seconds),
            ends: ends.map(whole_seconds),
            ended: ended.map(whole_seconds),
            skipped,
            packets,
            bytes,
            lost,
            files: files(&self.directory.join(name)),
            triggers: Vec::new(),
        })
    }

    /// Ends the thread, and keeps how everything stands.
    pub fn stop(mut self, patience: std::time::Duration) {
        for status in self.writer.stop(patience) {
            self.registry.note(status.number, status.packets, status.bytes, status.lost);
        }
        if let Err(error) = self.registry.save(&self.directory) {
            tracing::warn!(%error, "what is captured is not kept for the next start");
        }
    }
}

/// What packets have that somebody asks for.
fn wanted(query: &view::SaveQuery) -> Result<Wanted, CaptureError> {
    let wanted = Wanted {
        host: query.host,
        protocol: parsed(query.protocol.as_deref())?,
        port: query.port,
        flow: parsed(query.flow.as_deref())?,
        community_id: parsed(query.community_id.as_deref())?,
    };
    wanted.checked().map_err(|error| CaptureError::Query(error.to_string()))
}

fn parsed<T: FromStr<Err: Display>>(text: Option<&str>) -> Result<Option<T>, CaptureError> {
    text.map(str::parse).transpose().map_err(|error: T::Err| CaptureError::Query(error.to_string()))
}

/// The complete files in a directory, in the order of their names.
pub(super) fn files(directory: &std::path::Path) -> Vec<view::CaptureFile> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok().filter(|name| !name.starts_with('.'))?;
            Some(view::CaptureFile { name, size: entry.metadata().ok()?.len() })
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}
