//! The GraphQL types of rate limits, caps and their usage, shared by services, proxies, policies
//! and profiles.

use async_graphql::{Context, Enum, InputObject, MaybeUndefined, Result, SimpleObject};
use callboard::{
    clock::{self, Time},
    limit::{self, GateKey, Limits, gate::Gate, observed},
    patch::{LimitsPatch, NewCap, NewRateLimit, Patch},
};

use super::{
    inputs::patch,
    loaders,
    scalars::{DateTime, Duration},
};

/// A token bucket, refilled evenly with `limit` tokens per `per` and holding at most `burst`. Each
/// job takes one token when it starts. All workers share the bucket.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct RateLimit {
    /// The name, unique among the rate limits of the same object.
    pub name: String,
    /// Number of jobs per period.
    pub limit: i32,
    /// The period.
    pub per: Duration,
    /// Number of jobs that may start at once after a pause. 1 spaces them evenly.
    pub burst: i32,
}

/// A rate limit to set.
#[derive(Debug, Clone, PartialEq, Eq, InputObject)]
pub struct RateLimitInput {
    /// The name, unique among the rate limits of the same object: 1 to 64 lower-case letters,
    /// digits, `-` or `_`.
    #[graphql(default_with = "Some(DEFAULT.to_owned())")]
    pub name: Option<String>,
    /// Number of jobs per period, 1 to 1000000 and at most 10000 per second.
    pub limit: i32,
    /// The period, PT0.001S to P366D.
    pub per: Duration,
    /// Number of jobs that may start at once after a pause, 1 to 1000000 and at most what P366D
    /// refills. Default 1, which spaces them evenly.
    pub burst: Option<i32>,
}

/// A limit on the number of attempts that may start in a calendar day or month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject)]
pub struct Cap {
    /// Maximum number of attempts that may start in the period.
    pub most: i32,
    /// The period.
    pub per: CapPeriod,
    /// What happens to jobs once the cap is reached.
    pub when_reached: WhenReached,
}

/// A cap to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, InputObject)]
pub struct CapInput {
    /// Maximum number of attempts that may start in the period, 1 to 1000000.
    pub most: i32,
    /// The period.
    pub per: CapPeriod,
    /// What happens to jobs once the cap is reached.
    #[graphql(default_with = "Some(WhenReached::Defer)")]
    pub when_reached: Option<WhenReached>,
}

/// A calendar period, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "limit::Period")]
pub enum CapPeriod {
    /// From midnight to midnight.
    Day,
    /// From the first of the month to the first of the next.
    Month,
}

/// What happens to jobs once a cap is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "limit::WhenReached")]
pub enum WhenReached {
    /// Jobs wait for the next period.
    Defer,
    /// New jobs are refused with TOO_MANY. Jobs that were accepted before wait for the next period.
    Refuse,
}

impl From<limit::Cap> for Cap {
    fn from(cap: limit::Cap) -> Self {
        Self { most: cap.most.cast_signed(), per: cap.per.into(), when_reached: cap.when_reached.into() }
    }
}

impl From<CapInput> for NewCap {
    fn from(input: CapInput) -> Self {
        let when_reached = input.when_reached.unwrap_or(WhenReached::Defer).into();
        Self { most: input.most, per: input.per.into(), when_reached }
    }
}

/// Converts caps for reading.
pub fn caps(caps: &[limit::Cap]) -> Vec<Cap> {
    caps.iter().copied().map(Cap::from).collect()
}

/// Converts caps of an input.
pub fn new_caps(caps: Vec<CapInput>) -> Vec<NewCap> {
    caps.into_iter().map(NewCap::from).collect()
}

/// The current state of a limit.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct LimitUsage {
    /// The limit's name: the declared name, the service's own name for an observed limit, `day` or
    /// `month` for a cap.
    pub name: String,
    /// Where the limit comes from.
    pub source: LimitSource,
    /// Total per period, or null when unknown. 2147483647 means that many or more.
    pub limit: Option<i32>,
    /// Remaining amount, or null when unknown: the tokens in the bucket for a rate limit, the
    /// starts left in the period for a cap.
    pub remaining: Option<i32>,
    /// When the full amount is available again, or null when unknown.
    pub resets_at: Option<DateTime>,
    /// The time of this reading.
    pub observed_at: DateTime,
}

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum LimitSource {
    /// Declared in Callboard and enforced exactly.
    Declared,
    /// Reported by the service in its responses.
    Observed,
}

/// Loads a gate and the time of the reading. Batched.
pub async fn gate(ctx: &Context<'_>, key: GateKey) -> Result<(Gate, Time)> {
    Ok(loaders::one(ctx, key).await?.unwrap_or_else(|| (Gate::default(), clock::now())))
}

impl LimitUsage {
    /// Loads the usage of these limits at this gate. Batched.
    pub async fn of(ctx: &Context<'_>, key: GateKey, limits: &Limits) -> Result<Vec<Self>> {
        let (gate, at) = gate(ctx, key).await?;
        Ok(gate.usage(limits, at).into_iter().map(Self::from).collect())
    }
}

/// Some services report counts beyond GraphQL's `Int`.
fn fits(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl From<observed::Usage> for LimitUsage {
    fn from(usage: observed::Usage) -> Self {
        let observed::Usage { name, is_observed, limit, remaining, resets_at, at } = usage;
        Self {
            name,
            source: if is_observed { LimitSource::Observed } else { LimitSource::Declared },
            limit: limit.map(fits),
            remaining: remaining.map(fits),
            resets_at: resets_at.map(DateTime),
            observed_at: DateTime(at),
        }
    }
}

const DEFAULT: &str = "default";

impl From<&limit::RateLimit> for RateLimit {
    fn from(rate: &limit::RateLimit) -> Self {
        Self {
            name: rate.name.clone(),
            limit: rate.limit.cast_signed(),
            per: Duration(rate.per),
            burst: rate.burst.cast_signed(),
        }
    }
}

impl From<RateLimitInput> for NewRateLimit {
    fn from(input: RateLimitInput) -> Self {
        let RateLimitInput { name, limit, per, burst } = input;
        Self { name: name.unwrap_or_else(|| DEFAULT.to_owned()), limit, per: per.0, burst }
    }
}

/// Converts the rate limits for reading.
pub fn rates(limits: &Limits) -> Vec<RateLimit> {
    limits.rate_limits.iter().map(RateLimit::from).collect()
}

/// Converts the concurrency limit for reading. `None` for no limit.
pub fn max_concurrency(limits: &Limits) -> Option<i32> {
    limits.max_concurrency.map(u32::cast_signed)
}

/// Converts the limits of a new object, where absent and null mean the same.
pub fn limits_given(max_concurrency: Option<i32>, rates: Option<Vec<RateLimitInput>>) -> LimitsPatch {
    LimitsPatch {
        max_concurrency: Patch::set_or_clear(max_concurrency),
        rate_limits: Patch::set_or_clear(
            rates.map(|rates| rates.into_iter().map(NewRateLimit::from).collect()),
        ),
        caps: Patch::Leave,
    }
}

/// Converts the limits of an update.
pub fn limits_patch(
    max_concurrency: MaybeUndefined<i32>,
    rates: MaybeUndefined<Vec<RateLimitInput>>,
) -> LimitsPatch {
    LimitsPatch {
        max_concurrency: patch(max_concurrency),
        rate_limits: patch(rates.map_value(|rates| rates.into_iter().map(NewRateLimit::from).collect())),
        caps: Patch::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptions_state_the_bounds() {
        assert_eq!((limit::LIMIT_MAX, limit::RATE_LIMITS_MAX, limit::NAME_BYTES_MAX), (1_000_000, 8, 64));
        assert_eq!((limit::INTERVAL_MIN.as_micros(), limit::PER_MIN.as_micros()), (100, 1000));
        let new = NewRateLimit { name: DEFAULT.into(), limit: 1, per: "PT1S".parse().unwrap(), burst: None };
        assert_eq!(limit::RateLimit::from(new).burst, 1);
    }
}
