//! Patches of declared limits. Pure.

use serde::{Deserialize, Serialize};

use super::Patch;
use crate::{
    duration::IsoDuration,
    limit::{Cap, Limits, Period, RateLimit, WhenReached},
    refusal::Refusal,
};

/// Changes of declared limits. A cleared field means no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsPatch {
    /// Jobs that may run at once.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub max_concurrency: Patch<i32>,
    /// Replaces all rates.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub rate_limits: Patch<Vec<NewRateLimit>>,
    /// Replaces all caps.
    #[serde(default, skip_serializing_if = "Patch::is_leave")]
    pub caps: Patch<Vec<NewCap>>,
}

/// A rate limit as given, unchecked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRateLimit {
    /// See [`RateLimit`].
    pub name: String,
    /// See [`RateLimit`].
    pub limit: i32,
    /// See [`RateLimit`].
    pub per: IsoDuration,
    /// 1 if omitted.
    pub burst: Option<i32>,
}

/// A cap as given, unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCap {
    /// See [`Cap`].
    pub most: i32,
    /// See [`Cap`].
    pub per: Period,
    /// See [`Cap`].
    pub when_reached: WhenReached,
}

impl From<NewCap> for Cap {
    /// A negative count becomes 0, which the check refuses.
    fn from(new: NewCap) -> Self {
        Self { most: u32::try_from(new.most).unwrap_or(0), per: new.per, when_reached: new.when_reached }
    }
}

impl From<NewRateLimit> for RateLimit {
    /// Negative counts become 0, which the check refuses.
    fn from(new: NewRateLimit) -> Self {
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        Self { name: new.name, limit: count(new.limit), per: new.per, burst: new.burst.map_or(1, count) }
    }
}

impl LimitsPatch {
    /// The patch that makes any limits these.
    pub fn whole(limits: &Limits) -> Self {
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let Limits { max_concurrency, rate_limits, caps } = limits;
        let rate = |rate: &RateLimit| NewRateLimit {
            name: rate.name.clone(),
            limit: count(rate.limit),
            per: rate.per,
            burst: Some(count(rate.burst)),
        };
        let cap = |cap: &Cap| NewCap { most: count(cap.most), per: cap.per, when_reached: cap.when_reached };
        Self {
            max_concurrency: Patch::set_or_clear(max_concurrency.map(count)),
            rate_limits: Patch::Set(rate_limits.iter().map(rate).collect()),
            caps: Patch::Set(caps.iter().map(cap).collect()),
        }
    }

    /// Returns the limits with this patch applied, unchecked.
    pub fn over(self, limits: &Limits) -> Limits {
        let count = |count: i32| u32::try_from(count).unwrap_or(0);
        Limits {
            max_concurrency: match self.max_concurrency {
                Patch::Leave => limits.max_concurrency,
                Patch::Clear => None,
                Patch::Set(most) => Some(count(most)),
            },
            rate_limits: match self.rate_limits {
                Patch::Leave => limits.rate_limits.clone(),
                Patch::Clear => Vec::new(),
                Patch::Set(rates) => rates.into_iter().map(RateLimit::from).collect(),
            },
            caps: match self.caps {
                Patch::Leave => limits.caps.clone(),
                Patch::Clear => Vec::new(),
                Patch::Set(caps) => caps.into_iter().map(Cap::from).collect(),
            },
        }
    }
}

/// Returns what is wrong with limits, with paths.
pub fn limit_refusals(limits: &Limits) -> Vec<Refusal> {
    let refuse = |(path, message): (Vec<String>, String)| {
        Refusal::invalid("", message).below(&path.iter().map(String::as_str).collect::<Vec<_>>())
    };
    limits.check().into_iter().map(refuse).collect()
}
