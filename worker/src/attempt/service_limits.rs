//! What services answer an attempt of their limits: it reaches their gates, for everybody, before the attempt is settled.
//!
//! Fed by the supervisor with the child's `limits` events. Decides as well whether an attempt failed because a service refused:
//! such an attempt costs nothing, and its job waits for the service. Never keeps what a service answered.

use std::time::Duration;

use callboard::{
    clock::{self, Time},
    ids::ServiceId,
    job::{FailureCode, Outcome},
    limit::{
        HoldBack,
        response::{Closed, Observation, ServiceResponse},
    },
    steps::limits::observe::RateLimitObservation,
};
use tokio::task::JoinSet;

use super::{Attempt, log_pump::Log};

/// How long the end of an attempt waits for its observations to be committed.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer of a service, as the child told of it.
#[derive(Debug)]
pub(super) struct ReportedResponse {
    /// The service's name.
    pub(super) service: String,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The beginning of the body of a refusal, redacted.
    pub(super) body: Option<String>,
    /// When the worker heard of it.
    pub(super) at: Time,
}

/// A refusal that is still in force, as far as is known.
#[derive(Debug)]
struct ServiceRefusal {
    says: String,
    /// None when the service is suspended.
    until: Option<Time>,
}

/// What one attempt has seen.
#[derive(Debug, Default)]
pub(super) struct ServiceResponses {
    refusal: Option<ServiceRefusal>,
    on_their_way: JoinSet<()>,
}

impl ServiceResponses {
    /// Takes an answer in: what this worker has claimed of the service's other jobs is held back at once.
    pub(super) async fn add(&mut self, attempt: Attempt<'_>, response: ReportedResponse, log: &Log) {
        let ReportedResponse { service: name, status, headers, body, at } = response;
        let response = ServiceResponse { status, headers: &headers, body: body.as_deref(), at };
        let (Some(service), Some(seen)) = (service_named(attempt, &name), response.observe()) else {
            return;
        };
        if let Some(refusal) = ServiceRefusal::of(&seen, &name, status, at) {
            if let Some(hint) = HoldBack::new(service, refusal.until, at) {
                attempt.shared.paused_services.apply(hint);
            }
            log.system(refusal.says.clone()).await;
            self.refusal = Some(refusal);
        }
        let (observations, observation) =
            (attempt.shared.observations.clone(), RateLimitObservation { service, at, seen });
        self.on_their_way.spawn(async move {
            if let Err(error) = observations.ask(observation).await {
                tracing::warn!(%error, "what a service answered was not noted");
            }
        });
    }

    /// Waits until all of it is committed, so that the job, and whatever comes after it, meets the gate as the service left it.
    pub(super) async fn commit(&mut self) {
        let all = async { while self.on_their_way.join_next().await.is_some() {} };
        if tokio::time::timeout(COMMIT_TIMEOUT, all).await.is_err() {
            tracing::warn!("what a service answered is not noted yet");
        }
    }

    /// What the attempt comes to.
    pub(super) fn throttle_if_refused(&self, outcome: Outcome) -> Outcome {
        let now = clock::now();
        let Some(refusal) =
            self.refusal.as_ref().filter(|refusal| refusal.until.is_none_or(|until| until > now))
        else {
            return outcome;
        };
        match outcome {
            // The client of HTTP commands makes one request: the refusal is its failure.
            Outcome::Failed(failure) if failure.is_retryable || failure.code == FailureCode::HTTP_STATUS => {
                Outcome::Throttled { reason: refusal.says.clone() }
            }
            other @ (Outcome::Failed(_)
            | Outcome::Succeeded { .. }
            | Outcome::TimedOut
            | Outcome::Lost
            | Outcome::Cancelled
            | Outcome::Released { .. }
            | Outcome::Throttled { .. }) => other,
        }
    }
}

impl ServiceRefusal {
    fn of(seen: &Observation, name: &str, status: u16, at: Time) -> Option<Self> {
        let (until, what) = match seen.closed.as_ref()? {
            Closed::Until(until) => (*until, "asked for no more requests before"),
            Closed::AtLeast(pause) => (at + *pause, "did not say until when; it is left alone until"),
            Closed::Suspended { reason } => {
                return Some(Self {
                    says: format!("{name} answered {status} and is suspended: {reason}"),
                    until: None,
                });
            }
        };
        let end = clock::written(until);
        Some(Self { says: format!("{name} answered {status} and {what} {end}."), until: Some(until) })
    }
}

/// The outcome of an attempt that does not begin, because a service of its job was heard to refuse.
pub(super) fn held_back(attempt: Attempt<'_>) -> Option<Outcome> {
    let Attempt { shared, work, .. } = attempt;
    let service = shared.paused_services.find(&work.inputs.service_ids)?;
    let name = work.found.services.get(&service).map_or("A service", |found| &found.service.name);
    Some(Outcome::Throttled { reason: format!("{name} refuses requests just now.") })
}

fn service_named(attempt: Attempt<'_>, name: &str) -> Option<ServiceId> {
    let work = attempt.work;
    let services = work.inputs.service_ids.iter();
    services.copied().find(|id| work.found.services.get(id).is_some_and(|found| found.service.name == name))
}
