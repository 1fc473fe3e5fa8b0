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

/// Where readers send lines. Cheap to clone. The pump ends when all clones are dropped.
#[derive(Debug, Clone)]
pub(super) struct Log(mpsc::Sender<NewLine>);

impl Log {
    /// Sends one line, waiting while the pump is busy. After the pump has ended, lines are dropped.
    pub(super) async fn line(&self, stream: LogStream, text: String) {
        // Postgres' text holds no NUL, and a line holds no line break.
        let text = if text.contains(['\0', '\n']) {
            text.replace('\0', "\u{fffd}").replace('\n', " ")
        } else {
            text
        };
        drop(self.0.send(NewLine { stream, text, at: clock::now() }).await);
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
        while let Some(first) = lines.recv().await {
            let batch = gather(first, &mut lines).await;
            let batch = self.within_limit(batch);
            if batch.is_empty() {
                continue;
            }
            self.number += 1;
            let batch = Batch { job: self.job, attempt: self.attempt, number: self.number, lines: batch };
            match self.logs.ask(batch).await {
                Ok(Appended::Stored) => {}
                Ok(Appended::Stale) => return false,
                Err(error) => tracing::error!(%error, job = %self.job, "log lines were lost"),
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
