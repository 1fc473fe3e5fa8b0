//! Redis loses everything or is killed, with 100,000 jobs pending: how soon jobs start again, and
//! how fast.

use std::time::Duration;

use callboard_test_support::{Server, eventually, private_postgres, private_redis, redis_cli};
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::{
    now,
    system::{PATIENCE, Settings, System},
};

const ROUNDS: usize = 3;
const JOBS: usize = 130_000;
/// Jobs that must be pending when the fault comes.
const PENDING: i64 = 100_000;
/// How long a killed Redis is down.
const AWAY: Duration = Duration::from_secs(3);
const AGAIN_WITHIN_MS: f64 = 1000.0;
const RATE_MIN: f64 = 0.9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Flush,
    Kill,
}

/// How a backlog drained: milliseconds until jobs started again, and jobs a second from then on.
#[derive(Debug)]
struct Drained {
    started_again_after: f64,
    rate: f64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes five minutes: script/drill redis"]
async fn redis() {
    let (postgres, redis) = tokio::join!(private_postgres(), private_redis());
    let mut settings = Settings::new(postgres.url(), redis.url());
    settings.set("CALLBOARD_PROGRAMS", "/usr/bin:/bin:callboard:noop");
    settings.set("CALLBOARD_LOG", "warn");
    let mut system = System::with(settings, redis.clone(), None, 0).await;
    let mut rates = [const { Vec::new() }; 3];
    let mut pauses = Vec::new();
    for round in 0..ROUNDS {
        for fault in [Fault::None, Fault::Flush, Fault::Kill] {
            let queue = format!("{fault:?}-{round}").to_lowercase();
            let drained = drain(&mut system, postgres.url(), &redis, fault, &queue).await;
            println!("{queue}: {drained:?}");
            rates[fault as usize].push(drained.rate);
            if fault != Fault::None {
                pauses.push(drained.started_again_after);
            }
        }
    }
    let [usual, flushed, killed] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    });
    println!("jobs a second, usually {usual:.0}; after FLUSHALL {flushed:.0}, after kill -9 {killed:.0}");
    assert!(pauses.iter().all(|pause| *pause <= AGAIN_WITHIN_MS), "{pauses:?}");
    assert!(flushed.min(killed) >= usual * RATE_MIN);
}

async fn drain(system: &mut System, postgres: &str, redis: &Server, fault: Fault, queue: &str) -> Drained {
    let spec = json!({ "program": { "program": "callboard:noop" } });
    let command = json!({ "name": queue, "spec": spec, "queue": queue });
    let command = system.make("commandCreate", "command", command).await;
    for _ in 0..JOBS / 1000 {
        system.enqueue_all(vec![json!({ "commandId": command }); 1000]).await;
    }
    let mut connection = PgConnection::connect(postgres).await.unwrap();
    sqlx::query("ANALYZE").execute(&mut connection).await.unwrap();
    system.set("CALLBOARD_QUEUES", queue);
    let mut worker = system.spawn_worker(2000);
    let pending = "SELECT count(*) FROM live_jobs WHERE state <> 'running' AND queue = $1";
    let pending = async |connection: &mut PgConnection| -> i64 {
        sqlx::query_scalar(pending).bind(queue).fetch_one(connection).await.unwrap()
    };
    while pending(&mut connection).await == JOBS as i64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut back = now();
    match fault {
        Fault::None => {}
        Fault::Flush => {
            assert_eq!(redis_cli(redis, &["FLUSHALL"]), "OK\n");
            back = now();
        }
        Fault::Kill => {
            redis.kill();
            tokio::time::sleep(AWAY).await;
            redis.start().await;
            back = now();
        }
    }
    assert!(pending(&mut connection).await >= PENDING, "the fault came too late");
    eventually(PATIENCE * 2, || async { system.count(&["QUEUED", "RUNNING"]).await == 0 }).await;
    worker.signal(Signal::TERM);
    worker.ended(PATIENCE).await;
    measure(&mut connection, queue, back).await
}

/// Measures by the attempts' rows, and checks that every job has run once.
async fn measure(connection: &mut PgConnection, queue: &str, back: f64) -> Drained {
    let row = sqlx::query(
        "WITH attempt AS (
             SELECT attempts.* FROM attempts JOIN jobs ON jobs.id = attempts.job_id WHERE queue = $1
         ), first AS (
             SELECT min(started_at) AS at FROM attempt WHERE started_at > to_timestamp($2 / 1000)
         )
         SELECT (SELECT count(*) FROM attempt), (SELECT count(DISTINCT job_id) FROM attempt WHERE outcome = 'succeeded'),
             extract(epoch FROM first.at)::float8 * 1000 - $2,
             (SELECT count(*) / extract(epoch FROM max(finished_at) - first.at) FROM attempt WHERE started_at >= first.at)::float8
         FROM first",
    );
    let row = row.bind(queue).bind(back).fetch_one(connection).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (JOBS as i64, JOBS as i64), "each job once");
    Drained { started_again_after: row.get(2), rate: row.get(3) }
}
