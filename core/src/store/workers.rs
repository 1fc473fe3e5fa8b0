//! Worker processes: their leases and the attempts that they hold.
//!
//! A lease is the row's `heartbeat_at`, which each renewal changes. `steps::finish::rescue` decides
//! when it has not changed for too long.

use uuid::Uuid;

use super::{
    Connection, StoreError,
    columns::{storable, storables},
    to_json,
};
use crate::{
    clock::Time,
    ids::{AttemptId, JobId, WorkerId},
    job::{Failure, FailureCode},
};

/// A worker that registers.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// A new id for each start of the process.
    pub id: WorkerId,
    /// Host name of its machine.
    pub hostname: String,
    /// Its process id on that machine.
    pub process_id: i32,
    /// Its version of Callboard.
    pub software_version: String,
    /// Queues that it serves.
    pub queues: Vec<String>,
    /// Kinds of commands that it can run.
    pub kinds: Vec<String>,
    /// Its number of slots.
    pub concurrency: i32,
}

/// The status of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerStatus {
    /// It takes jobs.
    Active,
    /// It takes no new jobs and ends when its attempts have.
    Draining,
    /// Its lease ran out, and its jobs went to other workers.
    Lost,
    /// It shut down cleanly.
    Gone,
}

impl WorkerStatus {
    const ALL: [Self; 4] = [Self::Active, Self::Draining, Self::Lost, Self::Gone];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Lost => "lost",
            Self::Gone => "gone",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let found = Self::ALL.into_iter().find(|each| each.as_str() == text);
        found.ok_or_else(|| StoreError::corrupt("workers", "status", &text))
    }
}

/// An attempt that a worker holds, according to Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldAttempt {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Whether a cancel was requested.
    pub cancel_asked: bool,
}

/// Registers a worker and starts its lease.
#[tracing::instrument(name = "db.workers.register", level = "debug", skip_all)]
pub async fn register(connection: &mut Connection, worker: &NewWorker) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO workers (id, hostname, process_id, software_version, queues, kinds, concurrency, started_at, heartbeat_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp(), clock_timestamp())",
        worker.id.uuid(),
        storable(&worker.hostname),
        worker.process_id,
        storable(&worker.software_version),
        &storables(&worker.queues),
        &storables(&worker.kinds),
        worker.concurrency,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Renews a lease. Returns the worker's status and the attempts that it holds, or `None` if the
/// worker is unknown or has been declared lost.
#[tracing::instrument(name = "db.workers.renew", level = "debug", skip_all)]
pub async fn renew(
    connection: &mut Connection,
    worker: WorkerId,
    is_draining: bool,
) -> Result<Option<(WorkerStatus, Vec<HeldAttempt>)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH renewed AS (
            UPDATE workers SET heartbeat_at = clock_timestamp(),
                status = CASE WHEN $2 AND status = 'active' THEN 'draining' ELSE status END
            WHERE id = $1 AND status IN ('active', 'draining') RETURNING status
        )
        SELECT renewed.status, job_id AS "job_id?", attempt_id, cancel_asked_at IS NOT NULL AS "cancel_asked!"
        FROM renewed LEFT JOIN live_jobs ON worker_id = $1
        "#,
        worker.uuid(),
        is_draining,
    )
    .fetch_all(connection)
    .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let status = WorkerStatus::parse(&first.status)?;
    let held = rows.iter().filter_map(|row| {
        let (job, attempt) = row.job_id.zip(row.attempt_id)?;
        Some(HeldAttempt { job: job.into(), attempt: attempt.into(), cancel_asked: row.cancel_asked })
    });
    Ok(Some((status, held.collect())))
}

/// Asks a worker to take no new jobs and to end. Returns its status before, or `None` if it is
/// unknown.
#[tracing::instrument(name = "db.workers.drain", level = "debug", skip_all)]
pub async fn drain(
    connection: &mut Connection,
    worker: WorkerId,
) -> Result<Option<WorkerStatus>, StoreError> {
    let status = sqlx::query_scalar!(
        r#"
        WITH before AS MATERIALIZED (SELECT id, status FROM workers WHERE id = $1 FOR UPDATE), asked AS (
            UPDATE workers SET status = 'draining' FROM before WHERE workers.id = before.id AND before.status = 'active'
        )
        SELECT status FROM before
        "#,
        worker.uuid()
    )
    .fetch_optional(connection)
    .await?;
    status.map(|status| WorkerStatus::parse(&status)).transpose()
}

/// Marks a worker as gone, when it shuts down cleanly.
#[tracing::instrument(name = "db.workers.leave", level = "debug", skip_all)]
pub async fn leave(connection: &mut Connection, worker: WorkerId) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE workers SET status = 'gone', heartbeat_at = clock_timestamp(), ended_at = clock_timestamp()
         WHERE id = $1 AND status IN ('active', 'draining')",
        worker.uuid()
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A worker's lease at the time of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub worker: WorkerId,
    /// Changes with every renewal. Compare it only for equality, because the database's clock may
    /// be set.
    pub renewed_at: Time,
}

/// The leases of all active and draining workers. `None` if Postgres is read-only at the moment, so
/// that no worker can renew.
#[tracing::instrument(name = "db.workers.leases", level = "debug", skip_all)]
pub async fn leases(connection: &mut Connection) -> Result<Option<Vec<Lease>>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, heartbeat_at, current_setting('transaction_read_only') = 'on' AS "is_read_only!"
           FROM workers WHERE status IN ('active', 'draining')"#
    )
    .fetch_all(connection)
    .await?;
    if rows.iter().any(|row| row.is_read_only) {
        return Ok(None);
    }
    let leases = rows.into_iter().map(|row| Lease { worker: row.id.into(), renewed_at: row.heartbeat_at });
    Ok(Some(leases.collect()))
}

/// Marks a worker as lost. Returns false if its lease was renewed since it was read, or if another
/// process was first.
#[tracing::instrument(name = "db.workers.lose", level = "debug", skip_all)]
pub async fn lose(connection: &mut Connection, lease: &Lease) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "UPDATE workers SET status = 'lost', ended_at = clock_timestamp()
         WHERE id = $1 AND heartbeat_at = $2 AND status IN ('active', 'draining')",
        lease.worker.uuid(),
        lease.renewed_at
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// At most `most` jobs whose rows name a worker that is lost or gone.
#[tracing::instrument(name = "db.workers.orphans", level = "debug", skip_all)]
pub async fn orphans(connection: &mut Connection, most: i64) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        // A worker that is gone leaves index entries of dead rows until the next vacuum. An index
        // scan per worker marks them as dead. A plain join would get a bitmap scan, which does not
        // mark them and reads them all each time.
        "WITH bereft AS MATERIALIZED (
             SELECT id FROM workers
             WHERE status IN ('lost', 'gone') AND (SELECT job_id FROM live_jobs WHERE worker_id = workers.id LIMIT 1) IS NOT NULL
         )
         SELECT live.job_id FROM live_jobs AS live JOIN bereft ON bereft.id = live.worker_id LIMIT $1",
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Marks a LOST attempt as ended by its own worker. It no longer counts towards the lost attempts
/// of its job.
#[tracing::instrument(name = "db.workers.report_alive", level = "debug", skip_all)]
pub async fn report_alive(connection: &mut Connection, attempt: AttemptId) -> Result<(), StoreError> {
    let failure = Failure::new(
        FailureCode::FENCED,
        "Its worker was cut off or suspended, and stopped the attempt as soon as it could.",
        true,
    );
    sqlx::query!(
        "WITH fenced AS (
             UPDATE attempts SET failure = $2::text::jsonb WHERE id = $1 AND outcome = 'lost' AND failure IS NULL
             RETURNING job_id
         )
         UPDATE live_jobs SET lost = lost - 1 FROM fenced WHERE live_jobs.job_id = fenced.job_id AND lost > 0",
        attempt.uuid(),
        to_json("failure", &failure)?
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A worker as shown to operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its id.
    pub id: WorkerId,
    /// Host name of its machine.
    pub hostname: String,
    /// Its process id on that machine.
    pub process_id: i32,
    /// Its version of Callboard.
    pub software_version: String,
    /// Queues that it serves.
    pub queues: Vec<String>,
    /// Kinds of commands that it can run.
    pub kinds: Vec<String>,
    /// Its number of slots.
    pub concurrency: i32,
    /// Slots in use.
    pub running: i64,
    /// Its status.
    pub status: WorkerStatus,
    /// When it started.
    pub started_at: Time,
    /// When it last renewed its lease.
    pub heartbeat_at: Time,
}

/// Active and draining workers, and workers that were lost within the last hour. With `ids`,
/// exactly these workers.
#[tracing::instrument(name = "db.workers.list", level = "debug", skip_all)]
pub async fn list(
    connection: &mut Connection,
    ids: Option<&[WorkerId]>,
) -> Result<Vec<WorkerRecord>, StoreError> {
    let ids: Option<Vec<Uuid>> = ids.map(|ids| ids.iter().map(|id| id.uuid()).collect());
    let rows = sqlx::query!(
        r#"
        SELECT id, hostname, process_id, software_version, queues, kinds, concurrency, status, started_at, heartbeat_at,
            (SELECT count(*) FROM live_jobs WHERE worker_id = workers.id) AS "running!"
        FROM workers
        WHERE CASE WHEN $1::uuid[] IS NOT NULL THEN id = ANY($1)
            ELSE status IN ('active', 'draining') OR (status = 'lost' AND heartbeat_at > now() - interval '1 hour') END
        ORDER BY started_at, id
        "#,
        ids.as_deref()
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(WorkerRecord {
                id: row.id.into(),
                hostname: row.hostname,
                process_id: row.process_id,
                software_version: row.software_version,
                queues: row.queues,
                kinds: row.kinds,
                concurrency: row.concurrency,
                running: row.running,
                status: WorkerStatus::parse(&row.status)?,
                started_at: row.started_at,
                heartbeat_at: row.heartbeat_at,
            })
        })
        .collect()
}
