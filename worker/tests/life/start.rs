//! Starting while Postgres or Redis is down: the message while waiting, and when giving up.

use std::{path::Path, time::Duration};

use callboard_test_support::{Child, Database, eventually, free_port, private_redis, redis_url};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    site::{Reply, Site},
    system::{PATIENCE, Settings, System},
};

fn log(settings: &Settings) -> String {
    std::fs::read_to_string(settings.log()).unwrap()
}

#[tokio::test]
async fn api_and_worker_wait_for_a_server_that_is_down_and_give_up_with_its_name() {
    let (database, redis) = (Database::create().await, redis_url().await);
    let closed = format!("127.0.0.1:{}", free_port());
    let no_postgres = format!("postgres://callboard:hush-hush@{closed}/callboard");
    let no_redis = format!("redis://:hush-hush@{closed}/0");
    for (postgres, redis, name) in
        [(&*no_postgres, &*redis, "Postgres"), (database.url(), &*no_redis, "Redis")]
    {
        let mut settings = Settings::new(postgres, redis);
        settings.set("CALLBOARD_START_TIMEOUT", "2");
        for mut command in [settings.api(), settings.worker(&[])] {
            std::fs::write(settings.log(), "").unwrap();
            let mut process = Child::spawn(&mut command);
            let code = process.ended(PATIENCE).await.code();
            let log = log(&settings);
            assert_eq!(code, Some(1), "{log}");
            assert!(
                log.contains("waiting for")
                    && log.contains("giving up")
                    && log.contains(&format!("{name} at {closed}")),
                "the log names what it waits for, and where:\n{log}"
            );
            assert!(!log.contains("hush-hush"), "the log holds no password:\n{log}");
        }
    }
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let settings = Settings::new(database.url(), redis.url());
    redis.kill();
    let later = {
        let redis = redis.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            redis.start().await;
        }
    };
    let (mut system, ()) = tokio::join!(System::with(settings, redis, Some(database), 0), later);
    system.add_worker(1).await;
}

/// An upgrade replaces the file of a worker that runs, which goes on with all that it starts from
/// its own image: HTTP commands, and the shims of all commands.
#[tokio::test]
async fn a_worker_whose_file_was_replaced_or_removed_runs_every_kind_of_job() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let mut settings = Settings::new(database.url(), redis.url());
    let program = settings.home().join("worker");
    std::fs::copy(&settings.worker_program, &program).unwrap();
    settings.worker_program = program.clone();
    let system = System::with(settings, redis, Some(database), 1).await;
    let site = Site::start(|_| Reply::ok()).await;
    let spec = json!({ "http": { "method": "GET", "url": site.url } });
    let policy = json!({ "maxAttempts": 1 });
    let calls =
        system.make("commandCreate", "command", json!({ "name": "calls", "spec": spec, "policy": policy }));
    let calls = calls.await;
    let runs = system.shell("runs", "true", policy).await;
    let replaced = system.home().join("replaced");
    std::fs::write(&replaced, "#!/bin/sh\nexit 3\n").unwrap();
    for change in
        [|from: &Path, to: &Path| std::fs::rename(from, to), |_: &Path, to: &Path| std::fs::remove_file(to)]
    {
        change(&replaced, &program).unwrap();
        // More than there are shims in waiting, which were started before.
        for command in [&calls, &runs, &calls, &runs, &calls] {
            let job = system.enqueue(json!({ "commandId": command })).await;
            system.until(&job, "SUCCEEDED", PATIENCE).await;
        }
    }
}

/// Jobs may be enqueued for days before there is a worker.
#[tokio::test]
async fn an_api_alone_makes_partitions_and_folds_counters() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let url = database.url().to_owned();
    let settings = Settings::new(database.url(), redis.url());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let days = "SELECT string_agg(format('DROP TABLE %s;', inhrelid::regclass), ' ') FROM pg_inherits
        WHERE inhparent IN ('job_events'::regclass, 'log_chunks'::regclass)";
    let drop: String = sqlx::query_scalar(days).fetch_one(&mut connection).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();

    let system = System::with(settings, redis, Some(database), 0).await;
    let command = system.shell("nothing", "true", json!({})).await;
    system.enqueue(json!({ "commandId": command })).await;
    eventually(PATIENCE, || async {
        let mut connection = PgConnection::connect(&url).await.ok()?;
        let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM queue_deltas");
        (left.fetch_one(&mut connection).await.ok()? == 0).then_some(())
    })
    .await;
    assert_eq!(system.count(&["QUEUED"]).await, 1);
    let queues = system.data("{ queues { counts { queued } } }", json!({})).await;
    assert_eq!(queues["queues"][0]["counts"]["queued"], 1);
}

/// Autovacuum runs once a minute. Until then the worker must refresh statistics of an empty queue.
#[tokio::test]
async fn a_worker_refreshes_the_planners_statistics_of_a_full_queue() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let url = database.url().to_owned();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let settings = Settings::new(database.url(), redis.url());
    let mut system = System::with(settings, redis, Some(database), 0).await;
    // Rows are deleted, but the table keeps its pages. No worker serves the queue of these jobs.
    let fill = "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at)
        SELECT gen_random_uuid(), 'x', 4, 'queued', 1, now(), now() FROM generate_series(1, 2000)";
    for statement in [
        "ALTER TABLE live_jobs SET (autovacuum_enabled = off)",
        fill,
        "DELETE FROM live_jobs",
        "ANALYZE live_jobs",
        fill,
    ] {
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&mut connection).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&mut connection).await.unwrap();
    let known = "SELECT reltuples::bigint FROM pg_class WHERE relname = 'live_jobs' AND relpages > 0";
    assert_eq!(sqlx::query_scalar::<_, i64>(known).fetch_one(&mut connection).await.unwrap(), 0);
    system.add_worker(1).await;
    eventually(PATIENCE, || async {
        let mut connection = PgConnection::connect(&url).await.ok()?;
        let known = sqlx::query_scalar::<_, i64>(known).fetch_one(&mut connection).await.ok()?;
        (known == 2000).then_some(())
    })
    .await;
}
