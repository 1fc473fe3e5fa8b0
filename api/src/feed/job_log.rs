//! The stream of one job's lines, in batches.
//!
//! Lines that come one by one are told together, at most every [`COALESCE`]. It ends when the job has ended and its
//! last line is out.

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

/// Least time between two batches, unless one is full.
const COALESCE: Duration = Duration::from_millis(50);
/// Most bytes of a batch, one line aside.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Lines of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// Behind the last of them.
    pub cursor: LogCursor,
    /// In order of sequence.
    pub lines: Vec<LogLine>,
    /// Lines that are not stored any more, before the first of these.
    pub skipped: i64,
    /// The cursor was of no use.
    pub is_reset: bool,
}

struct JobLog {
    feed: Feed,
    listening: Listening,
    job: JobId,
    /// Sequence of the last line that is out.
    told: i64,
    /// Whether the first thing to tell is that the cursor was of no use.
    is_reset: bool,
    /// Whether the job may have ended, or lines may be gone, since that was last looked at.
    is_to_be_checked: bool,
    /// When lines may be told again.
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
    let told = after.map_or(0, |cursor| cursor.sequence);
    let stream = JobLog {
        feed,
        listening,
        job,
        told: told.min(position.log_lines),
        is_reset: told > position.log_lines,
        is_to_be_checked: true,
        not_before: Instant::now(),
        is_over: false,
    };
    Ok(stream::unfold(stream, |mut stream| async move { stream.next().await.map(|lines| (lines, stream)) }))
}

impl JobLog {
    async fn next(&mut self) -> Option<Lines> {
        if std::mem::take(&mut self.is_reset) {
            return Some(Lines { is_reset: true, ..self.batch(Vec::new(), self.told) });
        }
        while !self.is_over {
            tokio::time::sleep_until(self.not_before).await;
            match self.read_on().await {
                Ok(Some(lines)) => return Some(lines),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(job = %self.job, %error, "a job's lines cannot be read; trying again");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        }
        None
    }

    /// Reads what is there or, when that is nothing, ends or waits.
    async fn read_on(&mut self) -> Result<Option<Lines>, Arc<StoreError>> {
        // The end may be told while lines are held back.
        self.is_to_be_checked |= self.listening.mark_seen();
        let lines = self.feed.0.reader.lines(self.job, self.told).await?;
        if !lines.is_empty() {
            return Ok(Some(self.tell(&lines)));
        }
        if self.is_to_be_checked {
            match self.feed.0.reader.position(self.job).await? {
                Some(position) if position.log_lines > self.told => {
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

    /// Lines are behind the last one that is out, but not right behind it: they came between two reads, or those between
    /// are not stored any more.
    async fn pass_gap(&mut self, last: i64) -> Result<Option<Lines>, Arc<StoreError>> {
        let told = self.told;
        match self.feed.0.reader.next_stored(self.job, told).await? {
            Some(next) if next == told + 1 => Ok(None),
            Some(next) => {
                let lines = self.feed.0.reader.lines(self.job, next - 1).await?;
                Ok((!lines.is_empty()).then(|| self.tell(&lines)))
            }
            None => {
                self.told = last;
                Ok(Some(self.batch(Vec::new(), told)))
            }
        }
    }

    fn tell(&mut self, found: &[LogLine]) -> Lines {
        let told = self.told;
        let mut bytes = 0;
        let fits = |line: &&LogLine| {
            bytes += line.text.len();
            bytes <= BATCH_BYTES_MAX
        };
        let fitting = found.iter().take_while(fits).count().max(1);
        let lines = found.get(..fitting).unwrap_or_default().to_vec();
        self.told = lines.last().map_or(told, |line| line.sequence);
        let is_full = fitting < found.len() || found.len() >= LINES_MAX;
        self.not_before = if is_full { Instant::now() } else { Instant::now() + COALESCE };
        self.batch(lines, told)
    }

    /// These lines, after the last one that was out before.
    fn batch(&self, lines: Vec<LogLine>, told_before: i64) -> Lines {
        let first = lines.first().map_or(self.told + 1, |line| line.sequence);
        let cursor = LogCursor { job: self.job, sequence: self.told };
        Lines { cursor, lines, skipped: first - told_before - 1, is_reset: false }
    }
}
