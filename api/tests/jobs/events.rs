//! jobEvents: snapshot, live and replayed events, completion, and every kind of cursor.

use serde_json::{Value, json};

use crate::{
    client::Received,
    harness::{Harness, failed},
};

pub(crate) const EVENTS: &str =
    "subscription($id: ID!, $after: String) { jobEvents(jobId: $id, after: $after) {
    cursor kind version state attempt message job { id version } } }";

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

fn versions(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["version"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn job_events_reports_every_state_and_completes() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let id = json!({ "id": job.to_string() });
    let mut following = harness.subscribe(EVENTS, id.clone()).await;
    let snapshot = following.next().await;
    assert_eq!(
        (&snapshot["kind"], &snapshot["state"], &snapshot["version"]),
        (&json!("SNAPSHOT"), &json!("QUEUED"), &json!(1))
    );
    assert_eq!(following.next().await["kind"], "ENQUEUED");
    let attempt = harness.start(job).await;
    let started = following.next().await;
    assert_eq!(
        (&started["kind"], &started["attempt"], &started["state"]),
        (&json!("STARTED"), &json!(1), &json!("RUNNING"))
    );
    assert_eq!(started["job"]["id"], id["id"]);
    harness.progress(job, attempt, 0.25).await;
    let progressed = following.next().await;
    assert_eq!((&progressed["kind"], &progressed["message"]), (&json!("PROGRESSED"), &json!("25 %")));
    harness.succeed(job, attempt).await;
    assert_eq!(following.next().await["kind"], "SUCCEEDED");
    assert_eq!(following.message().await, Received::Complete);

    // Opened after the job finished, the stream replays all events and completes.
    let replayed = harness.subscribe(EVENTS, id.clone()).await.rest().await;
    assert_eq!(kinds(&replayed), ["SNAPSHOT", "ENQUEUED", "STARTED", "PROGRESSED", "SUCCEEDED"]);
    assert_eq!(versions(&replayed), [4, 1, 2, 3, 4]);

    // Every cursor continues with exactly the remaining events.
    for (index, event) in replayed.iter().enumerate() {
        let after = json!({ "id": job.to_string(), "after": event["cursor"] });
        assert_eq!(harness.subscribe(EVENTS, after).await.rest().await, replayed[index + 1..]);
    }
    // The list has the same cursors.
    let listed = harness.read_job(job, "events { edges { cursor node { kind version } } }").await;
    for (edge, event) in listed["events"]["edges"].as_array().unwrap().iter().zip(&replayed[1..]) {
        assert_eq!(edge["cursor"], event["cursor"]);
    }
}

#[tokio::test]
async fn a_retried_job_is_followed_again_with_the_old_cursor() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    harness.settle(job, attempt, failed(false)).await;
    let id = json!({ "id": job.to_string() });
    let events = harness.subscribe(EVENTS, id).await.rest().await;
    let last = events.last().unwrap();
    assert_eq!(last["kind"], "FAILED");
    harness.mutate("jobRetry", "job { id }", json!({ "id": job.to_string() })).await;
    let mut again =
        harness.subscribe(EVENTS, json!({ "id": job.to_string(), "after": last["cursor"] })).await;
    assert_eq!(again.next().await["kind"], "RETRIED");
    let attempt = harness.start(job).await;
    harness.succeed(job, attempt).await;
    assert_eq!(kinds(&again.rest().await), ["STARTED", "SUCCEEDED"]);
}

#[tokio::test]
async fn a_cursor_to_pruned_events_gets_a_reset() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    harness.progress(job, attempt, 0.1).await;
    harness.progress(job, attempt, 0.2).await;
    let mut following = harness.subscribe(EVENTS, json!({ "id": job.to_string() })).await;
    let snapshot = following.next().await;
    let first = following.next().await;
    harness.sql("DELETE FROM job_events WHERE version < 4").await;

    // A new subscription gets the events that are still stored.
    let mut fresh = harness.subscribe(EVENTS, json!({ "id": job.to_string() })).await;
    assert_eq!(
        (fresh.next().await["kind"].clone(), fresh.next().await["version"].clone()),
        (json!("SNAPSHOT"), json!(4))
    );
    // A cursor to pruned events gets a reset with the current state and continues from there.
    for old in [&snapshot, &first] {
        let mut back =
            harness.subscribe(EVENTS, json!({ "id": job.to_string(), "after": old["cursor"] })).await;
        let reset = back.next().await;
        assert_eq!(
            (&reset["kind"], &reset["version"], &reset["state"]),
            (&json!("RESET"), &json!(4), &json!("RUNNING"))
        );
        let mut on =
            harness.subscribe(EVENTS, json!({ "id": job.to_string(), "after": reset["cursor"] })).await;
        harness.progress(job, attempt, 0.3).await;
        let (one, other) = (back.next().await, on.next().await);
        assert_eq!(one["version"], other["version"]);
        assert_eq!(one["kind"], "PROGRESSED");
        harness.sql("UPDATE live_jobs SET version = 4; DELETE FROM job_events WHERE version > 4").await;
    }
    // All events are pruned and the job is finished.
    harness.succeed(job, attempt).await;
    harness.sql("DELETE FROM job_events").await;
    let rest = harness
        .subscribe(EVENTS, json!({ "id": job.to_string(), "after": first["cursor"] }))
        .await
        .rest()
        .await;
    assert_eq!((kinds(&rest), versions(&rest)), (vec!["RESET"], vec![5]));
    let rest = harness.subscribe(EVENTS, json!({ "id": job.to_string() })).await.rest().await;
    assert_eq!(kinds(&rest), ["SNAPSHOT"]);
}

#[tokio::test]
async fn unknown_jobs_and_unusable_cursors_are_refused_with_their_code() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let (one, other) = (
        harness.enqueue(json!({ "commandId": command })).await,
        harness.enqueue(json!({ "commandId": command })).await,
    );
    let cursor =
        harness.read_job(other, "events { edges { cursor } }").await["events"]["edges"][0]["cursor"].take();
    let log = "subscription($id: ID!, $after: String) { jobLog(jobId: $id, after: $after) { cursor } }";
    for query in [EVENTS, log] {
        for (id, after, code) in [
            ("job_00000000000000000000000000".to_owned(), Value::Null, "NOT_FOUND"),
            (command.clone(), Value::Null, "NOT_FOUND"),
            ("x".into(), Value::Null, "NOT_FOUND"),
            (one.to_string(), json!("x"), "BAD_CURSOR"),
            (one.to_string(), json!(""), "BAD_CURSOR"),
            (one.to_string(), cursor.clone(), "BAD_CURSOR"),
        ] {
            let mut refused = harness.subscribe(query, json!({ "id": id, "after": after })).await;
            assert_eq!(refused.message().await, Received::Refused(vec![code.to_owned()]), "{id} {after}");
        }
    }
    // The cursor's version never existed, as after a restored backup.
    let mut ahead = harness.subscribe(EVENTS, json!({ "id": one.to_string() })).await;
    ahead.next().await;
    let attempt = harness.start(one).await;
    let (_enqueued, started) = (ahead.next().await, ahead.next().await);
    assert_eq!(started["kind"], "STARTED");
    harness.progress(one, attempt, 0.5).await;
    let progressed = ahead.next().await;
    harness
        .sql("UPDATE live_jobs SET version = 2 WHERE version = 3; DELETE FROM job_events WHERE version = 3")
        .await;
    let mut back =
        harness.subscribe(EVENTS, json!({ "id": one.to_string(), "after": progressed["cursor"] })).await;
    let reset = back.next().await;
    assert_eq!((&reset["kind"], &reset["version"]), (&json!("RESET"), &json!(2)));
}
