//! What the answer of a service tells of its limits: how much is left, when there is more, whether it refused. Pure.
//!
//! Called by the worker for answers of hosts that belong to a service. Reads GitHub's and OpenAI's headers and their kin,
//! `Retry-After`, and `RateLimit` in its three drafts. What cannot be true (a limit of 0, a reset in the past century) is
//! left out, never guessed. It must never keep a header or a body.

mod families;
mod quota;
mod values;

use std::time::Duration;

use crate::clock::Time;

/// Most limits that one answer may tell of; further ones are left out.
pub const OBSERVED_MAX: usize = 16;
/// How far ahead a reset or a `Retry-After` may lie; what lies further is not believed.
pub const AHEAD_MAX: Duration = Duration::from_hours(31 * 24);
/// The pause after a refusal that names none, and after GitHub's secondary limits, which ask for a minute.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Characters of a refusal's body that are looked at.
pub const BODY_CHARS_MAX: usize = 4096;

/// Whether a header of this name, in lower case, can say something of limits: `retry-after`, `ratelimit`, `x-ratelimit-*` and
/// their kin.
pub fn is_limit_header(name: &str) -> bool {
    let name = name.strip_prefix("x-").unwrap_or(name);
    let rest = name.strip_prefix("ratelimit").or_else(|| name.strip_prefix("rate-limit"));
    name == "retry-after" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether an answer with this status may be a refusal for the sake of a limit, whatever its headers: its body says more.
pub const fn is_refusal(status: u16) -> bool {
    matches!(status, 402 | 403 | 429)
}

/// An answer, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct ServiceResponse<'a> {
    /// The status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: &'a [(String, String)],
    /// Its body or the beginning of it, if it was read.
    pub body: Option<&'a str>,
    /// When it came.
    pub at: Time,
}

/// What an answer tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Each limit that it names, once.
    pub limits: Vec<Observed>,
    /// Whether, and for how long, the service wants no more requests.
    pub closed: Option<Closed>,
}

impl Observation {
    /// The same with all times moved: from the clock of whoever saw the answer to that of the database.
    #[must_use]
    pub fn moved(mut self, by: chrono::TimeDelta) -> Self {
        for limit in &mut self.limits {
            limit.resets_at = limit.resets_at.map(|at| at + by);
        }
        if let Some(Closed::Until(until)) = &mut self.closed {
            *until += by;
        }
        self
    }
}

/// One limit of a service, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// As the service calls it; `default` if it does not.
    pub name: String,
    /// Requests (or whatever it counts) per window, more than 0.
    pub limit: Option<i64>,
    /// How many are left in this window, 0 or more.
    pub remaining: Option<i64>,
    /// When the window ends.
    pub resets_at: Option<Time>,
}

/// The service refused, and wants no more requests for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Until then.
    Until(Time),
    /// It does not say how long: at least so long, and longer each time that it happens again.
    AtLeast(Duration),
    /// Until somebody has done something about it: what was paid for is used up.
    Suspended {
        /// What it says.
        reason: String,
    },
}

impl ServiceResponse<'_> {
    /// Reads it; none if it says nothing about limits.
    pub fn observe(&self) -> Option<Observation> {
        let limits = families::limits(self);
        let closed = self.closed(&limits);
        (closed.is_some() || !limits.is_empty()).then_some(Observation { limits, closed })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.trim())
    }

    /// The service's own time, where it tells: its clock may be off.
    fn clock(&self) -> Time {
        self.header("date").and_then(values::http_date).unwrap_or(self.at)
    }

    fn closed(&self, limits: &[Observed]) -> Option<Closed> {
        if let Some(reason) = quota::used_up(self.status, self.body) {
            return Some(Closed::Suspended { reason });
        }
        let retry_after = self.header("retry-after").and_then(|value| values::retry_after(value, self));
        let is_used_up = |limit: &&Observed| limit.remaining == Some(0);
        let is_secondary = quota::is_secondary(self.body);
        let is_refused = match self.status {
            429 => true,
            403 => retry_after.is_some() || is_secondary || limits.iter().any(|limit| is_used_up(&limit)),
            503 => retry_after.is_some(),
            _ => false,
        };
        if !is_refused {
            return None;
        }
        let reset = || limits.iter().filter(is_used_up).filter_map(|limit| limit.resets_at).max();
        let until = retry_after.or_else(|| quota::try_again(self)).or_else(reset);
        let pause = if is_secondary { PAUSE.1 } else { PAUSE.0 };
        // A moment that is not ahead says no more than "not now".
        Some(until.filter(|until| *until > self.at).map_or(Closed::AtLeast(pause), Closed::Until))
    }
}

#[cfg(test)]
mod tests;
