//! The GraphQL type `Queue` and the query `queues`.

use std::sync::Arc;

use async_graphql::{Context, Error, ID, Object, Result, SimpleObject};
use callboard::{
    clock::Time,
    duration::IsoDuration,
    store::queues::counters::{self, Counts, QueueRecord, QueueState},
};

use super::{
    QueueId,
    history::{self, QueuePoint},
    shown,
};
use crate::{
    allowance::Allowance,
    graphql::{
        job::JobContext,
        reads,
        scalars::{DateTime, Duration},
    },
};

/// Number of jobs by state. The finished states count the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject)]
pub struct JobCounts {
    /// Jobs that wait for other jobs.
    pub blocked: i32,
    /// Jobs that wait for a time.
    pub scheduled: i32,
    /// Jobs that are ready.
    pub queued: i32,
    /// Jobs that are running.
    pub running: i32,
    /// Jobs that succeeded in the last 24 hours.
    pub succeeded: i32,
    /// Jobs that failed in the last 24 hours.
    pub failed: i32,
    /// Jobs that were cancelled or expired in the last 24 hours.
    pub cancelled: i32,
}

/// The GraphQL object `Queue`. Its parts are read when they are selected, each for all queues of an
/// answer at once, unless it is from a snapshot.
#[derive(Debug, Clone)]
pub struct Queue {
    record: QueueRecord,
    snapshot: Option<Snapshot>,
}

/// The parts of a queue at one moment.
#[derive(Debug, Clone)]
struct Snapshot {
    counts: Arc<Counts>,
    oldest_ready_at: Option<Time>,
}

impl From<QueueRecord> for Queue {
    fn from(record: QueueRecord) -> Self {
        Self { record, snapshot: None }
    }
}

impl From<QueueState> for Queue {
    fn from(state: QueueState) -> Self {
        let QueueState { record, counts, oldest_ready_at } = state;
        Self { record, snapshot: Some(Snapshot { counts: Arc::new(counts), oldest_ready_at }) }
    }
}

impl Queue {
    async fn read_counts(&self, ctx: &Context<'_>) -> Result<Arc<Counts>> {
        if let Some(snapshot) = &self.snapshot {
            return Ok(Arc::clone(&snapshot.counts));
        }
        let counts = JobContext::of(ctx)?.readers.counts(self.record.name.clone()).await?;
        counts.ok_or_else(|| Error::new("the counts of a queue were not read"))
    }
}

/// Returns the number of slots that a queue's jobs could use, given the numbers of running and of
/// ready jobs.
pub fn demand(queue: &QueueRecord, running: i64, ready: i64) -> i64 {
    let all = running.max(0) + if queue.is_paused { 0 } else { ready };
    queue.max_concurrency.map_or(all, |most| all.min(i64::from(most)))
}

/// Loads a queue by its id.
pub async fn load(ctx: &Context<'_>, id: QueueId) -> Result<Option<Queue>> {
    let mut connection = reads::connection(ctx).await?;
    let found = counters::queues(&mut connection).await?;
    Ok(found.into_iter().find(|record| QueueId::of(&record.name) == id).map(Queue::from))
}

/// Holds jobs until a worker that serves the queue runs them. A queue is created with its first
/// job.
#[Object]
impl Queue {
    /// The global id, `queue_...`.
    pub async fn id(&self) -> ID {
        ID(QueueId::of(&self.record.name).to_string())
    }

    /// Name of the queue.
    async fn name(&self) -> &str {
        &self.record.name
    }

    /// Whether the queue is paused, so that none of its jobs starts.
    async fn is_paused(&self) -> bool {
        self.record.is_paused
    }

    /// Maximum number of its jobs that run at once, across all workers. Null for no limit.
    async fn max_concurrency(&self) -> Option<i32> {
        self.record.max_concurrency
    }

    /// Number of jobs by state.
    async fn counts(&self, ctx: &Context<'_>) -> Result<JobCounts> {
        let counts = self.read_counts(ctx).await?;
        Ok(JobCounts {
            blocked: shown(counts.blocked),
            scheduled: shown(counts.scheduled),
            queued: shown(counts.queued),
            running: shown(counts.running),
            succeeded: shown(counts.succeeded),
            failed: shown(counts.failed),
            cancelled: shown(counts.cancelled),
        })
    }

    /// When the oldest ready job became ready, ignoring jobs parked at a limit or their profile.
    /// Null when there is none.
    async fn oldest_queued_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        let at = match &self.snapshot {
            Some(snapshot) => snapshot.oldest_ready_at,
            None => JobContext::of(ctx)?.readers.oldest_ready(self.record.name.clone()).await?,
        };
        Ok(at.map(DateTime))
    }

    /// Number of slots that its jobs could use now: running jobs, plus ready jobs that wait only
    /// for a slot, at most maxConcurrency. For a paused queue only the running jobs. Exact up to
    /// 10000 ready jobs. Compare it with `slots` to scale workers.
    async fn demand(&self, ctx: &Context<'_>) -> Result<i32> {
        // First, with those of the other fields.
        let running = self.read_counts(ctx).await?.running;
        let ready = JobContext::of(ctx)?.readers.ready(self.record.name.clone()).await?.unwrap_or_default();
        Ok(shown(demand(&self.record, running, ready)))
    }

    /// Number of slots of the active workers that serve the queue. A worker that serves several
    /// queues counts for each.
    async fn slots(&self, ctx: &Context<'_>) -> Result<i32> {
        let slots = JobContext::of(ctx)?.readers.slots(self.record.name.clone()).await?;
        Ok(shown(slots.unwrap_or_default()))
    }

    /// Estimated time when no job of the queue is ready any more, at the pace of the last five full
    /// minutes. Null when no job is ready, or when the number of ready jobs did not decrease.
    async fn empty_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime>> {
        history::empty_at(ctx, &self.record.name, self.read_counts(ctx).await?.queued).await
    }

    /// History of the queue, oldest step first. The last step contains the current time. Limited by
    /// the retention of history.
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "How far back, at most 1500 steps.",
            default_with = "Some(Duration(IsoDuration::from_secs(3600)))"
        )]
        window: Option<Duration>,
        #[graphql(
            desc = "Length of a step, in whole minutes.",
            default_with = "Some(Duration(IsoDuration::from_secs(60)))"
        )]
        step: Option<Duration>,
    ) -> Result<Vec<QueuePoint>> {
        Box::pin(history::of(ctx, &self.record.name, window, step)).await
    }

    /// Number of attempts that started in the last full minute.
    async fn started_per_minute(&self, ctx: &Context<'_>) -> Result<f64> {
        Ok(self.read_counts(ctx).await?.started_per_minute as f64)
    }

    /// Number of jobs that finished in the last full minute.
    async fn finished_per_minute(&self, ctx: &Context<'_>) -> Result<f64> {
        Ok(self.read_counts(ctx).await?.finished_per_minute as f64)
    }
}

/// What a queue of a list weighs beside its values.
const QUEUE_BYTES: usize = 256;

/// The query fields of queues.
#[derive(Debug, Default, Clone, Copy)]
pub struct QueueQuery;

#[Object]
impl QueueQuery {
    /// Returns all queues, ordered by name.
    async fn queues(&self, ctx: &Context<'_>) -> Result<Vec<Queue>> {
        let mut connection = reads::connection(ctx).await?;
        let queues = counters::queues(&mut connection).await?;
        drop(connection);
        // Their number is no part of the operation's cost, so they are weighed before their fields
        // take memory.
        ctx.data::<Arc<Allowance>>()?.charge(queues.len() * QUEUE_BYTES).await?;
        Ok(queues.into_iter().map(Queue::from).collect())
    }
}
