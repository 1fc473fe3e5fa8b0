//! The sources of all subscriptions: events and log of a job, changes within a filter, and
//! snapshots of queues and workers.
//!
//! Everything that is sent is read from Postgres. Redis only hints when to read. There is one feed
//! per process. [`listener`] holds its one subscription to Redis and wakes [`topics`], one per
//! followed job. [`watcher`] compares the positions of all followed jobs every second or two, which
//! bounds the delay of a lost hint. [`tailer`] reads the events of all jobs while any filter is
//! followed. Each stream reads Postgres after its own cursor ([`job_events`], [`job_log`],
//! [`jobs_changed`]), many of them in one statement ([`batch_loader`]). Queues and workers are sent
//! whole by a [`snapshot_feed`]. A subscriber that does not read holds at most a bounded queue of
//! batches.

mod batch_loader;
mod changes;
mod cursor;
mod job_events;
mod job_log;
mod jobs_changed;
mod listener;
mod reader;
mod selection;
mod snapshot_feed;
mod tailer;
mod topics;
mod watcher;

use std::{fmt, sync::Arc, time::Duration};

use callboard::{
    ids::JobId,
    store::{
        Store, StoreError,
        queues::counters::{self, QueueState},
        workers::{self, WorkerRecord},
    },
    transport::Redis,
};
use futures::{FutureExt as _, Stream};
use tokio::{sync::watch, task::JoinHandle};

pub use batch_loader::BatchLoader;
pub use changes::{Change, Changes};
pub use cursor::{ChangesCursor, EventCursor, LogCursor};
pub use job_events::{Following, JobNews, JobSnapshot};
pub use job_log::Lines;
pub use selection::{HasSearch, Selection};

use reader::Reader;
use snapshot_feed::{Look, SnapshotFeed};
use tailer::Tail;
use topics::Topics;

/// Why a stream cannot be opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FeedError {
    /// The job does not exist.
    #[error("the job does not exist")]
    NotFound,
    /// The cursor belongs to another job.
    #[error("the cursor belongs to another job")]
    BadCursor,
    /// Postgres failed.
    #[error("the stream could not be opened")]
    Store(#[from] Arc<StoreError>),
    /// The process is shutting down.
    #[error("the process is shutting down")]
    Stopped,
}

/// The feed of a process. Cheap to clone. It ends with its last clone and the last stream.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    store: Store,
    topics: Arc<Topics>,
    reader: Arc<Reader>,
    tail: Tail,
    queues: SnapshotFeed<Vec<QueueState>>,
    workers: SnapshotFeed<Vec<WorkerRecord>>,
    access: watch::Receiver<()>,
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
        let (access, access_changed) = watch::channel(());
        let notified = listener::Notified { many, any, access };
        let (tail, tailing) = tailer::start(store.clone(), any_changed);
        let tasks = [
            tokio::spawn(listener::run(redis, Arc::clone(&topics), notified)),
            tokio::spawn(watcher::run(store.clone(), Arc::clone(&topics), many_changed)),
            tailing,
        ];
        let queues = Look {
            read: |connection| counters::states(connection).boxed(),
            is_same: |one, other| one == other,
        };
        let workers = Look {
            read: |connection| workers::list(connection, None).boxed(),
            is_same: |one, other| are_alike(one, other),
        };
        let (queues, workers) =
            (SnapshotFeed::start(store.clone(), queues), SnapshotFeed::start(store.clone(), workers));
        Self(Arc::new(Inner { store, topics, reader, tail, queues, workers, access: access_changed, tasks }))
    }

    /// Changes when a process has revoked a key or ended a session, as far as Redis carries the
    /// hint.
    pub fn access_ended(&self) -> watch::Receiver<()> {
        self.0.access.clone()
    }

    /// Opens the stream of a job's events. Without a cursor it starts with the job's current state.
    /// It ends when the job is finished and all events have been sent.
    pub async fn job_events(
        &self,
        job: JobId,
        after: Option<EventCursor>,
    ) -> Result<impl Stream<Item = JobNews> + Send + use<>, FeedError> {
        job_events::open(self.clone(), job, after).await
    }

    /// Opens the stream of a job's log lines, after the cursor or from the beginning. It ends when
    /// the job is finished and its last line has been sent.
    pub async fn job_log(
        &self,
        job: JobId,
        after: Option<LogCursor>,
    ) -> Result<impl Stream<Item = Lines> + Send + use<>, FeedError> {
        job_log::open(self.clone(), job, after).await
    }

    /// Opens the stream of changes within a selection, after the cursor or from now on. It never
    /// ends by itself.
    pub async fn jobs_changed(
        &self,
        selection: Selection,
        after: Option<ChangesCursor>,
    ) -> Result<impl Stream<Item = Changes> + Send + use<>, FeedError> {
        jobs_changed::open(self.clone(), selection, after).await
    }

    /// Subscribes to all queues with their counters: now and whenever one changes, at most once per
    /// `interval`.
    pub fn queues(&self, interval: Duration) -> impl Stream<Item = Arc<Vec<QueueState>>> + Send + use<> {
        self.0.queues.follow(interval)
    }

    /// Subscribes to the workers: now and whenever one starts, exits, or starts or finishes a job.
    pub fn workers(&self) -> impl Stream<Item = Arc<Vec<WorkerRecord>>> + Send + use<> {
        self.0.workers.follow(Duration::ZERO)
    }

    /// Returns the number of jobs that are followed individually.
    pub fn followed_jobs(&self) -> usize {
        self.0.topics.watched().len()
    }
}

/// Whether two lists of workers differ only in their last renewal.
fn are_alike(one: &[WorkerRecord], other: &[WorkerRecord]) -> bool {
    let without = |worker: &WorkerRecord| WorkerRecord { heartbeat_at: worker.started_at, ..worker.clone() };
    one.iter().map(without).eq(other.iter().map(without))
}
