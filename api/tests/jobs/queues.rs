//! Queues: history, the demand for slots, the estimated time until empty, and their limit.

use callboard::{clock, ids::JobId};
use callboard_api::prometheus;
use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::{
    client::WAIT_MAX,
    harness::{Harness, failed},
};

async fn queue(harness: &Harness, fields: &str) -> Value {
    let data = harness.data(&format!("{{ queues {{ name {fields} }} }}"), json!({})).await;
    let queues = data["queues"].as_array().unwrap().clone();
    queues.into_iter().find(|queue| queue["name"] == "default").unwrap()
}

async fn jobs(harness: &Harness, count: usize) -> Vec<JobId> {
    let command = harness.create_command("hello", json!({})).await;
    let mut jobs = Vec::new();
    for _ in 0..count {
        jobs.push(harness.enqueue(json!({ "commandId": command })).await);
    }
    jobs
}

fn sum(points: &Value, field: &str) -> i64 {
    points.as_array().unwrap().iter().map(|point| point[field].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn history_is_the_same_before_and_after_counters_are_folded() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let jobs = jobs(&harness, 5).await;
    harness.sql("UPDATE live_jobs SET queued_at = queued_at - interval '90 seconds'").await;
    let attempts = harness.start_all(&jobs[..3]).await;
    harness.succeed(jobs[0], attempts[0]).await;
    harness.settle(jobs[1], attempts[1], failed(false)).await;
    harness.mutate("jobCancel", "job { id }", json!({ "id": jobs[3].to_string() })).await;
    let fields = r#"history(window: "PT3H", step: "PT1H") { at enqueued started succeeded failed cancelled queuedDepth p50Wait p95Wait }"#;
    for is_folded in [false, true] {
        if is_folded {
            harness.run_duties().await;
        }
        let history = queue(&harness, fields).await["history"].take();
        let sums =
            ["enqueued", "started", "succeeded", "failed", "cancelled"].map(|field| sum(&history, field));
        assert_eq!(sums, [5, 3, 1, 1, 1], "{is_folded}: {history}");
        let points = history.as_array().unwrap();
        assert_eq!(
            (points.len(), &points[2]["queuedDepth"], &points[0]["queuedDepth"]),
            (3, &json!(1), &json!(0))
        );
        // An hour may have begun since, so the starts can be in the last step or the one before.
        let busiest = points.iter().find(|point| point["started"] != json!(0)).unwrap();
        for wait in ["p50Wait", "p95Wait"] {
            let wait: callboard::duration::IsoDuration = busiest[wait].as_str().unwrap().parse().unwrap();
            assert!((81.0..109.0).contains(&wait.0.as_secs_f64()), "{is_folded}: {history}");
        }
        assert_eq!(points[0]["p50Wait"], Value::Null);
    }
    let last: clock::Time =
        queue(&harness, "history { at }").await["history"][59]["at"].as_str().unwrap().parse().unwrap();
    let age = (clock::now() - last).num_seconds();
    assert!((0..90).contains(&age), "the last step began within the last minute: {age} s");

    harness
        .sql(
            "INSERT INTO queue_minutes (queue, minute, enqueued, queued) VALUES
        ('default', date_trunc('minute', now()) - interval '30 minutes', 7, 7),
        ('default', date_trunc('minute', now()) - interval '20 minutes', 0, -7)",
        )
        .await;
    let history = queue(&harness, "history { queuedDepth enqueued }").await["history"].take();
    let depths: Vec<i64> =
        history.as_array().unwrap().iter().map(|point| point["queuedDepth"].as_i64().unwrap()).collect();
    assert_eq!(
        depths.iter().filter(|depth| **depth == 7).count(),
        10,
        "a depth of 7 for ten minutes: {depths:?}"
    );

    for bad in [r#"step: "PT30S""#, r#"window: "P2D""#, r#"step: "PT0S""#] {
        let query = format!("{{ queues {{ history({bad}) {{ at }} }} }}");
        assert_eq!(harness.error(&query, json!({})).await, "BAD_REQUEST", "{bad}");
    }
}

#[tokio::test]
async fn demand_counts_jobs_that_could_run_and_is_exported_to_prometheus() {
    let harness = Harness::new().await;
    let jobs = jobs(&harness, 6).await;
    let signal = "demand slots emptyAt isPaused";
    assert_eq!(queue(&harness, signal).await["slots"], 0, "no worker serves it");
    harness.register_worker(&["default", "other"]).await;
    harness.start_all(&jobs[..2]).await;
    let shown = queue(&harness, signal).await;
    assert_eq!((&shown["demand"], &shown["slots"], &shown["emptyAt"]), (&json!(6), &json!(4), &Value::Null));
    harness.sql("UPDATE live_jobs SET dispatched_at = NULL").await;
    assert_eq!(queue(&harness, signal).await["demand"], 6, "dispatched or not");
    harness
        .sql(
            "UPDATE live_jobs SET parked_on = 'profile:x' WHERE state = 'queued'
        AND job_id = (SELECT job_id FROM live_jobs ORDER BY job_id DESC LIMIT 1)",
        )
        .await;
    assert_eq!(queue(&harness, signal).await["demand"], 5, "a parked job could not use a slot");
    let set_limit = |most: Value| {
        harness.mutate(
            "queueUpdate",
            "queue { demand }",
            json!({ "name": "default", "maxConcurrency": most }),
        )
    };
    assert_eq!(set_limit(json!(3)).await["queue"]["demand"], 3);
    assert_eq!(set_limit(Value::Null).await["queue"]["demand"], 5);

    // Ten ready jobs fewer each minute.
    harness.sql("INSERT INTO queue_minutes (queue, minute, queued)
        SELECT 'default', date_trunc('minute', now()) - make_interval(mins => ago), -10 FROM generate_series(0, 6) AS ago").await;
    let at: clock::Time = queue(&harness, signal).await["emptyAt"].as_str().unwrap().parse().unwrap();
    let seconds = (at - clock::now()).num_seconds();
    assert!((14..=30).contains(&seconds), "four jobs at ten a minute: {seconds} s");

    let router = prometheus::router(prometheus::install().unwrap(), Some(harness.store.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let metrics_server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let read = async || reqwest::get(&url).await.unwrap().text().await.unwrap();
    let text = read().await;
    for line in [
        r#"callboard_queue_demand_slots{queue="default"} 5"#,
        r#"callboard_queue_slots{queue="default"} 4"#,
        r#"callboard_queue_jobs{queue="default",state="running"} 2"#,
        "callboard_queues_known 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    harness.mutate("queuePause", "queue { id }", json!({ "name": "default" })).await;
    // A result is shared for a second. Running jobs still count.
    let demand = r#"callboard_queue_demand_slots{queue="default"} 2"#;
    eventually(WAIT_MAX, || async { read().await.contains(demand) }).await;
    harness.store.close().await;
    eventually(WAIT_MAX, || async { read().await.contains("callboard_queues_known 0") }).await;
    metrics_server.abort();
}

#[tokio::test]
async fn a_limit_below_the_running_jobs_is_refused_with_the_lowest_possible_one() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let service =
        harness.create("serviceCreate", "service", json!({ "name": "s", "maxConcurrency": 3 })).await;
    let proxy = json!({ "name": "p", "protocol": "HTTP", "address": "127.0.0.1:9" });
    let proxy = harness.create("proxyCreate", "proxy", proxy).await;
    let request = json!({ "commandId": command, "serviceIds": [service], "proxyId": proxy });
    let jobs = [harness.enqueue(request.clone()).await, harness.enqueue(request).await];
    let attempts = harness.start_all(&jobs).await;
    let things = [
        ("serviceUpdate", "service", json!({ "id": service })),
        ("proxyUpdate", "proxy", json!({ "id": proxy })),
        ("queueUpdate", "queue", json!({ "name": "default" })),
    ];
    let set = async |(mutation, noun, which): &(&'static str, &'static str, Value), most: i32| {
        let mut input = which.clone();
        input["maxConcurrency"] = json!(most);
        let payload = harness.mutate(mutation, &format!("{noun} {{ maxConcurrency }}"), input).await;
        (payload[noun]["maxConcurrency"].as_i64(), payload["userErrors"].clone())
    };
    for thing in &things {
        let (_, errors) = set(thing, 1).await;
        let message = format!(
            "2 jobs of the {} are running. Set it to 2 or more, or lower it once fewer run.",
            thing.1
        );
        let expected =
            json!([{ "code": "INVALID", "path": ["input", "maxConcurrency"], "message": message }]);
        assert_eq!(errors, expected, "{}", thing.1);
        assert_eq!(set(thing, 2).await, (Some(2), json!([])), "{}", thing.1);
    }
    harness.settle_all(&jobs, &attempts, &failed(false)).await;
    for thing in &things {
        assert_eq!(set(thing, 1).await, (Some(1), json!([])), "{} without running jobs", thing.1);
    }
    for (mutation, id) in [("serviceDelete", service), ("proxyDelete", proxy)] {
        assert_eq!(harness.mutate(mutation, "deletedId", json!({ "id": id })).await["userErrors"], json!([]));
    }
    let gates: i64 = sqlx::query_scalar("SELECT count(*) FROM gates WHERE key NOT LIKE 'queue:%'")
        .fetch_one(&mut *harness.store.connection().await.unwrap())
        .await
        .unwrap();
    assert_eq!(gates, 0, "a deleted object leaves no gate");
}
