//! What the streams of single jobs read, many of them in one statement.

use std::sync::Arc;

use callboard::{
    ids::JobId,
    store::{
        Store, StoreError,
        jobs::{
            events::{self, EventRecord},
            logs::{self, LogLine},
            records::{self, Position},
        },
    },
};

use super::Gather;

/// Most events that are read at once for one stream.
pub(super) const EVENTS_MAX: usize = 200;
/// Most lines of one batch.
pub(super) const LINES_MAX: usize = 500;

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    store: Store,
    positions: Gather<JobId, Position>,
    events: Gather<(JobId, i32), Arc<Vec<EventRecord>>>,
    lines: Gather<(JobId, i64), Arc<Vec<LogLine>>>,
}

impl Reader {
    pub(super) fn new(store: Store) -> Self {
        Self { store, positions: Gather::default(), events: Gather::default(), lines: Gather::default() }
    }

    /// Where a job stands; none when there is no such job.
    pub(super) async fn position(&self, job: JobId) -> Result<Option<Position>, Arc<StoreError>> {
        let read = |jobs: Vec<JobId>| async move {
            let found = records::positions(&mut *self.store.read().await?, &jobs).await?;
            Ok(found.into_iter().map(|position| (position.job, position)).collect())
        };
        self.positions.load(job, read).await
    }

    /// The events of a job behind a version, at most [`EVENTS_MAX`].
    pub(super) async fn events(
        &self,
        job: JobId,
        after: i32,
    ) -> Result<Arc<Vec<EventRecord>>, Arc<StoreError>> {
        let read = |wanted: Vec<(JobId, i32)>| async move {
            let found = events::after(&mut *self.store.read().await?, &wanted, EVENTS_MAX as i64).await?;
            Ok(found.into_iter().map(|(key, events)| (key, Arc::new(events))).collect())
        };
        Ok(self.events.load((job, after), read).await?.unwrap_or_default())
    }

    /// The lines of a job right behind a sequence, at most [`LINES_MAX`].
    pub(super) async fn lines(&self, job: JobId, after: i64) -> Result<Arc<Vec<LogLine>>, Arc<StoreError>> {
        let read = |wanted: Vec<(JobId, i64)>| async move {
            let found = logs::after(&mut *self.store.read().await?, &wanted, LINES_MAX as i64).await?;
            Ok(found.into_iter().map(|(key, lines)| (key, Arc::new(lines))).collect())
        };
        Ok(self.lines.load((job, after), read).await?.unwrap_or_default())
    }

    /// Sequence of the first line that is stored behind this one; none when no line is.
    pub(super) async fn next_stored(&self, job: JobId, after: i64) -> Result<Option<i64>, Arc<StoreError>> {
        let read = async { logs::first_behind(&mut *self.store.read().await?, job, after).await };
        read.await.map_err(Arc::new)
    }
}
