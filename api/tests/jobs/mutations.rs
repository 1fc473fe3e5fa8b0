//! jobCancel and jobRetry.

use serde_json::{Value, json};

use crate::harness::Harness;

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_when_its_attempt_ends() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.register_worker(&["default"]).await;
    let (waiting, running) = (
        harness.enqueue(json!({ "commandId": command })).await,
        harness.enqueue(json!({ "commandId": command })).await,
    );
    let cancel = |id: String| {
        harness.mutate("jobCancel", "job { state version }", json!({ "id": id, "reason": "enough" }))
    };
    let payload = cancel(waiting.to_string()).await;
    assert_eq!(payload, json!({ "job": { "state": "CANCELLED", "version": 2 }, "userErrors": [] }));
    assert_eq!(
        harness.refused("jobCancel", json!({ "id": waiting.to_string() })).await,
        ["NOT_ALLOWED_IN_STATE id"]
    );
    let events = harness.read_job(waiting, "events { nodes { message } }").await;
    assert_eq!(events["events"]["nodes"][1]["message"], "enough");

    let attempt = harness.start(running).await;
    let payload = cancel(running.to_string()).await;
    assert_eq!(payload["job"], json!({ "state": "RUNNING", "version": 3 }));
    let again = cancel(running.to_string()).await;
    assert_eq!(again["job"], json!({ "state": "RUNNING", "version": 3 }), "a second request changes nothing");
    harness.settle(running, attempt, callboard::job::Outcome::Cancelled).await;
    assert_eq!(harness.read_job(running, "state").await["state"], "CANCELLED");

    for id in ["job_00000000000000000000000000", "x", &command] {
        assert_eq!(harness.refused("jobCancel", json!({ "id": id })).await, ["NOT_FOUND id"]);
        assert_eq!(harness.refused("jobRetry", json!({ "id": id })).await, ["NOT_FOUND id"]);
    }
    let cancel = "mutation($input: JobCancelInput!) { jobCancel(input: $input) { userErrors { message } } }";
    for (sent, shown) in [("abc", "`abc`"), ("job_x", "`job_x`"), (&*"y".repeat(70), "yy`")] {
        let payload = harness.data(cancel, json!({ "input": { "id": sent } })).await;
        let message = payload["jobCancel"]["userErrors"][0]["message"].as_str().unwrap();
        assert!(message.contains(shown) && message.contains("begin with `job_`"), "{message}");
        assert!(!message.contains("job_0000"), "{message}");
    }
    let long = json!({ "id": running.to_string(), "reason": "x".repeat(501) });
    assert_eq!(harness.refused("jobCancel", long).await, ["INVALID reason"]);
}

#[tokio::test]
async fn a_retried_job_runs_again_and_keeps_its_history() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.register_worker(&["default"]).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    assert_eq!(
        harness.refused("jobRetry", json!({ "id": job.to_string() })).await,
        ["NOT_ALLOWED_IN_STATE id"]
    );
    let attempt = harness.start(job).await;
    harness.log(job, attempt, &["first run"]).await;
    harness.succeed(job, attempt).await;
    let fields = "job { state version attemptCount finishedAt result attempts { totalCount } }";
    let payload = harness.mutate("jobRetry", fields, json!({ "id": job.to_string() })).await;
    let expected = json!({ "state": "QUEUED", "version": 4, "attemptCount": 0, "finishedAt": Value::Null,
        "result": Value::Null, "attempts": { "totalCount": 1 } });
    assert_eq!(payload["job"], expected);
    let attempt = harness.start(job).await;
    harness.log(job, attempt, &["second run"]).await;
    harness.succeed(job, attempt).await;
    let shown = harness
        .read_job(job, "state attempts { nodes { number } } log { nodes { sequence attempt text } }")
        .await;
    assert_eq!(shown["attempts"]["nodes"], json!([{ "number": 1 }, { "number": 2 }]));
    assert_eq!(shown["log"]["nodes"][1], json!({ "sequence": 2, "attempt": 2, "text": "second run" }));
}
