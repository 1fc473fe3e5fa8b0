//! What is followed: events and lines of a job, and changes within a filter. Postgres is what is told; Redis only says
//! when to look.
//!
//! One per process. [`listener`] has the one subscription to Redis and wakes [`topics`], one for each job that
//! somebody follows; [`watcher`] compares where all of those jobs stand every second or two, so that a hint that was
//! lost costs that much and no more; [`tailer`] reads the events of all jobs, while anybody follows a filter. Each
//! stream reads Postgres behind its own cursor ([`job_events`], [`job_log`], [`jobs_changed`]), many of them in one
//! statement ([`gather`]). What is told as a whole, queues and workers, is a [`board`]. Nothing is kept for a subscriber that does not read but a bounded queue of batches.

mod board;
mod changes;
mod cursor;
mod gather;
mod job_events;
mod job_log;
mod jobs_changed;
mod listener;
mod reader;
mod selection;
mod tailer;
mod topics;
mod watcher;

use std::{fmt, sync::Arc, time::Duration};

use callboard::{
    ids::JobId,
    store::{
        Store, StoreError,
        queues::counters::{self, QueueRecord},
        workers::{self, WorkerRecord},
    },
    transport::Redis,
};
use futures::{FutureExt as _, Stream};
use tokio::{sync::watch, task::JoinHandle};

pub use changes::{Change, Changes};
pub use cursor::{ChangesCursor, EventCursor, LogCursor};
pub use gather::Gather;
pub use job_events::{Following, JobNews, Standing};
pub use job_log::Lines;
pub use selection::Selection;

use board::{Board, Look};
use reader::Reader;
use tailer::Tail;
use topics::Topics;

/// Why a stream cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FeedError {
    /// There is no such job.
    #[error("there is no such job")]
    NotFound,
    /// The cursor is of another job.
    #[error("the cursor is of another job")]
    BadCursor,
    /// Postgres failed.
    #[error("the stream could not be opened")]
    Store(#[from] Arc<StoreError>),
    /// The process is going down.
    #[error("the process is going down")]
    Stopped,
}

/// The feed of a process. Cheap to clone; ends with its last clone and the last stream.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    store: Store,
    topics: Arc<Topics>,
    reader: Arc<Reader>,
    tail: Tail,
    queues: Board<Vec<QueueRecord>>,
    workers: Board<Vec<WorkerRecord>>,
    tasks: [JoinHandle<()>; 3],
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Feed")
    }
}

impl Feed {
    /// Starts listening. Must be called inside Tokio.
    pub fn start(store: Store, redis: Redis) -> Self {
        let (topics, reader) = (Arc::<Topics>::default(), Arc::new(Reader::new(store.clone())));
        let (many, many_changed) = watch::channel(());
        let (any, any_changed) = watch::channel(());
        let (tail, tailing) = tailer::start(store.clone(), any_changed);
        let tasks = [
            tokio::spawn(listener::run(redis, Arc::clone(&topics), many, any)),
            tokio::spawn(watcher::run(store.clone(), Arc::clone(&topics), many_changed)),
            tailing,
        ];
        let queues = Look {
            read: |connection| counters::queues(connection, None).boxed(),
            is_same: |one, other| one == other,
        };
        let workers = Look {
            read: |connection| workers::list(connection, None).boxed(),
            is_same: |one, other| are_alike(one, other),
        };
        let (queues, workers) = (Board::start(store.clone(), queues), Board::start(store.clone(), workers));
        Self(Arc::new(Inner { store, topics, reader, tail, queues, workers, tasks }))
    }

    /// What happens to a job: how it stands, if no cursor is given, then every event behind the cursor, until the job
    /// has ended and nothing is left to tell.
    pub async fn job_events(
        &self,
        job: JobId,
        after: Option<EventCursor>,
    ) -> Result<impl Stream<Item = JobNews> + Send + use<>, FeedError> {
        job_events::open(self.clone(), job, after).await
    }

    /// What the attempts of a job write, behind the cursor or from the beginning, until the job has ended and its last
    /// line is out.
    pub async fn job_log(
        &self,
        job: JobId,
        after: Option<LogCursor>,
    ) -> Result<impl Stream<Item = Lines> + Send + use<>, FeedError> {
        job_log::open(self.clone(), job, after).await
    }

    /// What changes among the jobs of a selection, behind the cursor or from now on. Never ends by itself.
    pub async fn jobs_changed(
        &self,
        selection: Selection,
        after: Option<ChangesCursor>,
    ) -> Result<impl Stream<Item = Changes> + Send + use<>, FeedError> {
        jobs_changed::open(self.clone(), selection, after).await
    }

    /// All queues with their counters: now, and whenever one of them has changed, at most once in `interval`.
    pub fn queues(&self, interval: Duration) -> impl Stream<Item = Arc<Vec<QueueRecord>>> + Send + use<> {
        self.0.queues.follow(interval)
    }

    /// The workers: now, and whenever one comes, goes, or takes or ends a job.
    pub fn workers(&self) -> impl Stream<Item = Arc<Vec<WorkerRecord>>> + Send + use<> {
        self.0.workers.follow(Duration::ZERO)
    }

    /// How many jobs are followed by themselves.
    pub fn followed_jobs(&self) -> usize {
        self.0.topics.watched().len()
    }
}

/// A worker that has renewed its lease is no news.
fn are_alike(one: &[WorkerRecord], other: &[WorkerRecord]) -> bool {
    let without = |worker: &WorkerRecord| WorkerRecord { heartbeat_at: worker.started_at, ..worker.clone() };
    one.iter().map(without).eq(other.iter().map(without))
}
