//! Intake: takes references from Redis and runs an attempt for each, with apalis.
//!
//! The only file of the worker that names apalis. apalis gives the worker loop, the layers
//! (catch-panic, concurrency) and the graceful shutdown. The queue is a backend of Callboard's own
//! (`callboard::transport::queue`). The handler always returns `Ok`, because Postgres decides about
//! retries.

use std::{sync::Arc, time::Duration};

use apalis::prelude::*;
use callboard::{
    job::ReadyJob,
    transport::{
        Redis,
        queue::{ReadyQueue, Slots},
    },
};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{attempt::attempt, shared::Shared};

/// Pause before a worker loop that ended by itself (a defect) is started again.
const RESTART_AFTER: Duration = Duration::from_millis(500);

#[derive(Debug, Clone)]
struct Context {
    shared: Arc<Shared>,
    slots: Slots,
    stop: CancellationToken,
}

/// Serves queues until `stop` is cancelled. Then takes nothing new and waits for running attempts.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    redis: Redis,
    queues: Vec<String>,
    concurrency: usize,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        match one_loop(&shared, &redis, &queues, concurrency, &stop).await {
            Ok(()) => {}
            Err(error) => {
                tracing::error!(%error, "the worker loop ended; starting it again");
                tokio::time::sleep(RESTART_AFTER).await;
            }
        }
    }
}

/// One apalis worker, until `stop` is cancelled. Boxed, because the compiler cannot prove its type
/// `Send` from within an async function.
fn one_loop(
    shared: &Arc<Shared>,
    redis: &Redis,
    queues: &[String],
    concurrency: usize,
    stop: &CancellationToken,
) -> BoxFuture<'static, Result<(), WorkerError>> {
    let slots = Slots::new(concurrency);
    let context = Context { shared: shared.clone(), slots: slots.clone(), stop: stop.clone() };
    let worker = WorkerBuilder::new("callboard")
        .backend(ReadyQueue::serve(redis.clone(), queues.to_vec(), slots))
        .data(context)
        .concurrency(concurrency)
        .catch_panic()
        .parallelize(tokio::spawn)
        .build(handle);
    let until = stop.clone();
    Box::pin(worker.run_until(async move {
        until.cancelled().await;
        Ok::<(), std::io::Error>(())
    }))
}

async fn handle(ready: ReadyJob, context: Data<Context>) -> Result<(), BoxDynError> {
    let _slot = context.slots.guard();
    // Boxed, because every layer moves this function's future.
    Box::pin(attempt(&context.shared, ready, &context.stop)).await;
    Ok(())
}
