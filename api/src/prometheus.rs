//! `/metrics`: counters for Prometheus, with the names and meanings that dashboards build on.
//!
//! Installed once, before anything counts. Labels are of small fixed sets; never ids, names or anything of a request.

use axum::{Router, http::header, routing::get};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Installs the recorder of this process and describes what the API counts.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()?;
    metrics::describe_counter!(
        "callboard_graphql_operations_total",
        "GraphQL operations, by type (query, mutation, subscription, unknown) and outcome (ok, errors, refused)"
    );
    metrics::describe_histogram!(
        "callboard_graphql_operation_seconds",
        "Time from a checked operation to its answer"
    );
    metrics::describe_gauge!("callboard_graphql_subscriptions_active", "Subscriptions that are open");
    metrics::describe_gauge!("callboard_sockets_open", "WebSockets that are open");
    metrics::describe_counter!(
        "callboard_sockets_closed_total",
        "WebSockets closed by either side, by our code"
    );
    metrics::describe_counter!(
        "callboard_sockets_dropped_total",
        "WebSockets given up: stalled (the client took nothing) or broken"
    );
    Ok(handle)
}

/// The route `/metrics`.
pub fn router(handle: PrometheusHandle) -> Router {
    let show = move || {
        let handle = handle.clone();
        async move {
            handle.run_upkeep();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
        }
    };
    Router::new().route("/metrics", get(show))
}
