//! Fairness: lanes alternate, whatever one of them enqueued before.

use std::collections::BTreeMap;

use callboard::{
    audit::By,
    clock,
    ids::JobId,
    job::{HEAD_START, JobRequest},
    refusal::RefusalCode,
    steps::{
        Done, StepError,
        enqueue::submit::submit,
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

use crate::fixture::{Fixture, failed, limits, succeeded};

fn request(fixture: &Fixture, lane: &str) -> JobRequest {
    JobRequest { fairness_key: Some(lane.into()), ..JobRequest::new(fixture.command) }
}

async fn enqueue(fixture: &Fixture, lane: &str, count: usize) -> Vec<JobId> {
    let mut jobs = Vec::new();
    for _ in 0..count.div_ceil(1000) {
        let rest = (count - jobs.len()).min(1000);
        jobs.extend(fixture.submit(vec![request(fixture, lane); rest]).await);
    }
    jobs
}

/// Lanes and rounds of the ready jobs, in claim order.
async fn ready_lanes(fixture: &Fixture) -> Vec<(String, i64)> {
    let mut connection = fixture.store.connection().await.unwrap();
    sqlx::query_as(
        "SELECT coalesce(fairness_key, ''), round FROM live_jobs WHERE state = 'queued' AND parked_on IS NULL
         ORDER BY priority DESC, round, job_id",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap()
}

async fn round(fixture: &Fixture, job: JobId) -> i64 {
    let mut connection = fixture.store.connection().await.unwrap();
    sqlx::query_scalar("SELECT round FROM live_jobs WHERE job_id = $1")
        .bind(job.uuid())
        .fetch_one(&mut *connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn lanes_alternate_whatever_one_enqueued_before() {
    let fixture = Fixture::new().await;
    let (worker, busy) = (fixture.worker().await, enqueue(&fixture, "busy", 300).await);
    fixture.claim_all(worker, &busy[..100]).await;

    let few = enqueue(&fixture, "few", 10).await;
    let places = explain::places(&fixture.store, &[few[0], few[9], busy[100]]).await.unwrap();
    assert_eq!([places[&few[0]], places[&few[9]], places[&busy[100]]], [1, 10, 11], "idle lanes come first");

    let late = enqueue(&fixture, "late", 150).await;
    let ready = ready_lanes(&fixture).await;
    let mut of_round: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (lane, round) in &ready {
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
    assert_eq!(round(&fixture, late[0]).await, 100 - HEAD_START);
}

#[tokio::test]
async fn a_start_out_of_order_does_not_delay_new_lanes() {
    let fixture = Fixture::new().await;
    let (worker, busy) = (fixture.worker().await, enqueue(&fixture, "busy", 400).await);
    fixture.claim_all(worker, &busy[300..310]).await;
    fixture.claim_all(worker, &busy[..50]).await;
    let few = enqueue(&fixture, "few", 10).await;
    let places = explain::places(&fixture.store, &[few[0], few[9]]).await.unwrap();
    assert_eq!((places[&few[0]], places[&few[9]]), (1, 10));
    fixture.claim_all(worker, &few[..3]).await;
    let late = enqueue(&fixture, "late", 1).await[0];
    assert_eq!(
        round(&fixture, late).await,
        50 - HEAD_START,
        "the lane's round does not go back by the head start"
    );
}

#[tokio::test]
async fn a_retried_job_is_first_and_moves_the_round_no_further_back() {
    let fixture = Fixture::new().await;
    let (worker, jobs) = (fixture.worker().await, enqueue(&fixture, "a", 100).await);
    let (first, attempt) = (jobs[0], fixture.start(worker, jobs[0]).await);
    fixture.claim_all(worker, &jobs[1..60]).await;
    fixture.settle(first, attempt, failed()).await;
    fixture.sql("UPDATE live_jobs SET run_at = clock_timestamp() WHERE state = 'scheduled'").await;
    let _after = promote(&fixture.store).await.unwrap();
    assert_eq!(round(&fixture, first).await, 60);
    assert_eq!(explain::places(&fixture.store, &[first]).await.unwrap()[&first], 1);
    fixture.start(worker, first).await;
    assert_eq!(round(&fixture, enqueue(&fixture, "b", 1).await[0]).await, 60 - HEAD_START);
}

#[tokio::test]
async fn each_profile_is_a_lane_and_jobs_without_one_share_one() {
    let fixture = Fixture::new().await;
    let profile = fixture.profile().await;
    fixture.jobs(3, None, false).await;
    fixture.jobs(2, Some(profile), false).await;
    let mine = JobRequest { profile: Some(profile), ..request(&fixture, "mine") };
    fixture.submit(vec![mine]).await;
    let rounds: Vec<i64> = ready_lanes(&fixture).await.into_iter().map(|(_, round)| round).collect();
    assert_eq!(rounds, [1, 1, 1, 2, 2, 3], "a fairness key overrides the profile");
    let other = JobRequest { queue: Some("other".into()), ..request(&fixture, "mine") };
    let urgent = JobRequest { priority: Some(9), ..request(&fixture, "mine") };
    for job in fixture.submit(vec![other, urgent]).await {
        assert_eq!(round(&fixture, job).await, 1, "each queue and priority has its own lanes");
    }
}

#[tokio::test]
async fn concurrent_enqueues_get_distinct_rounds() {
    let fixture = Fixture::new().await;
    let enqueuers = (0..8).map(|_| async {
        for _ in 0..5 {
            enqueue(&fixture, "a", 7).await;
            fixture.jobs(3, None, false).await;
        }
    });
    futures::future::join_all(enqueuers).await;
    let mut of_lane: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (lane, round) in ready_lanes(&fixture).await {
        of_lane.entry(lane).or_default().push(round);
    }
    assert_eq!(of_lane["a"], (1..=280).collect::<Vec<_>>());
    assert_eq!(of_lane[""], (1..=120).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_window_takes_jobs_with_an_earlier_round() {
    let fixture = Fixture::new().await;
    enqueue(&fixture, "busy", WINDOW + 500).await;
    refill(&fixture.store, &fixture.redis).await.unwrap();
    let few = enqueue(&fixture, "few", 10).await;
    assert!(refill(&fixture.store, &fixture.redis).await.unwrap(), "some jobs of the busy lane are left");
    let held = fixture.redis.held("default").await.unwrap()[4];
    assert_eq!((held.count, held.last_round), (WINDOW + 10, Some(WINDOW as i64)));
    let marked = "SELECT count(*) FROM live_jobs WHERE fairness_key = 'few' AND dispatched_at IS NOT NULL";
    assert_eq!(fixture.value::<i64>(marked).await, 10);
    let places = explain::places(&fixture.store, &few).await.unwrap();
    assert_eq!(
        few.iter().map(|job| places[job]).collect::<Vec<_>>(),
        (1..=10).map(|n| 2 * n).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn lanes_alternate_at_a_gate() {
    let fixture = Fixture::new().await;
    let service = fixture.service("one", limits(Some(1), &[])).await;
    let with = |lane: &str| JobRequest { services: Some(vec![service]), ..request(&fixture, lane) };
    let worker = fixture.worker().await;
    let busy = fixture.submit(vec![with("busy"); 20]).await;
    let (mut running, _) = fixture.claim_all(worker, &busy).await;
    let few = fixture.submit(vec![with("few"); 3]).await;
    fixture.claim_all(worker, &few).await;
    let mut sequence = Vec::<JobId>::new();
    for _ in 0..6 {
        let woken = fixture.settle_all(&running).await;
        sequence.extend(&woken);
        running = fixture.claim_all(worker, &woken).await.0;
    }
    assert_eq!(sequence, [few[0], busy[1], few[1], busy[2], few[2], busy[3]]);
}

#[tokio::test]
async fn cancelled_jobs_do_not_advance_the_round() {
    let fixture = Fixture::new().await;
    let jobs = enqueue(&fixture, "a", 300).await;
    let _after = cancel_many(&fixture.store, &jobs[5..], None, &By::worker()).await.unwrap();
    let next = enqueue(&fixture, "a", 1).await[0];
    assert_eq!(round(&fixture, next).await, 6);
}

#[tokio::test]
async fn every_transition_to_ready_assigns_a_round() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let first = enqueue(&fixture, "a", 1).await[0];
    let in_an_hour =
        JobRequest { run_at: Some(clock::now() + chrono::TimeDelta::hours(1)), ..request(&fixture, "a") };
    let behind = JobRequest { depends_on: vec![first], ..request(&fixture, "a") };
    let jobs = fixture.submit(vec![in_an_hour, behind]).await;
    assert_eq!((round(&fixture, jobs[0]).await, round(&fixture, jobs[1]).await), (0, 0), "not ready yet");

    let attempt = fixture.start(worker, first).await;
    fixture.settle(first, attempt, failed()).await;
    fixture.sql("UPDATE live_jobs SET run_at = clock_timestamp()").await;
    let _after = promote(&fixture.store).await.unwrap();
    assert_eq!(round(&fixture, first).await, 1, "another attempt keeps its round");
    assert_eq!(round(&fixture, jobs[0]).await, 2);

    let attempt = fixture.start(worker, first).await;
    fixture.settle(first, attempt, succeeded("x")).await;
    let _after = unblock(&fixture.store).await.unwrap();
    assert_eq!(round(&fixture, jobs[1]).await, 3);

    retry_many(&fixture.store, &[first], &By::worker()).await.value.unwrap();
    assert_eq!(round(&fixture, first).await, 4, "a retry gets a new round");
}

#[tokio::test]
async fn forgetting_idle_lanes_changes_no_round() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let jobs = enqueue(&fixture, "a", 40).await;
    enqueue(&fixture, "b", 3).await;
    enqueue(&fixture, "c", 60).await;
    fixture.claim_all(worker, &jobs).await;
    forget_idle(&mut fixture.store.connection().await.unwrap(), 100).await.unwrap();
    let left = "SELECT string_agg(key, ' ' ORDER BY key) FROM lanes";
    assert_eq!(fixture.value::<String>(left).await, "key:a key:c");
    assert_eq!(round(&fixture, enqueue(&fixture, "b", 1).await[0]).await, 40 - HEAD_START);
}

#[tokio::test]
async fn an_invalid_fairness_key_is_refused() {
    let fixture = Fixture::new().await;
    for key in ["", "a\0b", &"x".repeat(256)] {
        let Done { value: results, .. } =
            submit(&fixture.context, &[vec![request(&fixture, key)]], false).await;
        let Err(StepError::Refused(refusals)) = &results[0] else { unreachable!("{results:?}") };
        assert_eq!(
            (refusals[0].code, refusals[0].path.as_slice()),
            (RefusalCode::Invalid, &["fairnessKey".to_owned()][..])
        );
    }
    let again = |lane: &str| JobRequest { idempotency_key: Some("k".into()), ..request(&fixture, lane) };
    fixture.submit(vec![again("a")]).await;
    let Done { value: results, .. } = submit(&fixture.context, &[vec![again("b")]], false).await;
    assert!(
        matches!(&results[0], Err(StepError::Refused(_))),
        "another fairness key makes a different request"
    );
}
