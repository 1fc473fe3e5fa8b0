//! Declared limits, as shown and as changed, and what is left of them. Services, proxies, policies and profiles have some.

use async_graphql::{Context, Enum, InputObject, MaybeUndefined, Result, SimpleObject};
use callboard::{
    clock::{self, Time},
    limit::{self, GateKey, Limits, gate::Gate, learn},
    patch::{LimitsPatch, NewCap, NewRateLimit, Patch},
};

use super::{
    inputs::patch,
    loaders,
    scalars::{DateTime, Duration},
};

/// A token bucket: refilled evenly at `limit` per `per`, holding at most `burst`. Each job takes a token when it starts; all workers
/// share the bucket.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct RateLimit {
    /// Tells it from the other limits of the same object.
    pub name: String,
    /// Jobs per period.
    pub limit: i32,
    /// The period.
    pub per: Duration,
    /// Jobs that may start at once after a pause; 1 spaces them evenly.
    pub burst: i32,
}

/// A limit to declare.
#[derive(Debug, Clone, PartialEq, Eq, InputObject)]
pub struct RateLimitInput {
    /// Tells it from the other limits of the same object: 1 to 64 lower-case letters, digits, `-` or `_`.
    #[graphql(default_with = "Some(DEFAULT.to_owned())")]
    pub name: Option<String>,
    /// Jobs per period, 1 to 1000000; at most 10000 a second.
    pub limit: i32,
    /// The period, PT0.001S to P366D.
    pub per: Duration,
    /// Jobs that may start at once after a pause, 1 to 1000000, as many as P366D can refill. Default 1: evenly spaced.
    pub burst: Option<i32>,
}

/// At most so many starts in a day or a month of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SimpleObject)]
pub struct Cap {
    /// Attempts that may start.
    pub most: i32,
    /// In which period.
    pub per: CapPeriod,
    /// What happens to jobs when as many have started.
    pub when_reached: WhenReached,
}

/// A cap to declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, InputObject)]
pub struct CapInput {
    /// Attempts that may start, 1 to 1000000.
    pub most: i32,
    /// In which period.
    pub per: CapPeriod,
    /// What happens to jobs when as many have started.
    #[graphql(default_with = "Some(WhenReached::Defer)")]
    pub when_reached: Option<WhenReached>,
}

/// A period of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "limit::Period")]
pub enum CapPeriod {
    /// From midnight to midnight.
    Day,
    /// From the first to the first.
    Month,
}

/// What happens to jobs when a cap has been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "limit::WhenReached")]
pub enum WhenReached {
    /// They wait for the next period.
    Defer,
    /// New ones are refused (TOO_MANY); those that were accepted before wait.
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

/// Caps to show.
pub fn caps(caps: &[limit::Cap]) -> Vec<Cap> {
    caps.iter().copied().map(Cap::from).collect()
}

/// Caps as given.
pub fn new_caps(caps: Vec<CapInput>) -> Vec<NewCap> {
    caps.into_iter().map(NewCap::from).collect()
}

/// What is known of a limit.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub struct LimitUsage {
    /// Its name; of observed ones, as the service calls it; of caps, `day` or `month`.
    pub name: String,
    /// Who tells of it.
    pub source: LimitSource,
    /// How much there is per period, if that is known; 2147483647 stands for that much or more.
    pub limit: Option<i32>,
    /// How much is left, if that is known; of declared rates, the tokens in the bucket; of caps, the starts of this period.
    pub remaining: Option<i32>,
    /// When all of it is there again, if that is known.
    pub resets_at: Option<DateTime>,
    /// As of when this is known.
    pub observed_at: DateTime,
}

/// Who tells of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum LimitSource {
    /// It is declared here, and kept exactly.
    Declared,
    /// The service told of it in its answers.
    Observed,
}

/// A gate, and as of when; batched.
pub async fn gate(ctx: &Context<'_>, key: GateKey) -> Result<(Gate, Time)> {
    Ok(loaders::one(ctx, key).await?.unwrap_or_else(|| (Gate::default(), clock::now())))
}

impl LimitUsage {
    /// Of what has this gate and these limits; batched.
    pub async fn of(ctx: &Context<'_>, key: GateKey, limits: &Limits) -> Result<Vec<Self>> {
        let (gate, at) = gate(ctx, key).await?;
        Ok(gate.usage(limits, at).into_iter().map(Self::from).collect())
    }
}

/// Some services count in larger numbers than GraphQL has.
fn fits(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl From<learn::Usage> for LimitUsage {
    fn from(usage: learn::Usage) -> Self {
        let learn::Usage { name, is_observed, limit, remaining, resets_at, at } = usage;
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

/// The rates of these limits.
pub fn rates(limits: &Limits) -> Vec<RateLimit> {
    limits.rate_limits.iter().map(RateLimit::from).collect()
}

/// How many may run at once.
pub fn max_concurrency(limits: &Limits) -> Option<i32> {
    limits.max_concurrency.map(u32::cast_signed)
}

/// Of a new object, where absent and null mean the same.
pub fn limits_given(max_concurrency: Option<i32>, rates: Option<Vec<RateLimitInput>>) -> LimitsPatch {
    LimitsPatch {
        max_concurrency: Patch::set_or_clear(max_concurrency),
        rate_limits: Patch::set_or_clear(
            rates.map(|rates| rates.into_iter().map(NewRateLimit::from).collect()),
        ),
        caps: Patch::Leave,
    }
}

/// Of an object that is changed.
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
    fn the_descriptions_tell_the_bounds() {
        assert_eq!((limit::LIMIT_MAX, limit::RATE_LIMITS_MAX, limit::NAME_BYTES_MAX), (1_000_000, 8, 64));
        assert_eq!((limit::INTERVAL_MIN.as_micros(), limit::PER_MIN.as_micros()), (100, 1000));
        let new = NewRateLimit { name: DEFAULT.into(), limit: 1, per: "PT1S".parse().unwrap(), burst: None };
        assert_eq!(limit::RateLimit::from(new).burst, 1);
    }
}
