//! Limits in the claim: all or none are taken, waiters are woken in order, and none is forgotten.

use std::{collections::BTreeMap, time::Duration};

use callboard::{
    audit::By,
    clock::Time,
    ids::{JobId, ServiceId},
    job::JobRequest,
    steps::{
        Done, StepError,
        limits::{explain::explain, queue_limit::set_queue_limit, wake::sweep_stranded},
    },
};
use callboard_test_support::eventually;

use crate::fixture::{Fixture, limits};

fn with(fixture: &Fixture, services: &[ServiceId], priority: i32) -> JobRequest {
    let services = Some(services.to_vec());
    JobRequest { services, priority: Some(priority), ..JobRequest::new(fixture.command) }
}

/// Start times of all attempts by the database, in order.
async fn starts(fixture: &Fixture) -> Vec<Time> {
    let all: Vec<Time> = fixture
        .value("SELECT array_agg(at ORDER BY at) FROM (
            SELECT attempt_at AS at FROM live_jobs WHERE attempt_at IS NOT NULL UNION ALL SELECT started_at FROM attempts
        ) AS start")
        .await;
    all
}

/// Runs everything as workers would: claims woken jobs and settles granted attempts until none is
/// left.
async fn run_all(fixture: &Fixture, mut ready: Vec<JobId>) {
    let worker = fixture.worker().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let (granted, woken) = fixture.claim_all(worker, &ready).await;
        ready = woken;
        ready.extend(fixture.settle_all(&granted).await);
        ready.extend(fixture.wake_due().await);
        if fixture.value::<i64>("SELECT count(*) FROM live_jobs").await == 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "jobs are stuck");
        tokio::task::yield_now().await;
    }
}

/// Asserts that no interval has more starts than the burst and the refill.
fn expect_rate(starts: &[Time], interval: Duration, burst: usize) {
    for (first, from) in starts.iter().enumerate() {
        for (last, to) in starts.iter().enumerate().skip(first) {
            let elapsed = (*to - *from).to_std().unwrap();
            let most = burst as f64 + elapsed.as_secs_f64() / interval.as_secs_f64();
            assert!((last - first + 1) as f64 <= most + 1e-9, "{} starts in {elapsed:?}", last - first + 1);
        }
    }
}

#[tokio::test]
async fn starts_are_spaced_by_the_rate_limit_of_the_command() {
    let fixture = Fixture::new().await;
    let command = fixture.limited_command(limits(None, &[(20, "PT1S", 1)])).await;
    let jobs = fixture.submit(vec![JobRequest::new(command); 12]).await;
    run_all(&fixture, jobs).await;
    let starts = starts(&fixture).await;
    assert_eq!(starts.len(), 12);
    expect_rate(&starts, Duration::from_millis(50), 1);
}

#[tokio::test]
async fn tokens_are_taken_from_all_three_buckets_or_none() {
    let fixture = Fixture::new().await;
    let fast = fixture.service("fast", limits(None, &[(100, "PT1S", 5), (400, "PT1S", 1)])).await;
    let slow = fixture.service("slow", limits(None, &[(20, "PT1S", 2)])).await;
    let mut jobs = fixture.submit(vec![with(&fixture, &[fast, slow], 4); 8]).await;
    jobs.extend(fixture.submit(vec![with(&fixture, &[fast], 4); 8]).await);
    run_all(&fixture, jobs).await;
    let all = starts(&fixture).await;
    expect_rate(&all, Duration::from_millis(10), 5);
    expect_rate(&all, Duration::from_micros(2_500), 1);
    let slow: Vec<Time> = fixture
        .value(
            "SELECT array_agg(started_at ORDER BY started_at) FROM attempts JOIN jobs ON jobs.id = job_id
            WHERE cardinality(service_ids) = 2",
        )
        .await;
    expect_rate(&slow, Duration::from_millis(50), 2);
}

#[tokio::test]
async fn the_concurrency_limit_holds_and_waiters_go_in_order() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(Some(2), &[])).await;
    let jobs = fixture
        .submit((0..6).map(|n| with(&fixture, &[service], if n == 5 { 9 } else { 4 })).collect())
        .await;
    let (running, woken) = fixture.claim_all(worker, &jobs[..5]).await;
    assert_eq!(running.iter().map(|(job, _)| *job).collect::<Vec<_>>(), jobs[..2]);
    assert_eq!(woken, []);
    // A late job with a higher priority parks too, as the first of the waiters.
    assert_eq!(fixture.claim_all(worker, &jobs[5..]).await, (vec![], vec![]));
    assert_eq!(fixture.settle_all(&running[..1]).await, [jobs[5]]);
    // A job that arrives before the woken job has claimed parks behind the waiters.
    let late = fixture.submit(vec![with(&fixture, &[service], 9)]).await;
    assert_eq!(fixture.claim_all(worker, &late).await, (vec![], vec![]));
    let (next, _) = fixture.claim_all(worker, &[jobs[5]]).await;
    assert_eq!(next.len(), 1);
    let woken = fixture.settle_all(&[running[1], next[0]]).await;
    assert_eq!(woken, [jobs[2], late[0]], "by priority, then age, returned in the order of their ids");
    assert_eq!(fixture.held_slots().await, 0);
}

#[tokio::test]
async fn a_woken_job_that_is_blocked_elsewhere_forwards_the_wakeup() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let (one, other) = (
        fixture.service("one", limits(Some(1), &[])).await,
        fixture.service("other", limits(Some(1), &[])).await,
    );
    let jobs = fixture
        .submit(vec![
            with(&fixture, &[one], 4),
            with(&fixture, &[other], 4),
            with(&fixture, &[one, other], 4),
            with(&fixture, &[one], 4),
        ])
        .await;
    let (running, _) = fixture.claim_all(worker, &jobs).await;
    assert_eq!(running.len(), 2);
    let parked_on: String = fixture
        .value(
            "SELECT min(parked_on) FROM live_jobs WHERE cardinality(called_for) = 0 AND parked_on IS NOT NULL",
        )
        .await;
    assert!(parked_on.starts_with("service:"));
    // `one` is free. The third job is woken and finds `other` taken, so the fourth is woken
    // instead.
    assert_eq!(fixture.settle_all(&running[..1]).await, [jobs[2]]);
    let (granted, woken) = fixture.claim_all(worker, &[jobs[2]]).await;
    assert_eq!((granted, woken), (vec![], vec![jobs[3]]));
    let (fourth, _) = fixture.claim_all(worker, &[jobs[3]]).await;
    assert_eq!(fourth.len(), 1);
    // `other` is free. The third job keeps its place at `one` and does not wait again there.
    assert_eq!(fixture.settle_all(&[running[1], fourth[0]]).await, [jobs[2]]);
    assert_eq!(fixture.claim_all(worker, &[jobs[2]]).await.0.len(), 1);
}

#[tokio::test]
async fn the_sweep_corrects_a_miscounted_gate_from_the_rows() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(Some(2), &[])).await;
    let jobs = fixture.submit(vec![with(&fixture, &[service], 4); 4]).await;
    let (running, _) = fixture.claim_all(worker, &jobs).await;
    assert_eq!((running.len(), fixture.held_slots().await), (2, 2));
    fixture.sql("INSERT INTO gate_deltas (key, held) SELECT key, -1 FROM gates").await;
    fixture.sql("UPDATE gates SET held = 7").await;
    assert_eq!(fixture.settle_all(&running[..1]).await, [], "the gate counts no free slot");
    let Done { after, .. } = sweep_stranded(&fixture.store, None).await.unwrap();
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), jobs[2..3]);
    assert_eq!(fixture.held_slots().await, 1);
}

#[tokio::test]
async fn running_jobs_count_for_a_queue_limit_set_later() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let jobs = fixture.jobs(5, None, false).await;
    let (running, _) = fixture.claim_all(worker, &jobs[..2]).await;
    assert_eq!(fixture.held_slots().await, 0, "a queue without a limit counts nothing");
    assert!(
        set_queue_limit(&fixture.store, "default", Some(1), &By::worker()).await.is_err(),
        "two jobs are running"
    );
    assert!(set_queue_limit(&fixture.store, "default", Some(3), &By::worker()).await.is_ok());
    assert_eq!(fixture.held_slots().await, 2);
    assert!(set_queue_limit(&fixture.store, "default", Some(2), &By::worker()).await.is_ok());
    assert_eq!(fixture.held_slots().await, 2, "each job counts once");
    assert_eq!(fixture.claim_all(worker, &jobs[2..]).await.0, []);
    assert_eq!(fixture.settle_all(&running).await.len(), 2);
    assert_eq!(fixture.claim_all(worker, &jobs[2..4]).await.0.len(), 2);
    assert_eq!(fixture.held_slots().await, 2);
}

#[tokio::test]
async fn an_unused_wakeup_goes_to_the_next_waiter() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(Some(1), &[])).await;
    let jobs = fixture.submit(vec![with(&fixture, &[service], 4); 3]).await;
    let (running, _) = fixture.claim_all(worker, &jobs).await;
    assert_eq!(fixture.settle_all(&running).await, [jobs[1]]);
    let cancelled =
        callboard::steps::finish::cancel::cancel(&fixture.store, jobs[1], None, &By::worker()).await;
    assert!(cancelled.is_ok());
    let Done { value: next, after } = sweep_stranded(&fixture.store, None).await.unwrap();
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), [jobs[2]]);
    assert_eq!(next, None);
}

#[tokio::test]
async fn changed_limits_apply_to_waiters() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(Some(1), &[])).await;
    let jobs = fixture.submit(vec![with(&fixture, &[service], 4); 5]).await;
    let (running, _) = fixture.claim_all(worker, &jobs).await;
    assert_eq!(running.len(), 1);
    fixture.set_limits(service, limits(Some(3), &[])).await;
    assert_eq!(fixture.wake_due().await, jobs[1..3]);
    assert_eq!(fixture.claim_all(worker, &jobs[1..3]).await.0.len(), 2);
    fixture.set_limits(service, limits(None, &[])).await;
    assert_eq!(fixture.wake_due().await, jobs[3..]);
}

#[tokio::test]
async fn a_queue_limit_can_be_set_while_jobs_run() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let jobs = fixture.jobs(5, None, false).await;
    let (running, _) = fixture.claim_all(worker, &jobs[..2]).await;
    let _after = set_queue_limit(&fixture.store, "default", Some(3), &By::worker()).await.unwrap();
    let (more, _) = fixture.claim_all(worker, &jobs[2..]).await;
    assert_eq!(more.len(), 1, "two jobs are running already");
    assert_eq!(fixture.settle_all(&running).await, jobs[3..]);
    for (most, path) in [(0, "maxConcurrency"), (2_000_000, "maxConcurrency")] {
        let Err(StepError::Refused(refusals)) =
            set_queue_limit(&fixture.store, "default", Some(most), &By::worker()).await
        else {
            panic!("not refused")
        };
        assert_eq!(refusals[0].path, [path]);
    }
    assert!(set_queue_limit(&fixture.store, "none", Some(1), &By::worker()).await.is_err());
}

#[tokio::test]
async fn many_waiters_at_one_gate_do_not_delay_other_jobs() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(None, &[(1, "PT1H", 1)])).await;
    for _ in 0..3 {
        let jobs = fixture.submit(vec![with(&fixture, &[service], 9); 400]).await;
        fixture.claim_all(worker, &jobs).await;
    }
    let parked: i64 = fixture.value("SELECT count(*) FROM live_jobs WHERE parked_on IS NOT NULL").await;
    assert_eq!(parked, 1199);
    let free = fixture.jobs(3, None, false).await;
    assert_eq!(fixture.claim_all(worker, &free).await.0.len(), 3);
    // They wait for a later time, so neither wake finds one.
    assert_eq!(fixture.wake_due().await, []);
    assert_eq!(sweep_stranded(&fixture.store, None).await.unwrap().after.ready, []);
}

#[tokio::test]
async fn the_explanation_is_what_a_claim_would_find() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("github", limits(None, &[(1, "PT1H", 1)])).await;
    let jobs = fixture.submit(vec![with(&fixture, &[service], 4); 3]).await;
    assert_eq!(explain(&fixture.store, &jobs).await.unwrap().len(), 0, "no gate blocks them yet");
    let (running, _) = fixture.claim_all(worker, &jobs[..2]).await;
    let obstacles = explain(&fixture.store, &jobs).await.unwrap();
    assert!(!obstacles.contains_key(&running[0].0), "it is running");
    let texts: BTreeMap<JobId, String> =
        obstacles.into_iter().map(|(job, found)| (job, format!("{:?}", found.block))).collect();
    assert!(texts[&jobs[1]].starts_with("Rate"), "{texts:?}");
    assert!(texts[&jobs[2]].starts_with("Rate"), "{texts:?}");
    eventually(Duration::from_secs(5), || async { fixture.wake_due().await.is_empty() }).await;
}

/// A claim that parks a job races the settle that frees the slot. Whichever commits first, the
/// parked job is woken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_stays_parked_when_the_slot_is_freed_at_the_same_time() {
    const ROUNDS: usize = 300;
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(Some(1), &[])).await;
    let mut met = 0;
    for round in 0..ROUNDS {
        let jobs = fixture.submit(vec![with(&fixture, &[service], 4); 2]).await;
        let (running, _) = fixture.claim_all(worker, &jobs[..1]).await;
        let ((granted, woken), woken_by_settle) =
            tokio::join!(fixture.claim_all(worker, &jobs[1..]), fixture.settle_all(&running));
        let mut last = granted;
        if last.is_empty() {
            let is_woken = woken.contains(&jobs[1]) || woken_by_settle.contains(&jobs[1]);
            assert!(is_woken, "round {round}: the job is parked at an idle gate");
            met += 1;
            last = fixture.claim_all(worker, &jobs[1..]).await.0;
        }
        assert_eq!(last.len(), 1, "round {round}");
        fixture.settle_all(&last).await;
    }
    assert!(met > ROUNDS / 20, "the two raced in only {met} of {ROUNDS} rounds");
}

/// A claim that parks a job behind another without the gate's lock races the settle that wakes that
/// other, the last waiter. Whichever commits first, the gate knows of the job or the job is woken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_stays_parked_behind_the_last_waiter() {
    const ROUNDS: usize = 300;
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let service = fixture.service("s", limits(Some(2), &[])).await;
    for round in 0..ROUNDS {
        let jobs = fixture.submit(vec![with(&fixture, &[service], 4); 4]).await;
        let (running, _) = fixture.claim_all(worker, &jobs[..3]).await;
        let claiming = async {
            // Delays the claim by a different amount in each round.
            for _ in 0..round % 12 {
                fixture.value::<i32>("SELECT 1").await;
            }
            fixture.claim_all(worker, &jobs[3..]).await
        };
        let ((granted, woken), woken_by_settle) = tokio::join!(claiming, fixture.settle_all(&running));
        if !granted.is_empty() {
            // The claim came while the gate had no waiters, before the woken job claimed.
            fixture.settle_all(&granted).await;
            continue;
        }
        assert!(woken_by_settle.contains(&jobs[2]), "round {round}");
        let stranded = "SELECT count(*) FROM gates WHERE NOT has_waiters AND EXISTS (SELECT FROM live_jobs WHERE parked_on = key)";
        assert_eq!(fixture.value::<i64>(stranded).await, 0, "round {round}");
        let is_woken = woken.contains(&jobs[3]) || woken_by_settle.contains(&jobs[3]);
        let (next, _) = fixture.claim_all(worker, &jobs[2..3]).await;
        let ready = fixture.settle_all(&next).await;
        assert!(is_woken || ready.contains(&jobs[3]), "round {round}: the job is parked and was not woken");
        let (last, _) = fixture.claim_all(worker, &jobs[3..]).await;
        assert_eq!(last.len(), 1, "round {round}");
        fixture.settle_all(&last).await;
    }
}
