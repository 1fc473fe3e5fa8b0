//! Gates: whether a job may start now, and otherwise what blocks it. Pure.
//!
//! A job passes a gate for each thing that it shares with other jobs (its queue, command, services,
//! proxy and profile). Either all of them let it pass at one moment, or it takes nothing from any
//! of them. The claim and `Job.waiting` both use [`judge`], so that the explanation matches the
//! decision. One decision is made without it: a claim parks a job behind the waiters of a gate
//! without locking the job's gates. `Job.waiting` then explains the job by what its gates say.

use std::{collections::HashMap, hash::BuildHasher, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Bucket, Cap, GateKey, Limits, Period, RateLimit, Spent, cap,
    observed::{Pause, RemainingQuota, Shut},
};
use crate::{
    clock::Time,
    ids::{JobId, ProxyId},
};

/// How far ahead a start may be granted. The attempt waits for its moment and holds its slot
/// meanwhile, so that evenly spaced starts lose no time to the claim.
pub const AHEAD: Duration = Duration::from_millis(240);

/// What a job needs from one gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// The gate.
    pub key: GateKey,
    /// The name of the gate's owner, for messages. Empty where it is not loaded.
    pub name: Arc<str>,
    /// The limits declared for the owner.
    pub limits: Arc<Limits>,
}

/// The state of a gate. Serialised fields are stored as JSON, the others in columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Gate {
    /// Slots that running jobs hold.
    #[serde(skip)]
    pub held: u32,
    /// For a profile, the job that passed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<JobId>,
    /// For a profile, the proxy chosen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyId>,
    /// Whether jobs are parked at it. A job that was not woken for it waits behind them.
    #[serde(skip)]
    pub has_waiters: bool,
    /// Buckets by the names of their limits. A missing bucket is full.
    #[serde(skip_serializing_if = "HashMap::is_empty")]
    pub buckets: HashMap<String, Bucket>,
    /// What has been used of its caps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<Spent>,
    /// Quotas that the service reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<RemainingQuota>,
    /// Why it lets no job pass, if it is shut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shut: Option<Shut>,
    /// The last pause for which the service named no duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// What blocks a job at one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// The bucket of this limit is empty.
    Rate {
        /// The name of the limit or quota.
        limit: String,
        /// When a token is available.
        until: Time,
    },
    /// The cap of this period is reached.
    Capped {
        /// The limit.
        most: u32,
        /// The period.
        per: Period,
        /// When the next period begins.
        until: Time,
    },
    /// The service reported that this quota is exhausted.
    QuotaExhausted {
        /// The name of the limit or quota.
        limit: String,
        /// When the quota resets.
        until: Time,
    },
    /// The service allows no requests, or the proxy cools down.
    RetryAfter {
        /// When requests are allowed again.
        until: Time,
    },
    /// The service is suspended until an operator resumes it.
    Suspended {
        /// The service's message.
        reason: String,
    },
    /// The concurrency limit is reached.
    NoSlots {
        /// The limit.
        max: u32,
    },
    /// Jobs that are parked at the gate go first.
    BehindWaiters,
}

impl Block {
    /// When it ends, if a time is known.
    pub const fn until(&self) -> Option<Time> {
        match self {
            Self::Rate { until, .. }
            | Self::Capped { until, .. }
            | Self::QuotaExhausted { until, .. }
            | Self::RetryAfter { until } => Some(*until),
            Self::Suspended { .. } | Self::NoSlots { .. } | Self::BehindWaiters => None,
        }
    }

    /// Ranks blocks if several gates block a job: first what an operator must resolve, then the
    /// latest end, then missing slots, then waiters.
    fn weight(&self) -> (u8, Option<Time>) {
        let kind = match self {
            Self::Suspended { .. } => 3,
            Self::Rate { .. }
            | Self::Capped { .. }
            | Self::QuotaExhausted { .. }
            | Self::RetryAfter { .. } => 2,
            Self::NoSlots { .. } => 1,
            Self::BehindWaiters => 0,
        };
        (kind, self.until())
    }
}

impl Gate {
    /// Returns when a job with this demand may pass, or what blocks it. A woken job does not wait
    /// behind parked ones.
    fn look(&self, demand: &Demand, now: Time, is_woken: bool) -> Result<Time, Block> {
        match self.why_shut(now) {
            Some(Shut::Suspended { reason }) => return Err(Block::Suspended { reason: reason.clone() }),
            Some(Shut::Until(until)) => return Err(Block::RetryAfter { until: *until }),
            None => {}
        }
        let used_up = self.left.iter().filter_map(|left| Some((left.used_up_until(now)?, left)));
        if let Some((until, left)) = used_up.max_by_key(|(until, _)| *until) {
            return Err(Block::QuotaExhausted { limit: left.name.clone(), until });
        }
        let limits = &demand.limits;
        let reached = limits.caps.iter().filter(|cap| self.is_reached(cap, now));
        if let Some(Cap { most, per, .. }) = reached.max_by_key(|cap| cap.per) {
            return Err(Block::Capped { most: *most, per: *per, until: per.end(now) });
        }
        let opens = limits.rate_limits.iter().map(|limit| (self.bucket(limit).opens_at(limit, now), limit));
        let last = opens.max_by_key(|(at, _)| *at);
        match (last, limits.max_concurrency) {
            (Some((until, limit)), _) if until > now + AHEAD => {
                Err(Block::Rate { limit: limit.name.clone(), until })
            }
            (_, Some(max)) if self.held >= max => Err(Block::NoSlots { max }),
            _ if self.has_waiters && !is_woken => Err(Block::BehindWaiters),
            (last, _) => Ok(last.map_or(now, |(at, _)| at)),
        }
    }

    /// Whether the cap is reached in the period that contains `now`.
    pub fn is_reached(&self, cap: &Cap, now: Time) -> bool {
        self.used(cap, now) >= cap.most
    }

    /// Attempts started in the cap's period that contains `now`.
    pub fn used(&self, cap: &Cap, now: Time) -> u32 {
        cap::spent(&self.spent, cap.per, now)
    }

    pub(super) fn bucket(&self, limit: &RateLimit) -> Bucket {
        self.buckets.get(&limit.name).copied().unwrap_or(Bucket::FULL)
    }

    /// The job that holds the gate of a profile.
    pub fn holder(&self) -> Option<JobId> {
        self.last.filter(|_| self.held > 0)
    }

    /// Lets a job pass at `at`: takes a slot, a token of each rate, and one start of each cap and
    /// quota.
    pub fn pass(&mut self, demand: &Demand, at: Time) {
        self.held += 1;
        for limit in &demand.limits.rate_limits {
            let mut bucket = self.bucket(limit);
            bucket.take(limit, at);
            self.buckets.insert(limit.name.clone(), bucket);
        }
        for cap in &demand.limits.caps {
            cap::spend(&mut self.spent, cap.per, at);
        }
        for left in &mut self.left {
            left.pass(at);
        }
    }

    /// Returns how many of at most `most` jobs with this demand can pass within [`AHEAD`], and when
    /// the next one can, or what blocks it.
    pub fn room(&self, demand: &Demand, now: Time, most: u32) -> (u32, Result<Time, Block>) {
        let mut ahead = self.clone();
        for count in 0..most {
            match ahead.look(demand, now, true) {
                Ok(at) => ahead.pass(demand, at),
                Err(block) => return (count, Err(block)),
            }
        }
        (most, ahead.look(demand, now, true))
    }
}

/// Returns when a job may pass all of its gates: `now`, or at most [`AHEAD`] later. Otherwise
/// returns the gate that blocks it, and of several the one that blocks it longest. A missing gate
/// counts as never used.
pub fn judge<'a, S: BuildHasher>(
    demands: &'a [Demand],
    gates: &HashMap<GateKey, Gate, S>,
    is_woken: impl Fn(&GateKey) -> bool,
    now: Time,
) -> Result<Time, (&'a Demand, Block)> {
    let untouched = Gate::default();
    let (mut at, mut in_the_way) = (now, None::<(&Demand, Block)>);
    for demand in demands {
        let gate = gates.get(&demand.key).unwrap_or(&untouched);
        match gate.look(demand, now, is_woken(&demand.key)) {
            Ok(opens) => at = at.max(opens),
            Err(block) => {
                let is_worse = in_the_way.as_ref().is_none_or(|(_, other)| other.weight() < block.weight());
                if is_worse {
                    in_the_way = Some((demand, block));
                }
            }
        }
    }
    in_the_way.map_or(Ok(at), Err)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::tests::rate;
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
    }

    fn service(n: u128) -> GateKey {
        GateKey::Service(Uuid::from_u128(n).into())
    }

    fn demand(key: GateKey, cap: Option<u32>, rates: &[RateLimit]) -> Demand {
        let limits = Limits { max_concurrency: cap, rate_limits: rates.to_vec(), caps: Vec::new() };
        Demand { key, name: "".into(), limits: Arc::new(limits) }
    }

    fn pass_all(demands: &[Demand], gates: &mut HashMap<GateKey, Gate>, at: Time) {
        for demand in demands {
            gates.entry(demand.key.clone()).or_default().pass(demand, at);
        }
    }

    #[test]
    fn all_gates_or_none() {
        let slow = RateLimit { name: "slow".into(), ..rate(1, "PT10S", 1) };
        let demands =
            [demand(service(1), Some(2), &[rate(20, "PT1S", 1), slow]), demand(service(2), Some(1), &[])];
        let mut gates = HashMap::new();
        let judged = |gates: &HashMap<GateKey, Gate>, now| {
            judge(&demands, gates, |_| false, now).map_err(|(demand, block)| (demand.key.clone(), block))
        };
        assert_eq!(judged(&gates, at(0)), Ok(at(0)));
        pass_all(&demands, &mut gates, at(0));
        let slowest = Block::Rate { limit: "slow".into(), until: at(10_000) };
        assert_eq!(judged(&gates, at(50)), Err((service(1), slowest)), "a known end outweighs missing slots");
        assert_eq!(judged(&gates, at(9_950)), Err((service(2), Block::NoSlots { max: 1 })));
        gates.get_mut(&service(2)).unwrap().held = 0;
        assert_eq!(judged(&gates, at(9_950)), Ok(at(10_000)), "granted ahead of its time");
        assert_eq!(judged(&gates, at(9_759)).unwrap_err().0, service(1));
    }

    #[test]
    fn quotas_of_a_service_come_before_declared_limits() {
        let demands = [demand(service(1), None, &[rate(20, "PT1S", 1)])];
        let mut gates = HashMap::from([(service(1), Gate::default())]);
        let blocked = |gates: &HashMap<GateKey, Gate>, now| {
            judge(&demands, gates, |_| true, now).map_err(|(_, block)| block)
        };
        let gate = |gates: &mut HashMap<GateKey, Gate>, change: fn(&mut Gate)| {
            change(gates.get_mut(&service(1)).unwrap());
        };
        gate(&mut gates, |gate| {
            let (limit, remaining, resets_at) = (None, Some(1), Some(at(5_000)));
            gate.left = vec![RemainingQuota { name: "core".into(), limit, remaining, resets_at, at: at(0) }];
        });
        assert_eq!(blocked(&gates, at(0)), Ok(at(0)));
        pass_all(&demands, &mut gates, at(0));
        assert_eq!(
            blocked(&gates, at(60)),
            Err(Block::QuotaExhausted { limit: "core".into(), until: at(5_000) })
        );
        assert_eq!(blocked(&gates, at(5_000)), Ok(at(5_000)), "a new window");
        gate(&mut gates, |gate| gate.shut = Some(Shut::Until(at(9_000))));
        assert_eq!(
            blocked(&gates, at(8_999)),
            Err(Block::RetryAfter { until: at(9_000) }),
            "never granted ahead of this time"
        );
        assert_eq!(blocked(&gates, at(9_000)), Ok(at(9_000)));
        gate(&mut gates, |gate| gate.shut = Some(Shut::Suspended { reason: "paid up".into() }));
        assert_eq!(blocked(&gates, at(99_000)), Err(Block::Suspended { reason: "paid up".into() }));
    }

    #[test]
    fn a_job_that_was_not_woken_waits_behind_parked_ones() {
        let demands = [demand(service(1), Some(1), &[])];
        let gates = HashMap::from([(service(1), Gate { has_waiters: true, ..Gate::default() })]);
        assert_eq!(judge(&demands, &gates, |_| false, at(0)), Err((&demands[0], Block::BehindWaiters)));
        assert_eq!(judge(&demands, &gates, |_| true, at(0)), Ok(at(0)));
    }

    #[test]
    fn room_counts_the_jobs_that_can_pass() {
        let gate = Gate { held: 3, ..Gate::default() };
        let full = |max| Err(Block::NoSlots { max });
        assert_eq!(gate.room(&demand(service(1), Some(5), &[]), at(0), 100), (2, full(5)));
        assert_eq!(gate.room(&demand(service(1), Some(3), &[]), at(0), 100), (0, full(3)));
        let spaced = demand(service(1), Some(50), &[rate(20, "PT1S", 1)]);
        let later = Err(Block::Rate { limit: "default".into(), until: at(250) });
        assert_eq!(gate.room(&spaced, at(0), 100), (5, later), "at 0, 50, 100, 150 and 200 ms");
        assert_eq!(gate.room(&spaced, at(0), 2), (2, Ok(at(100))), "there is room for more");
        let shut = Gate { shut: Some(Shut::Until(at(700))), ..gate };
        assert_eq!(shut.room(&spaced, at(0), 100), (0, Err(Block::RetryAfter { until: at(700) })));
    }
}
