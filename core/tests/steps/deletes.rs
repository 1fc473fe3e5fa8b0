//! Deleting finished jobs by hand: everything of theirs goes, and nothing else.

use std::sync::{Arc, Mutex};

use callboard::{
    audit::{Actor, By},
    clock::{self, IdSource},
    ids::{ArtifactId, JobId},
    job::{JobRequest, JobState},
    refusal::RefusalCode,
    steps::{
        Done, StepError,
        enqueue::submit::submit,
        finish::{cancel::cancel, delete::delete, retry::retry},
        hand_out::unblock::unblock,
        maintain::prune::{Remover, prune_deleted},
        run::keep_artifact::keep_artifact,
    },
    store::{
        audit::{self, Filter, PageRequest},
        jobs::{
            artifacts::ArtifactRecord,
            dependencies,
            records::{self, JobRecord},
        },
        maintenance::retention::KeptFile,
    },
};
use serde_json::json;

use crate::fixture::{Fixture, failed, succeeded};

/// Row counts of each table.
const ROWS: &str = "SELECT concat_ws(' ', (SELECT count(*) FROM jobs), (SELECT count(*) FROM ended_jobs),
    (SELECT count(*) FROM attempts), (SELECT count(*) FROM artifacts), (SELECT count(*) FROM log_chunks),
    (SELECT count(*) FROM job_events), (SELECT count(*) FROM job_dependencies), (SELECT count(*) FROM deleted_jobs))";

fn ada() -> By {
    let actor = Actor { name: "ada".into(), ..Actor::default() };
    By { actor: Arc::new(actor), mutation: Some("jobDelete") }
}

async fn enqueued(fixture: &Fixture, request: JobRequest) -> JobId {
    let Done { value, .. } = submit(&fixture.context, &[vec![request]], false).await;
    value.into_iter().next().unwrap().unwrap()[0].job
}

async fn record(fixture: &Fixture, job: JobId) -> Option<JobRecord> {
    records::by_ids(&mut fixture.store.connection().await.unwrap(), &[job]).await.unwrap().pop()
}

/// A job that has run once, with a line and a file.
async fn has_run(fixture: &Fixture, request: JobRequest) -> JobId {
    let (worker, job) = (fixture.worker().await, enqueued(fixture, request).await);
    let attempt = fixture.start(worker, job).await;
    fixture.log(job, attempt, 1, "a line").await;
    let file = ArtifactRecord {
        id: IdSource.make(),
        job,
        attempt_id: attempt,
        attempt: 1,
        name: "a".into(),
        content_type: "text/plain".into(),
        size_bytes: 1,
        sha256: [0; 32],
        is_redacted: None,
        path: format!("{job}/a"),
        created_at: clock::now(),
        pruned_at: None,
    };
    assert!(keep_artifact(&fixture.store, &file).await.unwrap());
    fixture.settle(job, attempt, succeeded("x")).await;
    job
}

async fn refusal(fixture: &Fixture, job: JobId) -> (RefusalCode, String) {
    let mut refusals = match delete(&fixture.store, job, &ada()).await {
        Err(StepError::Refused(refusals)) => refusals,
        done => {
            done.unwrap();
            Vec::new()
        }
    };
    let refusal = refusals.remove(0);
    assert_eq!((refusal.path, refusals.len()), (vec!["id".to_owned()], 0));
    (refusal.code, refusal.message)
}

/// Records whose directories were removed, and leaves one alone.
#[derive(Default)]
struct Disk {
    stuck: Option<JobId>,
    removed: Mutex<Vec<JobId>>,
}

impl Remover for Disk {
    async fn remove_jobs(&self, jobs: &[JobId]) -> Vec<JobId> {
        let gone: Vec<JobId> = jobs.iter().filter(|job| self.stuck != Some(**job)).copied().collect();
        self.removed.lock().unwrap().extend(&gone);
        gone
    }

    async fn remove_files(&self, _files: &[KeptFile]) -> Vec<ArtifactId> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_deleted_job_is_gone_at_once_and_its_files_with_the_next_pruning() {
    let fixture = Fixture::new().await;
    let with_key = JobRequest { idempotency_key: Some("once".into()), ..JobRequest::new(fixture.command) };
    let job = has_run(&fixture, with_key.clone()).await;
    let other = has_run(&fixture, JobRequest::new(fixture.command)).await;
    // Its events are from long ago.
    fixture.sql("UPDATE ended_jobs SET finished_at = now() - interval '1 year'").await;
    assert_eq!(fixture.value::<String>(ROWS).await, "2 2 2 2 2 6 0 0");
    delete(&fixture.store, job, &ada()).await.unwrap();
    assert_eq!(fixture.value::<String>(ROWS).await, "1 1 1 1 1 3 0 1");
    assert!(record(&fixture, job).await.is_none() && record(&fixture, other).await.is_some());

    let disk = Disk { stuck: Some(job), ..Disk::default() };
    assert_eq!(prune_deleted(&fixture.store, &disk).await.unwrap(), 0, "it is tried again");
    let disk = Disk::default();
    assert_eq!(prune_deleted(&fixture.store, &disk).await.unwrap(), 1);
    assert_eq!(
        (prune_deleted(&fixture.store, &disk).await.unwrap(), &*disk.removed.lock().unwrap()),
        (0, &vec![job])
    );
    assert_eq!(fixture.value::<String>(ROWS).await, "1 1 1 1 1 3 0 0");

    assert_ne!(enqueued(&fixture, with_key).await, job, "its key is free");
    let filter = Filter { action: Some("jobDelete".into()), ..Filter::default() };
    let request = PageRequest { filter, rows: 10, ..PageRequest::default() };
    let entry =
        audit::page(&mut fixture.store.connection().await.unwrap(), &request).await.unwrap().remove(0);
    assert_eq!((entry.actor.as_deref(), entry.object_ids), (Some("ada"), vec![job.to_string()]));
    let before = entry.before.unwrap();
    assert_eq!((&before["command"], &before["state"]), (&json!("true"), &json!("SUCCEEDED")));
    assert_eq!(entry.after, None);
    assert_eq!(refusal(&fixture, job).await.0, RefusalCode::NotFound);
}

#[tokio::test]
async fn only_a_finished_job_is_deleted() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (queued, running, retried) = (fixture.job().await, fixture.job().await, fixture.job().await);
    let needs = JobRequest { depends_on: vec![queued], ..JobRequest::new(fixture.command) };
    let blocked = enqueued(&fixture, needs).await;
    fixture.start(worker, running).await;
    let attempt = fixture.start(worker, retried).await;
    fixture.settle(retried, attempt, failed()).await;
    let before = fixture.value::<String>(ROWS).await;
    for (job, state) in
        [(queued, "QUEUED"), (running, "RUNNING"), (retried, "SCHEDULED"), (blocked, "BLOCKED")]
    {
        let (code, message) = refusal(&fixture, job).await;
        assert_eq!(code, RefusalCode::NotAllowedInState);
        let expected = format!(
            "The job {job} is {state}, and only a job that has finished can be deleted. Cancel it first with jobCancel."
        );
        assert_eq!(message, expected);
    }
    assert_eq!(refusal(&fixture, IdSource.make()).await.0, RefusalCode::NotFound);
    assert_eq!(fixture.value::<String>(ROWS).await, before);
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM audit_events WHERE action = 'jobDelete'").await, 0);
}

#[tokio::test]
async fn jobs_that_depend_on_it_keep_the_outcome() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let needs = |jobs: Vec<JobId>| JobRequest { depends_on: jobs, ..JobRequest::new(fixture.command) };
    let (good, bad, open) = (fixture.job().await, fixture.job().await, fixture.job().await);
    let (waits, broken) =
        (enqueued(&fixture, needs(vec![good, open])).await, enqueued(&fixture, needs(vec![bad])).await);
    let attempt = fixture.start(worker, good).await;
    fixture.settle(good, attempt, succeeded("x")).await;
    let _after = cancel(&fixture.store, bad, None, &By::worker()).await.unwrap();
    // Before the duty has decided anything.
    for job in [good, bad] {
        delete(&fixture.store, job, &ada()).await.unwrap();
    }
    while unblock(&fixture.store).await.unwrap().value {}
    assert_eq!(record(&fixture, broken).await.unwrap().state, JobState::Cancelled);
    assert_eq!(record(&fixture, waits).await.unwrap().state, JobState::Blocked);
    let attempt = fixture.start(worker, open).await;
    fixture.settle(open, attempt, succeeded("x")).await;
    while unblock(&fixture.store).await.unwrap().value {}
    assert_eq!(record(&fixture, waits).await.unwrap().state, JobState::Queued);
    let edges =
        dependencies::edges_of(&mut fixture.store.connection().await.unwrap(), &[waits]).await.unwrap();
    assert!(edges.iter().all(|edge| edge.needed.ending.is_some()), "{edges:?}");

    // A retry goes by the outcomes, too.
    let attempt = fixture.start(worker, waits).await;
    fixture.settle(waits, attempt, succeeded("x")).await;
    let _after = retry(&fixture.store, waits, &By::worker()).await.unwrap();
    assert_eq!(record(&fixture, waits).await.unwrap().state, JobState::Queued);
    assert!(retry(&fixture.store, broken, &By::worker()).await.is_err());
}

#[tokio::test]
async fn of_a_delete_and_a_retry_at_the_same_time_one_wins() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (by, mut won) = (ada(), [0, 0]);
    for race in 0..40 {
        let job = fixture.job().await;
        let attempt = fixture.start(worker, job).await;
        fixture.settle(job, attempt, succeeded("x")).await;
        let (deleted, retried) = if race % 2 == 0 {
            tokio::join!(delete(&fixture.store, job, &by), retry(&fixture.store, job, &by))
        } else {
            let (retried, deleted) =
                tokio::join!(retry(&fixture.store, job, &by), delete(&fixture.store, job, &by));
            (deleted, retried)
        };
        assert_ne!(deleted.is_ok(), retried.is_ok(), "{deleted:?} {retried:?}");
        won[usize::from(retried.is_ok())] += 1;
        let code = match deleted.err().or(retried.err()) {
            Some(StepError::Refused(refusals)) => refusals[0].code,
            other => panic!("{other:?}"),
        };
        let is_there = record(&fixture, job).await.is_some();
        assert_eq!(code, if is_there { RefusalCode::NotAllowedInState } else { RefusalCode::NotFound });
        if is_there {
            let attempt = fixture.start(worker, job).await;
            fixture.settle(job, attempt, succeeded("x")).await;
        }
        let (one, other) = tokio::join!(delete(&fixture.store, job, &by), delete(&fixture.store, job, &by));
        assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), usize::from(is_there));
    }
    assert!(won[0] + won[1] == 40, "{won:?}");
    assert_eq!(fixture.value::<i64>("SELECT count(*) FROM deleted_jobs").await, 40);
}
