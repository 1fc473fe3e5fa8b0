//! Workers: the GraphQL object for processes that run jobs, with its queries, mutation and
//! subscription.

use std::sync::Arc;

use super::{
    command::CommandKind,
    inputs::id_or_refusal,
    job::JobContext,
    payload::{refuse, settle},
    reads,
    scalars::DateTime,
    user_error::UserError,
};
use crate::{audit::by, repeat::Repeat};
use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject, Subscription};
use callboard::{
    command_kind::Kind,
    ids::WorkerId,
    steps::run::drain::drain,
    store::workers::{self, WorkerRecord},
};
use futures::{Stream, StreamExt as _};

/// Whether a worker takes jobs. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "workers::WorkerStatus")]
pub enum WorkerStatus {
    /// Takes jobs.
    Active,
    /// Takes no new jobs and exits once its running jobs have finished.
    Draining,
    /// Its lease expired, and its jobs were given to other workers.
    Lost,
    /// Exited in an orderly way.
    Gone,
}

/// The GraphQL object `Worker`.
#[derive(Debug, Clone)]
pub struct Worker(Arc<WorkerRecord>);

/// Loads a worker by its id. Batched.
pub async fn load(ctx: &Context<'_>, id: WorkerId) -> Result<Option<Worker>> {
    Ok(JobContext::of(ctx)?.readers.worker(id).await?.map(Worker))
}

/// A process that runs jobs. Every start of the process is a new worker.
#[Object]
impl Worker {
    /// The global id, `worker_...`. Every start gets a new one.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Name of the machine.
    async fn hostname(&self) -> &str {
        &self.0.hostname
    }

    /// Process id on that machine, or in its container.
    async fn process_id(&self) -> i32 {
        self.0.process_id
    }

    /// Version of Callboard.
    async fn software_version(&self) -> &str {
        &self.0.software_version
    }

    /// Names of the queues that the worker serves.
    async fn queues(&self) -> &[String] {
        &self.0.queues
    }

    /// The kinds of commands that the worker can run.
    async fn kinds(&self) -> Vec<CommandKind> {
        self.0.kinds.iter().filter_map(|kind| Kind::parse(kind)).map(CommandKind::from).collect()
    }

    /// Number of slots, which is the maximum number of jobs that run at once.
    async fn concurrency(&self) -> i32 {
        self.0.concurrency
    }

    /// Number of jobs that are running now.
    async fn running(&self) -> i32 {
        i32::try_from(self.0.running).unwrap_or(i32::MAX)
    }

    /// Whether the worker takes jobs.
    async fn status(&self) -> WorkerStatus {
        self.0.status.into()
    }

    /// When the worker started.
    async fn started_at(&self) -> DateTime {
        DateTime(self.0.started_at)
    }

    /// When the worker last renewed its lease. Usually every second.
    async fn heartbeat_at(&self) -> DateTime {
        DateTime(self.0.heartbeat_at)
    }
}

/// Input of workerDrain.
#[derive(Debug, InputObject)]
pub struct WorkerDrainInput {
    /// The id of the worker.
    pub id: ID,
}

/// Returned by workerDrain.
#[derive(Debug, Default, SimpleObject)]
pub struct WorkerPayload {
    /// The worker as it is now. Null when the input was refused.
    pub worker: Option<Worker>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// The mutations of workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct WorkerMutation;

#[Object]
impl WorkerMutation {
    /// Asks a worker to take no new jobs, let running jobs finish within its grace period, give the
    /// rest back (which does not count against maxAttempts) and exit. Asking again changes nothing.
    /// Requires an ADMIN key.
    async fn worker_drain(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The worker to drain.")] input: WorkerDrainInput,
    ) -> Result<WorkerPayload> {
        let context = JobContext::of(ctx)?;
        let id = match id_or_refusal(&input.id, "worker") {
            Ok(id) => id,
            Err(refusal) => {
                return Ok(WorkerPayload { user_errors: refuse(ctx, [refusal]), ..WorkerPayload::default() });
            }
        };
        let (done, user_errors) =
            settle(ctx, drain(&context.submit.store, id, &by(ctx, "workerDrain")).await)?;
        let Some(after) = done else {
            return Ok(WorkerPayload { user_errors, ..WorkerPayload::default() });
        };
        after.announce_soon(&context.redis);
        Ok(WorkerPayload { worker: load(ctx, id).await?, user_errors })
    }
}

/// The query fields of workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct WorkerQuery;

#[Object]
impl WorkerQuery {
    /// Returns the active and draining workers and those lost within the last hour, ordered by
    /// start.
    async fn workers(&self, ctx: &Context<'_>) -> Result<Vec<Worker>> {
        let mut connection = reads::connection(ctx).await?;
        let found = workers::list(&mut connection, None).await?;
        Ok(found.into_iter().map(|record| Worker(Arc::new(record))).collect())
    }
}

/// The subscriptions of workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct WorkerSubscription;

#[Subscription]
impl WorkerSubscription {
    /// All workers, as in the query `workers`. Sent at once and whenever a worker starts, exits, is
    /// drained or lost, or starts or finishes a job. A renewed lease (`heartbeatAt`) alone sends
    /// nothing.
    #[expect(clippy::unused_async, reason = "the macro accepts only async functions")]
    async fn workers_changed(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Vec<Worker>> + use<>> {
        let boards = JobContext::of(ctx)?.feed.workers();
        let boards = Repeat::each(ctx, boards);
        Ok(boards.map(|workers| workers.iter().map(|record| Worker(Arc::new(record.clone()))).collect()))
    }
}
