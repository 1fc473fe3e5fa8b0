//! A killed worker: nothing of it is left, and its jobs run elsewhere.

use std::time::{Duration, Instant};

use callboard_test_support::eventually;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System},
};

/// Hangs in an open page the first time it runs, and succeeds the second time.
fn hangs_once(ledger: &Ledger) -> String {
    format!(
        "import {{ appendFileSync, readFileSync }} from 'node:fs';
        export default async ({{ page }}) => {{
            await page.goto('data:text/html,<title>here</title>');
            const again = readFileSync('{0}', 'utf8').length > 0;
            appendFileSync('{0}', 'here\\n');
            if (!again) await new Promise(() => {{}});
            return await page.title();
        }};",
        ledger.path()
    )
}

#[tokio::test]
async fn a_killed_worker_with_a_browser_leaves_nothing_and_its_job_runs_elsewhere() {
    let mut system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let command = system.browser("hangs once", &hangs_once(&ledger), json!({})).await;
    let profile = system.profile("p").await;
    let job = system.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    eventually(PATIENCE, || async { ledger.lines().len() == 1 }).await;
    assert!(system.processes().len() >= 6, "a shim, Node, and Chromium with its children");
    system.add_worker(4).await;

    let pid = system.workers[0].pid();
    system.workers[0].signal(Signal::KILL);
    let killed = Instant::now();
    system.workers[0].ended(PATIENCE).await;
    // Idle shims do not mention the home, so every process that does is the attempt's.
    let gone = || async { ledger.lines().len() > 1 || system.processes().is_empty() };
    eventually(Duration::from_secs(2), gone).await;
    assert_eq!(ledger.lines().len(), 1, "the first attempt is gone before the second starts");
    eventually(PATIENCE, || async { system.job(&job).await["state"] == "RUNNING" }).await;
    eventually(PATIENCE, || async {
        system.job(&job).await["attempts"]["nodes"].as_array().unwrap().len() == 2
    })
    .await;
    assert!(killed.elapsed() < Duration::from_secs(10), "elsewhere after {:?}", killed.elapsed());

    let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
    let (first, second) = (&job["attempts"]["nodes"][0], &job["attempts"]["nodes"][1]);
    assert_eq!((&first["outcome"], &second["outcome"]), (&json!("LOST"), &json!("SUCCEEDED")));
    assert_eq!(first["worker"]["processId"], pid);
    assert_eq!(second["worker"]["processId"], system.workers[1].pid());
    assert_eq!(job["result"], "here");
    // Workers sweep the killed worker's directories every ten seconds.
    system.until_clean(Duration::from_secs(15)).await;
}
