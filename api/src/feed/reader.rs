//! The reads that the streams of single jobs share, many of them in one statement.

use std::sync::Arc;

use callboard::{
    ids::JobId,
    store::{
        Store, StoreError,
        jobs::{
            events::{self, EventRecord},
            logs::{self, LineRange, LogLine},
            records::{self, Position},
        },
    },
};

use super::BatchLoader;

/// Maximum number of events in one read of a stream.
pub(super) const EVENTS_MAX: usize = 200;
/// Maximum number of lines in one batch.
pub(super) const LINES_MAX: usize = 500;

/// The batched reads of the streams of single jobs.
#[derive(Debug)]
pub(super) struct Reader {
    store: Store,
    positions: BatchLoader<JobId, Position>,
    events: BatchLoader<(JobId, i32), Arc<Vec<EventRecord>>>,
    lines: BatchLoader<LineRange, Arc<Vec<LogLine>>>,
}

impl Reader {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            positions: BatchLoader::default(),
            events: BatchLoader::default(),
            lines: BatchLoader::default(),
        }
    }

    /// Returns the state, version and last line of a job, or `None` if the job does not exist.
    pub(super) async fn position(&self, job: JobId) -> Result<Option<Position>, Arc<StoreError>> {
        let read = |jobs: Vec<JobId>| async move {
            let found = records::positions(&mut *self.store.connection().await?, &jobs).await?;
            Ok(found.into_iter().map(|position| (position.job, position)).collect())
        };
        self.positions.load(job, read).await
    }

    /// Returns the events of a job after a version, at most [`EVENTS_MAX`].
    pub(super) async fn events(
        &self,
        job: JobId,
        after: i32,
    ) -> Result<Arc<Vec<EventRecord>>, Arc<StoreError>> {
        let read = |wanted: Vec<(JobId, i32)>| async move {
            let found =
                events::after(&mut *self.store.connection().await?, &wanted, EVENTS_MAX as i64).await?;
            Ok(found.into_iter().map(|(key, events)| (key, Arc::new(events))).collect())
        };
        Ok(self.events.load((job, after), read).await?.unwrap_or_default())
    }

    /// Returns the lines of a job that directly follow a sequence, at most [`LINES_MAX`].
    pub(super) async fn lines(&self, job: JobId, after: i64) -> Result<Arc<Vec<LogLine>>, Arc<StoreError>> {
        let range = LineRange { job, from: after + 1, to: after + LINES_MAX as i64 };
        let read = |ranges: Vec<LineRange>| async move {
            let found = logs::ranges(&mut *self.store.connection().await?, &ranges).await?;
            Ok(found.into_iter().map(|(range, lines)| (range, Arc::new(lines))).collect())
        };
        Ok(self.lines.load(range, read).await?.unwrap_or_default())
    }

    /// Returns the sequence of the first stored line after this one, or `None` if there is none.
    pub(super) async fn next_stored(&self, job: JobId, after: i64) -> Result<Option<i64>, Arc<StoreError>> {
        let read = async { logs::first_behind(&mut *self.store.connection().await?, job, after).await };
        read.await.map_err(Arc::new)
    }
}
