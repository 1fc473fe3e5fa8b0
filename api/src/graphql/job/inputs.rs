//! The inputs of job mutations.

use async_graphql::{ID, InputObject};
use callboard::job::JobRequest;

use crate::graphql::{
    inputs::{id_of, ids_of},
    policy::PolicyInput,
    scalars::{DateTime, Json},
};

/// Input of jobEnqueue.
#[derive(Debug, InputObject)]
pub struct JobEnqueueInput {
    /// The command to run. The job keeps the command's current version, whatever happens to it
    /// later.
    pub command_id: ID,
    /// Overrides the command's profile. Absent or null uses the command's.
    pub profile_id: Option<ID>,
    /// Overrides the command's proxy and the profile's own choice. Absent or null uses theirs.
    pub proxy_id: Option<ID>,
    /// Overrides the services of the command and of the profile, at most 100, without duplicates.
    /// Absent or null uses theirs, `[]` uses none.
    pub service_ids: Option<Vec<ID>>,
    /// The job's input: an object of at most 262144 bytes that matches the command's inputSchema.
    /// Absent or null means `{}`. Properties that the schema marks `writeOnly` are encrypted at
    /// rest and shown as `***`.
    pub input: Option<Json>,
    /// Overrides the command's queue.
    pub queue: Option<String>,
    /// The priority, 0 to 9. 9 runs first. Default 4.
    pub priority: Option<i32>,
    /// The earliest start time. Absent, null or in the past means now.
    pub run_at: Option<DateTime>,
    /// Overrides parts of the command's policy.
    pub policy: Option<PolicyInput>,
    /// Groups the job for fair ordering, instead of its profile: 1 to 255 bytes. Within a queue and
    /// priority, fairness keys (and profiles of jobs without one) take turns to start one job each,
    /// however many jobs the others have enqueued.
    pub fairness_key: Option<String>,
    /// At most 20 labels, each 1 to 60 characters.
    pub labels: Option<Vec<String>>,
    /// A key of 1 to 255 bytes that makes enqueuing repeatable. The same key with the same request
    /// returns the existing job, also when the request would be refused by now. Absent values and
    /// their defaults are the same, and secrets are not compared. With a different request it is
    /// refused with IDEMPOTENCY_CONFLICT. Kept as long as the job.
    pub idempotency_key: Option<String>,
    /// Jobs that must succeed first, without duplicates, at most 10000. Until then the job is
    /// BLOCKED. If one of them fails or is cancelled, the job is CANCELLED with the failure
    /// DEPENDENCY.
    pub depends_on: Option<Vec<ID>>,
}

/// Input of jobsEnqueue.
#[derive(Debug, InputObject)]
pub struct JobsEnqueueInput {
    /// 1 to 1000 jobs. Either all are enqueued or none.
    pub jobs: Vec<JobEnqueueInput>,
}

/// Input of jobCancel.
#[derive(Debug, InputObject)]
pub struct JobCancelInput {
    /// The id of the job.
    pub id: ID,
    /// The reason, recorded in the job's history. At most 500 characters.
    pub reason: Option<String>,
}

/// Input of jobRetry.
#[derive(Debug, InputObject)]
pub struct JobRetryInput {
    /// The id of the job. The job must be finished.
    pub id: ID,
}

/// Input of jobRunNow.
#[derive(Debug, InputObject)]
pub struct JobRunNowInput {
    /// The id of the job. The job must be SCHEDULED.
    pub id: ID,
}

impl From<JobEnqueueInput> for JobRequest {
    fn from(input: JobEnqueueInput) -> Self {
        Self {
            profile: input.profile_id.as_ref().map(id_of),
            proxy: input.proxy_id.as_ref().map(id_of),
            services: input.service_ids.map(|ids| ids_of(&ids)),
            input: input.input.map(|json| json.0),
            queue: input.queue,
            priority: input.priority,
            run_at: input.run_at.map(|time| time.0),
            policy: input.policy.map(Into::into),
            labels: input.labels.unwrap_or_default(),
            fairness_key: input.fairness_key,
            idempotency_key: input.idempotency_key,
            depends_on: input.depends_on.map(|ids| ids_of(&ids)).unwrap_or_default(),
            ..Self::new(id_of(&input.command_id))
        }
    }
}
