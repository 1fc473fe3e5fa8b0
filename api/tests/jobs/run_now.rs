//! jobRunNow: what becomes of the job, and what a refusal says.

use serde_json::{Value, json};

use crate::harness::{Harness, failed, reasons};

const LATER: &str = "2100-01-01T00:00:00Z";

/// The message of the one refusal because of the job's state.
async fn refusal(harness: &Harness, id: &str) -> String {
    let payload = harness.mutate("jobRunNow", "job { id }", json!({ "id": id })).await;
    assert_eq!((&payload["job"], reasons(&payload)), (&Value::Null, vec!["NOT_ALLOWED_IN_STATE id".into()]));
    payload["userErrors"][0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_that_waits_for_a_time_is_handed_to_a_worker() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command, "runAt": LATER })).await;
    let mut changes =
        harness.subscribe("subscription { jobsChanged { changes { id state } } }", json!({})).await;
    changes.next().await;
    let fields = "job { state version waiting { reason } startedAt }";
    let payload = harness.mutate("jobRunNow", fields, json!({ "id": job.to_string() })).await;
    let expected = json!({ "state": "QUEUED", "version": 2, "waiting": { "reason": "NEXT_IN_LINE" }, "startedAt": null });
    assert_eq!((&payload["job"], &payload["userErrors"]), (&expected, &json!([])));
    let change = changes.next().await;
    assert_eq!(change["changes"], json!([{ "id": job.to_string(), "state": "QUEUED" }]));
    let shown = harness.read_job(job, "runAt events { nodes { kind actor message } }").await;
    assert_ne!(shown["runAt"], LATER);
    let event = &shown["events"]["nodes"][1];
    assert_eq!((&event["kind"], &event["actor"]), (&json!("QUEUED"), &json!("cb_admin")));
    assert_eq!(event["message"], "Run now, before its time 2100-01-01T00:00:00.000Z.");

    let attempt = harness.start(job).await;
    harness.settle(job, attempt, failed(true)).await;
    let payload =
        harness.mutate("jobRunNow", "job { state attemptCount }", json!({ "id": job.to_string() })).await;
    assert_eq!(payload["job"], json!({ "state": "QUEUED", "attemptCount": 1 }));
    harness.start(job).await;
}

#[tokio::test]
async fn a_refusal_says_what_the_job_waits_for_and_what_helps() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let id = job.to_string();
    let after = harness.enqueue(json!({ "commandId": command, "dependsOn": [id] })).await.to_string();
    let message = refusal(&harness, &id).await;
    assert_eq!(
        message,
        format!(
            "The job {id} is QUEUED, and starts as soon as nothing blocks it. No active worker serves the \
             queue default. Start a worker for this queue."
        )
    );
    harness.register_worker(&["default"]).await;
    harness.mutate("queuePause", "queue { name }", json!({ "name": "default" })).await;
    let message = refusal(&harness, &id).await;
    assert!(
        message.ends_with("The queue default is paused. An ADMIN resumes the queue with queueResume."),
        "{message}"
    );
    let message = refusal(&harness, &after).await;
    assert!(message.contains("without `dependsOn`"), "{message}");
    assert!(message.ends_with(&format!("The job depends on {id}, which has not finished yet.")), "{message}");
    harness.mutate("queueResume", "queue { name }", json!({ "name": "default" })).await;
    let attempt = harness.start(job).await;
    assert!(refusal(&harness, &id).await.contains("is RUNNING"));
    harness.succeed(job, attempt).await;
    assert!(refusal(&harness, &id).await.contains("jobRetry"));
    for id in ["job_00000000000000000000000000", "x", "", &command] {
        assert_eq!(harness.refused("jobRunNow", json!({ "id": id })).await, ["NOT_FOUND id"]);
    }
}
