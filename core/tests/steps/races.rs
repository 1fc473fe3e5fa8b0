//! Races of a worker with its own rescue: whatever comes first, nothing of a stale attempt is taken.
//!
//! A few hundred in `script/test`; `CALLBOARD_RACES` says how many.

use callboard::{
    clock::{self, IdSource},
    ids::{AttemptId, JobId},
    job::Progress,
    steps::{
        finish::settle::{Settled, settle},
        run::{append_log::append_log, keep_artifact::keep_artifact, note_progress::note_progress},
    },
    store::jobs::{
        artifacts::ArtifactRecord,
        logs::{Appended, Batch, LogStream, NewLine},
        progress::Report,
    },
};

use crate::{
    rescues::lose,
    stage::{Stage, settlement, succeeded},
};

const RACES: usize = 300;
/// Jobs of one worker that race at a time.
const JOBS: usize = 4;

/// What was taken of one attempt: its line, its progress, its file, its verdict.
type Taken = [bool; 4];

/// Writes everything that an attempt can write, and ends it.
async fn write(stage: &Stage, job: JobId, attempt: AttemptId, number: i32) -> Taken {
    let line = NewLine { stream: LogStream::Stdout, text: format!("of {number}"), at: clock::now() };
    let batch = [Batch { job, attempt, number: 1, lines: vec![line] }];
    let report = Report { job, attempt, progress: Progress { fraction: Some(0.5), message: None } };
    let file = ArtifactRecord {
        id: IdSource.make(),
        job,
        attempt_id: attempt,
        attempt: number,
        name: format!("of {number}"),
        content_type: "text/plain".into(),
        size_bytes: 1,
        sha256: [0; 32],
        path: format!("{job}/{number}"),
        created_at: clock::now(),
        pruned_at: None,
    };
    let (lines, progress, file) = tokio::join!(
        append_log(&stage.store, &batch),
        note_progress(&stage.store, std::slice::from_ref(&report)),
        keep_artifact(&stage.store, &file),
    );
    let settlements = vec![settlement(job, attempt, succeeded(&number.to_string()))];
    let (settled, _after) = settle(&stage.store, settlements).await.unwrap();
    [
        lines.unwrap().0 == [Appended::Stored],
        !progress.unwrap().0.is_empty(),
        file.unwrap(),
        settled == [Settled::Done],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_stale_attempt_is_taken() {
    let races = std::env::var("CALLBOARD_RACES").map_or(RACES, |races| races.parse().unwrap());
    let stage = Stage::with_connections(16).await;
    let (mut won, mut lost) = (0, 0);
    for round in 0..races.div_ceil(JOBS) {
        let worker = stage.worker().await;
        let mut held = Vec::new();
        for job in stage.jobs(JOBS, None, false).await {
            held.push((job, stage.start(worker, job).await));
        }
        // Now the one side is a little ahead, now the other.
        let writers = held.iter().enumerate().map(async |(index, (job, attempt))| {
            dawdle(&stage, 3 * index).await;
            write(&stage, *job, *attempt, 1).await
        });
        let rescue = async {
            dawdle(&stage, round % 4).await;
            lose(&stage, worker).await
        };
        let (first, _rescued) = tokio::join!(futures::future::join_all(writers), rescue);
        let next = stage.worker().await;
        for ((job, stale), taken) in held.into_iter().zip(first) {
            let [has_line, _, _, has_verdict] = taken;
            if has_verdict {
                won += 1;
                assert_eq!(taken, [true; 4], "all of it was before");
                expect(&stage, job, "succeeded 1", "1", 1).await;
                continue;
            }
            lost += 1;
            let attempt = stage.start(next, job).await;
            let (late, current) = tokio::join!(write(&stage, job, stale, 1), write(&stage, job, attempt, 2));
            assert_eq!((late, current), ([false; 4], [true; 4]), "of {job}");
            let kept = i64::from(has_line) + 1;
            expect(&stage, job, "lost 1 succeeded 2", "2", kept).await;
        }
    }
    println!("{won} settled in time, {lost} were rescued first");
    assert!(won > 0 && lost > 0, "{won} and {lost}: these were no races");
}

/// Takes the time of so many empty statements.
async fn dawdle(stage: &Stage, statements: usize) {
    for _ in 0..statements {
        stage.value::<i32>("SELECT 1").await;
    }
}

/// The job's outcomes by attempt, its result, and how many lines are there.
async fn expect(stage: &Stage, job: JobId, outcomes: &str, result: &str, lines: i64) {
    let statement = "SELECT (SELECT string_agg(outcome || ' ' || number, ' ' ORDER BY number) FROM attempts WHERE job_id = $1)
            || '; ' || (SELECT result #>> '{}' FROM ended_jobs WHERE job_id = $1)
            || '; ' || (SELECT count(*) FROM log_chunks WHERE job_id = $1)
            || '; ' || (SELECT coalesce(string_agg(lines, ',' ORDER BY attempt), '') FROM log_chunks
                WHERE job_id = $1 AND lines <> 'of ' || attempt)";
    let found: String = sqlx::query_scalar(statement)
        .bind(job.uuid())
        .fetch_one(&mut *stage.store.begin().await.unwrap())
        .await
        .unwrap();
    assert_eq!(found, format!("{outcomes}; {result}; {lines}; "));
}
