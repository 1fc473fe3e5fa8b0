//! jobsCancel and jobsRetry.

use callboard::ids::JobId;
use serde_json::{Value, json};

use crate::harness::{Harness, failed};

/// Runs a bulk mutation and returns `[affectedCount, skippedCount]`.
async fn counts(harness: &Harness, name: &str, input: Value) -> [i64; 2] {
    let payload = harness.mutate(name, "affectedCount skippedCount", input).await;
    assert_eq!(payload["userErrors"], json!([]));
    [payload["affectedCount"].as_i64().unwrap(), payload["skippedCount"].as_i64().unwrap()]
}

async fn states(harness: &Harness, jobs: &[JobId]) -> Vec<String> {
    let mut states = Vec::new();
    for job in jobs {
        states.push(harness.read_job(*job, "state").await["state"].as_str().unwrap().to_owned());
    }
    states
}

#[tokio::test]
async fn jobs_cancel_cancels_unfinished_jobs_and_counts_the_others() {
    let harness = Harness::new().await;
    harness.register_worker(&["default", "other"]).await;
    let command = harness.create_command("hello", json!({})).await;
    let mut jobs = Vec::new();
    for _ in 0..6 {
        jobs.push(harness.enqueue(json!({ "commandId": command })).await);
    }
    let elsewhere = harness.enqueue(json!({ "commandId": command, "queue": "other" })).await;
    let attempt = harness.start(jobs[0]).await;
    harness.succeed(jobs[0], attempt).await;
    let running = harness.start(jobs[1]).await;

    let filter = json!({ "queues": ["default"] });
    let dry_run = json!({ "filter": filter, "isDryRun": true });
    assert_eq!(counts(&harness, "jobsCancel", dry_run).await, [5, 1]);
    assert_eq!(states(&harness, &jobs[1..]).await, ["RUNNING", "QUEUED", "QUEUED", "QUEUED", "QUEUED"]);
    let ids: Vec<String> = jobs[4..].iter().map(ToString::to_string).collect();
    let two = json!({ "filter": { "ids": ids }, "limit": 2, "reason": "enough" });
    assert_eq!(counts(&harness, "jobsCancel", two).await, [2, 0]);
    assert_eq!(states(&harness, &jobs[3..]).await, ["QUEUED", "CANCELLED", "CANCELLED"]);
    let events =
        harness.read_job(jobs[5], "events { nodes { kind message } }").await["events"]["nodes"].take();
    assert_eq!(events[1], json!({ "kind": "CANCELLED", "message": "enough" }));
    assert_eq!(counts(&harness, "jobsCancel", json!({ "filter": filter })).await, [3, 3]);
    assert_eq!(
        counts(&harness, "jobsCancel", json!({ "filter": filter })).await,
        [0, 6],
        "cancelled or requested already"
    );
    assert_eq!(states(&harness, &jobs[1..4]).await, ["RUNNING", "CANCELLED", "CANCELLED"]);
    harness.settle(jobs[1], running, callboard::job::Outcome::Cancelled).await;
    assert_eq!(states(&harness, &[jobs[0], jobs[1], elsewhere]).await, ["SUCCEEDED", "CANCELLED", "QUEUED"]);
}

/// Every filter that names nothing, with the path of its refusal.
fn refused_filters(fields: &[(String, bool)]) -> Vec<(Value, &'static str)> {
    let mut all_null = json!({});
    let mut filters = vec![(json!({}), "filter")];
    for (field, _) in fields {
        filters.push((json!({ field: null }), "filter"));
        all_null[field] = Value::Null;
    }
    filters.push((all_null, "filter"));
    filters.push((json!({ "createdAt": {} }), "filter"));
    filters.push((json!({ "createdAt": { "gte": null, "lt": null } }), "filter"));
    filters.push((json!({ "search": "x".repeat(201) }), "filter.search"));
    filters.push((json!({ "ids": vec!["x"; 1001] }), "filter.ids"));
    let blank = ["", " ", "   ", "\t\n", "\u{a0}\u{3000}", "\u{fe0f}", "\u{fe0f} \u{fe0e}", "\u{200b}"];
    // The last has the characters that all jobs of 32 milliseconds share.
    let of_most_ids = ["job_", " job_ ", "job_0", "job_0\u{fe0f}", "job_01", "job_01k", "job_01kb5n6q2"];
    for search in blank.into_iter().chain(of_most_ids) {
        filters.push((json!({ "search": search }), "filter.search"));
        filters.push((json!({ "search": search, "queues": ["default"] }), "filter.search"));
    }
    filters
}

#[tokio::test]
async fn a_filter_that_names_nothing_is_refused_and_an_empty_list_matches_nothing() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let ended = harness.enqueue(json!({ "commandId": command })).await;
    harness.mutate("jobCancel", "job { id }", json!({ "id": ended.to_string() })).await;
    let fields = harness.filter_fields().await;
    for mutation in ["jobsCancel", "jobsRetry"] {
        for (filter, path) in refused_filters(&fields) {
            for is_dry_run in [false, true] {
                let input = json!({ "filter": filter, "isDryRun": is_dry_run });
                let payload = harness.mutate(mutation, "affectedCount skippedCount", input).await;
                assert_eq!(
                    crate::harness::reasons(&payload),
                    [format!("INVALID {path}")],
                    "{mutation} {filter}"
                );
                assert_eq!((&payload["affectedCount"], &payload["skippedCount"]), (&json!(0), &json!(0)));
            }
        }
        for (list, _) in fields.iter().filter(|(_, is_list)| *is_list) {
            let input = json!({ "filter": { list: [] } });
            assert_eq!(counts(&harness, mutation, input).await, [0, 0], "{mutation} {list}");
        }
        for exact in
            [json!({ "labels": ["\u{fe0f}"] }), json!({ "queues": [""] }), json!({ "queues": ["\u{fe0f}"] })]
        {
            assert_eq!(
                counts(&harness, mutation, json!({ "filter": exact })).await,
                [0, 0],
                "{mutation} {exact}"
            );
        }
        let of_its_millisecond = json!({ "search": &job.to_string()[..14], "queues": ["nowhere"] });
        assert_eq!(counts(&harness, mutation, json!({ "filter": of_its_millisecond })).await, [0, 0]);
    }
    assert_eq!(states(&harness, &[job, ended]).await, ["QUEUED", "CANCELLED"]);
}

#[tokio::test]
async fn above_the_limit_nothing_is_done_and_the_refusal_says_how_many() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(harness.enqueue(json!({ "commandId": command })).await);
    }
    let filter = json!({ "commandIds": [command] });
    for (mutation, before, after) in
        [("jobsCancel", "QUEUED", "CANCELLED"), ("jobsRetry", "CANCELLED", "QUEUED")]
    {
        let over = json!({ "filter": filter, "limit": 3 });
        let payload = harness.mutate(mutation, "affectedCount skippedCount", over).await;
        assert_eq!(crate::harness::reasons(&payload), ["TOO_MANY limit"], "{mutation}");
        let message = payload["userErrors"][0]["message"].as_str().unwrap();
        assert!(message.contains("is 3, but 4 jobs"), "{message}");
        assert_eq!((&payload["affectedCount"], &payload["skippedCount"]), (&json!(0), &json!(0)));
        assert_eq!(states(&harness, &jobs).await, [before; 4], "{mutation}");
        let dry_run = json!({ "filter": filter, "limit": 3, "isDryRun": true });
        assert_eq!(counts(&harness, mutation, dry_run).await, [4, 0], "{mutation}");
        let exactly = json!({ "filter": filter, "limit": 4 });
        assert_eq!(counts(&harness, mutation, exactly).await, [4, 0], "{mutation}");
        assert_eq!(states(&harness, &jobs).await, [after; 4], "{mutation}");
    }
}

#[tokio::test]
async fn a_dry_run_counts_more_than_one_call_may_change() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = json!({ "commandId": command, "labels": ["many"] });
    for number in [vec![1000; 10], vec![1]].concat() {
        harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": vec![&job; number] })).await;
    }
    // As a duty of the workers does: the plans of empty tables take minutes for full ones.
    harness.sql("ANALYZE").await;
    let filter = json!({ "labels": ["many"] });
    let jobs = harness.data("{ jobs { totalCount countAtLeast } }", json!({})).await["jobs"].take();
    assert_eq!(jobs, json!({ "totalCount": null, "countAtLeast": 10_000 }), "lists count up to 10000");
    for limit in [json!(null), json!(10), json!(10_000)] {
        let input = json!({ "filter": filter, "limit": limit, "isDryRun": true });
        assert_eq!(counts(&harness, "jobsCancel", input).await, [10_001, 0], "{limit}");
    }
    let payload = harness.mutate("jobsCancel", "affectedCount", json!({ "filter": filter })).await;
    assert_eq!(crate::harness::reasons(&payload), ["TOO_MANY limit"]);
    let message = payload["userErrors"][0]["message"].as_str().unwrap();
    assert!(message.contains("10001"), "{message}");
}

#[tokio::test]
async fn jobs_retry_revives_succeeded_jobs_only_when_the_filter_lists_them() {
    let harness = Harness::new().await;
    harness.register_worker(&["default"]).await;
    let command = harness.create_command("hello", json!({ "policy": { "maxAttempts": 1 } })).await;
    let profile = harness.create_profile("alice").await;
    let on_profile = harness.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    let mut jobs = vec![on_profile];
    for _ in 0..3 {
        jobs.push(harness.enqueue(json!({ "commandId": command })).await);
    }
    for job in &jobs[..2] {
        let attempt = harness.start(*job).await;
        harness.settle(*job, attempt, failed(false)).await;
    }
    let attempt = harness.start(jobs[2]).await;
    harness.succeed(jobs[2], attempt).await;
    let deleted = harness.mutate("profileDelete", "deletedId", json!({ "id": profile })).await;
    assert_eq!(deleted["deletedId"], profile);

    let filter = json!({ "commandIds": [command] });
    let done = counts(&harness, "jobsRetry", json!({ "filter": filter })).await;
    assert_eq!(done, [1, 3], "one is queued, one succeeded, and the profile of one is deleted");
    assert_eq!(states(&harness, &jobs).await, ["FAILED", "QUEUED", "SUCCEEDED", "QUEUED"]);
    let with_success = json!({ "filter": { "commandIds": [command], "states": ["SUCCEEDED", "FAILED"] } });
    assert_eq!(counts(&harness, "jobsRetry", with_success).await, [1, 1]);
    let revived = harness.read_job(jobs[1], "state version attemptCount events { nodes { kind } }").await;
    assert_eq!((&revived["version"], &revived["attemptCount"]), (&json!(4), &json!(0)));
    assert_eq!(revived["events"]["nodes"][3]["kind"], "RETRIED");
    harness.start(jobs[1]).await;
}

#[tokio::test]
async fn many_jobs_are_cancelled_and_revived_in_batches() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = json!({ "commandId": command, "labels": ["batch"] });
    for _ in 0..2 {
        let payload = harness.mutate("jobsEnqueue", "jobs { id }", json!({ "jobs": vec![&job; 1000] })).await;
        assert_eq!(payload["jobs"].as_array().unwrap().len(), 1000);
    }
    let filter = json!({ "labels": ["batch"] });
    assert_eq!(counts(&harness, "jobsCancel", json!({ "filter": filter })).await, [2000, 0]);
    assert_eq!(counts(&harness, "jobsRetry", json!({ "filter": filter, "isDryRun": true })).await, [2000, 0]);
    assert_eq!(counts(&harness, "jobsRetry", json!({ "filter": filter })).await, [2000, 0]);
    assert_eq!(counts(&harness, "jobsRetry", json!({ "filter": filter })).await, [0, 2000]);
    harness.run_duties().await;
    let queues = harness.data("{ queues { counts { queued cancelled } } }", json!({})).await;
    assert_eq!(queues["queues"][0]["counts"], json!({ "queued": 2000, "cancelled": 2000 }));
}

#[tokio::test]
async fn a_refused_bulk_mutation_changes_nothing() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let filter = json!({ "queues": ["default"] });
    for (mutation, more, reason) in [
        ("jobsCancel", json!({ "limit": 0 }), "INVALID limit"),
        ("jobsCancel", json!({ "limit": 10_001 }), "INVALID limit"),
        ("jobsCancel", json!({ "limit": -1, "isDryRun": true }), "INVALID limit"),
        ("jobsCancel", json!({ "reason": "x".repeat(501) }), "INVALID reason"),
        ("jobsRetry", json!({ "limit": 0 }), "INVALID limit"),
    ] {
        let mut input = more;
        input["filter"] = filter.clone();
        let payload = harness.mutate(mutation, "affectedCount skippedCount", input).await;
        assert_eq!((&payload["affectedCount"], &payload["skippedCount"]), (&json!(0), &json!(0)));
        assert_eq!(crate::harness::reasons(&payload), [reason]);
    }
    assert_eq!(states(&harness, &[job]).await, ["QUEUED"]);
    for mutation in ["jobsCancel", "jobsRetry"] {
        let query = format!(
            "mutation($i: J{}Input!) {{ {mutation}(input: $i) {{ affectedCount }} }}",
            &mutation[1..]
        );
        let response = harness.execute("cb_viewer", &query, json!({ "i": { "filter": filter } })).await;
        assert_eq!(response["errors"][0]["extensions"]["code"], "FORBIDDEN", "{response}");
    }
}
