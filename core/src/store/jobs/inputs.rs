//! What claimed jobs are to run, in batches. Called by `steps::claim` after the grant; read on the hot path.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    ids::{CommandVersionId, JobId, ServiceId},
    policy::Policy,
    store::{Connection, StoreError, from_json},
};

/// The record of a job, as far as running it goes.
#[derive(Debug, Clone)]
pub struct JobInputs {
    /// The job.
    pub job: JobId,
    /// What it runs.
    pub version_id: CommandVersionId,
    /// Services in order.
    pub service_ids: Vec<ServiceId>,
    /// The input, `***` in the places of its secrets.
    pub input: Value,
    /// The secrets of the input, sealed.
    pub input_sealed: Option<Vec<u8>>,
    /// Null: the version's own.
    pub policy: Option<Policy>,
}

/// Loads the tasks of jobs, in any order.
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
