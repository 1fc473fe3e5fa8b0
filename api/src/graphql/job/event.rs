//! What happened to a job: the type `JobEvent`, for lists and streams alike.

use async_graphql::{Context, Enum, Object, Result};
use callboard::{
    clock::Time,
    ids::JobId,
    job::EventKind,
    store::jobs::events::{self, EventRecord},
};

use super::{Job, JobContext, JobState, object};
use crate::{
    cursor::Cursor as _,
    error::{ApiError, Code},
    feed::{EventCursor, Following, JobNews},
    graphql::{
        page::{PAGE_MAX, Page, asks_for_total},
        scalars::DateTime,
    },
};

/// What happened to a job, or of its stream. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum JobEventKind {
    /// Of the stream, not of the job: how the job stands as the stream begins. Repeats a version.
    Snapshot,
    /// It was accepted.
    Enqueued,
    /// It waits for its time.
    Scheduled,
    /// It is ready, or what it waits for has changed.
    Queued,
    /// An attempt began.
    Started,
    /// The attempt told how far it is; at most once a second.
    Progressed,
    /// A service that the attempt called said "not now"; the attempt does not count.
    Throttled,
    /// An attempt failed; the next one waits for its backoff.
    RetryScheduled,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// Somebody asked to cancel it while it ran.
    CancelRequested,
    /// It ended by request or expiry.
    Cancelled,
    /// The worker of an attempt vanished.
    Lost,
    /// A worker gave it back.
    Released,
    /// It was revived by jobRetry.
    Retried,
    /// Of the stream, not of the job: the cursor was too old (or is of no use here). How the job stands now; the stream
    /// goes on from there. Repeats a version.
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

/// See the object below.
#[derive(Debug)]
pub struct JobEvent {
    job: JobId,
    /// Hand it back, and the stream goes on behind this event.
    place: i32,
    kind: JobEventKind,
    at: Time,
    message: String,
    attempt: Option<i32>,
    state: JobState,
    version: i32,
}

crate::connection!(
    /// A page of what happened to a job, in order of version.
    JobEventConnection,
    /// An event in a list.
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
            attempt: event.attempt,
            state: event.state.into(),
            version: event.version,
        }
    }
}

impl From<JobNews> for JobEvent {
    fn from(news: JobNews) -> Self {
        let standing = match news {
            JobNews::Event(event) => return event.into(),
            JobNews::Standing(standing) => standing,
        };
        Self {
            job: standing.position.job,
            place: standing.goes_on_after,
            kind: match standing.following {
                Following::Begins => JobEventKind::Snapshot,
                Following::BeginsAnew => JobEventKind::Reset,
            },
            at: standing.at,
            message: String::new(),
            attempt: (standing.position.attempt > 0).then_some(standing.position.attempt),
            state: standing.position.state.into(),
            version: standing.position.version,
        }
    }
}

/// Something that happened to a job.
#[Object]
impl JobEvent {
    /// Hand it back as `after` to go on behind this event, in `Job.events` and in jobEvents.
    async fn cursor(&self) -> String {
        EventCursor { job: self.job, version: self.place }.encode()
    }

    /// What happened.
    async fn kind(&self) -> JobEventKind {
        self.kind
    }

    /// When.
    async fn at(&self) -> DateTime {
        DateTime(self.at)
    }

    /// What there is to say beside the kind, for people; often nothing.
    async fn message(&self) -> &str {
        &self.message
    }

    /// Number of the attempt that it is about; null before the first.
    async fn attempt(&self) -> Option<i32> {
        self.attempt
    }

    /// The job's state as of this event.
    async fn state(&self) -> JobState {
        self.state
    }

    /// The job's version as of this event; rises by one from event to event.
    async fn version(&self) -> i32 {
        self.version
    }

    /// The job as it is now; null once pruned.
    async fn job(&self, ctx: &Context<'_>) -> Option<Result<Job>> {
        object::load(ctx, self.job).await.transpose()
    }
}

/// The events of a job.
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
    let mut connection = JobContext::of(ctx)?.desk.store.read().await?;
    let rows = events::of_job(&mut connection, job, from, page.rows()).await?;
    let total = if asks_for_total(ctx) { Some(events::count(&mut connection, job).await?) } else { None };
    drop(connection);
    let (rows, bounds) = page.cut(rows);
    let items = rows.into_iter().map(|event| {
        let cursor = EventCursor { job, version: event.version }.encode();
        (cursor, JobEvent::from(event))
    });
    Ok(JobEventConnection::new(items, bounds, total))
}
