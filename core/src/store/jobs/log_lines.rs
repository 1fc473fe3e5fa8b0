//! Reads the log lines of jobs by sequence.

use super::logs::{LogLine, LogStream};
use crate::{
    clock::Time,
    ids::JobId,
    store::{Connection, StoreError, columns::query_rows},
};

/// A range of the lines of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineRange {
    /// The job.
    pub job: JobId,
    /// The first sequence.
    pub from: i64,
    /// The last sequence.
    pub to: i64,
}

impl LineRange {
    /// All lines of a job.
    pub const fn all(job: JobId) -> Self {
        Self { job, from: 1, to: i64::MAX }
    }
}

/// The stored lines of ranges, ascending. Ranges without lines are left out. Reads only chunks that
/// have such lines.
#[tracing::instrument(name = "db.logs.ranges", level = "debug", skip_all)]
pub async fn ranges(
    connection: &mut Connection,
    ranges: &[LineRange],
) -> Result<Vec<(LineRange, Vec<LogLine>)>, StoreError> {
    let rows = query_rows!(
        query for (index, range) in (0_i64..).zip(ranges),
        r#"SELECT wanted.index AS "index!", chunk.first_sequence AS "first_sequence!", chunk.attempt AS "attempt!",
            chunk.at AS "at!", chunk.streams AS "streams!", chunk.offsets_ms AS "offsets_ms!", chunk.lines AS "lines!"
        FROM"#,
        "wanted" {
            "index": "bigint[]" = index;
            "job_id": "uuid[]" = range.job.uuid();
            "low": "bigint[]" = range.from;
            "high": "bigint[]" = range.to;
        },
        "CROSS JOIN LATERAL (
            SELECT * FROM log_chunks
            WHERE log_chunks.job_id = wanted.job_id AND first_sequence <= wanted.high
                AND first_sequence >= coalesce((SELECT max(first_sequence) FROM log_chunks
                    WHERE log_chunks.job_id = wanted.job_id AND first_sequence <= wanted.low), 0)
            ORDER BY first_sequence
        ) AS chunk
        ORDER BY wanted.index, chunk.first_sequence",
    )
    .fetch_all(connection)
    .await?;
    let mut found: Vec<(LineRange, Vec<LogLine>)> = Vec::new();
    for row in rows {
        let range = ranges[row.index as usize];
        let chunk = Chunk {
            first_sequence: row.first_sequence,
            attempt: row.attempt,
            at: row.at,
            streams: row.streams,
            offsets_ms: row.offsets_ms,
            lines: row.lines,
        };
        if found.last().is_none_or(|(last, _)| *last != range) {
            found.push((range, Vec::new()));
        }
        if let Some((_, lines)) = found.last_mut() {
            chunk.read(range.from, range.to, lines)?;
        }
    }
    Ok(found)
}

/// The stored lines of one range, ascending.
pub async fn range(connection: &mut Connection, range: LineRange) -> Result<Vec<LogLine>, StoreError> {
    Ok(ranges(connection, &[range]).await?.into_iter().flat_map(|(_, lines)| lines).collect())
}

/// The log of a job, or of one of its attempts.
pub type LogOf = (JobId, Option<i32>);

/// From the first to the last stored line of logs. Those without stored lines are left out.
#[tracing::instrument(name = "db.logs.bounds", level = "debug", skip_all)]
pub async fn bounds(
    connection: &mut Connection,
    logs: &[LogOf],
) -> Result<Vec<(LogOf, LineRange)>, StoreError> {
    let rows = query_rows!(
        query for (index, (job, attempt)) in (0_i64..).zip(logs),
        r#"SELECT wanted.index AS "index!", newest.first_sequence + newest.line_count - 1 AS "last!",
            oldest.first_sequence AS "first!" FROM"#,
        "wanted" {
            "index": "bigint[]" = index;
            "job_id": "uuid[]" = job.uuid();
            "attempt": "integer[]" as Option<i32> = *attempt;
        },
        "CROSS JOIN LATERAL (
            SELECT first_sequence FROM log_chunks
            WHERE job_id = wanted.job_id AND (wanted.attempt IS NULL OR attempt = wanted.attempt)
            ORDER BY first_sequence LIMIT 1
        ) AS oldest CROSS JOIN LATERAL (
            SELECT first_sequence, line_count FROM log_chunks
            WHERE job_id = wanted.job_id AND (wanted.attempt IS NULL OR attempt = wanted.attempt)
            ORDER BY first_sequence DESC LIMIT 1
        ) AS newest",
    )
    .fetch_all(connection)
    .await?;
    let bounds = rows.into_iter().map(|row| {
        let (job, attempt) = logs[row.index as usize];
        ((job, attempt), LineRange { job, from: row.first, to: row.last })
    });
    Ok(bounds.collect())
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
