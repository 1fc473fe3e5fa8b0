//! Plans of the hot path: a statement that was planned while the tables were empty must not read them whole when they
//! are full. Postgres keeps such a plan until somebody analyses the table, which may be a minute later.

use callboard::{
    clock::IdSource,
    ids::JobId,
    job::JobState,
    steps::{
        enqueue::submit::JobRequest,
        finish::settle::settle,
        hand_out::dispatch::refill,
        maintain::refresh_statistics::{Refreshed, refresh_statistics},
        run::claim::{ClaimRequest, claim},
    },
    store::{
        Planning, Store,
        jobs::pages::{self, JobFilter, JobOrder, JobPageRequest},
        queues::{backlog, counters},
    },
};

use crate::stage::{Stage, limits, settlement, succeeded};

/// Claims these and settles them, in one batch.
async fn run(stage: &Stage, jobs: &[JobId]) {
    let worker = stage.worker().await;
    let requests: Vec<ClaimRequest> =
        jobs.iter().map(|&job| ClaimRequest { job, attempt: IdSource.make() }).collect();
    let (_answers, _after) = claim(&stage.store, worker, &requests).await.unwrap();
    let settlements = requests.iter().map(|request| settlement(request.job, request.attempt, succeeded("x")));
    let (_settled, _after) = settle(&stage.store, settlements.collect()).await.unwrap();
}

/// Rows of the jobs' tables that were read until now.
async fn rows_read(stage: &Stage) -> i64 {
    stage.sql("SELECT pg_stat_force_next_flush()").await;
    stage
        .value(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
             WHERE relname IN ('live_jobs', 'live_job_services', 'ended_jobs', 'attempts', 'jobs', 'gates', 'gate_deltas')",
        )
        .await
}

/// A job that has to pass two gates.
async fn limited(stage: &Stage) -> JobRequest {
    let many = || limits(Some(1_000_000), &[(1000, "PT0.1S", 1_000_000)]);
    let services = Some(vec![stage.service("s", many()).await]);
    JobRequest { command: Some(stage.limited_command(many()).await), services, ..JobRequest::default() }
}

/// Fills the queue with 20,000 jobs and runs 500 of them.
async fn run_some_of_many(stage: &Stage, order: &JobRequest) {
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.extend(stage.submit(vec![order.clone(); 1000]).await);
    }
    let before = rows_read(stage).await;
    for jobs in jobs.chunks(100).take(5) {
        run(stage, jobs).await;
    }
    let rows = rows_read(stage).await - before;
    assert!(rows < 10_000, "{rows} rows were read to run 500 jobs of 20,000");
    let before = rows_read(stage).await;
    let backlogs = backlog::backlogs(&mut stage.store.connection().await.unwrap()).await.unwrap();
    assert_eq!(backlogs.len(), 1);
    let rows = rows_read(stage).await - before;
    assert!(rows < 2_000, "{rows} rows were read to find the head of one backlog");
}

#[tokio::test]
async fn plans_that_were_made_for_empty_tables_do_for_full_ones() {
    // One connection, so that all statements meet their old plans again.
    let stage = Stage::with_connections(1).await;
    stage.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    stage.sql("ALTER TABLE live_job_services SET (autovacuum_enabled = off)").await;
    let order = limited(&stage).await;
    refill(&stage.store, &stage.redis).await.unwrap();
    for _ in 0..10 {
        let jobs = stage.submit(vec![order.clone(); 2]).await;
        refill(&stage.store, &stage.redis).await.unwrap();
        run(&stage, &jobs).await;
    }
    run_some_of_many(&stage, &order).await;
}

/// Statistics that were taken while the queue was empty say that the table has one row, however many came since.
#[tokio::test]
async fn statistics_of_an_empty_queue_do_for_a_full_one() {
    let stage = Stage::with_connections(1).await;
    stage.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    stage.sql("ALTER TABLE live_job_services SET (autovacuum_enabled = off)").await;
    let order = limited(&stage).await;
    // So many that the index in the order of claims has a level more than others, and looks dearer.
    stage
        .sql(
            "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at)
             SELECT gen_random_uuid(), 'default', 4, 'queued', 1, now(), now() FROM generate_series(1, 60000)",
        )
        .await;
    stage.sql("DELETE FROM live_jobs").await;
    for _ in 0..5 {
        let jobs = stage.submit(vec![order.clone(); 1000]).await;
        run(&stage, &jobs[..500]).await;
        run(&stage, &jobs[500..]).await;
    }
    stage.sql("ANALYZE live_jobs, live_job_services").await;
    let known = "SELECT relpages > 0 AND reltuples = 0 FROM pg_class WHERE relname = 'live_jobs'";
    assert!(stage.value::<bool>(known).await);
    refill(&stage.store, &stage.redis).await.unwrap();
    run_some_of_many(&stage, &order).await;
}

/// They do, but a batch of 500 compares each with each. So they are not left like that.
#[tokio::test]
async fn statistics_of_an_empty_queue_are_taken_again_when_it_is_full() {
    let stage = Stage::with_connections(1).await;
    stage.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    let order = JobRequest { command: Some(stage.command), ..JobRequest::default() };
    // What a connection has done is otherwise told when it is a second old.
    let tell = async || stage.sql("SELECT pg_stat_force_next_flush()").await;
    let fill = async || {
        let jobs = stage.submit(vec![order.clone(); 1000]).await;
        tell().await;
        jobs
    };
    for jobs in [fill().await, fill().await].concat().chunks(500) {
        run(&stage, jobs).await;
    }
    tell().await;
    stage.sql("ANALYZE live_jobs").await;
    let known = "SELECT reltuples::bigint FROM pg_class WHERE relname = 'live_jobs' AND relpages > 0";
    assert_eq!(stage.value::<i64>(known).await, 0);
    let take = async || refresh_statistics(&stage.store).await.unwrap();
    assert_eq!(take().await, Refreshed::UpToDate, "there are no more");
    fill().await;
    assert_eq!(take().await, Refreshed::UpToDate, "what so few cost is not worth it");
    fill().await;
    let other = Store::open(&stage.url().into(), 1, "steps-test", Planning::Once).unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE live_jobs IN SHARE UPDATE EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    assert_eq!(take().await, Refreshed::Skipped, "as while autovacuum cleans up");
    assert_eq!(stage.value::<i64>(known).await, 0);
    lock.rollback().await.unwrap();
    assert_eq!(take().await, Refreshed::Done);
    assert_eq!(stage.value::<i64>(known).await, 2000);
    for _ in 0..17 {
        fill().await;
    }
    assert_eq!(take().await, Refreshed::UpToDate, "the table has grown in pages, which the planner sees");
}

/// 50,000 ready jobs in the order of their ids, as jobs are written: then the primary key looks cheap. The oldest 2,000 are handed over, ten
/// in the middle have their time still to come. On one connection, whose reads are told as soon as it is asked for them.
async fn with_a_deep_queue() -> Stage {
    let stage = Stage::with(1, Planning::ByValue).await;
    stage.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    stage.sql("INSERT INTO queues (name) VALUES ('deep')").await;
    stage
        .sql(
            "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, dispatched_at)
             SELECT lpad(to_hex(n), 32, '0')::uuid, 'deep', 4,
                CASE WHEN n BETWEEN 20001 AND 20010 THEN 'scheduled' ELSE 'queued' END, 1, now(),
                CASE WHEN NOT n BETWEEN 20001 AND 20010 THEN now() END, CASE WHEN n <= 2000 THEN now() END
             FROM generate_series(1, 50000) AS n",
        )
        .await;
    stage.sql("ANALYZE live_jobs").await;
    stage
}

#[tokio::test]
async fn the_oldest_of_a_deep_queue_is_found_without_reading_all_of_it() {
    let stage = with_a_deep_queue().await;
    let before = rows_read(&stage).await;
    let queues = counters::queues(&mut stage.store.connection().await.unwrap(), None).await.unwrap();
    assert!(queues.iter().any(|queue| queue.oldest_queued_at.is_some()), "{queues:?}");
    let read = rows_read(&stage).await - before;
    assert!(read < 5000, "{read} rows were read");
}

#[tokio::test]
async fn the_first_page_of_a_deep_queue_is_read_without_all_of_it() {
    let stage = with_a_deep_queue().await;
    let states = [JobState::Queued, JobState::Scheduled, JobState::Running, JobState::Blocked];
    for (state, expected) in states.into_iter().zip([25, 10, 0, 0]) {
        for is_descending in [true, false] {
            let filter = JobFilter { states: Some(vec![state]), ..JobFilter::default() };
            let order = JobOrder::Created;
            let request = JobPageRequest {
                filter,
                order,
                is_descending,
                after: None,
                before: None,
                rows: 25,
                is_from_end: false,
            };
            let before = rows_read(&stage).await;
            let page = pages::page(&mut stage.store.connection().await.unwrap(), &request).await.unwrap();
            assert_eq!(page.len(), expected);
            let read = rows_read(&stage).await - before;
            assert!(read < 5000, "{read} rows were read for a page of {state:?} jobs");
        }
    }
}
