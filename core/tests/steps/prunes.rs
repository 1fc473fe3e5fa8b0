//! Retention: whatever is too old is deleted with everything that belongs to it, and nothing else
//! is.

use std::{sync::Mutex, time::Duration};

use callboard::{
    audit::By,
    clock::IdSource,
    ids::{ArtifactId, AttemptId, JobId},
    job::JobRequest,
    steps::{
        finish::{retry::retry, settle::Settled},
        maintain::prune::{
            Remover, Retention, find_bound, prune_days, prune_files, prune_jobs, prune_leftovers,
        },
        run::keep_artifact::keep_artifact,
    },
    store::{jobs::artifacts::ArtifactRecord, maintenance::retention::KeptFile},
};

use crate::fixture::{Fixture, limits, succeeded};

const DAY: Duration = Duration::from_hours(24);
const RETENTION: Retention = Retention {
    jobs: DAY.saturating_mul(30),
    jobs_max: 100,
    logs: DAY,
    artifacts: DAY,
    audit: DAY.saturating_mul(40),
};
/// Row counts of each table.
const ROWS: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM jobs), (SELECT count(*) FROM ended_jobs),
    (SELECT count(*) FROM attempts), (SELECT count(*) FROM artifacts), (SELECT count(*) FROM log_chunks),
    (SELECT count(*) FROM job_events))";
/// Sets the finish times in the order of the job ids, all longer ago than the retention.
const AGE: &str = "UPDATE ended_jobs SET finished_at = now() - interval '40 days' - 1000 * (now() -
    (SELECT created_at FROM jobs WHERE id = job_id))";

/// Records the removed files and leaves one job alone.
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
        is_redacted: None,
        path: format!("{job}/a"),
        created_at: callboard::clock::now(),
        pruned_at: None,
    }
}

/// Runs `count` jobs that succeed, with a log line and a file each.
async fn succeed(fixture: &Fixture, count: usize) -> Vec<JobId> {
    let worker = fixture.worker().await;
    let jobs = fixture.jobs(count, None, false).await;
    for &job in &jobs {
        let attempt = fixture.start(worker, job).await;
        fixture.log(job, attempt, 1, "a line").await;
        assert!(keep_artifact(&fixture.store, &file(job, attempt)).await.unwrap());
        assert_eq!(fixture.settle(job, attempt, succeeded("x")).await, Settled::Done);
    }
    jobs
}

async fn prune(fixture: &Fixture, retention: &Retention, disk: &Disk) -> usize {
    let bound = find_bound(&fixture.store, retention).await.unwrap();
    prune_jobs(&fixture.store, retention, bound, disk).await.unwrap()
}

#[tokio::test]
async fn finished_jobs_are_pruned_by_age_with_everything_of_theirs() {
    let fixture = Fixture::new().await;
    succeed(&fixture, 3).await;
    assert_eq!(prune(&fixture, &RETENTION, &Disk::default()).await, 0, "they are too young");
    fixture.sql(AGE).await;
    // A young job and an old unfinished job, which both stay.
    succeed(&fixture, 1).await;
    fixture.jobs(1, None, false).await;
    fixture.sql("UPDATE jobs SET created_at = now() - interval '1 year'").await;
    assert_eq!(fixture.value::<String>(ROWS).await, "5 4 4 4 4 13");
    assert_eq!(prune(&fixture, &RETENTION, &Disk::default()).await, 3);
    assert_eq!(fixture.value::<String>(ROWS).await, "2 1 1 1 1 4");
    assert_eq!(prune(&fixture, &RETENTION, &Disk::default()).await, 0);
}

#[tokio::test]
async fn finished_jobs_are_pruned_by_count_oldest_first() {
    let fixture = Fixture::new().await;
    let jobs = succeed(&fixture, 5).await;
    let retention = Retention { jobs_max: 2, ..RETENTION };
    assert_eq!(prune(&fixture, &retention, &Disk::default()).await, 3);
    let left = "SELECT string_agg(job_id::text, ' ' ORDER BY finished_at) FROM ended_jobs";
    let left = fixture.value::<String>(left).await;
    assert_eq!(left, format!("{} {}", jobs[3].uuid(), jobs[4].uuid()));
    assert_eq!(prune(&fixture, &retention, &Disk::default()).await, 0);
}

#[tokio::test]
async fn a_job_stays_while_its_files_do_or_its_row_is_locked() {
    let fixture = Fixture::new().await;
    let jobs = succeed(&fixture, 3).await;
    fixture.sql(AGE).await;
    let disk = Disk { stuck: Some(jobs[0]), ..Disk::default() };
    let mut other = fixture.store.begin().await.unwrap();
    sqlx::query("SELECT FROM ended_jobs WHERE job_id = $1 FOR UPDATE")
        .bind(jobs[1].uuid())
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(prune(&fixture, &RETENTION, &disk).await, 1);
    assert!(retry(&fixture.store, jobs[0], &By::worker()).await.is_err(), "some of its files may be gone");
    drop(other);
    assert!(retry(&fixture.store, jobs[1], &By::worker()).await.is_ok(), "a retried job is not pruned");
    assert_eq!(prune(&fixture, &RETENTION, &disk).await, 0);
    assert_eq!(prune(&fixture, &RETENTION, &Disk::default()).await, 1, "a remaining job is pruned later");
    assert_eq!(fixture.value::<String>(ROWS).await, "1 0 1 1 1 4");
}

#[tokio::test]
async fn files_are_removed_once_and_before_their_jobs() {
    let fixture = Fixture::new().await;
    let jobs = succeed(&fixture, 2).await;
    fixture.sql("UPDATE artifacts SET created_at = now() - interval '25 hours' WHERE id = (SELECT min(id::text)::uuid FROM artifacts)").await;
    let disk = Disk::default();
    assert_eq!(prune_files(&fixture.store, &RETENTION, &disk).await.unwrap(), 1);
    assert_eq!(prune_files(&fixture.store, &RETENTION, &disk).await.unwrap(), 0);
    assert_eq!(*disk.files.lock().unwrap(), [format!("{}/a", jobs[0])]);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM artifacts WHERE pruned_at IS NOT NULL").await, 1);
}

#[tokio::test]
async fn old_days_are_dropped_whole_and_later_if_the_table_is_in_use() {
    let fixture = Fixture::new().await;
    fixture.sql("CREATE TABLE log_chunks_20200101 PARTITION OF log_chunks FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')").await;
    fixture.sql("CREATE TABLE job_events_20200101 PARTITION OF job_events FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')").await;
    fixture.sql("CREATE TABLE job_events_20200102 PARTITION OF job_events FOR VALUES FROM ('2020-01-02Z') TO ('2020-01-03Z')").await;
    // Whatever plan PostgreSQL chooses, such as by the names of all relations first.
    fixture.sql("ALTER FUNCTION drop_partition SET enable_nestloop = off SET enable_indexscan = off SET enable_seqscan = on").await;
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent IN ('job_events'::regclass, 'log_chunks'::regclass)";
    let all = fixture.value::<i64>(partitions).await;
    let days = || async { prune_days(&fixture.store, &RETENTION).await.unwrap() };
    let mut reader = fixture.store.begin().await.unwrap();
    sqlx::query("SELECT FROM log_chunks LIMIT 1").execute(&mut *reader).await.unwrap();
    assert_eq!(days().await.as_deref(), Some("job_events_20200101"), "the log lines are being read");
    drop(reader);
    assert_eq!(days().await.as_deref(), Some("log_chunks_20200101"));
    assert_eq!(days().await.as_deref(), Some("job_events_20200102"));
    assert_eq!(days().await, None);
    assert_eq!(fixture.value::<i64>(partitions).await, all - 3, "yesterday, today and future days are left");
}

#[tokio::test]
async fn gates_are_pruned_with_their_owners() {
    let fixture = Fixture::new().await;
    let (worker, profile) = (fixture.worker().await, fixture.profile().await);
    let command = fixture.limited_command(limits(Some(1), &[])).await;
    let request = JobRequest { profile: Some(profile), ..JobRequest::new(command) };
    let jobs = fixture.submit(vec![request]).await;
    let (granted, _woken) = fixture.claim_all(worker, &jobs).await;
    fixture.settle_all(&granted).await;
    let gates = "SELECT coalesce(string_agg(split_part(key, ':', 1), ' ' ORDER BY key), '') FROM gates";
    assert_eq!(fixture.value::<String>(gates).await, "command profile");
    fixture.catalogue.profile_delete(profile, None).await.unwrap();
    fixture.catalogue.command_delete(command, None).await.unwrap();
    let prune_gates = async || {
        prune_leftovers(&fixture.store, &RETENTION).await.unwrap();
        fixture.value::<String>(gates).await
    };
    assert_eq!(prune_gates().await, "command", "its job can be retried");
    fixture.sql(AGE).await;
    assert_eq!(prune(&fixture, &RETENTION, &Disk::default()).await, 1);
    assert_eq!(prune_gates().await, "");
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM gate_deltas WHERE key LIKE 'command:%'").await, 0);
}
