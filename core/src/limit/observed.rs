//! What a gate learns from its service's responses, and the usage that it reports. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Limits,
    gate::Gate,
    response::{Closed, OBSERVED_MAX, Observation, Observed},
};
use crate::clock::Time;

/// Window ends at most this far apart belong to one window, because services report whole seconds,
/// some relative to the response.
const SAME_WINDOW: Duration = Duration::from_secs(2);
/// Longest pause after refusals that name no duration.
const PAUSE_MAX: Duration = Duration::from_mins(15);

/// A quota as the service reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemainingQuota {
    /// The service's name for it.
    pub name: String,
    /// Requests per window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Requests left in the window. Each job that passes takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<i64>,
    /// When the window ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
    /// When the service reported it.
    pub at: Time,
}

impl RemainingQuota {
    /// When the quota resets, if it is exhausted now.
    pub(super) fn used_up_until(&self, now: Time) -> Option<Time> {
        self.resets_at.filter(|resets_at| self.remaining.is_some_and(|left| left <= 0) && *resets_at > now)
    }

    /// Takes one request, unless the window is over.
    pub(super) fn pass(&mut self, at: Time) {
        if self.resets_at.is_some_and(|resets_at| resets_at > at) {
            self.remaining = self.remaining.map(|left| (left - 1).max(0));
        }
    }

    fn hear(&mut self, said: &Observed, now: Time) {
        let is_over = self.resets_at.is_none_or(|end| end <= now);
        let is_same_window = match (self.resets_at, said.resets_at) {
            (Some(before), Some(end)) => {
                !is_over && (end - before).abs().to_std().unwrap_or_default() <= SAME_WINDOW
            }
            (None, Some(_)) | (Some(_) | None, None) => false,
        };
        // A response that was overtaken by later ones.
        let is_late = said.resets_at.is_some_and(|end| end <= now) && !is_over;
        if is_same_window {
            // The end stays as first reported, because a window whose end moves with every response
            // would never end.
            self.remaining = self.remaining.into_iter().chain(said.remaining).min();
        } else if said.remaining.is_some() && !is_late {
            (self.remaining, self.resets_at) = (said.remaining, said.resets_at);
        }
        self.limit = said.limit.or(self.limit);
        self.at = now;
    }
}

/// Why a gate lets no job pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shut {
    /// No requests are allowed until then.
    Until(Time),
    /// Until an operator resumes the service.
    Suspended {
        /// The service's message.
        reason: String,
    },
}

/// The last pause after a refusal that named no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    length: Duration,
    until: Time,
}

impl Gate {
    /// Applies a response. Its times are by the same clock as `now`.
    pub fn apply(&mut self, seen: &Observation, now: Time) {
        for said in &seen.limits {
            if let Some(known) = self.left.iter_mut().find(|left| left.name == said.name) {
                known.hear(said, now);
            } else {
                let Observed { name, limit, remaining, resets_at } = said.clone();
                self.left.push(RemainingQuota { name, limit, remaining, resets_at, at: now });
            }
        }
        if self.left.len() > OBSERVED_MAX {
            self.left.sort_by_key(|left| std::cmp::Reverse(left.at));
            self.left.truncate(OBSERVED_MAX);
        }
        match (&seen.closed, &self.shut) {
            (Some(Closed::Suspended { reason }), _) => {
                self.shut = Some(Shut::Suspended { reason: reason.clone() });
            }
            (None, _) | (Some(_), Some(Shut::Suspended { .. })) => {}
            (Some(Closed::Until(until)), shut) => self.shut = Some(Shut::Until(later(shut.as_ref(), *until))),
            // Responses to requests sent before the pause say nothing new.
            (Some(Closed::AtLeast(_)), Some(Shut::Until(until))) if *until > now => {}
            (Some(Closed::AtLeast(least)), _) => {
                // Refused again right after the last pause: wait twice as long.
                let again = self.pause.filter(|last| now <= last.until + last.length);
                let length =
                    again.map_or(*least, |last| (last.length * 2).clamp(*least, PAUSE_MAX.max(*least)));
                self.pause = Some(Pause { length, until: now + length });
                self.shut = Some(Shut::Until(now + length));
            }
        }
    }

    /// Forgets every report that keeps jobs from passing. Returns whether there was one.
    pub fn resume(&mut self, now: Time) -> bool {
        let was_shut = self.why_shut(now).is_some();
        let known = self.left.len();
        self.left.retain(|left| left.used_up_until(now).is_none());
        self.shut = None;
        self.pause = None;
        was_shut || self.left.len() < known
    }

    /// Why the gate is shut now, whatever its quotas. `None` if it is open.
    pub fn why_shut(&self, now: Time) -> Option<&Shut> {
        self.shut.as_ref().filter(|shut| match shut {
            Shut::Until(until) => *until > now,
            Shut::Suspended { .. } => true,
        })
    }

    /// When the gate opens again. `None` if it is open or suspended.
    pub fn shut_until(&self, now: Time) -> Option<Time> {
        match self.why_shut(now)? {
            Shut::Until(until) => Some(*until),
            Shut::Suspended { .. } => None,
        }
    }

    /// Returns the usage of every limit: declared rates and caps first, then the service's quotas.
    pub fn usage(&self, limits: &Limits, now: Time) -> Vec<Usage> {
        let declared = limits.rate_limits.iter().map(|limit| {
            let bucket = self.bucket(limit);
            Usage {
                name: limit.name.clone(),
                is_observed: false,
                limit: Some(limit.limit.into()),
                remaining: Some(bucket.holds(limit, now).into()),
                resets_at: Some(bucket.full_at(now)),
                at: now,
            }
        });
        let caps = limits.caps.iter().map(|cap| Usage {
            name: cap.per.as_str().to_owned(),
            is_observed: false,
            limit: Some(cap.most.into()),
            remaining: Some(cap.most.saturating_sub(self.used(cap, now)).into()),
            resets_at: Some(cap.per.end(now)),
            at: now,
        });
        let observed = self.left.iter().map(|left| {
            // The next window has begun, of which only the size is known.
            let is_over = left.resets_at.is_some_and(|end| end <= now);
            Usage {
                name: left.name.clone(),
                is_observed: true,
                limit: left.limit,
                remaining: if is_over { left.limit } else { left.remaining },
                resets_at: left.resets_at.filter(|_| !is_over),
                at: left.at,
            }
        });
        declared.chain(caps).chain(observed).collect()
    }
}

fn later(shut: Option<&Shut>, until: Time) -> Time {
    match shut {
        Some(Shut::Until(before)) => until.max(*before),
        Some(Shut::Suspended { .. }) | None => until,
    }
}

/// The usage of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The limit's name.
    pub name: String,
    /// Whether the service reported it. Otherwise it is declared.
    pub is_observed: bool,
    /// The total per window or period.
    pub limit: Option<i64>,
    /// How much is left.
    pub remaining: Option<i64>,
    /// When all of it is available again.
    pub resets_at: Option<Time>,
    /// When these numbers were current.
    pub at: Time,
}

#[cfg(test)]
mod tests {
    use super::super::tests::rate;
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn said(remaining: i64, resets_at: i64) -> Observation {
        let (limit, remaining, resets_at) = (Some(100), Some(remaining), Some(at(resets_at)));
        let limits = vec![Observed { name: "core".into(), limit, remaining, resets_at }];
        Observation { limits, closed: None }
    }

    fn closed(closed: Closed) -> Observation {
        Observation { limits: Vec::new(), closed: Some(closed) }
    }

    fn left(gate: &Gate) -> (i64, Time) {
        (gate.left[0].remaining.unwrap(), gate.left[0].resets_at.unwrap())
    }

    #[test]
    fn the_lowest_count_of_a_window_and_the_newest_window_win() {
        let mut gate = Gate::default();
        gate.apply(&said(50, 60), at(0));
        gate.apply(&said(48, 60), at(1));
        gate.apply(&said(49, 61), at(2));
        assert_eq!(left(&gate), (48, at(60)), "49 was overtaken");
        gate.left[0].pass(at(3));
        assert_eq!(left(&gate), (47, at(60)));
        gate.apply(&said(99, 120), at(61));
        assert_eq!(left(&gate), (99, at(120)), "a new window");
        gate.apply(&said(0, 60), at(62));
        assert_eq!(left(&gate), (99, at(120)), "a response of the old window");
        gate.apply(&said(80, 70), at(63));
        assert_eq!(left(&gate), (80, at(70)), "a bucket that refills sooner than reported before");
    }

    #[test]
    fn a_window_that_slides_with_every_response_still_ends() {
        let mut gate = Gate::default();
        for second in 0..30 {
            gate.apply(&said(50, second + 10), at(second));
            gate.left[0].pass(at(second));
        }
        assert!(left(&gate).0 >= 39, "{:?}", gate.left);
    }

    #[test]
    fn pauses_double_while_the_service_keeps_refusing() {
        let mut gate = Gate::default();
        let least = Closed::AtLeast(Duration::from_mins(1));
        let mut pauses = Vec::new();
        let mut now = at(0);
        for _ in 0..7 {
            gate.apply(&closed(least.clone()), now);
            gate.apply(&closed(least.clone()), now);
            let Some(Shut::Until(until)) = gate.shut else { panic!("{gate:?}") };
            pauses.push((until - now).num_minutes());
            now = until;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15, 15]);
        gate.apply(&closed(least), now + Duration::from_hours(1));
        assert_eq!(gate.shut, Some(Shut::Until(now + Duration::from_mins(61))), "from the beginning");
    }

    #[test]
    fn the_latest_end_wins_and_a_suspension_outweighs_it() {
        let mut gate = Gate::default();
        gate.apply(&closed(Closed::Until(at(60))), at(0));
        gate.apply(&closed(Closed::Until(at(30))), at(1));
        gate.apply(&closed(Closed::AtLeast(Duration::from_secs(1))), at(2));
        assert_eq!(gate.shut, Some(Shut::Until(at(60))));
        assert!(gate.why_shut(at(59)).is_some() && gate.why_shut(at(60)).is_none());
        let suspended = Shut::Suspended { reason: "no money".into() };
        gate.apply(&closed(Closed::Suspended { reason: "no money".into() }), at(3));
        gate.apply(&closed(Closed::Until(at(90))), at(4));
        assert_eq!(gate.shut, Some(suspended));
        gate.apply(&said(0, 100), at(5));
        assert!(gate.resume(at(6)));
        assert_eq!((gate.shut.clone(), gate.left.len()), (None, 0));
        assert!(!gate.resume(at(7)), "no job was blocked");
    }

    #[test]
    fn usage_has_declared_limits_and_observed_quotas() {
        let limits =
            Limits { max_concurrency: None, rate_limits: vec![rate(10, "PT10S", 5)], caps: Vec::new() };
        let mut gate = Gate::default();
        gate.apply(&said(7, 60), at(0));
        let demand = super::super::gate::Demand {
            key: super::super::GateKey::Queue("q".into()),
            name: "".into(),
            limits: std::sync::Arc::new(limits.clone()),
        };
        gate.pass(&demand, at(1));
        gate.pass(&demand, at(1));
        let seen = |now| {
            let brief = |usage: Usage| (usage.is_observed, usage.limit, usage.remaining, usage.resets_at);
            gate.usage(&limits, at(now)).into_iter().map(brief).collect::<Vec<_>>()
        };
        let declared = |left, at| (false, Some(10), Some(left), Some(at));
        assert_eq!(seen(1), [declared(3, at(3)), (true, Some(100), Some(5), Some(at(60)))]);
        assert_eq!(seen(70), [declared(5, at(70)), (true, Some(100), Some(100), None)]);
    }

    #[test]
    fn a_stored_gate_reads_back() {
        let mut gate = Gate::default();
        gate.apply(&said(7, 60), at(0));
        gate.apply(&closed(Closed::AtLeast(Duration::from_millis(1500))), at(0));
        let stored = serde_json::to_value(&gate).unwrap();
        assert_eq!(serde_json::from_value::<Gate>(stored).unwrap(), gate);
    }
}
