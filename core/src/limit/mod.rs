//! Limits: declared rates, caps and concurrency, the gates that apply them, and what services
//! report about their own. Pure.

mod bucket;
mod cap;
pub mod gate;
mod hold_back;
mod key;
pub mod observed;
pub mod response;
mod sentence;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use bucket::Bucket;
pub use cap::{Cap, Period, Spent, WhenReached};
pub use hold_back::HoldBack;
pub use key::{BadGateKey, GateKey};
pub use sentence::explain;
pub(crate) use sentence::noun;

use crate::duration::{DURATION_MAX, IsoDuration};

/// Maximum number of rate limits of one service, command or proxy.
pub const RATE_LIMITS_MAX: usize = 8;
/// Longest name of a rate limit, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Largest number of jobs per period, and of jobs that run at once.
pub const LIMIT_MAX: u32 = 1_000_000;
/// Shortest time between two tokens (10,000 per second). Buckets round to a microsecond, 1% of it.
pub const INTERVAL_MIN: Duration = Duration::from_micros(100);
/// Shortest period.
pub const PER_MIN: Duration = Duration::from_millis(1);

/// A declared rate: a bucket that refills evenly with `limit` tokens per `per` and holds at most
/// `burst`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Unique within its object: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Jobs per period, 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// The period, [`PER_MIN`] to 366 days.
    pub per: IsoDuration,
    /// Jobs that may start at once after an idle period, 1 to [`LIMIT_MAX`]. 1 spaces starts
    /// evenly.
    pub burst: u32,
}

/// All limits declared for one service, proxy, queue or command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Jobs that may run at once, 1 to [`LIMIT_MAX`]. `None` means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// Rates at which jobs may start, at most [`RATE_LIMITS_MAX`], each with its own name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// How many attempts may start in a day or a month, at most one cap for each period.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
}

impl Limits {
    /// Whether no limit is declared.
    pub const fn is_none(&self) -> bool {
        self.max_concurrency.is_none() && self.rate_limits.is_empty() && self.caps.is_empty()
    }

    /// Checks every bound. Returns what is wrong, each with its path in the API's spelling.
    pub fn check(&self) -> Vec<(Vec<String>, String)> {
        let mut bad = Vec::new();
        if self.max_concurrency.is_some_and(|most| !(1..=LIMIT_MAX).contains(&most)) {
            let message =
                format!("must be 1 to {LIMIT_MAX}, or null for no limit (pause the queue to run no jobs)");
            bad.push((vec!["maxConcurrency".into()], message));
        }
        if self.rate_limits.len() > RATE_LIMITS_MAX {
            bad.push((vec!["rateLimits".into()], format!("must have at most {RATE_LIMITS_MAX} rate limits")));
        }
        for (index, limit) in self.rate_limits.iter().enumerate() {
            let path = |field: &str| vec!["rateLimits".into(), index.to_string(), field.into()];
            if let Err(BadLimit { field, message }) = limit.check() {
                bad.push((path(field), message));
            }
            if self.rate_limits[..index].iter().any(|other| other.name == limit.name) {
                let message = format!("must be unique, but two rate limits are named {}", limit.name);
                bad.push((path("name"), message));
            }
        }
        for (index, cap) in self.caps.iter().enumerate() {
            let path = |field: &str| vec!["caps".into(), index.to_string(), field.into()];
            if let Err(BadLimit { field, message }) = cap.check() {
                bad.push((path(field), message));
            }
            if self.caps[..index].iter().any(|other| other.per == cap.per) {
                let message = format!(
                    "must be unique, but two caps are per {} (keep the smaller one)",
                    cap.per.as_str()
                );
                bad.push((path("per"), message));
            }
        }
        bad
    }
}

/// A declared limit that is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct BadLimit {
    /// The field in the API's spelling.
    pub field: &'static str,
    /// What is wrong, as a fragment that follows the path.
    pub message: String,
}

impl RateLimit {
    /// Time from one token to the next, in nanoseconds, rounded up: the rate is never exceeded.
    pub(crate) const fn interval(&self) -> i64 {
        (self.per.0.as_nanos() as i64 + self.limit as i64 - 1) / self.limit as i64
    }

    /// Checks every bound and returns the first violation.
    pub fn check(&self) -> Result<(), BadLimit> {
        let bad = |field, message: String| Err(BadLimit { field, message });
        let is_fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX || !self.name.chars().all(is_fine) {
            return bad(
                "name",
                format!(
                    "must be 1 to {NAME_BYTES_MAX} lower-case letters, digits, `-` or `_`, \
                     such as `per-minute`"
                ),
            );
        }
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return bad("limit", format!("must be 1 to {LIMIT_MAX} (pause the queue to start no jobs)"));
        }
        if self.per.0 < PER_MIN {
            return bad("per", "must be at least PT0.001S, such as PT1S or PT1H".into());
        }
        if self.per.0 < INTERVAL_MIN * self.limit {
            return bad(
                "limit",
                "must be at most 10000 per second (omit the rate limit for no limit)".into(),
            );
        }
        if !(1..=LIMIT_MAX).contains(&self.burst) {
            return bad("burst", format!("must be 1 to {LIMIT_MAX} (1 spaces starts evenly)"));
        }
        if i128::from(self.interval()) * i128::from(self.burst) > DURATION_MAX.as_nanos() as i128 {
            return bad("burst", "must refill within P366D, so use a smaller burst".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn rate(limit: u32, per: &str, burst: u32) -> RateLimit {
        RateLimit { name: "default".into(), limit, per: per.parse().unwrap(), burst }
    }

    #[test]
    fn bounds_are_checked_by_field() {
        let field = |limit: &RateLimit| limit.check().map_err(|bad| bad.field);
        assert_eq!(field(&rate(1, "P366D", 1)), Ok(()));
        assert_eq!(field(&rate(LIMIT_MAX, "PT100S", LIMIT_MAX)), Ok(()));
        assert_eq!(field(&rate(0, "PT1S", 1)), Err("limit"));
        assert_eq!(field(&rate(LIMIT_MAX + 1, "PT1H", 1)), Err("limit"));
        assert_eq!(field(&rate(10_001, "PT1S", 1)), Err("limit"), "more than 10,000 per second");
        assert_eq!(field(&rate(1, "PT0S", 1)), Err("per"));
        assert_eq!(field(&rate(1, "PT1S", 0)), Err("burst"));
        assert_eq!(field(&rate(1, "P1D", 367)), Err("burst"));
        for name in ["", "Per Minute", "ä", &"a".repeat(65)] {
            assert_eq!(field(&RateLimit { name: name.into(), ..rate(1, "PT1S", 1) }), Err("name"), "{name}");
        }
    }
}
