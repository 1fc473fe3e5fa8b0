//! A client that reconnects after every message misses and repeats nothing.

use serde_json::{Value, json};

use crate::{events::EVENTS, harness::Harness, log::LOG};

const EVENTS_SEEN: usize = 500;
const LINES_SEEN: usize = 500;

#[tokio::test]
async fn five_hundred_reconnects_miss_and_repeat_no_event() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    let (mut after, mut versions) = (Value::Null, Vec::new());
    while versions.len() < EVENTS_SEEN {
        // Some events are recorded while no subscription is open.
        if versions.len() + 3 >= version_of(&harness, job).await {
            for _ in 0..7 {
                harness.progress(job, attempt, 0.5).await;
            }
        }
        let mut socket = harness.subscribe(EVENTS, json!({ "id": job.to_string(), "after": after })).await;
        let event = socket.next().await;
        after = event["cursor"].clone();
        if event["kind"] != "SNAPSHOT" {
            versions.push(event["version"].as_u64().unwrap() as usize);
        }
    }
    assert_eq!(versions, (1..=EVENTS_SEEN).collect::<Vec<_>>());
}

async fn version_of(harness: &Harness, job: callboard::ids::JobId) -> usize {
    harness.read_job(job, "version").await["version"].as_u64().unwrap() as usize
}

#[tokio::test]
async fn five_hundred_reconnects_miss_and_repeat_no_line() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let attempt = harness.start(job).await;
    let (mut after, mut seen, mut written) = (Value::Null, Vec::new(), 0);
    for reconnect in 0..LINES_SEEN {
        let lines: Vec<String> = (1..=reconnect % 3 + 1).map(|n| (written + n).to_string()).collect();
        written += lines.len();
        harness.log(job, attempt, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let mut socket = harness.subscribe(LOG, json!({ "id": job.to_string(), "after": after })).await;
        let batch = socket.next().await;
        assert_eq!((&batch["skipped"], &batch["isReset"]), (&json!(0), &json!(false)));
        after = batch["cursor"].clone();
        seen.extend(
            batch["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(seen, (1..=written).map(|n| n.to_string()).collect::<Vec<_>>());
}
