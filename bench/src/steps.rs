//! Calls the claim and settle steps directly, without Redis or a worker. Anything that they refuse
//! is an error.

use anyhow::ensure;
use callboard::{
    clock::IdSource,
    ids::{AttemptId, JobId, WorkerId},
    job::Outcome,
    steps::{
        Done,
        finish::settle::{self, Settled, Settlement},
        run::claim::{self, ClaimRequest, Decision},
    },
    store::Store,
};

/// Returns a claim request for each of these jobs.
pub(crate) fn requests(jobs: impl IntoIterator<Item = JobId>) -> Vec<ClaimRequest> {
    jobs.into_iter().map(|job| ClaimRequest { job, attempt: IdSource.make::<AttemptId>() }).collect()
}

/// Claims all of these. Fails unless every claim is granted.
pub(crate) async fn claim_all(
    store: &Store,
    worker: WorkerId,
    requests: &[ClaimRequest],
) -> anyhow::Result<()> {
    let Done { value: answers, .. } = claim::claim(store, worker, requests).await?;
    ensure!(answers.iter().all(|answer| matches!(answer, Decision::Granted(_))), "a claim was not granted");
    Ok(())
}

/// Returns a worker's verdict on an attempt that succeeded without a result.
pub(crate) fn success(request: &ClaimRequest) -> Settlement {
    Settlement::bare(request.job, request.attempt, Outcome::Succeeded { result: serde_json::Value::Null })
}

/// Settles all of these. Fails unless every verdict is accepted.
pub(crate) async fn settle_all(
    store: &Store,
    settlements: impl IntoIterator<Item = Settlement>,
) -> anyhow::Result<()> {
    let Done { value: settled, .. } = settle::settle(store, settlements.into_iter().collect()).await?;
    ensure!(settled.iter().all(|settled| *settled == Settled::Done), "a settle was refused");
    Ok(())
}
