//! Threads that fetch, so that nothing else waits.
//!
//! A handful of threads take [`Job`]s and answer with [`Done`]. Promises: each job is answered once; a server that stalls keeps one
//! thread busy, for as long as the client's time-outs allow. When the [`Fetcher`] goes, threads end with what they are doing; nobody
//! waits for them.

use std::{io, thread};

use crossbeam::channel::{self, Receiver, Sender};
use ravelin_config::feed::Feed;

use super::fetch::{Client, FetchError, Fetched, Validators};

/// Feeds that are fetched at the same time.
const THREADS: usize = 4;

/// A feed to fetch.
#[derive(Clone, Debug)]
pub struct Job {
    /// The feed, as it is configured now.
    pub feed: Feed,
    /// What its server said about the copy that we have; nothing if we have none.
    pub known: Validators,
}

/// A feed that was fetched, or not.
#[derive(Debug)]
pub struct Done {
    /// The feed, as it was configured when the job was given.
    pub feed: Feed,
    /// What came of it.
    pub result: Result<Fetched, FetchError>,
}

/// The threads.
#[derive(Debug)]
pub struct Fetcher {
    jobs: Sender<Job>,
    done: Receiver<Done>,
}

impl Fetcher {
    /// Starts the threads, which have the processors of whoever calls.
    ///
    /// # Errors
    /// If the system gives no threads.
    pub fn start(client: &Client) -> io::Result<Self> {
        let (jobs, to_do) = channel::unbounded::<Job>();
        let (answer, done) = channel::unbounded();
        for number in 0..THREADS {
            let (client, to_do, answer) = (client.clone(), to_do.clone(), answer.clone());
            let work = move || {
                for Job { feed, known } in to_do {
                    let result = client.fetch(&feed, &known);
                    if answer.send(Done { feed, result }).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name(format!("feeds-{number}")).spawn(work)?;
        }
        Ok(Self { jobs, done })
    }

    /// Has a feed fetched. The caller sees to it that none is fetched twice at a time.
    pub fn fetch(&self, job: Job) {
        // Threads take jobs for as long as this exists.
        let _taken = self.jobs.send(job);
    }

    /// What was fetched, in the order in which it was.
    pub fn done(&self) -> &Receiver<Done> {
        &self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{feeds::fetch::Timeouts, testing::Directory};

    #[test]
    fn each_job_is_answered_once() {
        let directory = Directory::new();
        let mut text = String::new();
        for number in 0..20 {
            let path = directory.write(&format!("{number}"), format!("{number}"));
            text += &format!("[[feed]]\nname = 'f{number}'\nfile = '{}'\n", path.display());
        }
        text += "[[feed]]\nname = 'missing'\nfile = '/nonexistent'\n";
        let feeds = ravelin_config::parse(&text, "t.toml").unwrap().config.feeds;
        let fetcher = Fetcher::start(&Client::new(Timeouts::default())).unwrap();
        let files = feeds.iter().filter(|feed| feed.name != "feodo");
        for feed in files.clone() {
            fetcher.fetch(Job { feed: feed.clone(), known: Validators::default() });
        }
        let mut answers: Vec<_> = fetcher.done().iter().take(files.count()).collect();
        assert!(fetcher.done().is_empty());
        answers.sort_by_key(|done| done.feed.name.clone());
        let missing = answers.pop().unwrap();
        assert!(missing.feed.name == "missing" && missing.result.is_err(), "{missing:?}");
        for Done { feed, result } in answers {
            let Ok(Fetched::New(copy)) = result else { panic!("{result:?}") };
            assert_eq!(format!("f{}", String::from_utf8(copy.bytes).unwrap()), feed.name);
        }
    }
}
