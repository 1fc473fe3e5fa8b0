//! What mutations of jobs take.

use async_graphql::{ID, InputObject};
use callboard::steps::enqueue::submit::Order;

use crate::graphql::{
    inputs::{id_of, ids_of},
    policy::PolicyInput,
    scalars::{DateTime, Json},
};

/// A job to enqueue.
#[derive(Debug, InputObject)]
pub struct JobEnqueueInput {
    /// What to run. The job keeps the command as it is now, whatever happens to it later.
    pub command_id: ID,
    /// The profile to run on; absent or null: the command's, if it has one.
    pub profile_id: Option<ID>,
    /// Overrides the command's proxy and the profile's own choice; absent or null leaves the choice to them.
    pub proxy_id: Option<ID>,
    /// Overrides the services of the command and of the profile, each once; absent or null: theirs, `[]`: none.
    pub service_ids: Option<Vec<ID>>,
    /// Must fit the command's inputSchema: an object of at most 256 KiB. Absent or null: `{}`. What the schema marks
    /// `writeOnly` is encrypted at rest and shown as `***`.
    pub input: Option<Json>,
    /// Overrides the command's queue.
    pub queue: Option<String>,
    /// 0 to 9; 9 runs first. Default 4.
    pub priority: Option<i32>,
    /// Not before this; absent, null or past: at once.
    pub run_at: Option<DateTime>,
    /// Overrides parts of the command's policy.
    pub policy: Option<PolicyInput>,
    /// Whose turn the job counts as, instead of its profile's: 1 to 255 bytes. Of one queue and priority, each fairness key, and each
    /// profile of jobs without one, has one job started after the other, however many jobs others have enqueued.
    pub fairness_key: Option<String>,
    /// At most 20, each 1 to 60 characters.
    pub labels: Option<Vec<String>>,
    /// 1 to 255 bytes. The same key with the same input again answers the job that exists; with other input,
    /// IDEMPOTENCY_CONFLICT. Kept as long as the job.
    pub idempotency_key: Option<String>,
    /// Jobs that must succeed first, each once, at most 10,000. Until then the job is BLOCKED; when one of them fails or is
    /// cancelled, it is CANCELLED with the failure DEPENDENCY.
    pub depends_on: Option<Vec<ID>>,
}

/// Jobs to enqueue together.
#[derive(Debug, InputObject)]
pub struct JobsEnqueueInput {
    /// 1 to 1000; all or nothing.
    pub jobs: Vec<JobEnqueueInput>,
}

/// Which job to cancel.
#[derive(Debug, InputObject)]
pub struct JobCancelInput {
    /// Which.
    pub id: ID,
    /// Why, for its history; at most 500 characters.
    pub reason: Option<String>,
}

/// Which job to run again.
#[derive(Debug, InputObject)]
pub struct JobRetryInput {
    /// Which. It must have ended.
    pub id: ID,
}

impl From<JobEnqueueInput> for Order {
    fn from(input: JobEnqueueInput) -> Self {
        Self {
            command: Some(id_of(&input.command_id)),
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
            ..Self::default()
        }
    }
}
