//! Fairness: lanes take turns, whatever one of them has enqueued before.

use std::collections::BTreeMap;

use callboard::steps::StepError;
use callboard::{
    clock,
    ids::JobId,
    job::HEAD_START,
    refusal::RefusalCode,
    steps::{
        enqueue::submit::{JobRequest, submit},
        finish::{cancel::cancel_many, retry::retry_many},
        hand_out::{
            dispatch::{WINDOW, refill},
            promote::promote,
            unblock::unblock,
        },
        limits::explain,
    },
    store::queues::lanes::forget_idle,
};

use crate::stage::{Stage, failed, limits, succeeded};

fn order(stage: &Stage, lane: &str) -> JobRequest {
    JobRequest { command: Some(stage.command), fairness_key: Some(lane.into()), ..JobRequest::default() }
}

async fn enqueue(stage: &Stage, lane: &str, count: usize) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for _ in 0..count.div_ceil(1000) {
        let rest = (count - jobs.len()).min(1000);
        jobs.extend(stage.submit(vec![order(stage, lane); rest]).await);
    }
    jobs
}

/// Lanes and rounds of what is ready, in order.
async fn line(stage: &Stage) -> Vec<(String, i64)> {
    let mut connection = stage.store.connection().await.unwrap();
    sqlx::query_as(
        "SELECT coalesce(fairness_key, ''), round FROM live_jobs WHERE state = 'queued' AND parked_on IS NULL
         ORDER BY priority DESC, round, job_id",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap()
}

async fn round(stage: &Stage, job: JobId) -> i64 {
    let mut connection = stage.store.connection().await.unwrap();
    sqlx::query_scalar("SELECT round FROM live_jobs WHERE job_id = $1")
        .bind(job.uuid())
        .fetch_one(&mut *connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn lanes_take_turns_however_much_one_has_enqueued_before() {
    let stage = Stage::set().await;
    let (worker, busy) = (stage.worker().await, enqueue(&stage, "busy", 300).await);
    stage.claim_all(worker, &busy[..100]).await;

    let few = enqueue(&stage, "few", 10).await;
    let places = explain::places(&stage.store, &[few[0], few[9], busy[100]]).await.unwrap();
    assert_eq!([places[&few[0]], places[&few[9]], places[&busy[100]]], [1, 10, 11], "they were idle");

    let late = enqueue(&stage, "late", 150).await;
    let line = line(&stage).await;
    let mut of_round: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (lane, round) in &line {
        of_round.entry(*round).or_default().push(lane);
    }
    for (round, lanes) in of_round {
        let expected: &[&str] = match round {
            84..=93 => &["few", "late"],
            94..=100 => &["late"],
            101..=233 => &["busy", "late"],
            _ => &["busy"],
        };
        assert_eq!(lanes, expected, "round {round}");
    }
    assert_eq!(round(&stage, late[0]).await, 100 - HEAD_START);
}

#[tokio::test]
async fn what_started_out_of_order_puts_nobody_behind() {
    let stage = Stage::set().await;
    let (worker, busy) = (stage.worker().await, enqueue(&stage, "busy", 400).await);
    stage.claim_all(worker, &busy[300..310]).await;
    stage.claim_all(worker, &busy[..50]).await;
    let few = enqueue(&stage, "few", 10).await;
    let places = explain::places(&stage.store, &[few[0], few[9]]).await.unwrap();
    assert_eq!((places[&few[0]], places[&few[9]]), (1, 10));
    stage.claim_all(worker, &few[..3]).await;
    let late = enqueue(&stage, "late", 1).await[0];
    assert_eq!(round(&stage, late).await, 50 - HEAD_START, "a head start does not set it back");
}

#[tokio::test]
async fn a_job_that_is_ready_again_is_at_the_front_and_not_before_it() {
    let stage = Stage::set().await;
    let (worker, jobs) = (stage.worker().await, enqueue(&stage, "a", 100).await);
    let (first, attempt) = (jobs[0], stage.start(worker, jobs[0]).await);
    stage.claim_all(worker, &jobs[1..60]).await;
    stage.settle(first, attempt, failed()).await;
    stage.sql("UPDATE live_jobs SET run_at = clock_timestamp() WHERE state = 'scheduled'").await;
    let _after = promote(&stage.store).await.unwrap();
    assert_eq!(round(&stage, first).await, 60);
    assert_eq!(explain::places(&stage.store, &[first]).await.unwrap()[&first], 1);
    stage.start(worker, first).await;
    assert_eq!(round(&stage, enqueue(&stage, "b", 1).await[0]).await, 60 - HEAD_START);
}

#[tokio::test]
async fn profiles_are_lanes_and_so_are_jobs_without_one_together() {
    let stage = Stage::set().await;
    let profile = stage.profile().await;
    stage.jobs(3, None, false).await;
    stage.jobs(2, Some(profile), false).await;
    let mine = JobRequest { profile: Some(profile), ..order(&stage, "mine") };
    stage.submit(vec![mine]).await;
    let rounds: Vec<i64> = line(&stage).await.into_iter().map(|(_, round)| round).collect();
    assert_eq!(rounds, [1, 1, 1, 2, 2, 3], "its own key counts before its profile");
    let other = JobRequest { queue: Some("other".into()), ..order(&stage, "mine") };
    let urgent = JobRequest { priority: Some(9), ..order(&stage, "mine") };
    for job in stage.submit(vec![other, urgent]).await {
        assert_eq!(round(&stage, job).await, 1, "every queue and priority has its own");
    }
}

#[tokio::test]
async fn a_round_is_given_once_whoever_enqueues_at_once() {
    let stage = Stage::set().await;
    let enqueuers = (0..8).map(|_| async {
        for _ in 0..5 {
            enqueue(&stage, "a", 7).await;
            stage.jobs(3, None, false).await;
        }
    });
    futures::future::join_all(enqueuers).await;
    let mut of_lane: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (lane, round) in line(&stage).await {
        of_lane.entry(lane).or_default().push(round);
    }
    assert_eq!(of_lane["a"], (1..=280).collect::<Vec<_>>());
    assert_eq!(of_lane[""], (1..=120).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_window_takes_those_whose_turn_comes_before_its_end() {
    let stage = Stage::set().await;
    enqueue(&stage, "busy", WINDOW + 500).await;
    refill(&stage.store, &stage.redis).await.unwrap();
    let few = enqueue(&stage, "few", 10).await;
    assert!(refill(&stage.store, &stage.redis).await.unwrap(), "the rest of the busy lane is left");
    let held = stage.redis.held("default").await.unwrap()[4];
    assert_eq!((held.count, held.last_round), (WINDOW + 10, Some(WINDOW as i64)));
    let marked = "SELECT count(*) FROM live_jobs WHERE fairness_key = 'few' AND dispatched_at IS NOT NULL";
    assert_eq!(stage.value::<i64>(marked).await, 10);
    let places = explain::places(&stage.store, &few).await.unwrap();
    assert_eq!(
        few.iter().map(|job| places[job]).collect::<Vec<_>>(),
        (1..=10).map(|n| 2 * n).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn lanes_take_turns_at_a_gate_too() {
    let stage = Stage::set().await;
    let service = stage.service("one", limits(Some(1), &[])).await;
    let with = |lane: &str| JobRequest { services: Some(vec![service]), ..order(&stage, lane) };
    let worker = stage.worker().await;
    let busy = stage.submit(vec![with("busy"); 20]).await;
    let (mut running, _) = stage.claim_all(worker, &busy).await;
    let few = stage.submit(vec![with("few"); 3]).await;
    stage.claim_all(worker, &few).await;
    let mut order = Vec::<JobId>::new();
    for _ in 0..6 {
        let called = stage.settle_all(&running).await;
        order.extend(&called);
        running = stage.claim_all(worker, &called).await.0;
    }
    assert_eq!(order, [few[0], busy[1], few[1], busy[2], few[2], busy[3]]);
}

#[tokio::test]
async fn what_was_cancelled_does_not_count_as_if_it_had_run() {
    let stage = Stage::set().await;
    let jobs = enqueue(&stage, "a", 300).await;
    let _after = cancel_many(&stage.store, &jobs[5..], None).await.unwrap();
    let next = enqueue(&stage, "a", 1).await[0];
    assert_eq!(round(&stage, next).await, 6);
}

#[tokio::test]
async fn every_way_to_become_ready_gives_a_round() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let first = enqueue(&stage, "a", 1).await[0];
    let in_an_hour =
        JobRequest { run_at: Some(clock::now() + chrono::TimeDelta::hours(1)), ..order(&stage, "a") };
    let behind = JobRequest { depends_on: vec![first], ..order(&stage, "a") };
    let jobs = stage.submit(vec![in_an_hour, behind]).await;
    assert_eq!((round(&stage, jobs[0]).await, round(&stage, jobs[1]).await), (0, 0), "not ready yet");

    let attempt = stage.start(worker, first).await;
    stage.settle(first, attempt, failed()).await;
    stage.sql("UPDATE live_jobs SET run_at = clock_timestamp()").await;
    let _after = promote(&stage.store).await.unwrap();
    assert_eq!(round(&stage, first).await, 1, "another attempt is the same turn");
    assert_eq!(round(&stage, jobs[0]).await, 2);

    let attempt = stage.start(worker, first).await;
    stage.settle(first, attempt, succeeded("x")).await;
    let _after = unblock(&stage.store).await.unwrap();
    assert_eq!(round(&stage, jobs[1]).await, 3);

    let _after = retry_many(&stage.store, &[first]).await.unwrap();
    assert_eq!(round(&stage, first).await, 4, "run again by hand, it queues up again");
}

#[tokio::test]
async fn idle_lanes_are_forgotten_and_nothing_changes_by_it() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let jobs = enqueue(&stage, "a", 40).await;
    enqueue(&stage, "b", 3).await;
    enqueue(&stage, "c", 60).await;
    stage.claim_all(worker, &jobs).await;
    forget_idle(&mut stage.store.connection().await.unwrap(), 100).await.unwrap();
    let left = "SELECT string_agg(key, ' ' ORDER BY key) FROM lanes";
    assert_eq!(stage.value::<String>(left).await, "key:a key:c");
    assert_eq!(round(&stage, enqueue(&stage, "b", 1).await[0]).await, 40 - HEAD_START);
}

#[tokio::test]
async fn a_bad_key_is_refused() {
    let stage = Stage::set().await;
    for key in ["", "a\0b", &"x".repeat(256)] {
        let (answers, _after) = submit(&stage.context, &[vec![order(&stage, key)]], false).await;
        let Err(StepError::Refused(refusals)) = &answers[0] else { unreachable!("{answers:?}") };
        assert_eq!(
            (refusals[0].code, refusals[0].path.as_slice()),
            (RefusalCode::Invalid, &["fairnessKey".to_owned()][..])
        );
    }
    let again = |lane: &str| JobRequest { idempotency_key: Some("k".into()), ..order(&stage, lane) };
    stage.submit(vec![again("a")]).await;
    let (answers, _after) = submit(&stage.context, &[vec![again("b")]], false).await;
    assert!(matches!(&answers[0], Err(StepError::Refused(_))), "another lane is other input");
}
