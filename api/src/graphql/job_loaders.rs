//! Batched reads of jobs and of everything that belongs to them, shared by all operations of the
//! process.
//!
//! [`Readers`] has one [`BatchLoader`] for each kind of row. Concurrent callers share one
//! statement, even across operations. Nothing is cached, so a read after a change sees the change.

use std::{collections::HashMap, fmt, hash::Hash, sync::Arc, time::Duration};

use async_graphql::Error;
use callboard::{
    clock::Time,
    compose::ComposedCommand,
    ids::{ArtifactId, AttemptId, JobId, ProfileId, ProxyId, WorkerId},
    limit::GateKey,
    profile::Profile,
    steps::limits::explain::{Obstacle, explain, places},
    store::{
        Store, StoreError,
        catalogue::profiles,
        jobs::{
            artifacts::{self, ArtifactRecord},
            attempts::{self, AttemptRecord, AttemptsPage},
            dependencies::{self, Blocked, NeedsPage},
            events::{self, EventRecord},
            logs::{self, LineRange, LogLine, LogOf},
            records::{self, JobRecord},
        },
        limits::gates,
        queues::{
            counters::{self, Counts},
            history::{self, Point, Steps},
        },
        workers::{self, WorkerRecord},
    },
};

use tokio::sync::Semaphore;

use crate::feed::BatchLoader;

/// A worker whose lease is older than this does not count as serving its queues.
pub const LEASE: Duration = Duration::from_secs(8);
/// Upper bound of the count of ready jobs in a queue.
pub const READY_MAX: i64 = 10_000;
/// How many statements may read at a time, for all operations together. Most connections of queries
/// remain for what is not batched.
const STATEMENTS_MAX: usize = 4;

/// How many commands of attempts are read in one statement. Each may have hundreds of kilobytes.
const COMPOSED_AT_ONCE: usize = 100;
/// How many log lines are read in one statement, beside a single range.
const LINES_AT_ONCE: i64 = 2000;

/// How many points of histories are read in one statement, beside a single history.
const POINTS_AT_ONCE: usize = 100_000;

/// Defines [`Readers`]: one field and one method of the same name for each kind of row.
macro_rules! readers {
    ($($(#[doc = $doc:literal])+ $name:ident: $key:ty => $value:ty, |$readers:ident, $keys:ident| $read:expr;)+) => {
        #[derive(Default)]
        struct Gathers {
            $($name: BatchLoader<$key, $value>,)+
        }

        impl Readers {
            $(
                $(#[doc = $doc])+
                pub async fn $name(&self, key: $key) -> async_graphql::Result<Option<$value>> {
                    let found = self.gathers.$name.load(key, |$keys| async move {
                        let $readers = self;
                        // The semaphore is never closed, so this always gets a permit.
                        let _permit = self.statements.acquire().await;
                        $read
                    });
                    found.await.map_err(outage)
                }
            )+
        }
    };
}

readers! {
    /// A job without its payloads.
    record: JobId => Arc<JobRecord>, |readers, jobs| {
        Ok(by(records::by_ids(&mut *readers.reads.connection().await?, &jobs).await?, |record| record.id))
    };
    /// `Some` for a job whose command is private, or was when the job was enqueued.
    private: JobId => (), |readers, jobs| {
        let private = records::private(&mut *readers.reads.connection().await?, &jobs).await?;
        Ok(private.into_iter().map(|job| (job, ())).collect())
    };
    /// The proxy of a job's newest attempt.
    newest_proxy: JobId => ProxyId, |readers, jobs| {
        let newest = attempts::newest(&mut *readers.reads.connection().await?, &jobs, false).await?;
        Ok(newest.into_iter().filter_map(|newest| Some((newest.job, newest.proxy?))).collect())
    };
    /// The artifacts of a job, in order of creation.
    artifacts_of: JobId => Arc<Vec<ArtifactRecord>>, |readers, jobs| {
        let files = artifacts::of_jobs(&mut *readers.reads.connection().await?, &jobs).await?;
        let files = grouped(files.into_iter().map(|file| (file.job, file)));
        Ok(files.into_iter().map(|(job, files)| (job, Arc::new(files))).collect())
    };
    /// A page of the jobs that a job depends on, in the order of reading, each with its position.
    needs: NeedsPage => Vec<(i32, JobId)>, |readers, pages| {
        let found = dependencies::pages(&mut *readers.reads.connection().await?, &pages).await?;
        Ok(grouped(found.into_iter().map(|(page, position, needed)| (pages[page], (position, needed)))))
    };
    /// How many jobs a job depends on.
    needs_count: JobId => i64, |readers, jobs| {
        let counts = dependencies::counts(&mut *readers.reads.connection().await?, &jobs).await?;
        Ok(counts.into_iter().collect())
    };
    /// The unfinished dependencies of a blocked job.
    blocked: JobId => Arc<Blocked>, |readers, jobs| {
        Ok(by(dependencies::blocked(&mut *readers.reads.connection().await?, &jobs).await?, |blocked| blocked.job))
    };
    /// An artifact.
    artifact: ArtifactId => Arc<ArtifactRecord>, |readers, ids| {
        Ok(by(artifacts::by_ids(&mut *readers.reads.connection().await?, &ids).await?, |file| file.id))
    };
    /// An attempt.
    attempt: AttemptId => Arc<AttemptRecord>, |readers, ids| {
        Ok(by(attempts::by_ids(&mut *readers.reads.connection().await?, &ids).await?, |attempt| attempt.id))
    };
    /// A page of a job's attempts, in the order of reading, each with its number.
    attempts_of: AttemptsPage => Vec<(i32, AttemptId)>, |readers, pages| {
        let found = attempts::pages(&mut *readers.reads.connection().await?, &pages).await?;
        Ok(grouped(found.into_iter().map(|(page, number, attempt)| (pages[page], (number, attempt)))))
    };
    /// The command of an attempt as it ran. `None` if it was not stored.
    attempt_composed: AttemptId => Arc<ComposedCommand>, |readers, ids| {
        let mut found = HashMap::new();
        for ids in ids.chunks(COMPOSED_AT_ONCE) {
            let composed = attempts::composed(&mut *readers.reads.connection().await?, ids).await?;
            found.extend(composed.into_iter().map(|(attempt, composed)| (attempt, Arc::new(composed))));
        }
        Ok(found)
    };
    /// The events of a job above a version, at most so many.
    events_after: (JobId, i32, i64) => Vec<EventRecord>, |readers, wanted| {
        let mut found = HashMap::new();
        let wanted = wanted.into_iter().map(|(job, version, most)| (most, (job, version)));
        for (most, wanted) in grouped(wanted) {
            let events = events::after(&mut *readers.reads.connection().await?, &wanted, most).await?;
            found.extend(events.into_iter().map(|((job, version), events)| ((job, version, most), events)));
        }
        Ok(found)
    };
    /// How many events of a job are stored.
    events_count: JobId => i64, |readers, jobs| {
        Ok(events::counts(&mut *readers.reads.connection().await?, &jobs).await?.into_iter().collect())
    };
    /// From the first to the last stored line of a job, or of one of its attempts.
    log_bounds: LogOf => LineRange, |readers, logs| {
        Ok(logs::bounds(&mut *readers.reads.connection().await?, &logs).await?.into_iter().collect())
    };
    /// The stored lines of a range.
    log_lines: LineRange => Arc<Vec<LogLine>>, |readers, ranges| {
        let mut found = HashMap::new();
        for ranges in by_lines(&ranges) {
            let lines = logs::ranges(&mut *readers.reads.connection().await?, ranges).await?;
            found.extend(lines.into_iter().map(|(range, lines)| (range, Arc::new(lines))));
        }
        Ok(found)
    };
    /// A worker.
    worker: WorkerId => Arc<WorkerRecord>, |readers, ids| {
        Ok(by(workers::list(&mut *readers.reads.connection().await?, Some(&ids)).await?, |worker| worker.id))
    };
    /// The gate that blocks a ready job.
    obstacle: JobId => Arc<Obstacle>, |readers, jobs| {
        let obstacles = explain(&readers.reads, &jobs).await?;
        Ok(obstacles.into_iter().map(|(job, obstacle)| (job, Arc::new(obstacle))).collect())
    };
    /// The position of a ready job in its queue.
    place: JobId => i64, |readers, jobs| places(&readers.reads, &jobs).await;
    /// The job that runs on a profile, by the key of the profile's gate.
    holder: GateKey => JobId, |readers, keys| {
        let found = gates::look(&mut *readers.reads.connection().await?, &keys).await?;
        Ok(found.gates.into_iter().filter_map(|(key, gate)| Some((key, gate.holder()?))).collect())
    };
    /// A profile, for explanations that name it.
    profile: ProfileId => Arc<Profile>, |readers, ids| {
        Ok(by(profiles::load(&mut *readers.reads.connection().await?, &ids).await?, |profile| profile.id))
    };
    /// `Some` for a paused queue, `None` for any other.
    paused: String => (), |readers, queues| {
        let paused = counters::paused(&mut *readers.reads.connection().await?, &queues).await?;
        Ok(paused.into_iter().map(|queue| (queue, ())).collect())
    };
    /// The slots of the active workers that serve a queue. `None` when no worker does.
    slots: String => i64, |readers, _queues| {
        Ok(counters::slots(&mut *readers.reads.connection().await?, LEASE).await?.into_iter().collect())
    };
    /// How many jobs a queue has.
    counts: String => Arc<Counts>, |readers, queues| {
        let counts = counters::counts(&mut *readers.reads.connection().await?, &queues).await?;
        Ok(by(counts, |counts| counts.queue.clone()))
    };
    /// When the oldest ready job of a queue that is not parked became ready.
    oldest_ready: String => Time, |readers, queues| {
        Ok(counters::oldest_ready(&mut *readers.reads.connection().await?, &queues).await?.into_iter().collect())
    };
    /// The change in the number of ready jobs of a queue between two times, beginnings of minutes.
    queued_change: (String, Time, Time) => i64, |readers, wanted| {
        let mut changes = HashMap::new();
        let wanted = wanted.into_iter().map(|(queue, from, until)| ((from, until), queue));
        for ((from, until), queues) in grouped(wanted) {
            let mut connection = readers.reads.connection().await?;
            let found = history::queued_changes(&mut connection, &queues, from, until).await?;
            changes.extend(found.into_iter().map(|(queue, change)| ((queue, from, until), change)));
        }
        Ok(changes)
    };
    /// The history of a queue in these steps.
    history: (String, Steps) => Vec<Point>, |readers, wanted| {
        let mut found = HashMap::new();
        for (steps, queues) in grouped(wanted.into_iter().map(|(queue, steps)| (steps, queue))) {
            let at_once = POINTS_AT_ONCE / steps.count.max(1).unsigned_abs() as usize;
            for queues in queues.chunks(at_once.max(1)) {
                let mut connection = readers.reads.connection().await?;
                let histories = history::histories(&mut connection, queues, steps).await?;
                found.extend(histories.into_iter().map(|(queue, points)| ((queue, steps), points)));
            }
        }
        Ok(found)
    };
    /// The number of ready jobs of a queue that are not parked, at most [`READY_MAX`].
    ready: String => i64, |readers, queues| {
        Ok(counters::ready(&mut *readers.reads.connection().await?, &queues, READY_MAX).await?.into_iter().collect())
    };
}

/// Batched reads of jobs and of everything that belongs to them.
pub struct Readers {
    reads: Store,
    gathers: Gathers,
    /// Permits for the statements of all kinds. None of them waits for another one.
    statements: Semaphore,
}

impl Readers {
    /// Creates the readers, which read with the connections of `reads`.
    pub fn new(reads: Store) -> Self {
        Self { reads, gathers: Gathers::default(), statements: Semaphore::new(STATEMENTS_MAX) }
    }

    /// The job that runs on a profile.
    pub async fn holder_of(&self, profile: ProfileId) -> async_graphql::Result<Option<JobId>> {
        self.holder(GateKey::Profile(profile)).await
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readers")
    }
}

/// Converts an error that several callers share, keeping its source for `error::classify`.
pub fn outage(error: Arc<StoreError>) -> Error {
    Error { message: error.to_string(), source: Some(error), extensions: None }
}

/// Splits ranges into groups of at most [`LINES_AT_ONCE`] lines, or of one range.
fn by_lines(ranges: &[LineRange]) -> impl Iterator<Item = &[LineRange]> {
    let mut lines = 0;
    ranges.chunk_by(move |before, next| {
        lines += before.to - before.from + 1;
        let fits = lines + (next.to - next.from + 1) <= LINES_AT_ONCE;
        if !fits {
            lines = 0;
        }
        fits
    })
}

/// The values of each key, in their order.
fn grouped<K: Hash + Eq, V>(pairs: impl IntoIterator<Item = (K, V)>) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().push(value);
    }
    groups
}

fn by<K: Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Arc<V>> {
    rows.into_iter().map(|row| (key(&row), Arc::new(row))).collect()
}
