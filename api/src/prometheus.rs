//! Prometheus metrics of the API at `/metrics`.
//!
//! [`install`] must run before anything counts. Labels come from small fixed sets and never contain
//! ids, names or request data. The exception are queue names, at most [`QUEUES_MAX`], because
//! workers are scaled by queue.

use std::collections::HashMap;

use axum::{Router, http::header, routing::get};
use callboard::{
    clock,
    store::{
        Store, StoreError,
        queues::counters::{self, QueueState},
    },
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{
    graphql::{
        job_loaders::{LEASE, READY_MAX},
        queue,
    },
    recent::Recent,
};

/// Maximum number of queues in the output, in order of name.
const QUEUES_MAX: usize = 1000;
/// Bounds of the buckets for durations, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Installs the recorder of this process and describes the API's metrics.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()?;
    metrics::describe_counter!(
        "callboard_graphql_operations_total",
        "GraphQL operations, by type (query, mutation, subscription, unknown) and outcome (ok, errors, \
         refused)"
    );
    metrics::describe_histogram!("callboard_graphql_operation_seconds", "Time to run a checked operation");
    metrics::describe_gauge!("callboard_graphql_subscriptions_active", "Open subscriptions");
    metrics::describe_gauge!("callboard_sockets_open", "Open WebSockets");
    metrics::describe_counter!(
        "callboard_sockets_closed_total",
        "WebSockets closed by either side, by our close code"
    );
    metrics::describe_counter!(
        "callboard_sockets_dropped_total",
        "WebSockets dropped because the client stalled (read nothing) or the connection broke"
    );
    metrics::describe_counter!(
        "callboard_share_refusals_total",
        "Connections, sockets and requests refused because their address or key has its share, by what and by \
         whose share (address, key)"
    );
    metrics::describe_counter!(
        "callboard_connections_timed_out_total",
        "Connections closed because the head of a request took too long (head), nothing was sent (idle) or \
         nothing was read (stall)"
    );
    metrics::describe_gauge!(
        "callboard_queue_demand_slots",
        "Slots that a queue's jobs could use now: running jobs plus ready jobs that wait only for a slot, up \
         to 10000"
    );
    metrics::describe_gauge!("callboard_queue_slots", "Slots of the active workers that serve a queue");
    metrics::describe_gauge!("callboard_queue_jobs", "Live jobs of a queue, by state");
    metrics::describe_gauge!(
        "callboard_queue_oldest_ready_seconds",
        "Time that the oldest ready job of a queue has been waiting"
    );
    metrics::describe_gauge!(
        "callboard_queues_known",
        "1 if the gauges of queues are current, 0 if Postgres could not be read"
    );
    Ok(handle)
}

/// Updates the gauges of all queues.
async fn measure_queues(store: &Store) -> Result<(), StoreError> {
    let mut connection = store.connection().await?;
    let queues = counters::states(&mut connection).await?;
    let names: Vec<String> = queues.iter().take(QUEUES_MAX).map(|queue| queue.record.name.clone()).collect();
    let ready: HashMap<String, i64> =
        counters::ready(&mut connection, &names, READY_MAX).await?.into_iter().collect();
    let slots: HashMap<String, i64> = counters::slots(&mut connection, LEASE).await?.into_iter().collect();
    drop(connection);
    let now = clock::now();
    for QueueState { record: queue, counts, oldest_ready_at } in queues.into_iter().take(QUEUES_MAX) {
        let ready = ready.get(&queue.name).copied().unwrap_or_default();
        let waits = oldest_ready_at.and_then(|since| (now - since).to_std().ok());
        let of = |name: &'static str| metrics::gauge!(name, "queue" => queue.name.clone());
        of("callboard_queue_demand_slots").set(queue::demand(&queue, counts.running, ready) as f64);
        of("callboard_queue_slots").set(slots.get(&queue.name).copied().unwrap_or_default() as f64);
        of("callboard_queue_oldest_ready_seconds").set(waits.unwrap_or_default().as_secs_f64());
        for (state, count) in [
            ("blocked", counts.blocked),
            ("scheduled", counts.scheduled),
            ("queued", counts.queued),
            ("running", counts.running),
        ] {
            let gauge =
                metrics::gauge!("callboard_queue_jobs", "queue" => queue.name.clone(), "state" => state);
            gauge.set(count as f64);
        }
    }
    Ok(())
}

/// The route `/metrics`. With a store, a request first updates the gauges of its queues, unless
/// another one has done so within a second.
pub fn router(handle: PrometheusHandle, queues: Option<Store>) -> Router {
    let recent = Recent::<()>::default();
    let show = move || {
        let (handle, queues, recent) = (handle.clone(), queues.clone(), recent.clone());
        async move {
            if let Some(store) = queues
                && let Err(error) = recent.get(|| update_gauges(store)).await
            {
                tracing::error!(%error, "queues could not be measured");
            }
            handle.run_upkeep();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
        }
    };
    Router::new().route("/metrics", get(show))
}

async fn update_gauges(store: Store) {
    let measured = measure_queues(&store).await;
    if let Err(error) = &measured {
        tracing::warn!(%error, "queues could not be measured");
    }
    metrics::gauge!("callboard_queues_known").set(f64::from(u8::from(measured.is_ok())));
}
