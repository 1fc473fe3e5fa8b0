//! Reading job events: of one job after a version, and of all jobs after a position.
//!
//! Called by the API's feed. Written by `store::live` and `store::submissions`, with the change itself.

use uuid::Uuid;

use super::{Connection, StoreError};
use crate::{
    clock::Time,
    ids::JobId,
    job::{EventKind, JobState},
};

/// One event of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The job.
    pub job: JobId,
    /// Rises by one from event to event.
    pub version: i32,
    /// What happened.
    pub kind: EventKind,
    /// The state as of this event.
    pub state: JobState,
    /// The state before.
    pub prior_state: Option<JobState>,
    /// Number of the attempt that it is about.
    pub attempt: Option<i32>,
    /// In words.
    pub message: String,
    /// The database's time.
    pub at: Time,
    /// Position in the order of all changes: transaction id.
    pub txid: i64,
}

/// Events of one job with a version in `after+1 ..= before-1`, ascending, at most `most`.
pub async fn of_job(
    connection: &mut Connection,
    job: JobId,
    after: i32,
    most: i64,
) -> Result<Vec<EventRecord>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT job_id, version, at, kind, state, prior_state, attempt, message, txid FROM job_events
         WHERE job_id = $1 AND version > $2 ORDER BY version LIMIT $3",
        job.uuid(),
        after,
        most
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// Position below which every change is committed and visible.
pub async fn horizon(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "xmin!""#)
        .fetch_one(connection)
        .await?)
}

/// Events of all jobs at positions in `from..to`, at most `most`, in order of position, job and version.
pub async fn between(
    connection: &mut Connection,
    from: i64,
    to: i64,
    most: i64,
) -> Result<Vec<EventRecord>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT job_id, version, at, kind, state, prior_state, attempt, message, txid FROM job_events
         WHERE txid >= $1 AND txid < $2 ORDER BY txid, job_id, version LIMIT $3",
        from,
        to,
        most
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

struct Row {
    job_id: Uuid,
    version: i32,
    at: Time,
    kind: String,
    state: String,
    prior_state: Option<String>,
    attempt: Option<i32>,
    message: String,
    txid: i64,
}

impl Row {
    fn read(self) -> Result<EventRecord, StoreError> {
        let state = |text: &str| {
            JobState::parse(text).ok_or_else(|| StoreError::corrupt("job_events", "state", &text))
        };
        Ok(EventRecord {
            job: self.job_id.into(),
            version: self.version,
            kind: EventKind::parse(&self.kind)
                .ok_or_else(|| StoreError::corrupt("job_events", "kind", &self.kind))?,
            state: state(&self.state)?,
            prior_state: self.prior_state.as_deref().map(state).transpose()?,
            attempt: self.attempt,
            message: self.message,
            at: self.at,
            txid: self.txid,
        })
    }
}
