//! Results: what a child has told stands, and what cannot be kept is never done again.

use std::{fs, os::unix::fs::PermissionsExt as _};

use callboard_test_support::{Database, eventually, private_redis};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::{
    ledger::Ledger,
    site::{Reply, Site},
    system::{PATIENCE, Settings, System, has_ended},
};

/// A runner that tells its verdict and then does not end as it should. It is a shell script in the
/// place of the runner's main module, with the shell in the place of Node.
const RUNNER: &str = r#"
read -r job
echo "$CALLBOARD_JOB" >> LEDGER
case "$job" in
    *told:failure*) echo '{"v":1,"type":"failure","code":"OUT_OF_STOCK","message":"No.","retryable":false}' ;;
    *) echo '{"v":1,"type":"result","value":{"order":1}}' ;;
esac
case "$job" in
    *then:exits*) exit 1 ;;
    *then:dies*) kill -9 $$ ;;
    *then:fails*)
        echo '{"v":1,"type":"failure","code":"BROWSER_LOST","message":"It is gone.","retryable":true}'
        exit 1 ;;
    *then:tells-another*) echo '{"v":1,"type":"result","value":{"order":2}}' ;;
    *then:keeps-a-file*)
        echo x > "$CALLBOARD_ARTIFACTS/a.txt"
        echo '{"v":1,"type":"artifact","name":"a.txt","contentType":"text/plain","path":"a.txt"}'
        trap 'echo "$CALLBOARD_JOB has stopped" >> LEDGER; exit 1' TERM
        echo "$CALLBOARD_JOB has told" >> LEDGER
        while :; do sleep 0.05; done ;;
    *) trap '' TERM; echo "$CALLBOARD_JOB has told" >> LEDGER; while :; do sleep 1; done ;;
esac
"#;

struct Shop {
    system: System,
    ledger: Ledger,
}

impl Shop {
    async fn open() -> Self {
        Self::on(System::start(0).await).await
    }

    async fn on(mut system: System) -> Self {
        let ledger = Ledger::open(&system);
        let directory = system.home().join("shop/src");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("main.mjs"), RUNNER.replace("LEDGER", &ledger.path())).unwrap();
        for path in [system.home().join("shop"), directory.clone(), directory.join("main.mjs")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        system.set("CALLBOARD_NODE", "/bin/sh");
        system.set("CALLBOARD_RUNNER", &system.home().join("shop").display().to_string());
        system.add_worker(8).await;
        Self { system, ledger }
    }

    /// A job whose child tells a verdict and then does something else.
    async fn order(&self, told: &str, then: &str, policy: Value) -> String {
        let script = format!("export default async () => 'told:{told} then:{then}';");
        let spec = json!({ "playwright": { "script": script, "screenshot": "OFF" } });
        let input = json!({ "name": format!("{told} {then}"), "spec": spec, "policy": policy });
        let command = self.system.make("commandCreate", "command", input).await;
        self.system.enqueue(json!({ "commandId": command })).await
    }

    async fn until_told(&self, job: &str) {
        self.until_line(&format!("{job} has told")).await;
    }

    async fn until_line(&self, line: &str) {
        eventually(PATIENCE, || async { self.ledger.lines().iter().any(|written| written == line) }).await;
    }

    async fn cancel(&self, job: &str) {
        let cancel = "mutation($id: ID!) { jobCancel(input: { id: $id }) { userErrors { code } } }";
        self.system.data(cancel, json!({ "id": job })).await;
    }

    /// The job's end, after one attempt.
    async fn end_of(&self, job: &str, what: &str) -> Value {
        let ended = eventually(PATIENCE, || async {
            let job = self.system.job(job).await;
            has_ended(&job).then_some(job)
        })
        .await;
        let orders = self.ledger.lines().iter().filter(|line| *line == job).count();
        assert_eq!(orders, 1, "{what}: the order was placed again: {ended:#}");
        ended
    }
}

#[tokio::test]
async fn a_result_that_was_told_stands_whatever_ends_the_attempt() {
    let mut shop = Shop::open().await;
    let attempts = json!({ "maxAttempts": 3, "timeout": "PT1M", "grace": "PT0.2S" });
    let short = json!({ "maxAttempts": 3, "timeout": "PT1S", "grace": "PT0.2S" });
    let mut orders = Vec::new();
    for then in ["exits", "dies", "fails", "tells-another"] {
        orders.push((then, shop.order("result", then, attempts.clone()).await));
    }
    orders.push(("reaches its timeout", shop.order("result", "hangs 1", short.clone()).await));
    let cancelled = shop.order("result", "hangs 2", attempts.clone()).await;
    shop.until_told(&cancelled).await;
    shop.cancel(&cancelled).await;
    orders.push(("is cancelled", cancelled));
    let failed = shop.order("failure", "hangs 3", short).await;
    let drained = shop.order("result", "hangs 4", attempts).await;
    shop.until_told(&drained).await;
    for (then, job) in &orders {
        let job = shop.end_of(job, then).await;
        assert_eq!(
            (&job["state"], &job["result"]),
            (&json!("SUCCEEDED"), &json!({ "order": 1 })),
            "{then}: {job:#}"
        );
    }
    let job = shop.end_of(&failed, "a failure").await;
    assert_eq!(
        (&job["state"], &job["failure"]["code"]),
        (&json!("FAILED"), &json!("OUT_OF_STOCK")),
        "{job:#}"
    );

    // The second signal ends the grace of the drain.
    shop.system.workers[0].signal(Signal::TERM);
    eventually(PATIENCE, || async {
        shop.system.data("{ workers { status } }", json!({})).await["workers"][0]["status"] == "DRAINING"
    })
    .await;
    shop.system.workers[0].signal(Signal::TERM);
    let job = shop.end_of(&drained, "is drained").await;
    assert_eq!(job["state"], "SUCCEEDED", "{job:#}");
}

#[tokio::test]
async fn a_file_that_cannot_be_stored_yet_delays_no_cancel() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let url = database.url().to_owned();
    let mut storage = PgConnection::connect(&url).await.unwrap();
    let settings = Settings::new(database.url(), redis.url());
    let shop = Shop::on(System::with(settings, redis, Some(database), 0).await).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE artifacts IN SHARE MODE").execute(&mut storage).await.unwrap();
    let job = shop.order("result", "keeps-a-file", json!({ "grace": "PT30S" })).await;
    shop.until_told(&job).await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'artifacts'::regclass AND NOT granted";
    eventually(PATIENCE, || async {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut connection).await.unwrap() > 0
    })
    .await;
    shop.cancel(&job).await;
    shop.until_line(&format!("{job} has stopped")).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut storage).await.unwrap();
    let ended = shop.end_of(&job, "is cancelled").await;
    assert_eq!(ended["state"], "SUCCEEDED", "its result was told: {ended:#}");
    let query = "query($id: ID!) { job(id: $id) { artifacts { name } } }";
    let kept = shop.system.data(query, json!({ "id": job })).await["job"]["artifacts"].take();
    assert_eq!(kept, json!([{ "name": "a.txt" }]));
}

#[tokio::test]
async fn a_response_of_any_depth_is_one_request() {
    let mut system = System::start(0).await;
    system.set("CALLBOARD_ALLOW_PRIVATE_TARGETS", "true");
    system.add_worker(4).await;
    for levels in [1, 100, 118, 119, 120, 126, 127, 128, 5000] {
        let body: &'static str = format!("{}{}", "[".repeat(levels), "]".repeat(levels)).leak();
        let site =
            Site::start(move |_| Reply::ok().with("content-type", "application/json").saying(body)).await;
        let spec = json!({ "http": { "method": "POST", "url": site.url } });
        let input =
            json!({ "name": format!("{levels} levels"), "spec": spec, "policy": { "maxAttempts": 3 } });
        let command = system.make("commandCreate", "command", input).await;
        let job = system.enqueue(json!({ "commandId": command })).await;
        let ended = eventually(PATIENCE, || async {
            let query = "query($id: ID!) { job(id: $id) { state failure { code message } } }";
            let job = system.data(query, json!({ "id": job })).await["job"].take();
            has_ended(&job).then_some(job)
        })
        .await;
        assert_eq!(ended["state"], "SUCCEEDED", "{levels} levels: {ended:#}");
        assert_eq!(site.exchanges().len(), 1, "{levels} levels");
        // The test's own reader takes 128 levels, those around the result included.
        if levels == 100 {
            let result = system.job(&job).await["result"]["body"].take();
            assert_eq!(result.to_string(), body);
        } else if levels > 119 {
            assert_eq!(system.job(&job).await["result"]["body"], body, "kept as text");
        }
    }
}

#[tokio::test]
async fn what_a_program_prints_becomes_well_formed() {
    let system = System::start(1).await;
    for (name, printed, result) in [
        ("half a pair", r#"{"a":"\ud83d"}"#, json!({ "a": "\u{FFFD}" })),
        ("NUL", r#"{"a":"x\u0000y"}"#, json!({ "a": "x\u{FFFD}y" })),
        ("both in keys", r#"{"\u0000":1,"\ude00b":2}"#, json!({ "\u{FFFD}": 1, "\u{FFFD}b": 2 })),
        ("a whole pair", r#"["\ud83d\ude00"]"#, json!(["😀"])),
    ] {
        let spec = json!({ "program": { "program": "/usr/bin/printf", "arguments": ["%s\n", printed] } });
        let command = system.make("commandCreate", "command", json!({ "name": name, "spec": spec })).await;
        let job = system.enqueue(json!({ "commandId": command })).await;
        let job = system.until(&job, "SUCCEEDED", PATIENCE).await;
        assert_eq!(job["result"], result, "{name}");
    }
}

/// What is not text in UTF-8 from its beginning to its end is kept as it is, whatever it is called.
#[tokio::test]
async fn a_file_says_whether_it_may_hold_secrets_by_its_bytes() {
    let system = System::start(1).await;
    let script = "cd $CALLBOARD_ARTIFACTS
        printf 'a\\303\\251 tok-123456' > utf-8.txt
        printf 'a\\351 tok-123456' > latin-1.txt
        printf 't\\0o\\0k\\0' > utf-16.txt
        head -c 100000 /dev/zero | tr '\\0' x > late.txt
        cp late.txt text
        printf '\\377' >> late.txt
        printf 'PK\\003\\004\\0' > a.zip
        printf '' > empty";
    let command = system.shell("leaves files", script, json!({ "maxAttempts": 1 })).await;
    let job = system.enqueue(json!({ "commandId": command })).await;
    system.until(&job, "SUCCEEDED", PATIENCE).await;
    let query = "query($id: ID!) { job(id: $id) { artifacts { name mayHoldSecrets } } }";
    let found = system.data(query, json!({ "id": job })).await["job"]["artifacts"].take();
    let mut found: Vec<(String, bool)> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["name"].as_str().unwrap().to_owned(), file["mayHoldSecrets"] == true))
        .collect();
    found.sort_unstable();
    let expected = [
        ("a.zip", true),
        ("empty", false),
        ("late.txt", true),
        ("latin-1.txt", true),
        ("text", false),
        ("utf-16.txt", true),
        ("utf-8.txt", false),
    ];
    assert_eq!(found, expected.map(|(name, may_hold)| (name.to_owned(), may_hold)));
}
