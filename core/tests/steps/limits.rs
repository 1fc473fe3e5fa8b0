//! Limits in the claim: all of them or none, in order, and nobody is forgotten.

use std::{collections::BTreeMap, time::Duration};

use callboard::{
    clock::Time,
    ids::{JobId, ServiceId},
    steps::{
        StepError,
        enqueue::submit::JobRequest,
        limits::{explain::explain, queue_limit::set_queue_limit, wake::sweep_stranded},
    },
};
use callboard_test_support::eventually;

use crate::stage::{Stage, limits};

fn with(stage: &Stage, services: &[ServiceId], priority: i32) -> JobRequest {
    let (command, services) = (Some(stage.command), Some(services.to_vec()));
    JobRequest { command, services, priority: Some(priority), ..JobRequest::default() }
}

/// When the attempts began, by the database, in order.
async fn starts(stage: &Stage) -> Vec<Time> {
    let all: Vec<Time> = stage
        .value("SELECT array_agg(at ORDER BY at) FROM (
            SELECT attempt_at AS at FROM live_jobs WHERE attempt_at IS NOT NULL UNION ALL SELECT started_at FROM attempts
        ) AS start")
        .await;
    all
}

/// Runs everything as workers would: claims what is called, settles what was granted, until nothing is left.
async fn run_all(stage: &Stage, mut ready: Vec<JobId>) {
    let worker = stage.worker().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let (granted, called) = stage.claim_all(worker, &ready).await;
        ready = called;
        ready.extend(stage.settle_all(&granted).await);
        ready.extend(stage.wake_due().await);
        if stage.value::<i64>("SELECT count(*) FROM live_jobs").await == 0 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "jobs are stuck");
        tokio::task::yield_now().await;
    }
}

/// In no stretch of time are there more starts than the burst and what was refilled.
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
async fn starts_are_spaced_as_the_commands_limit_says() {
    let stage = Stage::set().await;
    let command = stage.limited_command(limits(None, &[(20, "PT1S", 1)])).await;
    let jobs = stage.submit(vec![JobRequest { command: Some(command), ..JobRequest::default() }; 12]).await;
    run_all(&stage, jobs).await;
    let starts = starts(&stage).await;
    assert_eq!(starts.len(), 12);
    expect_rate(&starts, Duration::from_millis(50), 1);
}

#[tokio::test]
async fn three_buckets_are_taken_from_at_once_or_none() {
    let stage = Stage::set().await;
    let fast = stage.service("fast", limits(None, &[(100, "PT1S", 5), (400, "PT1S", 1)])).await;
    let slow = stage.service("slow", limits(None, &[(20, "PT1S", 2)])).await;
    let mut jobs = stage.submit(vec![with(&stage, &[fast, slow], 4); 8]).await;
    jobs.extend(stage.submit(vec![with(&stage, &[fast], 4); 8]).await);
    run_all(&stage, jobs).await;
    let all = starts(&stage).await;
    expect_rate(&all, Duration::from_millis(10), 5);
    expect_rate(&all, Duration::from_micros(2_500), 1);
    let slow: Vec<Time> = stage
        .value(
            "SELECT array_agg(started_at ORDER BY started_at) FROM attempts JOIN jobs ON jobs.id = job_id
            WHERE cardinality(service_ids) = 2",
        )
        .await;
    expect_rate(&slow, Duration::from_millis(50), 2);
}

#[tokio::test]
async fn as_many_run_as_may_and_those_that_come_first_come_next() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(Some(2), &[])).await;
    let jobs =
        stage.submit((0..6).map(|n| with(&stage, &[service], if n == 5 { 9 } else { 4 })).collect()).await;
    let (running, called) = stage.claim_all(worker, &jobs[..5]).await;
    assert_eq!(running.iter().map(|(job, _)| *job).collect::<Vec<_>>(), jobs[..2]);
    assert_eq!(called, []);
    // One that comes late, and whose priority is higher, queues up too, and is first in the queue.
    assert_eq!(stage.claim_all(worker, &jobs[5..]).await, (vec![], vec![]));
    assert_eq!(stage.settle_all(&running[..1]).await, [jobs[5]]);
    // Before it has claimed, somebody else comes: not before those who wait.
    let late = stage.submit(vec![with(&stage, &[service], 9)]).await;
    assert_eq!(stage.claim_all(worker, &late).await, (vec![], vec![]));
    let (next, _) = stage.claim_all(worker, &[jobs[5]]).await;
    assert_eq!(next.len(), 1);
    let called = stage.settle_all(&[running[1], next[0]]).await;
    assert_eq!(called, [jobs[2], late[0]], "by priority, then age; told in the order of their ids");
    assert_eq!(stage.behind_gates().await, 0);
}

#[tokio::test]
async fn whoever_is_called_and_blocked_elsewhere_passes_it_on() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let (one, other) = (
        stage.service("one", limits(Some(1), &[])).await,
        stage.service("other", limits(Some(1), &[])).await,
    );
    let jobs = stage
        .submit(vec![
            with(&stage, &[one], 4),
            with(&stage, &[other], 4),
            with(&stage, &[one, other], 4),
            with(&stage, &[one], 4),
        ])
        .await;
    let (running, _) = stage.claim_all(worker, &jobs).await;
    assert_eq!(running.len(), 2);
    let parked_on: String = stage
        .value(
            "SELECT min(parked_on) FROM live_jobs WHERE cardinality(woken_for) = 0 AND parked_on IS NOT NULL",
        )
        .await;
    assert!(parked_on.starts_with("service:"));
    // `one` is free: the third job is called, finds `other` taken, and the fourth is called in its place.
    assert_eq!(stage.settle_all(&running[..1]).await, [jobs[2]]);
    let (granted, called) = stage.claim_all(worker, &[jobs[2]]).await;
    assert_eq!((granted, called), (vec![], vec![jobs[3]]));
    let (fourth, _) = stage.claim_all(worker, &[jobs[3]]).await;
    assert_eq!(fourth.len(), 1);
    // `other` is free: the third job has had its turn at `one`, and is not sent behind anybody there.
    assert_eq!(stage.settle_all(&[running[1], fourth[0]]).await, [jobs[2]]);
    assert_eq!(stage.claim_all(worker, &[jobs[2]]).await.0.len(), 1);
}

#[tokio::test]
async fn a_gate_that_has_miscounted_is_put_right_by_the_rows() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(Some(2), &[])).await;
    let jobs = stage.submit(vec![with(&stage, &[service], 4); 4]).await;
    let (running, _) = stage.claim_all(worker, &jobs).await;
    assert_eq!((running.len(), stage.behind_gates().await), (2, 2));
    stage.sql("INSERT INTO gate_deltas (key, held) SELECT key, -1 FROM gates").await;
    stage.sql("UPDATE gates SET held = 7").await;
    assert_eq!(stage.settle_all(&running[..1]).await, [], "it believes that it is full");
    let (after, _) = sweep_stranded(&stage.store, None).await.unwrap();
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), jobs[2..3]);
    assert_eq!(stage.behind_gates().await, 1);
}

#[tokio::test]
async fn what_runs_counts_for_a_bound_that_comes_later() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let jobs = stage.jobs(5, None, false).await;
    let (running, _) = stage.claim_all(worker, &jobs[..2]).await;
    assert_eq!(stage.behind_gates().await, 0, "a queue without a bound counts nothing");
    assert!(set_queue_limit(&stage.store, "default", Some(1)).await.is_err(), "two run");
    assert!(set_queue_limit(&stage.store, "default", Some(3)).await.is_ok());
    assert_eq!(stage.behind_gates().await, 2);
    assert!(set_queue_limit(&stage.store, "default", Some(2)).await.is_ok());
    assert_eq!(stage.behind_gates().await, 2, "each once");
    assert_eq!(stage.claim_all(worker, &jobs[2..]).await.0, []);
    assert_eq!(stage.settle_all(&running).await.len(), 2);
    assert_eq!(stage.claim_all(worker, &jobs[2..4]).await.0.len(), 2);
    assert_eq!(stage.behind_gates().await, 2);
}

#[tokio::test]
async fn a_turn_that_nobody_used_is_called_again() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(Some(1), &[])).await;
    let jobs = stage.submit(vec![with(&stage, &[service], 4); 3]).await;
    let (running, _) = stage.claim_all(worker, &jobs).await;
    assert_eq!(stage.settle_all(&running).await, [jobs[1]]);
    let cancelled = callboard::steps::finish::cancel::cancel(&stage.store, jobs[1], None).await;
    assert!(cancelled.is_ok());
    let (after, next) = sweep_stranded(&stage.store, None).await.unwrap();
    assert_eq!(after.ready.iter().map(|ready| ready.job).collect::<Vec<_>>(), [jobs[2]]);
    assert_eq!(next, None);
}

#[tokio::test]
async fn other_limits_hold_for_those_who_wait() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(Some(1), &[])).await;
    let jobs = stage.submit(vec![with(&stage, &[service], 4); 5]).await;
    let (running, _) = stage.claim_all(worker, &jobs).await;
    assert_eq!(running.len(), 1);
    stage.relimit(service, limits(Some(3), &[])).await;
    assert_eq!(stage.wake_due().await, jobs[1..3]);
    assert_eq!(stage.claim_all(worker, &jobs[1..3]).await.0.len(), 2);
    stage.relimit(service, limits(None, &[])).await;
    assert_eq!(stage.wake_due().await, jobs[3..]);
}

#[tokio::test]
async fn a_queue_is_bound_while_its_jobs_run() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let jobs = stage.jobs(5, None, false).await;
    let (running, _) = stage.claim_all(worker, &jobs[..2]).await;
    let _after = set_queue_limit(&stage.store, "default", Some(3)).await.unwrap();
    let (more, _) = stage.claim_all(worker, &jobs[2..]).await;
    assert_eq!(more.len(), 1, "two ran already");
    assert_eq!(stage.settle_all(&running).await, jobs[3..]);
    for (most, told) in [(0, "maxConcurrency"), (2_000_000, "maxConcurrency")] {
        let Err(StepError::Refused(refusals)) = set_queue_limit(&stage.store, "default", Some(most)).await
        else {
            panic!("not refused")
        };
        assert_eq!(refusals[0].path, [told]);
    }
    assert!(set_queue_limit(&stage.store, "none", Some(1)).await.is_err());
}

#[tokio::test]
async fn many_who_wait_at_one_gate_are_in_nobodys_way() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(None, &[(1, "PT1H", 1)])).await;
    for _ in 0..3 {
        let jobs = stage.submit(vec![with(&stage, &[service], 9); 400]).await;
        stage.claim_all(worker, &jobs).await;
    }
    let parked: i64 = stage.value("SELECT count(*) FROM live_jobs WHERE parked_on IS NOT NULL").await;
    assert_eq!(parked, 1199);
    let free = stage.jobs(3, None, false).await;
    assert_eq!(stage.claim_all(worker, &free).await.0.len(), 3);
    // They wait for a moment: nobody looks at them meanwhile.
    assert_eq!(stage.wake_due().await, []);
    assert_eq!(sweep_stranded(&stage.store, None).await.unwrap().0.ready, []);
}

#[tokio::test]
async fn why_a_job_waits_is_what_its_claim_would_find() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("github", limits(None, &[(1, "PT1H", 1)])).await;
    let jobs = stage.submit(vec![with(&stage, &[service], 4); 3]).await;
    assert_eq!(explain(&stage.store, &jobs).await.unwrap().len(), 0, "nothing is in their way yet");
    let (running, _) = stage.claim_all(worker, &jobs[..2]).await;
    let obstacles = explain(&stage.store, &jobs).await.unwrap();
    assert!(!obstacles.contains_key(&running[0].0), "it runs");
    let texts: BTreeMap<JobId, String> =
        obstacles.into_iter().map(|(job, found)| (job, format!("{:?}", found.block))).collect();
    assert!(texts[&jobs[1]].starts_with("Rate"), "{texts:?}");
    assert!(texts[&jobs[2]].starts_with("Rate"), "{texts:?}");
    eventually(Duration::from_secs(5), || async { stage.wake_due().await.is_empty() }).await;
}

/// A claim that counts a job as running, and the settle of that job: whichever commits first, the one that waits is called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_left_parked_when_the_place_is_left_in_that_very_moment() {
    const ROUNDS: usize = 300;
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(Some(1), &[])).await;
    let mut met = 0;
    for round in 0..ROUNDS {
        let jobs = stage.submit(vec![with(&stage, &[service], 4); 2]).await;
        let (running, _) = stage.claim_all(worker, &jobs[..1]).await;
        let ((granted, called), called_by_settle) =
            tokio::join!(stage.claim_all(worker, &jobs[1..]), stage.settle_all(&running));
        let mut last = granted;
        if last.is_empty() {
            let told = called.contains(&jobs[1]) || called_by_settle.contains(&jobs[1]);
            assert!(told, "round {round}: the job is parked, and nobody is behind the gate");
            met += 1;
            last = stage.claim_all(worker, &jobs[1..]).await.0;
        }
        assert_eq!(last.len(), 1, "round {round}");
        stage.settle_all(&last).await;
    }
    assert!(met > ROUNDS / 20, "the two met in only {met} of {ROUNDS} rounds");
}

/// A claim that parks a job behind another without the gate's lock, and the settle that calls that other one, the last that waited:
/// whichever commits first, the gate knows of the job, or the job is called.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_left_behind_the_last_one_who_waited() {
    const ROUNDS: usize = 300;
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let service = stage.service("s", limits(Some(2), &[])).await;
    for round in 0..ROUNDS {
        let jobs = stage.submit(vec![with(&stage, &[service], 4); 4]).await;
        let (running, _) = stage.claim_all(worker, &jobs[..3]).await;
        let claiming = async {
            // At another moment of the settle each time.
            for _ in 0..round % 12 {
                stage.value::<i32>("SELECT 1").await;
            }
            stage.claim_all(worker, &jobs[3..]).await
        };
        let ((granted, called), called_by_settle) = tokio::join!(claiming, stage.settle_all(&running));
        if !granted.is_empty() {
            // It came when nobody waited and before the one that was called.
            stage.settle_all(&granted).await;
            continue;
        }
        assert!(called_by_settle.contains(&jobs[2]), "round {round}");
        let stranded = "SELECT count(*) FROM gates WHERE NOT has_waiters AND EXISTS (SELECT FROM live_jobs WHERE parked_on = key)";
        assert_eq!(stage.value::<i64>(stranded).await, 0, "round {round}");
        let told = called.contains(&jobs[3]) || called_by_settle.contains(&jobs[3]);
        let (next, _) = stage.claim_all(worker, &jobs[2..3]).await;
        let ready = stage.settle_all(&next).await;
        assert!(told || ready.contains(&jobs[3]), "round {round}: it is parked, and was not called");
        let (last, _) = stage.claim_all(worker, &jobs[3..]).await;
        assert_eq!(last.len(), 1, "round {round}");
        stage.settle_all(&last).await;
    }
}
