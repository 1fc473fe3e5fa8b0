//! The subscriptions that follow a job's events, a job's log, and changes within a filter.

use async_graphql::{Context, ID, Object, Result, SimpleObject, Subscription};
use callboard::{ids::JobId, store::jobs::pages};
use futures::{Stream, StreamExt as _};

use super::{
    Job, JobContext, JobEvent, JobFilter, JobState, is_kept_back, object,
    privacy::{forbidden, while_shown},
};
use crate::{
    audit::note_refusal,
    cursor::Cursor,
    error::{ApiError, Code},
    feed::{self, Change, ChangesCursor, EventCursor, FeedError, LogCursor, Selection},
    graphql::{job_loaders::outage, log::LogBatch, scalars::DateTime},
    repeat::Repeat,
};

/// Changes of jobs that match a filter.
#[derive(Debug, SimpleObject)]
pub struct JobChanges {
    /// Pass it as `after` to continue after these changes.
    pub cursor: String,
    /// The changes, with each job once in its newest state. Empty when `isReset`.
    pub changes: Vec<JobChange>,
    /// True when the stream starts here, when there were too many changes to list, or when the
    /// cursor is too old (one hour, or 10000 events). Read the list again and continue from
    /// `cursor`.
    pub is_reset: bool,
}

/// The GraphQL object `JobChange`.
#[derive(Debug)]
pub struct JobChange {
    change: Change,
    is_in_filter: bool,
}

/// A job that entered a filter, changed within it, or left it.
#[Object]
impl JobChange {
    /// The id of the job.
    async fn id(&self) -> ID {
        ID(self.change.job.to_string())
    }

    /// The state after the newest of these changes.
    async fn state(&self) -> JobState {
        self.change.state.into()
    }

    /// The version after the newest of these changes.
    async fn version(&self) -> i32 {
        self.change.version
    }

    /// When the newest of these changes happened.
    async fn at(&self) -> DateTime {
        DateTime(self.change.at)
    }

    /// Whether the job matches the filter now. False when it just left the filter.
    async fn is_in_filter(&self) -> bool {
        self.is_in_filter
    }

    /// The job as it is now. Null once it has been pruned.
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
    /// The events of a job, in order of version. Without `after`, the stream starts with a SNAPSHOT
    /// of the job's current state, followed by every stored event and then by new ones. The cursor
    /// of the SNAPSHOT points before the first stored event. With `after`, the stream continues
    /// exactly after that cursor. If those events are no longer stored, it starts with a RESET that
    /// carries the job's current state, followed by new events. The stream completes once the job
    /// is finished and its last event has been sent, which for an already finished job is right
    /// after the replay. After a jobRetry the old cursor can be used to follow the job again. An
    /// unknown job fails with NOT_FOUND, a cursor of another job with BAD_CURSOR.
    async fn job_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the job.")] job_id: ID,
        #[graphql(desc = "Continues after this cursor of jobEvents or `Job.events`.")] after: Option<String>,
    ) -> Result<impl Stream<Item = JobEvent> + use<>> {
        let job = job_of(&job_id)?;
        let after: Option<EventCursor> = cursor_of(after)?;
        let news = JobContext::of(ctx)?.feed.job_events(job, after).await.map_err(error_of)?;
        Ok(Repeat::each(ctx, news).map(JobEvent::from))
    }

    /// The log of a job, in order, in batches of at most 500 lines. Without `after`, the stream
    /// starts at the first line. It completes once the job is finished and its last line has been
    /// sent. An unknown job fails with NOT_FOUND, a cursor of another job with BAD_CURSOR. If the
    /// command is private, a VIEWER gets FORBIDDEN, which also ends the stream when the command
    /// becomes private.
    async fn job_log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the job.")] job_id: ID,
        #[graphql(desc = "Continues after this cursor of jobLog or `Job.log`.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<LogBatch>> + use<>> {
        let job = job_of(&job_id)?;
        let after: Option<LogCursor> = cursor_of(after)?;
        if is_kept_back(ctx, job).await? {
            let error = forbidden();
            note_refusal(ctx, || error.message.clone());
            return Err(error.into());
        }
        let lines = JobContext::of(ctx)?.feed.job_log(job, after).await.map_err(error_of)?;
        while_shown(ctx, job, Repeat::each(ctx, lines).map(LogBatch::from))
    }

    /// Jobs that entered the filter, changed within it or left it, in batches at most every 100 ms,
    /// with each job once in its newest state. A job enters or leaves the filter only by its state,
    /// because the other fields never change. Log lines are not changes. Without `after`, the first
    /// message is a reset with a cursor to continue from. A job that enters and leaves within one
    /// batch is not reported. `search` is refused.
    async fn jobs_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Reports only jobs that match. Absent or null reports all.")] filter: Option<
            JobFilter,
        >,
        #[graphql(desc = "Continues after this cursor of jobsChanged.")] after: Option<String>,
    ) -> Result<impl Stream<Item = JobChanges> + use<>> {
        let filter: pages::JobFilter = filter.unwrap_or_default().try_into().map_err(ApiError::from)?;
        let selection = Selection::new(filter).map_err(|_| {
            ApiError::new(Code::BadRequest, "`search` is not supported in subscriptions. Leave it out.")
        })?;
        let after: Option<ChangesCursor> = cursor_of(after)?;
        let changes = JobContext::of(ctx)?.feed.jobs_changed(selection, after).await.map_err(error_of)?;
        Ok(Repeat::each(ctx, changes).map(JobChanges::from))
    }
}

fn job_of(id: &ID) -> Result<JobId, ApiError> {
    id.parse().map_err(|_| ApiError::new(Code::NotFound, "There is no job with this id."))
}

fn cursor_of<C: Cursor>(text: Option<String>) -> Result<Option<C>, ApiError> {
    let bad = || ApiError::new(Code::BadCursor, "`after` is not a cursor of this stream.");
    text.map(|text| C::decode(&text).ok_or_else(bad)).transpose()
}

fn error_of(error: FeedError) -> async_graphql::Error {
    match error {
        FeedError::NotFound => ApiError::new(Code::NotFound, "There is no job with this id.").into(),
        FeedError::BadCursor => ApiError::new(Code::BadCursor, "`after` is a cursor of another job.").into(),
        FeedError::Store(error) => outage(error),
        FeedError::Stopped => ApiError::new(Code::Unavailable, "The server is shutting down.").into(),
    }
}
