//! Reads what claimed jobs are to run. On the hot path.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    ids::{CommandVersionId, JobId, ServiceId},
    policy::Policy,
    store::{Connection, StoreError, from_json},
};

/// What a worker needs of a job to run it.
#[derive(Debug, Clone)]
pub struct JobInputs {
    /// The job.
    pub job: JobId,
    /// The version of the command that it runs.
    pub version_id: CommandVersionId,
    /// Its services in order.
    pub service_ids: Vec<ServiceId>,
    /// The input, with `***` in place of its secrets.
    pub input: Value,
    /// The secrets of the input, sealed.
    pub input_sealed: Option<Vec<u8>>,
    /// Its own policy. `None` for the policy of the version.
    pub policy: Option<Policy>,
}

/// Loads the inputs of jobs, in any order.
#[tracing::instrument(name = "db.inputs.load", level = "debug", skip_all)]
pub async fn load(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<JobInputs>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT id, command_version_id, service_ids, input, input_sealed, policy FROM jobs WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(JobInputs {
                job: row.id.into(),
                version_id: row.command_version_id.into(),
                service_ids: row.service_ids.into_iter().map(ServiceId::from).collect(),
                input: row.input,
                input_sealed: row.input_sealed,
                policy: row.policy.map(|json| from_json("jobs", "policy", json)).transpose()?,
            })
        })
        .collect()
}
