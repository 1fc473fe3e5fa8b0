//! Races of a worker with its own rescue: whatever comes first, no write of a stale attempt
//! succeeds.
//!
//! `script/test` runs a few hundred. `CALLBOARD_RACES` sets the number.

use callboard::{
    clock::{self, IdSource},
    ids::{AttemptId, JobId},
    job::Progress,
    steps::{
        Done,
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
    fixture::{Fixture, settlement, succeeded},
    rescues::lose,
};

const RACES: usize = 300;
/// Jobs of one worker that race at the same time.
const JOBS: usize = 4;

/// Which writes of one attempt succeeded: its line, its progress, its file, its settlement.
type Written = [bool; 4];

/// Makes every write of an attempt, and settles it.
async fn write(fixture: &Fixture, job: JobId, attempt: AttemptId, number: i32) -> Written {
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
        is_redacted: None,
        path: format!("{job}/{number}"),
        created_at: clock::now(),
        pruned_at: None,
    };
    let (lines, progress, file) = tokio::join!(
        append_log(&fixture.store, &batch),
        note_progress(&fixture.store, std::slice::from_ref(&report)),
        keep_artifact(&fixture.store, &file),
    );
    let settlements = vec![settlement(job, attempt, succeeded(&number.to_string()))];
    let Done { value: settled, .. } = settle(&fixture.store, settlements).await.unwrap();
    [
        lines.unwrap().value == [Appended::Stored],
        !progress.unwrap().value.is_empty(),
        file.unwrap(),
        settled == [Settled::Done],
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_stale_attempt_succeeds() {
    let races = std::env::var("CALLBOARD_RACES").map_or(RACES, |races| races.parse().unwrap());
    let fixture = Fixture::with_connections(16).await;
    let (mut won, mut lost) = (0, 0);
    for round in 0..races.div_ceil(JOBS) {
        let worker = fixture.worker().await;
        let mut held = Vec::new();
        for job in fixture.jobs(JOBS, None, false).await {
            held.push((job, fixture.start(worker, job).await));
        }
        // Lets sometimes the writers start first, sometimes the rescue.
        let writers = held.iter().enumerate().map(async |(index, (job, attempt))| {
            delay(&fixture, 3 * index).await;
            write(&fixture, *job, *attempt, 1).await
        });
        let rescue = async {
            delay(&fixture, round % 4).await;
            lose(&fixture, worker).await
        };
        let (first, _rescued) = tokio::join!(futures::future::join_all(writers), rescue);
        let next = fixture.worker().await;
        for ((job, stale), written) in held.into_iter().zip(first) {
            let [has_line, _, _, is_settled] = written;
            if is_settled {
                won += 1;
                assert_eq!(written, [true; 4], "an attempt settled in time wrote everything");
                expect(&fixture, job, "succeeded 1", "1", 1).await;
                continue;
            }
            lost += 1;
            let attempt = fixture.start(next, job).await;
            let (late, current) =
                tokio::join!(write(&fixture, job, stale, 1), write(&fixture, job, attempt, 2));
            assert_eq!((late, current), ([false; 4], [true; 4]), "of {job}");
            let kept = i64::from(has_line) + 1;
            expect(&fixture, job, "lost 1 succeeded 2", "2", kept).await;
        }
    }
    println!("{won} settled in time, {lost} were rescued first");
    assert!(won > 0 && lost > 0, "{won} settled and {lost} rescued, so nothing raced");
}

/// Waits for this many empty statements.
async fn delay(fixture: &Fixture, statements: usize) {
    for _ in 0..statements {
        fixture.value::<i32>("SELECT 1").await;
    }
}

/// Asserts the job's outcomes by attempt, its result, and its number of lines.
async fn expect(fixture: &Fixture, job: JobId, outcomes: &str, result: &str, lines: i64) {
    let statement = "SELECT (SELECT string_agg(outcome || ' ' || number, ' ' ORDER BY number) FROM attempts WHERE job_id = $1)
            || '; ' || (SELECT result #>> '{}' FROM ended_jobs WHERE job_id = $1)
            || '; ' || (SELECT count(*) FROM log_chunks WHERE job_id = $1)
            || '; ' || (SELECT coalesce(string_agg(lines, ',' ORDER BY attempt), '') FROM log_chunks
                WHERE job_id = $1 AND lines <> 'of ' || attempt)";
    let found: String = sqlx::query_scalar(statement)
        .bind(job.uuid())
        .fetch_one(&mut *fixture.store.begin().await.unwrap())
        .await
        .unwrap();
    assert_eq!(found, format!("{outcomes}; {result}; {lines}; "));
}
