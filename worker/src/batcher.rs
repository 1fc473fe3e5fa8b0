//! Turns many single requests into few batched steps.
//!
//! There is no timer. A request to an idle batcher runs at once, and while steps are running,
//! requests gather into the next batch. A batch is repeated until Postgres confirms it, so its step
//! must be idempotent.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use callboard::store::StoreError;
use futures::FutureExt as _;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Most requests that wait. Further callers block until there is room.
const WAITING_MAX: usize = 4096;
/// Pause before a failed batch is repeated: the first, and the longest after doubling.
const RETRY_AFTER: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Longest that one try of a step may take: a little more than any statement may (`core/store`). A
/// server that vanishes without closing its connections would block the step for a quarter of an
/// hour.
const STEP_TIMEOUT: Duration = Duration::from_secs(35);

/// Why a request has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failed {
    /// The step failed for this request, and repeating it would not help.
    #[error("{0}")]
    Refused(String),
    /// The batcher has ended.
    #[error("the worker is stopping")]
    Stopped,
}

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
        self.sender.send((request, reply)).await.map_err(|_| Failed::Stopped)?;
        answer.await.map_err(|_| Failed::Stopped)?
    }
}

/// Runs the step for a batch. If it fails or panics, each request is tried by itself, so that one
/// does not take its neighbours with it.
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
        Err(why) if requests.len() == 1 => {
            for reply in replies {
                drop(reply.send(Err(Failed::Refused(why.clone()))));
            }
        }
        Err(_) => {
            tracing::warn!(step = name, "repeating the requests of a batch one by one");
            for (request, reply) in requests.into_iter().zip(replies) {
                let answer = persist(name, step, std::slice::from_ref(&request)).await;
                let answer = answer.and_then(|mut answers| {
                    answers.pop().ok_or_else(|| "the step returned no answer".to_owned())
                });
                drop(reply.send(answer.map_err(Failed::Refused)));
            }
        }
    }
}

/// Returns the results in order, or why there are none.
async fn persist<Q: Clone, A, F, Fut>(name: &'static str, step: &F, requests: &[Q]) -> Result<Vec<A>, String>
where
    F: Fn(Vec<Q>) -> Fut,
    Fut: Future<Output = Result<Vec<A>, StoreError>>,
{
    let done = AssertUnwindSafe(repeated(name, || step(requests.to_vec()))).catch_unwind().await;
    let requests = requests.len();
    match done {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(error)) => {
            tracing::error!(%error, step = name, requests, "a step failed");
            Err(error.to_string())
        }
        // The panic hook has logged the panic.
        Err(_panic) => {
            tracing::error!(step = name, requests, "a step panicked");
            Err("the step panicked".to_owned())
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_panics_leaves_its_batch_alone() {
        let batcher = Batcher::start("test", 1, 10, |requests: Vec<u32>| async move {
            assert!(!requests.contains(&13), "unlucky");
            Ok(requests.iter().map(|request| request * 2).collect())
        });
        let asked: Vec<_> = (10..20).map(|request| batcher.ask(request)).collect();
        let answers = futures::future::join_all(asked).await;
        for (request, answer) in (10..20).zip(answers) {
            match answer {
                Ok(answer) => assert_eq!(answer, request * 2),
                Err(Failed::Refused(why)) => assert_eq!((request, why.as_str()), (13, "the step panicked")),
                Err(Failed::Stopped) => panic!("{request} was not answered"),
            }
        }
    }
}
