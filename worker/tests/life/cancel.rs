//! A cancel that comes while the process is being started.

use std::fs;

use callboard_test_support::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System, children},
};

#[tokio::test]
async fn a_process_that_is_just_being_started_is_asked_to_end() {
    let system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let script = format!("echo ready >>{}; exec sleep 1000", ledger.path());
    let command = system.shell("sleeps", &script, json!({})).await;
    let first = system.enqueue(json!({ "commandId": command })).await;
    eventually(PATIENCE, || async { ledger.lines().len() == 1 }).await;

    let idle = eventually(PATIENCE, || async {
        let idle = idle_shims(system.workers[0].pid());
        (!idle.is_empty()).then_some(idle)
    })
    .await;
    let stopped = Stopped::new(idle);
    let second = system.enqueue(json!({ "commandId": command })).await;
    system.until(&second, "RUNNING", PATIENCE).await;
    for job in [&second, &first] {
        let query = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
        let answer = system.data(query, json!({ "id": job })).await;
        assert_eq!(answer["jobCancel"]["userErrors"], json!([]));
    }
    // A worker acts on cancels in their order, so it now knows of both.
    system.until(&first, "CANCELLED", PATIENCE).await;
    assert_eq!(system.job(&second).await["state"], "RUNNING", "it is still being started");
    drop(stopped);
    system.until(&second, "CANCELLED", PATIENCE).await;

    let query = "query($id: ID!) { job(id: $id) { attempts(first: 1) { nodes { signal } } } }";
    let attempts = system.data(query, json!({ "id": second })).await["job"]["attempts"]["nodes"].take();
    assert_eq!(attempts, json!([{ "signal": "SIGTERM" }]), "the program ran, and was asked to end");
}

/// The shims of a worker that run nothing.
fn idle_shims(worker: u32) -> Vec<u32> {
    let is_forker =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "callboard-shim\n";
    let forkers = children(worker).into_iter().filter(is_forker);
    forkers.flat_map(children).filter(|shim| children(*shim).is_empty()).collect()
}

/// Stopped processes, which continue when this is dropped: a failed test must leave none.
struct Stopped(Vec<u32>);

impl Stopped {
    fn new(processes: Vec<u32>) -> Self {
        let stopped = Self(processes);
        stopped.signal(Signal::STOP);
        stopped
    }

    fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
    }
}
