//! Browsers that hang: they time out, all their processes are killed, and the profile is free at
//! once.

use std::time::Duration;

use serde_json::json;

use crate::{
    ledger::Ledger,
    system::{PATIENCE, System, between},
};

const GRACE: Duration = Duration::from_secs(1);

/// How long this machine, as busy as it is, takes for a run that only opens a page. Bounds of time
/// are made of it, so that they hold on any machine.
struct Pace(Duration);

impl Pace {
    async fn measure(system: &System, profile: &str, name: &str) -> Self {
        let look = "export default async ({ page }) => { await page.goto('about:blank'); return 'open'; };";
        let command = system.browser(name, look, json!({ "maxAttempts": 1 })).await;
        let job = system.enqueue(json!({ "commandId": command, "profileId": profile })).await;
        let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(job["result"], "open");
        let attempt = &job["attempts"]["nodes"][0];
        let pace = Self(between(&attempt["startedAt"], &attempt["finishedAt"]));
        system.until_clean(pace.moment()).await;
        pace
    }

    /// A timeout before which a script has surely opened its page, in whole seconds.
    fn timeout(&self) -> Duration {
        Duration::from_secs((self.0 * 4).as_secs().clamp(10, 50))
    }

    /// What is at once.
    fn moment(&self) -> Duration {
        self.0.max(Duration::from_secs(2))
    }
}

/// Runs a script whose last line hangs, on a profile, and checks its end.
async fn hangs(last_line: &str) {
    let system = System::start(1).await;
    let ledger = Ledger::open(&system);
    let profile = system.profile("p").await;
    let pace = Pace::measure(&system, &profile, "before").await;
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
    let timeout = pace.timeout();
    let policy = json!({ "timeout": format!("PT{}S", timeout.as_secs()),
        "grace": format!("PT{}S", GRACE.as_secs()), "maxAttempts": 1 });
    let command = system.browser("hangs", &script, policy).await;
    let job = system.enqueue(json!({ "commandId": command, "profileId": profile })).await;
    let job = system.until(&job, "FAILED", PATIENCE).await;
    assert_eq!(ledger.lines(), ["here"], "the script reached its last line: {job:#}");
    let attempt = &job["attempts"]["nodes"][0];
    assert_eq!((&attempt["outcome"], &job["failure"]["code"]), (&json!("TIMED_OUT"), &json!("TIMEOUT")));
    let took = between(&attempt["startedAt"], &attempt["finishedAt"]);
    assert!(took >= timeout, "not before the timeout: {took:?}");
    assert!(took <= timeout + GRACE + pace.moment(), "within the grace and a moment: {took:?}");
    system.until_clean(pace.moment()).await;

    Pace::measure(&system, &profile, "after").await;
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
    let pace = Pace::measure(&system, &system.profile("p").await, "before").await;
    let script = "export default async ({ page, log }) => {
            log.debug('detail'); log('plain'); log.warn('careful'); log.error('bad');
            await page.locator('#never').click({ timeout: 0 });
        };";
    let timeout = format!("PT{}S", pace.timeout().as_secs());
    let policy = json!({ "timeout": timeout, "grace": "PT10S", "maxAttempts": 1 });
    let command = system.browser("waits", script, policy).await;
    let id = system.enqueue(json!({ "commandId": command })).await;
    let job = system.until(&id, "FAILED", PATIENCE).await;
    let message = job["failure"]["message"].as_str().unwrap_or_default();
    let waited =
        r##"stopped by SIGTERM while the script waited for locator.click("#never") at script.mjs:3:"##;
    let expected = format!("The attempt took longer than its timeout of {timeout}. When it ended: {waited}");
    assert!(message.starts_with(&expected), "{job:#}");
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
    system.until_clean(pace.moment()).await;
}

#[tokio::test]
async fn what_a_script_leaves_in_the_artifacts_directory_is_kept_once() {
    let system = System::start(1).await;
    let script = "import fs from 'node:fs';
        export default async ({ artifact, log }) => {
            process.chdir(process.env.CALLBOARD_ARTIFACTS);
            fs.writeFileSync('own.csv', 'a,b');
            fs.writeFileSync('.hidden', 'x');
            fs.symlinkSync('/etc/passwd', 'link');
            await artifact('told.txt', 'x');
            log('a'); log(''); log('b');
            throw new Error('in the end');
        };";
    let command = system.browser("leaves", script, json!({ "maxAttempts": 1 })).await;
    let id = system.enqueue(json!({ "commandId": command })).await;
    system.until(&id, "FAILED", PATIENCE).await;
    let query =
        "query($id: ID!) { job(id: $id) { artifacts { name } log(first: 100) { nodes { stream text } } } }";
    let job = system.data(query, json!({ "id": id })).await["job"].take();
    let mut names: Vec<&str> =
        job["artifacts"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["own.csv", "told.txt"], "{job:#}");
    let lines = |stream: &str| -> Vec<&str> {
        let nodes = job["log"]["nodes"].as_array().unwrap().iter();
        nodes.filter(|line| line["stream"] == stream).map(|line| line["text"].as_str().unwrap()).collect()
    };
    assert_eq!(lines("STDOUT"), ["a", "", "b"], "{job:#}");
    assert!(lines("SYSTEM").iter().any(|line| line.starts_with("The file \"link\" was not kept")), "{job:#}");
}
