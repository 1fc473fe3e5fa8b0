//! Reads for the defects of `mutant`.

use super::logs::Batch;
use crate::store::{Connection, StoreError};

/// The batches as if the attempts that hold the jobs now had sent them, for
/// `Mutant::LogWithoutFence`.
#[tracing::instrument(name = "db.mutants.unfenced", level = "debug", skip_all)]
pub async fn unfenced(connection: &mut Connection, batches: &[Batch]) -> Result<Vec<Batch>, StoreError> {
    let mut unfenced = batches.to_vec();
    for batch in &mut unfenced {
        let row = sqlx::query!(
            r#"SELECT attempt_id AS "attempt_id!", log_batch FROM live_jobs WHERE job_id = $1 AND attempt_id IS NOT NULL"#,
            batch.job.uuid()
        );
        if let Some(row) = row.fetch_optional(&mut *connection).await?
            && batch.attempt != row.attempt_id.into()
        {
            (batch.attempt, batch.number) = (row.attempt_id.into(), row.log_batch + 1);
        }
    }
    Ok(unfenced)
}
