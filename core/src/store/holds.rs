//! What running jobs occupy: which gates they are behind.
//!
//! Called by `steps::claim`, under the gates' locks, and by the API. Holds are given back by `live::save`, in the statement that
//! ends the attempt.

use uuid::Uuid;

use super::{Connection, StoreError};
use crate::{ids::JobId, limit::GateKey};

/// A running job behind a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which gate.
    pub key: GateKey,
    /// Which job.
    pub job: JobId,
}

/// Writes holds. Their gates must be locked.
pub async fn take(connection: &mut Connection, holds: &[Hold]) -> Result<(), StoreError> {
    let (jobs, keys): (Vec<Uuid>, Vec<String>) =
        holds.iter().map(|hold| (hold.job.uuid(), hold.key.to_string())).unzip();
    sqlx::query!(
        "INSERT INTO holds (job_id, key) SELECT * FROM unnest($1::uuid[], $2::text[])",
        &jobs,
        &keys
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// One of the jobs behind each of these gates.
pub async fn held(connection: &mut Connection, keys: &[GateKey]) -> Result<Vec<Hold>, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (key) key, job_id FROM holds WHERE key = ANY($1) ORDER BY key, job_id",
        &keys
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let key = row.key.parse().map_err(|_| StoreError::corrupt("holds", "key", &row.key))?;
            Ok(Hold { key, job: row.job_id.into() })
        })
        .collect()
}
