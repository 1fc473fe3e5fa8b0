//! `expiresAfter` bounds the wait of a job, whatever the job waits for.

use std::time::Duration;

use callboard::{
    audit::By,
    catalogue::ProxyCreate,
    clock,
    ids::{AttemptId, JobId, WorkerId},
    job::{JobRequest, JobState, Outcome},
    patch::{Patch, PolicyPatch},
    proxy::ProxyProtocol,
    steps::{
        finish::{rescue::rescue, retry::retry},
        hand_out::{pause::set_paused, promote::promote},
        limits::cool_down::cool_down,
    },
    store::jobs::records,
};
use callboard_test_support::eventually;

use crate::{
    fixture::{Fixture, failed, limits},
    rescues::lose,
};

const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for the steps that bring a job into its state.
const EXPIRES_AFTER: &str = "PT2S";

fn bounded(request: JobRequest) -> JobRequest {
    let policy =
        PolicyPatch { expires_after: Patch::Set(EXPIRES_AFTER.parse().unwrap()), ..PolicyPatch::default() };
    JobRequest { policy: Some(policy), ..request }
}

async fn bounded_job(fixture: &Fixture, request: JobRequest) -> JobId {
    fixture.submit(vec![bounded(request)]).await[0]
}

async fn state(fixture: &Fixture, job: JobId) -> (JobState, Option<String>) {
    let mut connection = fixture.store.connection().await.unwrap();
    let record = records::by_ids(&mut connection, &[job]).await.unwrap().remove(0);
    (record.state, record.failure.map(|failure| failure.code.as_str().to_owned()))
}

/// Promotes until the job has expired.
async fn expires(fixture: &Fixture, job: JobId, why: &str) {
    eventually(PATIENCE, || async {
        drop(promote(&fixture.store).await.unwrap());
        let (state, code) = state(fixture, job).await;
        assert!(!state.has_ended() || state == JobState::Cancelled, "{why}: {state:?}");
        (state == JobState::Cancelled).then(|| assert_eq!(code.as_deref(), Some("EXPIRED"), "{why}"))
    })
    .await;
}

async fn run(fixture: &Fixture, worker: WorkerId, request: JobRequest) -> (JobId, AttemptId) {
    let job = bounded_job(fixture, request).await;
    (job, fixture.start(worker, job).await)
}

#[tokio::test]
async fn a_job_expires_whatever_it_waits_for() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let request = || JobRequest::new(fixture.command);
    let mut waiting = Vec::new();

    waiting.push(("no worker", bounded_job(&fixture, request()).await));
    let later = clock::now() + Duration::from_hours(1);
    let scheduled = JobRequest { run_at: Some(later), ..request() };
    waiting.push(("its start time", bounded_job(&fixture, scheduled).await));
    let needed = fixture.job().await;
    let blocked = JobRequest { depends_on: vec![needed], ..request() };
    waiting.push(("a dependency", bounded_job(&fixture, blocked).await));
    let aside = JobRequest { queue: Some("aside".into()), ..request() };
    waiting.push(("a paused queue", bounded_job(&fixture, aside).await));
    drop(set_paused(&fixture.store, "aside", true, &By::worker()).await.unwrap());

    // Parked at a service whose only slot is taken, and on a busy profile.
    let service = fixture.service("s", limits(Some(1), &[])).await;
    let on_service = || JobRequest { services: Some(vec![service]), ..request() };
    let busy = fixture.submit(vec![on_service()]).await[0];
    fixture.start(worker, busy).await;
    let parked = bounded_job(&fixture, on_service()).await;
    assert_eq!(fixture.claim_all(worker, &[parked]).await.0, []);
    waiting.push(("a concurrency limit", parked));
    let profile = fixture.profile().await;
    let on_profile = || JobRequest { profile: Some(profile), ..request() };
    let busy = fixture.submit(vec![on_profile()]).await[0];
    fixture.start(worker, busy).await;
    let parked = bounded_job(&fixture, on_profile()).await;
    assert_eq!(fixture.claim_all(worker, &[parked]).await.0, []);
    waiting.push(("a busy profile", parked));

    for (why, outcome) in [
        ("a throttled attempt", Outcome::Throttled { reason: "It returned 429.".into() }),
        ("a released attempt", Outcome::Released { reason: "The worker was drained.".into() }),
        ("a lost attempt", Outcome::Lost),
    ] {
        let (job, attempt) = run(&fixture, worker, request()).await;
        fixture.settle(job, attempt, outcome).await;
        waiting.push((why, job));
    }
    let proxy = ProxyCreate {
        name: "dead".into(),
        protocol: ProxyProtocol::Http,
        address: "127.0.0.1:9".into(),
        username: None,
        password: None,
        limits: limits(None, &[]),
    };
    let proxy = fixture.catalogue.proxy_create(proxy).await.unwrap().id;
    let (job, attempt) = run(&fixture, worker, JobRequest { proxy: Some(proxy), ..request() }).await;
    drop(cool_down(&fixture.store, proxy).await.unwrap());
    let reason = "The proxy dead could not be reached.".to_owned();
    fixture.settle(job, attempt, Outcome::Throttled { reason }).await;
    assert_eq!(fixture.claim_all(worker, &[job]).await.0, []);
    waiting.push(("a proxy that is down", job));

    let elsewhere = fixture.worker().await;
    let (job, _) = run(&fixture, elsewhere, request()).await;
    lose(&fixture, elsewhere).await;
    drop(rescue(&fixture.store, None).await.unwrap());
    waiting.push(("a lost worker", job));

    for (why, job) in waiting {
        expires(&fixture, job, why).await;
    }
}

#[tokio::test]
async fn an_attempt_that_does_not_count_runs_to_its_end_and_then_the_job_expires() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (job, attempt) = run(&fixture, worker, JobRequest::new(fixture.command)).await;
    let other = bounded_job(&fixture, JobRequest::new(fixture.command)).await;
    expires(&fixture, other, "the one beside it").await;
    assert_eq!(state(&fixture, job).await, (JobState::Running, None));
    fixture.settle(job, attempt, Outcome::Throttled { reason: "It returned 429.".into() }).await;
    expires(&fixture, job, "after its attempt").await;
}

#[tokio::test]
async fn an_attempt_that_counts_has_started_the_job() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (job, attempt) = run(&fixture, worker, JobRequest::new(fixture.command)).await;
    fixture.settle(job, attempt, failed()).await;
    let other = bounded_job(&fixture, JobRequest::new(fixture.command)).await;
    expires(&fixture, other, "the one beside it").await;
    let (state, _) = state(&fixture, job).await;
    assert!(matches!(state, JobState::Scheduled | JobState::Queued), "{state:?}");
}

#[tokio::test]
async fn the_bound_begins_again_with_a_retry_by_hand() {
    let fixture = Fixture::new().await;
    let job = bounded_job(&fixture, JobRequest::new(fixture.command)).await;
    expires(&fixture, job, "the first time").await;
    drop(retry(&fixture.store, job, &By::worker()).await.unwrap());
    drop(promote(&fixture.store).await.unwrap());
    assert_eq!(state(&fixture, job).await.0, JobState::Queued, "it has its time again");
    expires(&fixture, job, "the second time").await;
}
