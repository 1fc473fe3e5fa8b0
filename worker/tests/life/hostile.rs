//! A command whose templates do too much ends its job, and nothing else.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use callboard_test_support::{Database, eventually};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::system::{PATIENCE, Settings, System};

/// Each ended the worker that composed it.
const HOSTILE: [&str; 3] = [
    "{% set n=namespace(x=[1]) %}{% for i in range(60) %}{% set n.x=[n.x,n.x] %}{% endfor %}{{ n.x|tojson }}",
    "{% set n=namespace(x=[1]) %}{% for i in range(60) %}{% set n.x=n.x+n.x %}{% endfor %}{{ n.x|tojson }}",
    "MINUS",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_command_does_too_much_fails_and_its_worker_goes_on() {
    let (database, redis) = tokio::join!(Database::create(), callboard_test_support::private_redis());
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let mut system = System::with(Settings::new(database.url(), redis.url()), redis, Some(database), 0).await;
    let policy = json!({ "maxAttempts": 1 });
    let mut jobs = Vec::new();
    for (index, hostile) in HOSTILE.iter().enumerate() {
        let name = format!("hostile {index}");
        let command = system.shell(&name, "true", policy.clone()).await;
        jobs.push(system.enqueue(json!({ "commandId": command })).await);
        // An older version may have let it pass.
        let template = hostile.replace("MINUS", &format!("{{{{ {}1 }}}}", "-".repeat(8000)));
        let spec = json!({ "kind": "program", "program": "/bin/sh", "arguments": [template] });
        let statement = "UPDATE command_versions SET spec = $1 WHERE name = $2";
        let done = sqlx::query(statement).bind(spec).bind(name).execute(&mut connection).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
    let worker = system.add_worker(2).await;
    for job in jobs {
        let job = system.until(&job, "FAILED", PATIENCE).await;
        assert_eq!(job["failure"]["code"], "NOT_COMPOSABLE", "{job:#}");
    }
    let harmless = system.shell("harmless", "echo 1", policy).await;
    let harmless = system.enqueue(json!({ "commandId": harmless })).await;
    let job = system.until(&harmless, "SUCCEEDED", PATIENCE).await;
    let ran_by = &job["attempts"]["nodes"][0]["worker"]["processId"];
    assert_eq!(*ran_by, json!(system.workers[worker].pid()), "{job:#}");
    system.until_clean(Duration::from_secs(20)).await;
}

/// Kills the evaluators of a worker as soon as they start, until it is told to end.
fn kill_evaluators(worker: u32, is_over: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            let threads = fs::read_dir(format!("/proc/{worker}/task")).unwrap().flatten();
            let of_threads =
                threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
            let all: String = of_threads.map(|list| list + " ").collect();
            for child in all.split_whitespace().filter_map(|child| child.parse::<i32>().ok()) {
                let command = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
                if String::from_utf8_lossy(&command).contains("evaluate") {
                    let child = rustix::process::Pid::from_raw(child).unwrap();
                    // It may have ended.
                    let _gone = rustix::process::kill_process(child, rustix::process::Signal::KILL);
                }
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_released_while_its_command_cannot_be_evaluated() {
    let mut system = System::start(0).await;
    let template = "{% for a in [1] %}{{ a }}{% endfor %}";
    let spec = json!({ "program": { "program": "/bin/echo", "arguments": [template] } });
    let command = json!({ "name": "loops", "spec": spec, "policy": { "maxAttempts": 1 } });
    let command = system.make("commandCreate", "command", command).await;
    let job = system.enqueue(json!({ "commandId": command })).await;
    let worker = system.add_worker(1).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let killing = kill_evaluators(system.workers[worker].pid(), Arc::clone(&is_over));
    eventually(PATIENCE, || async {
        let job = system.job(&job).await;
        let attempts = job["attempts"]["nodes"].as_array().unwrap();
        attempts.iter().any(|attempt| attempt["outcome"] == "RELEASED").then_some(())
    })
    .await;
    is_over.store(true, Ordering::Relaxed);
    killing.join().unwrap();
    let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
    let outcomes: Vec<_> = job["attempts"]["nodes"].as_array().unwrap().iter().collect();
    let is_known =
        |attempt: &&serde_json::Value| attempt["outcome"] == "RELEASED" || attempt["outcome"] == "SUCCEEDED";
    assert!(outcomes.iter().all(is_known), "{job:#}");
}
