//! The state machine of a job: one pure function decides every change.
//!
//! The steps call [`apply`] under the job's row lock and write exactly what it answers: the new standing, and one
//! event with a version one higher. `docs/job-states.md` is generated from [`apply`] by a test.

use std::time::Duration;

use super::{
    attempt::{Failure, FailureCode, Outcome},
    event::EventKind,
    state::{Ending, JobState, Standing},
};
use crate::{
    clock::Time,
    duration::IsoDuration,
    ids::{AttemptId, JobId},
    limit::GateKey,
    policy::Policy,
};

/// Attempts of one job that may be LOST before the job fails as poison (since the last retry by hand).
pub const LOST_ATTEMPTS_MAX: u32 = 3;

/// What `apply` has to know of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Where it stands.
    pub standing: Standing,
    /// Attempts that counted since the last retry by hand.
    pub counted: u32,
    /// Attempts that were lost since the last retry by hand.
    pub lost: u32,
}

/// Something that happens to a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// Every job that it needs has succeeded.
    Unblocked {
        /// When it may start.
        run_at: Time,
    },
    /// A job that it needs has ended and has not succeeded.
    DependencyBroken {
        /// Which.
        on: JobId,
    },
    /// Its time has come.
    Due,
    /// A worker won it.
    Claimed {
        /// The attempt that the worker made.
        attempt: AttemptId,
    },
    /// A claim found it blocked.
    Parked {
        /// The gate that it waits at.
        on: GateKey,
        /// The same in words.
        reason: String,
    },
    /// The gate that it was parked at may have room.
    Woken,
    /// An attempt ended; refused when it is not the running one.
    Finished {
        /// Which attempt.
        attempt: AttemptId,
        /// How.
        outcome: Outcome,
        /// What the policy says of the next attempt.
        retry: Retry,
    },
    /// Somebody asked to cancel it.
    CancelAsked {
        /// Why, if told.
        reason: Option<String>,
    },
    /// It has not started in time.
    Expired,
    /// A finished job is revived.
    Retried {
        /// Whether it has to wait for jobs that it needs.
        is_blocked: bool,
    },
}

/// What a policy says of the attempt after the one that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Wait before it begins, drawn from the policy by the caller.
    pub backoff: Duration,
    /// Most attempts that count.
    pub max_attempts: u32,
    /// How long the attempt was allowed to take, for the message of one that took longer.
    pub timeout: IsoDuration,
}

impl Retry {
    /// By this policy, after this wait.
    pub const fn new(policy: &Policy, backoff: Duration) -> Self {
        Self { backoff, max_attempts: policy.max_attempts, timeout: policy.timeout }
    }
}

/// Where the job goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Stays in the live table with this standing.
    Live(Standing),
    /// Leaves the live table for good, or until it is revived.
    Ended {
        /// How.
        ending: Ending,
        /// Why, unless it succeeded.
        failure: Option<Failure>,
        /// What it returned.
        result: Option<serde_json::Value>,
    },
}

impl Next {
    /// The new state's name.
    pub const fn state(&self) -> JobState {
        match self {
            Self::Live(standing) => standing.state(),
            Self::Ended { ending, .. } => ending.state(),
        }
    }
}

/// The answer of [`apply`]: everything that the step has to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The new standing.
    pub next: Next,
    /// The event to append.
    pub event: EventKind,
    /// What the event says to a person; empty when its kind says all.
    pub message: String,
    /// Attempts that counted, after this.
    pub counted: u32,
    /// Attempts that were lost, after this.
    pub lost: u32,
}

/// The transition does not fit the job: a late, doubled or forbidden message. Nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state:?} cannot be {asked}")]
pub struct Refused {
    /// The state that it is in.
    pub state: JobState,
    /// What was asked, as a past participle.
    pub asked: &'static str,
}

/// Decides what a transition does to a job, at `now`. Pure, total, and the only place that knows.
pub fn apply(facts: &Facts, transition: Transition, now: Time) -> Result<Applied, Refused> {
    let state = facts.standing.state();
    let refuse = |asked| Err(Refused { state, asked });
    let live = |standing, event, message: String| {
        let (counted, lost) = (facts.counted, facts.lost);
        Ok(Applied { next: Next::Live(standing), event, message, counted, lost })
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
        (_, Transition::DependencyBroken { .. }) => refuse("cancelled for a job that it needs"),

        (Standing::Scheduled { .. }, Transition::Due) => {
            live(Standing::Queued { parked_on: None }, EventKind::Queued, String::new())
        }
        (_, Transition::Due) => refuse("made ready"),

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

        (Standing::Blocked | Standing::Scheduled { .. } | Standing::Queued { .. }, Transition::Expired) => {
            let failure = Failure::new(FailureCode::EXPIRED, "It was not started before it expired.", false);
            Ok(ended(facts, Ending::Cancelled, Some(failure), None, EventKind::Cancelled, "Expired.".into()))
        }
        (_, Transition::Expired) => refuse("expired"),

        (Standing::Ended(_), Transition::Retried { is_blocked }) => {
            let standing = if is_blocked { Standing::Blocked } else { Standing::Queued { parked_on: None } };
            let next = Next::Live(standing);
            Ok(Applied { next, event: EventKind::Retried, message: String::new(), counted: 0, lost: 0 })
        }
        (_, Transition::Retried { .. }) => refuse("retried: it has not ended"),
    }
}

/// Somebody asked to cancel it: a running job is marked, one that has not started ends.
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
        Standing::Running { cancel_asked: true, .. } => refuse("cancelled again: it is being cancelled"),
        Standing::Blocked | Standing::Scheduled { .. } | Standing::Queued { .. } => {
            Ok(ended(facts, Ending::Cancelled, None, None, EventKind::Cancelled, message))
        }
        Standing::Ended(_) => refuse("cancelled: it has ended"),
    }
}

/// A job that it needs did not succeed.
fn broken(facts: &Facts, on: JobId) -> Applied {
    let message = format!("{on}, which it needs, did not succeed.");
    let failure = Failure::new(FailureCode::DEPENDENCY, message.clone(), false);
    ended(facts, Ending::Cancelled, Some(failure), None, EventKind::Cancelled, message)
}

/// An attempt ended: the job ends, waits for its next attempt, or goes back to the queue.
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
        Outcome::TimedOut => {
            let message = format!("The attempt took longer than its timeout of {}.", retry.timeout);
            retry_or_fail(facts, Failure::new(FailureCode::TIMEOUT, message, true), retry, now)
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
        Outcome::Lost => requeued(facts, EventKind::Lost, "The worker of the attempt vanished.".into(), 1),
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
