//! The claim and settle steps, called directly, with no Redis and no worker around them. Whatever they do not do is an error.

use anyhow::ensure;
use callboard::{
    clock::IdSource,
    ids::{AttemptId, JobId, WorkerId},
    job::Outcome,
    steps::{
        finish::settle::{self, Settled, Verdict},
        run::claim::{self, Answer, Request},
    },
    store::Store,
};

/// Asks for each of these jobs.
pub(crate) fn requests(jobs: impl IntoIterator<Item = JobId>) -> Vec<Request> {
    jobs.into_iter().map(|job| Request { job, attempt: IdSource.make::<AttemptId>() }).collect()
}

/// All of them are granted.
pub(crate) async fn claim_all(store: &Store, worker: WorkerId, requests: &[Request]) -> anyhow::Result<()> {
    let (answers, _untold) = claim::claim(store, worker, requests).await?;
    ensure!(answers.iter().all(|answer| matches!(answer, Answer::Granted(_))), "a claim was not granted");
    Ok(())
}

/// What a worker says of an attempt that has succeeded with nothing to tell.
pub(crate) fn success(request: &Request) -> Verdict {
    Verdict::bare(request.job, request.attempt, Outcome::Succeeded { result: serde_json::Value::Null })
}

/// All of these are taken.
pub(crate) async fn settle_all(
    store: &Store,
    verdicts: impl IntoIterator<Item = Verdict>,
) -> anyhow::Result<()> {
    let (settled, _untold) = settle::settle(store, verdicts.into_iter().collect()).await?;
    ensure!(settled.iter().all(|settled| *settled == Settled::Done), "a settle was refused");
    Ok(())
}
