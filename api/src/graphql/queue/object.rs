//! The type `Queue`.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use callboard::store::counters::{self, QueueRecord};

use super::QueueId;
use crate::graphql::{job::JobContext, scalars::DateTime};

/// How many jobs there are, by state. Counted as they change, never by looking at the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject)]
pub struct JobCounts {
    /// Wait for other jobs.
    pub blocked: i32,
    /// Wait for a time.
    pub scheduled: i32,
    /// Ready.
    pub queued: i32,
    /// Run.
    pub running: i32,
    /// Ended well in the last 24 hours.
    pub succeeded: i32,
    /// Ended badly in the last 24 hours.
    pub failed: i32,
    /// Cancelled or expired in the last 24 hours.
    pub cancelled: i32,
}

/// See the object below.
#[derive(Debug, Clone)]
pub struct Queue(QueueRecord);

impl From<QueueRecord> for Queue {
    fn from(record: QueueRecord) -> Self {
        Self(record)
    }
}

/// A queue by its id.
pub async fn load(ctx: &Context<'_>, id: QueueId) -> Result<Option<Queue>> {
    let mut connection = JobContext::of(ctx)?.desk.store.read().await?;
    let found = counters::queues(&mut connection, None).await?;
    Ok(found.into_iter().find(|record| QueueId::of(&record.name) == id).map(Queue))
}

/// Where jobs wait until a worker that serves the queue takes them. A queue comes into being with its first job.
#[Object]
impl Queue {
    /// Global id, `queue_...`.
    pub async fn id(&self) -> ID {
        ID(QueueId::of(&self.0.name).to_string())
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it is paused, so that none of its jobs starts.
    async fn is_paused(&self) -> bool {
        self.0.is_paused
    }

    /// How many of its jobs may run at once, whoever runs them; null for as many as there are slots.
    async fn max_concurrency(&self) -> Option<i32> {
        self.0.max_concurrency
    }

    /// How many jobs it has.
    async fn counts(&self) -> JobCounts {
        let count = |count: i64| i32::try_from(count.max(0)).unwrap_or(i32::MAX);
        JobCounts {
            blocked: count(self.0.blocked),
            scheduled: count(self.0.scheduled),
            queued: count(self.0.queued),
            running: count(self.0.running),
            succeeded: count(self.0.succeeded),
            failed: count(self.0.failed),
            cancelled: count(self.0.cancelled),
        }
    }

    /// Since when the oldest ready job waits, those aside that wait for their profile; null when none does.
    async fn oldest_queued_at(&self) -> Option<DateTime> {
        self.0.oldest_queued_at.map(DateTime)
    }

    /// Attempts that started in the last full minute.
    async fn started_per_minute(&self) -> f64 {
        self.0.started_per_minute as f64
    }

    /// Jobs that ended in the last full minute.
    async fn finished_per_minute(&self) -> f64 {
        self.0.finished_per_minute as f64
    }
}

/// The query fields of queues.
#[derive(Debug, Default, Clone, Copy)]
pub struct QueueQuery;

#[Object]
impl QueueQuery {
    /// All queues, in order of name.
    async fn queues(&self, ctx: &Context<'_>) -> Result<Vec<Queue>> {
        let mut connection = JobContext::of(ctx)?.desk.store.read().await?;
        Ok(counters::queues(&mut connection, None).await?.into_iter().map(Queue).collect())
    }
}
