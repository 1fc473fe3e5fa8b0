//! The ready sets as Callboard's own apalis backend, [`ReadyQueue`].
//!
//! Workers build their apalis worker on it, and references are pushed through its sink. It is the
//! only file of the core that names apalis. Rules (docs/adr/0002): a slot is taken before a
//! reference is popped, a pop takes at most as many references as there are free slots, and Redis
//! errors never reach apalis, because any backend error ends its worker.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use futures::{Sink, SinkExt as _, future::BoxFuture};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Redis, RedisError};
use crate::job::ReadyJob;

/// Most references that one pop takes.
const POP_MAX: usize = 512;
/// Pause before a retry while Redis is unavailable.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The slots of a worker. The queue takes one before it pops, the handler's guard gives it back.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Semaphore>);

impl Slots {
    /// Slots for `concurrency` jobs at once.
    pub fn new(concurrency: usize) -> Self {
        Self(Arc::new(Semaphore::new(concurrency)))
    }

    /// Gives a slot back when dropped. The handler of a popped reference holds exactly one guard.
    pub fn guard(&self) -> SlotGuard {
        SlotGuard(self.0.clone())
    }

    /// The number of free slots.
    pub fn free(&self) -> usize {
        self.0.available_permits()
    }
}

/// See [`Slots::guard`].
#[derive(Debug)]
pub struct SlotGuard(Arc<Semaphore>);

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

/// A stream of references for a worker, and a sink for dispatch.
pub struct ReadyQueue {
    redis: Redis,
    popped: mpsc::Receiver<ReadyJob>,
    stop: watch::Sender<bool>,
    closing: Option<BoxFuture<'static, ()>>,
    fetching: Option<tokio::task::JoinHandle<()>>,
    unsent: Vec<ReadyJob>,
    sending: Option<BoxFuture<'static, Result<(), RedisError>>>,
}

impl std::fmt::Debug for ReadyQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadyQueue").field("redis", &self.redis).finish_non_exhaustive()
    }
}

impl ReadyQueue {
    /// For a worker: pops references of these queues into free slots. Must be called inside Tokio.
    pub fn serve(redis: Redis, queues: Vec<String>, slots: Slots) -> Self {
        let (sender, popped) = mpsc::channel(POP_MAX);
        let (stop, stopped) = watch::channel(false);
        let fetching = tokio::spawn(fetch(redis.clone(), queues, slots, sender, stopped));
        let fetching = Some(fetching);
        Self { redis, popped, stop, closing: None, fetching, unsent: Vec::new(), sending: None }
    }

    /// For dispatch: only the sink is used.
    pub fn sink(redis: Redis) -> Self {
        let (_, popped) = mpsc::channel(1);
        let (stop, _) = watch::channel(true);
        Self { redis, popped, stop, closing: None, fetching: None, unsent: Vec::new(), sending: None }
    }
}

/// Pushes references through apalis' sink, in one round trip.
pub async fn push(redis: &Redis, jobs: Vec<ReadyJob>) -> Result<(), RedisError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut sink = ReadyQueue::sink(redis.clone());
    sink.send_all(&mut futures::stream::iter(jobs.into_iter().map(|ready| Ok(Task::new(ready))))).await
}

/// Pops while there are free slots. Survives every outage of Redis.
async fn fetch(
    redis: Redis,
    mut queues: Vec<String>,
    slots: Slots,
    sender: mpsc::Sender<ReadyJob>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut connection = None;
    while !*stopped.borrow() {
        let first = tokio::select! {
            permit = slots.0.clone().acquire_owned() => permit,
            _ = stopped.changed() => break,
        };
        let Ok(mut permits) = first else { break };
        while permits.num_permits() < POP_MAX {
            let Ok(another) = slots.0.clone().try_acquire_owned() else { break };
            permits.merge(another);
        }
        let popped = tokio::select! {
            popped = pop(&redis, &mut connection, &queues, permits.num_permits()) => popped,
            // Drops the connection with a pop under way. Dispatch finds a reference that is lost
            // there.
            _ = stopped.changed() => break,
        };
        match popped {
            Ok(jobs) => {
                // Each popped reference takes its slot to the handler's guard. Spare slots go back.
                if let Some(used) = permits.split(jobs.len()) {
                    used.forget();
                }
                for ready in jobs {
                    if sender.send(ready).await.is_err() {
                        return;
                    }
                }
                // A pop serves its first queue first, so the next pop begins with another one.
                queues.rotate_left(1);
            }
            Err(error) => {
                tracing::warn!(%error, "could not pop ready jobs, retrying");
                connection = None;
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

async fn pop(
    redis: &Redis,
    connection: &mut Option<redis::aio::MultiplexedConnection>,
    queues: &[String],
    most: usize,
) -> Result<Vec<ReadyJob>, RedisError> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(redis.blocking_connection().await?),
    };
    redis.pop_ready(connection, queues, most).await
}

impl Backend for ReadyQueue {
    type Task = Task<ReadyJob>;
    type Error = RedisError;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), RedisError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, RedisError>>> {
        self.popped.poll_recv(context).map(|popped| popped.map(|ready| Ok(Task::new(ready))))
    }

    /// Stops popping and pushes back references that were popped but not started.
    fn poll_close(&mut self, context: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), RedisError>> {
        if self.closing.is_none() {
            self.stop.send_replace(true);
            let (_, empty) = mpsc::channel(1);
            let mut popped = std::mem::replace(&mut self.popped, empty);
            let (redis, fetching) = (self.redis.clone(), self.fetching.take());
            self.closing = Some(Box::pin(async move {
                popped.close();
                let mut unstarted = Vec::new();
                while let Some(ready) = popped.recv().await {
                    unstarted.push(ready);
                }
                if let Err(error) = redis.push_ready(&unstarted).await {
                    tracing::warn!(%error, "could not push unstarted references back, dispatch will find them");
                }
                if let Some(fetching) = fetching {
                    fetching.abort();
                }
            }));
        }
        match &mut self.closing {
            Some(closing) => closing.as_mut().poll(context).map(Ok),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl BackendConfig for ReadyQueue {
    type Args = ReadyJob;
    type Id = Infallible;
    type Kind = Ephemeral;
    type Config = Redis;
    type Layer = tower::layer::util::Identity;

    fn config(&self) -> &Redis {
        &self.redis
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        tower::layer::util::Identity::new()
    }
}

/// Collects pushed tasks and sends them together on flush.
impl Sink<Task<ReadyJob>> for ReadyQueue {
    type Error = RedisError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), RedisError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, task: Task<ReadyJob>) -> Result<(), RedisError> {
        self.unsent.push(task.take().0);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), RedisError>> {
        loop {
            if let Some(sending) = &mut self.sending {
                let sent = std::task::ready!(sending.as_mut().poll(context));
                self.sending = None;
                sent?;
            }
            if self.unsent.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (redis, jobs) = (self.redis.clone(), std::mem::take(&mut self.unsent));
            self.sending = Some(Box::pin(async move { redis.push_ready(&jobs).await }));
        }
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), RedisError>> {
        self.poll_flush(context)
    }
}
