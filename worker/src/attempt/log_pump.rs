//! The log pump of one attempt: takes lines, redacts them, and stores them in bounded, numbered
//! batches.
//!
//! One batch is under way at a time, so that slow storage slows the child down instead of filling
//! memory. A log that is too long keeps its first part and its last, with a line between them that
//! says what was left out.

use std::{collections::VecDeque, time::Duration};

use callboard::{
    clock,
    ids::{AttemptId, JobId},
    secret::{CONTINUATION, LOG_LINE_BYTES_MAX, Redactor},
    store::jobs::logs::{Appended, Batch, LogStream, NewLine},
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{Attempt, redaction};
use crate::batcher::Batcher;

/// Most lines and bytes of one batch.
const BATCH_LINES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// How long a batch is gathered, from its first line on.
const GATHER: Duration = Duration::from_millis(40);
/// Bytes of log that one attempt may store, of which the last part may be [`LAST_BYTES_MAX`].
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the last part, which is in memory until the attempt ends.
const LAST_BYTES_MAX: usize = 1024 * 1024;
/// What a line of the last part counts for besides its text: the memory that it takes.
const LINE_BYTES: usize = size_of::<NewLine>();
/// Most lines that wait for the pump.
const WAITING_MAX: usize = 1024;

/// Where lines are sent. Cheap to clone. The pump ends when all clones are dropped.
#[derive(Debug, Clone)]
pub(super) struct Log {
    sender: mpsc::Sender<NewLine>,
    redactor: Redactor,
}

impl Log {
    /// Sends one line without its secrets, waiting while the pump is busy. A line that is too long
    /// is split. After the pump has ended, lines are dropped.
    pub(super) async fn line(&self, stream: LogStream, text: String) {
        let redactor = self.redactor.clone();
        let redacted = redaction::aside(text.len(), move || redactor.redact(&text).into_owned()).await;
        self.redacted_line(stream, redacted).await;
    }

    /// The same for a line of a stream that was redacted as a whole.
    pub(super) async fn redacted_line(&self, stream: LogStream, text: String) {
        let mut text = if text.contains('\n') { text.replace('\n', " ") } else { text };
        while text.len() > LOG_LINE_BYTES_MAX {
            let rest = text.split_off(text.floor_char_boundary(LOG_LINE_BYTES_MAX));
            self.send(stream, text).await;
            text = format!("{CONTINUATION}{rest}");
        }
        self.send(stream, text).await;
    }

    async fn send(&self, stream: LogStream, text: String) {
        drop(self.sender.send(NewLine { stream, text, at: clock::now() }).await);
    }

    /// A log whose lines a test reads itself.
    #[cfg(test)]
    pub(super) fn channel() -> (Self, mpsc::Receiver<NewLine>) {
        let (sender, lines) = mpsc::channel(WAITING_MAX);
        (Self { sender, redactor: Redactor::new([]) }, lines)
    }

    /// Whether lines wait for the pump because storage is slow.
    pub(super) fn is_full(&self) -> bool {
        self.sender.capacity() == 0
    }

    /// Sends a line of the worker's own.
    pub(super) async fn system(&self, text: String) {
        self.line(LogStream::System, text).await;
    }
}

/// Starts the pump of an attempt. A refused batch means that the attempt is lost, and stops it.
pub(super) fn start(attempt: Attempt<'_>, redactor: Redactor) -> (Log, JoinHandle<()>) {
    let (sender, lines) = mpsc::channel(WAITING_MAX);
    let fence = attempt.guard.fence_handle();
    let pump = Pump {
        logs: attempt.shared.logs.clone(),
        job: attempt.job(),
        attempt: attempt.id,
        number: 0,
        bytes: 0,
        last: None,
        lost: 0,
    };
    let handle = tokio::spawn(async move {
        if !pump.run(lines).await {
            fence.lose();
        }
    });
    (Log { sender, redactor }, handle)
}

struct Pump {
    logs: Batcher<Batch, Appended>,
    job: JobId,
    attempt: AttemptId,
    number: i32,
    bytes: usize,
    /// The last part, once the first is full.
    last: Option<LastLines>,
    /// Lines that could not be stored since the last one that was.
    lost: usize,
}

impl Pump {
    /// Runs until all senders are dropped. Returns false if the attempt has been fenced off.
    async fn run(mut self, mut lines: mpsc::Receiver<NewLine>) -> bool {
        while let Some(first) = lines.recv().await {
            let batch = gather(first, &mut lines).await;
            let batch = self.within_limit(batch);
            if !batch.is_empty() && !self.store(batch).await {
                return false;
            }
        }
        let mut rest = self.last.take().map(LastLines::into_lines).unwrap_or_default();
        while !rest.is_empty() {
            let more = rest.split_off(rest.len().min(BATCH_LINES_MAX));
            if !self.store(rest).await {
                return false;
            }
            rest = more;
        }
        true
    }

    /// Returns false if the attempt has been fenced off.
    async fn store(&mut self, mut lines: Vec<NewLine>) -> bool {
        if self.lost > 0
            && let Some(first) = lines.first()
        {
            let text = format!("{} lines before this one could not be stored.", self.lost);
            lines.insert(0, NewLine { stream: LogStream::System, text, at: first.at });
        }
        let count = lines.len();
        self.number += 1;
        let batch = Batch { job: self.job, attempt: self.attempt, number: self.number, lines };
        match self.logs.ask(batch).await {
            Ok(Appended::Stored) => self.lost = 0,
            Ok(Appended::Stale) => return false,
            Err(error) => {
                tracing::error!(%error, job = %self.job, "log lines were lost");
                self.lost += count;
            }
        }
        true
    }

    /// Returns the lines that belong to the first part of the log, and holds the others.
    fn within_limit(&mut self, lines: Vec<NewLine>) -> Vec<NewLine> {
        let mut kept = Vec::with_capacity(lines.len());
        for line in lines {
            if let Some(last) = &mut self.last {
                last.push(line);
                continue;
            }
            self.bytes += line.text.len() + 1;
            if self.bytes <= LOG_BYTES_MAX - LAST_BYTES_MAX {
                kept.push(line);
                continue;
            }
            let text = format!(
                "The log has reached {} bytes. Of what follows, only the end is kept, when the attempt has \
                 ended.",
                LOG_BYTES_MAX - LAST_BYTES_MAX
            );
            kept.push(NewLine { stream: LogStream::System, text, at: line.at });
            self.last.insert(LastLines::default()).push(line);
        }
        kept
    }
}

/// The last lines of a log that is too long.
#[derive(Debug, Default)]
struct LastLines {
    lines: VecDeque<NewLine>,
    bytes: usize,
    left_out_lines: u64,
    left_out_bytes: u64,
}

impl LastLines {
    fn push(&mut self, line: NewLine) {
        self.bytes += line.text.len() + LINE_BYTES;
        self.lines.push_back(line);
        while self.bytes > LAST_BYTES_MAX
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.text.len() + LINE_BYTES;
            self.left_out_lines += 1;
            self.left_out_bytes += oldest.text.len() as u64 + 1;
        }
    }

    /// The lines, after one that says what was left out before them.
    fn into_lines(self) -> Vec<NewLine> {
        let mut lines = Vec::with_capacity(self.lines.len() + 1);
        if self.left_out_lines > 0
            && let Some(first) = self.lines.front()
        {
            let text = format!(
                "{} lines with {} bytes were left out here.",
                self.left_out_lines, self.left_out_bytes
            );
            lines.push(NewLine { stream: LogStream::System, text, at: first.at });
        }
        lines.extend(self.lines);
        lines
    }
}

/// Gathers the lines that arrive within [`GATHER`] of the first.
async fn gather(first: NewLine, lines: &mut mpsc::Receiver<NewLine>) -> Vec<NewLine> {
    let until = Instant::now() + GATHER;
    let mut bytes = first.text.len();
    let mut batch = vec![first];
    while batch.len() < BATCH_LINES_MAX && bytes < BATCH_BYTES_MAX {
        match tokio::time::timeout_at(until, lines.recv()).await {
            Ok(Some(line)) => {
                bytes += line.text.len();
                batch.push(line);
            }
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: String) -> NewLine {
        NewLine { stream: LogStream::Stdout, text, at: clock::now() }
    }

    #[test]
    fn the_last_part_is_bounded_and_says_what_is_missing() {
        let mut last = LastLines::default();
        last.push(line("kept".into()));
        assert_eq!(last.into_lines().len(), 1, "nothing is missing");
        let mut last = LastLines::default();
        for number in 0..100_000 {
            last.push(line(format!("{number:09}")));
        }
        assert!(last.bytes <= LAST_BYTES_MAX);
        let lines = last.into_lines();
        assert_eq!(lines.last().map(|line| line.text.as_str()), Some("000099999"));
        let missing = 100_000 - (lines.len() - 1);
        assert_eq!(lines[0].text, format!("{missing} lines with {} bytes were left out here.", missing * 10));
        assert_eq!(lines[1].text, format!("{missing:09}"));
    }
}
