//! When each feed is fetched, and how it stands.
//!
//! A [`Schedule`] is a pure state machine: time is an argument, counted from any moment that stays the same, and chance comes from a
//! seed. Promises: a feed is fetched once at a time; one that fails is asked again soon, then less and less often, and never less
//! often than hourly; appliances that were started together do not ask together. Refuses: to fetch, and to judge what came.

use std::{collections::BTreeMap, time::Duration};

use ravelin_config::feed::{Feed, FeedMode, FeedSource};

use super::fetch::Failure;

/// The longest that a feed waits after its first failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_mins(1);

/// The longest that a feed waits after any failure, unless its server wants more, or its period is shorter.
const LAST_RETRY: Duration = Duration::from_hours(1);

/// The longest that a server may want to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// How a feed stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Nothing is known yet.
    Pending,
    /// Its copy is the one that its source has.
    Fresh,
    /// Its copy was not confirmed for too long.
    Stale,
    /// The last attempt to get a copy failed. The one before is in force.
    Failing,
    /// The last copy is doubtful. The one before is in force.
    HeldBack,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new copy is in force.
    Loaded {
        /// How many entries it has.
        entries: usize,
        /// How old it is: a file may have been written long ago.
        age: Duration,
    },
    /// The copy that is in force is still the one.
    Unchanged,
    /// There is another copy, which is not used.
    HeldBack {
        /// Why.
        reason: String,
    },
    /// There is no copy.
    Failed {
        /// What kind of failure it was.
        kind: Failure,
        /// Why.
        error: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
}

/// How often each came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// New copies.
    pub loaded: u64,
    /// Copies that were still the ones.
    pub unchanged: u64,
    /// Copies that were held back.
    pub held_back: u64,
    /// Attempts that failed, by the kind of failure.
    pub failed: BTreeMap<Failure, u64>,
}

/// How a feed stands, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// In one word.
    pub health: Health,
    /// How long ago its copy was confirmed; `None` if it has none.
    pub age: Option<Duration>,
    /// Whether that is longer than it may be, whatever the last attempt brought; or whether there has been none for so long.
    pub is_stale: bool,
    /// How many entries its copy has.
    pub entries: usize,
    /// What the last attempt said, if it brought nothing.
    pub last_error: Option<String>,
    /// How many attempts in a row brought nothing.
    pub failures: u32,
    /// How often each outcome came since the start.
    pub counts: Counts,
    /// How long until the next attempt; `None` if it waits for a change of its file, or is being fetched.
    pub next: Option<Duration>,
}

/// A feed has become stale, or is fresh again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its name.
    pub feed: String,
    /// Which of the two.
    pub is_stale: bool,
    /// How long ago its copy was confirmed; `None` if it has none.
    pub age: Option<Duration>,
    /// What the last attempt said, if it brought nothing.
    pub last_error: Option<String>,
}

/// When all feeds are fetched.
#[derive(Debug)]
pub struct Schedule {
    feeds: BTreeMap<String, State>,
    random: Random,
}

#[derive(Debug)]
struct State {
    source: FeedSource,
    stale_after: Option<Duration>,
    /// When it was configured.
    since: Duration,
    /// Whether it was said that it is stale.
    told_stale: bool,
    /// When it is fetched next. Files wait for a change.
    next: Option<Duration>,
    is_underway: bool,
    /// When its copy was known to be so old.
    good: Option<(Duration, Duration)>,
    entries: usize,
    trouble: Option<Trouble>,
    failures: u32,
    counts: Counts,
}

/// Why the last attempt brought nothing.
#[derive(Debug)]
struct Trouble {
    health: Health,
    text: String,
}

impl State {
    fn new(feed: &Feed, now: Duration) -> Self {
        Self {
            source: feed.source.clone(),
            stale_after: feed.stale_after,
            since: now,
            told_stale: false,
            next: Some(now),
            is_underway: false,
            good: None,
            entries: 0,
            trouble: None,
            failures: 0,
            counts: Counts::default(),
        }
    }

    fn period(&self) -> Option<Duration> {
        match self.source {
            FeedSource::Url { period, .. } => Some(period),
            FeedSource::File { .. } => None,
        }
    }

    fn status(&self, now: Duration) -> Status {
        let age = self.good.map(|(at, age)| age + now.saturating_sub(at));
        let unconfirmed = age.unwrap_or_else(|| now.saturating_sub(self.since));
        let is_stale = self.stale_after.is_some_and(|longest| unconfirmed > longest);
        let health = match (&self.trouble, age) {
            (Some(trouble), _) => trouble.health,
            (None, _) if is_stale => Health::Stale,
            (None, None) => Health::Pending,
            (None, Some(_)) => Health::Fresh,
        };
        let next = self.next.filter(|_| !self.is_underway);
        Status {
            health,
            age,
            is_stale,
            entries: self.entries,
            last_error: self.trouble.as_ref().map(|trouble| trouble.text.clone()),
            failures: self.failures,
            counts: self.counts.clone(),
            next: next.map(|next| next.saturating_sub(now)),
        }
    }
}

impl Schedule {
    /// No feeds yet. `seed` is another for each appliance.
    pub fn new(seed: u64) -> Self {
        Self { feeds: BTreeMap::new(), random: Random(seed) }
    }

    /// Takes over the feeds of a configuration. New ones, and those with another source, are due at once; what is said otherwise about
    /// the same source is tried out at once as well. Disabled feeds are forgotten.
    pub fn configure(&mut self, feeds: &[Feed], now: Duration) {
        let mut before = std::mem::take(&mut self.feeds);
        for feed in feeds.iter().filter(|feed| feed.mode == FeedMode::Enabled) {
            let state = match before.remove(&feed.name) {
                Some(state) if state.source == feed.source => {
                    State { stale_after: feed.stale_after, ..state }
                }
                Some(state) if is_same_place(&state.source, &feed.source) => State {
                    source: feed.source.clone(),
                    stale_after: feed.stale_after,
                    next: Some(now),
                    ..state
                },
                Some(_) | None => State::new(feed, now),
            };
            self.feeds.insert(feed.name.clone(), state);
        }
    }

    /// A copy is in force that was read with the configuration, and is so old. It is fetched when its period has passed; a file, when
    /// it changes.
    pub fn restored(&mut self, name: &str, entries: usize, age: Duration, now: Duration) {
        let Some(state) = self.feeds.get_mut(name) else { return };
        if state.period().is_none() {
            state.confirmed(now, age);
        }
        state.good = Some((now, age));
        state.entries = entries;
        state.next = state.period().map(|period| {
            // Whoever starts many appliances at once does not want them to ask at once.
            let spread = self.random.up_to((period / 10).min(Duration::from_secs(30)));
            now + period.saturating_sub(age) + spread
        });
    }

    /// There is no copy any more of what there was one: it is fetched at once.
    pub fn lost(&mut self, name: &str, now: Duration) {
        if let Some(state) = self.feeds.get_mut(name).filter(|state| state.good.is_some()) {
            (state.good, state.entries, state.next) = (None, 0, Some(now));
        }
    }

    /// The feeds that are to be fetched now, each of which is answered by [`Self::done`].
    pub fn due(&mut self, now: Duration) -> Vec<String> {
        let is_due = |state: &State| !state.is_underway && state.next.is_some_and(|next| next <= now);
        let mut due = Vec::new();
        for (name, state) in self.feeds.iter_mut().filter(|(_, state)| is_due(state)) {
            state.is_underway = true;
            state.next = None;
            due.push(name.clone());
        }
        due
    }

    /// When the next feed is due.
    pub fn next(&self) -> Option<Duration> {
        self.feeds.values().filter(|state| !state.is_underway).filter_map(|state| state.next).min()
    }

    /// Somebody wants this feed fetched, or its file has changed. One that is underway is fetched once more. Says whether there is
    /// such a feed.
    pub fn ask(&mut self, name: &str, now: Duration) -> bool {
        let state = self.feeds.get_mut(name);
        state.map(|state| state.next = Some(now)).is_some()
    }

    /// Notes what came of an attempt to get `feed`. If it went away meanwhile, or has another source, that is no matter.
    pub fn done(&mut self, feed: &Feed, outcome: Outcome, now: Duration) {
        let state = self.feeds.get_mut(&feed.name);
        let Some(state) = state.filter(|state| is_same_place(&state.source, &feed.source)) else { return };
        state.is_underway = false;
        let period = state.period();
        let wait = match outcome {
            Outcome::Loaded { entries, age } => {
                state.counts.loaded += 1;
                state.entries = entries;
                state.confirmed(now, age);
                period.map(|period| period + self.random.up_to(period / 20))
            }
            Outcome::Unchanged => {
                state.counts.unchanged += 1;
                state.confirmed(now, Duration::ZERO);
                period.map(|period| period + self.random.up_to(period / 20))
            }
            Outcome::HeldBack { reason } => {
                state.counts.held_back += 1;
                state.failures += 1;
                state.trouble = Some(Trouble { health: Health::HeldBack, text: reason });
                period.map(|period| self.random.half_to(period.min(LAST_RETRY)))
            }
            Outcome::Failed { kind, error, retry_after } => {
                *state.counts.failed.entry(kind).or_default() += 1;
                state.failures += 1;
                state.trouble = Some(Trouble { health: Health::Failing, text: error });
                let longest = period.unwrap_or(LAST_RETRY).min(LAST_RETRY);
                let doubled = FIRST_RETRY * (1 << (state.failures - 1).min(16));
                let wanted = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                Some(self.random.half_to(doubled.min(longest)).max(wanted))
            }
        };
        // Who asked meanwhile is not made to wait.
        state.next = state.next.or(wait.map(|wait| now + wait));
    }

    /// The feeds that have become stale since the last call, and those that are fresh again.
    pub fn turned(&mut self, now: Duration) -> Vec<Turn> {
        let mut turned = Vec::new();
        for (name, state) in &mut self.feeds {
            let Status { is_stale, age, last_error, .. } = state.status(now);
            if is_stale != state.told_stale {
                state.told_stale = is_stale;
                turned.push(Turn { feed: name.clone(), is_stale, age, last_error });
            }
        }
        turned
    }

    /// How the feeds stand, by their names.
    pub fn status(&self, now: Duration) -> impl Iterator<Item = (&str, Status)> {
        self.feeds.iter().map(move |(name, state)| (name.as_str(), state.status(now)))
    }
}

impl State {
    fn confirmed(&mut self, now: Duration, age: Duration) {
        self.good = Some((now, age));
        self.trouble = None;
        self.failures = 0;
    }
}

/// Whether two sources are the same but for what is said besides.
fn is_same_place(a: &FeedSource, b: &FeedSource) -> bool {
    match (a, b) {
        (FeedSource::Url { url: a, .. }, FeedSource::Url { url: b, .. }) => a == b,
        (FeedSource::File { file: a }, FeedSource::File { file: b }) => a == b,
        (FeedSource::Url { .. }, FeedSource::File { .. })
        | (FeedSource::File { .. }, FeedSource::Url { .. }) => false,
    }
}

/// Chance enough to spread requests: SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From nothing to `most`.
    fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.next() % (micros + 1))
    }

    /// From half of `most` to all of it.
    fn half_to(&mut self, most: Duration) -> Duration {
        most / 2 + self.up_to(most / 2)
    }
}

#[cfg(test)]
mod tests;
