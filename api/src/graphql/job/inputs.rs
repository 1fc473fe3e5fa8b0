//! The inputs of job mutations.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::{job::JobRequest, steps::enqueue::again::Changes};

use crate::graphql::{
    inputs::{id_of, ids_of, patch},
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

/// Input of jobEnqueueAgain. Absent fields are as the job has them, and null as if they were absent
/// from jobEnqueue. What the job depended on is not taken over.
#[derive(Debug, InputObject)]
pub struct JobEnqueueAgainInput {
    /// The id of the job to take the request from, in any state. The new job runs the current
    /// version of its command.
    pub id: ID,
    /// Replaces the whole input. A value of `***` that is a secret of the job keeps it, for the
    /// caller who enqueued the job and for an ADMIN. Others give it anew. The same holds for the
    /// secrets of an input that is absent. Null means `{}`.
    pub input: MaybeUndefined<Json>,
    /// As in JobEnqueueInput. Null uses the command's.
    pub profile_id: MaybeUndefined<ID>,
    /// As in JobEnqueueInput. Null uses that of the command, or the profile's own choice.
    pub proxy_id: MaybeUndefined<ID>,
    /// As in JobEnqueueInput. Null uses those of the command or of the profile. So does absent, if
    /// the job has what they give it.
    pub service_ids: MaybeUndefined<Vec<ID>>,
    /// As in JobEnqueueInput. Null uses the command's.
    pub queue: MaybeUndefined<String>,
    /// As in JobEnqueueInput. Null means 4.
    pub priority: MaybeUndefined<i32>,
    /// As in JobEnqueueInput. Null means now. Absent means now too, unless the job still waits for
    /// its own time.
    pub run_at: MaybeUndefined<DateTime>,
    /// Overrides parts of the command's policy, in place of all that the job overrides. Null
    /// overrides nothing.
    pub policy: MaybeUndefined<PolicyInput>,
    /// As in JobEnqueueInput. Null means none.
    pub labels: MaybeUndefined<Vec<String>>,
    /// As in JobEnqueueInput. Null means none.
    pub fairness_key: MaybeUndefined<String>,
    /// As in JobEnqueueInput, for the new job. That of the job is never taken over.
    pub idempotency_key: Option<String>,
}

impl From<JobEnqueueAgainInput> for Changes {
    fn from(input: JobEnqueueAgainInput) -> Self {
        Self {
            input: patch(input.input.map_value(|json| json.0)),
            profile: patch(input.profile_id.map_value(|id| id_of(&id))),
            proxy: patch(input.proxy_id.map_value(|id| id_of(&id))),
            services: patch(input.service_ids.map_value(|ids| ids_of(&ids))),
            queue: patch(input.queue),
            priority: patch(input.priority),
            run_at: patch(input.run_at.map_value(|time| time.0)),
            policy: patch(input.policy.map_value(Into::into)),
            labels: patch(input.labels),
            fairness_key: patch(input.fairness_key),
            idempotency_key: input.idempotency_key,
        }
    }
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

/// Input of jobDelete.
#[derive(Debug, InputObject)]
pub struct JobDeleteInput {
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
