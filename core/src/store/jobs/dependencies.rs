//! Edges between jobs: which job waits for which.
//!
//! `live::save` closes the edges of a job in the statement that ends it. `steps::hand_out::unblock`
//! decides what follows.

use uuid::Uuid;

use crate::{
    ids::JobId,
    job::{JobState, state::Ending},
    store::{Connection, StoreError, columns::query_rows},
};

/// A job that another job needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// The job.
    pub job: JobId,
    /// How it ended. `None` while it is live.
    pub ending: Option<Ending>,
}

impl Needed {
    /// Whether it ended without success.
    pub const fn is_broken(self) -> bool {
        matches!(self.ending, Some(Ending::Failed | Ending::Cancelled))
    }
}

/// A job that waits, and a job that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The job that waits.
    pub job: JobId,
    /// Position in the list of the waiting job, from 0.
    pub position: i32,
    /// The job that it waits for.
    pub needed: Needed,
}

/// The jobs that exist, with how they ended. Live ones cannot end before the caller's transaction
/// does.
#[tracing::instrument(name = "db.dependencies.lock_needed", level = "debug", skip_all)]
pub async fn lock_needed(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<Needed>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let live = sqlx::query_scalar!(
        "SELECT job_id FROM live_jobs WHERE job_id = ANY($1) ORDER BY job_id FOR KEY SHARE",
        &ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let live = live.into_iter().map(|id| Needed { job: id.into(), ending: None });
    // Read after locking: jobs that ended before are visible by now.
    let ended = sqlx::query!("SELECT job_id, state FROM ended_jobs WHERE job_id = ANY($1)", &ids)
        .fetch_all(connection)
        .await?;
    let ended = ended.into_iter().map(|row| {
        let ending = JobState::parse(&row.state).and_then(Ending::of);
        let ending = ending.ok_or_else(|| StoreError::corrupt("ended_jobs", "state", &row.state))?;
        Ok(Needed { job: row.job_id.into(), ending: Some(ending) })
    });
    live.map(Ok).chain(ended).collect()
}

/// The jobs that exist.
#[tracing::instrument(name = "db.dependencies.existing", level = "debug", skip_all)]
pub async fn existing(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let found =
        sqlx::query_scalar!("SELECT id FROM jobs WHERE id = ANY($1)", &ids).fetch_all(connection).await?;
    Ok(found.into_iter().map(JobId::from).collect())
}

/// Writes the edges of new jobs, and rewrites those of revived jobs.
#[tracing::instrument(name = "db.dependencies.write", level = "debug", skip_all)]
pub async fn write(connection: &mut Connection, edges: &[Edge]) -> Result<(), StoreError> {
    query_rows!(
        query for edge in edges,
        "INSERT INTO job_dependencies (job_id, position, needs_id, outcome, is_due)
         SELECT job_id, position, needs_id, outcome, coalesce(outcome <> 'succeeded', false)
         FROM",
        "edge" {
            "job_id": "uuid[]" = edge.job.uuid();
            "position": "integer[]" = edge.position;
            "needs_id": "uuid[]" = edge.needed.job.uuid();
            "outcome": "text[]" as Option<&str> = edge.needed.ending.map(|ending| ending.state().as_str());
        },
        "ON CONFLICT (job_id, position) DO UPDATE SET outcome = excluded.outcome, is_due = excluded.is_due",
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The edges of jobs, by job and position, with the stored outcomes.
#[tracing::instrument(name = "db.dependencies.edges_of", level = "debug", skip_all)]
pub async fn edges_of(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<Edge>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT job_id, position, needs_id, outcome FROM job_dependencies WHERE job_id = ANY($1)
         ORDER BY job_id, position",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let ending = |outcome: Option<String>| JobState::parse(outcome.as_deref()?).and_then(Ending::of);
    Ok(rows
        .into_iter()
        .map(|row| Edge {
            job: row.job_id.into(),
            position: row.position,
            needed: Needed { job: row.needs_id.into(), ending: ending(row.outcome) },
        })
        .collect())
}

/// A page of the jobs that a job depends on, by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NeedsPage {
    /// The job that depends on them.
    pub job: JobId,
    /// Only positions above this one. -1 for all.
    pub after: i32,
    /// Only positions below this one. `i32::MAX` for all.
    pub before: i32,
    /// Whether to read from the end of the range, which also reverses the rows.
    pub is_from_end: bool,
    /// Maximum number of rows.
    pub rows: i64,
}

/// Pages of dependencies that have not been pruned: the index of the request, the position and the
/// job, in the order of reading. Reads no more than the pages hold, however long the lists are.
#[tracing::instrument(name = "db.dependencies.pages", level = "debug", skip_all)]
pub async fn pages(
    connection: &mut Connection,
    pages: &[NeedsPage],
) -> Result<Vec<(usize, i32, JobId)>, StoreError> {
    let rows = query_rows!(
        query for (number, page) in (0_i64..).zip(pages),
        r#"SELECT page.number AS "number!", needed.position AS "position!", needed.needs_id AS "needs_id!" FROM"#,
        "page" {
            "number": "bigint[]" = number;
            "job_id": "uuid[]" = page.job.uuid();
            "after": "integer[]" = page.after;
            "before": "integer[]" = page.before;
            "is_from_end": "boolean[]" = page.is_from_end;
            "most": "bigint[]" = page.rows;
        },
        // A subquery for each edge, because a join might read all jobs first.
        "CROSS JOIN LATERAL (
            (SELECT position, needs_id FROM job_dependencies AS edge
             WHERE NOT page.is_from_end AND edge.job_id = page.job_id
                 AND edge.position > page.after AND edge.position < page.before
                 AND (SELECT true FROM jobs WHERE jobs.id = edge.needs_id)
             ORDER BY edge.position LIMIT page.most)
            UNION ALL
            (SELECT position, needs_id FROM job_dependencies AS edge
             WHERE page.is_from_end AND edge.job_id = page.job_id
                 AND edge.position > page.after AND edge.position < page.before
                 AND (SELECT true FROM jobs WHERE jobs.id = edge.needs_id)
             ORDER BY edge.position DESC LIMIT page.most)
         ) AS needed
         ORDER BY page.number, CASE WHEN page.is_from_end THEN -needed.position ELSE needed.position END",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.number as usize, row.position, row.needs_id.into())).collect())
}

/// How many dependencies of jobs have not been pruned. Jobs without any are left out.
#[tracing::instrument(name = "db.dependencies.counts", level = "debug", skip_all)]
pub async fn counts(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<(JobId, i64)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT edge.job_id, count(*) AS "count!" FROM job_dependencies AS edge
           WHERE edge.job_id = ANY($1) AND EXISTS (SELECT FROM jobs WHERE jobs.id = edge.needs_id)
           GROUP BY edge.job_id"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id.into(), row.count)).collect())
}

/// Clears the due flags of edges of jobs that `unblock` has to decide, and returns the jobs. Takes
/// at most `most` edges, and skips edges that another process has locked.
#[tracing::instrument(name = "db.dependencies.take_due", level = "debug", skip_all)]
pub async fn take_due(connection: &mut Connection, most: i64) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"
        WITH due AS MATERIALIZED (
            SELECT job_id, position FROM job_dependencies WHERE is_due ORDER BY job_id LIMIT $1 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE job_dependencies AS edge SET is_due = false FROM due
            WHERE edge.job_id = due.job_id AND edge.position = due.position RETURNING edge.job_id
        )
        SELECT DISTINCT job_id AS "job_id!" FROM taken
        "#,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// What keeps a blocked job from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// The job.
    pub job: JobId,
    /// The first job that it still waits for.
    pub waits_for: Option<JobId>,
    /// How many jobs it still waits for. 1000 means 1000 or more.
    pub open: i64,
    /// The first job that ended without success.
    pub broken: Option<Needed>,
}

/// What keeps jobs from their start.
#[tracing::instrument(name = "db.dependencies.blocked", level = "debug", skip_all)]
pub async fn blocked(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<Blocked>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT job.id AS "job_id!", open.needs_id AS "waits_for?", counted.open AS "open!",
            broken.needs_id AS "broken?", broken.outcome AS "outcome?"
        FROM unnest($1::uuid[]) AS job (id)
        LEFT JOIN LATERAL (
            SELECT needs_id FROM job_dependencies WHERE job_id = job.id AND outcome IS NULL ORDER BY position LIMIT 1
        ) AS open ON true
        CROSS JOIN LATERAL (
            SELECT count(*) AS open FROM (
                SELECT FROM job_dependencies WHERE job_id = job.id AND outcome IS NULL LIMIT 1000
            ) AS waiting
        ) AS counted
        LEFT JOIN LATERAL (
            SELECT needs_id, outcome FROM job_dependencies
            WHERE job_id = job.id AND outcome IN ('failed', 'cancelled') ORDER BY position LIMIT 1
        ) AS broken ON true
        "#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let read = |needs: Uuid, outcome: &str| Needed {
        job: needs.into(),
        ending: JobState::parse(outcome).and_then(Ending::of),
    };
    Ok(rows
        .into_iter()
        .map(|row| Blocked {
            job: row.job_id.into(),
            waits_for: row.waits_for.map(JobId::from),
            open: row.open,
            broken: row.broken.zip(row.outcome.as_deref()).map(|(needs, outcome)| read(needs, outcome)),
        })
        .collect())
}
