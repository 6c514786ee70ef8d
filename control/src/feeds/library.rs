use std::{net::IpAddr, sync::Arc, time::SystemTime};

use ipnet::{IpSubnets, Ipv4Subnets, Ipv6Subnets};
use jiff::Timestamp;
use ravelin_config::{
    Code, Config, Report,
    feed::{Allowance, Feed, FeedAction, FeedDirection, FeedMode, FeedSource},
    resources::{NetworkSet, Resources},
    types::{IpNet, IpRange},
};
use ravelin_dataplane::threat::{self, IndicatorSet};

use super::{
    Addresses, Contents, Details, Held,
    fetch::Validators,
    file::{self, Stamps},
    guard::{FeedGuard, Guard, Reason},
    needed,
    read::read,
    store::{Store, Stored},
};
use crate::policy::{FeedPolicy, Members};

/// All feeds of a configuration, in its order, with what they say now.
#[derive(Clone, Debug, Default)]
pub struct Library {
    feeds: Vec<Shelf>,
    guard: Arc<Guard>,
}

/// A feed with what it says now.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The feed as it is configured.
    pub feed: Feed,
    /// What it says; nothing, as long as there is no copy.
    pub contents: Arc<Contents>,
    /// Where that comes from, if it was read when the configuration was.
    pub copy: Option<CopyNote>,
}

/// What is known of the copy of a feed.
#[derive(Clone, Debug)]
pub struct CopyNote {
    /// When it was fetched; of a file, when it was written.
    pub fetched_at: SystemTime,
    /// What the server said about it.
    pub validators: Validators,
    /// What the file was like before it was read, if it is one.
    pub(super) stamp: Option<Stamps>,
}

/// A feed that names an address.
#[derive(Clone, Debug)]
pub struct Mention<'l> {
    /// The feed.
    pub feed: &'l Feed,
    /// The entry.
    pub entry: Addresses,
    /// What it says of it.
    pub details: Details<'l>,
}

impl Library {
    /// The feeds of a configuration, which say nothing yet, and may block anything.
    pub fn new(config: &Config) -> Self {
        let shelf = |feed: &Feed| Shelf { feed: feed.clone(), contents: Arc::default(), copy: None };
        Self { feeds: config.feeds.iter().map(shelf).collect(), guard: Arc::default() }
    }

    /// The feeds of a configuration with what their files say, and the last good copies of those that are fetched. What cannot be
    /// read is reported, and is missing.
    pub fn open(config: &Config, mut report: Report) -> (Self, Report) {
        let (mut library, store) = (Self::new(config), Store::new(&config.threat.directory));
        library.guard = Arc::new(Guard::new(config, needed::addresses(), Timestamp::now()));
        for shelf in &mut library.feeds {
            let feed = &shelf.feed;
            if feed.mode == FeedMode::Disabled {
                continue;
            }
            match open(feed, &store, &library.guard.of(&feed.name)) {
                Ok(Some((contents, copy))) => (shelf.contents, shelf.copy) = (Arc::new(contents), Some(copy)),
                Ok(None) => {}
                Err(wrong) => {
                    report = report
                        .with(Code::FeedSilent, format!("the feed `{}` says nothing: {wrong}", feed.name));
                }
            }
        }
        (library, report)
    }

    /// For feeds of which there is no copy at hand now, but there was one that the same source and the same key vouched for: that one.
    pub fn keep(&mut self, before: &Self) {
        for shelf in self.feeds.iter_mut().filter(|shelf| shelf.copy.is_none()) {
            let vouched = |feed: &Feed| {
                (feed.name.clone(), feed.source.clone(), feed.sha256, feed.minisign_key.clone())
            };
            let same = |other: &&Shelf| vouched(&other.feed) == vouched(&shelf.feed);
            let before = before.feeds.iter().find(same).filter(|_| shelf.feed.mode == FeedMode::Enabled);
            if let Some(Shelf { contents, .. }) = before {
                // What is guarded may have changed.
                shelf.contents = Arc::new(contents.under(&self.guard.of(&shelf.feed.name)));
            }
        }
    }

    /// The feeds.
    pub fn feeds(&self) -> &[Shelf] {
        &self.feeds
    }

    /// What its feeds may not block.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Has feeds act again upon what was allowed until now. Says which exceptions have ended, and which feeds say something else.
    pub fn expire(&mut self, now: Timestamp) -> (Vec<Arc<Allowance>>, Vec<String>) {
        if !self.guard.has_expired(now) {
            return (Vec::new(), Vec::new());
        }
        let guard = Arc::make_mut(&mut self.guard);
        let ended = guard.expire(now);
        let was_held = |held: &Held| matches!(&held.reason, Reason::Allowed(why) if ended.contains(why));
        let mut changed = Vec::new();
        for shelf in self.feeds.iter_mut().filter(|shelf| shelf.contents.held().iter().any(was_held)) {
            shelf.contents = Arc::new(shelf.contents.under(&guard.of(&shelf.feed.name)));
            changed.push(shelf.feed.name.clone());
        }
        (ended, changed)
    }

    /// Has a feed say something else.
    pub fn put(&mut self, name: &str, contents: Arc<Contents>) {
        if let Some(shelf) = self.feeds.iter_mut().find(|shelf| shelf.feed.name == name) {
            shelf.contents = contents;
        }
    }

    fn in_force(&self) -> impl Iterator<Item = (u8, &Shelf)> {
        (0..).zip(&self.feeds).filter(|(_, shelf)| shelf.feed.mode == FeedMode::Enabled)
    }

    /// What the packet path asks.
    pub fn indicators(&self) -> IndicatorSet {
        IndicatorSet::new(self.in_force().flat_map(|(feed, shelf)| {
            shelf.contents.entries().map(move |Addresses { range, port }| threat::Indicator {
                first: range.first(),
                last: range.last(),
                port: port.map(u16::from),
                feed,
            })
        }))
    }

    /// What follows from each feed, by its number.
    pub fn policies(&self) -> Vec<FeedPolicy> {
        let policy = |Shelf { feed, .. }: &Shelf| {
            let is_used = feed.mode == FeedMode::Enabled;
            FeedPolicy {
                name: feed.name.clone(),
                blocks: feed.action == FeedAction::Block,
                egress: is_used && feed.direction != FeedDirection::Ingress,
                ingress: is_used && feed.direction != FeedDirection::Egress,
            }
        };
        self.feeds.iter().map(policy).collect()
    }

    /// The resources of a configuration with a network set for each feed, called as the feed. There an address is named whatever
    /// the port.
    pub fn resources(&self, config: &Config) -> Resources {
        let mut resources = config.resources.clone();
        let sets = self.in_force().map(|(_, Shelf { feed, contents, .. })| NetworkSet {
            name: feed.name.clone(),
            namespace: None,
            labels: feed.labels.clone(),
            nets: contents.entries().flat_map(|entry| nets(entry.range)).collect(),
            nets_file: None,
            except: Vec::new(),
            domains: Vec::new(),
        });
        resources.network_sets.extend(sets);
        resources
    }

    /// What joins and leaves the network set of a feed that will say something else.
    pub fn members(&self, other: &Self, name: &str) -> Members {
        let nets = |library: &Self| -> Vec<IpNet> {
            let shelf = library.feeds.iter().find(|shelf| shelf.feed.name == name);
            let entries = shelf.into_iter().flat_map(|shelf| shelf.contents.entries());
            let mut nets: Vec<_> = entries.flat_map(|entry| nets(entry.range)).collect();
            // Nearly so already: entries stand in order.
            nets.sort_unstable();
            nets.dedup();
            nets
        };
        let (join, leave) = differing(nets(self), nets(other));
        Members { namespace: None, name: name.to_owned(), join, leave }
    }

    /// Every feed in force that names an address, at `port` if that is given, by its entries.
    pub fn about(&self, address: IpAddr, port: Option<u16>) -> Vec<Mention<'_>> {
        let mentions = self.in_force().flat_map(|(_, Shelf { feed, contents, .. })| {
            let entries = contents.about(address, port).into_iter();
            entries.map(move |(entry, details)| Mention { feed, entry, details })
        });
        mentions.collect()
    }

    /// The same of entries that are not acted upon, and why.
    pub fn held_about(&self, address: IpAddr, port: Option<u16>) -> Vec<(Mention<'_>, &Reason)> {
        let mentions = self.in_force().flat_map(|(_, Shelf { feed, contents, .. })| {
            contents.held_about(address, port).map(move |(Held { entry, reason, .. }, details)| {
                (Mention { feed, entry: *entry, details }, reason)
            })
        });
        mentions.collect()
    }
}

/// What a feed says that is at hand; `None` if it was never fetched.
fn open(feed: &Feed, store: &Store, guard: &FeedGuard) -> Result<Option<(Contents, CopyNote)>, String> {
    let (copy, fetched_at, stamp) = match &feed.source {
        FeedSource::File { file } => {
            let stamp = Some(file::stamps(feed, file));
            (file::read(feed, file).map_err(|error| error.to_string())?, file::written_at(file), stamp)
        }
        FeedSource::Url { .. } => match store.load(feed).map_err(|error| error.to_string())? {
            Some(Stored { copy, fetched_at, .. }) => (copy, fetched_at, None),
            None => return Ok(None),
        },
    };
    let contents = read(feed, &copy.bytes, guard).map_err(|error| error.to_string())?;
    Ok(Some((contents, CopyNote { fetched_at, validators: copy.validators, stamp })))
}

/// What is only in `after`, and what is only in `before`: both sorted, and nothing twice in either.
fn differing(before: Vec<IpNet>, after: Vec<IpNet>) -> (Vec<IpNet>, Vec<IpNet>) {
    let (mut join, mut leave) = (Vec::new(), Vec::new());
    let mut before = before.into_iter().peekable();
    for net in after {
        leave.extend(std::iter::from_fn(|| before.next_if(|earlier| *earlier < net)));
        if before.next_if_eq(&net).is_none() {
            join.push(net);
        }
    }
    leave.extend(before);
    (join, leave)
}

/// The prefixes that a range is made of.
fn nets(range: IpRange) -> impl Iterator<Item = IpNet> {
    match range {
        IpRange::V4 { first, last } => IpSubnets::V4(Ipv4Subnets::new(first, last, 0)),
        IpRange::V6 { first, last } => IpSubnets::V6(Ipv6Subnets::new(first, last, 0)),
    }
}
