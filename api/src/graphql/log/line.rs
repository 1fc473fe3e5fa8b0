//! The GraphQL types `LogLine` and `LogBatch`.

use async_graphql::{Enum, SimpleObject};
use callboard::store::jobs::logs;

use crate::{cursor::Cursor as _, feed, graphql::scalars::DateTime};

/// Source of a log line.
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

/// A log line of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct LogLine {
    /// Number of the line, starting at 1 and contiguous across all attempts of the job.
    pub sequence: i32,
    /// Number of the attempt.
    pub attempt: i32,
    /// Source of the line.
    pub stream: LogStream,
    /// The line without its newline, with secrets redacted.
    pub text: String,
    /// When the line was read.
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

/// Consecutive log lines of a job.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct LogBatch {
    /// Pass it as `after` to continue after these lines.
    pub cursor: String,
    /// The lines in order, at most 500.
    pub lines: Vec<LogLine>,
    /// Number of lines before these that retention or the size limit dropped.
    pub skipped: i32,
    /// True when the given cursor is after the last line and was ignored. The stream continues from
    /// `cursor`.
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
