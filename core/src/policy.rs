//! Policies: how a job is retried, how long an attempt may take, and how many may run.
//!
//! A command carries a [`Policy`], and a job may override parts of it. Settling computes the
//! backoff from it, the worker reads timeout and grace. Pure: the random number of the jitter is a
//! parameter.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{duration::IsoDuration, limit::Limits};

/// Most attempts that a policy may allow.
pub const ATTEMPTS_MAX: u32 = 100;
/// Longest attempt: a day.
pub const TIMEOUT_MAX: Duration = Duration::from_hours(24);
/// Longest grace: five minutes.
pub const GRACE_MAX: Duration = Duration::from_mins(5);

/// Retries, timeout, expiry and limits of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// How many attempts may count before the job fails, 1 to [`ATTEMPTS_MAX`].
    pub max_attempts: u32,
    /// Wait between a failed attempt and the next.
    pub backoff: Backoff,
    /// How long one attempt may run before it gets TERM.
    pub timeout: IsoDuration,
    /// Time from TERM to KILL.
    pub grace: IsoDuration,
    /// A job that still waits this long after it was enqueued, or retried by hand, is cancelled as
    /// expired. Attempts that do not count (throttled, released, lost) have not started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<IsoDuration>,
    /// How many jobs of the command may run at once, and how often they may start.
    #[serde(flatten)]
    pub limits: Limits,
}

/// How the wait grows from attempt to attempt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// The curve.
    pub strategy: BackoffStrategy,
    /// Wait after the first counted attempt.
    pub initial: IsoDuration,
    /// Upper bound of a wait, before jitter.
    pub max: IsoDuration,
    /// Random share of the wait, 0 to 1. The wait is drawn evenly from `wait * (1 - jitter) ..=
    /// wait`.
    pub jitter: f64,
}

/// The curve of a [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackoffStrategy {
    /// `initial` every time.
    Constant,
    /// `initial * n`.
    Linear,
    /// `initial * 2^(n-1)`.
    Exponential,
}

impl Default for Policy {
    /// Three attempts of at most five minutes each, with an exponential backoff from one second to
    /// five minutes and a fifth of jitter.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff {
                strategy: BackoffStrategy::Exponential,
                initial: IsoDuration::from_secs(1),
                max: IsoDuration::from_secs(300),
                jitter: 0.2,
            },
            timeout: IsoDuration::from_secs(300),
            grace: IsoDuration::from_secs(5),
            expires_after: None,
            limits: Limits::default(),
        }
    }
}

/// A policy value out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadPolicy {
    /// Path below the policy in the API's spelling, for example `["backoff", "jitter"]`.
    pub field: &'static [&'static str],
    /// What to write instead.
    pub message: String,
}

impl Policy {
    /// Checks all bounds but those of the limits, which check themselves. Returns the first
    /// violation.
    pub fn check(&self) -> Result<(), BadPolicy> {
        let bad = |field, message: String| Err(BadPolicy { field, message });
        if !(1..=ATTEMPTS_MAX).contains(&self.max_attempts) {
            return bad(&["maxAttempts"], format!("maxAttempts must be 1 to {ATTEMPTS_MAX}"));
        }
        if self.timeout.0.is_zero() || self.timeout.0 > TIMEOUT_MAX {
            return bad(&["timeout"], "timeout must be more than PT0S and at most P1D".into());
        }
        if self.grace.0 > GRACE_MAX {
            return bad(&["grace"], "grace must be at most PT5M".into());
        }
        if self.expires_after.is_some_and(|after| after.0.is_zero()) {
            return bad(
                &["expiresAfter"],
                "expiresAfter must be more than PT0S. Leave it out for no expiry.".into(),
            );
        }
        if !(0.0..=1.0).contains(&self.backoff.jitter) {
            return bad(&["backoff", "jitter"], "jitter must be 0 to 1".into());
        }
        if self.backoff.initial > self.backoff.max {
            let max = self.backoff.max;
            return bad(
                &["backoff", "initial"],
                format!(
                    "initial must not be longer than max, which is {max}. Lower it, or write a longer max."
                ),
            );
        }
        Ok(())
    }
}

impl Backoff {
    /// Wait after the `counted`-th counted attempt, from 1. `fraction` in `0.0..1.0` draws the
    /// jitter.
    pub fn delay(&self, counted: u32, fraction: f64) -> Duration {
        let counted = counted.max(1);
        let factor = match self.strategy {
            BackoffStrategy::Constant => 1,
            BackoffStrategy::Linear => counted,
            BackoffStrategy::Exponential => 1u32.checked_shl(counted - 1).unwrap_or(u32::MAX),
        };
        let wait = self.initial.0.saturating_mul(factor).min(self.max.0);
        wait.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * fraction.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn backoff(strategy: BackoffStrategy, jitter: f64) -> Backoff {
        let (initial, max) = (IsoDuration::from_secs(2), IsoDuration::from_secs(30));
        Backoff { strategy, initial, max, jitter }
    }

    #[test]
    fn each_curve_grows_as_its_name_says() {
        let seconds = |strategy| [1, 2, 3, 4, 5, 99].map(|n| backoff(strategy, 0.0).delay(n, 0.5).as_secs());
        assert_eq!(seconds(BackoffStrategy::Constant), [2, 2, 2, 2, 2, 2]);
        assert_eq!(seconds(BackoffStrategy::Linear), [2, 4, 6, 8, 10, 30]);
        assert_eq!(seconds(BackoffStrategy::Exponential), [2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn bounds_are_checked_by_name() {
        let field = |policy: Policy| policy.check().map_err(|bad| bad.field);
        assert_eq!(field(Policy::default()), Ok(()));
        assert_eq!(field(Policy { max_attempts: 0, ..Policy::default() }), Err(&["maxAttempts"][..]));
        let zero = IsoDuration::from_secs(0);
        assert_eq!(field(Policy { timeout: zero, ..Policy::default() }), Err(&["timeout"][..]));
        assert_eq!(
            field(Policy { expires_after: Some(zero), ..Policy::default() }),
            Err(&["expiresAfter"][..])
        );
        let mut jittery = Policy::default();
        jittery.backoff.jitter = f64::NAN;
        assert_eq!(field(jittery), Err(&["backoff", "jitter"][..]));
        let mut long = Policy::default();
        long.backoff.initial = IsoDuration::from_secs(86_400);
        let bad = long.check().unwrap_err();
        assert_eq!(bad.field, ["backoff", "initial"]);
        assert!(bad.message.contains(&format!("max, which is {}.", long.backoff.max)), "{}", bad.message);
    }

    proptest! {
        #[test]
        fn a_wait_stays_between_its_jittered_bounds(n in 0u32..1000, jitter in 0.0..=1.0f64, fraction in 0.0..1.0f64) {
            let exact = backoff(BackoffStrategy::Exponential, 0.0).delay(n, 0.0);
            let drawn = backoff(BackoffStrategy::Exponential, jitter).delay(n, fraction);
            prop_assert!(drawn <= exact);
            prop_assert!(drawn.as_secs_f64() >= exact.as_secs_f64() * (1.0 - jitter) - 1e-6);
        }
    }
}
