//! The pipeline of one attempt: claim -> compose -> run -> settle.
//!
//! Called by the intake for every reference that was popped. The run itself (process, output, timeout, stop) is in
//! [`run`]; this file reads as the story of an attempt. Always ends with nothing of the attempt left on the machine.

mod artifacts;
mod compose;
pub(crate) mod directories;
mod log_pump;
mod messages;
mod outcome;
mod output;
mod proxy_failure;
mod run;
mod service_limits;
mod spawn_request;

use callboard::{
    ids::{AttemptId, JobId},
    job::{Failure, FailureCode, Outcome, ReadyJob, Used},
    steps::{
        finish::{
            report_alive::report_alive,
            settle::{Settled, Settlement},
        },
        run::{claim, fetch_work::Work},
    },
    store::jobs::attempts::ExitRecord,
};
use tokio_util::sync::CancellationToken;

use crate::{
    running_attempts::{AttemptGuard, StopReason},
    shared::{Claimed, Shared},
};
use compose::Prepared;
use run::AttemptResult;

/// Runs one attempt of a job, if it can be won.
#[tracing::instrument(level = "debug", skip_all, fields(job = %ready.job))]
pub(crate) async fn attempt(shared: &Shared, ready: ReadyJob, stop: &CancellationToken) {
    // Without a lease nothing may run: a claim would only be given back, and would have used up what limits allow. With one, it is
    // asked for before the claim: what is won under a lease that ends meanwhile must not start under the next.
    let lease = tokio::select! {
        biased;
        lease = shared.shim_pool.lease() => lease,
        // The sweep hands it out again.
        () = stop.cancelled() => return,
    };
    let attempt: AttemptId = shared.ids.make();
    let guard = shared.held.enter(ready.job, attempt, lease);
    let Some(work) = claim(shared, ready.job, attempt).await else { return };
    guard.grant();
    // A claim may be granted a little ahead of the moment that a limit allows.
    tokio::time::sleep_until(work.starts_at.into()).await;
    let result = perform(shared, &work, attempt, &guard).await;
    settle(shared, &work, attempt, &guard, result).await;
}

/// Wins the job, or learns that there is nothing to run.
async fn claim(shared: &Shared, job: JobId, attempt: AttemptId) -> Option<Box<Work>> {
    match shared.claims.ask(claim::ClaimRequest { job, attempt }).await {
        Ok(Claimed::Granted(work)) => Some(work),
        Ok(Claimed::Refused) => None,
        Err(error) => {
            // The claim may have been granted all the same: the next lease renewal finds and releases it.
            tracing::error!(%error, %job, "a claim failed");
            None
        }
    }
}

/// Composes and runs. Answers how it ended, whatever happens.
async fn perform(shared: &Shared, work: &Work, attempt: AttemptId, guard: &AttemptGuard) -> AttemptResult {
    if let Some(outcome) = service_limits::held_back(shared, work) {
        return AttemptResult::without_process(outcome);
    }
    match compose::prepare(shared, work) {
        Err(failure) => AttemptResult::without_process(Outcome::Failed(failure)),
        Ok(Prepared::Nothing { composed }) => AttemptResult {
            composed: Some(composed),
            ..AttemptResult::without_process(Outcome::Succeeded { result: serde_json::Value::Null })
        },
        Ok(Prepared::Process(prepared)) => run::run(shared, work, attempt, guard, *prepared).await,
    }
}

/// Tells Postgres how it ended. An attempt that has been fenced off has nothing to tell.
async fn settle(
    shared: &Shared,
    work: &Work,
    attempt: AttemptId,
    guard: &AttemptGuard,
    result: AttemptResult,
) {
    let outcome = match guard.reason() {
        Some(StopReason::Lost) => {
            tracing::warn!(job = %work.live.job, "the attempt does not hold its job any more");
            if let Err(error) = report_alive(&shared.store, attempt).await {
                tracing::warn!(%error, "it counts as one that took its worker down");
            }
            return;
        }
        Some(StopReason::Cancelled) if !matches!(result.outcome, Outcome::Succeeded { .. }) => {
            Outcome::Cancelled
        }
        Some(StopReason::Drained) if result.was_stopped => {
            Outcome::Released { reason: "Its worker is being drained.".into() }
        }
        Some(StopReason::Cancelled | StopReason::Drained) | None => result.outcome,
    };
    let settlement = Settlement {
        job: work.live.job,
        attempt,
        outcome,
        policy: work.policy().clone(),
        jitter: Shared::jitter(),
        composed: result.composed,
        proxy: result.proxy,
        exit: result.exit,
        used: Some(Used {
            command: work.recipe.version.command_id,
            profile: work.live.profile,
            services: work.inputs.service_ids.clone(),
        }),
    };
    match shared.settles.ask(settlement.clone()).await {
        Ok(Settled::Done) => {}
        Ok(Settled::Stale) => tracing::warn!(job = %work.live.job, "a late verdict was refused"),
        Err(error) => settle_as_broken(shared, settlement, &error.to_string()).await,
    }
}

/// The verdict itself cannot be stored (a result that Postgres refuses, say): the job must not run for ever.
async fn settle_as_broken(shared: &Shared, settlement: Settlement, why: &str) {
    let message = format!("The outcome could not be stored: {why}");
    let outcome = Outcome::Failed(Failure::new(FailureCode::INTERNAL, message, false));
    let settlement = Settlement { outcome, composed: None, exit: ExitRecord::default(), ..settlement };
    if let Err(error) = shared.settles.ask(settlement).await {
        tracing::error!(%error, "an attempt could not be settled; its lease will run out");
    }
}
