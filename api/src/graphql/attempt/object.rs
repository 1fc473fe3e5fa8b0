//! The type `Attempt`.

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
        job::{Failure, JobContext},
        proxy::Proxy,
        scalars::{BigInt, DateTime, Duration},
        worker::{self, Worker},
    },
};

/// How an attempt ended. New outcomes may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum AttemptOutcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// It took longer than the policy's timeout.
    TimedOut,
    /// A cancel reached it.
    Cancelled,
    /// Its worker vanished; found by the lease. Does not count against maxAttempts.
    Lost,
    /// Its worker was drained, or could not start it for reasons of its own. Does not count against maxAttempts.
    Released,
    /// A service that it called said "not now". Does not count against maxAttempts.
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

/// See the object below.
#[derive(Debug, Clone)]
pub struct Attempt(Arc<AttemptRecord>);

impl From<AttemptRecord> for Attempt {
    fn from(record: AttemptRecord) -> Self {
        Self(Arc::new(record))
    }
}

/// An attempt by its id; batched.
pub async fn load(ctx: &Context<'_>, id: AttemptId) -> Result<Option<Attempt>> {
    Ok(JobContext::of(ctx)?.readers.attempt(id).await?.map(Attempt))
}

/// One run of a job on one worker.
#[Object]
impl Attempt {
    /// Global id, `attempt_...`.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// From 1 through all attempts of the job.
    async fn number(&self) -> i32 {
        self.0.number
    }

    /// How it ended; null while it runs.
    async fn outcome(&self) -> Option<Result<AttemptOutcome>> {
        let outcome = self.0.outcome.as_deref()?;
        Some(AttemptOutcome::parse(outcome).map_err(Into::into))
    }

    /// Who ran it; null once the worker's record is pruned.
    async fn worker(&self, ctx: &Context<'_>) -> Option<Result<Worker>> {
        worker::load(ctx, self.0.worker).await.transpose()
    }

    /// The proxy that was chosen; null when there was none, or when it has been deleted.
    async fn proxy(&self, ctx: &Context<'_>) -> Option<Result<Proxy>> {
        Proxy::load(ctx, self.0.proxy?).await.transpose()
    }

    /// The command as it ran, secrets masked as `***`. Until the worker has told, and where it never did, as the job's next
    /// attempt would run.
    async fn composed(&self, ctx: &Context<'_>) -> Result<ComposedCommand> {
        if let Some(composed) = &self.0.composed {
            return Ok(composed.clone().into());
        }
        let composed = JobContext::of(ctx)?.readers.composed_now(self.0.job).await?;
        let gone = || ApiError::new(Code::NotFound, "The job of the attempt is not there any more.");
        Ok(composed.ok_or_else(gone)?.as_ref().clone().into())
    }

    /// Since when the job was ready.
    async fn queued_at(&self) -> DateTime {
        DateTime(self.0.queued_at)
    }

    /// When it began.
    async fn started_at(&self) -> DateTime {
        DateTime(self.0.started_at)
    }

    /// When it ended; null while it runs.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(DateTime)
    }

    /// The exit code of its process; null while it runs, or when a signal ended it.
    async fn exit_code(&self) -> Option<i32> {
        self.0.exit.exit_code
    }

    /// The signal that ended its process, e.g. `SIGKILL`; null when it ended by itself.
    async fn signal(&self) -> Option<&str> {
        self.0.exit.signal.as_deref()
    }

    /// Why it failed; null when it did not.
    async fn failure(&self) -> Option<Failure> {
        self.0.failure.as_ref().map(Failure::from)
    }

    /// Highest resident memory of the largest of its processes, in bytes; null where it is not known.
    async fn peak_memory_bytes(&self) -> Option<BigInt> {
        self.0.exit.peak_memory_bytes.map(BigInt)
    }

    /// Processor time of all its processes; null where it is not known.
    async fn cpu_time(&self) -> Option<Duration> {
        let millis = u64::try_from(self.0.exit.cpu_ms?).ok()?;
        Some(Duration(IsoDuration::from_millis(millis)))
    }
}
