//! Fairness: when ten jobs start, alone and while another lane has a hundred thousand in front of them.

use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::{
    Times,
    system::{PATIENCE, System, between},
};

const SLOTS: u16 = 4;
const OTHERS: usize = 100_000;
const FEW: usize = 10;
/// How often ten jobs are enqueued and waited for.
const ROUNDS: usize = 10;
/// So many times as long as alone they may take.
const RATIO_MAX: f64 = 2.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: script/drill fair"]
async fn fair() {
    let mut system = System::start(0).await;
    for _ in 0..2 {
        system.add_worker(SLOTS).await;
    }
    let command = system.shell("work", "sleep 0.1", json!({})).await;
    let order = |lane: &str| json!({ "commandId": command, "fairnessKey": lane });
    few(&system, &order("few")).await;

    let alone = few(&system, &order("few")).await;
    println!("ten jobs alone, from enqueued to started: {alone}, p95 {:.0} ms", alone.percentile(95));
    for _ in 0..OTHERS / 1000 {
        system.enqueue_all(vec![order("many"); 1000]).await;
    }
    eventually(PATIENCE, || async { (system.count(&["RUNNING"]).await > 0).then_some(()) }).await;
    let beside = few(&system, &order("few")).await;
    println!("ten jobs beside {OTHERS} of another lane: {beside}, p95 {:.0} ms", beside.percentile(95));
    let left =
        system.data("{ queues { counts { queued } } }", json!({})).await["queues"][0]["counts"]["queued"]
            .take();
    assert!(left.as_u64().unwrap() > OTHERS as u64 / 2, "the other lane has {left} left, so it was busy");
    let ratio = beside.percentile(95) / alone.percentile(95);
    println!("{ratio:.2} times as long at p95");
    assert!(ratio <= RATIO_MAX, "{ratio}");
}

/// Enqueues ten jobs, waits until all have ended, and again: how long each waited for its start.
async fn few(system: &System, order: &Value) -> Times {
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        for job in system.enqueue_all(vec![order.clone(); FEW]).await {
            let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
            waits.push(between(&job["createdAt"], &job["startedAt"]).as_secs_f64() * 1000.0);
        }
    }
    Times::new(waits)
}
