//! Cancels running jobs: how long until their program gets SIGTERM, and until they are CANCELLED.

use std::time::Duration;

use callboard_test_support::eventually;
use serde_json::json;

use crate::{
    Times,
    ledger::Ledger,
    now,
    system::{PATIENCE, System},
};

const CANCELS: usize = 200;
/// Jobs at a time, which two workers can run at once.
const WAVE: usize = 8;
const GRACE: Duration = Duration::from_secs(2);
const SIGNALLED_WITHIN: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes three minutes: script/drill cancel"]
async fn cancel() {
    let system = System::start(2).await;
    let ledger = Ledger::open(&system);
    // Writes when it gets SIGTERM. Half of the programs ignore it.
    let script = format!(
        "trap 'echo \"$(date +%s%3N) $CALLBOARD_JOB signalled\" >>{0}; test \"$1\" || exit 0' TERM
        echo \"0 $CALLBOARD_JOB ready\" >>{0}
        while :; do sleep 0.01; done",
        ledger.path()
    );
    let command = system.shell("signalled", &script, json!({ "grace": "PT2S" })).await;
    let (mut signalled, mut polite, mut stubborn) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CANCELS / WAVE {
        let request = |number: usize| {
            let word = if is_polite(number) { "" } else { "no" };
            json!({ "commandId": command, "input": { "word": word } })
        };
        let jobs = system.enqueue_all((0..WAVE).map(request).collect()).await;
        eventually(PATIENCE, || async { jobs.iter().all(|job| line(&ledger, job, "ready").is_some()) }).await;
        let mut asked = Vec::new();
        for job in &jobs {
            asked.push(now());
            let query = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
            let answer = system.data(query, json!({ "id": job })).await;
            assert_eq!(answer["jobCancel"]["userErrors"], json!([]));
        }
        for (number, (job, asked)) in jobs.iter().zip(asked).enumerate() {
            let answer = system.until(job, "CANCELLED", PATIENCE).await;
            let at = line(&ledger, job, "signalled").unwrap_or_else(|| panic!("no SIGTERM: {answer:#}"));
            signalled.push(at - asked);
            let finished = answer["attempts"]["nodes"][0]["finishedAt"].as_str().unwrap();
            let finished = chrono::DateTime::parse_from_rfc3339(finished).unwrap();
            let took = finished.timestamp_micros() as f64 / 1000.0 - asked;
            if is_polite(number) { polite.push(took) } else { stubborn.push(took) }
        }
    }
    let (signalled, polite, stubborn) = (Times::new(signalled), Times::new(polite), Times::new(stubborn));
    println!("jobCancel until the program has its SIGTERM: {signalled}");
    println!("until CANCELLED, of programs that exit on SIGTERM: {polite}");
    println!("until CANCELLED, of programs that ignore SIGTERM, with a grace of {GRACE:?}: {stubborn}");
    signalled.assert_p99(SIGNALLED_WITHIN);
    polite.assert_p99(Duration::from_secs(1));
    stubborn.assert_p99(GRACE + Duration::from_secs(1));
}

/// Whether this job of a wave exits on SIGTERM.
fn is_polite(number: usize) -> bool {
    number < WAVE / 2
}

/// The time in a job's line of this kind.
fn line(ledger: &Ledger, job: &str, kind: &str) -> Option<f64> {
    let end = format!(" {job} {kind}");
    ledger.lines().iter().find_map(|line| line.strip_suffix(&end)?.parse().ok())
}
