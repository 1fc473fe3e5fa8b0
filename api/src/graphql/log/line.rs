//! The types `LogLine` and `LogBatch`.

use async_graphql::{Enum, SimpleObject};
use callboard::store::jobs::logs;

use crate::{cursor::Cursor as _, feed, graphql::scalars::DateTime};

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "logs::LogStream")]
pub enum LogStream {
    /// The command's standard output.
    Stdout,
    /// The command's standard error.
    Stderr,
    /// Callboard itself.
    System,
}

/// A line that an attempt wrote.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct LogLine {
    /// From 1, contiguous, over all attempts of the job.
    pub sequence: i32,
    /// Number of the attempt.
    pub attempt: i32,
    /// Where it came from.
    pub stream: LogStream,
    /// The line without its newline, secrets redacted.
    pub text: String,
    /// When it was read.
    pub at: DateTime,
}

impl From<logs::LogLine> for LogLine {
    fn from(line: logs::LogLine) -> Self {
        Self {
            sequence: i32::try_from(line.sequence).unwrap_or(i32::MAX),
            attempt: line.attempt,
            stream: line.stream.into(),
            text: line.text,
            at: DateTime(line.at),
        }
    }
}

/// Lines of a job, in order, as they come.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct LogBatch {
    /// Hand it back as `after` to go on behind these lines.
    pub cursor: String,
    /// At most 500.
    pub lines: Vec<LogLine>,
    /// Lines that the retention or the size limit dropped before the first of these.
    pub skipped: i32,
    /// The cursor is of no use here, because it lies behind the last line; the stream goes on from `cursor`.
    pub is_reset: bool,
}

impl From<feed::Lines> for LogBatch {
    fn from(batch: feed::Lines) -> Self {
        Self {
            cursor: batch.cursor.encode(),
            lines: batch.lines.into_iter().map(LogLine::from).collect(),
            skipped: i32::try_from(batch.skipped).unwrap_or(i32::MAX),
            is_reset: batch.is_reset,
        }
    }
}
