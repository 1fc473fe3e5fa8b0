//! The demo service `/demo/api/quote`: JSON behind a token, with a rate limit reported in headers.
//!
//! Any token that starts with `demo-token-` is valid, so that a refreshed one is too. Each token
//! has its own limit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use callboard::{
    cache::{self, Cache},
    clock,
};
use parking_lot::Mutex;
use serde_json::json;

/// Requests per window.
const LIMIT: u32 = 10;
/// Length of the window.
const WINDOW: Duration = Duration::from_secs(10);
/// Maximum number of remembered tokens.
const TOKENS_MAX: usize = 1000;
const TOKEN_PREFIX: &str = "demo-token-";

/// By token, when its window started and the requests left in it.
#[derive(Debug, Clone)]
pub(super) struct Quotes(Arc<Mutex<Cache<String, (Instant, u32)>>>);

impl Default for Quotes {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(cache::bounded(TOKENS_MAX))))
    }
}

/// The route.
pub(super) fn router(quotes: Quotes) -> Router {
    Router::new().route("/demo/api/quote", get(answer)).with_state(quotes)
}

/// What is left after a request, and when the window ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    requests: Option<u32>,
    resets_in: Duration,
}

impl Quotes {
    fn take(&self, token: &str, now: Instant) -> Left {
        let mut windows = self.0.lock();
        let (began, left) = windows.get_or_insert_mut(token.to_owned(), || (now, LIMIT));
        if now.duration_since(*began) >= WINDOW {
            (*began, *left) = (now, LIMIT);
        }
        let resets_in = WINDOW.saturating_sub(now.duration_since(*began));
        let requests = left.checked_sub(1);
        *left = requests.unwrap_or(0);
        Left { requests, resets_in }
    }
}

async fn answer(State(quotes): State<Quotes>, headers: HeaderMap) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .filter(|token| token.starts_with(TOKEN_PREFIX) && token.len() <= 200);
    let Some(token) = token else {
        let body = json!({ "error": "Send `Authorization: Bearer demo-token-...`." });
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], Json(body))
            .into_response();
    };
    let left = quotes.take(token, Instant::now());
    let seconds = left.resets_in.as_secs_f64().ceil() as u64;
    let remaining = left.requests.unwrap_or(0);
    let limits = [
        ("x-ratelimit-limit", LIMIT.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
        ("x-ratelimit-reset", seconds.to_string()),
        ("ratelimit-policy", format!("\"default\";q={LIMIT};w={}", WINDOW.as_secs())),
        ("ratelimit", format!("\"default\";r={remaining};t={seconds}")),
    ];
    if left.requests.is_none() {
        let body = json!({ "error": "Too many requests." });
        return (
            StatusCode::TOO_MANY_REQUESTS,
            limits,
            [(header::RETRY_AFTER, seconds.to_string())],
            Json(body),
        )
            .into_response();
    }
    let now = clock::now();
    // The price moves, so that two responses differ.
    let price = 100.0 + ((now.timestamp_millis() / 1000 % 600) as f64 / 10.0).round() / 10.0;
    let body = json!({ "symbol": "CALL", "price": price, "currency": "EUR", "asOf": clock::written(now) });
    (StatusCode::OK, limits, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_enforces_its_limit_and_starts_again() {
        let (quotes, start) = (Quotes::default(), Instant::now());
        for left in (0..LIMIT).rev() {
            assert_eq!(quotes.take("a", start).requests, Some(left));
        }
        let refused = quotes.take("a", start + WINDOW / 2);
        assert_eq!(refused, Left { requests: None, resets_in: WINDOW / 2 });
        assert_eq!(quotes.take("b", start).requests, Some(LIMIT - 1), "each token has its own");
        assert_eq!(quotes.take("a", start + WINDOW).requests, Some(LIMIT - 1));
    }
}
