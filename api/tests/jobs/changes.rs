//! jobsChanged: jobs that enter, change within and leave a filter, cursors and resets.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    client::{Received, Subscription},
    harness::{Harness, failed},
};

pub(crate) const CHANGES: &str =
    "subscription($filter: JobFilter, $after: String) { jobsChanged(filter: $filter, after: $after) {
    cursor isReset changes { id state version isInFilter at job { id } } } }";

/// Subscribes, receives the first reset, and returns the subscription with the reset's cursor.
async fn follow(harness: &Harness, filter: Value) -> (Subscription, Value) {
    let mut changes = harness.subscribe(CHANGES, json!({ "filter": filter })).await;
    let first = changes.next().await;
    assert_eq!((&first["isReset"], &first["changes"]), (&json!(true), &json!([])));
    let cursor = first["cursor"].clone();
    (changes, cursor)
}

/// Returns state, version and isInFilter of the next change.
async fn next_change(changes: &mut Subscription) -> (String, i64, bool) {
    let message = changes.next().await;
    assert_eq!(
        (&message["isReset"], message["changes"].as_array().unwrap().len()),
        (&json!(false), 1),
        "{message}"
    );
    let change = &message["changes"][0];
    assert_eq!(change["id"], change["job"]["id"]);
    let is_in = change["isInFilter"].as_bool().unwrap();
    (change["state"].as_str().unwrap().to_owned(), change["version"].as_i64().unwrap(), is_in)
}

#[tokio::test]
async fn a_job_that_enters_changes_within_and_leaves_a_filter_is_reported() {
    let harness = Harness::new().await;
    let (command, other) =
        (harness.create_command("hello", json!({})).await, harness.create_command("other", json!({})).await);
    let filter = json!({ "states": ["RUNNING", "SCHEDULED"], "commandIds": [command], "labels": ["x"] });
    let (mut changes, _) = follow(&harness, filter).await;
    harness.enqueue(json!({ "commandId": other, "labels": ["x"], "runAt": "2100-01-01T00:00:00Z" })).await;
    harness.enqueue(json!({ "commandId": command, "runAt": "2100-01-01T00:00:00Z" })).await;
    let job = harness.enqueue(json!({ "commandId": command, "labels": ["x", "y"] })).await;
    let attempt = harness.start(job).await;
    assert_eq!(next_change(&mut changes).await, ("RUNNING".into(), 2, true));
    harness.progress(job, attempt, 0.5).await;
    assert_eq!(next_change(&mut changes).await, ("RUNNING".into(), 3, true));
    harness.settle(job, attempt, failed(true)).await;
    assert_eq!(next_change(&mut changes).await, ("SCHEDULED".into(), 4, true));
    harness.mutate("jobCancel", "job { id }", json!({ "id": job.to_string() })).await;
    assert_eq!(next_change(&mut changes).await, ("CANCELLED".into(), 5, false));
    harness.mutate("jobRetry", "job { id }", json!({ "id": job.to_string() })).await;
    assert!(changes.is_silent_for(Duration::from_millis(400)).await, "QUEUED was never in the filter");
}

#[tokio::test]
async fn a_subscription_from_before_the_enqueuing_reports_every_state_in_order() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let (mut changes, _) = follow(&harness, json!({ "commandIds": [command] })).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    assert_eq!(next_change(&mut changes).await, ("QUEUED".into(), 1, true));
    let attempt = harness.start(job).await;
    assert_eq!(next_change(&mut changes).await, ("RUNNING".into(), 2, true));
    harness.succeed(job, attempt).await;
    assert_eq!(next_change(&mut changes).await, ("SUCCEEDED".into(), 3, true));
}

#[tokio::test]
async fn with_a_cursor_every_change_is_reported_exactly_once() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let (first, mut after) = follow(&harness, json!({})).await;
    drop(first);
    let (mut versions, mut expected) = (BTreeMap::new(), BTreeMap::new());
    for round in 0..25 {
        // Enqueued without a subscription, started with one.
        let job = harness.enqueue(json!({ "commandId": command })).await;
        let mut changes = harness.subscribe(CHANGES, json!({ "after": after })).await;
        let attempt = harness.start(job).await;
        if round % 2 == 0 {
            harness.succeed(job, attempt).await;
        }
        expected.insert(job.to_string(), if round % 2 == 0 { 3 } else { 2 });
        while versions.get(&job.to_string()) != expected.get(&job.to_string()) {
            let message = changes.next().await;
            assert_eq!(message["isReset"], false);
            for change in message["changes"].as_array().unwrap() {
                let (id, version) =
                    (change["id"].as_str().unwrap().to_owned(), change["version"].as_i64().unwrap());
                let before = versions.insert(id, version);
                assert!(before.is_none_or(|before| before < version), "{change} was reported twice");
            }
            after = message["cursor"].clone();
        }
    }
    assert_eq!(versions, expected);
}

#[tokio::test]
async fn old_and_foreign_cursors_reset_and_malformed_ones_are_refused() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let (_, cursor) = follow(&harness, json!({})).await;
    harness.enqueue(json!({ "commandId": command })).await;
    let text = String::from_utf8(decode(cursor.as_str().unwrap())).unwrap();
    let fields: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (position, made_at) = (fields[1].as_i64().unwrap(), fields[2].as_i64().unwrap());
    for (position, made_at) in [(position - 1, made_at - 3_700_000), (position + 1_000_000_000, made_at)] {
        let other = encode(&json!([fields[0], position, made_at]).to_string());
        let mut changes = harness.subscribe(CHANGES, json!({ "after": other })).await;
        let reset = changes.next().await;
        assert_eq!((&reset["isReset"], &reset["changes"]), (&json!(true), &json!([])));
        // The stream may continue from a moment before the reset and report recent jobs once more.
        let job = harness.enqueue(json!({ "commandId": command })).await.to_string();
        let mut ids = Vec::new();
        while !ids.contains(&job) {
            let message = changes.next().await;
            assert_eq!(message["isReset"], false);
            for change in message["changes"].as_array().unwrap() {
                assert_eq!(
                    (&change["state"], &change["version"]),
                    (&json!("QUEUED"), &json!(1)),
                    "{message}"
                );
                ids.push(change["id"].as_str().unwrap().to_owned());
            }
        }
        let once: BTreeSet<_> = ids.iter().collect();
        assert_eq!(once.len(), ids.len(), "a change was reported twice: {ids:?}");
    }
    let mut refused = harness.subscribe(CHANGES, json!({ "after": "x" })).await;
    assert_eq!(refused.message().await, Received::Refused(vec!["BAD_CURSOR".into()]));
    let mut refused = harness.subscribe(CHANGES, json!({ "filter": { "search": "x" } })).await;
    assert_eq!(refused.message().await, Received::Refused(vec!["BAD_REQUEST".into()]));
}

#[tokio::test]
async fn too_many_changes_for_one_message_are_a_reset() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let (mut all, _) = follow(&harness, json!({})).await;
    let (mut none, _) = follow(&harness, json!({ "labels": ["rare"] })).await;
    let jobs = |count: usize| json!({ "jobs": vec![json!({ "commandId": command }); count] });
    // Two concurrent batches are too many changes for one message, unless they are sent apart.
    let (one, other) = tokio::join!(
        harness.mutate("jobsEnqueue", "jobs { id }", jobs(1000)),
        harness.mutate("jobsEnqueue", "jobs { id }", jobs(1000)),
    );
    assert_eq!((&one["userErrors"], &other["userErrors"]), (&json!([]), &json!([])));
    let mut named = 0;
    while named < 2000 {
        let message = all.next().await;
        if message["isReset"] == true {
            break;
        }
        named += message["changes"].as_array().unwrap().len();
    }
    // A subscription with another filter reports only its own jobs.
    let job = harness.enqueue(json!({ "commandId": command, "labels": ["rare"] })).await;
    let message = none.next().await;
    assert_eq!(message["changes"][0]["id"], job.to_string(), "{message}");
}

fn alphabet(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    }
}

/// Decodes base64url without padding, the encoding of cursors.
fn decode(text: &str) -> Vec<u8> {
    let bits = text.bytes().fold((Vec::new(), 0_u32, 0), |(mut bytes, value, count), byte| {
        let (value, count) = (value << 6 | u32::from(alphabet(byte)), count + 6);
        if count >= 8 {
            bytes.push((value >> (count - 8)) as u8);
            return (bytes, value & ((1 << (count - 8)) - 1), count - 8);
        }
        (bytes, value, count)
    });
    bits.0
}

fn encode(text: &str) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut written = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let value =
            chunk.iter().chain(&[0, 0]).take(3).fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        for index in 0..=chunk.len() {
            written.push(char::from(letters[(value >> (18 - 6 * index) & 63) as usize]));
        }
    }
    written
}
