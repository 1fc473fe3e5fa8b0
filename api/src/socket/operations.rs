//! The operations of one socket: each a task that runs one and puts its results on the socket's queue.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{Executor, Response, Value};
use futures::StreamExt as _;
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    OPERATIONS_MAX,
    frames::{self, Dialect},
    writer::Frame,
};
use crate::operation::{Engine, Kind, Prepared, RequestId, is_request_error};

/// Those that run. All of them are stopped when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Operations {
    running: Running,
    started: u64,
}

/// By the client's id: a number of our own, because ids are used again, and the handle that stops it.
type Running = Arc<Mutex<HashMap<String, (u64, AbortHandle)>>>;

/// Why an operation cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Its id is in use.
    Duplicate,
    /// There are [`OPERATIONS_MAX`].
    TooMany,
}

/// An operation as a task runs it.
pub(super) struct Task {
    pub(super) id: String,
    pub(super) dialect: Dialect,
    pub(super) request_id: RequestId,
    pub(super) prepared: Prepared,
}

impl Operations {
    /// Whether an operation with this id may start.
    pub(super) fn check(&self, id: &str) -> Result<(), NoRoom> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(id) {
            Err(NoRoom::Duplicate)
        } else if running.len() >= OPERATIONS_MAX {
            Err(NoRoom::TooMany)
        } else {
            Ok(())
        }
    }

    /// Starts it.
    pub(super) fn start<E: Executor>(&mut self, engine: Engine<E>, task: Task, out: mpsc::Sender<Frame>) {
        self.started += 1;
        let (number, id, running) = (self.started, task.id.clone(), Arc::clone(&self.running));
        // Locked until the handle is in, so that a task that ends at once finds itself.
        let mut locked = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = tokio::spawn(async move {
            let done = Done { running, number };
            run(&engine, task, &out, done).await;
        });
        locked.insert(id, (number, handle.abort_handle()));
    }

    /// Stops it; the client has asked to, and is told nothing more of it.
    pub(super) fn stop(&self, id: &str) {
        let stopped = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if let Some((_, handle)) = stopped {
            handle.abort();
        }
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        for (_, (_, handle)) in self.running.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            handle.abort();
        }
    }
}

/// Takes an operation off the list: before its last message goes out, because the client may use the id again then.
struct Done {
    running: Running,
    number: u64,
}

impl Done {
    fn now(&self, id: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.get(id).is_some_and(|(number, _)| *number == self.number) {
            running.remove(id);
        }
    }
}

async fn run<E: Executor>(engine: &Engine<E>, task: Task, out: &mpsc::Sender<Frame>, done: Done) {
    let Task { id, dialect, request_id, prepared } = task;
    let kind = prepared.kind;
    let mut answers = Box::pin(engine.stream(prepared, request_id));
    let mut is_first = true;
    while let Some(answer) = answers.next().await {
        if is_first && is_refused(kind, &answer) {
            drop(answers);
            done.now(&id);
            return refuse(dialect, &id, &answer, out).await;
        }
        is_first = false;
        if out.send(Frame::Text(frames::next(dialect, &id, &answer))).await.is_err() {
            return;
        }
    }
    done.now(&id);
    // The socket is gone: nobody is left to be told.
    let _gone = out.send(Frame::Text(frames::complete(&id))).await;
}

/// Whether the operation never began: a request error, or a subscription whose stream could not be opened, which
/// async-graphql tells as a first result without data whose error is about the root field itself.
fn is_refused(kind: Kind, answer: &Response) -> bool {
    let is_about_root =
        || answer.data == Value::Null && answer.errors.iter().all(|error| error.path.len() <= 1);
    is_request_error(answer) || (kind == Kind::Subscription && answer.is_err() && is_about_root())
}

/// Tells that an operation was not run.
pub(super) async fn refuse(dialect: Dialect, id: &str, answer: &Response, out: &mpsc::Sender<Frame>) {
    let messages = match dialect {
        Dialect::Transport => vec![frames::error(id, &answer.errors)],
        Dialect::Legacy => vec![frames::next(dialect, id, answer), frames::complete(id)],
    };
    for message in messages {
        if out.send(Frame::Text(message)).await.is_err() {
            return;
        }
    }
}
