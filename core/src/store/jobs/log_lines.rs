//! Reads the log lines of jobs by sequence.

use uuid::Uuid;

use super::logs::{LogLine, LogStream};
use crate::{
    clock::Time,
    ids::JobId,
    store::{Connection, StoreError},
};

/// The stored lines of a job with a sequence in `from..=to`, ascending. Reads only chunks that have
/// such lines.
#[tracing::instrument(name = "db.logs.range", level = "debug", skip_all)]
pub async fn range(
    connection: &mut Connection,
    job: JobId,
    from: i64,
    to: i64,
) -> Result<Vec<LogLine>, StoreError> {
    let chunks = sqlx::query_as!(
        Chunk,
        r#"
        SELECT first_sequence, attempt, at, streams, offsets_ms, lines FROM log_chunks
        WHERE job_id = $1 AND first_sequence <= $3
            AND first_sequence >= coalesce((SELECT max(first_sequence) FROM log_chunks
                WHERE job_id = $1 AND first_sequence <= $2), 0)
        ORDER BY first_sequence
        "#,
        job.uuid(),
        from,
        to,
    )
    .fetch_all(connection)
    .await?;
    let mut lines = Vec::new();
    for chunk in &chunks {
        chunk.read(from, to, &mut lines)?;
    }
    Ok(lines)
}

/// A job and a sequence of its log, with the lines that come after it.
pub type LinesAfter = ((JobId, i64), Vec<LogLine>);

/// For each pair of job and sequence, up to `most` stored lines right after the sequence,
/// ascending. Pairs without such lines are left out.
#[tracing::instrument(name = "db.logs.after", level = "debug", skip_all)]
pub async fn after(
    connection: &mut Connection,
    wanted: &[(JobId, i64)],
    most: i64,
) -> Result<Vec<LinesAfter>, StoreError> {
    let (jobs, sequences): (Vec<Uuid>, Vec<i64>) =
        wanted.iter().map(|(job, sequence)| (job.uuid(), *sequence)).unzip();
    let rows = sqlx::query!(
        r#"
        SELECT wanted.job_id AS "job_id!", wanted.sequence AS "sequence!", chunk.first_sequence AS "first_sequence!",
            chunk.attempt AS "attempt!", chunk.at AS "at!", chunk.streams AS "streams!",
            chunk.offsets_ms AS "offsets_ms!", chunk.lines AS "lines!"
        FROM unnest($1::uuid[], $2::bigint[]) AS wanted (job_id, sequence) CROSS JOIN LATERAL (
            SELECT * FROM log_chunks
            WHERE log_chunks.job_id = wanted.job_id AND first_sequence <= wanted.sequence + $3
                AND first_sequence >= coalesce((SELECT max(first_sequence) FROM log_chunks
                    WHERE log_chunks.job_id = wanted.job_id AND first_sequence <= wanted.sequence + 1), 0)
            ORDER BY first_sequence
        ) AS chunk
        ORDER BY wanted.job_id, wanted.sequence, chunk.first_sequence
        "#,
        &jobs,
        &sequences,
        most
    )
    .fetch_all(connection)
    .await?;
    let mut found: Vec<((JobId, i64), Vec<LogLine>)> = Vec::new();
    for row in rows {
        let key = (JobId::from(row.job_id), row.sequence);
        let chunk = Chunk {
            first_sequence: row.first_sequence,
            attempt: row.attempt,
            at: row.at,
            streams: row.streams,
            offsets_ms: row.offsets_ms,
            lines: row.lines,
        };
        if found.last().is_none_or(|(last, _)| *last != key) {
            found.push((key, Vec::new()));
        }
        if let Some((_, lines)) = found.last_mut() {
            chunk.read(key.1 + 1, key.1 + most, lines)?;
        }
    }
    Ok(found)
}

/// Sequences of the first and the last stored line, of one attempt or of all. `None` if no lines
/// are stored.
#[tracing::instrument(name = "db.logs.bounds", level = "debug", skip_all)]
pub async fn bounds(
    connection: &mut Connection,
    job: JobId,
    attempt: Option<i32>,
) -> Result<Option<(i64, i64)>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT
            (SELECT first_sequence FROM log_chunks WHERE job_id = $1 AND ($2::integer IS NULL OR attempt = $2)
                ORDER BY first_sequence LIMIT 1) AS first,
            (SELECT first_sequence + line_count - 1 FROM log_chunks
                WHERE job_id = $1 AND ($2::integer IS NULL OR attempt = $2)
                ORDER BY first_sequence DESC LIMIT 1) AS last
        "#,
        job.uuid(),
        attempt
    )
    .fetch_one(connection)
    .await?;
    Ok(row.first.zip(row.last))
}

/// Sequence of the first stored line after this one, if any. The lines between are no longer
/// stored.
#[tracing::instrument(name = "db.logs.first_behind", level = "debug", skip_all)]
pub async fn first_behind(
    connection: &mut Connection,
    job: JobId,
    sequence: i64,
) -> Result<Option<i64>, StoreError> {
    let first = sqlx::query_scalar!(
        "SELECT min(first_sequence) FROM log_chunks WHERE job_id = $1 AND first_sequence > $2",
        job.uuid(),
        sequence
    )
    .fetch_one(connection)
    .await?;
    Ok(first)
}

struct Chunk {
    first_sequence: i64,
    attempt: i32,
    at: Time,
    streams: String,
    offsets_ms: String,
    lines: String,
}

impl Chunk {
    fn read(&self, from: i64, to: i64, lines: &mut Vec<LogLine>) -> Result<(), StoreError> {
        let corrupt = || StoreError::corrupt("log_chunks", "streams", &self.first_sequence);
        let mut offsets = self.offsets_ms.split(',');
        let mut texts = self.lines.split('\n');
        for (sequence, letter) in (self.first_sequence..).zip(self.streams.chars()) {
            let stream = LogStream::parse(letter).ok_or_else(corrupt)?;
            let offset = offsets.next().and_then(|text| text.parse().ok()).ok_or_else(corrupt)?;
            let text = texts.next().ok_or_else(corrupt)?;
            if (from..=to).contains(&sequence) {
                let at = self.at + chrono::Duration::milliseconds(offset);
                lines.push(LogLine { sequence, attempt: self.attempt, stream, text: text.to_owned(), at });
            }
        }
        Ok(())
    }
}
