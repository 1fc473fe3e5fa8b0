//! The GraphQL type `Job`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use callboard::{clock::Time, ids::JobId, store::jobs::records::JobRecord};
use tokio::sync::OnceCell;

use super::{
    Composed, Failure, JobConnection, JobContext, JobEventConnection, JobState, KEPT_BACK, Progress, Waiting,
    event, hidden_command, is_kept_back, list,
};
use crate::{
    error::{ApiError, Code},
    graphql::{
        artifact::Artifact,
        attempt::{self, AttemptConnection},
        command::{Command, CommandKind},
        composed::ComposedCommand,
        log::{self, LogLineConnection, LogRequest},
        page::Bounds,
        payloads,
        policy::Policy,
        profile::Profile,
        proxy::Proxy,
        scalars::{DateTime, JsonText},
        schedule::Schedule,
        service::Service,
    },
};

/// The GraphQL object `Job`. The record is loaded when the first field needs it, in one batch with
/// the other jobs of the response. All fields of one object show the same version.
#[derive(Debug)]
pub struct Job {
    id: JobId,
    record: OnceCell<Arc<JobRecord>>,
}

/// Loads a job by its id. Batched.
pub async fn load(ctx: &Context<'_>, id: JobId) -> Result<Option<Job>> {
    let record = JobContext::of(ctx)?.readers.record(id).await?;
    Ok(record.map(|record| Job { id, record: OnceCell::new_with(Some(record)) }))
}

impl Job {
    /// A job that is known to exist.
    pub const fn known(id: JobId) -> Self {
        Self { id, record: OnceCell::const_new() }
    }

    async fn record(&self, ctx: &Context<'_>) -> Result<&JobRecord> {
        let read = || async {
            let found = JobContext::of(ctx)?.readers.record(self.id).await?;
            let gone = || ApiError::new(Code::NotFound, format!("The job {} no longer exists.", self.id));
            found.ok_or_else(|| gone().into())
        };
        self.record.get_or_try_init(read).await.map(|record| &**record)
    }
}

fn shown(time: Option<Time>) -> Option<DateTime> {
    time.map(DateTime)
}

/// A unit of work: a command composed with a profile, a proxy, services and input, and the outcome
/// of running it.
#[Object]
impl Job {
    /// The global id, `job_...`. Ids sort by the time of enqueuing.
    pub async fn id(&self) -> ID {
        ID(self.id.to_string())
    }

    /// The command that the job was enqueued with, as it is now. Null when it has been deleted. The
    /// job runs the version that it was enqueued with.
    async fn command(&self, ctx: &Context<'_>) -> Option<Result<Command>> {
        let record = match self.record(ctx).await {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        Command::load(ctx, record.command_id).await.transpose()
    }

    /// The kind of command that the job runs.
    async fn kind(&self, ctx: &Context<'_>) -> Result<CommandKind> {
        Ok(self.record(ctx).await?.kind.into())
    }

    /// Name of the queue.
    async fn queue(&self, ctx: &Context<'_>) -> Result<&str> {
        Ok(&self.record(ctx).await?.queue)
    }

    /// The priority, 0 to 9. 9 runs first. Default 4.
    async fn priority(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(i32::from(self.record(ctx).await?.priority))
    }

    /// The state of the job.
    async fn state(&self, ctx: &Context<'_>) -> Result<JobState> {
        Ok(self.record(ctx).await?.state.into())
    }

    /// Why the job is not running, exactly and as of now. Null when it is running or finished. A
    /// claim that finds a new reason records an event and a new version. A change of position or
    /// time alone does not.
    async fn waiting(&self, ctx: &Context<'_>) -> Option<Result<Waiting>> {
        match self.record(ctx).await {
            Ok(record) => Box::pin(Waiting::of(ctx, record)).await.transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The profile that the job runs on. Null when it has none, or when the profile has been
    /// deleted since the job finished.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        match self.record(ctx).await {
            Ok(record) => Profile::load(ctx, record.profile_id?).await.transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The proxy of the newest attempt or, before the first attempt, the proxy that the job or its
    /// command names. Null when there is none, when the profile has yet to choose one, or when the
    /// proxy has been deleted.
    async fn proxy(&self, ctx: &Context<'_>) -> Option<Result<Proxy>> {
        let find = async {
            let record = self.record(ctx).await?;
            let chosen = match record.attempt {
                0 => None,
                _ => JobContext::of(ctx)?.readers.newest_proxy(self.id).await?,
            };
            match chosen.or(record.proxy_id) {
                Some(id) => Proxy::load(ctx, id).await,
                None => Ok(None),
            }
        };
        find.await.transpose()
    }

    /// The services of the job in order: its own, its command's or its profile's, as of enqueuing.
    /// Deleted services are left out.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        let record = self.record(ctx).await?;
        Service::load_all(ctx, record.service_ids.clone()).await
    }

    /// The jobs that must succeed before this one starts, in the order of the input. Pruned jobs
    /// are left out.
    async fn depends_on(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<JobConnection> {
        Box::pin(list::needed_by(ctx, self.id, (first, after), (last, before))).await
    }

    /// Whether the job's command keeps its contents from the caller, who is a VIEWER: `input` is
    /// `"***"`, `composed` and messages are `***`, and there are no result, log and artifacts. That
    /// is so if the command is private now, or was when the job was enqueued.
    async fn is_kept_back(&self, ctx: &Context<'_>) -> Result<bool> {
        is_kept_back(ctx, self.id).await
    }

    /// The input, with the schema's defaults filled in. Properties that the schema marks
    /// `writeOnly` are encrypted at rest and shown as `***`. For a VIEWER `"***"` if the command is
    /// private.
    async fn input(&self, ctx: &Context<'_>) -> Result<JsonText> {
        if is_kept_back(ctx, self.id).await? {
            return Ok(JsonText::from(&KEPT_BACK.into()));
        }
        let input = payloads::input(ctx, self.id).await?;
        Ok(input.unwrap_or_else(|| JsonText::from(&serde_json::Value::Null)))
    }

    /// The labels, sorted and without duplicates, at most 20.
    async fn labels(&self, ctx: &Context<'_>) -> Result<&[String]> {
        Ok(&self.record(ctx).await?.labels)
    }

    /// The command as the newest attempt ran it or, before the first attempt, as it would run now,
    /// with secrets masked as `***`. The proxy is chosen when an attempt starts. If the command no
    /// longer composes because the catalogue has changed, only `display` is set and says why.
    async fn composed(&self, ctx: &Context<'_>) -> Result<ComposedCommand> {
        if is_kept_back(ctx, self.id).await? {
            return Ok(hidden_command(self.record(ctx).await?.kind).into());
        }
        let composed = Box::pin(Composed::of(ctx)?.newest_or_now(self.id)).await?;
        let composed = composed.ok_or_else(|| ApiError::new(Code::NotFound, "The job no longer exists."))?;
        Ok(composed.as_ref().clone().into())
    }

    /// The job's own policy, or its command's policy as of enqueuing.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Policy> {
        Ok(Policy::from(&self.record(ctx).await?.policy))
    }

    /// Number of attempts since the last jobRetry that count against `policy.maxAttempts`. Attempts
    /// that ended as LOST, RELEASED or THROTTLED do not count.
    async fn attempt_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.record(ctx).await?.counted)
    }

    /// The attempts of the job, oldest first. They are numbered from 1 across all retries and
    /// include uncounted attempts.
    async fn attempts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
    ) -> Result<AttemptConnection> {
        let newest = self.record(ctx).await?.attempt;
        Box::pin(attempt::list(ctx, self.id, newest, (first, after), (last, before))).await
    }

    /// Progress that the newest attempt reported. Null until it reports any.
    async fn progress(&self, ctx: &Context<'_>) -> Option<Result<Progress>> {
        let read = async {
            let Some(progress) = Progress::of(&self.record(ctx).await?.progress) else { return Ok(None) };
            let is_hidden = progress.message.is_some() && is_kept_back(ctx, self.id).await?;
            Ok(Some(if is_hidden { progress.without_message() } else { progress }))
        };
        read.await.transpose()
    }

    /// The result that the job returned. Null when it returned none or has not succeeded.
    async fn result(&self, ctx: &Context<'_>) -> Option<Result<JsonText>> {
        let read = async {
            if is_kept_back(ctx, self.id).await? {
                return Ok(None);
            }
            payloads::result(ctx, self.id).await
        };
        read.await.transpose()
    }

    /// Why the job failed, expired or was cancelled by a dependency. Null otherwise. Failures of
    /// retried attempts are found on the attempts.
    async fn failure(&self, ctx: &Context<'_>) -> Option<Result<Failure>> {
        let read = async {
            let Some(failure) = self.record(ctx).await?.failure.as_ref().map(Failure::from) else {
                return Ok(None);
            };
            let is_hidden = is_kept_back(ctx, self.id).await?;
            Ok(Some(if is_hidden { failure.without_message() } else { failure }))
        };
        read.await.transpose()
    }

    /// The files that the job's attempts made, in order of creation.
    async fn artifacts(&self, ctx: &Context<'_>) -> Result<Vec<Artifact>> {
        if is_kept_back(ctx, self.id).await? {
            return Ok(Vec::new());
        }
        let files = JobContext::of(ctx)?.readers.artifacts_of(self.id).await?;
        Ok(files.iter().flat_map(|files| files.iter()).cloned().map(Artifact::from).collect())
    }

    /// The log of all attempts, line by line, with secrets redacted. Cursors are interchangeable
    /// with those of the subscription jobLog. totalCount is exact, even with `search` and
    /// `attempt`.
    #[expect(clippy::too_many_arguments, reason = "the arguments are fixed by the contract")]
    async fn log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-1000, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items instead of the first (0-1000).")] last: Option<i32>,
        #[graphql(desc = "Returns only items before this cursor.")] before: Option<String>,
        #[graphql(desc = "Returns only lines from this sequence on.")] from_sequence: Option<i32>,
        #[graphql(desc = "Returns only lines of the attempt with this number.")] attempt: Option<i32>,
        #[graphql(
            desc = "Returns only lines that contain this text, ignoring case. At most 200 characters."
        )]
        search: Option<String>,
    ) -> Result<LogLineConnection> {
        if is_kept_back(ctx, self.id).await? {
            return Ok(LogLineConnection::new([], Bounds::default(), Some(0)));
        }
        let request = LogRequest { first, after, last, before, from_sequence, attempt, search };
        Box::pin(log::list(ctx, self.id, request)).await
    }

    /// The history of the job, in order. Cursors are interchangeable with those of the subscription
    /// jobEvents. Events older than the retention are pruned, so versions may start above 1.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first n items (0-100, default 25).")] first: Option<i32>,
        #[graphql(desc = "Returns only items after this cursor.")] after: Option<String>,
    ) -> Result<JobEventConnection> {
        Box::pin(event::list(ctx, self.id, first, after)).await
    }

    /// The schedule that enqueued the job. Null when no schedule did, or when it has been deleted.
    async fn schedule(&self, ctx: &Context<'_>) -> Option<Result<Schedule>> {
        match self.record(ctx).await {
            Ok(record) => Schedule::load(ctx, record.schedule?.0).await.transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The scheduled time that the job was enqueued for. Null when no schedule enqueued it, and
    /// when the schedule was run by hand with scheduleRunNow.
    async fn scheduled_for(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        let due = |record: &JobRecord| record.schedule?.1.map(DateTime);
        self.record(ctx).await.map(due).transpose()
    }

    /// The fairness key that groups the job for fair ordering. Null when its profile does.
    async fn fairness_key(&self, ctx: &Context<'_>) -> Option<Result<&str>> {
        self.record(ctx).await.map(|record| record.fairness_key.as_deref()).transpose()
    }

    /// The idempotency key that the job was enqueued with. Null when there was none.
    async fn idempotency_key(&self, ctx: &Context<'_>) -> Option<Result<&str>> {
        self.record(ctx).await.map(|record| record.idempotency_key.as_deref()).transpose()
    }

    /// Who enqueued the job: the name of the key, or of the schedule. Null for jobs from before
    /// this was recorded.
    async fn created_by(&self, ctx: &Context<'_>) -> Option<Result<&str>> {
        self.record(ctx).await.map(|record| record.created_by.as_deref()).transpose()
    }

    /// The earliest start time: as requested, or when the next attempt is due.
    async fn run_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.record(ctx).await?.run_at))
    }

    /// When the job was accepted.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.record(ctx).await?.created_at))
    }

    /// When the first attempt since the last jobRetry started. Null before it.
    async fn started_at(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        self.record(ctx).await.map(|record| shown(record.started_at)).transpose()
    }

    /// When the job finished. Null while it has not.
    async fn finished_at(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        self.record(ctx).await.map(|record| shown(record.finished_at)).transpose()
    }

    /// Increases by one with every change of the job.
    async fn version(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.record(ctx).await?.version)
    }
}
