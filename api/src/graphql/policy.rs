//! The GraphQL types of a policy: retries, time limits and limits of a job, for reading and
//! changing.
//!
//! Bounds and defaults are those of `callboard::policy`.

use async_graphql::{Enum, InputObject, MaybeUndefined, SimpleObject};
use callboard::{
    patch::{BackoffPatch, LimitsPatch, PolicyPatch},
    policy,
};

use super::{
    inputs::patch,
    rate_limit::{self, Cap, CapInput, RateLimit, RateLimitInput, new_caps},
    scalars::Duration,
};

/// How a job is retried, how long an attempt may take, how long a job may wait, and how many jobs
/// may run.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub struct Policy {
    /// Maximum number of counted attempts, 1 to 100. Attempts that ended as LOST, RELEASED or
    /// THROTTLED do not count.
    pub max_attempts: i32,
    /// The wait between a failed attempt and the next one.
    pub backoff: Backoff,
    /// Time limit of one attempt, at most P1D. After it, the whole process tree gets TERM, then
    /// after `grace` KILL.
    pub timeout: Duration,
    /// Time from TERM to KILL, at most PT5M.
    pub grace: Duration,
    /// A job that still waits this long after it was enqueued is cancelled as expired, even if it
    /// had attempts that do not count. Null for never.
    pub expires_after: Option<Duration>,
    /// Limits on how often jobs of the command may start, across all workers.
    pub rate_limits: Vec<RateLimit>,
    /// Maximum number of jobs of the command that run at once. Jobs whose own policy has no limit
    /// are exempt. Null for no limit.
    pub max_concurrency: Option<i32>,
    /// Limits on how many attempts of the command may start in a day or a month.
    pub caps: Vec<Cap>,
}

/// How the wait grows from attempt to attempt.
#[derive(Debug, Clone, Copy, PartialEq, SimpleObject)]
pub struct Backoff {
    /// The curve.
    pub strategy: BackoffStrategy,
    /// The wait after the first counted attempt.
    pub initial: Duration,
    /// Maximum wait, before jitter.
    pub max: Duration,
    /// Random share of the wait, 0 to 1. The wait is drawn evenly from `wait * (1 - jitter)` to
    /// `wait`.
    pub jitter: f64,
}

/// The curve of a backoff. n is the number of counted attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "policy::BackoffStrategy")]
pub enum BackoffStrategy {
    /// `initial` every time.
    Constant,
    /// `initial * n`.
    Linear,
    /// `initial * 2^(n-1)`.
    Exponential,
}

impl From<&policy::Policy> for Policy {
    fn from(policy: &policy::Policy) -> Self {
        let policy::Backoff { strategy, initial, max, jitter } = policy.backoff;
        Self {
            max_attempts: i32::try_from(policy.max_attempts).unwrap_or(i32::MAX),
            backoff: Backoff {
                strategy: strategy.into(),
                initial: Duration(initial),
                max: Duration(max),
                jitter,
            },
            timeout: Duration(policy.timeout),
            grace: Duration(policy.grace),
            expires_after: policy.expires_after.map(Duration),
            rate_limits: rate_limit::rates(&policy.limits),
            max_concurrency: rate_limit::max_concurrency(&policy.limits),
            caps: rate_limit::caps(&policy.limits.caps),
        }
    }
}

/// Changes to a policy. Absent keeps the value, which is the default for a new command and the
/// command's value for a job. Null resets it to the default.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct PolicyInput {
    /// Maximum number of counted attempts, 1 to 100. Default 3.
    pub max_attempts: MaybeUndefined<i32>,
    /// The wait between a failed attempt and the next one.
    pub backoff: MaybeUndefined<BackoffInput>,
    /// Time limit of one attempt, more than PT0S and at most P1D. Default PT5M.
    pub timeout: MaybeUndefined<Duration>,
    /// Time from TERM to KILL, at most PT5M. Default PT5S.
    pub grace: MaybeUndefined<Duration>,
    /// A job that still waits this long after it was enqueued is cancelled as expired, even if it
    /// had attempts that do not count. More than PT0S. Default never.
    pub expires_after: MaybeUndefined<Duration>,
    /// Limits on how often jobs of the command may start, at most 8 with unique names. Replaces all
    /// of them. Default none.
    pub rate_limits: MaybeUndefined<Vec<RateLimitInput>>,
    /// Maximum number of jobs of the command that run at once, 1 to 1000000. Jobs whose own policy
    /// has no limit are exempt. Default no limit.
    pub max_concurrency: MaybeUndefined<i32>,
    /// Limits on how many attempts of the command may start, at most one per day and one per month.
    /// Replaces all of them. Default none.
    pub caps: MaybeUndefined<Vec<CapInput>>,
}

/// Changes to a backoff. Absent keeps the value, null resets it to the default.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct BackoffInput {
    /// The curve. Default EXPONENTIAL.
    pub strategy: MaybeUndefined<BackoffStrategy>,
    /// The wait after the first counted attempt, at most `max`. Default PT1S.
    pub initial: MaybeUndefined<Duration>,
    /// Maximum wait, before jitter. Default PT5M.
    pub max: MaybeUndefined<Duration>,
    /// Random share of the wait, 0 to 1. Default 0.2.
    pub jitter: MaybeUndefined<f64>,
}

impl From<PolicyInput> for PolicyPatch {
    fn from(input: PolicyInput) -> Self {
        Self {
            max_attempts: patch(input.max_attempts),
            backoff: patch(input.backoff.map_value(BackoffPatch::from)),
            timeout: patch(input.timeout.map_value(|duration| duration.0)),
            grace: patch(input.grace.map_value(|duration| duration.0)),
            expires_after: patch(input.expires_after.map_value(|duration| duration.0)),
            limits: LimitsPatch {
                caps: patch(input.caps.map_value(new_caps)),
                ..rate_limit::limits_patch(input.max_concurrency, input.rate_limits)
            },
        }
    }
}

impl From<BackoffInput> for BackoffPatch {
    fn from(input: BackoffInput) -> Self {
        Self {
            strategy: patch(input.strategy.map_value(policy::BackoffStrategy::from)),
            initial: patch(input.initial.map_value(|duration| duration.0)),
            max: patch(input.max.map_value(|duration| duration.0)),
            jitter: patch(input.jitter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptions_state_the_defaults() {
        let Policy {
            max_attempts,
            backoff,
            timeout,
            grace,
            expires_after,
            rate_limits,
            max_concurrency,
            caps,
        } = Policy::from(&policy::Policy::default());
        assert_eq!((rate_limits, max_concurrency, caps), (Vec::new(), None, Vec::new()));
        let Backoff { strategy, initial, max, jitter } = backoff;
        assert_eq!((max_attempts, expires_after, strategy), (3, None, BackoffStrategy::Exponential));
        assert_eq!(
            [timeout, grace, initial, max].map(|each| each.0.to_string()),
            ["PT5M", "PT5S", "PT1S", "PT5M"]
        );
        assert!((jitter - 0.2).abs() < f64::EPSILON);
        assert_eq!(
            (policy::ATTEMPTS_MAX, policy::TIMEOUT_MAX.as_secs(), policy::GRACE_MAX.as_secs()),
            (100, 86_400, 300)
        );
    }
}
