//! Records of the files that attempts produced.

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{ArtifactId, AttemptId, JobId},
    store::{Connection, StoreError, columns::storable},
};

/// A file below the artifact root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRecord {
    /// Its id.
    pub id: ArtifactId,
    /// The job.
    pub job: JobId,
    /// The attempt that produced it.
    pub attempt_id: AttemptId,
    /// That attempt's number.
    pub attempt: i32,
    /// Unique within the attempt.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Size in bytes.
    pub size_bytes: i64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Whether its secrets were masked, because all of it is text. `None` of a worker that did not
    /// say so.
    pub is_redacted: Option<bool>,
    /// Its path below the artifact root, with `/`.
    pub path: String,
    /// When it was stored.
    pub created_at: Time,
    /// When the file was deleted from disk, if it was.
    pub pruned_at: Option<Time>,
}

/// Stores the record of a file. Returns false if the attempt no longer holds the job, or has
/// another file of this name. Repeating it changes nothing.
#[tracing::instrument(name = "db.artifacts.keep", level = "debug", skip_all)]
pub async fn keep(connection: &mut Connection, artifact: &ArtifactRecord) -> Result<bool, StoreError> {
    let stored = sqlx::query!(
        "INSERT INTO artifacts (id, job_id, attempt_id, attempt, name, content_type, size_bytes, sha256, path,
             is_redacted, created_at)
         SELECT $1, job_id, attempt_id, attempt, $4, $5, $6, $7, $8, $9, clock_timestamp() FROM live_jobs
         WHERE job_id = $2 AND attempt_id = $3 FOR KEY SHARE
         ON CONFLICT (attempt_id, name) DO UPDATE SET id = artifacts.id WHERE artifacts.id = excluded.id",
        artifact.id.uuid(),
        artifact.job.uuid(),
        artifact.attempt_id.uuid(),
        storable(&artifact.name),
        storable(&artifact.content_type),
        artifact.size_bytes,
        &artifact.sha256,
        storable(&artifact.path),
        artifact.is_redacted,
    )
    .execute(connection)
    .await?;
    Ok(stored.rows_affected() == 1)
}

struct Row {
    id: Uuid,
    job_id: Uuid,
    attempt_id: Uuid,
    attempt: i32,
    name: String,
    content_type: String,
    size_bytes: i64,
    sha256: Vec<u8>,
    path: String,
    is_redacted: Option<bool>,
    created_at: Time,
    pruned_at: Option<Time>,
}

impl Row {
    fn read(self) -> Result<ArtifactRecord, StoreError> {
        let sha256 = self.sha256.as_slice().try_into();
        Ok(ArtifactRecord {
            id: self.id.into(),
            job: self.job_id.into(),
            attempt_id: self.attempt_id.into(),
            attempt: self.attempt,
            name: self.name,
            content_type: self.content_type,
            size_bytes: self.size_bytes,
            sha256: sha256.map_err(|_| StoreError::corrupt("artifacts", "sha256", &self.id))?,
            path: self.path,
            is_redacted: self.is_redacted,
            created_at: self.created_at,
            pruned_at: self.pruned_at,
        })
    }
}

/// A statement that returns artifacts. Its part is what comes after the table.
macro_rules! artifact_rows {
    ($after:literal, $argument:expr) => {
        sqlx::query_as!(
            Row,
            "SELECT id, job_id, attempt_id, attempt, name, content_type, size_bytes, sha256, path,
                 is_redacted, created_at, pruned_at
             FROM artifacts "
                + $after,
            $argument
        )
    };
}

/// The files of jobs, in order of id.
#[tracing::instrument(name = "db.artifacts.of_jobs", level = "debug", skip_all)]
pub async fn of_jobs(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<ArtifactRecord>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = artifact_rows!("WHERE job_id = ANY($1) ORDER BY id", &ids);
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// Loads files by id, in any order.
#[tracing::instrument(name = "db.artifacts.by_ids", level = "debug", skip_all)]
pub async fn by_ids(
    connection: &mut Connection,
    ids: &[ArtifactId],
) -> Result<Vec<ArtifactRecord>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = artifact_rows!("WHERE id = ANY($1)", &ids);
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// Loads a file by id.
#[tracing::instrument(name = "db.artifacts.by_id", level = "debug", skip_all)]
pub async fn by_id(
    connection: &mut Connection,
    id: ArtifactId,
) -> Result<Option<ArtifactRecord>, StoreError> {
    let row = artifact_rows!("WHERE id = $1", id.uuid());
    row.fetch_optional(connection).await?.map(Row::read).transpose()
}
