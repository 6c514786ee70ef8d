//! The thread that keeps feeds up to date: fetches them when they are due, reads files that changed, and hands over what came of it.

use std::{
    collections::HashMap,
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use crossbeam::channel::{self, Receiver, Sender};
use jiff::Timestamp;
use parking_lot::Mutex;
use ravelin_config::{
    Config,
    feed::{Feed, FeedSource},
};
use ravelin_dataplane::threat::IndicatorSet;
use tokio::sync::Notify;

use super::{
    Contents, Library,
    fetch::{Client, Fetched, Timeouts, Validators},
    fetcher::{Done, Fetcher, Job},
    file::{FileWatch, written_at},
    read::read,
    schedule::{Outcome, Schedule, Status, Turn},
    store::{Store, Stored},
};

/// What has changed about feeds.
#[derive(Debug)]
pub struct Update {
    /// Which configuration this is about: see [`Keeper::configure`].
    pub epoch: u64,
    /// Feeds that say something else than before, by name.
    pub changed: Vec<String>,
    /// All feeds as they are now.
    pub library: Library,
    /// What the packet path asks.
    pub indicators: Arc<IndicatorSet>,
}

impl Update {
    /// Both in one. What is about an earlier configuration is forgotten.
    fn followed_by(mut self, mut later: Self) -> Self {
        if self.epoch == later.epoch {
            self.changed.retain(|name| !later.changed.contains(name));
            later.changed.append(&mut self.changed);
        }
        later
    }
}

/// The thread's other end.
#[derive(Debug)]
pub struct Keeper {
    orders: Sender<Order>,
    updates: Receiver<Update>,
    news: Arc<Notify>,
    turns: Receiver<Turn>,
    status: Arc<Mutex<HashMap<String, Status>>>,
}

#[derive(Debug)]
enum Order {
    Configure(Box<(Config, Library, u64)>),
    Fetch(String),
}

impl Keeper {
    /// Starts the thread, with the feeds of a configuration as they were read with it, as epoch 0.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(config: &Config, library: &Library) -> io::Result<Self> {
        let (orders, take) = channel::unbounded();
        let (give, updates) = channel::unbounded();
        let (status, news) = (Arc::new(Mutex::new(HashMap::new())), Arc::new(Notify::new()));
        let (tell, turns) = channel::unbounded();
        let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| u64::from(time.subsec_nanos()) + 1);
        let mut task = Task {
            fetcher: Fetcher::start(&Client::new(Timeouts::default()))?,
            schedule: Schedule::new(seed),
            files: FileWatch::default(),
            started: Instant::now(),
            store: Store::new(&config.threat.directory),
            feeds: Vec::new(),
            validators: HashMap::new(),
            library: Library::default(),
            epoch: 0,
            updates: give,
            news: Arc::clone(&news),
            turns: tell,
            status: Arc::clone(&status),
        };
        task.configure(config, library.clone(), 0);
        thread::Builder::new().name("feeds".to_owned()).spawn(move || task.run(&take))?;
        Ok(Self { orders, updates, news, turns, status })
    }

    /// Goes on with the feeds of another configuration, as they were read with it. Updates that still come from before are of
    /// another epoch.
    pub fn configure(&self, config: &Config, library: &Library, epoch: u64) {
        // The thread goes on as long as this end is there.
        let _sent = self.orders.send(Order::Configure(Box::new((config.clone(), library.clone(), epoch))));
    }

    /// Has a feed fetched now.
    pub fn fetch(&self, name: &str) {
        let _sent = self.orders.send(Order::Fetch(name.to_owned()));
    }

    /// Returns when something has changed since the last time that it returned.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// What has changed since the last call.
    pub fn take(&self) -> Option<Update> {
        self.updates.try_iter().reduce(Update::followed_by)
    }

    /// The feeds that have become stale since the last call, or are fresh again.
    pub fn turned(&self) -> impl Iterator<Item = Turn> + '_ {
        self.turns.try_iter()
    }

    /// How the feeds stand.
    pub fn status(&self) -> HashMap<String, Status> {
        self.status.lock().clone()
    }
}

struct Task {
    fetcher: Fetcher,
    schedule: Schedule,
    files: FileWatch,
    started: Instant,
    store: Store,
    feeds: Vec<Feed>,
    /// What servers said about the copies that are in force.
    validators: HashMap<String, Validators>,
    library: Library,
    epoch: u64,
    updates: Sender<Update>,
    news: Arc<Notify>,
    turns: Sender<Turn>,
    status: Arc<Mutex<HashMap<String, Status>>>,
}

impl Task {
    /// How often files are looked at.
    const LOOK: Duration = Duration::from_millis(500);

    fn run(mut self, orders: &Receiver<Order>) {
        let done = self.fetcher.done().clone();
        loop {
            let mut changed = Vec::new();
            channel::select! {
                recv(orders) -> order => match order {
                    Ok(Order::Configure(all)) => {
                        let (config, library, epoch) = *all;
                        self.configure(&config, library, epoch);
                    }
                    Ok(Order::Fetch(name)) => drop(self.schedule.ask(&name, self.now())),
                    // Nobody is interested any more.
                    Err(_) => return,
                },
                recv(done) -> done => {
                    if let Ok(done) = done {
                        changed.extend(self.take(done));
                    }
                }
                default(Self::LOOK) => {}
            }
            changed.extend(self.expire(Timestamp::now()));
            for name in self.files.changed(&self.feeds) {
                self.schedule.ask(name, self.started.elapsed());
            }
            for name in self.schedule.due(self.now()) {
                if let Some(feed) = self.feeds.iter().find(|feed| feed.name == name) {
                    let known = self.validators.get(&name).cloned().unwrap_or_default();
                    self.fetcher.fetch(Job { feed: feed.clone(), known });
                }
            }
            if !changed.is_empty() {
                let (library, epoch) = (self.library.clone(), self.epoch);
                let indicators = Arc::new(library.indicators());
                let _interested = self.updates.send(Update { epoch, changed, library, indicators });
                self.news.notify_one();
            }
            for turn in self.schedule.turned(self.now()) {
                let _interested = self.turns.send(turn);
            }
            self.publish();
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn publish(&self) {
        let status = self.schedule.status(self.now()).map(|(name, status)| (name.to_owned(), status));
        *self.status.lock() = status.collect();
    }

    fn configure(&mut self, config: &Config, library: Library, epoch: u64) {
        self.store = Store::new(&config.threat.directory);
        self.feeds = config.feeds.to_vec();
        let now = self.now();
        self.schedule.configure(&self.feeds, now);
        for shelf in library.feeds() {
            if let Some(copy) = &shelf.copy {
                let age = copy.fetched_at.elapsed().unwrap_or_default();
                self.validators.insert(shelf.feed.name.clone(), copy.validators.clone());
                self.schedule.restored(&shelf.feed.name, shelf.contents.len(), age, now);
            } else if shelf.contents.is_empty() {
                // Nor is the server asked whether what is gone is still the same.
                self.validators.remove(&shelf.feed.name);
                self.schedule.lost(&shelf.feed.name, now);
            }
        }
        // A file that has changed since the library was opened is read again.
        let known = library
            .feeds()
            .iter()
            .filter_map(|shelf| Some((shelf.feed.name.clone(), shelf.copy.as_ref()?.stamp?)));
        self.files = FileWatch::knowing(known);
        (self.library, self.epoch) = (library, epoch);
        self.publish();
    }

    /// Has feeds act again upon what was allowed until now; the names of those that say something else.
    fn expire(&mut self, now: Timestamp) -> Vec<String> {
        let (ended, changed) = self.library.expire(now);
        for allowance in ended {
            tracing::warn!("an exception from feeds has expired: {allowance}");
        }
        changed
    }

    /// Takes over what was fetched; the name of the feed, if it says something else now.
    fn take(&mut self, Done { feed, result }: Done) -> Option<String> {
        let name = feed.name.clone();
        // It may have been declared otherwise meanwhile.
        if !self.feeds.contains(&feed) {
            self.schedule.done(&feed, Outcome::Unchanged, self.now());
            return None;
        }
        let (outcome, contents) = match result {
            Ok(Fetched::Unchanged) => (Outcome::Unchanged, None),
            Err(error) => {
                let retry_after = error.retry_after();
                let kind = error.problem.kind();
                (Outcome::Failed { kind, error: error.to_string(), retry_after }, None)
            }
            Ok(Fetched::New(copy)) => match read(&feed, &copy.bytes, &self.library.guard().of(&name)) {
                Err(error) => (Outcome::HeldBack { reason: error.to_string() }, None),
                Ok(contents) => match self.shrunk(&feed, &contents) {
                    Some(reason) => (Outcome::HeldBack { reason }, None),
                    None => {
                        let entries = contents.len();
                        self.validators.insert(name.clone(), copy.validators.clone());
                        let age = match &feed.source {
                            FeedSource::File { file } => written_at(file).elapsed().unwrap_or_default(),
                            FeedSource::Url { .. } => {
                                let stored = Stored { copy, fetched_at: SystemTime::now(), entries };
                                if let Err(error) = self.store.save(&feed, &stored) {
                                    tracing::warn!(feed = name, %error, "the feed is in force, but not kept for the next start");
                                }
                                Duration::ZERO
                            }
                        };
                        (Outcome::Loaded { entries, age }, Some(contents))
                    }
                },
            },
        };
        match &outcome {
            Outcome::Loaded { entries, .. } => tracing::info!(feed = name, entries, "feed loaded"),
            Outcome::Unchanged => self.confirm(&feed),
            Outcome::HeldBack { reason } => {
                tracing::warn!(feed = name, "the new copy of the feed is not used: {reason}");
            }
            Outcome::Failed { error, .. } => tracing::warn!(feed = name, "the feed cannot be had: {error}"),
        }
        self.schedule.done(&feed, outcome, self.now());
        let contents = contents?;
        self.library.put(&name, Arc::new(contents));
        Some(name)
    }

    /// Why a copy is suspicious, if it is.
    fn shrunk(&self, feed: &Feed, contents: &Contents) -> Option<String> {
        let shelf = self.library.feeds().iter().find(|shelf| shelf.feed.name == feed.name)?;
        let (before, now) = (shelf.contents.len(), contents.len());
        has_shrunk(feed.shrink, before, now).then(|| {
            format!(
                "it has {now} entries, the one in force {before}: less than `shrink = {}` allows",
                feed.shrink
            )
        })
    }

    /// The copy of a feed was confirmed: at the next start it is not older than that.
    fn confirm(&self, feed: &Feed) {
        let FeedSource::Url { .. } = feed.source else { return };
        let confirmed = self.store.load(feed).map(|stored| {
            stored.map(|stored| self.store.save(feed, &Stored { fetched_at: SystemTime::now(), ..stored }))
        });
        if let Err(error) | Ok(Some(Err(error))) = confirmed {
            tracing::warn!(feed = feed.name, %error, "that the feed is fresh is not kept for the next start");
        }
    }
}

/// Whether a copy has lost more entries at once than `share` allows. Short lists come and go: of those only an empty one is
/// suspicious.
fn has_shrunk(share: f64, before: usize, now: usize) -> bool {
    const SHORT: usize = 100;
    if before < SHORT { now == 0 && before > 0 && share > 0.0 } else { (now as f64) < before as f64 * share }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;
    use std::path::Path;

    #[test]
    fn updates_that_nobody_took_become_one() {
        let update = |epoch, changed: &[&str]| Update {
            epoch,
            changed: changed.iter().map(|&name| name.to_owned()).collect(),
            library: Library::default(),
            indicators: Arc::default(),
        };
        let both = update(1, &["a", "b"]).followed_by(update(1, &["b", "c"]));
        assert_eq!((both.epoch, both.changed), (1, ["b", "c", "a"].map(str::to_owned).to_vec()));
        let later = update(1, &["a"]).followed_by(update(2, &["b"]));
        assert_eq!((later.epoch, later.changed), (2, vec!["b".to_owned()]));
    }

    #[test]
    fn a_file_is_read_again_only_if_it_has_changed() {
        let directory = Directory::new();
        let [same, late] = ["a-same", "late"].map(|name| directory.write(name, "203.0.113.7\n"));
        let feed =
            |name: &str, path: &Path| format!("[[feed]]\nname = '{name}'\nfile = '{}'\n", path.display());
        let off = "[[feed]]\nname = 'feodo'\nmode = 'disabled'\n".to_owned();
        let text = off + &feed("a-same", &same) + &feed("late", &late);
        let config =
            ravelin_config::parse(&text, "t.toml").unwrap_or_else(|report| panic!("{report}")).config;
        let (library, report) = Library::open(&config, ravelin_config::Report::default());
        assert!(report.is_empty(), "{report}");
        // Between its being read and its being watched.
        directory.write("late", "203.0.113.7\n203.0.113.8\n");
        let keeper = Keeper::start(&config, &library).unwrap();
        let loaded = |name: &str| keeper.status()[name].counts.loaded;
        while loaded("late") == 0 {
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!((loaded("late"), loaded("a-same")), (1, 0));
        let update = keeper.take().unwrap();
        assert_eq!((update.changed, update.indicators.len()), (vec!["late".to_owned()], 3));
    }

    #[test]
    fn long_lists_do_not_shrink_at_once_and_short_ones_do_not_vanish() {
        for (share, before, now, expected) in [
            (0.5, 1000, 500, false),
            (0.5, 1000, 499, true),
            (0.5, 1000, 0, true),
            (0.0, 1000, 0, false),
            (1.0, 1000, 999, true),
            (0.5, 27, 1, false),
            (0.5, 27, 0, true),
            (0.0, 27, 0, false),
            (0.5, 0, 0, false),
            (0.5, 0, 1000, false),
        ] {
            assert_eq!(has_shrunk(share, before, now), expected, "{share} {before} {now}");
        }
    }
}
