//! Workers: the processes that run jobs.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject, Subscription};
use callboard::{
    command_kind::Kind,
    ids::WorkerId,
    steps::run::drain::drain,
    store::workers::{self, WorkerRecord},
};
use futures::{Stream, StreamExt as _};

use super::{
    command::CommandKind,
    inputs::id_of,
    job::JobContext,
    scalars::DateTime,
    user_error::{UserError, user_errors},
};
use crate::auth::{Caller, Role};

/// Whether a worker takes part. New states may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "workers::WorkerStatus")]
pub enum WorkerStatus {
    /// Takes jobs.
    Active,
    /// Takes nothing new, and ends when what it runs has ended.
    Draining,
    /// Its lease ran out; its jobs were given to others.
    Lost,
    /// Ended in good order.
    Gone,
}

/// See the object below.
#[derive(Debug, Clone)]
pub struct Worker(Arc<WorkerRecord>);

/// A worker by its id; batched.
pub async fn load(ctx: &Context<'_>, id: WorkerId) -> Result<Option<Worker>> {
    Ok(JobContext::of(ctx)?.readers.worker(id).await?.map(Worker))
}

/// One start of a process that runs jobs.
#[Object]
impl Worker {
    /// Global id, `worker_...`; a new one with every start.
    pub async fn id(&self) -> ID {
        ID(self.0.id.to_string())
    }

    /// Its machine.
    async fn hostname(&self) -> &str {
        &self.0.hostname
    }

    /// Its process id on that machine (or in its container).
    async fn process_id(&self) -> i32 {
        self.0.process_id
    }

    /// Version of Callboard.
    async fn software_version(&self) -> &str {
        &self.0.software_version
    }

    /// The queues that it serves.
    async fn queues(&self) -> &[String] {
        &self.0.queues
    }

    /// The kinds of commands that it can run.
    async fn kinds(&self) -> Vec<CommandKind> {
        self.0.kinds.iter().filter_map(|kind| Kind::parse(kind)).map(CommandKind::from).collect()
    }

    /// How many jobs it runs at a time.
    async fn concurrency(&self) -> i32 {
        self.0.concurrency
    }

    /// How many jobs it runs right now.
    async fn running(&self) -> i32 {
        i32::try_from(self.0.running).unwrap_or(i32::MAX)
    }

    /// Whether it takes part.
    async fn status(&self) -> WorkerStatus {
        self.0.status.into()
    }

    /// When it started.
    async fn started_at(&self) -> DateTime {
        DateTime(self.0.started_at)
    }

    /// When it last renewed its lease, every second as a rule.
    async fn heartbeat_at(&self) -> DateTime {
        DateTime(self.0.heartbeat_at)
    }
}

/// Which worker to drain.
#[derive(Debug, InputObject)]
pub struct WorkerDrainInput {
    /// Which.
    pub id: ID,
}

/// The answer to a change of a worker.
#[derive(Debug, Default, SimpleObject)]
pub struct WorkerPayload {
    /// As it is now; null when the change was refused.
    pub worker: Option<Worker>,
    /// Why it was refused; empty when it was made.
    pub user_errors: Vec<UserError>,
}

/// The mutations of workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct WorkerMutation;

#[Object]
impl WorkerMutation {
    /// Asks a worker to take nothing new, to let its jobs finish within its grace, to give the rest back (which costs them
    /// no attempt), and to end. Asking again changes nothing. Needs an ADMIN key.
    async fn worker_drain(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which worker.")] input: WorkerDrainInput,
    ) -> Result<WorkerPayload> {
        Caller::require(ctx, Role::Admin)?;
        let context = JobContext::of(ctx)?;
        let id = id_of(&input.id);
        match drain(&context.desk.store, id).await? {
            Ok(after) => {
                after.announce_soon(&context.redis);
                Ok(WorkerPayload { worker: load(ctx, id).await?, user_errors: Vec::new() })
            }
            Err(refusal) => {
                Ok(WorkerPayload { user_errors: user_errors([refusal]), ..WorkerPayload::default() })
            }
        }
    }
}

/// The query fields of workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct WorkerQuery;

#[Object]
impl WorkerQuery {
    /// The workers that take part, and those that were lost within the last hour; in order of their start.
    async fn workers(&self, ctx: &Context<'_>) -> Result<Vec<Worker>> {
        let mut connection = JobContext::of(ctx)?.desk.store.read().await?;
        let found = workers::list(&mut connection, None).await?;
        Ok(found.into_iter().map(|record| Worker(Arc::new(record))).collect())
    }
}

/// The subscriptions of workers.
#[derive(Debug, Default, Clone, Copy)]
pub struct WorkerSubscription;

#[Subscription]
impl WorkerSubscription {
    /// All workers, as in the query `workers`: at once, and whenever one comes, goes, is drained or lost, or takes or ends a job.
    /// A renewed lease (`heartbeatAt`) alone is not told.
    #[expect(clippy::unused_async, reason = "the macro takes no other functions")]
    async fn workers_changed(&self, ctx: &Context<'_>) -> Result<impl Stream<Item = Vec<Worker>> + use<>> {
        let boards = JobContext::of(ctx)?.feed.workers();
        Ok(boards.map(|workers| workers.iter().map(|record| Worker(Arc::new(record.clone()))).collect()))
    }
}
