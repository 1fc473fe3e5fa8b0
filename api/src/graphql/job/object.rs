//! The type `Job`.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, Result};
use callboard::{clock::Time, ids::JobId, store::jobs::records::JobRecord};
use futures::future::try_join_all;
use tokio::sync::OnceCell;

use super::{Failure, JobContext, JobEventConnection, JobState, Progress, Waiting, event};
use crate::{
    error::{ApiError, Code},
    graphql::{
        artifact::Artifact,
        attempt::{self, AttemptConnection},
        command::{Command, CommandKind},
        composed::ComposedCommand,
        limits::page_cost,
        log::{self, LogLineConnection, LogRequest},
        policy::Policy,
        profile::Profile,
        proxy::Proxy,
        scalars::{DateTime, Json},
        schedule::Schedule,
        service::Service,
    },
};

/// See the object below. The record is read when the first field asks for it, together with those of all other jobs
/// of the answer; all fields of one object show the same version.
#[derive(Debug)]
pub struct Job {
    id: JobId,
    record: OnceCell<Arc<JobRecord>>,
}

/// A job by its id; batched.
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
            let gone =
                || ApiError::new(Code::NotFound, format!("The job {} is not there any more.", self.id));
            found.ok_or_else(|| gone().into())
        };
        self.record.get_or_try_init(read).await.map(|record| &**record)
    }
}

fn shown(time: Option<Time>) -> Option<DateTime> {
    time.map(DateTime)
}

/// One piece of work: a command, composed with a profile, a proxy, services and input, and what became of it.
#[Object]
impl Job {
    /// Global id, `job_...`. Ids sort by the time of enqueuing.
    pub async fn id(&self) -> ID {
        ID(self.id.to_string())
    }

    /// The command that it was enqueued with, as that is now; null when it has been deleted. The job keeps what it runs.
    async fn command(&self, ctx: &Context<'_>) -> Option<Result<Command>> {
        let record = match self.record(ctx).await {
            Ok(record) => record,
            Err(error) => return Some(Err(error)),
        };
        Command::load(ctx, record.command_id).await.transpose()
    }

    /// What kind of command it runs.
    async fn kind(&self, ctx: &Context<'_>) -> Result<CommandKind> {
        Ok(self.record(ctx).await?.kind.into())
    }

    /// Its queue.
    async fn queue(&self, ctx: &Context<'_>) -> Result<&str> {
        Ok(&self.record(ctx).await?.queue)
    }

    /// 0 to 9; 9 runs first. Default 4.
    async fn priority(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(i32::from(self.record(ctx).await?.priority))
    }

    /// Where it stands.
    async fn state(&self, ctx: &Context<'_>) -> Result<JobState> {
        Ok(self.record(ctx).await?.state.into())
    }

    /// Why it is not running, exactly, as of now; null when it runs or has ended. A new reason is an event and a new version
    /// when a claim finds it; a moving position or time is not.
    async fn waiting(&self, ctx: &Context<'_>) -> Option<Result<Waiting>> {
        match self.record(ctx).await {
            Ok(record) => Waiting::of(ctx, record).await.transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The profile that it runs on; null when it has none, or when the profile has been deleted since the job ended.
    async fn profile(&self, ctx: &Context<'_>) -> Option<Result<Profile>> {
        match self.record(ctx).await {
            Ok(record) => Profile::load(ctx, record.profile_id?).await.transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The proxy of the newest attempt or, before the first, the one that the job or its command names. Null when there is
    /// none, when the profile is yet to choose, or when the proxy has been deleted.
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

    /// Its services in order: its own, its command's or its profile's, as of enqueuing. Those deleted since are left out.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<Service>> {
        let record = self.record(ctx).await?;
        Service::load_all(ctx, record.service_ids.clone()).await
    }

    /// The jobs that must succeed before it starts, in the order in which they were given; those pruned since are left out.
    async fn depends_on(&self, ctx: &Context<'_>) -> Result<Vec<Self>> {
        let Some(needs) = JobContext::of(ctx)?.readers.needs_of(self.id).await? else {
            return Ok(Vec::new());
        };
        let found = try_join_all(needs.iter().map(|job| load(ctx, *job))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The input, with the schema's defaults filled in. What the schema marks `writeOnly` is encrypted at rest and shown as
    /// `***`.
    async fn input(&self, ctx: &Context<'_>) -> Result<Json> {
        let input = JobContext::of(ctx)?.readers.input(self.id).await?;
        Ok(Json(input.map_or(serde_json::Value::Null, |input| input.public.clone())))
    }

    /// Sorted, each once; at most 20.
    async fn labels(&self, ctx: &Context<'_>) -> Result<&[String]> {
        Ok(&self.record(ctx).await?.labels)
    }

    /// As the newest attempt ran it or, before the first, as it would run now; secrets masked as `***`. The proxy is chosen
    /// when an attempt starts. When the catalogue has changed so that it does not compose any more, `display` says why and
    /// there is nothing else in it.
    async fn composed(&self, ctx: &Context<'_>) -> Result<ComposedCommand> {
        let composed = JobContext::of(ctx)?.readers.composed(self.id).await?;
        let composed =
            composed.ok_or_else(|| ApiError::new(Code::NotFound, "The job is not there any more."))?;
        Ok(composed.as_ref().clone().into())
    }

    /// Its own policy, or that of its command as of enqueuing.
    async fn policy(&self, ctx: &Context<'_>) -> Result<Policy> {
        Ok(Policy::from(&self.record(ctx).await?.policy))
    }

    /// Attempts that count against `policy.maxAttempts`, since the last jobRetry. Those that ended LOST, RELEASED or THROTTLED do not.
    async fn attempt_count(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.record(ctx).await?.counted)
    }

    /// Its attempts, numbered from 1 through all retries, the uncounted ones included; newest last.
    #[graphql(complexity = "page_cost(first, last, child_complexity)")]
    async fn attempts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, instead of the first: 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only before this cursor.")] before: Option<String>,
    ) -> Result<AttemptConnection> {
        let newest = self.record(ctx).await?.attempt;
        attempt::list(ctx, self.id, newest, (first, after), (last, before)).await
    }

    /// How far the newest attempt says it is; null until it says something.
    async fn progress(&self, ctx: &Context<'_>) -> Option<Result<Progress>> {
        self.record(ctx).await.map(|record| Progress::of(&record.progress)).transpose()
    }

    /// What it returned; null when it returned nothing or has not ended well.
    async fn result(&self, ctx: &Context<'_>) -> Option<Result<Json>> {
        let read = async { JobContext::of(ctx)?.readers.result(self.id).await };
        read.await.map(|result| result.map(|value| Json(value.as_ref().clone()))).transpose()
    }

    /// Why it failed, or that it expired; null otherwise. Failures of attempts that were retried are theirs.
    async fn failure(&self, ctx: &Context<'_>) -> Option<Result<Failure>> {
        self.record(ctx).await.map(|record| record.failure.as_ref().map(Failure::from)).transpose()
    }

    /// The files that its attempts made, in order of making.
    async fn artifacts(&self, ctx: &Context<'_>) -> Result<Vec<Artifact>> {
        let files = JobContext::of(ctx)?.readers.artifacts_of(self.id).await?;
        Ok(files.iter().flat_map(|files| files.iter()).cloned().map(Artifact::from).collect())
    }

    /// What its attempts wrote, line by line, secrets redacted. Its cursors and those of the subscription jobLog are the
    /// same. totalCount is exact, with `search` and `attempt` too.
    #[graphql(complexity = "log::cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "the arguments of the field, as the contract has them")]
    async fn log(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 1000, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, instead of the first: 0 to 1000.")] last: Option<i32>,
        #[graphql(desc = "Only before this cursor.")] before: Option<String>,
        #[graphql(desc = "Only lines from this sequence on.")] from_sequence: Option<i32>,
        #[graphql(desc = "Only lines of the attempt with this number.")] attempt: Option<i32>,
        #[graphql(desc = "Only lines that contain this, in whichever case; at most 200 characters.")]
        search: Option<String>,
    ) -> Result<LogLineConnection> {
        let request = LogRequest { first, after, last, before, from_sequence, attempt, search };
        log::list(ctx, self.id, request).await
    }

    /// What happened to it, in order. The cursors are those of the subscription jobEvents. Events older than the
    /// retention are gone, and the versions begin later.
    #[graphql(complexity = "page_cost(first, None, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many: 0 to 100, default 25.")] first: Option<i32>,
        #[graphql(desc = "Only after this cursor.")] after: Option<String>,
    ) -> Result<JobEventConnection> {
        event::list(ctx, self.id, first, after).await
    }

    /// The schedule that enqueued it; null when none did, or when it has been deleted.
    async fn schedule(&self, ctx: &Context<'_>) -> Option<Result<Schedule>> {
        match self.record(ctx).await {
            Ok(record) => Schedule::load(ctx, record.schedule?.0).await.transpose(),
            Err(error) => Some(Err(error)),
        }
    }

    /// The time of its schedule that it was enqueued for; null when no schedule enqueued it.
    async fn scheduled_for(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        let due = |record: &JobRecord| record.schedule.map(|(_, due)| DateTime(due));
        self.record(ctx).await.map(due).transpose()
    }

    /// Whose turn it counts as, instead of its profile's.
    async fn fairness_key(&self, ctx: &Context<'_>) -> Option<Result<&str>> {
        self.record(ctx).await.map(|record| record.fairness_key.as_deref()).transpose()
    }

    /// The key that makes enqueuing it again harmless.
    async fn idempotency_key(&self, ctx: &Context<'_>) -> Option<Result<&str>> {
        self.record(ctx).await.map(|record| record.idempotency_key.as_deref()).transpose()
    }

    /// Not before this: as asked, or the next attempt's time.
    async fn run_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.record(ctx).await?.run_at))
    }

    /// When it was accepted.
    async fn created_at(&self, ctx: &Context<'_>) -> Result<DateTime> {
        Ok(DateTime(self.record(ctx).await?.created_at))
    }

    /// When its first attempt since the last jobRetry started.
    async fn started_at(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        self.record(ctx).await.map(|record| shown(record.started_at)).transpose()
    }

    /// When it ended; null while it has not.
    async fn finished_at(&self, ctx: &Context<'_>) -> Option<Result<DateTime>> {
        self.record(ctx).await.map(|record| shown(record.finished_at)).transpose()
    }

    /// Rises by one with every change of this job.
    async fn version(&self, ctx: &Context<'_>) -> Result<i32> {
        Ok(self.record(ctx).await?.version)
    }
}
