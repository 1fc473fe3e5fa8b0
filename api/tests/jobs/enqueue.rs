//! Enqueuing: single jobs, batches, idempotency keys and refusals.

use std::collections::HashSet;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Harness, reasons};

#[tokio::test]
async fn an_enqueued_job_is_returned_complete() {
    let harness = Harness::new().await;
    let command =
        harness.create_command("hello", json!({ "queue": "bulk", "policy": { "maxAttempts": 7 } })).await;
    let fields = "job { id state version queue priority kind labels input attemptCount policy { maxAttempts }
        waiting { reason } command { id name } createdAt runAt startedAt finishedAt progress { fraction } result
        failure { code } idempotencyKey } wasDuplicate";
    let input = json!({ "commandId": command, "input": { "n": 1 }, "labels": ["b", "a"], "policy": { "timeout": "PT1M" } });
    let payload = harness.mutate("jobEnqueue", fields, input).await;
    let job = &payload["job"];
    assert_eq!((&payload["wasDuplicate"], &payload["userErrors"]), (&json!(false), &json!([])));
    assert_eq!(
        (&job["state"], &job["version"], &job["queue"], &job["priority"], &job["kind"]),
        (&json!("QUEUED"), &json!(1), &json!("bulk"), &json!(4), &json!("PROGRAM"))
    );
    assert_eq!((&job["labels"], &job["input"]), (&json!(["a", "b"]), &json!({ "n": 1 })));
    assert_eq!(job["policy"]["maxAttempts"], 7);
    assert_eq!(job["command"], json!({ "id": command, "name": "hello" }));
    assert_eq!(job["createdAt"], job["runAt"]);
    for null in ["startedAt", "finishedAt", "progress", "result", "failure", "idempotencyKey"] {
        assert_eq!(job[null], Value::Null, "{null}");
    }
}

#[tokio::test]
async fn a_commit_that_waits_for_a_lock_holds_up_no_other_caller() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let needed = harness.enqueue(json!({ "commandId": command })).await;
    let mut blocker = harness.connect().await;
    sqlx::query("BEGIN").execute(&mut blocker).await.unwrap();
    sqlx::query("SELECT FROM live_jobs FOR UPDATE").execute(&mut blocker).await.unwrap();

    let job = json!({ "commandId": command, "dependsOn": [needed.to_string()] });
    let stalled = harness.mutate("jobsEnqueue", "jobs { state }", json!({ "jobs": vec![job; 5] }));
    let other = async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut blocker).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        harness.mutate("jobEnqueue", "job { state }", json!({ "commandId": command })).await
    };
    let mut stalled = std::pin::pin!(stalled);
    let payload = tokio::select! {
        payload = &mut stalled => panic!("it did not wait for the lock: {payload}"),
        payload = other => payload,
    };
    assert_eq!(payload["job"]["state"], "QUEUED");
    sqlx::query("COMMIT").execute(&mut blocker).await.unwrap();
    assert_eq!(stalled.await["jobs"], json!(vec![json!({ "state": "BLOCKED" }); 5]));
}

#[tokio::test]
async fn a_list_of_services_that_is_too_long_is_one_refusal() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let many = vec!["service_01m8qerxswegnvjnq0p2tnab6z"; 20_000];
    let input = json!({ "commandId": command, "serviceIds": many });
    for (mutation, fields) in [("jobEnqueue", "job { id }"), ("jobsEnqueue", "jobs { id }")] {
        let input = if mutation == "jobEnqueue" { input.clone() } else { json!({ "jobs": [input] }) };
        let payload = harness.mutate(mutation, fields, input).await;
        let path = if mutation == "jobEnqueue" { "serviceIds" } else { "jobs.0.serviceIds" };
        assert_eq!(reasons(&payload), [format!("TOO_MANY {path}")]);
    }
    let query = "query($i: CommandPreviewInput!) { commandPreview(input: $i) { userErrors { code path } } }";
    let data = harness.data(query, json!({ "i": input })).await;
    let refused = json!([{ "code": "TOO_MANY", "path": ["input", "serviceIds"] }]);
    assert_eq!(data["commandPreview"]["userErrors"], refused);
}

#[tokio::test]
async fn one_invalid_request_among_fifty_concurrent_ones_is_refused_alone() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let enqueue = |number: usize| {
        let (harness, command) = (&harness, &command);
        async move {
            let priority = if number == 17 { 10 } else { 3 };
            let input = json!({ "commandId": command, "priority": priority });
            harness.mutate("jobEnqueue", "job { id priority }", input).await
        }
    };
    let payloads = join_all((0..50).map(enqueue)).await;
    let mut ids = HashSet::new();
    for (number, payload) in payloads.iter().enumerate() {
        if number == 17 {
            assert_eq!(
                (&payload["job"], reasons(payload)),
                (&Value::Null, vec!["INVALID priority".to_owned()])
            );
        } else {
            assert_eq!((&payload["userErrors"], &payload["job"]["priority"]), (&json!([]), &json!(3)));
            ids.insert(payload["job"]["id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(ids.len(), 49);
    let count = harness.data("{ jobs { countAtLeast totalCount } }", json!({})).await;
    assert_eq!(count["jobs"], json!({ "countAtLeast": 49, "totalCount": 49 }));
}

#[tokio::test]
async fn concurrent_requests_with_one_idempotency_key_make_one_job() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let enqueue = |n: i32| {
        let input = json!({ "commandId": command, "input": { "n": n }, "idempotencyKey": "order-7" });
        harness.mutate("jobEnqueue", "job { id } wasDuplicate", input)
    };
    let payloads = join_all((0..20).map(|_| enqueue(1))).await;
    let ids: HashSet<_> = payloads.iter().map(|payload| payload["job"]["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(payloads.iter().filter(|payload| payload["wasDuplicate"] == json!(false)).count(), 1);
    let mixed = join_all((0..20).map(|n| enqueue(n % 2 + 1))).await;
    for (n, payload) in mixed.iter().enumerate() {
        if n % 2 == 0 {
            assert_eq!(payload["wasDuplicate"], true, "{payload}");
        } else {
            assert_eq!(reasons(payload), ["IDEMPOTENCY_CONFLICT idempotencyKey"]);
        }
    }
}

#[tokio::test]
async fn a_repeat_finds_its_job_although_the_request_would_be_refused_now() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let input =
        |n: i32| json!({ "commandId": command, "input": { "n": n }, "idempotencyKey": format!("key-{n}") });
    let job = harness.enqueue(input(1)).await.to_string();
    let jobs = json!({ "jobs": [input(2), input(3)] });
    let many = harness.mutate("jobsEnqueue", "jobs { id }", jobs.clone()).await;
    let schema = json!({ "type": "object", "properties": { "n": { "type": "string" } } });
    let changed =
        json!({ "id": command, "inputSchema": schema, "queue": "other", "policy": { "timeout": "PT9S" } });
    for deleted in [false, true] {
        if deleted {
            harness.mutate("commandDelete", "deletedId", json!({ "id": command })).await;
        } else {
            harness.mutate("commandUpdate", "command { id }", changed.clone()).await;
        }
        let again = harness.mutate("jobEnqueue", "job { id } wasDuplicate", input(1)).await;
        assert_eq!((&again["job"]["id"], &again["wasDuplicate"]), (&json!(job), &json!(true)), "{again}");
        let again = harness.mutate("jobsEnqueue", "jobs { id }", jobs.clone()).await;
        assert_eq!(again["jobs"], many["jobs"], "{again}");
        let code = if deleted { "NOT_FOUND" } else { "INVALID" };
        let path = if deleted { "commandId" } else { "input.n" };
        let mut other = input(1);
        other["priority"] = json!(9);
        for (request, prefix) in [
            (("jobEnqueue", other), ""),
            (("jobEnqueue", input(4)), ""),
            (("jobsEnqueue", json!({ "jobs": [input(2), input(4)] })), "jobs"),
        ] {
            let refused = harness.refused(request.0, request.1).await;
            assert!(!refused.is_empty() && refused.iter().all(|each| each.starts_with(code)), "{refused:?}");
            assert!(refused.iter().all(|each| each.contains(prefix) && each.ends_with(path)), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn an_input_that_does_not_match_the_schema_is_refused_with_every_path() {
    let harness = Harness::new().await;
    let schema = json!({
        "type": "object", "required": ["user"], "additionalProperties": false,
        "properties": {
            "user": { "type": "object", "properties": { "age": { "type": "integer" } } },
            "pin": { "type": "string", "writeOnly": true },
            "color": { "default": "red" },
        },
    });
    let command = harness.create_command("strict", json!({ "inputSchema": schema })).await;
    let enqueue = |input: Value| json!({ "commandId": command, "input": input });
    assert_eq!(
        harness.refused("jobEnqueue", enqueue(json!({ "user": { "age": "x" } }))).await,
        ["INVALID input.user.age"]
    );
    assert_eq!(harness.refused("jobEnqueue", enqueue(json!([]))).await, ["INVALID input"]);
    assert_eq!(harness.refused("jobEnqueue", json!({ "commandId": command })).await, ["INVALID input"]);
    let job = harness.enqueue(enqueue(json!({ "user": { "age": 7 }, "pin": "secret-4711" }))).await;
    let shown = harness.read_job(job, "input composed { display environment }").await;
    assert_eq!(shown["input"], json!({ "user": { "age": 7 }, "pin": "***", "color": "red" }));
    assert!(!shown.to_string().contains("4711"), "{shown}");
}

#[tokio::test]
async fn referenced_objects_must_exist_and_be_of_the_right_type() {
    let harness = Harness::new().await;
    let (command, profile) =
        (harness.create_command("hello", json!({})).await, harness.create_profile("p").await);
    let unknown_id = |kind: &str| format!("{kind}_00000000000000000000000000");
    for id in [unknown_id("command"), profile.clone(), "command_x".into(), String::new()] {
        assert_eq!(
            harness.refused("jobEnqueue", json!({ "commandId": id })).await,
            ["NOT_FOUND commandId"],
            "{id}"
        );
    }
    let input = json!({
        "commandId": command, "profileId": command, "proxyId": unknown_id("proxy"),
        "serviceIds": [unknown_id("service"), "x"], "queue": "not a queue!", "idempotencyKey": "",
    });
    let reasons: HashSet<String> = harness.refused("jobEnqueue", input).await.into_iter().collect();
    let expected = [
        "NOT_FOUND profileId",
        "NOT_FOUND proxyId",
        "NOT_FOUND serviceIds.0",
        "NOT_FOUND serviceIds.1",
        "INVALID queue",
        "INVALID idempotencyKey",
    ];
    assert_eq!(reasons, expected.map(str::to_owned).into());
    assert_eq!(harness.error("query { job(id: 7.5) { id } }", json!({})).await, "VALIDATION_FAILED");
    for id in [profile, "job_x".into(), unknown_id("job")] {
        let data = harness.data("query($id: ID!) { job(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(data["job"], Value::Null);
    }
}

#[tokio::test]
async fn jobs_enqueue_stores_all_jobs_or_none() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let jobs = |count: usize| vec![json!({ "commandId": command, "labels": ["many"] }); count];
    assert_eq!(harness.refused("jobsEnqueue", json!({ "jobs": jobs(2000) })).await, ["TOO_MANY jobs"]);
    assert_eq!(harness.refused("jobsEnqueue", json!({ "jobs": [] })).await, ["INVALID jobs"]);
    let mut invalid = jobs(40);
    invalid[3]["priority"] = json!(-1);
    invalid[39]["commandId"] = json!("x");
    let reasons = harness.refused("jobsEnqueue", json!({ "jobs": invalid })).await;
    assert_eq!(reasons, ["INVALID jobs.3.priority", "NOT_FOUND jobs.39.commandId"]);
    let single = json!({ "jobs": [{ "commandId": command, "priority": 11 }] });
    assert_eq!(harness.refused("jobsEnqueue", single).await, ["INVALID jobs.0.priority"]);
    let payload = harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": jobs(1000) })).await;
    let ids: Vec<&str> =
        payload["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
    assert!(ids.is_sorted(), "ids are in the order of the input");
    let count = harness.data("{ jobs(filter: { labels: [\"many\"] }) { countAtLeast } }", json!({})).await;
    assert_eq!(count["jobs"]["countAtLeast"], 1000);
}

#[tokio::test]
async fn thousands_of_jobs_from_concurrent_callers_are_all_stored() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let enqueue = |number: usize| {
        let (harness, command) = (&harness, &command);
        async move {
            if number.is_multiple_of(10) {
                let jobs = vec![json!({ "commandId": command }); 182];
                let payload = harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": jobs })).await;
                payload["jobs"].as_array().unwrap().len()
            } else {
                let payload =
                    harness.mutate("jobEnqueue", "job { id }", json!({ "commandId": command })).await;
                usize::from(payload["job"]["id"].is_string())
            }
        }
    };
    let accepted: usize = join_all((0..200).map(enqueue)).await.into_iter().sum();
    assert_eq!(accepted, 20 * 182 + 180);
    let count = harness.data("{ jobs { countAtLeast } }", json!({})).await;
    assert_eq!(count["jobs"]["countAtLeast"], accepted);
}

#[tokio::test]
async fn a_viewer_cannot_enqueue() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let query = "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) { job { id } } }";
    let variables = json!({ "input": { "commandId": command } });
    let response = harness.execute("cb_viewer", query, variables.clone()).await;
    assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{response}");
    let response = harness.execute("cb_operator", query, variables).await;
    assert!(response["data"]["jobEnqueue"]["job"]["id"].is_string(), "{response}");
}

#[tokio::test]
async fn jobs_are_accepted_without_redis() {
    let port = callboard_test_support::free_port();
    let harness = Harness::with_redis(&format!("redis://127.0.0.1:{port}/0")).await;
    let command = harness.create_command("hello", json!({})).await;
    let ids = join_all((0..20).map(|_| harness.enqueue(json!({ "commandId": command })))).await;
    for id in ids {
        assert_eq!(harness.read_job(id, "state").await, json!({ "state": "QUEUED" }));
    }
}

#[tokio::test]
async fn an_operation_enqueues_four_batches_at_most() {
    let harness = Harness::new().await;
    let command = harness.create_command("many", json!({})).await;
    let jobs = json!({ "jobs": vec![json!({ "commandId": command }); 1000] });
    let batches = |count: usize| {
        let batch = |n: usize| {
            format!("a{n}: jobsEnqueue(input: $input) {{ jobs {{ state }} userErrors {{ code }} }}")
        };
        let batches: Vec<String> = (0..count).map(batch).collect();
        format!("mutation($input: JobsEnqueueInput!) {{ {} }}", batches.join(" "))
    };
    let refused = harness.execute("cb_operator", &batches(5), json!({ "input": jobs })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "TOO_COMPLEX", "{refused}");
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("5070") && message.contains("costs most, 1014"), "{message}");
    let stored = harness.data("{ jobs { totalCount } }", json!({})).await;
    assert_eq!(stored["jobs"]["totalCount"], 0, "nothing of it has run");
    let done = harness.data(&batches(4), json!({ "input": jobs })).await;
    assert_eq!(done["a3"]["jobs"].as_array().unwrap().len(), 1000, "{}", done["a3"]["userErrors"]);
}
