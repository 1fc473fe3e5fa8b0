//! Pausing queues and draining workers.

use callboard::steps::{
    hand_out::dispatch::refill,
    run::{
        claim::Decision,
        renew::{Renewal, renew},
    },
};
use serde_json::{Value, json};

use crate::harness::Harness;

#[tokio::test]
async fn no_job_of_a_paused_queue_starts_until_it_is_resumed() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let (running, waiting) = (
        harness.enqueue(json!({ "commandId": command })).await,
        harness.enqueue(json!({ "commandId": command })).await,
    );
    let attempt = harness.start(running).await;
    let fields = "queue { name isPaused }";
    let payload = harness.mutate("queuePause", fields, json!({ "name": "default" })).await;
    assert_eq!(payload, json!({ "queue": { "name": "default", "isPaused": true }, "userErrors": [] }));
    let again = harness.mutate("queuePause", fields, json!({ "name": "default" })).await;
    assert_eq!(again, payload, "pausing again changes nothing");

    let (_, decision) = harness.claim(waiting).await;
    assert_eq!(decision, Decision::Paused);
    let late = harness.enqueue(json!({ "commandId": command, "priority": 9 })).await;
    assert_eq!(harness.claim(late).await.1, Decision::Paused, "no priority passes a paused queue");
    assert!(
        !refill(&harness.store, &harness.redis).await.unwrap(),
        "jobs of a paused queue are not dispatched"
    );
    let shown = harness
        .read_job(waiting, "state version waiting { reason explanation blocker { __typename } }")
        .await;
    assert_eq!((&shown["state"], &shown["version"]), (&json!("QUEUED"), &json!(1)));
    let expected = json!({ "reason": "QUEUE_PAUSED", "explanation": "The queue default is paused.",
        "blocker": { "__typename": "Queue" } });
    assert_eq!(shown["waiting"], expected);
    harness.succeed(running, attempt).await;
    assert_eq!(harness.read_job(running, "state").await["state"], "SUCCEEDED", "running jobs continue");

    let payload = harness.mutate("queueResume", fields, json!({ "name": "default" })).await;
    assert_eq!(payload["queue"]["isPaused"], false);
    refill(&harness.store, &harness.redis).await.unwrap();
    let mut ready = harness.redis.ready_counts("default").await.unwrap();
    assert_eq!((std::mem::take(&mut ready[9]), std::mem::take(&mut ready[4]) >= 1), (1, true));
    harness.start(waiting).await;
    harness.start(late).await;

    for mutation in ["queuePause", "queueResume"] {
        for name in ["no-such-queue", ""] {
            let payload = harness.mutate(mutation, fields, json!({ "name": name })).await;
            assert_eq!(payload["queue"], Value::Null);
            assert_eq!(crate::harness::reasons(&payload), ["NOT_FOUND name"]);
        }
    }
}

#[tokio::test]
async fn a_worker_learns_that_it_is_draining_when_it_renews_its_lease() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let is_draining_now = async || match renew(&harness.store, harness.worker, false).await.unwrap() {
        Renewal::Kept { is_draining, .. } => is_draining,
        Renewal::Lost => panic!("the lease is lost"),
    };
    assert!(!is_draining_now().await);
    let id = json!({ "id": harness.worker.to_string() });
    for _ in 0..2 {
        let payload = harness.mutate("workerDrain", "worker { status }", id.clone()).await;
        assert_eq!(payload, json!({ "worker": { "status": "DRAINING" }, "userErrors": [] }));
    }
    assert!(is_draining_now().await);
    harness.sql("UPDATE workers SET status = 'gone'").await;
    let payload = harness.mutate("workerDrain", "worker { status }", id.clone()).await;
    assert_eq!(crate::harness::reasons(&payload), ["NOT_ALLOWED_IN_STATE id"]);
    for id in ["worker_00000000000000000000000000", "x"] {
        let payload = harness.mutate("workerDrain", "worker { status }", json!({ "id": id })).await;
        assert_eq!(crate::harness::reasons(&payload), ["NOT_FOUND id"]);
    }
    let query = "mutation($i: WorkerDrainInput!) { workerDrain(input: $i) { worker { id } } }";
    let response = harness.execute("cb_operator", query, json!({ "i": id })).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN");
}
