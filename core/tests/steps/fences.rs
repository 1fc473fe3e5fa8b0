//! Every write of an attempt is fenced: once another attempt has the job, the old one writes
//! nothing.

use callboard::{
    clock::{self, IdSource},
    ids::{AttemptId, JobId},
    job::{Outcome, Progress},
    steps::{
        Done,
        finish::settle::Settled,
        run::{
            append_log::append_log, keep_artifact::keep_artifact, note_progress::note_progress,
            note_start::note_start,
        },
    },
    store::jobs::{
        artifacts::ArtifactRecord,
        attempts::Start,
        logs::{Appended, Batch, LogStream, NewLine},
        progress::Report,
    },
};

use serde_json::json;

use crate::fixture::{Fixture, failed, succeeded};

const PROGRESS: &str = "SELECT progress_fraction::text FROM live_jobs";

/// A job whose first attempt was lost and whose second is running.
async fn superseded(fixture: &Fixture) -> (JobId, AttemptId, AttemptId) {
    let (worker, job) = (fixture.worker().await, fixture.job().await);
    let stale = fixture.start(worker, job).await;
    assert_eq!(fixture.settle(job, stale, Outcome::Lost).await, Settled::Done);
    let current = fixture.start(worker, job).await;
    (job, stale, current)
}

fn file(job: JobId, attempt_id: AttemptId) -> ArtifactRecord {
    ArtifactRecord {
        id: IdSource.make(),
        job,
        attempt_id,
        attempt: 1,
        name: "a.txt".into(),
        content_type: "text/plain".into(),
        size_bytes: 1,
        sha256: [0; 32],
        is_redacted: None,
        path: format!("{job}/a.txt"),
        created_at: clock::now(),
        pruned_at: None,
    }
}

#[tokio::test]
async fn a_stale_attempt_writes_nothing() {
    let fixture = Fixture::new().await;
    let (job, stale, current) = superseded(&fixture).await;
    for outcome in [succeeded("stale"), failed(), Outcome::TimedOut { said: None }, Outcome::Cancelled] {
        assert_eq!(fixture.settle(job, stale, outcome).await, Settled::Stale);
    }
    assert_eq!(fixture.log(job, stale, 1, "stale").await, Appended::Stale);
    assert!(!keep_artifact(&fixture.store, &file(job, stale)).await.unwrap());
    let progress = Progress { fraction: Some(0.5), message: None };
    let Done { value: held, .. } =
        note_progress(&fixture.store, &[Report { job, attempt: stale, progress }]).await.unwrap();
    assert_eq!(held, []);

    assert_eq!(fixture.log(job, current, 1, "current").await, Appended::Stored);
    let kept = file(job, current);
    for what in ["the first time", "when the reply to its commit was lost"] {
        assert!(keep_artifact(&fixture.store, &kept).await.unwrap(), "{what}");
    }
    assert_eq!(fixture.settle(job, current, succeeded("current")).await, Settled::Done);
    assert_eq!(fixture.value::<String>("SELECT result #>> '{}' FROM ended_jobs").await, "current");
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM artifacts").await, 1);
    assert_eq!(fixture.value::<i64>("SELECT log_lines FROM ended_jobs").await, 1);
    let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY number) FROM attempts";
    assert_eq!(fixture.value::<String>(outcomes).await, "lost succeeded");
}

#[tokio::test]
async fn a_repeated_settle_is_done_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let (worker, job) = (fixture.worker().await, fixture.job().await);
    let attempt = fixture.start(worker, job).await;
    assert_eq!(fixture.settle(job, attempt, failed()).await, Settled::Done);
    let version = "SELECT version FROM live_jobs";
    let before = fixture.value::<i32>(version).await;
    assert_eq!(fixture.settle(job, attempt, failed()).await, Settled::Done);
    assert_eq!(fixture.value::<i32>(version).await, before);
    assert_eq!(fixture.value::<i32>("SELECT counted FROM live_jobs").await, 1);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM attempts").await, 1);
}

#[tokio::test]
async fn a_batch_of_lines_that_comes_twice_is_stored_once() {
    let fixture = Fixture::new().await;
    let (worker, job) = (fixture.worker().await, fixture.job().await);
    let attempt = fixture.start(worker, job).await;
    for (number, text) in [(1, "one"), (1, "one"), (2, "two"), (1, "one"), (2, "two")] {
        assert_eq!(fixture.log(job, attempt, number, text).await, Appended::Stored);
    }
    assert_eq!(fixture.settle(job, attempt, succeeded("x")).await, Settled::Done);
    assert_eq!(fixture.value::<i64>("SELECT log_lines FROM ended_jobs").await, 2);
    assert_eq!(
        fixture.log(job, attempt, 3, "late").await,
        Appended::Stale,
        "nothing is appended after the end"
    );
}

#[tokio::test]
async fn a_stale_attempt_cannot_record_its_start() {
    let fixture = Fixture::new().await;
    let (job, stale, current) = superseded(&fixture).await;
    let composed =
        || serde_json::from_value(json!({ "kind": "program", "display": "/usr/bin/true" })).unwrap();
    let start = |attempt| Start { job, attempt, composed: composed(), proxy: None };
    let noted = note_start(&fixture.store, &[start(stale), start(current)]).await.unwrap();
    assert_eq!(noted, [current]);
}

/// A worker that was lost and claimed the job again may have both attempts in one batch.
#[tokio::test]
async fn a_stale_attempt_is_fenced_in_the_same_batch_as_the_current_one() {
    let fixture = Fixture::new().await;
    let (job, stale, current) = superseded(&fixture).await;
    let line = |text: &str| NewLine { stream: LogStream::Stdout, text: text.into(), at: clock::now() };
    let batch = |attempt, text| Batch { job, attempt, number: 1, lines: vec![line(text)] };
    let Done { value: appended, .. } =
        append_log(&fixture.store, &[batch(stale, "stale"), batch(current, "current")]).await.unwrap();
    assert_eq!(appended, [Appended::Stale, Appended::Stored]);
    assert_eq!(fixture.value::<String>("SELECT string_agg(lines, ',') FROM log_chunks").await, "current");

    let report = |attempt, fraction| Report {
        job,
        attempt,
        progress: Progress { fraction: Some(fraction), message: None },
    };
    let _done = note_progress(&fixture.store, &[report(current, 0.5), report(stale, 0.9)]).await.unwrap();
    assert_eq!(fixture.value::<String>(PROGRESS).await, "0.5");
    let _done = note_progress(&fixture.store, &[report(stale, 0.9), report(current, 0.6)]).await.unwrap();
    assert_eq!(fixture.value::<String>(PROGRESS).await, "0.6");
}
