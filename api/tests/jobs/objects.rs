//! The fields of jobs, attempts, artifacts, queues and workers.

use callboard::steps::run::claim::Decision;
use serde_json::{Value, json};

use crate::harness::{Harness, failed};

#[tokio::test]
async fn pruned_files_and_lines_are_not_shown() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.register_worker(&["default"]).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    harness.keep_artifact(job, attempt, "page.png").await;
    harness.log(job, attempt, &["one", "two"]).await;
    harness.log(job, attempt, &["three"]).await;
    harness.succeed(job, attempt).await;
    harness
        .sql("UPDATE artifacts SET pruned_at = now(); DELETE FROM log_chunks WHERE first_sequence = 1")
        .await;
    let left =
        harness.read_job(job, "artifacts { name url } log { totalCount nodes { text sequence } }").await;
    assert_eq!(left["artifacts"], json!([{ "name": "page.png", "url": null }]));
    assert_eq!(left["log"], json!({ "totalCount": 1, "nodes": [{ "text": "three", "sequence": 3 }] }));
}

#[tokio::test]
async fn a_job_shows_its_attempts_events_log_and_artifacts() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({ "policy": { "maxAttempts": 2 } })).await;
    harness.register_worker(&["default"]).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let first = harness.start(job).await;
    harness.progress(job, first, 0.5).await;
    let running = harness.read_job(job, "state progress { fraction } attempts { nodes { id number outcome startedAt composed { program } } }").await;
    assert_eq!((&running["state"], &running["progress"]["fraction"]), (&json!("RUNNING"), &json!(0.5)));
    let attempt = &running["attempts"]["nodes"][0];
    assert_eq!((&attempt["number"], &attempt["outcome"]), (&json!(1), &Value::Null));
    assert_eq!(
        attempt["composed"]["program"], "/bin/echo",
        "composed on request until the worker reports it"
    );
    assert_eq!(attempt["id"], first.to_string());

    harness.settle(job, first, failed(true)).await;
    let waiting =
        harness.read_job(job, "state attemptCount runAt waiting { reason explanation until }").await;
    assert_eq!((&waiting["state"], &waiting["attemptCount"]), (&json!("SCHEDULED"), &json!(1)));
    assert_eq!(
        (&waiting["waiting"]["reason"], &waiting["waiting"]["until"]),
        (&json!("RETRY_BACKOFF"), &waiting["runAt"])
    );
    harness.sql("UPDATE live_jobs SET run_at = now() - interval '1 second'").await;
    harness.run_duties().await;
    let second = harness.start(job).await;
    harness.keep_artifact(job, second, "page.png").await;
    harness.log(job, second, &["one", "two"]).await;
    harness.succeed(job, second).await;

    let fields = "state version result failure { code } attemptCount startedAt finishedAt waiting { reason }
        attempts(last: 1) { totalCount nodes { number outcome exitCode failure { code } finishedAt worker { id status } }
          pageInfo { hasPreviousPage } }
        artifacts { id name contentType sizeBytes sha256 attempt url createdAt } log { totalCount nodes { text sequence } }
        events { totalCount nodes { kind version state attempt message } } composed { display arguments }";
    let ended = harness.read_job(job, fields).await;
    assert_eq!((&ended["state"], &ended["result"]), (&json!("SUCCEEDED"), &json!({ "done": true })));
    assert_eq!(
        (&ended["failure"], &ended["waiting"], &ended["attemptCount"]),
        (&Value::Null, &Value::Null, &json!(2))
    );
    let attempts = &ended["attempts"];
    assert_eq!(attempts["totalCount"], 2);
    assert_eq!(attempts["pageInfo"], json!({ "hasPreviousPage": true }));
    assert_eq!(
        (&attempts["nodes"][0]["number"], &attempts["nodes"][0]["outcome"]),
        (&json!(2), &json!("SUCCEEDED"))
    );
    let worker = json!({ "id": harness.worker.to_string(), "status": "ACTIVE" });
    assert_eq!(attempts["nodes"][0]["worker"], worker);
    let file = &ended["artifacts"][0];
    assert_eq!(
        (&file["name"], &file["sizeBytes"], &file["sha256"]),
        (&json!("page.png"), &json!("12"), &json!("07".repeat(32)))
    );
    let url = file["url"].as_str().unwrap();
    assert!(url.starts_with("https://callboard.test/artifacts/artifact_"), "{file}");
    assert_eq!(
        ended["log"],
        json!({ "totalCount": 2, "nodes": [{ "text": "one", "sequence": 1 }, { "text": "two", "sequence": 2 }] })
    );
    let events = ended["events"]["nodes"].as_array().unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["ENQUEUED", "STARTED", "PROGRESSED", "RETRY_SCHEDULED", "QUEUED", "STARTED", "SUCCEEDED"]
    );
    assert!((1..).zip(events).all(|(version, event)| event["version"] == version));
    assert_eq!((&ended["version"], &ended["events"]["totalCount"]), (&json!(7), &json!(7)));
    assert_eq!(ended["composed"]["display"], "/bin/echo hello");
}

#[tokio::test]
async fn a_waiting_job_shows_exactly_one_reason() {
    let harness = Harness::new().await;
    let (command, profile) =
        (harness.create_command("hello", json!({})).await, harness.create_profile("alice").await);
    let waiting = "waiting { reason explanation until blocker { __typename id } }";
    let later = json!({ "commandId": command, "runAt": "2100-01-01T00:00:00Z" });
    let job = harness.enqueue(later).await;
    let shown = harness.read_job(job, waiting).await["waiting"].take();
    assert_eq!((&shown["reason"], &shown["until"]), (&json!("RUN_AT"), &json!("2100-01-01T00:00:00.000Z")));

    let on_profile = json!({ "commandId": command, "profileId": profile });
    let (one, other) = (harness.enqueue(on_profile.clone()).await, harness.enqueue(on_profile).await);
    let shown = harness.read_job(one, waiting).await["waiting"].take();
    assert_eq!(shown["reason"], "NO_WORKER");
    assert!(shown["explanation"].as_str().unwrap().contains("default"), "{shown}");
    harness.register_worker(&["default"]).await;
    assert_eq!(harness.read_job(one, waiting).await["waiting"]["reason"], "NEXT_IN_LINE");

    let attempt = harness.start(one).await;
    assert!(matches!(harness.claim(other).await.1, Decision::Parked { .. }));
    assert_eq!(harness.read_job(one, waiting).await["waiting"], Value::Null);
    let shown = harness.read_job(other, waiting).await["waiting"].take();
    assert_eq!(shown["reason"], "PROFILE_BUSY");
    assert_eq!(shown["blocker"], json!({ "__typename": "Job", "id": one.to_string() }));
    let explanation = shown["explanation"].as_str().unwrap();
    assert!(explanation.contains("alice") && explanation.contains(&one.to_string()), "{explanation}");
    let holder = harness
        .data("query($id: ID!) { profile(id: $id) { heldBy { id state } } }", json!({ "id": profile }))
        .await;
    assert_eq!(holder["profile"]["heldBy"], json!({ "id": one.to_string(), "state": "RUNNING" }));

    harness.succeed(one, attempt).await;
    assert_eq!(harness.read_job(other, waiting).await["waiting"]["reason"], "NEXT_IN_LINE");
    let holder = harness
        .data("query($id: ID!) { profile(id: $id) { heldBy { id } } }", json!({ "id": profile }))
        .await;
    assert_eq!(holder["profile"]["heldBy"], Value::Null);
}

#[tokio::test]
async fn nodes_loads_every_type_by_id() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.register_worker(&["default"]).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    let artifact = harness.keep_artifact(job, attempt, "a.png").await;
    let queues = harness.data("{ queues { id name } workers { id } }", json!({})).await;
    let queue = queues["queues"][0]["id"].clone();
    assert_eq!(queues["workers"][0]["id"], harness.worker.to_string());
    let ids = json!([
        job.to_string(),
        attempt.to_string(),
        artifact.to_string(),
        queue,
        harness.worker.to_string(),
        command,
        "job_00000000000000000000000000",
        "queue_00000000000000000000000000",
        "what_is_this",
        "",
    ]);
    let data = harness
        .data("query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", json!({ "ids": ids }))
        .await;
    let kinds: Vec<Option<&str>> =
        data["nodes"].as_array().unwrap().iter().map(|node| node["__typename"].as_str()).collect();
    let known = ["Job", "Attempt", "Artifact", "Queue", "Worker", "Command"].map(Some);
    assert_eq!(kinds[..6], known);
    assert_eq!(kinds[6..], [None; 4]);
    for (id, node) in ids.as_array().unwrap().iter().zip(data["nodes"].as_array().unwrap()).take(6) {
        assert_eq!(id, &node["id"]);
    }
    harness.succeed(job, attempt).await;
    let again = harness
        .data(
            "query($id: ID!) { node(id: $id) { ... on Attempt { outcome } } }",
            json!({ "id": attempt.to_string() }),
        )
        .await;
    assert_eq!(again["node"]["outcome"], "SUCCEEDED");
}

#[tokio::test]
async fn queues_count_their_jobs_and_workers_their_running_jobs() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    harness.register_worker(&["default", "bulk"]).await;
    let enqueue = |queue: &str| harness.enqueue(json!({ "commandId": command, "queue": queue }));
    let (ended, running, _waiting) = (enqueue("bulk").await, enqueue("bulk").await, enqueue("bulk").await);
    harness.enqueue(json!({ "commandId": command, "runAt": "2100-01-01T00:00:00Z" })).await;
    let attempt = harness.start(ended).await;
    harness.succeed(ended, attempt).await;
    harness.start(running).await;
    let query = "{ queues { name isPaused counts { blocked scheduled queued running succeeded failed cancelled }
        oldestQueuedAt startedPerMinute finishedPerMinute } workers { hostname queues kinds concurrency running status } }";
    for fold in [false, true] {
        if fold {
            harness.run_duties().await;
        }
        let data = harness.data(query, json!({})).await;
        let (bulk, default) = (&data["queues"][0], &data["queues"][1]);
        assert_eq!((&bulk["name"], &default["name"]), (&json!("bulk"), &json!("default")));
        let counts = json!({ "blocked": 0, "scheduled": 0, "queued": 1, "running": 1, "succeeded": 1, "failed": 0, "cancelled": 0 });
        assert_eq!((&bulk["counts"], &bulk["isPaused"]), (&counts, &json!(false)), "folded: {fold}");
        assert_eq!((&default["counts"]["scheduled"], &default["oldestQueuedAt"]), (&json!(1), &Value::Null));
        assert!(bulk["oldestQueuedAt"].is_string(), "{bulk}");
        let worker = json!({ "hostname": "test", "queues": ["default", "bulk"], "kinds": ["PROGRAM"], "concurrency": 4,
            "running": 1, "status": "ACTIVE" });
        assert_eq!(data["workers"], json!([worker]));
    }
}

#[tokio::test]
async fn a_job_whose_command_and_profile_are_deleted_is_still_shown() {
    let harness = Harness::new().await;
    let profile = harness.create_profile("gone").await;
    let spec = json!({ "program": { "program": "/bin/echo", "arguments": ["{{ profile.name }}"] } });
    let command = harness.create_command("hello", json!({ "spec": spec })).await;
    let job = harness.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    assert_eq!(harness.read_job(job, "composed { display }").await["composed"]["display"], "/bin/echo gone");
    harness.mutate("jobCancel", "job { id }", json!({ "id": job.to_string() })).await;
    harness.mutate("commandDelete", "deletedId", json!({ "id": command })).await;
    harness.mutate("profileDelete", "deletedId", json!({ "id": profile })).await;
    let shown = harness
        .read_job(job, "state kind command { id } profile { id } composed { kind program arguments display }")
        .await;
    assert_eq!(
        (&shown["command"], &shown["profile"], &shown["kind"]),
        (&Value::Null, &Value::Null, &json!("PROGRAM"))
    );
    assert_eq!((&shown["composed"]["program"], &shown["composed"]["arguments"]), (&Value::Null, &json!([])));
    assert!(shown["composed"]["display"].as_str().unwrap().starts_with("(no longer composes"), "{shown}");
}
