use std::{
    io::{self, Write},
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use ravelin_dataplane::clock::{Clock, Timestamp};

use super::{
    Message, TRIGGERS, Triggers,
    gate::{Shot, Written},
};
use crate::capture::{
    Commentator, SaveRequest, Wanted, blocks, budget::Budget, file::make_directory, part::Part, ring::Held,
    save,
};

/// Gives what the ring has between two times, once everything of that has come; `None` if there is no ring any more.
pub(in crate::capture) type Hold = Box<dyn Fn(Timestamp, Timestamp) -> Option<Held> + Send>;

/// What the thread needs.
pub(in crate::capture) struct Help {
    /// The directory of all captures.
    pub(in crate::capture) root: PathBuf,
    pub(in crate::capture) hold: Hold,
    pub(in crate::capture) commentator: Commentator,
    pub(in crate::capture) budget: Budget,
}

/// The thread that makes the files of what is triggered.
#[derive(Debug)]
pub(in crate::capture) struct TriggerThread {
    thread: JoinHandle<()>,
    triggers: Triggers,
    finished: Receiver<()>,
}

impl TriggerThread {
    /// Starts to make files.
    ///
    /// # Errors
    /// Why the thread cannot be started.
    pub(in crate::capture) fn start(
        triggers: Triggers,
        messages: Receiver<Message>,
        help: Help,
    ) -> io::Result<Self> {
        let Help { root, hold, commentator, budget } = help;
        let directory = root.join(TRIGGERS);
        let task = Task {
            directory,
            hold,
            commentator,
            budget,
            triggers: triggers.clone(),
            clock: Clock::start(),
            files: Vec::new(),
        };
        let (finish, finished) = channel();
        let run = move || {
            task.run(&messages);
            // Nobody listens if patience has ended.
            let _nobody_waits = finish.send(());
        };
        let thread = thread::Builder::new().name("triggers".to_owned()).spawn(run)?;
        Ok(Self { thread, triggers, finished })
    }

    pub(in crate::capture) fn triggers(&self) -> &Triggers {
        &self.triggers
    }

    /// Ends all files with what has come. Returns after `patience` at the latest.
    pub(in crate::capture) fn stop(self, patience: Duration) {
        let _is_taken = self.triggers.0.shots.send(Message::Stop);
        match self.finished.recv_timeout(patience) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => drop(self.thread.join()),
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("triggered captures could not be ended in time: what is not written is lost");
            }
        }
    }
}

struct Task {
    directory: PathBuf,
    hold: Hold,
    commentator: Commentator,
    budget: Budget,
    triggers: Triggers,
    clock: Clock,
    files: Vec<Open>,
}

/// A file that is being made.
struct Open {
    shot: Shot,
    text: String,
    /// `None` until there is something to write.
    part: Option<Part>,
    /// What comes before this time has been looked at.
    from: Timestamp,
    /// When to look next.
    due: Timestamp,
    written: Written,
}

impl Task {
    /// How long a file waits for more before that is looked for.
    const STEP: Duration = Duration::from_secs(1);
    /// After so long what workers copied has come: more than `CaptureStage::LINGER`.
    const SETTLE: Duration = Duration::from_millis(250);

    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let next = self.files.iter().map(|open| open.due).min();
            let wait = next.map_or(Duration::MAX, |due| due.since(self.clock.now()));
            match messages.recv_timeout(wait) {
                Ok(Message::Shot(shot, text)) => self.begin(*shot, text),
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look(None);
        }
        if !self.files.is_empty() {
            thread::sleep(Self::SETTLE);
            self.look(Some(self.clock.now()));
        }
    }

    fn begin(&mut self, shot: Shot, text: String) {
        let (from, due) = (shot.from, shot.event.time + Self::SETTLE);
        self.files.push(Open { shot, text, part: None, from, due, written: Written::default() });
    }

    /// Writes what has come for the files whose time it is; if there is an end, for all of them and for the last time.
    fn look(&mut self, end: Option<Timestamp>) {
        let now = self.clock.now();
        let has_come = end.unwrap_or(now - Self::SETTLE);
        for mut open in std::mem::take(&mut self.files) {
            if end.is_none() && open.due > now {
                self.files.push(open);
                continue;
            }
            let until = open.shot.until.min(has_come);
            match self.add(&mut open, until) {
                Ok(More::Wanted) if end.is_none() && until < open.shot.until => {
                    open.due = (now + Self::STEP).min(open.shot.until + Self::SETTLE);
                    self.files.push(open);
                }
                Ok(More::Wanted | More::Unwanted) => self.end(open, None),
                Err(error) => self.end(open, Some(error)),
            }
        }
    }

    /// Adds what came until a time.
    fn add(&mut self, open: &mut Open, until: Timestamp) -> io::Result<More> {
        let subject = open.shot.event.subject;
        let request = SaveRequest {
            from: open.from,
            until,
            wanted: Wanted::default(),
            filter: None,
            subject: Some(subject),
        };
        let held = (self.hold)(open.from, until);
        let held = held.ok_or_else(|| io::Error::other("the ring is not there any more"))?;
        let (part, comment) = match &mut open.part {
            Some(part) => (part, None),
            none => {
                make_directory(&self.directory)?;
                let part = Part::create(&self.directory, open.shot.file.to_string())?;
                (none.insert(part), Some(open.text.as_str()))
            }
        };
        let most = open.shot.max_size;
        let mut out = Out { part, most, budget: &mut self.budget, packets: 0, is_full: false };
        let saved = save::add(&held, &request, comment, &mut self.commentator, &mut out);
        open.written.packets += out.packets;
        if out.is_full {
            return Ok(More::Unwanted);
        }
        open.written.gone += saved?.gone;
        open.from = until + Duration::from_nanos(1);
        Ok(More::Wanted)
    }

    /// Gives a file its name, whatever has come of it.
    fn end(&self, open: Open, error: Option<io::Error>) {
        let Open { shot, part, mut written, .. } = open;
        written.bytes = part.as_ref().map_or(0, Part::length);
        let result = match (error, part) {
            (Some(error), part) => {
                part.and_then(Part::abandon);
                Err(error)
            }
            (None, Some(part)) => part.publish().map(|_| written),
            (None, None) => Ok(written),
        };
        match &result {
            Ok(Written { packets, .. }) => {
                tracing::info!(file = &*shot.file, packets, "a triggered capture is written");
            }
            Err(error) => {
                tracing::warn!(file = &*shot.file, %error, "a triggered capture could not be written");
            }
        }
        self.triggers.end(&shot, result.map_err(|error| error.to_string()));
    }
}

/// Whether a file may have more.
enum More {
    Wanted,
    Unwanted,
}

/// Where the packets of a file go, as long as it may have more and there is room.
struct Out<'o> {
    part: &'o mut Part,
    most: u64,
    budget: &'o mut Budget,
    packets: u64,
    is_full: bool,
}

impl Write for Out<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.part.length() + piece.len() as u64 > self.most {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.budget.take(piece.len() as u64)?;
        self.part.write(piece)?;
        self.packets += blocks::packets(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
