//! Searches the log lines of a job.

use super::logs::{LogLine, LogStream};
use crate::{
    ids::JobId,
    store::{Connection, StoreError},
};

/// A search in the log of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Text that a line contains, ignoring case. Not empty, and without NUL.
    pub text: String,
    /// Only lines of this attempt.
    pub attempt: Option<i32>,
}

/// Matching lines with a sequence in `from..=to`: the first `most`, or the last `most` in
/// descending order.
#[tracing::instrument(name = "db.logs.matching", level = "debug", skip_all)]
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

/// The number of matching lines from this sequence on.
#[tracing::instrument(name = "db.logs.count_matching", level = "debug", skip_all)]
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
