//! The GraphQL type `Attempt` and its outcomes.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, Result};
use callboard::{
    duration::IsoDuration,
    ids::AttemptId,
    store::{StoreError, jobs::attempts::AttemptRecord},
};

use crate::{
    error::{ApiError, Code},
    graphql::{
        composed::ComposedCommand,
        job::{Composed, Failure, JobContext, hidden_command, is_kept_back},
        proxy::Proxy,
        scalars::{BigInt, DateTime, Duration},
        worker::{self, Worker},
    },
};

/// How an attempt ended. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AttemptOutcome {
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It exceeded the policy's timeout.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// Its worker vanished, which was detected by the lease. Does not count against maxAttempts.
    Lost,
    /// Its worker was drained or could not start it for reasons of its own. Does not count against
    /// maxAttempts.
    Released,
    /// A service rejected its requests for now, or its proxy could not be reached. Does not count
    /// against maxAttempts.
    Throttled,
}

impl AttemptOutcome {
    fn parse(text: &str) -> Result<Self, StoreError> {
        Ok(match text {
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "timed_out" => Self::TimedOut,
            "cancelled" => Self::Cancelled,
            "lost" => Self::Lost,
            "released" => Self::Released,
            "throttled" => Self::Throttled,
            other => return Err(StoreError::corrupt("attempts", "outcome", &other)),
        })
    }
}

/// The GraphQL object `Attempt`.
#[derive(Debug, Clone)]
pub struct Attempt(Arc<AttemptRecord>);

impl From<Arc<AttemptRecord>> for Attempt {
    fn from(record: Arc<AttemptRecord>) -> Self {
        Self(record)
    }
}

/// Loads an attempt by its id. Batched.
pub async fn load(ctx: &Context<'_>, id: AttemptId) -> Result<Option<Attempt>> {
    Ok(JobContext::of(ctx)?.readers.attempt(id).await?.map(Attempt))
}

/// One run of a job on one worker.
#[Object]
impl Attempt {
    /// The global id, `attempt_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// The number of the attempt, starting at 1 and counting all attempts of the job.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// How the attempt ended. Null while it runs.
    async fn outcome(&self) -> Option<Result<AttemptOutcome>> {
        let outcome = self.0.outcome.as_deref()?;
        Some(AttemptOutcome::parse(outcome).map_err(Into::into))
    }

    /// The worker that ran the attempt. Null once the worker's record has been pruned.
    async fn worker(&self, ctx: &Context<'_>) -> Option<Result<Worker>> {
        worker::load(ctx, self.0.worker).await.transpose()
    }

    /// The proxy that the attempt used. Null when there was none or it has been deleted.
    async fn proxy(&self, ctx: &Context<'_>) -> Option<Result<Proxy>> {
        Proxy::load(ctx, self.0.proxy?).await.transpose()
    }

    /// The command as it ran, with secrets masked as `***`. Until the worker reports it, and if it
    /// never does, the command as the job's next attempt would run it.
    async fn composed(&self, ctx: &Context<'_>) -> Result<ComposedCommand> {
        let readers = &JobContext::of(ctx)?.readers;
        if is_kept_back(ctx, self.0.job).await? {
            let record = readers.record(self.0.job).await?;
            let gone = || ApiError::new(Code::NotFound, "The attempt's job no longer exists.");
            return Ok(hidden_command(record.ok_or_else(gone)?.kind).into());
        }
        if let Some(composed) = readers.attempt_composed(self.0.id).await? {
            return Ok(composed.as_ref().clone().into());
        }
        let composed = Box::pin(Composed::of(ctx)?.now(self.0.job)).await?;
        let gone = || ApiError::new(Code::NotFound, "The attempt's job no longer exists.");
        Ok(composed.ok_or_else(gone)?.as_ref().clone().into())
    }

    /// When the job became ready for this attempt.
    async fn queued_at(&self) -> DateTime {
        DateTime(self.0.queued_at)
    }

    /// When the attempt started.
    async fn started_at(&self) -> DateTime {
        DateTime(self.0.started_at)
    }

    /// When the attempt finished. Null while it runs.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }

    /// Exit code of the process. Null while it runs, or when a signal ended it.
    async fn exit_code(&self) -> Option<i32> {
        self.0.exit.exit_code
    }

    /// Signal that ended the process, such as `SIGKILL`. Null when no signal did.
    async fn signal(&self) -> Option<&str> {
        self.0.exit.signal.as_deref()
    }

    /// Why the attempt failed. Null when it did not.
    async fn failure(&self, ctx: &Context<'_>) -> Option<Result<Failure>> {
        let failure = Failure::from(self.0.failure.as_ref()?);
        let is_hidden = is_kept_back(ctx, self.0.job).await;
        Some(is_hidden.map(|is_hidden| if is_hidden { failure.without_message() } else { failure }))
    }

    /// Peak resident memory of its largest process, in bytes. Null when unknown.
    async fn peak_memory_bytes(&self) -> Option<BigInt> {
        self.0.exit.peak_memory_bytes.map(BigInt)
    }

    /// CPU time of all its processes. Null when unknown.
    async fn cpu_time(&self) -> Option<Duration> {
        let millis = u64::try_from(self.0.exit.cpu_ms?).ok()?;
        Some(Duration(IsoDuration::from_millis(millis)))
    }
}
