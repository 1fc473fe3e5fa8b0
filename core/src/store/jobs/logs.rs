//! Log lines: appended in fenced, numbered batches; read by sequence.
//!
//! Called by `steps::append_log` and read by the API. The live row is the fence: one UPDATE checks job, attempt and
//! batch number, and hands out the sequence numbers, so that a line is never numbered twice and never lost between.

use uuid::Uuid;

use super::live;
use crate::{
    clock::Time,
    ids::{AttemptId, JobId},
    store::{Connection, StoreError, columns::query_rows},
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
            "streams": "text[]" = batch.lines.iter().map(|line| line.stream.letter()).collect::<String>();
            "offsets_ms": "text[]" = offsets_ms(&batch.lines, at);
            "lines": "text[]" = batch.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        },
        "), numbered AS (
            UPDATE live_jobs AS live
            SET log_lines = live.log_lines + batch.line_count, log_batch = batch.number
            FROM batch
            WHERE live.job_id = batch.job_id AND live.job_id = ANY($1) AND live.attempt_id = batch.attempt_id
                AND live.log_batch < batch.number
            RETURNING live.job_id, live.attempt_id, live.attempt, live.log_lines - batch.line_count + 1 AS first_sequence
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

/// Milliseconds from the first line of a batch to each, with commas between.
fn offsets_ms(lines: &[NewLine], first: Time) -> String {
    let offsets = lines.iter().map(|line| (line.at - first).num_milliseconds().max(0).to_string());
    offsets.collect::<Vec<_>>().join(",")
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

/// The stored lines of a job with a sequence in `from..=to`, ascending. Reads no chunk that has none of them.
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

/// For each of these jobs, up to `most` stored lines right behind the sequence beside it, ascending. A job is answered
/// once for each sequence that is asked for, or not at all when nothing is stored there.
pub async fn after(
    connection: &mut Connection,
    wanted: &[(JobId, i64)],
    most: i64,
) -> Result<Vec<((JobId, i64), Vec<LogLine>)>, StoreError> {
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

/// Sequences of the first and the last line that are stored, of one attempt or of all; null for no lines.
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

/// Sequence of the first stored line behind this one; null for none. Lines between are not stored any more.
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

/// What to look for in a job's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Part of a line, in whichever case. Not empty, without NUL.
    pub text: String,
    /// Only in lines of this attempt.
    pub attempt: Option<i32>,
}

/// Lines that match, with a sequence in `from..=to`: the first `most`, or the last, in the direction of reading.
pub async fn matching(
    connection: &mut Connection,
    job: JobId,
    search: &Search,
    (from, to): (i64, i64),
    is_from_end: bool,
    most: i64,
) -> Result<Vec<LogLine>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT sequence AS "sequence!", attempt AS "attempt!", substr(streams, position, 1) AS "stream!",
            at AS "at!", split_part(offsets_ms, ',', position)::bigint AS "offset_ms!", text AS "text!"
        FROM (
            SELECT chunk.first_sequence + line.position - 1 AS sequence, line.position::integer AS position, line.text,
                chunk.attempt, chunk.streams, chunk.offsets_ms, chunk.at
            FROM log_chunks AS chunk
            CROSS JOIN LATERAL unnest(string_to_array(chunk.lines, E'\n')) WITH ORDINALITY AS line (text, position)
            WHERE chunk.job_id = $1 AND ($2::integer IS NULL OR chunk.attempt = $2)
                AND chunk.first_sequence <= $5 AND chunk.first_sequence + chunk.line_count > $4
                AND strpos(lower(chunk.lines), lower($3::text)) > 0 AND strpos(lower(line.text), lower($3)) > 0
                AND chunk.first_sequence + line.position - 1 BETWEEN $4 AND $5
            ORDER BY CASE WHEN $6 THEN -1 ELSE 1 END * (chunk.first_sequence + line.position - 1)
            LIMIT $7
        ) AS found
        ORDER BY CASE WHEN $6 THEN -sequence ELSE sequence END
        "#,
        job.uuid(),
        search.attempt,
        search.text,
        from,
        to,
        is_from_end,
        most,
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let stream = row.stream.chars().next().and_then(LogStream::parse);
            Ok(LogLine {
                sequence: row.sequence,
                attempt: row.attempt,
                stream: stream.ok_or_else(|| StoreError::corrupt("log_chunks", "streams", &row.sequence))?,
                text: row.text,
                at: row.at + chrono::Duration::milliseconds(row.offset_ms),
            })
        })
        .collect()
}

/// How many of a job's stored lines match, from this sequence on.
pub async fn count_matching(
    connection: &mut Connection,
    job: JobId,
    search: &Search,
    from: i64,
) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "count!" FROM log_chunks AS chunk
        CROSS JOIN LATERAL unnest(string_to_array(chunk.lines, E'\n')) WITH ORDINALITY AS line (text, position)
        WHERE chunk.job_id = $1 AND ($2::integer IS NULL OR chunk.attempt = $2)
            AND chunk.first_sequence + chunk.line_count > $4
            AND strpos(lower(chunk.lines), lower($3::text)) > 0 AND strpos(lower(line.text), lower($3)) > 0
            AND chunk.first_sequence + line.position > $4
        "#,
        job.uuid(),
        search.attempt,
        search.text,
        from,
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
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
