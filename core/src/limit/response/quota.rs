//! What only a refusal's body says: an exhausted quota, a secondary limit, or when to try again.

use serde::Deserialize;
use serde_json::Value;

use super::{ServiceResponse, values};
use crate::clock::Time;

/// Codes and types of errors that waiting does not resolve.
const USED_UP: [&str; 6] = [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_usage_limit_exceeded",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "billing_hard_limit_reached",
];
/// Longest reason kept, in characters.
const REASON_CHARS_MAX: usize = 300;

#[derive(Deserialize)]
struct Body {
    error: Error,
}

#[derive(Deserialize)]
struct Error {
    code: Option<String>,
    r#type: Option<String>,
    message: Option<String>,
}

fn error_of(body: Option<&str>) -> Option<Error> {
    serde_json::from_str(body?).ok().map(|Body { error }| error)
}

/// Returns the service's message if a paid quota is exhausted.
pub(super) fn used_up(status: u16, body: Option<&str>) -> Option<String> {
    if !matches!(status, 402 | 403 | 429) {
        return None;
    }
    let error = error_of(body)?;
    let is_known = |name: &Option<String>| name.as_deref().is_some_and(|name| USED_UP.contains(&name));
    if !is_known(&error.code) && !is_known(&error.r#type) {
        return None;
    }
    let told = [error.message, error.code, error.r#type].into_iter().flatten().find(|text| !text.is_empty());
    told.map(|text| text.chars().take(REASON_CHARS_MAX).collect())
}

/// Whether the body names one of GitHub's secondary limits, which no header reports.
pub(super) fn is_secondary(body: Option<&str>) -> bool {
    body.is_some_and(|body| body.contains("secondary rate limit") || body.contains("abuse detection"))
}

/// When to try again, as only the body tells.
pub(super) fn try_again(answer: &ServiceResponse<'_>) -> Option<Time> {
    in_field(answer).or_else(|| in_message(&error_of(answer.body)?.message?, answer))
}

/// OpenAI's `Please try again in 41.724s`, and Azure's `Please retry after 6 seconds`.
fn in_message(message: &str, answer: &ServiceResponse<'_>) -> Option<Time> {
    let word =
        |rest: &str| rest.split_whitespace().next().map(|word| word.trim_end_matches(['.', ',']).to_owned());
    if let Some((_, rest)) = message.split_once("try again in ") {
        return values::ahead(values::go_duration(&word(rest)?)?, answer);
    }
    let (_, rest) = message.split_once("etry after ")?;
    if !rest.contains("second") {
        return None;
    }
    values::seconds_after(word(rest)?.parse().ok()?, answer)
}

/// Discord's `retry_after` in seconds, Telegram's below `parameters`, and Google's `retryDelay`
/// below `error.details`.
fn in_field(answer: &ServiceResponse<'_>) -> Option<Time> {
    let body: Value = serde_json::from_str(answer.body?).ok()?;
    let places = [
        body.get("retry_after"),
        body.pointer("/parameters/retry_after"),
        body.pointer("/error/retry_after"),
    ];
    if let Some(seconds) = places.into_iter().flatten().find_map(Value::as_f64) {
        return values::seconds_after(seconds, answer);
    }
    let mut details = body.pointer("/error/details")?.as_array()?.iter();
    let delay = details.find_map(|detail| detail.get("retryDelay")?.as_str())?;
    values::ahead(values::go_duration(delay)?, answer)
}
