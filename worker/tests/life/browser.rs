//! Browsers that hang: they time out, all their processes are killed, and the profile is free at
//! once.

use std::time::Duration;

use serde_json::json;

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System, between},
};

const TIMEOUT: Duration = Duration::from_secs(12);
const GRACE: Duration = Duration::from_secs(1);

/// Runs a script whose last line hangs, on a profile, and checks its end.
async fn hangs(last_line: &str) {
    let system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let script = format!(
        "import {{ appendFileSync, readFileSync }} from 'node:fs';
        const familyOf = (pid) => {{
            const children = readFileSync(`/proc/${{pid}}/task/${{pid}}/children`, 'utf8').split(' ').filter(Boolean);
            return children.flatMap((child) => [child, ...familyOf(child)]);
        }};
        export default async ({{ page }}) => {{
            await page.goto('data:text/html,<title>here</title>');
            appendFileSync('{}', 'here\\n');
            {last_line}
        }};",
        ledger.path()
    );
    let policy = json!({ "timeout": format!("PT{}S", TIMEOUT.as_secs()),
        "grace": format!("PT{}S", GRACE.as_secs()), "maxAttempts": 1 });
    let command = system.browser("hangs", &script, policy).await;
    let profile = system.profile("p").await;
    let job = system.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    let job = system.until(&job, "FAILED", PATIENCE).await;
    assert_eq!(ledger.lines(), ["here"], "the script reached its last line: {job:#}");
    let attempt = &job["attempts"]["nodes"][0];
    assert_eq!((&attempt["outcome"], &job["failure"]["code"]), (&json!("TIMED_OUT"), &json!("TIMEOUT")));
    let took = between(&attempt["startedAt"], &attempt["finishedAt"]);
    assert!(took >= TIMEOUT, "not before the timeout: {took:?}");
    assert!(took <= TIMEOUT + GRACE + Duration::from_secs(1), "within the grace and a second: {took:?}");
    system.until_clean(Duration::from_secs(2)).await;

    let look = "export default async ({ page }) => { await page.goto('about:blank'); return 'open'; };";
    let command = system.browser("look", look, json!({ "maxAttempts": 1 })).await;
    let job = system.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    assert_eq!(system.until(&job, "SUCCEEDED", PATIENCE).await["result"], "open");
    system.until_clean(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_script_in_an_endless_loop_times_out() {
    hangs("for (;;);").await;
}

#[tokio::test]
async fn a_busy_renderer_times_out() {
    hangs("await page.evaluate(() => { for (;;); });").await;
}

#[tokio::test]
async fn a_stopped_browser_times_out() {
    hangs("for (const pid of familyOf(process.pid)) process.kill(pid, 'SIGSTOP'); await page.title();").await;
}

#[tokio::test]
async fn a_timeout_says_what_the_script_waited_for_and_levels_are_told_apart() {
    let system = System::start(1).await;
    let script = "export default async ({ page, log }) => {
            log.debug('detail'); log('plain'); log.warn('careful'); log.error('bad');
            await page.locator('#never').click({ timeout: 0 });
        };";
    let policy = json!({ "timeout": "PT10S", "grace": "PT10S", "maxAttempts": 1 });
    let command = system.browser("waits", script, policy).await;
    let id = system.enqueue(json!({ "commandId": command })).await;
    let job = system.until(&id, "FAILED", PATIENCE).await;
    let message = job["failure"]["message"].as_str().unwrap_or_default();
    let expected = r##"The attempt took longer than its timeout of PT10S. When it ended: stopped by SIGTERM while the script waited for locator.click("#never") at script.mjs:3:"##;
    assert!(message.starts_with(expected), "{job:#}");
    let query = "query($id: ID!) { job(id: $id) { log(first: 100) { nodes { stream text } } } }";
    let log = system.data(query, json!({ "id": id })).await["job"]["log"]["nodes"].clone();
    for (stream, text) in
        [("STDOUT", "[debug] detail"), ("STDOUT", "plain"), ("STDERR", "[warn] careful"), ("STDERR", "bad")]
    {
        let line = json!({ "stream": stream, "text": text });
        assert!(log.as_array().unwrap().contains(&line), "{line} in {log:#}");
    }
    let is_protocol = |line: &serde_json::Value| {
        line["text"].as_str().is_none_or(|text| text.is_empty() || text.contains(r#""v":1"#))
    };
    assert!(!log.as_array().unwrap().iter().any(is_protocol), "nothing of the protocol: {log:#}");
    system.until_clean(Duration::from_secs(2)).await;
}
