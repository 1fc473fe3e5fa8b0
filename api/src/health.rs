//! Liveness at `/healthz` and readiness at `/readyz`, for load balancers and `script/server`.
//!
//! `/readyz` lists the state of each dependency, at most a second old. Why one is down is only
//! logged.

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

use crate::recent::Recent;

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

/// What the checks have found: the name of each dependency, and whether it is up.
type Found = Arc<[(&'static str, bool)]>;

/// The routes `/healthz` and `/readyz`.
pub fn router(parts: Vec<Part>) -> Router {
    let (parts, recent) = (Arc::<[Part]>::from(parts), Recent::<Found>::default());
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "status": "alive" })) }))
        .route("/readyz", get(readiness))
        .with_state((parts, recent))
}

async fn check_all(parts: Arc<[Part]>) -> Found {
    let results = join_all(parts.iter().map(|part| async move { (part.name, part.check().await) })).await;
    let found = results.into_iter().map(|(name, result)| {
        if let Err(error) = &result {
            tracing::warn!(part = name, error = %format!("{error:#}"), "not ready");
        }
        (name, result.is_ok())
    });
    found.collect()
}

async fn readiness(State((parts, recent)): State<(Arc<[Part]>, Recent<Found>)>) -> Response {
    // A check that has panicked is no part that is up.
    let found = recent.get(|| check_all(parts)).await;
    let is_ready = found.as_ref().is_ok_and(|found| found.iter().all(|(_, is_up)| *is_up));
    let shown: Map<String, Value> = found
        .iter()
        .flat_map(|found| found.iter())
        .map(|(name, is_up)| ((*name).to_owned(), Value::from(if *is_up { "up" } else { "down" })))
        .collect();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": if is_ready { "ready" } else { "unavailable" }, "parts": shown });
    (status, [("cache-control", "no-store")], Json(body)).into_response()
}
