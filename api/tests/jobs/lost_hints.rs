//! Redis may lose anything: what is followed is told all the same.

use std::time::Duration;

use callboard::{
    clock::{self, IdSource},
    ids::AttemptId,
    job::Outcome,
    policy::Policy,
    steps::{
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

/// What is promised is about two seconds; the machine may be busy.
const BOUND: Duration = Duration::from_secs(10);

#[tokio::test]
async fn steps_whose_hints_are_never_sent_are_seen_within_seconds() {
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
    let (_, unsaid) = claim(&harness.store, harness.worker, &[ClaimRequest { job, attempt }]).await.unwrap();
    drop(unsaid);
    assert_eq!(events.next().await["kind"], "STARTED");
    let change = changes.next().await;
    assert_eq!(change["changes"][0]["state"], "RUNNING", "{change}");
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());

    let began = Instant::now();
    let line = NewLine { stream: LogStream::Stderr, text: "unheard".into(), at: clock::now() };
    let (_, unsaid) =
        append_log(&harness.store, &[Batch { job, attempt, number: 1, lines: vec![line] }]).await.unwrap();
    drop(unsaid);
    assert_eq!(log.next().await["lines"][0]["text"], "unheard");
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());

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
    let (_, unsaid) = settle(&harness.store, vec![settlement]).await.unwrap();
    drop(unsaid);
    assert_eq!(
        (events.next().await["kind"].clone(), events.message().await),
        (json!("SUCCEEDED"), Received::Complete)
    );
    assert_eq!(log.message().await, Received::Complete);
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_redis_that_dies_and_comes_back_is_heard_again() {
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
async fn an_end_that_comes_while_lines_are_held_back_is_not_missed() {
    let harness = Harness::new().await;
    let command = harness.create_command("hello", json!({})).await;
    // Each time, whether it comes at the wrong moment is a matter of chance; most times it does.
    for _ in 0..5 {
        let job = harness.enqueue(json!({ "commandId": command })).await;
        let attempt = harness.start(job).await;
        let mut log = harness.subscribe(LOG, json!({ "id": job.to_string() })).await;
        harness.log(job, attempt, &["one"]).await;
        log.next().await;
        // By then the stream knows that the job runs, and waits.
        assert!(log.is_silent_for(Duration::from_millis(200)).await);
        harness.log(job, attempt, &["two"]).await;
        log.next().await;
        // Hint and comparison both find the stream between two batches; nothing else will ever wake it.
        harness.succeed(job, attempt).await;
        harness.redis.publish(&[Hint::ManyChanged]).await;
        assert_eq!(log.message().await, Received::Complete);
    }
}
