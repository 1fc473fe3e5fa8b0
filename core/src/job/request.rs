//! What a caller, or a schedule, asks for when it enqueues a job.

use serde_json::Value;

use crate::{
    audit::By,
    clock::Time,
    compose::SecretInputs,
    ids::{CommandId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId},
    patch::PolicyPatch,
};

/// A request for one job. What it leaves out comes from the command or the profile.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// What to run.
    pub command: CommandId,
    /// Overrides the command's profile.
    pub profile: Option<ProfileId>,
    /// Overrides the command's proxy and the profile's own choice.
    pub proxy: Option<ProxyId>,
    /// Overrides the services of the command or the profile.
    pub services: Option<Vec<ServiceId>>,
    /// Must match the command's schema.
    pub input: Option<Value>,
    /// Overrides the command's queue.
    pub queue: Option<String>,
    /// 0 to 9, where 9 runs first.
    pub priority: Option<i32>,
    /// Earliest start.
    pub run_at: Option<Time>,
    /// Overrides parts of the command's policy.
    pub policy: Option<PolicyPatch>,
    /// The job's labels.
    pub labels: Vec<String>,
    /// Puts the job into the lane of this key instead of its profile's.
    pub fairness_key: Option<String>,
    /// Makes a repeated request return the job that it created before.
    pub idempotency_key: Option<String>,
    /// Jobs that must succeed first.
    pub depends_on: Vec<JobId>,
    /// Who enqueues the job. `None` in tests, and in the template of a schedule.
    pub by: Option<By>,
    /// The schedule that enqueues the job, and the time that fired: `None` when it is run by hand.
    pub schedule: Option<(ScheduleId, Option<Time>)>,
    /// Secret parts of a schedule's stored input. The job is refused if the command's schema no
    /// longer marks them secret.
    pub kept_secret: SecretInputs,
}

impl JobRequest {
    /// A request that leaves everything to the command.
    pub fn new(command: CommandId) -> Self {
        Self {
            command,
            profile: None,
            proxy: None,
            services: None,
            input: None,
            queue: None,
            priority: None,
            run_at: None,
            policy: None,
            labels: Vec::new(),
            fairness_key: None,
            idempotency_key: None,
            depends_on: Vec::new(),
            by: None,
            schedule: None,
            kept_secret: SecretInputs::default(),
        }
    }
}
