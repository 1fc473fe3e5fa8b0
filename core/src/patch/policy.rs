//! Patches of a policy. Pure.
//!
//! A command's patch applies to the default policy or to its stored one, and a job's patch to its
//! command's policy. A schedule stores its patch as JSON until it fires.

use serde::{Deserialize, Serialize};

use super::{LimitsPatch, Patch, limit_refusals};
use crate::{
    duration::IsoDuration,
    policy::{Backoff, BackoffStrategy, Policy},
    refusal::Refusal,
};

/// Changes of a policy. A cleared field goes back to its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyPatch {
    /// 1 to 100.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub max_attempts: Patch<i32>,
    /// See [`BackoffPatch`].
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub backoff: Patch<BackoffPatch>,
    /// More than zero, at most a day.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub timeout: Patch<IsoDuration>,
    /// At most five minutes.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub grace: Patch<IsoDuration>,
    /// More than zero. Never by default.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub expires_after: Patch<IsoDuration>,
    /// No limits by default.
    #[serde(default)]
    pub limits: LimitsPatch,
}

/// Changes of a backoff. A cleared field goes back to its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackoffPatch {
    /// The curve.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub strategy: Patch<BackoffStrategy>,
    /// Wait after the first counted attempt, at most `max`.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub initial: Patch<IsoDuration>,
    /// Upper bound of any wait.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub max: Patch<IsoDuration>,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub jitter: Patch<f64>,
}

impl PolicyPatch {
    /// The patch that makes any policy this one.
    pub fn whole(policy: &Policy) -> Self {
        let Policy { max_attempts, backoff, timeout, grace, expires_after, limits } = policy;
        let &Backoff { strategy, initial, max, jitter } = backoff;
        let backoff = BackoffPatch {
            strategy: Patch::Set(strategy),
            initial: Patch::Set(initial),
            max: Patch::Set(max),
            jitter: Patch::Set(jitter),
        };
        Self {
            max_attempts: Patch::Set(i32::try_from(*max_attempts).unwrap_or(i32::MAX)),
            backoff: Patch::Set(backoff),
            timeout: Patch::Set(*timeout),
            grace: Patch::Set(*grace),
            expires_after: Patch::set_or_clear(*expires_after),
            limits: LimitsPatch::whole(limits),
        }
    }

    /// Returns the policy with this patch applied, unchecked.
    pub fn over(&self, policy: &Policy) -> Policy {
        let default = Policy::default();
        let attempts = |count: i32| u32::try_from(count).unwrap_or(0);
        let max_attempts = match self.max_attempts {
            Patch::Leave => policy.max_attempts,
            Patch::Clear => default.max_attempts,
            // A negative count becomes 0, which the check refuses.
            Patch::Set(count) => attempts(count),
        };
        let backoff = match &self.backoff {
            Patch::Leave => policy.backoff,
            Patch::Clear => default.backoff,
            Patch::Set(patch) => patch.over(policy.backoff, default.backoff),
        };
        Policy {
            max_attempts,
            backoff,
            timeout: self.timeout.over(policy.timeout, default.timeout),
            grace: self.grace.over(policy.grace, default.grace),
            expires_after: self.expires_after.over_optional(policy.expires_after),
            limits: self.limits.clone().over(&policy.limits),
        }
    }

    /// Returns the policy with this patch applied, or everything that is out of bounds, with paths
    /// that begin with `policy`.
    pub fn checked_over(&self, policy: &Policy) -> Result<Policy, Vec<Refusal>> {
        let policy = self.over(policy);
        let refusals = check(&policy);
        if refusals.is_empty() { Ok(policy) } else { Err(refusals) }
    }
}

impl BackoffPatch {
    fn over(&self, backoff: Backoff, default: Backoff) -> Backoff {
        Backoff {
            strategy: self.strategy.over(backoff.strategy, default.strategy),
            initial: self.initial.over(backoff.initial, default.initial),
            max: self.max.over(backoff.max, default.max),
            jitter: self.jitter.over(backoff.jitter, default.jitter),
        }
    }
}

/// Returns everything that is wrong with a policy. [`Policy::check`] reports only the first
/// problem, so each part is checked beside defaults, and the whole policy once all parts are fine.
fn check(policy: &Policy) -> Vec<Refusal> {
    let Backoff { strategy: _, initial, max, jitter } = policy.backoff;
    let default = Policy::default();
    let parts = [
        Policy { max_attempts: policy.max_attempts, ..default.clone() },
        Policy { backoff: Backoff { initial, max, ..default.backoff }, ..default.clone() },
        Policy { backoff: Backoff { jitter, ..default.backoff }, ..default.clone() },
        Policy { timeout: policy.timeout, ..default.clone() },
        Policy { grace: policy.grace, ..default.clone() },
        Policy { expires_after: policy.expires_after, ..default },
    ];
    let mut bad: Vec<_> = parts.iter().filter_map(|part| part.check().err()).collect();
    if bad.is_empty() {
        bad.extend(policy.check().err());
    }
    let of_limits = limit_refusals(&policy.limits).into_iter();
    let bad = bad.into_iter().map(|bad| Refusal::invalid("", bad.message).below(bad.field));
    bad.chain(of_limits).map(|refusal| refusal.below(&["policy"])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_clears_and_sets_each_field() {
        let stored = Policy { max_attempts: 7, grace: IsoDuration::from_secs(1), ..Policy::default() };
        assert_eq!(PolicyPatch::default().over(&stored), stored);
        let patch = PolicyPatch {
            max_attempts: Patch::Clear,
            timeout: Patch::Set(IsoDuration::from_secs(9)),
            expires_after: Patch::Set(IsoDuration::from_secs(60)),
            backoff: Patch::Set(BackoffPatch { jitter: Patch::Set(0.0), ..BackoffPatch::default() }),
            grace: Patch::Leave,
            limits: LimitsPatch::default(),
        };
        let patched = patch.checked_over(&stored).unwrap();
        let expected = Policy {
            max_attempts: Policy::default().max_attempts,
            timeout: IsoDuration::from_secs(9),
            expires_after: Some(IsoDuration::from_secs(60)),
            backoff: Backoff { jitter: 0.0, ..Policy::default().backoff },
            grace: IsoDuration::from_secs(1),
            ..Policy::default()
        };
        assert_eq!(patched, expected);
        let cleared =
            PolicyPatch { expires_after: Patch::Clear, backoff: Patch::Clear, ..PolicyPatch::default() };
        assert_eq!(cleared.over(&patched).expires_after, None);
        assert_eq!(cleared.over(&patched).backoff, Policy::default().backoff);
    }

    #[test]
    fn everything_out_of_bounds_is_refused_with_its_path() {
        let patch = PolicyPatch {
            max_attempts: Patch::Set(-1),
            timeout: Patch::Set(IsoDuration::from_secs(0)),
            grace: Patch::Set(IsoDuration::from_secs(301)),
            expires_after: Patch::Set(IsoDuration::from_secs(0)),
            backoff: Patch::Set(BackoffPatch {
                initial: Patch::Set(IsoDuration::from_secs(2)),
                max: Patch::Set(IsoDuration::from_secs(1)),
                jitter: Patch::Set(1.5),
                strategy: Patch::Leave,
            }),
            limits: LimitsPatch {
                max_concurrency: Patch::Set(-1),
                rate_limits: Patch::Leave,
                caps: Patch::Leave,
            },
        };
        let paths: Vec<String> = patch
            .checked_over(&Policy::default())
            .unwrap_err()
            .into_iter()
            .map(|each| each.path.join("."))
            .collect();
        assert_eq!(
            paths,
            [
                "policy.maxAttempts",
                "policy.backoff.initial",
                "policy.backoff.jitter",
                "policy.timeout",
                "policy.grace",
                "policy.expiresAfter",
                "policy.maxConcurrency"
            ]
        );
    }
}
