//! Jobs that depend on other jobs.

use callboard::{ids::JobId, job::Outcome, steps::run::claim::Decision};
use serde_json::{Value, json};

use crate::harness::{Harness, failed};

/// Enqueues a job that depends on these.
async fn enqueue_after(harness: &Harness, command: &str, dependencies: &[JobId]) -> JobId {
    let dependencies: Vec<String> = dependencies.iter().map(ToString::to_string).collect();
    harness.enqueue(json!({ "commandId": command, "dependsOn": dependencies })).await
}

async fn state(harness: &Harness, job: JobId) -> Value {
    harness.read_job(job, "state").await["state"].take()
}

async fn succeed(harness: &Harness, job: JobId) {
    let attempt = harness.start(job).await;
    harness.succeed(job, attempt).await;
    harness.run_duties().await;
}

async fn fail(harness: &Harness, job: JobId) {
    let attempt = harness.start(job).await;
    harness.settle(job, attempt, failed(false)).await;
    harness.run_duties().await;
}

#[tokio::test]
async fn a_job_is_blocked_until_all_its_dependencies_have_succeeded() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let first = harness.enqueue(json!({ "commandId": command })).await;
    let second = harness.enqueue(json!({ "commandId": command })).await;
    let job = enqueue_after(&harness, &command, &[second, first]).await;
    let fields = "state version dependsOn { nodes { id } totalCount } waiting { reason explanation blocker { ... on Job { id } } }";
    let shown = harness.read_job(job, fields).await;
    let expected = json!({
        "state": "BLOCKED", "version": 1,
        "dependsOn": {
            "nodes": [{ "id": second.to_string() }, { "id": first.to_string() }], "totalCount": 2,
        },
        "waiting": {
            "reason": "DEPENDENCY",
            "explanation": format!("The job depends on {second} and one other job, which have not finished yet."),
            "blocker": { "id": second.to_string() },
        },
    });
    assert_eq!(shown, expected);
    assert_eq!(harness.claim(job).await.1, Decision::Gone, "a blocked job cannot be claimed");

    succeed(&harness, second).await;
    let shown = harness.read_job(job, fields).await;
    assert_eq!(shown["state"], "BLOCKED");
    assert_eq!(
        shown["waiting"]["explanation"],
        format!("The job depends on {first}, which has not finished yet.")
    );
    succeed(&harness, first).await;
    assert_eq!(state(&harness, job).await, "QUEUED");
    let late = enqueue_after(&harness, &command, &[first, second]).await;
    assert_eq!(state(&harness, late).await, "QUEUED", "its dependencies have already succeeded");
    succeed(&harness, job).await;
    let shown = harness.read_job(job, "events { nodes { kind version } }").await;
    let kinds: Vec<&str> = shown["events"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ENQUEUED", "QUEUED", "STARTED", "SUCCEEDED"]);

    let tomorrow =
        json!({ "commandId": command, "dependsOn": [late.to_string()], "runAt": "2100-01-01T00:00:00Z" });
    let tomorrow = harness.enqueue(tomorrow).await;
    assert_eq!(state(&harness, tomorrow).await, "BLOCKED");
    succeed(&harness, late).await;
    assert_eq!(state(&harness, tomorrow).await, "SCHEDULED", "its start time has not come");
    let counts = harness.data("{ queues { counts { blocked scheduled queued } } }", json!({})).await;
    assert_eq!(counts["queues"][0]["counts"], json!({ "blocked": 0, "scheduled": 1, "queued": 0 }));
}

#[tokio::test]
async fn a_failed_or_cancelled_job_cancels_its_whole_chain() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    for cancels in [false, true] {
        let root = harness.enqueue(json!({ "commandId": command })).await;
        let other = harness.enqueue(json!({ "commandId": command })).await;
        let child = enqueue_after(&harness, &command, &[other, root]).await;
        let grandchild = enqueue_after(&harness, &command, &[child]).await;
        if cancels {
            harness.mutate("jobCancel", "job { id }", json!({ "id": root.to_string() })).await;
            harness.run_duties().await;
        } else {
            fail(&harness, root).await;
        }
        for (job, dependency) in [(child, root), (grandchild, child)] {
            let shown =
                harness.read_job(job, "state failure { code message } events { nodes { kind } }").await;
            assert_eq!(
                (&shown["state"], &shown["failure"]["code"]),
                (&json!("CANCELLED"), &json!("DEPENDENCY"))
            );
            let message = shown["failure"]["message"].as_str().unwrap();
            assert!(message.contains(&dependency.to_string()), "{message}");
            assert_eq!(shown["events"]["nodes"].as_array().unwrap().len(), 2);
        }
        assert_eq!(state(&harness, other).await, "QUEUED", "other jobs are not affected");
        let late = enqueue_after(&harness, &command, &[root]).await;
        harness.run_duties().await;
        assert_eq!(state(&harness, late).await, "CANCELLED", "its dependency has already failed");
    }
    let counts = harness.data("{ queues { counts { blocked } } }", json!({})).await;
    assert_eq!(counts["queues"][0]["counts"]["blocked"], 0);
}

#[tokio::test]
async fn a_chain_is_retried_from_its_first_job() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let root = harness.enqueue(json!({ "commandId": command })).await;
    let child = enqueue_after(&harness, &command, &[root]).await;
    fail(&harness, root).await;
    assert_eq!(
        harness.refused("jobRetry", json!({ "id": child.to_string() })).await,
        ["NOT_ALLOWED_IN_STATE id"]
    );
    let payload = harness
        .mutate("jobsRetry", "affectedCount skippedCount", json!({ "filter": { "commandIds": [command] } }))
        .await;
    assert_eq!((&payload["affectedCount"], &payload["skippedCount"]), (&json!(2), &json!(0)));
    assert_eq!([state(&harness, root).await, state(&harness, child).await], ["QUEUED", "BLOCKED"]);
    succeed(&harness, root).await;
    succeed(&harness, child).await;
    let payload = harness.mutate("jobRetry", "job { state }", json!({ "id": child.to_string() })).await;
    assert_eq!(payload["job"]["state"], "QUEUED", "its dependency has succeeded");
}

#[tokio::test]
async fn a_job_can_depend_on_thousands_that_finish_at_once() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let mut dependencies = Vec::new();
    for _ in 0..3 {
        let jobs = vec![json!({ "commandId": command }); 1000];
        let payload = harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": jobs })).await;
        let ids = payload["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|job| job["id"].as_str().unwrap().parse().unwrap());
        dependencies.extend(ids.collect::<Vec<JobId>>());
    }
    let job = enqueue_after(&harness, &command, &dependencies).await;
    let waiting = harness.read_job(job, "waiting { explanation }").await;
    let explanation = waiting["waiting"]["explanation"].as_str().unwrap();
    assert!(explanation.contains("999 or more other jobs"), "{explanation}");
    // Two tasks settle and unblock concurrently.
    let settle = async |dependencies: &[JobId]| {
        for batch in dependencies.chunks(250) {
            let attempts = harness.start_all(batch).await;
            harness.settle_all(batch, &attempts, &Outcome::Succeeded { result: Value::Null }).await;
            harness.run_duties().await;
        }
    };
    let (one, other) = dependencies.split_at(1500);
    tokio::join!(settle(one), settle(other));
    harness.run_duties().await;
    assert_eq!(state(&harness, job).await, "QUEUED");
}

#[tokio::test]
async fn invalid_dependencies_are_refused_and_nothing_is_stored() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await.to_string();
    for (dependencies, reasons) in [
        (json!(["job_00000000000000000000000000"]), vec!["NOT_FOUND dependsOn.0"]),
        (json!([job, "x"]), vec!["NOT_FOUND dependsOn.1"]),
        (json!([job, command]), vec!["NOT_FOUND dependsOn.1"]),
        (json!([job, job]), vec!["INVALID dependsOn.1"]),
        (json!(vec![&job; 10_001]), vec!["TOO_MANY dependsOn"]),
    ] {
        let input = json!({ "commandId": command, "dependsOn": dependencies });
        assert_eq!(harness.refused("jobEnqueue", input).await, reasons);
    }
    let all = harness.data("{ jobs { countAtLeast } }", json!({})).await;
    assert_eq!(all["jobs"]["countAtLeast"], 1);

    let input = |key: &str, dependencies: Value| json!({ "commandId": command, "idempotencyKey": key, "dependsOn": dependencies });
    let made = harness.enqueue(input("k", json!([job]))).await;
    assert_eq!(harness.enqueue(input("k", json!([job]))).await, made);
    assert_eq!(
        harness.refused("jobEnqueue", input("k", json!([]))).await,
        ["IDEMPOTENCY_CONFLICT idempotencyKey"]
    );
}

#[tokio::test]
async fn dependencies_are_paged_in_the_order_of_the_input_and_pruned_ones_are_left_out() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let mut needed = Vec::new();
    for _ in 0..30 {
        needed.push(harness.enqueue(json!({ "commandId": command })).await);
    }
    needed.reverse();
    let job = enqueue_after(&harness, &command, &needed).await;
    let other = enqueue_after(&harness, &command, &needed[..1]).await;
    let page = async |job: JobId, arguments: &str| {
        let fields = format!(
            "dependsOn{arguments} {{ edges {{ cursor node {{ id state }} }} nodes {{ id }} totalCount countAtLeast
               pageInfo {{ hasNextPage hasPreviousPage endCursor startCursor }} }}"
        );
        harness.read_job(job, &fields).await["dependsOn"].take()
    };
    let ids = |page: &Value| -> Vec<String> {
        page["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
    };
    let expected: Vec<String> = needed.iter().map(ToString::to_string).collect();
    let first = page(job, "").await;
    assert_eq!(ids(&first), expected[..25]);
    assert_eq!((&first["totalCount"], &first["countAtLeast"]), (&json!(30), &json!(30)));
    assert_eq!(first["edges"][24]["cursor"], first["pageInfo"]["endCursor"]);
    assert_eq!(first["edges"][0]["node"]["state"], "QUEUED");
    let after = format!("(after: {})", first["pageInfo"]["endCursor"]);
    let rest = page(job, &after).await;
    assert_eq!(ids(&rest), expected[25..]);
    assert_eq!(
        (&rest["pageInfo"]["hasPreviousPage"], &rest["pageInfo"]["hasNextPage"]),
        (&json!(true), &json!(false))
    );
    let last = page(job, "(last: 2)").await;
    assert_eq!(ids(&last), expected[28..]);
    let before = format!("(last: 2, before: {})", last["pageInfo"]["startCursor"]);
    assert_eq!(ids(&page(job, &before).await), expected[26..28]);
    let query = format!("query($id: ID!) {{ job(id: $id) {{ dependsOn{after} {{ nodes {{ id }} }} }} }}");
    assert_eq!(harness.error(&query, json!({ "id": other.to_string() })).await, "BAD_CURSOR");
}
