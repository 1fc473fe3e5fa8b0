//! Stops a worker with SIGSTOP for 30 seconds: its children are dead before others run its jobs.

use std::time::Duration;

use callboard_test_support::eventually;
use rustix::process::Signal;
use serde_json::json;

use crate::{
    Times,
    ledger::Ledger,
    system::{PATIENCE, System},
};

const STOPS: usize = 10;
const STOPPED: Duration = Duration::from_secs(30);
/// Programs of a worker when it is stopped, besides a browser.
const PROGRAMS: usize = 3;

/// Writes a tick every hundredth of a second, and so does a child in a session of its own. The
/// first attempt does not end by itself.
fn program(ledger: &Ledger) -> String {
    format!(
        "say() {{ read t _ </proc/uptime; echo \"$t $CALLBOARD_JOB $CALLBOARD_ATTEMPT\" >>{0}; sleep 0.01; }}
        (trap '' TERM HUP; setsid sh -c 'while read t _ </proc/uptime; do
            echo \"$t $CALLBOARD_JOB $CALLBOARD_ATTEMPT\" >>{0}; sleep 0.01; done') &
        i=0; while test $CALLBOARD_ATTEMPT -eq 1 -o $i -lt 100; do say; i=$((i + 1)); done",
        ledger.path()
    )
}

fn browser(ledger: &Ledger) -> String {
    format!(
        "import {{ appendFileSync, readFileSync }} from 'node:fs';
        const {{ CALLBOARD_JOB: job, CALLBOARD_ATTEMPT: attempt }} = process.env;
        export default async ({{ page }}) => {{
            await page.goto('data:text/html,<title>here</title>');
            for (let tick = 0; attempt === '1' || tick < 100; tick++) {{
                await page.evaluate(() => document.title);
                appendFileSync('{}', `${{readFileSync('/proc/uptime', 'utf8').split(' ')[0]}} ${{job}} ${{attempt}}\n`);
                await page.waitForTimeout(10);
            }}
        }};",
        ledger.path()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes seven minutes: script/drill stop"]
async fn stop() {
    let mut system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let command = system.shell("ticks", &program(&ledger), json!({})).await;
    let browses = system.browser("browses", &browser(&ledger), json!({})).await;
    let profile = system.profile("p").await;
    let mut gaps = Vec::new();
    for _ in 0..STOPS {
        let mut requests = vec![json!({ "commandId": command }); PROGRAMS];
        requests.push(json!({ "commandId": browses, "profileId": profile }));
        let jobs = system.enqueue_all(requests).await;
        eventually(PATIENCE, || async { jobs.iter().all(|job| !ticks(&ledger, job, 1).is_empty()) }).await;
        system.add_worker(4).await;
        let mut stopped = system.workers.remove(0);
        stopped.signal(Signal::STOP);
        tokio::time::sleep(STOPPED).await;
        stopped.signal(Signal::CONT);
        for job in &jobs {
            let ended = system.until(job, "SUCCEEDED", PATIENCE).await;
            assert_eq!(ended["attempts"]["nodes"][0]["outcome"], "LOST", "{ended:#}");
            let (first, second) = (ticks(&ledger, job, 1), ticks(&ledger, job, 2));
            let last = first.iter().copied().fold(0.0, f64::max);
            gaps.push((second[0] - last) * 1000.0);
        }
        stopped.signal(Signal::TERM);
        assert!(stopped.ended(PATIENCE).await.success(), "it takes jobs again, and drains");
    }
    let (shortest, gaps) = (gaps.iter().copied().fold(f64::MAX, f64::min), Times::new(gaps));
    println!(
        "SIGSTOP of a worker for 30 s, {STOPS} times, from the last tick of a first attempt to the first of the second: \
        at least {shortest:.0} ms; {gaps}"
    );
    assert!(shortest > 0.0, "two attempts of one job at once");
    system.until_clean(PATIENCE).await;
}

/// The ticks of an attempt, in seconds, in the order in which they were written.
fn ticks(ledger: &Ledger, job: &str, attempt: i32) -> Vec<f64> {
    let end = format!(" {job} {attempt}");
    ledger.lines().iter().filter_map(|line| line.strip_suffix(&end)?.parse().ok()).collect()
}
