//! Appends log lines, in fenced and numbered batches.
//!
//! The live row is the fence. One UPDATE checks job, attempt and batch number, and assigns the
//! sequence numbers, so that no line is numbered twice and none is lost.

use super::live;
pub use super::{
    log_lines::{LineRange, LogOf, bounds, first_behind, range, ranges},
    log_search::{Search, count_matching, matching},
};
use crate::{
    clock::Time,
    ids::{AttemptId, JobId},
    store::{Connection, StoreError, columns::query_rows},
};

/// The stream of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// Messages of Callboard itself.
    System,
}

impl LogStream {
    pub(super) const fn letter(self) -> char {
        match self {
            Self::Stdout => 'o',
            Self::Stderr => 'e',
            Self::System => 's',
        }
    }

    pub(super) fn parse(letter: char) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::System].into_iter().find(|stream| stream.letter() == letter)
    }
}

/// A redacted line, without newline and without NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Its stream.
    pub stream: LogStream,
    /// The text.
    pub text: String,
    /// When the worker read it, by the worker's clock.
    pub at: Time,
}

/// Lines of one attempt to append together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The job.
    pub job: JobId,
    /// The attempt, which is the fence.
    pub attempt: AttemptId,
    /// Number of the batch: from 1, increasing by one with each batch of the attempt. A repeated
    /// number is not appended again.
    pub number: i32,
    /// The lines, at least one.
    pub lines: Vec<NewLine>,
}

/// The result for a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, now or by an earlier try.
    Stored,
    /// The attempt no longer holds its job.
    Stale,
}

/// Appends batches of several attempts. The results are in the order of the batches.
#[tracing::instrument(name = "db.logs.append", level = "debug", skip_all)]
pub async fn append(connection: &mut Connection, batches: &[Batch]) -> Result<Vec<Appended>, StoreError> {
    let rows = batches.iter().filter_map(|batch| Some((batch, batch.lines.first()?.at)));
    let held = live::fence(connection, rows.clone().map(|(batch, _)| (batch.job, batch.attempt))).await?;
    query_rows!(
        query for (batch, at) in rows,
        "WITH batch AS MATERIALIZED (SELECT * FROM",
        "batch" {
            "job_id": "uuid[]" = batch.job.uuid();
            "attempt_id": "uuid[]" = batch.attempt.uuid();
            "number": "integer[]" = batch.number;
            "line_count": "integer[]" = batch.lines.len() as i32;
            "at": "timestamptz[]" = at;
            "streams": "text[]" = streams(&batch.lines);
            "offsets_ms": "text[]" = offsets_ms(&batch.lines, at);
            "lines": "text[]" = texts(&batch.lines);
        },
        "), numbered AS (
            UPDATE live_jobs AS live
            SET log_lines = live.log_lines + batch.line_count, log_batch = batch.number
            FROM batch
            WHERE live.job_id = batch.job_id AND live.job_id = ANY($1) AND live.attempt_id = batch.attempt_id
                AND live.log_batch < batch.number
            RETURNING live.job_id, live.attempt_id, live.attempt,
                live.log_lines - batch.line_count + 1 AS first_sequence
        )
        INSERT INTO log_chunks (job_id, first_sequence, line_count, attempt, at, streams, offsets_ms, lines)
        SELECT job_id, first_sequence, line_count, numbered.attempt, at, streams, offsets_ms, lines
        FROM numbered JOIN batch USING (job_id, attempt_id)",
    )
    .execute(connection)
    .await?;
    let is_held = |batch: &Batch| held.contains(&batch.attempt);
    Ok(batches.iter().map(|batch| if is_held(batch) { Appended::Stored } else { Appended::Stale }).collect())
}

/// Milliseconds from the first line of a batch to each line, separated by commas.
fn offsets_ms(lines: &[NewLine], first: Time) -> String {
    let offsets = lines.iter().map(|line| (line.at - first).num_milliseconds().max(0).to_string());
    offsets.collect::<Vec<_>>().join(",")
}

fn streams(lines: &[NewLine]) -> String {
    lines.iter().map(|line| line.stream.letter()).collect()
}

fn texts(lines: &[NewLine]) -> String {
    lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

/// A stored line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its sequence: from 1, contiguous over all attempts of the job.
    pub sequence: i64,
    /// Number of its attempt.
    pub attempt: i32,
    /// Its stream.
    pub stream: LogStream,
    /// The redacted text.
    pub text: String,
    /// When the worker read it, by the worker's clock.
    pub at: Time,
}
