//! The operations of one socket. Each is a task that queues its results for the socket's writer.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Executor, Response, Value};
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::{
    sync::{Semaphore, mpsc},
    task::AbortHandle,
};

use super::{
    OPERATIONS_MAX, QUEUE_BYTES_MAX,
    frames::{self, Dialect},
    writer::{AnswerPermits, Frame},
};
use crate::operation::{Engine, Kind, ReadyOperation, RequestId, is_request_error};

/// The running operations. All of them are stopped on drop.
#[derive(Debug, Default)]
pub(super) struct Operations {
    running: Running,
    started: u64,
    room: Room,
}

/// The bytes of answers that may wait for the writer. A larger answer waits until none does.
#[derive(Debug)]
struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(QUEUE_BYTES_MAX)))
    }
}

/// The running operations by the client's id. Ids can be reused, so each also has a number of our
/// own, and a handle that stops it.
type Running = Arc<Mutex<HashMap<String, (u64, AbortHandle)>>>;

/// Why an operation cannot be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Its id is in use.
    Duplicate,
    /// There are already [`OPERATIONS_MAX`].
    TooMany,
}

/// An operation to run in a task.
pub(super) struct Task {
    pub(super) id: String,
    pub(super) dialect: Dialect,
    pub(super) request_id: RequestId,
    pub(super) prepared: ReadyOperation,
}

impl Operations {
    /// Returns an error if no operation with this id can be started.
    pub(super) fn check(&self, id: &str) -> Result<(), NoRoom> {
        let running = self.running.lock();
        if running.contains_key(id) {
            Err(NoRoom::Duplicate)
        } else if running.len() >= OPERATIONS_MAX {
            Err(NoRoom::TooMany)
        } else {
            Ok(())
        }
    }

    /// Whether an operation is running.
    pub(super) fn are_running(&self) -> bool {
        !self.running.lock().is_empty()
    }

    /// Starts an operation.
    pub(super) fn start<E: Executor>(&mut self, engine: Engine<E>, task: Task, out: mpsc::Sender<Frame>) {
        self.started += 1;
        let (number, id, running) = (self.started, task.id.clone(), Arc::clone(&self.running));
        let room = Arc::clone(&self.room.0);
        // The lock is held until the handle is stored, so that a task that ends at once finds its
        // entry.
        let mut locked = self.running.lock();
        let handle = tokio::spawn(async move {
            let done = Done { running, number };
            run(&engine, task, &out, room, done).await;
        });
        locked.insert(id, (number, handle.abort_handle()));
    }

    /// Stops an operation at the client's request. Nothing more is sent for it.
    pub(super) fn stop(&self, id: &str) {
        let stopped = self.running.lock().remove(id);
        if let Some((_, handle)) = stopped {
            handle.abort();
        }
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        for (_, (_, handle)) in self.running.lock().drain() {
            handle.abort();
        }
    }
}

/// Removes an operation from the list before its last message is sent, because the client may then
/// reuse the id.
struct Done {
    running: Running,
    number: u64,
}

impl Done {
    fn now(&self, id: &str) {
        let mut running = self.running.lock();
        if running.get(id).is_some_and(|(number, _)| *number == self.number) {
            running.remove(id);
        }
    }
}

async fn run<E: Executor>(
    engine: &Engine<E>,
    task: Task,
    out: &mpsc::Sender<Frame>,
    room: Arc<Semaphore>,
    done: Done,
) {
    let Task { id, dialect, request_id, prepared } = task;
    let kind = prepared.kind;
    let mut results = Box::pin(engine.stream(prepared, request_id));
    let mut is_first = true;
    while let Some(answer) = results.next().await {
        let result = &*answer;
        // Errors without data and path also end a subscription that has sent messages.
        if is_request_error(result) || is_first && is_refused(kind, result) {
            drop(results);
            done.now(&id);
            return refuse(dialect, &id, result, out).await;
        }
        is_first = false;
        let to = id.clone();
        let (text, slot) = answer.write(move |response| frames::next(dialect, &to, response)).await;
        let bytes = text.len().min(QUEUE_BYTES_MAX) as u32;
        let held =
            AnswerPermits { _slot: slot, _room: Arc::clone(&room).acquire_many_owned(bytes).await.ok() };
        if out.send(Frame::Answer(text, held)).await.is_err() {
            return;
        }
    }
    done.now(&id);
    // The send fails if the socket is gone.
    let _gone = out.send(Frame::Text(frames::complete(&id))).await;
}

/// Whether the stream of a subscription could not be opened. async-graphql reports that as a first
/// result without data whose errors point at the root field.
fn is_refused(kind: Kind, result: &Response) -> bool {
    let is_about_root =
        || result.data == Value::Null && result.errors.iter().all(|error| error.path.len() <= 1);
    kind == Kind::Subscription && result.is_err() && is_about_root()
}

/// Reports that an operation was not run.
pub(super) async fn refuse(dialect: Dialect, id: &str, result: &Response, out: &mpsc::Sender<Frame>) {
    let messages = match dialect {
        Dialect::Transport => vec![frames::error(id, &result.errors)],
        Dialect::Legacy => vec![frames::next(dialect, id, result), frames::complete(id)],
    };
    for message in messages {
        if out.send(Frame::Text(message)).await.is_err() {
            return;
        }
    }
}
