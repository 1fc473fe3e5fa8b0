//! Parses the forms in which services write times and counts. Unknown forms give `None`.

use std::time::{Duration, SystemTime};

use super::{AHEAD_MAX, ServiceResponse};
use crate::clock::Time;

/// `Sun, 06 Nov 1994 08:49:37 GMT` and HTTP's two older forms.
pub(super) fn http_date(text: &str) -> Option<Time> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Time::from_timestamp(i64::try_from(since.as_secs()).ok()?, 0)
}

/// Seconds from now, or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(text: &str, answer: &ServiceResponse<'_>) -> Option<Time> {
    match seconds(text) {
        Some(seconds) => ahead(seconds, answer),
        None => ahead_of(http_date(text)?, answer),
    }
}

/// Milliseconds from now.
pub(super) fn milliseconds_after(text: &str, answer: &ServiceResponse<'_>) -> Option<Time> {
    ahead(Duration::try_from_secs_f64(number(text)? / 1000.0).ok()?, answer)
}

/// Seconds from now, as a number of JSON.
pub(super) fn seconds_after(seconds: f64, answer: &ServiceResponse<'_>) -> Option<Time> {
    ahead(Duration::try_from_secs_f64(seconds).ok()?, answer)
}

/// When a window ends: seconds or milliseconds since 1970, seconds from now, `6m0s`, RFC 3339 (also
/// without seconds, as Atlassian writes it), or a date of HTTP.
pub(super) fn reset(text: &str, answer: &ServiceResponse<'_>) -> Option<Time> {
    if let Some(number) = number(text) {
        return match number {
            milliseconds if number >= 1e12 => {
                ahead_of(Time::from_timestamp_millis(milliseconds as i64)?, answer)
            }
            seconds if number >= 1e9 => {
                ahead_of(Time::from_timestamp_millis((seconds * 1000.0) as i64)?, answer)
            }
            seconds => ahead(Duration::from_secs_f64(seconds), answer),
        };
    }
    match go_duration(text) {
        Some(wait) => ahead(wait, answer),
        None => ahead_of(date(text)?, answer),
    }
}

fn date(text: &str) -> Option<Time> {
    let full = chrono::DateTime::parse_from_rfc3339(text).ok().map(|date| date.to_utc());
    let short =
        || chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%MZ").ok().map(|date| date.and_utc());
    full.or_else(short).or_else(|| http_date(text))
}

/// `1h2m3s`, `7.66s`, `120ms`.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text.trim(), 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let value = number(&rest[..digits])?;
        rest = &rest[digits..];
        // `ms` comes before `m`, which is its prefix.
        let units =
            [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, seconds) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total += value * seconds;
    }
    Duration::try_from_secs_f64(total).ok()
}

/// A count, 0 or more.
pub(super) fn count(text: &str) -> Option<i64> {
    // The older drafts write `100, 100;w=60`, where the first number applies now.
    let first = text.split([',', ';']).next().unwrap_or(text);
    number(first).filter(|count| *count <= 1e15).map(|count| count as i64)
}

/// Seconds, the longest of a header that was sent twice (`7, 9`).
fn seconds(text: &str) -> Option<Duration> {
    let each = text.split(',').filter_map(number);
    each.filter_map(|seconds| Duration::try_from_secs_f64(seconds).ok()).max()
}

/// A decimal number, 0 or more, without a sign or an exponent. Not `inf` or `NaN`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let is_plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_plain { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

/// The time this long after the response. `None` if it is beyond [`AHEAD_MAX`].
pub(super) fn ahead(wait: Duration, answer: &ServiceResponse<'_>) -> Option<Time> {
    (wait <= AHEAD_MAX).then(|| answer.at + wait)
}

/// Converts a time of the service's clock. `None` if it is past or beyond [`AHEAD_MAX`].
fn ahead_of(time: Time, answer: &ServiceResponse<'_>) -> Option<Time> {
    ahead((time - answer.clock()).to_std().ok()?, answer)
}
