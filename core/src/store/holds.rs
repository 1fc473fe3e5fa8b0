//! What running jobs occupy alone, and the jobs that are parked until it is free.
//!
//! Called by `steps::claim` (taking) and by the steps that end attempts (waking). The lock that orders them is the
//! row of the limiting object, taken after the jobs' rows: here, the profile.

use uuid::Uuid;

use super::{Connection, StoreError};
use crate::{
    clock::Time,
    ids::{JobId, ProfileId},
};

/// The key of a profile: one running job at a time.
pub fn profile_key(profile: ProfileId) -> String {
    format!("profile:{}", profile.uuid())
}

/// A hold that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub key: String,
    /// By which job.
    pub job: JobId,
}

/// Locks profiles in order of id, so that taking and giving back their holds happens one after the other. Answers the
/// database's time once all locks were held; null when there is none of them.
pub async fn lock_profiles(
    connection: &mut Connection,
    profiles: &[ProfileId],
) -> Result<Option<Time>, StoreError> {
    let ids: Vec<Uuid> = profiles.iter().map(|profile| profile.uuid()).collect();
    let now = sqlx::query_scalar!(
        r#"
        WITH locked AS MATERIALIZED (
            SELECT id FROM profiles WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE
        )
        SELECT max(now) FROM (SELECT clock_timestamp() AS now FROM locked) AS held
        "#,
        &ids
    )
    .fetch_one(connection)
    .await?;
    Ok(now)
}

/// Who holds these keys.
pub async fn held(connection: &mut Connection, keys: &[String]) -> Result<Vec<Hold>, StoreError> {
    let rows =
        sqlx::query!("SELECT key, job_id FROM holds WHERE key = ANY($1)", keys).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| Hold { key: row.key, job: row.job_id.into() }).collect())
}

/// Writes holds. Their keys must be locked and free.
pub async fn take(connection: &mut Connection, holds: &[Hold]) -> Result<(), StoreError> {
    let (jobs, keys): (Vec<Uuid>, Vec<String>) =
        holds.iter().map(|hold| (hold.job.uuid(), hold.key.clone())).unzip();
    sqlx::query!(
        "INSERT INTO holds (job_id, key) SELECT * FROM unnest($1::uuid[], $2::text[])",
        &jobs,
        &keys
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// For each key, locks the parked job that comes first (priority, then age). One that somebody else has locked is
/// passed over: it is being cancelled or woken already.
pub async fn next_parked(connection: &mut Connection, keys: &[String]) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        SELECT first.job_id FROM unnest($1::text[]) AS wanted (key)
        CROSS JOIN LATERAL (
            SELECT job_id FROM live_jobs WHERE parked_on = wanted.key
            ORDER BY priority DESC, job_id LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS first
        "#,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Keys that jobs are parked on although nobody holds them, at most `most`: a wake-up that was lost.
pub async fn forgotten(connection: &mut Connection, most: i64) -> Result<Vec<String>, StoreError> {
    let keys = sqlx::query_scalar!(
        r#"
        SELECT DISTINCT parked_on AS "key!" FROM live_jobs
        WHERE parked_on IS NOT NULL AND NOT EXISTS (SELECT FROM holds WHERE holds.key = parked_on)
        LIMIT $1
        "#,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(keys)
}

/// The job that holds each of these keys, with the time since when it runs. For `Job.waiting` and `Profile.heldBy`.
pub async fn holders(
    connection: &mut Connection,
    keys: &[String],
) -> Result<Vec<(Hold, Option<Time>)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT holds.key AS "key!", holds.job_id AS "job_id!", live.attempt_at AS "since?"
        FROM holds LEFT JOIN live_jobs AS live USING (job_id) WHERE holds.key = ANY($1)
        "#,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (Hold { key: row.key, job: row.job_id.into() }, row.since)).collect())
}
