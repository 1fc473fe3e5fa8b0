//! Callboard's own apalis backend over the ready sets: [`ReadyQueue`].
//!
//! Workers build their apalis worker on it (intake), and references are pushed through its sink. The only file of
//! the core that names apalis. Rules (docs/adr/0002): a slot is taken before a reference is popped; as many are
//! popped as slots are free, never more; Redis errors never reach apalis, because any backend error ends a worker.

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
/// Pauses between tries while Redis is not available.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The slots of a worker: taken by the queue before it pops, given back by the handler's guard.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Semaphore>);

impl Slots {
    /// As many slots as jobs may run at once.
    pub fn new(concurrency: usize) -> Self {
        Self(Arc::new(Semaphore::new(concurrency)))
    }

    /// Gives a slot back when dropped. The handler of a popped reference holds exactly one.
    pub fn guard(&self) -> SlotGuard {
        SlotGuard(self.0.clone())
    }

    /// Slots that nobody uses.
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

/// The queue: a stream of references for a worker, and a sink for whoever dispatches.
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
    /// For a worker: pops references of these queues for as many slots as are free. Must be called inside Tokio.
    pub fn serve(redis: Redis, queues: Vec<String>, slots: Slots) -> Self {
        let (sender, popped) = mpsc::channel(POP_MAX);
        let (stop, stopped) = watch::channel(false);
        let fetching = tokio::spawn(fetch(redis.clone(), queues, slots, sender, stopped));
        let fetching = Some(fetching);
        Self { redis, popped, stop, closing: None, fetching, unsent: Vec::new(), sending: None }
    }

    /// For whoever dispatches: only the sink is used.
    pub fn sink(redis: Redis) -> Self {
        let (_, popped) = mpsc::channel(1);
        let (stop, _) = watch::channel(true);
        Self { redis, popped, stop, closing: None, fetching: None, unsent: Vec::new(), sending: None }
    }
}

/// Hands references over through apalis' sink, in one round trip.
pub async fn push(redis: &Redis, jobs: Vec<ReadyJob>) -> Result<(), RedisError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut sink = ReadyQueue::sink(redis.clone());
    sink.send_all(&mut futures::stream::iter(jobs.into_iter().map(|ready| Ok(Task::new(ready))))).await
}

/// Pops while there are free slots, and survives every outage of Redis.
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
            // The connection is dropped with a pop under way; a reference lost there is found by dispatch.
            _ = stopped.changed() => break,
        };
        match popped {
            Ok(jobs) => {
                // Each popped reference carries its slot to the handler's guard; the rest goes back.
                if let Some(used) = permits.split(jobs.len()) {
                    used.forget();
                }
                for ready in jobs {
                    if sender.send(ready).await.is_err() {
                        return;
                    }
                }
                // The first queue of a pop is served first: the next pop begins with another one.
                queues.rotate_left(1);
            }
            Err(error) => {
                tracing::warn!(%error, "could not pop ready jobs; trying again");
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

    /// Stops popping and hands back what was popped and not started.
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
                    tracing::warn!(%error, "could not hand back what was not started; dispatch will find it");
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

/// Pushing: tasks are collected and go out together with one flush.
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
