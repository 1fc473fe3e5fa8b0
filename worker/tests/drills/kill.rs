//! Kills a worker with SIGKILL: how long until its jobs run elsewhere.

use std::time::Duration;

use callboard_test_support::eventually;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    Times,
    ledger::Ledger,
    now,
    system::{PATIENCE, System},
};

const KILLS: usize = 30;
/// Jobs of a worker when it is killed, one per slot.
const JOBS: usize = 4;
const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes six minutes: script/drill kill"]
async fn kill() {
    let mut system = System::start(1).await;
    let ledger = Ledger::open(&system);
    // Writes when it started. The first attempt does not end by itself.
    let script = format!(
        "echo \"$(date +%s%3N) $CALLBOARD_JOB $CALLBOARD_ATTEMPT\" >>{}; test $CALLBOARD_ATTEMPT -gt 1 || sleep 10000",
        ledger.path()
    );
    let command = system.shell("starts", &script, json!({})).await;
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let jobs = system.enqueue_all(vec![json!({ "commandId": command }); JOBS]).await;
        eventually(PATIENCE, || async { jobs.iter().all(|job| start(&ledger, job, 1).is_some()) }).await;
        system.add_worker(4).await;
        let mut killed = system.workers.remove(0);
        let at = now();
        killed.signal(Signal::KILL);
        for job in &jobs {
            times.push(eventually(PATIENCE, || async { start(&ledger, job, 2) }).await - at);
            let job = system.until(job, "SUCCEEDED", PATIENCE).await;
            assert_eq!(job["attempts"]["nodes"][0]["outcome"], "LOST");
        }
        killed.ended(PATIENCE).await;
    }
    let times = Times::new(times);
    println!("kill -9 of a worker, {KILLS} times, until its jobs run elsewhere: {times}");
    times.assert_p99(LIMIT);
}

/// When an attempt of a job started.
fn start(ledger: &Ledger, job: &str, attempt: i32) -> Option<f64> {
    let end = format!(" {job} {attempt}");
    ledger.lines().iter().find_map(|line| line.strip_suffix(&end)?.parse().ok())
}
