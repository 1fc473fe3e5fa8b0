//! Query plans of the hot path: a statement planned while the tables were empty must not scan them
//! when they are full. PostgreSQL keeps such a plan until the next ANALYZE, which may be a minute
//! away.

use callboard::{
    clock::IdSource,
    ids::JobId,
    job::{JobRequest, JobState},
    steps::{
        finish::settle::settle,
        hand_out::dispatch::refill,
        maintain::refresh_statistics::{Refreshed, refresh_statistics},
        run::claim::{ClaimRequest, claim},
    },
    store::{
        Planning, Store,
        jobs::{
            dependencies::{self, NeedsPage},
            pages::{self, JobFilter, JobOrder, JobPageRequest},
        },
        queues::{backlog, counters},
    },
};

use crate::fixture::{Fixture, limits, settlement, succeeded};

/// Claims and settles these jobs, each in one batch.
async fn run(fixture: &Fixture, jobs: &[JobId]) {
    let worker = fixture.worker().await;
    let requests: Vec<ClaimRequest> =
        jobs.iter().map(|&job| ClaimRequest { job, attempt: IdSource.make() }).collect();
    let _done = claim(&fixture.store, worker, &requests).await.unwrap();
    let settlements = requests.iter().map(|request| settlement(request.job, request.attempt, succeeded("x")));
    let _done = settle(&fixture.store, settlements.collect()).await.unwrap();
}

/// Rows read so far from the jobs' tables.
async fn rows_read(fixture: &Fixture) -> i64 {
    fixture.sql("SELECT pg_stat_force_next_flush()").await;
    fixture
        .value(
            "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
             WHERE relname IN ('live_jobs', 'live_job_services', 'ended_jobs', 'attempts', 'jobs', 'gates', 'gate_deltas', 'job_dependencies')",
        )
        .await
}

/// A job with two gates.
async fn limited(fixture: &Fixture) -> JobRequest {
    let many = || limits(Some(1_000_000), &[(1000, "PT0.1S", 1_000_000)]);
    let services = Some(vec![fixture.service("s", many()).await]);
    JobRequest { services, ..JobRequest::new(fixture.limited_command(many()).await) }
}

/// Fills the queue with 20,000 jobs and runs 500 of them.
async fn run_some_of_many(fixture: &Fixture, request: &JobRequest) {
    let mut jobs = Vec::new();
    for _ in 0..20 {
        jobs.extend(fixture.submit(vec![request.clone(); 1000]).await);
    }
    let before = rows_read(fixture).await;
    for jobs in jobs.chunks(100).take(5) {
        run(fixture, jobs).await;
    }
    let rows = rows_read(fixture).await - before;
    assert!(rows < 10_000, "{rows} rows were read to run 500 jobs of 20,000");
    let before = rows_read(fixture).await;
    let backlogs = backlog::backlogs(&mut fixture.store.connection().await.unwrap()).await.unwrap();
    assert_eq!(backlogs.len(), 1);
    let rows = rows_read(fixture).await - before;
    assert!(rows < 2_000, "{rows} rows were read to find the head of one backlog");
}

#[tokio::test]
async fn plans_made_for_empty_tables_are_fine_for_full_ones() {
    // One connection, so that all statements reuse their old plans.
    let fixture = Fixture::with_connections(1).await;
    fixture.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    fixture.sql("ALTER TABLE live_job_services SET (autovacuum_enabled = off)").await;
    let request = limited(&fixture).await;
    refill(&fixture.store, &fixture.redis).await.unwrap();
    for _ in 0..10 {
        let jobs = fixture.submit(vec![request.clone(); 2]).await;
        refill(&fixture.store, &fixture.redis).await.unwrap();
        run(&fixture, &jobs).await;
    }
    run_some_of_many(&fixture, &request).await;
}

/// ANALYZE on an empty queue leaves statistics of one row, however many rows come after it.
#[tokio::test]
async fn statistics_of_an_empty_queue_are_fine_for_a_full_one() {
    let fixture = Fixture::with_connections(1).await;
    fixture.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    fixture.sql("ALTER TABLE live_job_services SET (autovacuum_enabled = off)").await;
    let request = limited(&fixture).await;
    // Enough rows that the index in claim order gets another level and looks more expensive.
    fixture
        .sql(
            "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at)
             SELECT gen_random_uuid(), 'default', 4, 'queued', 1, now(), now() FROM generate_series(1, 60000)",
        )
        .await;
    fixture.sql("DELETE FROM live_jobs").await;
    for _ in 0..5 {
        let jobs = fixture.submit(vec![request.clone(); 1000]).await;
        run(&fixture, &jobs[..500]).await;
        run(&fixture, &jobs[500..]).await;
    }
    fixture.sql("ANALYZE live_jobs, live_job_services").await;
    let known = "SELECT relpages > 0 AND reltuples = 0 FROM pg_class WHERE relname = 'live_jobs'";
    assert!(fixture.value::<bool>(known).await);
    refill(&fixture.store, &fixture.redis).await.unwrap();
    run_some_of_many(&fixture, &request).await;
}

/// The plans are usable, but a batch of 500 compares each job with each. So the statistics are
/// refreshed.
#[tokio::test]
async fn statistics_of_an_empty_queue_are_refreshed_when_it_is_full() {
    let fixture = Fixture::with_connections(1).await;
    fixture.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    let request = JobRequest::new(fixture.command);
    // A connection otherwise reports its statistics only after a second.
    let flush = async || fixture.sql("SELECT pg_stat_force_next_flush()").await;
    let fill = async || {
        let jobs = fixture.submit(vec![request.clone(); 1000]).await;
        flush().await;
        jobs
    };
    for jobs in [fill().await, fill().await].concat().chunks(500) {
        run(&fixture, jobs).await;
    }
    flush().await;
    fixture.sql("ANALYZE live_jobs").await;
    let known = "SELECT reltuples::bigint FROM pg_class WHERE relname = 'live_jobs' AND relpages > 0";
    assert_eq!(fixture.value::<i64>(known).await, 0);
    let refresh = async || refresh_statistics(&fixture.store).await.unwrap();
    assert_eq!(refresh().await, Refreshed::UpToDate, "the queue has not grown");
    fill().await;
    assert_eq!(refresh().await, Refreshed::UpToDate, "too few rows to matter");
    fill().await;
    let other = Store::open(&fixture.url().into(), 1, "steps-test", Planning::Once).unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE live_jobs IN SHARE UPDATE EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    assert_eq!(refresh().await, Refreshed::Skipped, "the table is locked, as during autovacuum");
    assert_eq!(fixture.value::<i64>(known).await, 0);
    lock.rollback().await.unwrap();
    assert_eq!(refresh().await, Refreshed::Done);
    assert_eq!(fixture.value::<i64>(known).await, 2000);
    for _ in 0..17 {
        fill().await;
    }
    assert_eq!(refresh().await, Refreshed::UpToDate, "the planner sees that the table has more pages");
}

/// 50,000 ready jobs in the order of their ids, as jobs are written, which makes the primary key
/// look cheap. The oldest 2,000 are dispatched, and ten in the middle are scheduled. Uses one
/// connection, so that its reads are reported on request.
async fn with_a_deep_queue() -> Fixture {
    let fixture = Fixture::with(1, Planning::ByValue).await;
    fixture.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    fixture.sql("INSERT INTO queues (name) VALUES ('deep')").await;
    fixture
        .sql(
            "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, dispatched_at)
             SELECT lpad(to_hex(n), 32, '0')::uuid, 'deep', 4,
                CASE WHEN n BETWEEN 20001 AND 20010 THEN 'scheduled' ELSE 'queued' END, 1, now(),
                CASE WHEN NOT n BETWEEN 20001 AND 20010 THEN now() END, CASE WHEN n <= 2000 THEN now() END
             FROM generate_series(1, 50000) AS n",
        )
        .await;
    fixture.sql("ANALYZE live_jobs").await;
    fixture
}

#[tokio::test]
async fn finding_the_oldest_job_does_not_read_a_deep_queue() {
    let fixture = with_a_deep_queue().await;
    let before = rows_read(&fixture).await;
    let queues = counters::states(&mut fixture.store.connection().await.unwrap()).await.unwrap();
    assert!(queues.iter().any(|queue| queue.oldest_ready_at.is_some()), "{queues:?}");
    let read = rows_read(&fixture).await - before;
    assert!(read < 5000, "{read} rows were read");
}

#[tokio::test]
async fn reading_the_first_page_does_not_read_a_deep_queue() {
    let fixture = with_a_deep_queue().await;
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
            let before = rows_read(&fixture).await;
            let page = pages::page(&mut fixture.store.connection().await.unwrap(), &request).await.unwrap();
            assert_eq!(page.len(), expected);
            let read = rows_read(&fixture).await - before;
            assert!(read < 5000, "{read} rows were read for a page of {state:?} jobs");
        }
    }
}

/// 100 jobs that depend on 1,000 each, as a page of the API lists them.
#[tokio::test]
async fn reading_the_first_of_many_dependencies_does_not_read_the_others() {
    let fixture = Fixture::with(1, Planning::ByValue).await;
    fixture.sql("ALTER TABLE job_dependencies SET (autovacuum_enabled = off)").await;
    let mut needed = fixture.submit(vec![JobRequest::new(fixture.command); 1000]).await;
    needed.sort_unstable_by_key(|job| job.uuid());
    fixture
        .sql(
            "INSERT INTO job_dependencies (job_id, position, needs_id)
             SELECT lpad(to_hex(n), 32, '0')::uuid, needed.position, needed.id FROM generate_series(1, 100) AS n,
                 (SELECT id, row_number() OVER (ORDER BY id) - 1 AS position FROM jobs) AS needed",
        )
        .await;
    let job = |number: u128| JobId::from(uuid::Uuid::from_u128(number));
    let page = |number, after, before, is_from_end| NeedsPage {
        job: job(number),
        after,
        before,
        is_from_end,
        rows: 2,
    };
    let pages: Vec<NeedsPage> = (1..=100)
        .flat_map(|number| {
            [page(number, -1, i32::MAX, false), page(number, 499, 501, false), page(number, -1, 500, true)]
        })
        .collect();
    for has_statistics in [false, true] {
        if has_statistics {
            fixture.sql("ANALYZE job_dependencies, jobs").await;
        }
        let before = rows_read(&fixture).await;
        let found =
            dependencies::pages(&mut fixture.store.connection().await.unwrap(), &pages).await.unwrap();
        let read = rows_read(&fixture).await - before;
        let expected = (0..300).flat_map(|page| {
            let positions = [&[0, 1][..], &[500], &[499, 498]][page % 3];
            positions.iter().map(move |position| (page, *position))
        });
        let expected: Vec<_> =
            expected.map(|(page, position)| (page, position, needed[position as usize])).collect();
        assert_eq!(found, expected);
        assert!(read < 5000, "{read} rows were read for 500 of 100,000 dependencies");
    }
    let counts =
        dependencies::counts(&mut fixture.store.connection().await.unwrap(), &[job(1), job(0)]).await;
    assert_eq!(counts.unwrap(), [(job(1), 1000)]);
}
