//! Everything on one address: the routes put together, served, and shut down.
//!
//! `serve` (the command) makes the parts; this folder knows how they hang together. Shutting down: nothing new is
//! accepted, streams end, sockets close with 1001 so that clients connect again, what runs gets [`DRAIN`].

mod guard;
mod route;

use std::{future::IntoFuture as _, io, time::Duration};

use async_graphql::Executor;
use axum::{Router, http::StatusCode, middleware, response::IntoResponse as _};
use callboard::store::Store;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::compression::{CompressionLayer, CompressionLevel};

use crate::{
    artifacts::{self, Artifacts},
    endpoint::Endpoint,
    health::{self, Part},
    prometheus, web,
};

pub use guard::{Guarded, Patience};

/// How long what runs may go on when the server goes down.
pub const DRAIN: Duration = Duration::from_secs(10);

/// What is served.
#[derive(Debug)]
pub struct Parts<E> {
    /// `/graphql`.
    pub endpoint: Endpoint<E>,
    /// `/readyz` asks these.
    pub health: Vec<Part>,
    /// `/artifacts`.
    pub artifacts: Artifacts,
    /// `/metrics`.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Whose queues `/metrics` shows.
    pub queues: Option<Store>,
    /// `/demo`, in development.
    pub demo: Option<Router>,
}

/// All routes, with what every answer gets: a request id, security headers, gzip.
pub fn router<E: Executor>(parts: Parts<E>) -> Router {
    let Parts { endpoint, health, artifacts, metrics, queues, demo } = parts;
    let mut router = Router::new()
        .merge(endpoint.router())
        .merge(web::router())
        .merge(health::router(health))
        .merge(prometheus::router(metrics, queues))
        .merge(artifacts::router(artifacts));
    if let Some(demo) = demo {
        router = router.merge(demo);
    }
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response() })
        .layer(middleware::from_fn(web::secure))
        .layer(middleware::from_fn(route::name_request))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
}

/// Serves until `shutdown` is cancelled, then drains.
pub async fn run(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    sockets: TaskTracker,
) -> io::Result<()> {
    let served = axum::serve(Guarded::new(listener, Patience::default()), router)
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    let ended = tokio::select! {
        ended = served => ended,
        () = overtime(&shutdown) => {
            tracing::warn!("some requests were still running when the time to drain was over");
            Ok(())
        }
    };
    sockets.close();
    if tokio::time::timeout(DRAIN, sockets.wait()).await.is_err() {
        tracing::warn!("some sockets were still open when the time to drain was over");
    }
    ended
}

async fn overtime(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// Returns at SIGTERM or SIGINT.
pub async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
