//! The type `Queue`.

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use callboard::{
    duration::IsoDuration,
    store::queues::counters::{self, QueueRecord},
};

use super::{
    QueueId,
    history::{self, QueuePoint},
    shown,
};
use crate::graphql::{
    job::JobContext,
    scalars::{DateTime, Duration},
};

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

/// Slots that its jobs could use, given how many are ready.
pub fn demand(queue: &QueueRecord, ready: i64) -> i64 {
    let all = queue.running.max(0) + if queue.is_paused { 0 } else { ready };
    queue.max_concurrency.map_or(all, |most| all.min(i64::from(most)))
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
        JobCounts {
            blocked: shown(self.0.blocked),
            scheduled: shown(self.0.scheduled),
            queued: shown(self.0.queued),
            running: shown(self.0.running),
            succeeded: shown(self.0.succeeded),
            failed: shown(self.0.failed),
            cancelled: shown(self.0.cancelled),
        }
    }

    /// Since when the oldest ready job waits, those aside that are parked on a limit or their profile; null when none does.
    async fn oldest_queued_at(&self) -> Option<DateTime> {
        self.0.oldest_queued_at.map(DateTime)
    }

    /// How many slots its jobs could use now: what runs, and what is ready and waits for nothing but a slot, within maxConcurrency. Of a
    /// paused queue, what runs. Exact up to 10000. With `slots`, the signal for scaling workers.
    async fn demand(&self, ctx: &Context<'_>) -> Result<i32> {
        let ready = JobContext::of(ctx)?.readers.ready(self.0.name.clone()).await?.unwrap_or_default();
        Ok(shown(demand(&self.0, ready)))
    }

    /// The slots of the active workers that serve it; one that serves several queues counts for each.
    async fn slots(&self, ctx: &Context<'_>) -> Result<i32> {
        let slots = JobContext::of(ctx)?.readers.slots(self.0.name.clone()).await?;
        Ok(shown(slots.unwrap_or_default()))
    }

    /// When none of its jobs is ready any more, at the pace of the last five full minutes; null when there are none, or when they did not
    /// become fewer.
    async fn empty_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        history::empty_at(ctx, &self.0).await
    }

    /// What happened, step by step, the oldest first; the last step is the one that now lies in. As long as the retention of history.
    #[graphql(complexity = "history::cost(window.as_ref(), step.as_ref(), child_complexity)")]
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How far back: at most 1500 steps.",
            default_with = "Some(Duration(IsoDuration::from_secs(3600)))"
        )]
        window: Option<Duration>,
        #[graphql(
            desc = "The length of a step: whole minutes.",
            default_with = "Some(Duration(IsoDuration::from_secs(60)))"
        )]
        step: Option<Duration>,
    ) -> Result<Vec<QueuePoint>> {
        history::of(ctx, &self.0.name, window, step).await
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
