//! Subscriptions report every change even if Redis loses hints.

use std::time::Duration;

use callboard::{
    clock::{self, IdSource},
    ids::AttemptId,
    job::Outcome,
    policy::Policy,
    steps::{
        Done,
        finish::settle::{Settlement, settle},
        run::{
            append_log::append_log,
            claim::{ClaimRequest, claim},
        },
    },
    store::jobs::{
        attempts::ExitRecord,
        logs::{Batch, LogStream, NewLine},
    },
    transport::Hint,
};
use callboard_test_support::private_redis;
use serde_json::json;
use tokio::time::Instant;

use crate::{changes::CHANGES, client::Received, events::EVENTS, harness::Harness, log::LOG};

/// Far more than the promised two seconds, because the machine may be busy.
const DELAY_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn changes_without_hints_are_reported_within_seconds() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let id = json!({ "id": job.to_string() });
    let (mut events, mut log) =
        (harness.subscribe(EVENTS, id.clone()).await, harness.subscribe(LOG, id).await);
    let mut changes = harness.subscribe(CHANGES, json!({ "filter": { "ids": [job.to_string()] } })).await;
    assert_eq!(changes.next().await["isReset"], true);
    assert_eq!(
        (events.next().await["kind"].clone(), events.next().await["kind"].clone()),
        (json!("SNAPSHOT"), json!("ENQUEUED"))
    );

    let began = Instant::now();
    let attempt: AttemptId = IdSource.make();
    let Done { after: unsent, .. } =
        claim(&harness.store, harness.worker, &[ClaimRequest { job, attempt }]).await.unwrap();
    drop(unsent);
    assert_eq!(events.next().await["kind"], "STARTED");
    let change = changes.next().await;
    assert_eq!(change["changes"][0]["state"], "RUNNING", "{change}");
    assert!(began.elapsed() < DELAY_MAX, "{:?}", began.elapsed());

    let began = Instant::now();
    let line = NewLine { stream: LogStream::Stderr, text: "unannounced".into(), at: clock::now() };
    let Done { after: unsent, .. } =
        append_log(&harness.store, &[Batch { job, attempt, number: 1, lines: vec![line] }]).await.unwrap();
    drop(unsent);
    assert_eq!(log.next().await["lines"][0]["text"], "unannounced");
    assert!(began.elapsed() < DELAY_MAX, "{:?}", began.elapsed());

    let began = Instant::now();
    let outcome = Outcome::Succeeded { result: json!(null) };
    let (composed, proxy, exit, used) = (None, None, ExitRecord::default(), None);
    let settlement = Settlement {
        job,
        attempt,
        outcome,
        policy: Policy::default(),
        jitter: 0.0,
        composed,
        proxy,
        exit,
        used,
    };
    let Done { after: unsent, .. } = settle(&harness.store, vec![settlement]).await.unwrap();
    drop(unsent);
    assert_eq!(
        (events.next().await["kind"].clone(), events.message().await),
        (json!("SUCCEEDED"), Received::Complete)
    );
    assert_eq!(log.message().await, Received::Complete);
    assert!(began.elapsed() < DELAY_MAX, "{:?}", began.elapsed());
}

#[tokio::test]
async fn events_are_reported_while_redis_is_down_and_after_it_returns() {
    let redis = private_redis().await;
    let harness = Harness::with_redis(redis.url()).await;
    let command = harness.create_command("hello", json!({})).await;
    let job = harness.enqueue(json!({ "commandId": command })).await;
    let mut events = harness.subscribe(EVENTS, json!({ "id": job.to_string() })).await;
    events.next().await;
    events.next().await;
    redis.kill();
    let attempt = harness.start(job).await;
    assert_eq!(events.next().await["kind"], "STARTED");
    harness.progress(job, attempt, 0.1).await;
    assert_eq!(events.next().await["kind"], "PROGRESSED");
    redis.start().await;
    harness.progress(job, attempt, 0.2).await;
    assert_eq!(events.next().await["kind"], "PROGRESSED");
    harness.succeed(job, attempt).await;
    assert_eq!(
        (events.next().await["kind"].clone(), events.message().await),
        (json!("SUCCEEDED"), Received::Complete)
    );
}

#[tokio::test]
async fn a_job_that_finishes_between_two_batches_completes_the_log() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    // Each round hits the critical moment only by chance, though most do.
    for _ in 0..5 {
        let job = harness.enqueue(json!({ "commandId": command })).await;
        let attempt = harness.start(job).await;
        let mut log = harness.subscribe(LOG, json!({ "id": job.to_string() })).await;
        harness.log(job, attempt, &["one"]).await;
        log.next().await;
        // By now the stream has seen the job running and waits for hints.
        assert!(log.is_silent_for(Duration::from_millis(200)).await);
        harness.log(job, attempt, &["two"]).await;
        log.next().await;
        // Both hints arrive while the stream is between two batches, and no other will wake it.
        harness.succeed(job, attempt).await;
        harness.redis.publish(&[Hint::ManyChanged]).await;
        assert_eq!(log.message().await, Received::Complete);
    }
}
