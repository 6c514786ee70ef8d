//! The thread that keeps a [`Mirror`] current.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    os::fd::OwnedFd,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use netlink_packet_core::{
    NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN, NetlinkBuffer, parse_i32,
};
use parking_lot::Mutex;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};

use super::{
    decode::Decoder,
    dump::Part,
    socket::{Ear, Heard, Requests},
    state::{Change, Mirror},
    things::LinkIndex,
};
use crate::supervisor::privileges;

/// How the kernel is followed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Room for what the kernel has said and nobody has taken yet, in bytes of its memory: a message takes about 800.
    pub room: usize,
    /// When nothing was said for so long, changes are told.
    pub quiet: Duration,
    /// Changes are told after so long whatever is being said.
    pub most: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let (quiet, most) = (Duration::from_millis(2), Duration::from_millis(20));
        Self { room: 64 << 20, quiet, most }
    }
}

/// What following has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were taken, those of lists among them.
    pub messages: u64,
    /// Messages, or attributes of them, that were not understood.
    pub undecoded: u64,
    /// Lists that were asked for.
    pub lists: u64,
    /// Lists that were refused or broke off.
    pub lists_failed: u64,
    /// How often messages were lost, since nobody took them in time.
    pub overruns: u64,
    /// How often changes were told.
    pub told: u64,
    /// Changes that were told.
    pub changes: u64,
}

/// What both sides see.
#[derive(Debug, Default)]
struct Shared {
    mirror: Mirror,
    counts: Counts,
}

/// Follows the kernel until it is dropped.
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Mutex<Shared>>,
    requests: Requests,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Begins to follow the network namespace of the calling thread, in a thread of its own. Everything that is there has been told when this returns, by
    /// one call of `tell` on the calling thread; later calls come from the other thread. While `tell` works, what the kernel says waits in the socket.
    ///
    /// To resolve neighbours, the thread that asks needs `CAP_NET_ADMIN`; so does this one to have as much room as it wants. To follow needs no privilege.
    ///
    /// # Errors
    /// If the system gives no socket or thread.
    pub fn start(
        settings: Settings,
        tell: impl FnMut(&Mirror, Vec<Change>) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let mut task = Task {
            ear: Ear::open(settings.room)?,
            settings,
            decoder: Decoder::default(),
            shared: Arc::clone(&shared),
            stop: Arc::clone(&stop),
            tell,
            has_begun: false,
            list: None,
            due: BTreeMap::new(),
            not_followed: Vec::new(),
            is_rule_news: false,
        };
        let requests = Requests::open()?;
        task.begin()?;
        let thread = thread::Builder::new().name("kernel mirror".to_owned()).spawn(move || task.run())?;
        Ok(Self { shared, requests, stop, thread: Some(thread) })
    }

    /// Looks at the mirror. Changes wait meanwhile.
    pub fn look<R>(&self, at: impl FnOnce(&Mirror) -> R) -> R {
        at(&self.shared.lock().mirror)
    }

    /// What following has come to so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts
    }

    /// Has the kernel find out who is at an address of a link; see [`Requests::resolve`].
    ///
    /// # Errors
    /// What the kernel said.
    pub fn resolve(&self, link: LinkIndex, address: IpAddr) -> io::Result<()> {
        self.requests.resolve(link, address)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _woken = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// A list that is being given.
#[derive(Debug)]
struct List {
    part: Part,
    since: Instant,
    /// Whether the kernel says that something has changed while it was written.
    is_torn: bool,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    ByKernel,
    ByTime,
    ToStop,
}

struct Task<T> {
    ear: Ear,
    settings: Settings,
    decoder: Decoder,
    shared: Arc<Mutex<Shared>>,
    stop: Arc<OwnedFd>,
    tell: T,
    /// Whether everything was told once. Until then changes wait.
    has_begun: bool,
    list: Option<List>,
    /// When each list may be asked for again.
    due: BTreeMap<Part, Instant>,
    /// What is not followed, as it was said last.
    not_followed: Vec<String>,
    /// Whether that may be different now.
    is_rule_news: bool,
}

impl<T: FnMut(&Mirror, Vec<Change>)> Task<T> {
    /// The pause after a list, at least. A list that takes long is asked for in a fifth of the time at most.
    const PAUSE: Duration = Duration::from_millis(50);
    const SHARE: u32 = 4;

    /// Takes everything that is there at first.
    fn begin(&mut self) -> io::Result<()> {
        while self.list.is_some() || Part::all().iter().any(|part| !self.due.contains_key(part)) {
            self.turn()?;
        }
        self.has_begun = true;
        self.tell();
        Ok(())
    }

    fn run(mut self) {
        if let Err(error) = privileges::drop_all() {
            tracing::warn!(%error, "the thread that follows the kernel keeps its privileges");
        }
        loop {
            match self.turn() {
                Ok(Woken::ToStop) => return,
                Ok(Woken::ByKernel | Woken::ByTime) => {}
                Err(error) => {
                    tracing::error!(%error, "the kernel cannot be heard");
                    self.lost();
                    if matches!(self.wait(Some(Duration::from_secs(1)), false), Ok(Woken::ToStop)) {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for the kernel to say something, takes it until there is a pause, and tells what has changed.
    fn turn(&mut self) -> io::Result<Woken> {
        self.ask()?;
        if self.wait(self.patience(), true)? == Woken::ToStop {
            return Ok(Woken::ToStop);
        }
        let end = Instant::now() + self.settings.most;
        while Instant::now() < end {
            if !self.take()? {
                self.ask()?;
                if self.wait(Some(self.settings.quiet), true)? != Woken::ByKernel {
                    break;
                }
            }
        }
        if self.has_begun {
            self.tell();
        }
        Ok(Woken::ByKernel)
    }

    /// How long nothing needs to be done unless the kernel says something.
    fn patience(&self) -> Option<Duration> {
        if self.list.is_some() {
            return None;
        }
        let wanted = self.shared.lock().mirror.wanted().to_owned();
        let due = wanted.iter().filter_map(|part| self.due.get(part)).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn wait(&self, patience: Option<Duration>, listens: bool) -> io::Result<Woken> {
        let timeout = patience.map(|time| Timespec {
            tv_sec: time.as_secs().cast_signed(),
            tv_nsec: time.subsec_nanos().into(),
        });
        let kernel = if listens { PollFlags::IN } else { PollFlags::empty() };
        let mut both = [PollFd::new(&self.stop, PollFlags::IN), PollFd::new(self.ear.socket(), kernel)];
        match poll(&mut both, timeout.as_ref()) {
            Ok(0) => Ok(Woken::ByTime),
            Ok(_) if both.first().is_some_and(|stop| !stop.revents().is_empty()) => Ok(Woken::ToStop),
            Ok(_) => Ok(Woken::ByKernel),
            Err(Errno::INTR) => Ok(Woken::ByTime),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for a list if one is wanted and due. Only when nothing is left to take: after a loss the kernel says nothing more, and does not say
    /// so again, until all is taken.
    fn ask(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_due = |part: &&Part| self.due.get(part).is_none_or(|due| *due <= now);
        let mut shared = self.shared.lock();
        let Some(part) = shared.mirror.wanted().iter().find(is_due).copied() else { return Ok(()) };
        if self.list.is_none() {
            shared.mirror.begin(part);
            shared.counts.lists += 1;
            self.list = Some(List { part, since: now, is_torn: false });
            self.ear.ask(part)?;
        }
        Ok(())
    }

    /// Takes one datagram. Returns whether there was one.
    fn take(&mut self) -> io::Result<bool> {
        match self.ear.hear()? {
            Heard::Silence => {
                // The kernel queues the next piece of a list before it hands out the last one: here the answer was lost.
                self.end(-1);
                return Ok(false);
            }
            Heard::Lost => self.lost(),
            Heard::Datagram => self.read(),
        }
        Ok(true)
    }

    fn lost(&mut self) {
        let mut shared = self.shared.lock();
        shared.counts.overruns += 1;
        shared.mirror.lost();
    }

    /// Reads the datagram that was heard.
    fn read(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut shared = shared.lock();
        let Shared { mirror, counts } = &mut *shared;
        let (mut rest, mut listed, mut end) = (self.ear.datagram(), Vec::new(), None);
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            let is_answer = self.list.is_some() && self.ear.is_answer(&message);
            match message.message_type() {
                // An answer to what was given up.
                _ if !is_answer && self.ear.is_ours(&message) => {}
                NLMSG_OVERRUN => {
                    counts.overruns += 1;
                    mirror.lost();
                }
                NLMSG_DONE | NLMSG_ERROR if is_answer => {
                    end = Some(message.payload().get(..4).and_then(|code| parse_i32(code).ok()).unwrap_or(0));
                }
                kind => {
                    counts.messages += 1;
                    let decoded = self.decoder.decode(kind, message.flags(), message.payload());
                    if is_answer {
                        listed.extend(decoded);
                    } else if let Some(message) = decoded {
                        mirror.apply(message);
                    }
                }
            }
            if let Some(list) = self.list.as_mut().filter(|_| is_answer) {
                list.is_torn |= message.flags() & NLM_F_DUMP_INTR != 0;
            }
            let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
            rest = rest.get(length.saturating_add(3) & !3..).unwrap_or_default();
        }
        counts.undecoded = self.decoder.undecoded();
        if !listed.is_empty() {
            mirror.listed(listed);
        }
        drop(shared);
        if let Some(code) = end {
            self.end(code);
        }
    }

    /// A list has ended, with an error number if `code` is negative. Does nothing if there is none.
    fn end(&mut self, code: i32) {
        let Some(list) = self.list.take() else { return };
        let mut shared = self.shared.lock();
        let unknown = [Errno::OPNOTSUPP, Errno::AFNOSUPPORT].map(|error| -error.raw_os_error());
        if unknown.contains(&code) {
            shared.mirror.unsupported();
        } else {
            shared.counts.lists_failed += u64::from(code < 0);
            shared.mirror.end(code >= 0 && !list.is_torn);
        }
        let took = list.since.elapsed();
        self.due.insert(list.part, Instant::now() + Self::PAUSE.max(took * Self::SHARE));
        self.is_rule_news |= matches!(list.part, Part::Rules(_) | Part::Routes(_));
    }

    /// Tells what has changed.
    fn tell(&mut self) {
        let mut shared = self.shared.lock();
        let Shared { mirror, counts } = &mut *shared;
        let changes = mirror.changes();
        if !changes.is_empty() {
            counts.told += 1;
            counts.changes += changes.len() as u64;
            (self.tell)(mirror, changes);
        }
        if std::mem::take(&mut self.is_rule_news) {
            let now = mirror.not_followed();
            for text in now.iter().filter(|text| !self.not_followed.contains(text)) {
                tracing::warn!("{text}");
            }
            self.not_followed = now;
        }
    }
}
