//! `/healthz`: the process is alive. `/readyz`: what it needs is there, part by part.
//!
//! For load balancers and for `script/server`. Never tells why a part is away: that is in the log.

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

/// Longest that a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks a part for a sign of life.
pub type Ping = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// Something that the server needs.
#[derive(Clone)]
pub struct Part {
    /// As people call it: `postgres`, `redis`.
    pub name: &'static str,
    /// How to ask it.
    pub ping: Ping,
}

impl Part {
    /// A part that is asked like this.
    pub fn new<F, R>(name: &'static str, ping: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Self { name, ping: Arc::new(move || Box::pin(ping())) }
    }

    /// Whether it answers in time; if not, why.
    pub async fn check(&self) -> anyhow::Result<()> {
        match tokio::time::timeout(PATIENCE, (self.ping)()).await {
            Ok(answer) => answer,
            Err(_elapsed) => anyhow::bail!("no answer within {} s", PATIENCE.as_secs()),
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
    let answers = join_all(parts.iter().map(|part| async move { (part.name, part.check().await) })).await;
    let mut shown = Map::new();
    let mut is_ready = true;
    for (name, answer) in answers {
        if let Err(error) = &answer {
            is_ready = false;
            tracing::warn!(part = name, error = %format!("{error:#}"), "not ready");
        }
        shown.insert(name.to_owned(), Value::from(if answer.is_ok() { "up" } else { "down" }));
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "status": if is_ready { "ready" } else { "unavailable" }, "parts": shown });
    (status, [("cache-control", "no-store")], Json(body)).into_response()
}
