//! Following jobs: their events, their lines, and what changes within a filter.

use async_graphql::{Context, ID, Object, Result, SimpleObject, Subscription};
use callboard::{ids::JobId, store::jobs::pages};
use futures::{Stream, StreamExt as _};

use super::{Job, JobContext, JobEvent, JobFilter, JobState, object};
use crate::{
    cursor::Cursor,
    error::{ApiError, Code},
    feed::{self, Change, ChangesCursor, EventCursor, FeedError, LogCursor, Selection},
    graphql::{job_loaders::outage, log::LogBatch, scalars::DateTime},
};

/// What changed among the jobs of a filter.
#[derive(Debug, SimpleObject)]
pub struct JobChanges {
    /// Hand it back as `after` to go on behind these changes.
    pub cursor: String,
    /// The changes, each job once, as of its newest state. Empty when `isReset`.
    pub changes: Vec<JobChange>,
    /// The stream begins here, the changes were too many to name, or the cursor is too old (an hour, or 10,000 events):
    /// read the list again, and go on from `cursor`.
    pub is_reset: bool,
}

/// A job that entered a filter, changed within it, or left it.
#[derive(Debug)]
pub struct JobChange {
    change: Change,
    is_in_filter: bool,
}

/// A job that entered a filter, changed within it, or left it.
#[Object]
impl JobChange {
    /// The job's id.
    async fn id(&self) -> ID {
        ID(self.change.job.to_string())
    }

    /// Its state after the newest of these changes.
    async fn state(&self) -> JobState {
        self.change.state.into()
    }

    /// Its version after the newest of these changes.
    async fn version(&self) -> i32 {
        self.change.version
    }

    /// When the newest of these changes happened.
    async fn at(&self) -> DateTime {
        DateTime(self.change.at)
    }

    /// False when it just left the filter.
    async fn is_in_filter(&self) -> bool {
        self.is_in_filter
    }

    /// The job as it is now; null once pruned.
    async fn job(&self, ctx: &Context<'_>) -> Option<Result<Job>> {
        object::load(ctx, self.change.job).await.transpose()
    }
}

impl From<feed::Changes> for JobChanges {
    fn from(changes: feed::Changes) -> Self {
        let change = |(change, is_in_filter)| JobChange { change, is_in_filter };
        Self {
            cursor: changes.cursor.encode(),
            changes: changes.changes.into_iter().map(change).collect(),
            is_reset: changes.is_reset,
        }
    }
}

/// The subscriptions of jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobSubscription;

#[Subscription]
impl JobSubscription {
    /// What happens to a job. Without `after`: first a SNAPSHOT, which says how the job stands now, then every event that is
    /// stored, from the first on, and every later one as it comes, in order of version. With `after`: exactly what came
    /// after that cursor; where that is not stored any more, a RESET that says how the job stands, and what comes then.
    /// The cursor of the SNAPSHOT leads to the first event that is stored.
    /// The stream completes when the job has ended and its last event is out; for one that ended before, at once after
    /// the replay. A job revived by jobRetry is followed again with the old cursor. An unknown job is NOT_FOUND, a cursor
    /// of another job BAD_CURSOR.
    async fn job_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job.")] job_id: ID,
        #[graphql(desc = "A cursor of this stream or of `Job.events`: go on behind it.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = JobEvent> + use<>> {
        let job = job_of(&job_id)?;
        let after: Option<EventCursor> = cursor_of(after)?;
        let news = JobContext::of(ctx)?.feed.job_events(job, after).await.map_err(told)?;
        Ok(news.map(JobEvent::from))
    }

    /// What a job's attempts write, in order, in batches of at most 500 lines; without `after`, from the first line. The
    /// stream completes when the job has ended and its last line is out. An unknown job is NOT_FOUND, a cursor of another
    /// job BAD_CURSOR.
    async fn job_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job.")] job_id: ID,
        #[graphql(desc = "A cursor of this stream or of `Job.log`: go on behind it.")] after: Option<String>,
    ) -> Result<impl Stream<Item = LogBatch> + use<>> {
        let job = job_of(&job_id)?;
        let after: Option<LogCursor> = cursor_of(after)?;
        let lines = JobContext::of(ctx)?.feed.job_log(job, after).await.map_err(told)?;
        Ok(lines.map(LogBatch::from))
    }

    /// Jobs that entered, changed within or left the filter, batched at most every 100 ms, newest state of each once. The
    /// fields of the filter that can change are `states`; log lines are no change. Without `after`, the first message is a
    /// reset with a cursor to go on from. What enters and leaves within one batch is not told. `search` is refused here.
    async fn jobs_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which jobs; absent or null: all.")] filter: Option<JobFilter>,
        #[graphql(desc = "A cursor of this stream: go on behind it.")] after: Option<String>,
    ) -> Result<impl Stream<Item = JobChanges> + use<>> {
        let filter: pages::JobFilter = filter.unwrap_or_default().try_into()?;
        if filter.search.is_some() {
            return Err(ApiError::new(Code::BadRequest, "`search` cannot be followed; leave it out.").into());
        }
        let after: Option<ChangesCursor> = cursor_of(after)?;
        let changes =
            JobContext::of(ctx)?.feed.jobs_changed(Selection::new(filter), after).await.map_err(told)?;
        Ok(changes.map(JobChanges::from))
    }
}

fn job_of(id: &ID) -> Result<JobId, ApiError> {
    id.parse().map_err(|_| ApiError::new(Code::NotFound, "There is no job with this id."))
}

fn cursor_of<C: Cursor>(text: Option<String>) -> Result<Option<C>, ApiError> {
    let bad = || ApiError::new(Code::BadCursor, "`after` is not a cursor of this stream.");
    text.map(|text| C::decode(&text).ok_or_else(bad)).transpose()
}

fn told(error: FeedError) -> async_graphql::Error {
    match error {
        FeedError::NotFound => ApiError::new(Code::NotFound, "There is no job with this id.").into(),
        FeedError::BadCursor => ApiError::new(Code::BadCursor, "`after` is a cursor of another job.").into(),
        FeedError::Store(error) => outage(error),
        FeedError::Stopped => ApiError::new(Code::Unavailable, "The server is going down.").into(),
    }
}
