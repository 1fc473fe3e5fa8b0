//! The pipeline of one attempt: claim the job, compose its command, run it, settle the outcome.
//!
//! This file is the story of one attempt, from top to bottom. The part with a process is in
//! [`run`]. When [`attempt`] returns, nothing of the attempt is left on this machine.

mod announcements;
mod artifacts;
mod compose;
mod directories;
mod left_files;
mod line_pipe;
mod literal_variables;
mod log_pump;
mod log_texts;
mod messages;
mod outcome;
mod output;
mod program_result;
mod proxy_failure;
mod redaction;
mod run;
mod service_limits;
mod spawn_request;
mod supervise;

use callboard::{
    clock::Time,
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
    batcher::{Failed, repeated},
    running_attempts::{AttemptGuard, StopReason},
    shared::{Claimed, Shared},
};
use compose::Prepared;
use outcome::AttemptResult;

/// An attempt whose claim was granted.
#[derive(Debug, Clone, Copy)]
struct Attempt<'a> {
    shared: &'a Shared,
    work: &'a Work,
    id: AttemptId,
    guard: &'a AttemptGuard,
}

/// Runs one attempt of a job, unless another worker holds the job or a limit forbids it.
#[tracing::instrument(level = "debug", skip_all, fields(job = %ready.job))]
pub(crate) async fn attempt(shared: &Shared, ready: ReadyJob, stop: &CancellationToken) {
    // Without a lease nothing may run, and a claim would only use up what limits allow. The lease
    // is taken before the claim, because what is claimed under one lease must not start under the
    // next.
    let lease = tokio::select! {
        biased;
        lease = shared.shim_pool.lease() => lease,
        // The comparison of marks with Redis hands the job out again.
        () = stop.cancelled() => return,
    };
    let id: AttemptId = shared.ids.make();
    let guard = shared.running.enter(ready.job, id, lease);
    let Some(work) = claim(shared, ready.job, id).await else { return };
    guard.grant();
    // Claims are granted a little before the moment that a rate limit allows.
    tokio::time::sleep_until(work.starts_at.into()).await;
    let attempt = Attempt { shared, work: &work, id, guard: &guard };
    let result = attempt.perform().await;
    attempt.settle(result).await;
}

/// Claims the job. `None` if there is nothing to run.
async fn claim(shared: &Shared, job: JobId, attempt: AttemptId) -> Option<Box<Work>> {
    match shared.claims.ask(claim::ClaimRequest { job, attempt }).await {
        Ok(Claimed::Granted(work)) => Some(work),
        Ok(Claimed::Refused) => None,
        Err(error) => {
            // The claim may have been granted all the same. Then a renewal of the lease finds it.
            tracing::error!(%error, %job, "a claim failed");
            None
        }
    }
}

impl Attempt<'_> {
    fn job(&self) -> JobId {
        self.work.live.job
    }

    /// The attempt's number within its job, from 1.
    fn number(&self) -> i32 {
        self.work.live.attempt
    }

    /// The time by the database's clock, to within the duration of a claim.
    fn database_now(self) -> Time {
        self.work.at + self.work.starts_at.elapsed()
    }

    /// Composes and runs. Returns a result whatever happens.
    async fn perform(self) -> AttemptResult {
        if let Some(outcome) = service_limits::held_back(self) {
            return AttemptResult::without_process(outcome);
        }
        match compose::prepare(self).await {
            Err(outcome) => AttemptResult::without_process(outcome),
            Ok(Prepared::Noop { composed }) => AttemptResult {
                composed: Some(composed),
                ..AttemptResult::without_process(Outcome::Succeeded { result: serde_json::Value::Null })
            },
            Ok(Prepared::Process(prepared)) => {
                let redactor = prepared.redactor.clone();
                run::run(self, *prepared).await.redacted(&redactor)
            }
        }
    }

    /// Records the outcome in Postgres, unless the attempt has been fenced off.
    async fn settle(self, result: AttemptResult) {
        let is_lost = self.guard.reason() == Some(StopReason::Lost);
        let outcome = match (self.guard.reason(), result.outcome) {
            // What has happened is reported in any case. The fence decides whether it still counts.
            (_, outcome @ Outcome::Succeeded { .. })
            | (Some(StopReason::Lost), outcome @ Outcome::Failed(_))
            | (Some(StopReason::Drained) | None, outcome) => outcome,
            (Some(StopReason::Lost), _) => return self.report_alive().await,
            (Some(StopReason::Cancelled), _) => Outcome::Cancelled,
        };
        let settlement = Settlement {
            job: self.job(),
            attempt: self.id,
            outcome,
            policy: self.work.policy().clone(),
            jitter: Shared::jitter(),
            composed: result.composed,
            proxy: result.proxy,
            exit: result.exit,
            used: Some(Used {
                command: self.work.recipe.version.command_id,
                profile: self.work.live.profile,
                services: self.work.inputs.service_ids.clone(),
            }),
        };
        match self.shared.settles.ask(settlement.clone()).await {
            Ok(Settled::Done) => {}
            Ok(Settled::Stale) if is_lost => self.report_alive().await,
            Ok(Settled::Stale) => tracing::warn!(job = %self.job(), "a late settlement was refused"),
            Err(Failed::Refused(why)) => self.settle_as_failed(settlement, &why).await,
            Err(Failed::Stopped) => {
                tracing::error!(job = %self.job(), "the worker stopped before an attempt was settled");
            }
        }
    }

    /// Records that this worker ended a lost attempt by itself, so that the attempt does not count
    /// towards the lost attempts that fail a job.
    async fn report_alive(self) {
        tracing::warn!(job = %self.job(), "the attempt no longer holds its job");
        let reported = repeated("report alive", || report_alive(&self.shared.store, self.id)).await;
        if let Err(error) = reported {
            tracing::warn!(%error, "could not report the worker alive; the lost attempt counts");
        }
    }

    /// Fails an attempt whose outcome Postgres refuses, for example because of its result. Without
    /// this, a renewal of the lease would release the job, and it would run again for ever.
    async fn settle_as_failed(self, settlement: Settlement, why: &str) {
        let failure = match &settlement.outcome {
            Outcome::Succeeded { .. } => Failure::of_unkept_result(&format!("Postgres refused it: {why}")),
            Outcome::Failed(_)
            | Outcome::TimedOut { .. }
            | Outcome::Cancelled
            | Outcome::Lost
            | Outcome::Released { .. }
            | Outcome::Throttled { .. } => {
                let message = format!("The outcome could not be stored: {why}");
                Failure::new(FailureCode::INTERNAL, message, false)
            }
        };
        let outcome = Outcome::Failed(failure);
        let settlement = Settlement { outcome, composed: None, exit: ExitRecord::default(), ..settlement };
        if let Err(error) = self.shared.settles.ask(settlement).await {
            tracing::error!(%error, "an attempt could not be settled; the next renewals will release it");
        }
    }
}
