//! Redis can be rebuilt: whatever happens to it, every job runs once.

use std::time::{Duration, Instant};

use callboard_test_support::{eventually, redis_cli};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System},
};

/// A command whose jobs write their number and attempt to the ledger.
async fn numbered(system: &System, ledger: &Ledger) -> String {
    let script = format!("echo $1 $CALLBOARD_ATTEMPT >> {}", ledger.path());
    system.shell("numbered", &script, json!({})).await
}

fn jobs(command: &str, numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|number| json!({ "commandId": command, "input": { "word": number.to_string() } })).collect()
}

#[tokio::test]
async fn three_thousand_jobs_survive_flushall_and_a_killed_worker_that_holds_references() {
    const JOBS: usize = 3000;
    let mut system = System::start(2).await;
    let ledger = Ledger::open(&system);
    let command = numbered(&system, &ledger).await;
    for from in (0..JOBS).step_by(1000) {
        system.enqueue_all(jobs(&command, from..from + 1000)).await;
    }
    eventually(PATIENCE, || async { ledger.lines().len() >= 200 }).await;

    assert_eq!(redis_cli(&system.redis, &["FLUSHALL"]), "OK\n");
    // The workers hold fewer references than this, so jobs have been handed out again.
    let (flushed, before) = (Instant::now(), ledger.lines().len());
    eventually(PATIENCE, || async { ledger.lines().len() > before + 60 }).await;
    let pause = flushed.elapsed();
    assert!(pause < Duration::from_secs(3), "goes on within a second and then runs sixty: {pause:?}");

    system.workers[0].signal(Signal::KILL);
    let patience = PATIENCE * 2;
    eventually(patience, || async { system.count(&["SUCCEEDED"]).await == JOBS as u64 }).await;
    // Only jobs of the killed worker may have written twice, and each attempt once.
    let counts = ledger.counts();
    assert!(counts.values().all(|&count| count == 1), "an attempt ran twice");
    let numbers: std::collections::BTreeSet<&str> =
        counts.keys().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(numbers.len(), JOBS);
    let again = counts.keys().filter(|line| !line.ends_with(" 1")).count();
    assert!(again <= 4, "only the killed worker's jobs, at most four, ran again: {again}");
    assert!(counts.len() <= JOBS + again);
}

#[tokio::test]
async fn without_redis_jobs_are_accepted_and_run_when_it_is_back() {
    let system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let command = numbered(&system, &ledger).await;
    system.enqueue_all(jobs(&command, 0..5)).await;
    eventually(PATIENCE, || async { system.count(&["SUCCEEDED"]).await == 5 }).await;
    system.redis.kill();
    system.enqueue(jobs(&command, 5..6).remove(0)).await;
    system.enqueue_all(jobs(&command, 6..20)).await;
    system.redis.start().await;
    eventually(PATIENCE, || async { system.count(&["SUCCEEDED"]).await == 20 }).await;
    assert_eq!(ledger.lines().len(), 20);
}
