//! Every write of an attempt is fenced: after another has the job, the first writes nothing more.

use callboard::{
    clock::{self, IdSource},
    ids::{AttemptId, JobId},
    job::{Outcome, Progress},
    steps::{
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

use crate::stage::{Stage, failed, succeeded};

const PROGRESS: &str = "SELECT progress_fraction::text FROM live_jobs";

/// A job whose first attempt was lost and whose second runs.
async fn overtaken(stage: &Stage) -> (JobId, AttemptId, AttemptId) {
    let (worker, job) = (stage.worker().await, stage.job().await);
    let stale = stage.start(worker, job).await;
    assert_eq!(stage.settle(job, stale, Outcome::Lost).await, Settled::Done);
    let current = stage.start(worker, job).await;
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
        path: format!("{job}/a.txt"),
        created_at: clock::now(),
        pruned_at: None,
    }
}

#[tokio::test]
async fn a_stale_attempt_writes_nothing() {
    let stage = Stage::set().await;
    let (job, stale, current) = overtaken(&stage).await;
    for outcome in [succeeded("stale"), failed(), Outcome::TimedOut, Outcome::Cancelled] {
        assert_eq!(stage.settle(job, stale, outcome).await, Settled::Stale);
    }
    assert_eq!(stage.log(job, stale, 1, "stale").await, Appended::Stale);
    assert!(!keep_artifact(&stage.store, &file(job, stale)).await.unwrap());
    let progress = Progress { fraction: Some(0.5), message: None };
    let (held, _after) =
        note_progress(&stage.store, &[Report { job, attempt: stale, progress }]).await.unwrap();
    assert_eq!(held, []);

    assert_eq!(stage.log(job, current, 1, "current").await, Appended::Stored);
    assert!(keep_artifact(&stage.store, &file(job, current)).await.unwrap());
    assert_eq!(stage.settle(job, current, succeeded("current")).await, Settled::Done);
    assert_eq!(stage.value::<String>("SELECT result #>> '{}' FROM ended_jobs").await, "current");
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM artifacts").await, 1);
    assert_eq!(stage.value::<i64>("SELECT log_lines FROM ended_jobs").await, 1);
    let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY number) FROM attempts";
    assert_eq!(stage.value::<String>(outcomes).await, "lost succeeded");
}

#[tokio::test]
async fn a_settle_whose_answer_was_lost_is_done_and_changes_nothing_again() {
    let stage = Stage::set().await;
    let (worker, job) = (stage.worker().await, stage.job().await);
    let attempt = stage.start(worker, job).await;
    assert_eq!(stage.settle(job, attempt, failed()).await, Settled::Done);
    let version = "SELECT version FROM live_jobs";
    let before = stage.value::<i32>(version).await;
    assert_eq!(stage.settle(job, attempt, failed()).await, Settled::Done);
    assert_eq!(stage.value::<i32>(version).await, before);
    assert_eq!(stage.value::<i32>("SELECT counted FROM live_jobs").await, 1);
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM attempts").await, 1);
}

#[tokio::test]
async fn a_batch_of_lines_that_comes_twice_is_stored_once() {
    let stage = Stage::set().await;
    let (worker, job) = (stage.worker().await, stage.job().await);
    let attempt = stage.start(worker, job).await;
    for (number, text) in [(1, "one"), (1, "one"), (2, "two"), (1, "one"), (2, "two")] {
        assert_eq!(stage.log(job, attempt, number, text).await, Appended::Stored);
    }
    assert_eq!(stage.settle(job, attempt, succeeded("x")).await, Settled::Done);
    assert_eq!(stage.value::<i64>("SELECT log_lines FROM ended_jobs").await, 2);
    assert_eq!(
        stage.log(job, attempt, 3, "late").await,
        Appended::Stale,
        "after the end nothing is appended"
    );
}

#[tokio::test]
async fn a_stale_attempt_cannot_say_how_it_was_started() {
    let stage = Stage::set().await;
    let (job, stale, current) = overtaken(&stage).await;
    let composed =
        || serde_json::from_value(json!({ "kind": "program", "display": "/usr/bin/true" })).unwrap();
    let start = |attempt| Start { job, attempt, composed: composed(), proxy: None };
    let noted = note_start(&stage.store, &[start(stale), start(current)]).await.unwrap();
    assert_eq!(noted, [current]);
}

/// A worker that was lost and has claimed the job anew may have both of its attempts in one batch.
#[tokio::test]
async fn beside_the_current_attempt_the_stale_one_is_still_stale() {
    let stage = Stage::set().await;
    let (job, stale, current) = overtaken(&stage).await;
    let line = |text: &str| NewLine { stream: LogStream::Stdout, text: text.into(), at: clock::now() };
    let batch = |attempt, text| Batch { job, attempt, number: 1, lines: vec![line(text)] };
    let (appended, _after) =
        append_log(&stage.store, &[batch(stale, "stale"), batch(current, "current")]).await.unwrap();
    assert_eq!(appended, [Appended::Stale, Appended::Stored]);
    assert_eq!(stage.value::<String>("SELECT string_agg(lines, ',') FROM log_chunks").await, "current");

    let report = |attempt, fraction| Report {
        job,
        attempt,
        progress: Progress { fraction: Some(fraction), message: None },
    };
    let (_told, _after) =
        note_progress(&stage.store, &[report(current, 0.5), report(stale, 0.9)]).await.unwrap();
    assert_eq!(stage.value::<String>(PROGRESS).await, "0.5");
    let (_told, _after) =
        note_progress(&stage.store, &[report(stale, 0.9), report(current, 0.6)]).await.unwrap();
    assert_eq!(stage.value::<String>(PROGRESS).await, "0.6");
}
