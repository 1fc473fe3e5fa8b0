//! The worker's optional HTTP server: `/healthz` and `/metrics`.

use std::{future::ready, sync::Arc};

use anyhow::Context as _;
use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::{settings::WorkerSettings, shared::Shared};

/// Starts the server on `CALLBOARD_WORKER_LISTEN`, if that is set.
pub(crate) async fn start(settings: &WorkerSettings, shared: &Arc<Shared>) -> anyhow::Result<()> {
    let Some(address) = settings.listen else { return Ok(()) };
    let recorder =
        PrometheusBuilder::new().install_recorder().context("cannot install the metrics recorder")?;
    let running = shared.running.clone();
    let render = move || {
        metrics::gauge!("callboard_attempts_running").set(running.len() as f64);
        ready(recorder.render())
    };
    let router = Router::new().route("/healthz", get(|| ready("ok\n"))).route("/metrics", get(render));
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on CALLBOARD_WORKER_LISTEN={address}"))?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the health server ended");
        }
    });
    Ok(())
}
