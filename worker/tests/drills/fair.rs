//! Fairness: how long ten jobs wait, alone and while another lane has a hundred thousand jobs
//! ahead.

use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::{
    Times,
    system::{PATIENCE, System, between},
};

const SLOTS: u16 = 4;
const OTHERS: usize = 100_000;
const FEW: usize = 10;
/// How often ten jobs are enqueued.
const ROUNDS: usize = 10;
/// Most that ten jobs may wait beside the other lane, as a multiple of their wait alone.
const RATIO_MAX: f64 = 2.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: script/drill fair"]
async fn fair() {
    let mut system = System::start(0).await;
    for _ in 0..2 {
        system.add_worker(SLOTS).await;
    }
    let command = system.shell("work", "sleep 0.1", json!({})).await;
    let request = |lane: &str| json!({ "commandId": command, "fairnessKey": lane });
    few(&system, &request("few")).await;

    let alone = few(&system, &request("few")).await;
    println!("ten jobs alone, from enqueued to started: {alone}, p95 {:.0} ms", alone.percentile(95));
    for _ in 0..OTHERS / 1000 {
        system.enqueue_all(vec![request("many"); 1000]).await;
    }
    eventually(PATIENCE, || async { (system.count(&["RUNNING"]).await > 0).then_some(()) }).await;
    let beside = few(&system, &request("few")).await;
    println!("ten jobs beside {OTHERS} of another lane: {beside}, p95 {:.0} ms", beside.percentile(95));
    let left =
        system.data("{ queues { counts { queued } } }", json!({})).await["queues"][0]["counts"]["queued"]
            .take();
    assert!(
        left.as_u64().unwrap() > OTHERS as u64 / 2,
        "the other lane was busy all the time: {left} jobs are left"
    );
    let ratio = beside.percentile(95) / alone.percentile(95);
    println!("{ratio:.2} times as long at p95");
    assert!(ratio <= RATIO_MAX, "{ratio}");
}

/// Repeatedly enqueues ten jobs and waits until all have ended. Returns how long each waited to
/// start.
async fn few(system: &System, request: &Value) -> Times {
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        for job in system.enqueue_all(vec![request.clone(); FEW]).await {
            let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
            waits.push(between(&job["createdAt"], &job["startedAt"]).as_secs_f64() * 1000.0);
        }
    }
    Times::new(waits)
}
