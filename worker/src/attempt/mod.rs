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
            report_alive::own_up,
            settle::{Settled, Verdict},
        },
        run::{claim, fetch_work::Work},
    },
    store::jobs::attempts::ExitRecord,
};
use tokio_util::sync::CancellationToken;

use crate::{
    running_attempts::{Place, Stop},
    shared::{Claimed, Desk},
};
use compose::Prepared;
use run::Ran;

/// Runs one attempt of a job, if it can be won.
#[tracing::instrument(level = "debug", skip_all, fields(job = %ready.job))]
pub(crate) async fn attempt(desk: &Desk, ready: ReadyJob, stop: &CancellationToken) {
    // Without a lease nothing may run: a claim would only be given back, and would have used up what limits allow. With one, it is
    // asked for before the claim: what is won under a lease that ends meanwhile must not start under the next.
    let lease = tokio::select! {
        biased;
        lease = desk.nursery.lease() => lease,
        // The sweep hands it out again.
        () = stop.cancelled() => return,
    };
    let attempt: AttemptId = desk.ids.make();
    let place = desk.held.enter(ready.job, attempt, lease);
    let Some(work) = claim(desk, ready.job, attempt).await else { return };
    place.grant();
    // A claim may be granted a little ahead of the moment that a limit allows.
    tokio::time::sleep_until(work.starts_at.into()).await;
    let ran = perform(desk, &work, attempt, &place).await;
    settle(desk, &work, attempt, &place, ran).await;
}

/// Wins the job, or learns that there is nothing to run.
async fn claim(desk: &Desk, job: JobId, attempt: AttemptId) -> Option<Box<Work>> {
    match desk.claims.ask(claim::Request { job, attempt }).await {
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
async fn perform(desk: &Desk, work: &Work, attempt: AttemptId, place: &Place) -> Ran {
    if let Some(outcome) = service_limits::held_back(desk, work) {
        return Ran::without_process(outcome);
    }
    match compose::prepare(desk, work) {
        Err(failure) => Ran::without_process(Outcome::Failed(failure)),
        Ok(Prepared::Nothing { composed }) => Ran {
            composed: Some(composed),
            ..Ran::without_process(Outcome::Succeeded { result: serde_json::Value::Null })
        },
        Ok(Prepared::Process(prepared)) => run::run(desk, work, attempt, place, *prepared).await,
    }
}

/// Tells Postgres how it ended. An attempt that has been fenced off has nothing to tell.
async fn settle(desk: &Desk, work: &Work, attempt: AttemptId, place: &Place, ran: Ran) {
    let outcome = match place.reason() {
        Some(Stop::Lost) => {
            tracing::warn!(job = %work.live.job, "the attempt does not hold its job any more");
            if let Err(error) = own_up(&desk.store, attempt).await {
                tracing::warn!(%error, "it counts as one that took its worker down");
            }
            return;
        }
        Some(Stop::Cancelled) if !matches!(ran.outcome, Outcome::Succeeded { .. }) => Outcome::Cancelled,
        Some(Stop::Drained) if ran.was_stopped => {
            Outcome::Released { reason: "Its worker is being drained.".into() }
        }
        Some(Stop::Cancelled | Stop::Drained) | None => ran.outcome,
    };
    let verdict = Verdict {
        job: work.live.job,
        attempt,
        outcome,
        policy: work.policy().clone(),
        jitter: Desk::jitter(),
        composed: ran.composed,
        proxy: ran.proxy,
        exit: ran.exit,
        used: Some(Used {
            command: work.recipe.version.command_id,
            profile: work.live.profile,
            services: work.task.service_ids.clone(),
        }),
    };
    match desk.settles.ask(verdict.clone()).await {
        Ok(Settled::Done) => {}
        Ok(Settled::Stale) => tracing::warn!(job = %work.live.job, "a late verdict was refused"),
        Err(error) => settle_as_broken(desk, verdict, &error.to_string()).await,
    }
}

/// The verdict itself cannot be stored (a result that Postgres refuses, say): the job must not run for ever.
async fn settle_as_broken(desk: &Desk, verdict: Verdict, why: &str) {
    let message = format!("The outcome could not be stored: {why}");
    let outcome = Outcome::Failed(Failure::new(FailureCode::INTERNAL, message, false));
    let verdict = Verdict { outcome, composed: None, exit: ExitRecord::default(), ..verdict };
    if let Err(error) = desk.settles.ask(verdict).await {
        tracing::error!(%error, "an attempt could not be settled; its lease will run out");
    }
}
