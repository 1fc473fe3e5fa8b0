//! Dispatch: a bounded window in Redis, and what Redis forgot is pushed again.

use callboard::steps::hand_out::{
    dispatch::{MARK_AGE, WINDOW, compare, refill},
    promote::promote,
};

use crate::stage::Stage;

/// Makes every mark old enough to be missed.
const AGE: &str = "UPDATE live_jobs SET dispatched_at = dispatched_at - interval '1 minute' WHERE dispatched_at IS NOT NULL";

async fn ready(stage: &Stage) -> usize {
    stage.redis.ready_counts("default").await.unwrap().iter().sum()
}

#[tokio::test]
async fn what_was_not_handed_over_is_found_and_what_was_forgotten_is_pushed_again() {
    let stage = Stage::set().await;
    stage.jobs(30, None, false).await;
    refill(&stage.store, &stage.redis).await.unwrap();
    assert_eq!(ready(&stage).await, 30);
    stage.sql(AGE).await;
    assert_eq!(compare(&stage.store, &stage.redis, MARK_AGE).await.unwrap(), 0, "all are there");

    // Marked by submit, and then the process died before it pushed.
    stage.jobs(20, None, true).await;
    assert_eq!(
        compare(&stage.store, &stage.redis, MARK_AGE).await.unwrap(),
        0,
        "they may be between two hands"
    );
    stage.sql(AGE).await;
    assert_eq!(compare(&stage.store, &stage.redis, MARK_AGE).await.unwrap(), 20);
    assert_eq!(ready(&stage).await, 50);
    assert_eq!(compare(&stage.store, &stage.redis, MARK_AGE).await.unwrap(), 0, "their marks are new");
}

#[tokio::test]
async fn the_window_is_bounded_and_full_of_the_most_urgent() {
    let stage = Stage::set().await;
    for _ in 0..=WINDOW.div_ceil(1000) {
        stage.jobs(1000, None, false).await;
    }
    stage.sql("UPDATE live_jobs SET priority = 9 WHERE job_id IN (SELECT job_id FROM live_jobs ORDER BY job_id DESC LIMIT 10)").await;
    assert!(refill(&stage.store, &stage.redis).await.unwrap(), "some are left");
    assert_eq!(ready(&stage).await, WINDOW + 10, "each priority has its own");
    let urgent = "SELECT count(*) FROM live_jobs WHERE priority = 9 AND dispatched_at IS NOT NULL";
    assert_eq!(stage.value::<i64>(urgent).await, 10);
    refill(&stage.store, &stage.redis).await.unwrap();
    assert_eq!(ready(&stage).await, WINDOW + 10);

    // Late, behind a full window of others.
    let late = stage.job().await;
    stage.sql("UPDATE live_jobs SET priority = 9 WHERE dispatched_at IS NULL AND job_id = (SELECT job_id FROM live_jobs ORDER BY job_id DESC LIMIT 1)").await;
    refill(&stage.store, &stage.redis).await.unwrap();
    let counts = stage.redis.ready_counts("default").await.unwrap();
    assert_eq!(counts, [0, 0, 0, 0, WINDOW, 0, 0, 0, 0, 11]);
    let dispatched =
        "SELECT max(job_id::text) FROM live_jobs WHERE priority = 9 AND dispatched_at IS NOT NULL";
    assert_eq!(stage.value::<String>(dispatched).await, late.uuid().to_string());
}

#[tokio::test]
async fn a_job_is_ready_when_its_time_has_come() {
    let stage = Stage::set().await;
    let worker = stage.worker().await;
    let job = stage.job().await;
    let attempt = stage.start(worker, job).await;
    stage.settle(job, attempt, crate::stage::failed()).await;
    let (after, next) = promote(&stage.store).await.unwrap();
    assert!(after.changed.is_empty() && next.is_some(), "not yet, and it says when");
    stage.sql("UPDATE live_jobs SET run_at = clock_timestamp()").await;
    let (after, _) = promote(&stage.store).await.unwrap();
    assert_eq!(after.changed, [job]);
    stage.start(worker, job).await;
}
