//! Turns many single requests into few batched steps.
//!
//! There is no timer. A request to an idle batcher runs at once, and while steps are running,
//! requests gather into the next batch. A batch is repeated until Postgres confirms it, so its step
//! must be idempotent.

use std::{sync::Arc, time::Duration};

use callboard::store::StoreError;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Most requests that wait. Further callers block until there is room.
const WAITING_MAX: usize = 4096;
/// Pause before a failed batch is repeated: the first, and the longest after doubling.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Longest that one try of a step may take: a little more than any statement may (`core/store`). A
/// server that vanishes without closing its connections would block the step for a quarter of an
/// hour.
const STEP_TIMEOUT: Duration = Duration::from_secs(35);

/// The step failed for this request, and repeating it would not help.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failed(String);

type Reply<A> = oneshot::Sender<Result<A, Failed>>;

/// A handle to a batching actor. Cheap to clone.
#[derive(Debug)]
pub(crate) struct Batcher<Q, A> {
    sender: mpsc::Sender<(Q, Reply<A>)>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts the actor. `step` takes at most `most` requests and returns their results in order.
    /// At most `concurrency` steps run at once.
    pub(crate) fn start<F, Fut>(name: &'static str, concurrency: usize, most: usize, step: F) -> Self
    where
        F: Fn(Vec<Q>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<A>, StoreError>> + Send,
    {
        let (sender, mut waiting) = mpsc::channel::<(Q, Reply<A>)>(WAITING_MAX);
        let (step, concurrency) = (Arc::new(step), Arc::new(Semaphore::new(concurrency)));
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(most);
            loop {
                let Ok(permit) = concurrency.clone().acquire_owned().await else { return };
                if waiting.recv_many(&mut batch, most).await == 0 {
                    return;
                }
                let (step, batch) = (step.clone(), std::mem::replace(&mut batch, Vec::with_capacity(most)));
                tokio::spawn(async move {
                    carry_out(name, &*step, batch).await;
                    drop(permit);
                });
            }
        });
        Self { sender }
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask(&self, request: Q) -> Result<A, Failed> {
        let (reply, answer) = oneshot::channel();
        let closed = || Failed("the worker is stopping".into());
        self.sender.send((request, reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn carry_out<Q: Clone, A, F, Fut>(name: &'static str, step: &F, batch: Vec<(Q, Reply<A>)>)
where
    F: Fn(Vec<Q>) -> Fut,
    Fut: Future<Output = Result<Vec<A>, StoreError>>,
{
    let (requests, replies): (Vec<Q>, Vec<Reply<A>>) = batch.into_iter().unzip();
    match persist(name, step, &requests).await {
        Ok(answers) => {
            for (reply, answer) in replies.into_iter().zip(answers) {
                // The caller may be gone.
                drop(reply.send(Ok(answer)));
            }
        }
        Err(error) if requests.len() == 1 => {
            tracing::error!(%error, step = name, "a step failed");
            for reply in replies {
                drop(reply.send(Err(Failed(error.to_string()))));
            }
        }
        Err(error) => {
            tracing::warn!(%error, step = name, "a batch failed; repeating its requests one by one");
            for (request, reply) in requests.into_iter().zip(replies) {
                let answer = persist(name, step, std::slice::from_ref(&request)).await;
                let answer = answer.map(|mut answers| answers.pop());
                let failed = |error: StoreError| {
                    tracing::error!(%error, step = name, "a step failed");
                    Failed(error.to_string())
                };
                let answer = answer.map_err(failed);
                let answer = answer
                    .and_then(|answer| answer.ok_or_else(|| Failed("the step returned no answer".into())));
                drop(reply.send(answer));
            }
        }
    }
}

async fn persist<Q: Clone, A, F, Fut>(
    name: &'static str,
    step: &F,
    requests: &[Q],
) -> Result<Vec<A>, StoreError>
where
    F: Fn(Vec<Q>) -> Fut,
    Fut: Future<Output = Result<Vec<A>, StoreError>>,
{
    repeated(name, || step(requests.to_vec())).await
}

/// Repeats an idempotent step while Postgres is down, read-only or contended, or the outcome of a
/// COMMIT is unknown. There is no bound: what happened has to be written down, and while Postgres
/// is away nothing else can run. The fence refuses what comes too late.
pub(crate) async fn repeated<A, F, Fut>(name: &'static str, step: F) -> Result<A, StoreError>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<A, StoreError>>,
{
    let mut pause = RETRY_AFTER.0;
    loop {
        match tokio::time::timeout(STEP_TIMEOUT, step()).await {
            Err(_) => tracing::warn!(step = name, "Postgres did not reply to a step, retrying"),
            Ok(Err(error)) if error.is_transient() || matches!(error, StoreError::CommitUnknown(_)) => {
                tracing::warn!(%error, step = name, "a step failed, retrying");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_AFTER.1);
            }
            Ok(done) => return done,
        }
    }
}
