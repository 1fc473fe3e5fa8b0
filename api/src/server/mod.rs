//! Combines all routes on one address, serves them, and shuts them down.
//!
//! On shutdown no new connections are accepted, streams end, sockets close with 1001 so that
//! clients reconnect, and running requests get [`DRAIN`] to finish.

mod ambiguous;
mod client_policy;
mod guard;
mod route;

use std::{future::IntoFuture as _, io, time::Duration};

use async_graphql::Executor;
use axum::{
    Router,
    http::{Extensions, HeaderMap, StatusCode, Version, header},
    middleware,
    response::IntoResponse as _,
};
use callboard::store::Store;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, Predicate as _},
    },
};

use crate::{
    artifacts::{self, Artifacts},
    client_connection::ClientConnection,
    endpoint::Endpoint,
    health::{self, Part},
    prometheus, web,
};

pub use client_policy::ClientPolicy;
pub use guard::{Guarded, Patience};

/// Time for running requests to finish on shutdown.
pub const DRAIN: Duration = Duration::from_secs(10);

/// The parts of the server.
#[derive(Debug)]
pub struct Parts<E> {
    /// `/graphql`.
    pub endpoint: Endpoint<E>,
    /// Dependencies that `/readyz` checks.
    pub health: Vec<Part>,
    /// `/artifacts`.
    pub artifacts: Artifacts,
    /// `/metrics`.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// The store whose queues `/metrics` shows.
    pub queues: Option<Store>,
    /// `/demo`, in development.
    pub demo: Option<Router>,
}

/// All routes. Every response gets a request id, security headers and gzip.
pub fn router<E: Executor>(parts: Parts<E>) -> Router {
    let Parts { endpoint, health, artifacts, metrics, queues, demo } = parts;
    let origins = endpoint.origins.clone();
    let policy = ClientPolicy { shares: endpoint.shares.clone(), proxies: endpoint.proxies.clone() };
    let mut router = Router::new()
        .merge(endpoint.router())
        .merge(web::router())
        .merge(health::router(health))
        .merge(prometheus::router(metrics, queues))
        .merge(artifacts::router(artifacts, origins));
    if let Some(demo) = demo {
        router = router.merge(demo);
    }
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "Not found.\n").into_response() })
        .layer(middleware::from_fn_with_state(policy, route::pass))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(
            // What has byte ranges must have the same bytes in every response.
            DefaultPredicate::new().and(|_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
                !headers.contains_key(header::ACCEPT_RANGES)
            }),
        ))
}

/// Serves until `shutdown` is cancelled, then drains.
pub async fn run(
    listener: Guarded,
    router: Router,
    shutdown: CancellationToken,
    sockets: TaskTracker,
) -> io::Result<()> {
    let served = axum::serve(listener, router.into_make_service_with_connect_info::<ClientConnection>())
        .with_graceful_shutdown(shutdown.clone().cancelled_owned())
        .into_future();
    let ended = tokio::select! {
        ended = served => ended,
        () = overtime(&shutdown) => {
            tracing::warn!("requests were still running at the end of the drain time");
            Ok(())
        }
    };
    sockets.close();
    if tokio::time::timeout(DRAIN, sockets.wait()).await.is_err() {
        tracing::warn!("sockets were still open at the end of the drain time");
    }
    ended
}

async fn overtime(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(DRAIN).await;
}

/// Waits for SIGTERM or SIGINT.
pub async fn asked_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
