//! The GraphQL type `JobEvent`, used by lists and subscriptions.

use async_graphql::{Context, Enum, Object, Result};
use callboard::{clock::Time, ids::JobId, job::EventKind, store::jobs::events::EventRecord};

use super::{Job, JobContext, JobState, object, privacy::is_kept_back};
use crate::{
    cursor::Cursor as _,
    error::{ApiError, Code},
    feed::{EventCursor, Following, JobNews},
    graphql::{
        page::{PAGE_MAX, Page, asks_for_total},
        scalars::DateTime,
    },
};

/// What happened to a job or to its stream. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum JobEventKind {
    /// Starts the stream with the job's current state. Belongs to the stream, not to the job, and
    /// repeats a version.
    Snapshot,
    /// The job was accepted.
    Enqueued,
    /// The job waits for its start time.
    Scheduled,
    /// The job is ready, or its reason to wait has changed.
    Queued,
    /// An attempt started.
    Started,
    /// The attempt reported progress. At most once a second.
    Progressed,
    /// A service rejected the attempt's requests for now, or its proxy could not be reached. Does
    /// not count against maxAttempts.
    Throttled,
    /// An attempt failed, and the next one waits for its backoff.
    RetryScheduled,
    /// The job succeeded.
    Succeeded,
    /// The job failed.
    Failed,
    /// Cancellation was requested while the job ran.
    CancelRequested,
    /// The job was cancelled or expired.
    Cancelled,
    /// The worker of an attempt vanished.
    Lost,
    /// A worker gave the job back.
    Released,
    /// The job was revived by jobRetry.
    Retried,
    /// The cursor is too old or cannot be used. Carries the job's current state, and the stream
    /// continues from there. Belongs to the stream, not to the job, and repeats a version.
    Reset,
}

impl From<EventKind> for JobEventKind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Enqueued => Self::Enqueued,
            EventKind::Scheduled => Self::Scheduled,
            EventKind::Queued => Self::Queued,
            EventKind::Started => Self::Started,
            EventKind::Progressed => Self::Progressed,
            EventKind::Throttled => Self::Throttled,
            EventKind::RetryScheduled => Self::RetryScheduled,
            EventKind::Succeeded => Self::Succeeded,
            EventKind::Failed => Self::Failed,
            EventKind::CancelRequested => Self::CancelRequested,
            EventKind::Cancelled => Self::Cancelled,
            EventKind::Lost => Self::Lost,
            EventKind::Released => Self::Released,
            EventKind::Retried => Self::Retried,
        }
    }
}

/// The GraphQL object `JobEvent`.
#[derive(Debug)]
pub struct JobEvent {
    job: JobId,
    /// The version that the event's cursor points after.
    place: i32,
    kind: JobEventKind,
    at: Time,
    message: String,
    actor: Option<String>,
    attempt: Option<i32>,
    state: JobState,
    version: i32,
}

crate::connection!(
    /// A page of a job's events, ordered by version.
    JobEventConnection,
    /// An event with its cursor.
    JobEventEdge,
    JobEvent
);

impl From<EventRecord> for JobEvent {
    fn from(event: EventRecord) -> Self {
        Self {
            job: event.job,
            place: event.version,
            kind: event.kind.into(),
            at: event.at,
            message: event.message,
            actor: event.actor,
            attempt: event.attempt,
            state: event.state.into(),
            version: event.version,
        }
    }
}

impl From<JobNews> for JobEvent {
    fn from(news: JobNews) -> Self {
        let snapshot = match news {
            JobNews::Event(event) => return event.into(),
            JobNews::Snapshot(snapshot) => snapshot,
        };
        Self {
            job: snapshot.position.job,
            place: snapshot.goes_on_after,
            kind: match snapshot.following {
                Following::Begins => JobEventKind::Snapshot,
                Following::BeginsAnew => JobEventKind::Reset,
            },
            at: snapshot.at,
            message: String::new(),
            actor: None,
            attempt: (snapshot.position.attempt > 0).then_some(snapshot.position.attempt),
            state: snapshot.position.state.into(),
            version: snapshot.position.version,
        }
    }
}

/// An event in the history of a job.
#[Object]
impl JobEvent {
    /// Pass it as `after` to `Job.events` or jobEvents to continue after this event.
    async fn cursor(&self) -> String {
        EventCursor { job: self.job, version: self.place }.encode()
    }

    /// What happened.
    async fn kind(&self) -> JobEventKind {
        self.kind
    }

    /// When it happened.
    async fn at(&self) -> DateTime {
        DateTime(self.at)
    }

    /// Details for people, in addition to the kind. Often empty, and always for a VIEWER if the
    /// command is private.
    async fn message(&self, ctx: &Context<'_>) -> Result<&str> {
        Ok(if is_kept_back(ctx, self.job).await? { "" } else { &self.message })
    }

    /// Who did it: the name of a key or of a schedule, or `worker`. Null for SNAPSHOT and RESET,
    /// and for events from before this was recorded.
    async fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Number of the attempt that the event belongs to. Null before the first attempt.
    async fn attempt(&self) -> Option<i32> {
        self.attempt
    }

    /// The job's state as of this event.
    async fn state(&self) -> JobState {
        self.state
    }

    /// The job's version as of this event. Increases by one from event to event.
    async fn version(&self) -> i32 {
        self.version
    }

    /// The job as it is now. Null once it has been pruned.
    async fn job(&self, ctx: &Context<'_>) -> Option<Result<Job>> {
        object::load(ctx, self.job).await.transpose()
    }
}

/// Returns a page of a job's events. Batched.
pub(super) async fn list(
    ctx: &Context<'_>,
    job: JobId,
    first: Option<i32>,
    after: Option<String>,
) -> Result<JobEventConnection> {
    let page: Page<EventCursor> = Page::parse((first, after), (None, None), PAGE_MAX)?;
    if page.after.is_some_and(|cursor| cursor.job != job) {
        return Err(ApiError::new(Code::BadCursor, "`after` is a cursor of another job.").into());
    }
    let from = page.after.map_or(0, |cursor| cursor.version);
    let readers = &JobContext::of(ctx)?.readers;
    let is_counted = asks_for_total(ctx);
    let total = async {
        if !is_counted {
            return Ok(None);
        }
        Ok(Some(readers.events_count(job).await?.unwrap_or_default()))
    };
    let (rows, total) = futures::try_join!(readers.events_after((job, from, page.rows())), total)?;
    let (rows, bounds) = page.cut(rows.unwrap_or_default());
    let items = rows.into_iter().map(|event| {
        let cursor = EventCursor { job, version: event.version }.encode();
        (cursor, JobEvent::from(event))
    });
    Ok(JobEventConnection::new(items, bounds, total))
}
