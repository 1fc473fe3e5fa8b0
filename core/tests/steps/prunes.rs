//! Retention: what is too old goes with everything that is its own, and nothing else does.

use std::{sync::Mutex, time::Duration};

use callboard::{
    clock::IdSource,
    ids::{ArtifactId, AttemptId, JobId},
    steps::{
        enqueue::submit::JobRequest,
        finish::{retry::retry, settle::Settled},
        maintain::prune::{
            Remover, Retention, find_bound, prune_days, prune_files, prune_jobs, prune_leftovers,
        },
        run::keep_artifact::keep_artifact,
    },
    store::{jobs::artifacts::ArtifactRecord, maintenance::retention::KeptFile},
};

use crate::stage::{Stage, limits, succeeded};

const DAY: Duration = Duration::from_hours(24);
const RETENTION: Retention =
    Retention { jobs: DAY.saturating_mul(30), jobs_max: 100, logs: DAY, artifacts: DAY };
/// How many rows of each table there are.
const ROWS: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM jobs), (SELECT count(*) FROM ended_jobs),
    (SELECT count(*) FROM attempts), (SELECT count(*) FROM artifacts), (SELECT count(*) FROM log_chunks),
    (SELECT count(*) FROM job_events))";
/// Ends of jobs in order of their ids, all of them longer ago than jobs are kept.
const AGE: &str = "UPDATE ended_jobs SET finished_at = now() - interval '40 days' - 1000 * (now() -
    (SELECT created_at FROM jobs WHERE id = job_id))";

/// Remembers what it was told to remove, and leaves one job alone.
#[derive(Default)]
struct Disk {
    stuck: Option<JobId>,
    files: Mutex<Vec<String>>,
}

impl Remover for Disk {
    async fn remove_jobs(&self, jobs: &[JobId]) -> Vec<JobId> {
        jobs.iter().filter(|job| self.stuck != Some(**job)).copied().collect()
    }

    async fn remove_files(&self, files: &[KeptFile]) -> Vec<ArtifactId> {
        self.files.lock().unwrap().extend(files.iter().map(|(_, path)| path.clone()));
        files.iter().map(|(id, _)| *id).collect()
    }
}

fn file(job: JobId, attempt_id: AttemptId) -> ArtifactRecord {
    ArtifactRecord {
        id: IdSource.make(),
        job,
        attempt_id,
        attempt: 1,
        name: "a".into(),
        content_type: "text/plain".into(),
        size_bytes: 1,
        sha256: [0; 32],
        path: format!("{job}/a"),
        created_at: callboard::clock::now(),
        pruned_at: None,
    }
}

/// So many jobs that succeeded, with a log line and a file each.
async fn succeed(stage: &Stage, count: usize) -> Vec<JobId> {
    let worker = stage.worker().await;
    let jobs = stage.jobs(count, None, false).await;
    for &job in &jobs {
        let attempt = stage.start(worker, job).await;
        stage.log(job, attempt, 1, "a line").await;
        assert!(keep_artifact(&stage.store, &file(job, attempt)).await.unwrap());
        assert_eq!(stage.settle(job, attempt, succeeded("x")).await, Settled::Done);
    }
    jobs
}

async fn prune(stage: &Stage, retention: &Retention, disk: &Disk) -> usize {
    let bound = find_bound(&stage.store, retention).await.unwrap();
    prune_jobs(&stage.store, retention, bound, disk).await.unwrap()
}

#[tokio::test]
async fn finished_jobs_go_by_age_with_all_that_is_theirs() {
    let stage = Stage::set().await;
    succeed(&stage, 3).await;
    assert_eq!(prune(&stage, &RETENTION, &Disk::default()).await, 0, "they are young");
    stage.sql(AGE).await;
    // Neither a young one nor one that has not ended, however old.
    succeed(&stage, 1).await;
    stage.jobs(1, None, false).await;
    stage.sql("UPDATE jobs SET created_at = now() - interval '1 year'").await;
    assert_eq!(stage.value::<String>(ROWS).await, "5 4 4 4 4 13");
    assert_eq!(prune(&stage, &RETENTION, &Disk::default()).await, 3);
    assert_eq!(stage.value::<String>(ROWS).await, "2 1 1 1 1 4");
    assert_eq!(prune(&stage, &RETENTION, &Disk::default()).await, 0);
}

#[tokio::test]
async fn finished_jobs_go_by_count_and_the_oldest_first() {
    let stage = Stage::set().await;
    let jobs = succeed(&stage, 5).await;
    let retention = Retention { jobs_max: 2, ..RETENTION };
    assert_eq!(prune(&stage, &retention, &Disk::default()).await, 3);
    let left = "SELECT string_agg(job_id::text, ' ' ORDER BY finished_at) FROM ended_jobs";
    let left = stage.value::<String>(left).await;
    assert_eq!(left, format!("{} {}", jobs[3].uuid(), jobs[4].uuid()));
    assert_eq!(prune(&stage, &retention, &Disk::default()).await, 0);
}

#[tokio::test]
async fn a_job_stays_while_its_files_do_or_while_somebody_changes_it() {
    let stage = Stage::set().await;
    let jobs = succeed(&stage, 3).await;
    stage.sql(AGE).await;
    let disk = Disk { stuck: Some(jobs[0]), ..Disk::default() };
    let mut other = stage.store.begin().await.unwrap();
    sqlx::query("SELECT FROM ended_jobs WHERE job_id = $1 FOR UPDATE")
        .bind(jobs[1].uuid())
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(prune(&stage, &RETENTION, &disk).await, 1);
    assert!(retry(&stage.store, jobs[0]).await.is_err(), "some of its files may be gone");
    drop(other);
    assert!(retry(&stage.store, jobs[1]).await.is_ok(), "a retry takes it out of reach");
    assert_eq!(prune(&stage, &RETENTION, &disk).await, 0);
    assert_eq!(prune(&stage, &RETENTION, &Disk::default()).await, 1, "what was left is tried again");
    assert_eq!(stage.value::<String>(ROWS).await, "1 0 1 1 1 4");
}

#[tokio::test]
async fn files_go_before_their_jobs_and_are_asked_for_once() {
    let stage = Stage::set().await;
    let jobs = succeed(&stage, 2).await;
    stage.sql("UPDATE artifacts SET created_at = now() - interval '25 hours' WHERE id = (SELECT min(id::text)::uuid FROM artifacts)").await;
    let disk = Disk::default();
    assert_eq!(prune_files(&stage.store, &RETENTION, &disk).await.unwrap(), 1);
    assert_eq!(prune_files(&stage.store, &RETENTION, &disk).await.unwrap(), 0);
    assert_eq!(*disk.files.lock().unwrap(), [format!("{}/a", jobs[0])]);
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM artifacts WHERE pruned_at IS NOT NULL").await, 1);
}

#[tokio::test]
async fn days_that_are_past_are_dropped_whole_and_later_when_the_table_is_in_use() {
    let stage = Stage::set().await;
    stage.sql("CREATE TABLE log_chunks_20200101 PARTITION OF log_chunks FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')").await;
    stage.sql("CREATE TABLE job_events_20200101 PARTITION OF job_events FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')").await;
    stage.sql("CREATE TABLE job_events_20200102 PARTITION OF job_events FOR VALUES FROM ('2020-01-02Z') TO ('2020-01-03Z')").await;
    // However Postgres goes about it: by the names of all relations first, say.
    stage.sql("ALTER FUNCTION drop_partition SET enable_nestloop = off SET enable_indexscan = off SET enable_seqscan = on").await;
    let others = "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('job_events'::regclass, 'log_chunks'::regclass)";
    let all = stage.value::<i64>(others).await;
    let days = || async { prune_days(&stage.store, &RETENTION).await.unwrap() };
    let mut reader = stage.store.begin().await.unwrap();
    sqlx::query("SELECT FROM log_chunks LIMIT 1").execute(&mut *reader).await.unwrap();
    assert_eq!(days().await.as_deref(), Some("job_events_20200101"), "lines are being read");
    drop(reader);
    assert_eq!(days().await.as_deref(), Some("log_chunks_20200101"));
    assert_eq!(days().await.as_deref(), Some("job_events_20200102"));
    assert_eq!(days().await, None);
    assert_eq!(stage.value::<i64>(others).await, all - 3, "yesterday, today and the days to come are left");
}

#[tokio::test]
async fn gates_go_with_what_they_belong_to() {
    let stage = Stage::set().await;
    let (worker, profile) = (stage.worker().await, stage.profile().await);
    let command = stage.limited_command(limits(Some(1), &[])).await;
    let order = JobRequest { command: Some(command), profile: Some(profile), ..JobRequest::default() };
    let jobs = stage.submit(vec![order]).await;
    let (granted, _called) = stage.claim_all(worker, &jobs).await;
    stage.settle_all(&granted).await;
    let gates = "SELECT coalesce(string_agg(split_part(key, ':', 1), ' ' ORDER BY key), '') FROM gates";
    assert_eq!(stage.value::<String>(gates).await, "command profile");
    stage.catalogue.profile_delete(profile, None).await.unwrap();
    stage.catalogue.command_delete(command, None).await.unwrap();
    let prune_gates = async || {
        prune_leftovers(&stage.store, &RETENTION).await.unwrap();
        stage.value::<String>(gates).await
    };
    assert_eq!(prune_gates().await, "command", "its job may be tried again");
    stage.sql(AGE).await;
    assert_eq!(prune(&stage, &RETENTION, &Disk::default()).await, 1);
    assert_eq!(prune_gates().await, "");
    assert_eq!(stage.value::<i64>("SELECT count(*) FROM gate_deltas WHERE key LIKE 'command:%'").await, 0);
}
