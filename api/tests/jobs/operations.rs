//! What operators do to queues and workers.

use callboard::steps::{
    hand_out::dispatch::refill,
    run::{
        claim::Decision,
        renew::{Renewal, renew},
    },
};
use serde_json::{Value, json};

use crate::stage::Stage;

#[tokio::test]
async fn nothing_of_a_paused_queue_starts_until_it_is_resumed() {
    let stage = Stage::set().await;
    stage.enter(&["default"]).await;
    let command = stage.command("hello", json!({})).await;
    let (running, waiting) = (
        stage.enqueue(json!({ "commandId": command })).await,
        stage.enqueue(json!({ "commandId": command })).await,
    );
    let attempt = stage.start(running).await;
    let fields = "queue { name isPaused }";
    let payload = stage.mutate("queuePause", fields, json!({ "name": "default" })).await;
    assert_eq!(payload, json!({ "queue": { "name": "default", "isPaused": true }, "userErrors": [] }));
    let again = stage.mutate("queuePause", fields, json!({ "name": "default" })).await;
    assert_eq!(again, payload, "pausing again changes nothing");

    let (_, answer) = stage.claim(waiting).await;
    assert_eq!(answer, Decision::Paused);
    let late = stage.enqueue(json!({ "commandId": command, "priority": 9 })).await;
    assert_eq!(stage.claim(late).await.1, Decision::Paused, "whatever its priority");
    assert!(!refill(&stage.store, &stage.redis).await.unwrap(), "a paused backlog is left alone");
    let shown =
        stage.of_job(waiting, "state version waiting { reason explanation blocker { __typename } }").await;
    assert_eq!((&shown["state"], &shown["version"]), (&json!("QUEUED"), &json!(1)));
    let expected = json!({ "reason": "QUEUE_PAUSED", "explanation": "The queue default is paused.",
        "blocker": { "__typename": "Queue" } });
    assert_eq!(shown["waiting"], expected);
    stage.succeed(running, attempt).await;
    assert_eq!(stage.of_job(running, "state").await["state"], "SUCCEEDED", "what runs goes on");

    let payload = stage.mutate("queueResume", fields, json!({ "name": "default" })).await;
    assert_eq!(payload["queue"]["isPaused"], false);
    refill(&stage.store, &stage.redis).await.unwrap();
    let mut ready = stage.redis.ready_counts("default").await.unwrap();
    assert_eq!((std::mem::take(&mut ready[9]), std::mem::take(&mut ready[4]) >= 1), (1, true));
    stage.start(waiting).await;
    stage.start(late).await;

    for mutation in ["queuePause", "queueResume"] {
        for name in ["no-such-queue", ""] {
            let payload = stage.mutate(mutation, fields, json!({ "name": name })).await;
            assert_eq!(payload["queue"], Value::Null);
            assert_eq!(crate::stage::reasons(&payload), ["NOT_FOUND name"]);
        }
    }
}

#[tokio::test]
async fn a_worker_that_is_asked_to_drain_learns_it_with_its_lease() {
    let stage = Stage::set().await;
    stage.enter(&["default"]).await;
    let drains = async || match renew(&stage.store, stage.worker, false).await.unwrap() {
        Renewal::Kept { is_draining, .. } => is_draining,
        Renewal::Lost => panic!("lost"),
    };
    assert!(!drains().await);
    let id = json!({ "id": stage.worker.to_string() });
    for _ in 0..2 {
        let payload = stage.mutate("workerDrain", "worker { status }", id.clone()).await;
        assert_eq!(payload, json!({ "worker": { "status": "DRAINING" }, "userErrors": [] }));
    }
    assert!(drains().await);
    stage.sql("UPDATE workers SET status = 'gone'").await;
    let payload = stage.mutate("workerDrain", "worker { status }", id.clone()).await;
    assert_eq!(crate::stage::reasons(&payload), ["NOT_ALLOWED_IN_STATE id"]);
    for id in ["worker_00000000000000000000000000", "x"] {
        let payload = stage.mutate("workerDrain", "worker { status }", json!({ "id": id })).await;
        assert_eq!(crate::stage::reasons(&payload), ["NOT_FOUND id"]);
    }
    let query = "mutation($i: WorkerDrainInput!) { workerDrain(input: $i) { worker { id } } }";
    let answer = stage.answer("cb_operator", query, json!({ "i": id })).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
}
