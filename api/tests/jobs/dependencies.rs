//! Jobs that need other jobs.

use callboard::{ids::JobId, job::Outcome, steps::run::claim::Decision};
use serde_json::{Value, json};

use crate::stage::{Stage, failed};

/// Enqueues a job that needs these.
async fn after(stage: &Stage, command: &str, needs: &[JobId]) -> JobId {
    let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
    stage.enqueue(json!({ "commandId": command, "dependsOn": needs })).await
}

async fn state(stage: &Stage, job: JobId) -> Value {
    stage.of_job(job, "state").await["state"].take()
}

async fn succeed(stage: &Stage, job: JobId) {
    let attempt = stage.start(job).await;
    stage.succeed(job, attempt).await;
    stage.do_duties().await;
}

async fn fail(stage: &Stage, job: JobId) {
    let attempt = stage.start(job).await;
    stage.settle(job, attempt, failed(false)).await;
    stage.do_duties().await;
}

#[tokio::test]
async fn a_job_waits_until_all_that_it_needs_has_succeeded() {
    let stage = Stage::set().await;
    stage.enter(&["default"]).await;
    let command = stage.command("hello", json!({})).await;
    let first = stage.enqueue(json!({ "commandId": command })).await;
    let second = stage.enqueue(json!({ "commandId": command })).await;
    let job = after(&stage, &command, &[second, first]).await;
    let fields =
        "state version dependsOn { id } waiting { reason explanation blocker { ... on Job { id } } }";
    let shown = stage.of_job(job, fields).await;
    let expected = json!({
        "state": "BLOCKED", "version": 1,
        "dependsOn": [{ "id": second.to_string() }, { "id": first.to_string() }],
        "waiting": {
            "reason": "DEPENDENCY",
            "explanation": format!("The job depends on {second} and one other job, which have not finished yet."),
            "blocker": { "id": second.to_string() },
        },
    });
    assert_eq!(shown, expected);
    assert_eq!(stage.claim(job).await.1, Decision::Gone, "it cannot be claimed");

    succeed(&stage, second).await;
    let shown = stage.of_job(job, fields).await;
    assert_eq!(shown["state"], "BLOCKED");
    assert_eq!(
        shown["waiting"]["explanation"],
        format!("The job depends on {first}, which has not finished yet.")
    );
    succeed(&stage, first).await;
    assert_eq!(state(&stage, job).await, "QUEUED");
    let late = after(&stage, &command, &[first, second]).await;
    assert_eq!(state(&stage, late).await, "QUEUED", "what it needs has succeeded already");
    succeed(&stage, job).await;
    let shown = stage.of_job(job, "events { nodes { kind version } }").await;
    let kinds: Vec<&str> = shown["events"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ENQUEUED", "QUEUED", "STARTED", "SUCCEEDED"]);

    let tomorrow =
        json!({ "commandId": command, "dependsOn": [late.to_string()], "runAt": "2100-01-01T00:00:00Z" });
    let tomorrow = stage.enqueue(tomorrow).await;
    assert_eq!(state(&stage, tomorrow).await, "BLOCKED");
    succeed(&stage, late).await;
    assert_eq!(state(&stage, tomorrow).await, "SCHEDULED", "its time has not come");
    let counts = stage.data("{ queues { counts { blocked scheduled queued } } }", json!({})).await;
    assert_eq!(counts["queues"][0]["counts"], json!({ "blocked": 0, "scheduled": 1, "queued": 0 }));
}

#[tokio::test]
async fn a_failure_and_a_cancel_go_down_the_whole_chain() {
    let stage = Stage::set().await;
    stage.enter(&["default"]).await;
    let command = stage.command("hello", json!({})).await;
    for cancels in [false, true] {
        let root = stage.enqueue(json!({ "commandId": command })).await;
        let other = stage.enqueue(json!({ "commandId": command })).await;
        let child = after(&stage, &command, &[other, root]).await;
        let grandchild = after(&stage, &command, &[child]).await;
        if cancels {
            stage.mutate("jobCancel", "job { id }", json!({ "id": root.to_string() })).await;
            stage.do_duties().await;
        } else {
            fail(&stage, root).await;
        }
        for (job, needed) in [(child, root), (grandchild, child)] {
            let shown = stage.of_job(job, "state failure { code message } events { nodes { kind } }").await;
            assert_eq!(
                (&shown["state"], &shown["failure"]["code"]),
                (&json!("CANCELLED"), &json!("DEPENDENCY"))
            );
            let message = shown["failure"]["message"].as_str().unwrap();
            assert!(message.contains(&needed.to_string()), "{message}");
            assert_eq!(shown["events"]["nodes"].as_array().unwrap().len(), 2);
        }
        assert_eq!(state(&stage, other).await, "QUEUED", "what others need is left alone");
        let late = after(&stage, &command, &[root]).await;
        stage.do_duties().await;
        assert_eq!(state(&stage, late).await, "CANCELLED", "what it needs has failed already");
    }
    let counts = stage.data("{ queues { counts { blocked } } }", json!({})).await;
    assert_eq!(counts["queues"][0]["counts"]["blocked"], 0);
}

#[tokio::test]
async fn a_chain_is_retried_from_its_beginning() {
    let stage = Stage::set().await;
    stage.enter(&["default"]).await;
    let command = stage.command("hello", json!({})).await;
    let root = stage.enqueue(json!({ "commandId": command })).await;
    let child = after(&stage, &command, &[root]).await;
    fail(&stage, root).await;
    assert_eq!(
        stage.refused("jobRetry", json!({ "id": child.to_string() })).await,
        ["NOT_ALLOWED_IN_STATE id"]
    );
    let payload = stage
        .mutate("jobsRetry", "affectedCount skippedCount", json!({ "filter": { "commandIds": [command] } }))
        .await;
    assert_eq!((&payload["affectedCount"], &payload["skippedCount"]), (&json!(2), &json!(0)));
    assert_eq!([state(&stage, root).await, state(&stage, child).await], ["QUEUED", "BLOCKED"]);
    succeed(&stage, root).await;
    succeed(&stage, child).await;
    let payload = stage.mutate("jobRetry", "job { state }", json!({ "id": child.to_string() })).await;
    assert_eq!(payload["job"]["state"], "QUEUED", "what it needs has succeeded");
}

#[tokio::test]
async fn a_job_can_need_thousands_that_end_at_once() {
    let stage = Stage::set().await;
    stage.enter(&["default"]).await;
    let command = stage.command("hello", json!({})).await;
    let mut needs = Vec::new();
    for _ in 0..3 {
        let jobs = vec![json!({ "commandId": command }); 1000];
        let payload = stage.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": jobs })).await;
        let ids = payload["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap().parse().unwrap());
        needs.extend(ids.collect::<Vec<JobId>>());
    }
    let job = after(&stage, &command, &needs).await;
    let waiting = stage.of_job(job, "waiting { explanation }").await;
    let explanation = waiting["waiting"]["explanation"].as_str().unwrap();
    assert!(explanation.contains("999 or more other jobs"), "{explanation}");
    // Two settlers and two deciders at once.
    let settle = async |needs: &[JobId]| {
        for batch in needs.chunks(250) {
            let attempts = stage.start_all(batch).await;
            stage.settle_all(batch, &attempts, &Outcome::Succeeded { result: Value::Null }).await;
            stage.do_duties().await;
        }
    };
    let (one, other) = needs.split_at(1500);
    tokio::join!(settle(one), settle(other));
    stage.do_duties().await;
    assert_eq!(state(&stage, job).await, "QUEUED");
}

#[tokio::test]
async fn mistakes_are_told_and_nothing_is_stored() {
    let stage = Stage::set().await;
    let command = stage.command("hello", json!({})).await;
    let job = stage.enqueue(json!({ "commandId": command })).await.to_string();
    for (needs, reasons) in [
        (json!(["job_00000000000000000000000000"]), vec!["NOT_FOUND dependsOn.0"]),
        (json!([job, "x"]), vec!["NOT_FOUND dependsOn.1"]),
        (json!([job, command]), vec!["NOT_FOUND dependsOn.1"]),
        (json!([job, job]), vec!["INVALID dependsOn.1"]),
        (json!(vec![&job; 10_001]), vec!["TOO_MANY dependsOn"]),
    ] {
        let input = json!({ "commandId": command, "dependsOn": needs });
        assert_eq!(stage.refused("jobEnqueue", input).await, reasons);
    }
    let all = stage.data("{ jobs { countAtLeast } }", json!({})).await;
    assert_eq!(all["jobs"]["countAtLeast"], 1);

    let input =
        |key: &str, needs: Value| json!({ "commandId": command, "idempotencyKey": key, "dependsOn": needs });
    let made = stage.enqueue(input("k", json!([job]))).await;
    assert_eq!(stage.enqueue(input("k", json!([job]))).await, made);
    assert_eq!(
        stage.refused("jobEnqueue", input("k", json!([]))).await,
        ["IDEMPOTENCY_CONFLICT idempotencyKey"]
    );
}
