//! The counts of queues: what ended in the last 24 hours, and the pace.

use std::collections::HashMap;

use callboard::{
    steps::maintain::fold_counters::count_day,
    store::queues::counters::{self, Counts},
};

use sqlx::types::Json;

use crate::fixture::Fixture;

async fn counts(fixture: &Fixture) -> HashMap<String, Counts> {
    let mut connection = fixture.store.connection().await.unwrap();
    let states = counters::states(&mut connection).await.unwrap();
    states.into_iter().map(|state| (state.record.name, state.counts)).collect()
}

/// What succeeded, failed and was cancelled in the last 24 hours by the minutes and the deltas.
async fn summed(fixture: &Fixture) -> HashMap<String, [i64; 3]> {
    let sums: Json<_> = fixture
        .value(
            "SELECT json_object_agg(name, json_build_array(succeeded, failed, cancelled)) FROM (
                 SELECT name, coalesce(sum(succeeded), 0) AS succeeded, coalesce(sum(failed), 0) AS failed,
                     coalesce(sum(cancelled), 0) AS cancelled
                 FROM queues LEFT JOIN (
                     SELECT queue, minute, succeeded, failed, cancelled FROM queue_minutes UNION ALL
                     SELECT queue, at, succeeded, failed, cancelled FROM queue_deltas
                 ) AS part ON queue = name AND minute > now() - interval '24 hours'
                 GROUP BY name
             ) AS summed",
        )
        .await;
    sums.0
}

fn ended(counts: &Counts) -> [i64; 3] {
    [counts.succeeded, counts.failed, counts.cancelled]
}

#[tokio::test]
async fn what_ended_in_24_hours_is_exact_whenever_it_was_counted() {
    let fixture = Fixture::new().await;
    fixture.sql("INSERT INTO queues (name) VALUES ('a'), ('b'), ('idle')").await;
    // Jobs ended in every minute of 30 hours, each minute with another number, but the newest ones
    // alike, because the test may run across the end of a minute.
    fixture
        .sql(
            "INSERT INTO queue_minutes (queue, minute, started, succeeded, failed, cancelled)
             SELECT queue, date_trunc('minute', now()) - n * interval '1 minute', 2,
                 CASE WHEN n > 5 THEN n % 7 ELSE 1 END, CASE WHEN n > 5 THEN n % 5 ELSE 1 END,
                 CASE WHEN n > 5 THEN n % 3 ELSE 1 END
             FROM generate_series(-2, 1800) AS n, unnest('{a,b}'::text[]) AS queue",
        )
        .await;
    fixture.sql("INSERT INTO queue_deltas (queue, succeeded, failed, cancelled) VALUES ('a', 3, 2, 1)").await;
    let read = async || loop {
        let (before, found) = (summed(&fixture).await, counts(&fixture).await);
        // Else a minute has ended between the two.
        if summed(&fixture).await == before {
            return (found, before);
        }
    };
    let check = async |when: &str| {
        let (found, summed) = read().await;
        for queue in ["a", "b", "idle"] {
            assert_eq!(ended(&found[queue]), summed[queue], "{when}: {queue}");
        }
        assert_eq!(found["idle"], Counts { queue: "idle".into(), ..Counts::default() }, "{when}");
        found
    };
    let found = check("never counted").await;
    assert!(found["a"].succeeded > 4000, "{found:?}");
    let is_counted = "SELECT until = date_trunc('minute', now()) - interval '2 minutes'
        OR until = date_trunc('minute', now()) - interval '3 minutes' FROM queue_day";
    // As it would have been counted then, also by a clock that was ahead.
    for until in [
        "UPDATE queue_day SET until = date_trunc('minute', now()) + interval '3 days'",
        "UPDATE queue_day SET until = date_trunc('minute', now()) - interval '26 hours'",
        "UPDATE queue_day SET until = date_trunc('minute', now()) - interval '23 hours'",
        "UPDATE queue_day SET until = date_trunc('minute', now()) - interval '45 minutes'",
    ] {
        let (one, other) = tokio::join!(count_day(&fixture.store), count_day(&fixture.store));
        one.unwrap();
        other.unwrap();
        assert!(fixture.value::<bool>(is_counted).await);
        check("counted").await;
        fixture.sql(until).await;
        fixture
            .sql(
                "UPDATE queue_days SET (succeeded, failed, cancelled) = (
                     SELECT coalesce(sum(succeeded), 0), coalesce(sum(failed), 0), coalesce(sum(cancelled), 0)
                     FROM queue_minutes, queue_day WHERE queue_minutes.queue = queue_days.queue
                         AND minute > until - interval '24 hours' AND minute <= until)",
            )
            .await;
        check(until).await;
    }
    fixture
        .sql("UPDATE queue_minutes SET failed = failed + 10 WHERE minute > now() - interval '1 hour'")
        .await;
    let (found, summed) = read().await;
    assert_ne!(ended(&found["b"]), summed["b"], "what is folded late counts from the next time on");
    count_day(&fixture.store).await.unwrap();
    let found = check("counted again").await;
    assert_eq!((found["b"].started_per_minute, found["b"].finished_per_minute), (2, 1 + 1 + 10 + 1));
}

/// Reading queues takes as long as there are queues, however many jobs are ready and however much
/// ended.
#[tokio::test]
async fn a_thousand_queues_are_read_without_their_million_jobs() {
    let fixture = Fixture::with_connections(1).await;
    fixture.sql("ALTER TABLE live_jobs SET (autovacuum_enabled = off)").await;
    fixture.sql("INSERT INTO queues (name) SELECT 'q' || n FROM generate_series(1, 1000) AS n").await;
    fixture
        .sql(
            "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, dispatched_at)
             SELECT lpad(to_hex(n), 32, '0')::uuid, 'q' || (1 + n % 1000), 4, 'queued', 1, now(),
                 now() - n * interval '1 millisecond', CASE WHEN n % 2 = 0 THEN now() END
             FROM generate_series(1, 1000000) AS n",
        )
        .await;
    fixture
        .sql(
            "INSERT INTO queue_minutes (queue, minute, started, succeeded)
             SELECT 'q' || queue, date_trunc('minute', now()) - n * interval '1 minute', 1, 1
             FROM generate_series(1, 500) AS n, generate_series(1, 1000) AS queue",
        )
        .await;
    fixture.sql("ANALYZE").await;
    count_day(&fixture.store).await.unwrap();
    let read = async || -> i64 {
        fixture.sql("SELECT pg_stat_force_next_flush()").await;
        fixture
            .value(
                "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
                 WHERE relname IN ('live_jobs', 'queues', 'queue_minutes', 'queue_totals', 'queue_days', 'queue_deltas')",
            )
            .await
    };
    let before = read().await;
    let mut connection = fixture.store.connection().await.unwrap();
    let states = counters::states(&mut connection).await.unwrap();
    drop(connection);
    assert_eq!(states.len(), 1000);
    assert!(states.iter().all(|state| state.oldest_ready_at.is_some() && state.counts.succeeded == 500));
    let of_states = read().await - before;
    assert!(of_states < 12_000, "{of_states} rows were read");
    let names: Vec<String> = states.into_iter().map(|state| state.record.name).collect();
    let ready = counters::ready(&mut fixture.store.connection().await.unwrap(), &names, 10).await.unwrap();
    assert!(ready.len() == 1000 && ready.iter().all(|(_, ready)| *ready == 10));
    let of_ready = read().await - before - of_states;
    assert!(of_ready < 15_000, "{of_ready} rows were read");
}
