//! What a service's response says about its limits: what is left, when it resets, and whether the
//! service refused. Pure.
//!
//! Reads the headers of GitHub, OpenAI, Anthropic, Azure, Discord and similar services,
//! `Retry-After`, and `RateLimit` in its three drafts. Impossible values (a limit of 0, a reset in
//! the past century) are ignored, never guessed. No header or body may be kept.

mod families;
mod quota;
mod unquoted;
mod values;

use std::time::Duration;

use crate::clock::Time;

/// Maximum number of limits kept per response. Further ones are ignored.
pub const OBSERVED_MAX: usize = 16;
/// How far ahead a reset or `Retry-After` may lie. Later times are ignored.
pub const AHEAD_MAX: Duration = Duration::from_hours(31 * 24);
/// Pauses after refusals that name none: the default, and the minute that GitHub's secondary limits
/// ask for.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Characters of a refusal's body that are read.
pub const BODY_CHARS_MAX: usize = 4096;

/// Whether a header with this lower-case name can describe limits: `retry-after`, `ratelimit`,
/// `x-ratelimit-*` and their variants, with any prefix.
pub fn is_limit_header(name: &str) -> bool {
    let has = |family: &str| {
        name.match_indices(family).any(|(start, _)| {
            let rest = &name[start + family.len()..];
            (start == 0 || name[..start].ends_with('-')) && (rest.is_empty() || rest.starts_with('-'))
        })
    };
    let others = ["x-app-limit-", "x-user-limit-", "x-shopify-shop-api-call-limit", "sforce-limit-info"];
    ["ratelimit", "rate-limit", "retry-after"].into_iter().any(has)
        || others.iter().any(|other| name.starts_with(other))
}

/// How long the server asks to wait before the request is made again, whatever the status: by a
/// refusal, or by `Retry-After` or a variant. `None` if it does not ask.
pub fn wait(answer: &ServiceResponse<'_>) -> Option<Duration> {
    let until = match answer.observe().and_then(|observation| observation.closed) {
        Some(Closed::Until(until)) => Some(until),
        Some(Closed::AtLeast(_) | Closed::Suspended { .. }) | None => answer.retry_after(),
    };
    (until? - answer.at).to_std().ok()
}

/// Whether a response with this status may be a refusal because of a limit, whatever its headers.
/// Its body says more.
pub const fn is_refusal(status: u16) -> bool {
    matches!(status, 402 | 403 | 429)
}

/// The parts of a response that matter here.
#[derive(Debug, Clone, Copy)]
pub struct ServiceResponse<'a> {
    /// The status.
    pub status: u16,
    /// Lower-case names, and values.
    pub headers: &'a [(String, String)],
    /// The body or its beginning, if it was read.
    pub body: Option<&'a str>,
    /// When it arrived.
    pub at: Time,
}

/// What a response says about limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Each named limit, once.
    pub limits: Vec<Observed>,
    /// Whether and for how long the service allows no more requests.
    pub closed: Option<Closed>,
}

impl Observation {
    /// Moves all times by `by`, from the clock of the observing worker to that of the database.
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

/// One limit, as the service reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The service's name for it, or `default`.
    pub name: String,
    /// Requests, or whatever the service counts, per window. More than 0.
    pub limit: Option<i64>,
    /// What is left in this window, 0 or more.
    pub remaining: Option<i64>,
    /// When the window ends.
    pub resets_at: Option<Time>,
}

/// A refusal: the service allows no requests for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// Until this time.
    Until(Time),
    /// The service names no duration: at least this long, and longer each time in a row.
    AtLeast(Duration),
    /// Until an operator resolves it, because a paid quota is exhausted.
    Suspended {
        /// The service's message.
        reason: String,
    },
}

impl ServiceResponse<'_> {
    /// Returns what the response says about limits, or `None` if it says nothing.
    pub fn observe(&self) -> Option<Observation> {
        let limits = families::limits(self);
        let closed = self.closed(&limits);
        (closed.is_some() || !limits.is_empty()).then_some(Observation { limits, closed })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.trim())
    }

    /// The service's own time, if it reports one, because its clock may be off.
    fn clock(&self) -> Time {
        self.header("date").and_then(values::http_date).unwrap_or(self.at)
    }

    /// The time of `Retry-After` or a variant: OpenAI's `retry-after-ms`, Azure's
    /// `x-ms-retry-after-ms`, `x-ratelimit-retry-after`. Milliseconds are more exact.
    fn retry_after(&self) -> Option<Time> {
        let ending = |endings: &[&str], parse: fn(&str, &Self) -> Option<Time>| {
            let named = self.headers.iter().filter(|(name, _)| endings.iter().any(|end| name.ends_with(end)));
            named.filter_map(|(_, value)| parse(value.trim(), self)).max()
        };
        ending(&["retry-after-ms", "retry-after-milliseconds"], values::milliseconds_after)
            .or_else(|| ending(&["retry-after", "retry-after-seconds"], values::retry_after))
    }

    fn closed(&self, limits: &[Observed]) -> Option<Closed> {
        if let Some(reason) = quota::used_up(self.status, self.body) {
            return Some(Closed::Suspended { reason });
        }
        let retry_after = self.retry_after();
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
        // A time that is not ahead says no more than "not now".
        Some(until.filter(|until| *until > self.at).map_or(Closed::AtLeast(pause), Closed::Until))
    }
}

#[cfg(test)]
mod tests;
