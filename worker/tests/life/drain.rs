//! Workers that drain, or that are stopped for a while.

use std::time::{Duration, Instant};

use callboard_test_support::eventually;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System},
};

/// The id of the worker with this process.
async fn worker_id(system: &System, pid: u32) -> String {
    let workers = system.data("{ workers { id processId } }", json!({})).await["workers"].take();
    let workers = workers.as_array().unwrap();
    let worker = workers.iter().find(|worker| worker["processId"] == pid).unwrap();
    worker["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_worker_finishes_its_jobs_after_sigterm() {
    let mut system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let script = format!("echo begin >> {0}; sleep 1; echo end >> {0}", ledger.path());
    let command = system.shell("short", &script, json!({})).await;
    let jobs = system.enqueue_all(vec![json!({ "commandId": command }); 12]).await;
    eventually(PATIENCE, || async { ledger.lines().len() >= 4 }).await;
    system.workers[0].signal(Signal::TERM);
    assert!(system.workers[0].ended(PATIENCE).await.success());
    let counts = ledger.counts();
    assert_eq!(counts["begin"], counts["end"], "every started job has ended");
    assert!(counts["begin"] < 12, "nothing new was taken");
    assert_eq!(system.count(&["RUNNING"]).await, 0);
    system.add_worker(4).await;
    for job in &jobs {
        let job = system.until(job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(job["attempts"]["nodes"].as_array().unwrap().len(), 1);
    }
    assert_eq!(ledger.counts()["end"], 12);
}

#[tokio::test]
async fn a_worker_drained_over_graphql_finishes_its_jobs_and_exits() {
    let mut system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let script = format!("echo begin >> {0}; sleep 3; echo end >> {0}", ledger.path());
    let command = system.shell("short", &script, json!({})).await;
    let jobs = system.enqueue_all(vec![json!({ "commandId": command }); 8]).await;
    eventually(PATIENCE, || async { ledger.lines().len() == 4 }).await;

    let id = worker_id(&system, system.workers[0].pid()).await;
    let query =
        "mutation($id: ID!) { workerDrain(input: { id: $id }) { worker { status } userErrors { code } } }";
    let answer = system.data(query, json!({ "id": id })).await;
    let expected = json!({ "worker": { "status": "DRAINING" }, "userErrors": [] });
    assert_eq!(answer["workerDrain"], expected);
    assert!(system.workers[0].ended(PATIENCE).await.success());
    assert_eq!(ledger.counts()["begin"], 4, "nothing new was taken: {:?}", ledger.lines());
    assert_eq!(ledger.counts()["end"], 4, "every started job has ended");
    let status = system
        .data("query($id: ID!) { node(id: $id) { ... on Worker { status } } }", json!({ "id": id }))
        .await;
    assert_eq!(status["node"]["status"], "GONE");

    system.add_worker(4).await;
    for job in &jobs {
        let job = system.until(job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(job["attempts"]["nodes"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_job_that_outlasts_the_grace_is_released_and_its_attempt_does_not_count() {
    let mut system = System::start(1).await;
    let ledger = Ledger::open(&system);
    // Takes long only the first time.
    let script = format!("n=$(wc -l < {0}); echo run >> {0}; test $n -gt 0 || sleep 600", ledger.path());
    let command = system.shell("long", &script, json!({ "maxAttempts": 1, "grace": "PT1S" })).await;
    let job = system.enqueue(json!({ "commandId": command })).await;
    eventually(PATIENCE, || async { ledger.lines().len() == 1 }).await;
    // A second signal ends the grace period of half a minute.
    system.workers[0].signal(Signal::TERM);
    eventually(PATIENCE, || async {
        let workers = system.data("{ workers { status } }", json!({})).await;
        workers["workers"][0]["status"] == "DRAINING"
    })
    .await;
    let asked = Instant::now();
    system.workers[0].signal(Signal::TERM);
    assert!(system.workers[0].ended(PATIENCE).await.success());
    assert!(asked.elapsed() < Duration::from_secs(10), "at once, not after {:?}", asked.elapsed());
    system.until_clean(Duration::from_secs(2)).await;

    system.add_worker(4).await;
    let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
    let outcomes: Vec<_> =
        job["attempts"]["nodes"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["RELEASED", "SUCCEEDED"], "{job:#}");
}

#[tokio::test]
async fn a_worker_without_a_lease_claims_nothing() {
    let mut system = System::start(0).await;
    system.set("CALLBOARD_LEASE", "4");
    for _ in 0..2 {
        system.add_worker(4).await;
    }
    let command = system.shell("short", "true", json!({})).await;
    let stopped = worker_id(&system, system.workers[0].pid()).await;
    system.workers[0].signal(Signal::STOP);
    // The other worker declares it lost.
    eventually(PATIENCE, || async {
        let workers = system.data("{ workers { id status } }", json!({})).await["workers"].take();
        workers.as_array().unwrap().contains(&json!({ "id": stopped, "status": "LOST" }))
    })
    .await;
    system.workers[1].signal(Signal::TERM);
    assert!(system.workers[1].ended(PATIENCE).await.success());
    let jobs = system.enqueue_all(vec![json!({ "commandId": command }); 40]).await;
    system.workers[0].signal(Signal::CONT);
    for job in &jobs {
        let job = system.until(job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(job["attempts"]["nodes"].as_array().unwrap().len(), 1, "{job:#}");
    }
}
