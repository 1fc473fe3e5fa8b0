//! Log lines: appended in fenced, numbered batches; read by sequence.
//!
//! Called by `steps::append_log` and read by the API. The live row is the fence: one UPDATE checks job, attempt and
//! batch number, and hands out the sequence numbers, so that a line is never numbered twice and never lost between.

use uuid::Uuid;

use super::{Connection, StoreError};
use crate::{
    clock::Time,
    ids::{AttemptId, JobId},
};

/// Which pipe a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// Callboard itself.
    System,
}

impl LogStream {
    const fn letter(self) -> char {
        match self {
            Self::Stdout => 'o',
            Self::Stderr => 'e',
            Self::System => 's',
        }
    }

    fn parse(letter: char) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::System].into_iter().find(|stream| stream.letter() == letter)
    }
}

/// One line, redacted, without its newline and without NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Where it came from.
    pub stream: LogStream,
    /// The text.
    pub text: String,
    /// When it was read, by the worker's clock.
    pub at: Time,
}

/// Lines of one attempt, to be appended together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The job.
    pub job: JobId,
    /// The attempt: the fence.
    pub attempt: AttemptId,
    /// From 1, rising by one with every batch of the attempt; a repeated number is not appended twice.
    pub number: i32,
    /// At least one.
    pub lines: Vec<NewLine>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is stored (now or by an earlier try).
    Stored,
    /// The attempt does not hold its job any more.
    Stale,
}

/// Appends batches of many attempts at once; the answers are in the order of the batches.
pub async fn append(connection: &mut Connection, batches: &[Batch]) -> Result<Vec<Appended>, StoreError> {
    let mut column = Columns::default();
    for batch in batches {
        column.push(batch);
    }
    let held = sqlx::query_scalar!(
        r#"
        WITH batch AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::timestamptz[], $6::text[],
                $7::text[], $8::text[])
            AS batch (job_id, attempt_id, number, line_count, at, streams, offsets_ms, lines)
        ), locked AS MATERIALIZED (
            SELECT live.job_id, live.log_batch FROM live_jobs AS live JOIN batch USING (job_id, attempt_id)
            ORDER BY live.job_id FOR NO KEY UPDATE OF live
        ), numbered AS (
            UPDATE live_jobs AS live
            SET log_lines = live.log_lines + batch.line_count, log_batch = batch.number
            FROM batch JOIN locked USING (job_id)
            WHERE live.job_id = batch.job_id AND live.log_batch < batch.number
            RETURNING live.job_id, live.attempt, live.log_lines - batch.line_count + 1 AS first_sequence
        ), chunk AS (
            INSERT INTO log_chunks (job_id, first_sequence, line_count, attempt, at, streams, offsets_ms, lines)
            SELECT job_id, first_sequence, line_count, numbered.attempt, at, streams, offsets_ms, lines
            FROM numbered JOIN batch USING (job_id)
        )
        SELECT job_id FROM locked
        "#,
        &column.jobs,
        &column.attempts,
        &column.numbers,
        &column.line_counts,
        &column.ats,
        &column.streams,
        &column.offsets,
        &column.lines,
    )
    .fetch_all(connection)
    .await?;
    let is_held = |batch: &Batch| held.contains(&batch.job.uuid());
    Ok(batches.iter().map(|batch| if is_held(batch) { Appended::Stored } else { Appended::Stale }).collect())
}

#[derive(Default)]
struct Columns {
    jobs: Vec<Uuid>,
    attempts: Vec<Uuid>,
    numbers: Vec<i32>,
    line_counts: Vec<i32>,
    ats: Vec<Time>,
    streams: Vec<String>,
    offsets: Vec<String>,
    lines: Vec<String>,
}

impl Columns {
    fn push(&mut self, batch: &Batch) {
        let Some(first) = batch.lines.first() else { return };
        self.jobs.push(batch.job.uuid());
        self.attempts.push(batch.attempt.uuid());
        self.numbers.push(batch.number);
        self.line_counts.push(batch.lines.len() as i32);
        self.ats.push(first.at);
        self.streams.push(batch.lines.iter().map(|line| line.stream.letter()).collect());
        let offsets = batch.lines.iter().map(|line| (line.at - first.at).num_milliseconds().max(0).to_string());
        self.offsets.push(offsets.collect::<Vec<_>>().join(","));
        self.lines.push(batch.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n"));
    }
}

/// A stored line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// From 1, contiguous over all attempts of the job.
    pub sequence: i64,
    /// Number of its attempt.
    pub attempt: i32,
    /// Where it came from.
    pub stream: LogStream,
    /// The text, redacted.
    pub text: String,
    /// When it was read.
    pub at: Time,
}

/// Lines of a job with a sequence in `from..=to`, ascending; whole chunks are read until `most` lines are there.
pub async fn range(
    connection: &mut Connection,
    job: JobId,
    from: i64,
    to: i64,
    most: usize,
) -> Result<Vec<LogLine>, StoreError> {
    let mut lines = Vec::new();
    let mut next = from;
    while next <= to && lines.len() < most {
        let chunks = sqlx::query_as!(
            Chunk,
            r#"
            SELECT first_sequence, line_count, attempt, at, streams, offsets_ms, lines FROM log_chunks
            WHERE job_id = $1 AND first_sequence <= $3
                AND first_sequence >= coalesce((SELECT max(first_sequence) FROM log_chunks
                    WHERE job_id = $1 AND first_sequence <= $2), 0)
            ORDER BY first_sequence LIMIT 64
            "#,
            job.uuid(),
            next,
            to,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = chunks.last() else { break };
        let end = last.first_sequence + i64::from(last.line_count);
        if end <= next {
            break;
        }
        for chunk in &chunks {
            chunk.read(next, to, &mut lines)?;
        }
        next = end;
    }
    lines.truncate(most);
    Ok(lines)
}

struct Chunk {
    first_sequence: i64,
    line_count: i32,
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

/// Sequence of the first line that is still stored, and of the last that was written; null for no lines.
pub async fn bounds(connection: &mut Connection, job: JobId) -> Result<Option<(i64, i64)>, StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT min(first_sequence) AS first, max(first_sequence + line_count - 1) AS last
        FROM log_chunks WHERE job_id = $1
        "#,
        job.uuid()
    )
    .fetch_one(connection)
    .await?;
    Ok(row.first.zip(row.last))
}
