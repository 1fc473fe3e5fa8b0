//! Reports what services say about their limits to their gates, before the attempt is settled.
//!
//! Also decides whether an attempt failed because a service refused. Such an attempt is throttled:
//! it does not count, and its job waits for the service. Bodies and headers are not stored.

use std::time::Duration;

use callboard::{
    clock::{self, Time},
    ids::{JobId, ServiceId},
    job::{FailureCode, Outcome},
    limit::{
        HoldBack,
        response::{Closed, Observation, ServiceResponse},
    },
    steps::limits::observe::RateLimitObservation,
    store::{Store, jobs::records},
};
use tokio::task::JoinSet;

use super::{Attempt, log_pump::Log};

/// How long settling waits for the observations to be committed.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A service's response, as the child reported it.
#[derive(Debug)]
pub(super) struct ReportedResponse {
    /// The service's name.
    pub(super) service: String,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The beginning of a refusal's body, redacted.
    pub(super) body: Option<String>,
    /// When the worker read the event.
    pub(super) at: Time,
}

/// The latest refusal.
#[derive(Debug)]
struct ServiceRefusal {
    says: String,
    /// `None` if the service is suspended.
    until: Option<Time>,
}

/// The responses of one attempt.
#[derive(Debug, Default)]
pub(super) struct ServiceResponses {
    refusal: Option<ServiceRefusal>,
    commits: JoinSet<()>,
}

impl ServiceResponses {
    /// Records a response. After a refusal, this worker's other attempts for the service are held
    /// back.
    pub(super) async fn add(&mut self, attempt: Attempt<'_>, response: ReportedResponse, log: &Log) {
        let ReportedResponse { service: name, status, headers, body, at } = response;
        let response = ServiceResponse { status, headers: &headers, body: body.as_deref(), at };
        let (Some(service), Some(seen)) = (service_named(attempt, &name), response.observe()) else {
            return;
        };
        if let Some(refusal) = ServiceRefusal::of(&seen, &name, status, at) {
            let now = attempt.database_now();
            if let Some(hint) = HoldBack::new(service, refusal.until.map(|until| now + (until - at)), now) {
                attempt.shared.paused_services.apply(hint);
            }
            log.system(refusal.says.clone()).await;
            self.refusal = Some(refusal);
        }
        let (observations, store) = (attempt.shared.observations.clone(), attempt.shared.store.clone());
        let (job, was_private) = (attempt.job(), attempt.work.recipe.version.is_private);
        let unquoted = seen.clone().unquoted(kept_back(&name, status, job));
        self.commits.spawn(async move {
            // The gate is shown to everybody, also where the job's contents are not.
            let is_told = unquoted == seen || !was_private && !is_private_now(&store, job).await;
            let seen = if is_told { seen } else { unquoted };
            let observation = RateLimitObservation { service, at, seen };
            if let Err(error) = observations.ask(observation).await {
                tracing::warn!(%error, "what a service said about its limits was not recorded");
            }
        });
    }

    /// Waits until all observations are committed, so that the job's next claim meets the changed
    /// gate.
    pub(super) async fn commit(&mut self) {
        let all = async { while self.commits.join_next().await.is_some() {} };
        if tokio::time::timeout(COMMIT_TIMEOUT, all).await.is_err() {
            tracing::warn!("what a service said about its limits is not recorded yet");
        }
    }

    /// Returns `Throttled` if the attempt failed while a refusal was in force, and else the outcome
    /// unchanged. A browser may take longer to close than a service asks to be left alone.
    pub(super) fn throttle_if_refused(&self, outcome: Outcome, ended: Time) -> Outcome {
        let Some(refusal) =
            self.refusal.as_ref().filter(|refusal| refusal.until.is_none_or(|until| until > ended))
        else {
            return outcome;
        };
        match outcome {
            // The HTTP child makes one request, so HTTP_STATUS is the refusal, retryable or not.
            Outcome::Failed(failure) if failure.is_retryable || failure.code == FailureCode::HTTP_STATUS => {
                Outcome::Throttled { reason: refusal.says.clone() }
            }
            other @ (Outcome::Failed(_)
            | Outcome::Succeeded { .. }
            | Outcome::TimedOut { .. }
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
            Closed::Until(until) => (*until, "It asked for no more requests before"),
            Closed::AtLeast(pause) => (at + *pause, "It did not say for how long. Its jobs wait until"),
            Closed::Suspended { reason } => {
                let says = format!(
                    "The service {name} returned {status} and is suspended until it is resumed: {reason}"
                );
                return Some(Self { says, until: None });
            }
        };
        let end = clock::written(until);
        Some(Self {
            says: format!("The service {name} returned {status}. {what} {end}."),
            until: Some(until),
        })
    }
}

/// Why a service is suspended, without its own words.
fn kept_back(service: &str, status: u16, job: JobId) -> String {
    format!(
        "{service} returned {status}, which says that a paid quota is exhausted. Its message is in the log of \
         {job}, whose command is private."
    )
}

/// Whether the job's contents are kept back by the newest version of its command. What is not known
/// is.
async fn is_private_now(store: &Store, job: JobId) -> bool {
    let found = async {
        let mut connection = store.connection().await?;
        records::private(&mut connection, &[job]).await
    };
    found.await.map_or_else(
        |error| {
            tracing::warn!(%error, %job, "whether a command is private could not be read");
            true
        },
        |private| !private.is_empty(),
    )
}

/// The outcome of an attempt that does not start because one of the job's services refuses
/// requests.
pub(super) fn held_back(attempt: Attempt<'_>) -> Option<Outcome> {
    let Attempt { shared, work, .. } = attempt;
    let service = shared.paused_services.find(&work.inputs.service_ids, work.at)?;
    let found = work.found.services.get(&service);
    let name = found.map_or_else(|| service.to_string(), |found| found.service.name.clone());
    Some(Outcome::Throttled { reason: format!("The service {name} refuses requests at the moment.") })
}

fn service_named(attempt: Attempt<'_>, name: &str) -> Option<ServiceId> {
    let work = attempt.work;
    let services = work.inputs.service_ids.iter();
    services.copied().find(|id| work.found.services.get(id).is_some_and(|found| found.service.name == name))
}

#[cfg(test)]
mod tests {
    use callboard::job::Failure;

    use super::*;

    #[test]
    fn an_attempt_that_failed_during_a_refusal_is_throttled() {
        let until = clock::now();
        let refusal = |until| Some(ServiceRefusal { says: "It returned 429.".to_owned(), until });
        let failed = || Outcome::Failed(Failure::new(FailureCode::EXIT_CODE, "got 429", true));
        let second = Duration::from_secs(1);
        for (refusal, ended, is_throttled) in [
            (refusal(Some(until)), until - second, true),
            (refusal(Some(until)), until + second, false),
            (refusal(None), until + second, true),
            (None, until, false),
        ] {
            let responses = ServiceResponses { refusal, commits: JoinSet::new() };
            let outcome = responses.throttle_if_refused(failed(), ended);
            assert_eq!(matches!(outcome, Outcome::Throttled { .. }), is_throttled);
        }
    }
}
