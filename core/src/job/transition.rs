//! The state machine of a job: [`apply`] decides every change.
//!
//! The steps call it under the job's row lock and write exactly what it returns: the new standing,
//! and one event with the next version. A test generates `docs/job-states.md` from it.

use std::time::Duration;

use super::{
    attempt::{Failure, FailureCode, Outcome},
    event::EventKind,
    state::{Ending, JobState, Standing},
};
use crate::{
    clock::{Time, written},
    duration::IsoDuration,
    ids::{AttemptId, JobId},
    limit::GateKey,
    policy::Policy,
};

/// Number of lost attempts, since the last retry by hand, at which the job fails as poison.
pub const LOST_ATTEMPTS_MAX: u32 = 3;

/// What [`apply`] needs to know about a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its state with data.
    pub standing: Standing,
    /// Attempts that counted against `maxAttempts` since the last retry by hand.
    pub counted: u32,
    /// Attempts that were lost since the last retry by hand.
    pub lost: u32,
}

/// Something that happens to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// Every job that it depends on has succeeded.
    Unblocked {
        /// When it may start.
        run_at: Time,
    },
    /// A job that it depends on finished without success.
    DependencyBroken {
        /// The dependency.
        on: JobId,
    },
    /// Its start time has come.
    Due,
    /// It is to run now, although its start time has not come.
    RunNow,
    /// A worker claimed it.
    Claimed {
        /// The attempt that the worker created.
        attempt: AttemptId,
    },
    /// A claim found it blocked at a gate.
    Parked {
        /// The gate.
        on: GateKey,
        /// The explanation for people.
        reason: String,
    },
    /// The gate at which it is parked may have room again.
    Woken,
    /// An attempt ended. Refused unless it is the running one.
    Finished {
        /// The attempt.
        attempt: AttemptId,
        /// How it ended.
        outcome: Outcome,
        /// Decides whether and when the job is retried.
        retry: Retry,
    },
    /// A cancel was requested.
    CancelAsked {
        /// The reason, if one was given.
        reason: Option<String>,
    },
    /// Its expiry has passed. Refused once an attempt has counted, because then it has started.
    Expired,
    /// A finished job is retried by hand.
    Retried {
        /// Whether it must wait for jobs that it depends on.
        is_blocked: bool,
    },
}

/// The part of a policy that decides whether a finished attempt is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Wait before the next attempt, drawn from the policy by the caller.
    pub backoff: Duration,
    /// Maximum number of counted attempts.
    pub max_attempts: u32,
    /// Maximum length of an attempt, for the message of one that timed out.
    pub timeout: IsoDuration,
}

impl Retry {
    /// Takes it from a policy, with the wait that was drawn.
    pub const fn new(policy: &Policy, backoff: Duration) -> Self {
        Self { backoff, max_attempts: policy.max_attempts, timeout: policy.timeout }
    }
}

/// What becomes of the job.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// It stays in the live table with this standing.
    Live(Standing),
    /// It leaves the live table, unless it is retried by hand.
    Ended {
        /// How it ended.
        ending: Ending,
        /// Why, unless it succeeded.
        failure: Option<Failure>,
        /// What it returned.
        result: Option<serde_json::Value>,
    },
}

impl Next {
    /// The name of the new state.
    pub const fn state(&self) -> JobState {
        match self {
            Self::Live(standing) => standing.state(),
            Self::Ended { ending, .. } => ending.state(),
        }
    }
}

/// The result of [`apply`]: everything that the step has to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The new standing.
    pub next: Next,
    /// The event to append.
    pub event: EventKind,
    /// The event's message for people. Empty if its kind says everything.
    pub message: String,
    /// Counted attempts after this transition.
    pub counted: u32,
    /// Lost attempts after this transition.
    pub lost: u32,
}

/// The transition does not apply to the job: it is late, duplicated or forbidden. Nothing is
/// written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job in state {state:?} cannot be {asked}")]
pub struct Refused {
    /// The job's state.
    pub state: JobState,
    /// What was refused, as a past participle.
    pub asked: &'static str,
}

/// Decides what a transition does to a job at `now`. Pure and total.
pub fn apply(facts: &Facts, transition: Transition, now: Time) -> Result<Applied, Refused> {
    let state = facts.standing.state();
    let refuse = |asked| Err(Refused { state, asked });
    let live = |standing, event, message: String| {
        Ok(Applied { next: Next::Live(standing), event, message, counted: facts.counted, lost: facts.lost })
    };
    #[expect(clippy::match_same_arms, reason = "one arm per transition, in the order of a job's life")]
    match (&facts.standing, transition) {
        (Standing::Blocked, Transition::Unblocked { run_at }) if run_at > now => {
            live(Standing::Scheduled { run_at, is_retry: false }, EventKind::Scheduled, String::new())
        }
        (Standing::Blocked, Transition::Unblocked { .. }) => {
            live(Standing::Queued { parked_on: None }, EventKind::Queued, String::new())
        }
        (_, Transition::Unblocked { .. }) => refuse("unblocked"),

        (Standing::Blocked, Transition::DependencyBroken { on }) => Ok(broken(facts, on)),
        (_, Transition::DependencyBroken { .. }) => refuse("cancelled because of a dependency"),

        (Standing::Scheduled { .. }, Transition::Due) => {
            live(Standing::Queued { parked_on: None }, EventKind::Queued, String::new())
        }
        (_, Transition::Due) => refuse("made ready"),
        (Standing::Scheduled { run_at, .. }, Transition::RunNow) => Ok(run_now(facts, *run_at)),
        (_, Transition::RunNow) => refuse("run now"),

        (Standing::Queued { .. }, Transition::Claimed { attempt }) => {
            live(Standing::Running { attempt, cancel_asked: false }, EventKind::Started, String::new())
        }
        (_, Transition::Claimed { .. }) => refuse("claimed"),

        (Standing::Queued { parked_on }, Transition::Parked { on, reason })
            if parked_on.as_ref() != Some(&on) =>
        {
            live(Standing::Queued { parked_on: Some(on) }, EventKind::Queued, reason)
        }
        (_, Transition::Parked { .. }) => refuse("parked"),

        (Standing::Queued { parked_on: Some(_) }, Transition::Woken) => {
            live(Standing::Queued { parked_on: None }, EventKind::Queued, String::new())
        }
        (_, Transition::Woken) => refuse("woken"),

        (
            Standing::Running { attempt, cancel_asked },
            Transition::Finished { attempt: of, outcome, retry },
        ) if *attempt == of => Ok(finish(facts, *cancel_asked, outcome, retry, now)),
        (_, Transition::Finished { .. }) => refuse("settled by that attempt"),

        (_, Transition::CancelAsked { reason }) => ask_to_cancel(facts, reason),

        (Standing::Blocked | Standing::Scheduled { .. } | Standing::Queued { .. }, Transition::Expired)
            if facts.counted == 0 =>
        {
            let failure = Failure::new(
                FailureCode::EXPIRED,
                "The job expired: no attempt that counts had started in time.",
                false,
            );
            Ok(ended(facts, Ending::Cancelled, Some(failure), None, EventKind::Cancelled, "Expired.".into()))
        }
        (_, Transition::Expired) => refuse("expired"),

        (Standing::Ended(_), Transition::Retried { is_blocked }) => {
            let standing = if is_blocked { Standing::Blocked } else { Standing::Queued { parked_on: None } };
            let next = Next::Live(standing);
            Ok(Applied { next, event: EventKind::Retried, message: String::new(), counted: 0, lost: 0 })
        }
        (_, Transition::Retried { .. }) => refuse("retried before it has finished"),
    }
}

/// Makes a scheduled job ready before its time.
fn run_now(facts: &Facts, run_at: Time) -> Applied {
    let message = format!("Run now, before its time {}.", written(run_at));
    requeued(facts, EventKind::Queued, message, 0)
}

/// Marks a running job for cancellation. A job that has not started is cancelled at once.
fn ask_to_cancel(facts: &Facts, reason: Option<String>) -> Result<Applied, Refused> {
    let refuse = |asked| Err(Refused { state: facts.standing.state(), asked });
    let message = reason.unwrap_or_default();
    match &facts.standing {
        Standing::Running { attempt, cancel_asked: false } => {
            let standing = Standing::Running { attempt: *attempt, cancel_asked: true };
            let (counted, lost) = (facts.counted, facts.lost);
            let (next, event) = (Next::Live(standing), EventKind::CancelRequested);
            Ok(Applied { next, event, message, counted, lost })
        }
        Standing::Running { cancel_asked: true, .. } => refuse("cancelled again while it is being cancelled"),
        Standing::Blocked | Standing::Scheduled { .. } | Standing::Queued { .. } => {
            Ok(ended(facts, Ending::Cancelled, None, None, EventKind::Cancelled, message))
        }
        Standing::Ended(_) => refuse("cancelled after it has finished"),
    }
}

/// Cancels a job because a dependency did not succeed.
fn broken(facts: &Facts, on: JobId) -> Applied {
    let message = format!("The job depends on {on}, which did not succeed.");
    let failure = Failure::new(FailureCode::DEPENDENCY, message.clone(), false);
    ended(facts, Ending::Cancelled, Some(failure), None, EventKind::Cancelled, message)
}

/// Settles an attempt: the job finishes, waits for its next attempt, or returns to the queue.
fn finish(facts: &Facts, cancel_asked: bool, outcome: Outcome, retry: Retry, now: Time) -> Applied {
    let counted = facts.counted + u32::from(outcome.counts());
    let facts = &Facts { counted, ..facts.clone() };
    let cancelled = || ended(facts, Ending::Cancelled, None, None, EventKind::Cancelled, String::new());
    match outcome {
        Outcome::Succeeded { result } => {
            ended(facts, Ending::Succeeded, None, Some(result), EventKind::Succeeded, String::new())
        }
        Outcome::Cancelled => cancelled(),
        _ if cancel_asked => cancelled(),
        Outcome::Failed(failure) => retry_or_fail(facts, failure, retry, now),
        Outcome::TimedOut { said } => {
            let failure = Failure::timed_out(retry.timeout, said.as_deref());
            retry_or_fail(facts, failure, retry, now)
        }
        Outcome::Lost if facts.lost + 1 >= LOST_ATTEMPTS_MAX => {
            let message = format!("{LOST_ATTEMPTS_MAX} attempts were lost with their workers.");
            let failure = Failure::new(FailureCode::POISON, message.clone(), false);
            let lost = facts.lost + 1;
            ended(
                &Facts { lost, ..facts.clone() },
                Ending::Failed,
                Some(failure),
                None,
                EventKind::Failed,
                message,
            )
        }
        Outcome::Lost => requeued(facts, EventKind::Lost, "The worker of the attempt was lost.".into(), 1),
        Outcome::Released { reason } => requeued(facts, EventKind::Released, reason, 0),
        Outcome::Throttled { reason } => requeued(facts, EventKind::Throttled, reason, 0),
    }
}

fn retry_or_fail(facts: &Facts, failure: Failure, retry: Retry, now: Time) -> Applied {
    if failure.is_retryable && facts.counted < retry.max_attempts {
        let standing = Standing::Scheduled { run_at: now + retry.backoff, is_retry: true };
        let message = format!("{}: {}", failure.code.as_str(), failure.message);
        let (counted, lost) = (facts.counted, facts.lost);
        return Applied {
            next: Next::Live(standing),
            event: EventKind::RetryScheduled,
            message,
            counted,
            lost,
        };
    }
    let message = format!("{}: {}", failure.code.as_str(), failure.message);
    ended(facts, Ending::Failed, Some(failure), None, EventKind::Failed, message)
}

fn requeued(facts: &Facts, event: EventKind, message: String, lost_more: u32) -> Applied {
    let next = Next::Live(Standing::Queued { parked_on: None });
    Applied { next, event, message, counted: facts.counted, lost: facts.lost + lost_more }
}

fn ended(
    facts: &Facts,
    ending: Ending,
    failure: Option<Failure>,
    result: Option<serde_json::Value>,
    event: EventKind,
    message: String,
) -> Applied {
    let next = Next::Ended { ending, failure, result };
    Applied { next, event, message, counted: facts.counted, lost: facts.lost }
}
