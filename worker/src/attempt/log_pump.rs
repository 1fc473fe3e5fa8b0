//! The log pump of one attempt: takes redacted lines and stores them in bounded, numbered batches.
//!
//! One batch is under way at a time, so that slow storage slows the child down instead of filling
//! memory. When the log reaches its limit, one last line says so.

use std::time::Duration;

use callboard::{
    clock,
    ids::{AttemptId, JobId},
    store::jobs::logs::{Appended, Batch, LogStream, NewLine},
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::Attempt;
use crate::batcher::Batcher;

/// Most lines and bytes of one batch.
const BATCH_LINES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// How long a batch is gathered, from its first line on.
const GATHER: Duration = Duration::from_millis(40);
/// Bytes of log that one attempt may store.
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most lines that wait for the pump.
const WAITING_MAX: usize = 1024;
/// How long output may go on after the last process is gone, while lines can be stored.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(30);

/// Where readers send lines. Cheap to clone. The pump ends when all clones are dropped.
#[derive(Debug, Clone)]
pub(super) struct Log(mpsc::Sender<NewLine>);

impl Log {
    /// Sends one line, waiting while the pump is busy. After the pump has ended, lines are dropped.
    pub(super) async fn line(&self, stream: LogStream, text: String) {
        let text = if text.contains('\n') { text.replace('\n', " ") } else { text };
        drop(self.0.send(NewLine { stream, text, at: clock::now() }).await);
    }

    /// Waits for what the readers of the child's output have to tell, after its last process is
    /// gone. Nothing holds the pipes any more, so this ends soon. But while Postgres is away, lines
    /// wait in a full queue, and what the child told stands behind them. `None` if a pipe stays
    /// open although lines can be stored.
    pub(super) async fn patiently<T>(&self, output: impl Future<Output = T>) -> Option<T> {
        let mut output = std::pin::pin!(output);
        loop {
            if let Ok(done) = tokio::time::timeout(OUTPUT_TIMEOUT, &mut output).await {
                return Some(done);
            }
            if self.0.capacity() > 0 {
                return None;
            }
        }
    }

    /// Sends a line of the worker's own.
    pub(super) async fn system(&self, text: String) {
        self.line(LogStream::System, text).await;
    }
}

/// Starts the pump of an attempt. A refused batch means that the attempt is lost, and stops it.
pub(super) fn start(attempt: Attempt<'_>) -> (Log, JoinHandle<()>) {
    let (sender, lines) = mpsc::channel(WAITING_MAX);
    let fence = attempt.guard.fence_handle();
    let pump = Pump {
        logs: attempt.shared.logs.clone(),
        job: attempt.job(),
        attempt: attempt.id,
        number: 0,
        bytes: 0,
        is_full: false,
    };
    let handle = tokio::spawn(async move {
        if !pump.run(lines).await {
            fence.lose();
        }
    });
    (Log(sender), handle)
}

struct Pump {
    logs: Batcher<Batch, Appended>,
    job: JobId,
    attempt: AttemptId,
    number: i32,
    bytes: usize,
    is_full: bool,
}

impl Pump {
    /// Runs until all senders are dropped. Returns false if the attempt has been fenced off.
    async fn run(mut self, mut lines: mpsc::Receiver<NewLine>) -> bool {
        let mut lost = 0;
        while let Some(first) = lines.recv().await {
            let at = first.at;
            let batch = gather(first, &mut lines).await;
            let mut batch = self.within_limit(batch);
            if batch.is_empty() {
                continue;
            }
            if lost > 0 {
                let text = format!("{lost} lines before this one could not be stored.");
                batch.insert(0, NewLine { stream: LogStream::System, text, at });
            }
            let count = batch.len();
            self.number += 1;
            let batch = Batch { job: self.job, attempt: self.attempt, number: self.number, lines: batch };
            match self.logs.ask(batch).await {
                Ok(Appended::Stored) => lost = 0,
                Ok(Appended::Stale) => return false,
                Err(error) => {
                    tracing::error!(%error, job = %self.job, "log lines were lost");
                    lost += count;
                }
            }
        }
        true
    }

    /// Drops lines over the limit and puts one marker line in their place.
    fn within_limit(&mut self, lines: Vec<NewLine>) -> Vec<NewLine> {
        let mut kept = Vec::with_capacity(lines.len());
        for line in lines {
            if self.is_full {
                break;
            }
            self.bytes += line.text.len() + 1;
            if self.bytes > LOG_BYTES_MAX {
                self.is_full = true;
                let text = format!("The log has reached {LOG_BYTES_MAX} bytes. Later lines are not stored.");
                kept.push(NewLine { stream: LogStream::System, text, at: line.at });
                break;
            }
            kept.push(line);
        }
        kept
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
