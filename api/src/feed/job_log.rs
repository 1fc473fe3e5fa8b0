//! The stream of one job's log lines, in batches.
//!
//! Lines that arrive one by one are sent together, at most every [`COALESCE`]. The stream ends when
//! the job is finished and its last line has been sent.

use std::{sync::Arc, time::Duration};

use callboard::{
    ids::JobId,
    store::{StoreError, jobs::logs::LogLine},
};
use futures::{Stream, stream};
use tokio::time::Instant;

use super::{
    Feed, FeedError, LogCursor,
    job_events::RETRY_AFTER,
    reader::LINES_MAX,
    topics::{Listening, Woken},
};

/// Minimum time between two batches, unless a batch is full.
const COALESCE: Duration = Duration::from_millis(50);
/// Maximum size of a batch in bytes, unless a single line is larger.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// A batch of log lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The position after the last line.
    pub cursor: LogCursor,
    /// The lines in order of sequence.
    pub lines: Vec<LogLine>,
    /// Number of lines before the first of these that are no longer stored.
    pub skipped: i64,
    /// Whether the cursor was invalid and ignored.
    pub is_reset: bool,
}

struct JobLog {
    feed: Feed,
    listening: Listening,
    job: JobId,
    /// Sequence of the last line that was sent.
    last_sent: i64,
    /// Whether to report first that the cursor was invalid.
    is_reset: bool,
    /// Whether the job may have finished, or lines may have been dropped, since the last check.
    is_to_be_checked: bool,
    /// When the next batch may be sent.
    not_before: Instant,
    is_over: bool,
}

pub(super) async fn open(
    feed: Feed,
    job: JobId,
    after: Option<LogCursor>,
) -> Result<impl Stream<Item = Lines> + Send + use<>, FeedError> {
    if after.is_some_and(|cursor| cursor.job != job) {
        return Err(FeedError::BadCursor);
    }
    let listening = feed.0.topics.listen(job);
    let position = feed.0.reader.position(job).await?.ok_or(FeedError::NotFound)?;
    let last_sent = after.map_or(0, |cursor| cursor.sequence);
    let stream = JobLog {
        feed,
        listening,
        job,
        last_sent: last_sent.min(position.log_lines),
        is_reset: last_sent > position.log_lines,
        is_to_be_checked: true,
        not_before: Instant::now(),
        is_over: false,
    };
    Ok(stream::unfold(stream, |mut stream| async move { stream.next().await.map(|lines| (lines, stream)) }))
}

impl JobLog {
    async fn next(&mut self) -> Option<Lines> {
        if std::mem::take(&mut self.is_reset) {
            return Some(Lines { is_reset: true, ..self.batch(Vec::new(), self.last_sent) });
        }
        while !self.is_over {
            tokio::time::sleep_until(self.not_before).await;
            match self.read_on().await {
                Ok(Some(lines)) => return Some(lines),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(job = %self.job, %error, "a job's lines could not be read, retrying");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        None
    }

    /// Reads new lines. If there are none, ends the stream or waits.
    async fn read_on(&mut self) -> Result<Option<Lines>, Arc<StoreError>> {
        // The hint of the job's end may arrive while lines are held back.
        self.is_to_be_checked |= self.listening.mark_seen();
        let lines = self.feed.0.reader.lines(self.job, self.last_sent).await?;
        if !lines.is_empty() {
            return Ok(Some(self.take_batch(&lines)));
        }
        if self.is_to_be_checked {
            match self.feed.0.reader.position(self.job).await? {
                Some(position) if position.log_lines > self.last_sent => {
                    return self.pass_gap(position.log_lines).await;
                }
                Some(position) if !position.state.has_ended() => self.is_to_be_checked = false,
                Some(_) | None => {
                    self.is_over = true;
                    return Ok(None);
                }
            }
        }
        match self.listening.changed_or_logged().await {
            Woken::Changed => self.is_to_be_checked = true,
            Woken::Logged => {}
        }
        Ok(None)
    }

    /// Handles lines that do not directly follow the last one sent, because they were written
    /// between two reads or the lines in between are no longer stored.
    async fn pass_gap(&mut self, last: i64) -> Result<Option<Lines>, Arc<StoreError>> {
        let last_sent = self.last_sent;
        match self.feed.0.reader.next_stored(self.job, last_sent).await? {
            Some(next) if next == last_sent + 1 => Ok(None),
            Some(next) => {
                let lines = self.feed.0.reader.lines(self.job, next - 1).await?;
                Ok((!lines.is_empty()).then(|| self.take_batch(&lines)))
            }
            None => {
                self.last_sent = last;
                Ok(Some(self.batch(Vec::new(), last_sent)))
            }
        }
    }

    fn take_batch(&mut self, found: &[LogLine]) -> Lines {
        let last_sent = self.last_sent;
        let mut bytes = 0;
        let fits = |line: &&LogLine| {
            bytes += line.text.len();
            bytes <= BATCH_BYTES_MAX
        };
        let fitting = found.iter().take_while(fits).count().max(1);
        let lines = found.get(..fitting).unwrap_or_default().to_vec();
        self.last_sent = lines.last().map_or(last_sent, |line| line.sequence);
        let is_full = fitting < found.len() || found.len() >= LINES_MAX;
        self.not_before = if is_full { Instant::now() } else { Instant::now() + COALESCE };
        self.batch(lines, last_sent)
    }

    /// Creates a batch of lines. `sent_before` is the sequence of the last line sent before it.
    fn batch(&self, lines: Vec<LogLine>, sent_before: i64) -> Lines {
        let first = lines.first().map_or(self.last_sent + 1, |line| line.sequence);
        let cursor = LogCursor { job: self.job, sequence: self.last_sent };
        Lines { cursor, lines, skipped: first - sent_before - 1, is_reset: false }
    }
}
