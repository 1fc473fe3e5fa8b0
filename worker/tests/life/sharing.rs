//! Workers share jobs, and jobs on one profile do not overlap.

use std::time::Duration;

use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System},
};

#[tokio::test]
async fn new_workers_take_jobs_at_once() {
    let mut system = System::start(0).await;
    system.add_worker(1).await;
    let command = system.shell("slow", "sleep 0.3", json!({})).await;
    let jobs = system.enqueue_all(vec![json!({ "commandId": command }); 60]).await;
    system.until(&jobs[0], "SUCCEEDED", PATIENCE).await;
    system.add_worker(1).await;
    system.add_worker(1).await;
    eventually(PATIENCE, || async { system.count(&["SUCCEEDED"]).await == 60 }).await;
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Job {
        attempts { nodes { worker { processId } } } } } }";
    let all = system.data(query, json!({ "ids": jobs })).await["nodes"].take();
    let ran = |pid: u32| {
        let by = |job: &&Value| job["attempts"]["nodes"][0]["worker"]["processId"] == pid;
        all.as_array().unwrap().iter().filter(by).count()
    };
    let shares: Vec<usize> = system.workers.iter().map(|worker| ran(worker.pid())).collect();
    assert_eq!(shares.iter().sum::<usize>(), 60);
    assert!(shares.iter().all(|&share| share >= 5), "each runs some: {shares:?}");
}

#[tokio::test]
async fn jobs_on_one_profile_never_overlap() {
    let system = System::start(2).await;
    let ledger = Ledger::open(&system);
    let script = format!("echo begin >> {0}; sleep 0.05; echo end >> {0}", ledger.path());
    let command = system.shell("alone", &script, json!({})).await;
    let profile = system.profile("one").await;
    system.enqueue_all(vec![json!({ "commandId": command, "profileId": profile }); 30]).await;
    eventually(PATIENCE, || async { system.count(&["SUCCEEDED"]).await == 30 }).await;
    let lines = ledger.lines();
    assert_eq!(lines.len(), 60);
    for pair in lines.chunks(2) {
        assert_eq!(pair, ["begin", "end"]);
    }
    system.until_clean(Duration::from_secs(2)).await;
}
