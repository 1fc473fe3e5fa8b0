//! Reads job events: of one job after a version, and of all jobs after a position.
//!
//! Events are written with the change itself, by `live`, `insert`, `revive` and `progress`.

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::JobId,
    job::{EventKind, JobState},
    store::{Connection, StoreError},
};

/// One event of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The job.
    pub job: JobId,
    /// Increases by one with each event of the job.
    pub version: i32,
    /// What happened.
    pub kind: EventKind,
    /// The state after the event.
    pub state: JobState,
    /// The state before the event.
    pub prior_state: Option<JobState>,
    /// Number of the attempt that it concerns.
    pub attempt: Option<i32>,
    /// A description, which may be empty.
    pub message: String,
    /// Who did it: the name of a key or of a schedule, or `worker`. `None` for old events.
    pub actor: Option<String>,
    /// When it happened, by the database's clock.
    pub at: Time,
    /// Id of its transaction, which is its position among all events.
    pub txid: i64,
}

/// A job and a version of it, with the events that come after that version.
pub type EventsAfter = ((JobId, i32), Vec<EventRecord>);

/// For each job, its events with a version above the given one, ascending, at most `most`. Jobs
/// without such events are left out.
#[tracing::instrument(name = "db.events.after", level = "debug", skip_all)]
pub async fn after(
    connection: &mut Connection,
    wanted: &[(JobId, i32)],
    most: i64,
) -> Result<Vec<EventsAfter>, StoreError> {
    let (jobs, versions): (Vec<Uuid>, Vec<i32>) =
        wanted.iter().map(|(job, version)| (job.uuid(), *version)).unzip();
    let rows = sqlx::query!(
        r#"
        SELECT wanted.job_id AS "job_id!", wanted.version AS "after!", event.version AS "version!", event.at AS "at!",
            event.kind AS "kind!", event.state AS "state!", event.prior_state, event.attempt,
            event.message AS "message!", event.actor AS "actor?", event.txid AS "txid!"
        FROM unnest($1::uuid[], $2::integer[]) AS wanted (job_id, version) CROSS JOIN LATERAL (
            SELECT * FROM job_events WHERE job_events.job_id = wanted.job_id AND job_events.version > wanted.version
            ORDER BY job_events.version LIMIT $3
        ) AS event
        ORDER BY wanted.job_id, wanted.version, event.version
        "#,
        &jobs,
        &versions,
        most
    )
    .fetch_all(connection)
    .await?;
    let mut found: Vec<((JobId, i32), Vec<EventRecord>)> = Vec::new();
    for row in rows {
        let key = (JobId::from(row.job_id), row.after);
        let event = Row {
            job_id: row.job_id,
            version: row.version,
            at: row.at,
            kind: row.kind,
            state: row.state,
            prior_state: row.prior_state,
            attempt: row.attempt,
            message: row.message,
            actor: row.actor,
            txid: row.txid,
        };
        match found.last_mut() {
            Some((last, events)) if *last == key => events.push(event.read()?),
            Some(_) | None => found.push((key, vec![event.read()?])),
        }
    }
    Ok(found)
}

/// The numbers of stored events of jobs. Jobs without events are left out.
#[tracing::instrument(name = "db.events.counts", level = "debug", skip_all)]
pub async fn counts(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<(JobId, i64)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT job_id, count(*) AS "count!" FROM job_events WHERE job_id = ANY($1) GROUP BY job_id"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id.into(), row.count)).collect())
}

/// The position below which all events are committed and visible.
#[tracing::instrument(name = "db.events.horizon", level = "debug", skip_all)]
pub async fn horizon(connection: &mut Connection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "xmin!""#)
        .fetch_one(connection)
        .await?)
}

/// Events of all jobs at positions in `from..to`, without their messages and actors, in order of
/// position, job and version.
///
/// Only events at or after `since`, so that only the newest partitions are read. Reading stops
/// after `most` events: if that many are returned, they are arbitrary ones and there may be more.
#[tracing::instrument(name = "db.events.tail", level = "debug", skip_all)]
pub async fn tail(
    connection: &mut Connection,
    (from, to): (i64, i64),
    since: Time,
    most: i64,
) -> Result<Vec<EventRecord>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT job_id, version, at, kind, state, prior_state, attempt, '' AS "message!",
            NULL::text AS actor, txid FROM (
            SELECT * FROM job_events WHERE txid >= $1 AND txid < $2 AND at >= $3 LIMIT $4
        ) AS event
        ORDER BY txid, job_id, version
        "#,
        from,
        to,
        since,
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
    actor: Option<String>,
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
            actor: self.actor,
            at: self.at,
            txid: self.txid,
        })
    }
}
