//! The bench's own SQL: what the machine can do without Callboard, and the state of jobs. The
//! product's SQL is all in `core/src/store`.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use callboard::{ids::JobId, settings::SharedSettings};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection};

use crate::{enqueue::PAYLOAD_BYTES, measurement::Measurement};

/// A table like that of the jobs, with its indexes, and one with rows of about a job's size.
const LIKE_JOBS: &str = "
    CREATE TABLE IF NOT EXISTS bench_jobs (LIKE jobs INCLUDING ALL);
    CREATE TABLE IF NOT EXISTS bench_commits (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), payload jsonb NOT NULL)";

/// Opens a connection for the bench.
pub(crate) async fn connect(shared: &SharedSettings) -> anyhow::Result<PgConnection> {
    Ok(PgConnection::connect(shared.database_url()?.expose_secret()).await?)
}

/// Creates the bench's tables and empties them.
pub(crate) async fn make_tables(connection: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::raw_sql(LIKE_JOBS).execute(&mut *connection).await?;
    sqlx::raw_sql("TRUNCATE bench_jobs, bench_commits").execute(connection).await?;
    Ok(())
}

/// Inserts `rows` rows by COPY, `batch` rows at a time. Every COPY is a commit.
pub(crate) async fn copy(
    connection: &mut PgConnection,
    name: &str,
    rows: usize,
    batch: usize,
) -> anyhow::Result<Measurement> {
    make_tables(connection).await?;
    let now = "2026-01-01 00:00:00+00";
    let payload = format!("{{\"text\": \"{}\"}}", "x".repeat(PAYLOAD_BYTES));
    let command = callboard::clock::IdSource.make::<uuid::Uuid>();
    let mut texts = Vec::new();
    for _ in 0..rows.div_ceil(batch) {
        let mut text = String::with_capacity(batch * (PAYLOAD_BYTES + 256));
        for _ in 0..batch {
            let id = callboard::clock::IdSource.make::<uuid::Uuid>();
            writeln!(text, "{id}\t{command}\t{command}\tdefault\t4\t{payload}\t{now}\t{now}")?;
        }
        texts.push(text);
    }
    let since = Instant::now();
    for text in texts {
        let mut sink = connection
            .copy_in_raw(
                "COPY bench_jobs (id, command_version_id, command_id, queue, priority, input, run_at, created_at)
                FROM STDIN",
            )
            .await?;
        sink.send(text.into_bytes()).await?;
        sink.finish().await?;
    }
    Ok(Measurement::rate(name, rows.div_ceil(batch) * batch, since.elapsed()))
}

/// Commits one row and returns the time it took.
pub(crate) async fn commit_one(connection: &mut PgConnection) -> anyhow::Result<Duration> {
    let payload = serde_json::json!({ "text": "x".repeat(PAYLOAD_BYTES) });
    let since = Instant::now();
    sqlx::query("INSERT INTO bench_commits (payload) VALUES ($1)").bind(payload).execute(connection).await?;
    Ok(since.elapsed())
}

/// Returns the unfinished jobs of a queue, in order of id.
pub(crate) async fn live_jobs(connection: &mut PgConnection, queue: &str) -> anyhow::Result<Vec<JobId>> {
    let ids: Vec<uuid::Uuid> =
        sqlx::query_scalar("SELECT job_id FROM live_jobs WHERE queue = $1 ORDER BY job_id")
            .bind(queue)
            .fetch_all(connection)
            .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Returns the 16 newest unfinished jobs of a queue.
pub(crate) async fn newest_jobs(
    connection: &mut PgConnection,
    queue: &str,
) -> anyhow::Result<Vec<uuid::Uuid>> {
    let ids =
        sqlx::query_scalar("SELECT job_id FROM live_jobs WHERE queue = $1 ORDER BY job_id DESC LIMIT 16");
    Ok(ids.bind(queue).fetch_all(connection).await?)
}

/// Whether one of these jobs is unfinished.
pub(crate) async fn any_is_live(connection: &mut PgConnection, jobs: &[uuid::Uuid]) -> anyhow::Result<bool> {
    let is_live = sqlx::query_scalar("SELECT EXISTS (SELECT FROM live_jobs WHERE job_id = ANY($1))");
    Ok(is_live.bind(jobs).fetch_one(connection).await?)
}

/// Whether a job of the queue is unfinished.
pub(crate) async fn is_live(connection: &mut PgConnection, queue: &str) -> anyhow::Result<bool> {
    let is_live = sqlx::query_scalar("SELECT EXISTS (SELECT FROM live_jobs WHERE queue = $1)");
    Ok(is_live.bind(queue).fetch_one(connection).await?)
}

/// How the jobs of a queue ended.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub(crate) struct Ended {
    /// Finished jobs.
    pub(crate) count: i64,
    /// Finished jobs that did not succeed.
    pub(crate) unsuccessful: i64,
    /// When the first attempt started.
    pub(crate) first: Option<DateTime<Utc>>,
    /// When the last job ended.
    pub(crate) last: Option<DateTime<Utc>>,
}

/// Returns how the jobs of a queue ended.
pub(crate) async fn ended(connection: &mut PgConnection, queue: &str) -> anyhow::Result<Ended> {
    let ended = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE state <> 'succeeded') AS unsuccessful,
            min(started_at) AS first, max(finished_at) AS last
        FROM ended_jobs JOIN jobs ON jobs.id = ended_jobs.job_id WHERE jobs.queue = $1",
    );
    Ok(ended.bind(queue).fetch_one(connection).await?)
}
