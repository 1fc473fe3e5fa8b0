//! queueStats and workersChanged, which send the full state at once and after every change.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    client::{Received, Subscription},
    harness::Harness,
};

const QUEUES: &str = "subscription($interval: Duration!) { queueStats(interval: $interval) {
    name isPaused counts { queued running succeeded } } }";
const WORKERS: &str = "subscription { workersChanged { id status running } }";

/// Returns the next message that differs from `before`. Rates per minute, which are not selected
/// here, also cause messages.
async fn next_different(stats: &mut Subscription, before: &Value) -> Value {
    loop {
        let value = stats.next().await;
        if value != *before {
            return value;
        }
    }
}

#[tokio::test]
async fn queue_stats_sends_all_queues_at_once_and_on_every_change() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let mut stats = harness.subscribe(QUEUES, json!({ "interval": "PT0.1S" })).await;
    assert_eq!(stats.next().await, json!([]));
    let job = harness.enqueue(json!({ "commandId": command, "queue": "letters" })).await;
    let letters = |queued, running, succeeded| {
        let counts = json!({ "queued": queued, "running": running, "succeeded": succeeded });
        json!([{ "name": "letters", "isPaused": false, "counts": counts }])
    };
    assert_eq!(next_different(&mut stats, &json!([])).await, letters(1, 0, 0));
    let attempt = harness.start(job).await;
    assert_eq!(next_different(&mut stats, &letters(1, 0, 0)).await, letters(0, 1, 0));
    harness.succeed(job, attempt).await;
    assert_eq!(next_different(&mut stats, &letters(0, 1, 0)).await, letters(0, 0, 1));
    let mut late = harness.subscribe(QUEUES, json!({ "interval": "PT0.1S" })).await;
    assert_eq!(late.next().await, letters(0, 0, 1));
    harness.mutate("queuePause", "queue { name }", json!({ "name": "letters" })).await;
    for follower in [&mut stats, &mut late] {
        assert_eq!(next_different(follower, &letters(0, 0, 1)).await[0]["isPaused"], true);
    }
}

#[tokio::test]
async fn changes_within_the_interval_are_sent_together() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let mut stats = harness.subscribe(QUEUES, json!({ "interval": "PT2S" })).await;
    let began = Instant::now();
    assert_eq!(stats.next().await, json!([]));
    for _ in 0..3 {
        harness.enqueue(json!({ "commandId": command })).await;
    }
    let queues = next_different(&mut stats, &json!([])).await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(queues[0]["counts"]["queued"], 3);
    for interval in ["PT0.09S", "PT2H"] {
        let mut refused = harness.subscribe(QUEUES, json!({ "interval": interval })).await;
        assert_eq!(refused.message().await, Received::Refused(vec!["BAD_REQUEST".into()]), "{interval}");
    }
}

#[tokio::test]
async fn workers_changed_reports_starts_jobs_and_drains_but_not_renewed_leases() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let mut workers = harness.subscribe(WORKERS, json!({})).await;
    let brief = |workers: Value| -> Vec<(String, i64)> {
        let list = workers.as_array().cloned().unwrap_or_default().into_iter();
        let one = |worker: Value| {
            (worker["status"].as_str().unwrap().to_owned(), worker["running"].as_i64().unwrap())
        };
        list.map(one).collect()
    };
    assert_eq!(brief(workers.next().await), []);
    harness.register_worker(&["default"]).await;
    assert_eq!(brief(workers.next().await), [("ACTIVE".into(), 0)]);
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    assert_eq!(brief(workers.next().await), [("ACTIVE".into(), 1)]);
    harness.sql("UPDATE workers SET heartbeat_at = clock_timestamp() + interval '1 second'").await;
    assert!(workers.is_silent_for(Duration::from_millis(600)).await, "a renewed lease sends nothing");
    harness.succeed(job, attempt).await;
    assert_eq!(brief(workers.next().await), [("ACTIVE".into(), 0)]);
    harness.mutate("workerDrain", "worker { id }", json!({ "id": harness.worker.to_string() })).await;
    assert_eq!(brief(workers.next().await), [("DRAINING".into(), 0)]);
}
