//! Liveness at `/healthz` and readiness at `/readyz`, for load balancers and `script/server`.
//!
//! `/readyz` lists the state of each dependency. Why one is down is only logged.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use futures::future::{BoxFuture, join_all};
use serde_json::{Map, Value, json};

/// Time limit of a check.
const CHECK_TIME_MAX: Duration = Duration::from_secs(2);

/// Checks that a dependency responds.
pub type Ping = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// A dependency of the server.
#[derive(Clone)]
pub struct Part {
    /// Its name in the response: `postgres`, `redis`.
    pub name: &'static str,
    /// The check.
    pub ping: Ping,
}

impl Part {
    /// Creates a dependency with this check.
    pub fn new<F, R>(name: &'static str, ping: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self { name, ping: Arc::new(move || Box::pin(ping())) }
    }

    /// Runs the check under the time limit. The error says why it failed.
    pub async fn check(&self) -> anyhow::Result<()> {
        match tokio::time::timeout(CHECK_TIME_MAX, (self.ping)()).await {
            Ok(result) => result,
            Err(_elapsed) => anyhow::bail!("no response within {} s", CHECK_TIME_MAX.as_secs()),
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The routes `/healthz` and `/readyz`.
pub fn router(parts: Vec<Part>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "status": "alive" })) }))
        .route("/readyz", get(readiness))
        .with_state(Arc::<[Part]>::from(parts))
}

async fn readiness(State(parts): State<Arc<[Part]>>) -> Response {
    let results = join_all(parts.iter().map(|part| async move { (part.name, part.check().await) })).await;
    let mut shown = Map::new();
    let mut is_ready = true;
    for (name, result) in results {
        if let Err(error) = &result {
            is_ready = false;
            tracing::warn!(part = name, error = %format!("{error:#}"), "not ready");
        }
        shown.insert(name.to_owned(), Value::from(if result.is_ok() { "up" } else { "down" }));
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": if is_ready { "ready" } else { "unavailable" }, "parts": shown });
    (status, [("cache-control", "no-store")], Json(body)).into_response()
}
