//! Dispatch: a bounded window in Redis, and references that Redis lost are pushed again.

use callboard::steps::{
    Done,
    hand_out::{
        dispatch::{MARK_AGE, WINDOW, compare, refill},
        promote::promote,
    },
};

use crate::fixture::Fixture;

/// Makes every mark old enough for its reference to be missed.
const AGE: &str = "UPDATE live_jobs SET dispatched_at = dispatched_at - interval '1 minute' WHERE dispatched_at IS NOT NULL";

async fn ready(fixture: &Fixture) -> usize {
    fixture.redis.ready_counts("default").await.unwrap().iter().sum()
}

#[tokio::test]
async fn new_jobs_are_dispatched_and_lost_references_are_pushed_again() {
    let fixture = Fixture::new().await;
    fixture.jobs(30, None, false).await;
    refill(&fixture.store, &fixture.redis).await.unwrap();
    assert_eq!(ready(&fixture).await, 30);
    fixture.sql(AGE).await;
    assert_eq!(
        compare(&fixture.store, &fixture.redis, MARK_AGE).await.unwrap(),
        0,
        "all references are there"
    );

    // Submit marked these jobs, and the process died before it pushed them.
    fixture.jobs(20, None, true).await;
    assert_eq!(
        compare(&fixture.store, &fixture.redis, MARK_AGE).await.unwrap(),
        0,
        "the references may still be on their way"
    );
    fixture.sql(AGE).await;
    assert_eq!(compare(&fixture.store, &fixture.redis, MARK_AGE).await.unwrap(), 20);
    assert_eq!(ready(&fixture).await, 50);
    assert_eq!(compare(&fixture.store, &fixture.redis, MARK_AGE).await.unwrap(), 0, "the marks are new");
}

#[tokio::test]
async fn the_window_is_bounded_and_takes_the_highest_priority_first() {
    let fixture = Fixture::new().await;
    for _ in 0..=WINDOW.div_ceil(1000) {
        fixture.jobs(1000, None, false).await;
    }
    fixture.sql("UPDATE live_jobs SET priority = 9 WHERE job_id IN (SELECT job_id FROM live_jobs ORDER BY job_id DESC LIMIT 10)").await;
    assert!(refill(&fixture.store, &fixture.redis).await.unwrap(), "some jobs are left");
    assert_eq!(ready(&fixture).await, WINDOW + 10, "each priority has its own window");
    let urgent = "SELECT count(*) FROM live_jobs WHERE priority = 9 AND dispatched_at IS NOT NULL";
    assert_eq!(fixture.value::<i64>(urgent).await, 10);
    refill(&fixture.store, &fixture.redis).await.unwrap();
    assert_eq!(ready(&fixture).await, WINDOW + 10);

    // A late job of higher priority than a full window.
    let late = fixture.job().await;
    fixture.sql("UPDATE live_jobs SET priority = 9 WHERE dispatched_at IS NULL AND job_id = (SELECT job_id FROM live_jobs ORDER BY job_id DESC LIMIT 1)").await;
    refill(&fixture.store, &fixture.redis).await.unwrap();
    let counts = fixture.redis.ready_counts("default").await.unwrap();
    assert_eq!(counts, [0, 0, 0, 0, WINDOW, 0, 0, 0, 0, 11]);
    let dispatched =
        "SELECT max(job_id::text) FROM live_jobs WHERE priority = 9 AND dispatched_at IS NOT NULL";
    assert_eq!(fixture.value::<String>(dispatched).await, late.uuid().to_string());
}

#[tokio::test]
async fn a_scheduled_job_becomes_ready_at_its_run_time() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker().await;
    let job = fixture.job().await;
    let attempt = fixture.start(worker, job).await;
    fixture.settle(job, attempt, crate::fixture::failed()).await;
    let Done { value: next, after } = promote(&fixture.store).await.unwrap();
    assert!(after.changed.is_empty() && next.is_some(), "not due yet, and the next time is returned");
    fixture.sql("UPDATE live_jobs SET run_at = clock_timestamp()").await;
    let Done { after, .. } = promote(&fixture.store).await.unwrap();
    assert_eq!(after.changed, [job]);
    fixture.start(worker, job).await;
}
