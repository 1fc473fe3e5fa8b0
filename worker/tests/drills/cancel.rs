//! Cancel of running jobs on other processes: when they are told, and when it is over.

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
/// At a time: what two workers can run.
const WAVE: usize = 8;
const GRACE: Duration = Duration::from_secs(2);
const TOLD_WITHIN: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes three minutes: script/drill cancel"]
async fn cancel() {
    let system = System::start(2).await;
    let ledger = Ledger::open(&system);
    // Says when it is told; half of them do not listen.
    let script = format!(
        "trap 'echo \"$(date +%s%3N) $CALLBOARD_JOB told\" >>{0}; test \"$1\" || exit 0' TERM
        echo \"0 $CALLBOARD_JOB ready\" >>{0}
        while :; do sleep 0.01; done",
        ledger.path()
    );
    let command = system.shell("told", &script, json!({ "grace": "PT2S" })).await;
    let (mut told, mut polite, mut stubborn) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CANCELS / WAVE {
        let order = |number: usize| {
            let word = if is_polite(number) { "" } else { "no" };
            json!({ "commandId": command, "input": { "word": word } })
        };
        let jobs = system.enqueue_all((0..WAVE).map(order).collect()).await;
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
            told.push(line(&ledger, job, "told").unwrap() - asked);
            let finished = answer["attempts"]["nodes"][0]["finishedAt"].as_str().unwrap();
            let finished = chrono::DateTime::parse_from_rfc3339(finished).unwrap();
            let took = finished.timestamp_micros() as f64 / 1000.0 - asked;
            if is_polite(number) { polite.push(took) } else { stubborn.push(took) }
        }
    }
    let (told, polite, stubborn) = (Times::new(told), Times::new(polite), Times::new(stubborn));
    println!("jobCancel until the program has its SIGTERM: {told}");
    println!("until CANCELLED, of programs that listen: {polite}");
    println!("until CANCELLED, of programs that do not, with a grace of {GRACE:?}: {stubborn}");
    told.assert_p99(TOLD_WITHIN);
    polite.assert_p99(Duration::from_secs(1));
    stubborn.assert_p99(GRACE + Duration::from_secs(1));
}

/// Whether this job of a wave listens.
fn is_polite(number: usize) -> bool {
    number < WAVE / 2
}

/// The time in a job's line of that kind.
fn line(ledger: &Ledger, job: &str, kind: &str) -> Option<f64> {
    let end = format!(" {job} {kind}");
    ledger.lines().iter().find_map(|line| line.strip_suffix(&end)?.parse().ok())
}
