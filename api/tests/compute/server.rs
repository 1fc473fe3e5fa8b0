//! An API as a process, with its own database.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use callboard_test_support::{Child, Database, eventually, free_port, redis_prefix, redis_url};
use serde_json::{Value, json};

const API_KEY: &str = "cb_compute_test_key_of_enough_length";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const PREVIEW: &str = "query($input: CommandPreviewInput!) {
  commandPreview(input: $input) { composed { display arguments } userErrors { message path code } } }";

pub(crate) struct TestServer {
    api: Child,
    port: u16,
    client: reqwest::Client,
    pub(crate) database: Database,
}

/// The program under test.
fn program() -> PathBuf {
    let named = std::env::var_os("CALLBOARD_API_PROGRAM").map(PathBuf::from);
    // Cargo runs tests in the package's directory.
    let from_root = |path: PathBuf| std::path::Path::new("..").join(path);
    named.map_or_else(|| env!("CARGO_BIN_EXE_callboard-api").into(), from_root)
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(Database::create().await).await
    }

    /// Another process with the same database.
    pub(crate) async fn restarted(self) -> Self {
        let Self { database, api, .. } = self;
        drop(api);
        Self::with(database).await
    }

    async fn with(database: Database) -> Self {
        let port = free_port();
        let mut command = Command::new(program());
        command
            .arg("serve")
            .env_clear()
            .env("CALLBOARD_ENV", "development")
            .env("DATABASE_URL", database.url())
            .env("REDIS_URL", redis_url().await)
            .env("CALLBOARD_REDIS_PREFIX", redis_prefix())
            .env("CALLBOARD_MASTER_KEY", MASTER_KEY)
            .env("CALLBOARD_API_KEY", API_KEY)
            .env("CALLBOARD_PROGRAMS", "/usr/bin:/bin")
            .env("CALLBOARD_LISTEN", format!("127.0.0.1:{port}"))
            .env("CALLBOARD_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let client = callboard::startup::http_client!().build().unwrap();
        let server = Self { api: Child::spawn(&mut command), port, client, database };
        eventually(PATIENCE, || async { server.get("readyz").await.is_some() }).await;
        server
    }

    /// Whether a page answers with success.
    pub(crate) async fn get(&self, page: &str) -> Option<()> {
        let url = format!("http://127.0.0.1:{}/{page}", self.port);
        let response = self.client.get(url).timeout(PATIENCE).send().await.ok()?;
        response.status().is_success().then_some(())
    }

    /// How long `/healthz` takes. Panics if there is no answer.
    pub(crate) async fn health(&self) -> Duration {
        let since = Instant::now();
        assert!(self.get("healthz").await.is_some(), "the API is gone");
        since.elapsed()
    }

    pub(crate) async fn ask(&self, query: &str, variables: Value) -> Value {
        let request = self.client.post(format!("http://127.0.0.1:{}/graphql", self.port));
        let request = request.bearer_auth(API_KEY).timeout(PATIENCE);
        let response = request.json(&json!({ "query": query, "variables": variables })).send().await;
        response.unwrap().json().await.unwrap()
    }

    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await;
        assert_eq!(answer.get("errors"), None, "{answer}");
        answer["data"].take()
    }

    /// The preview of a program with this one argument, and how long it took.
    pub(crate) async fn preview(&self, template: &str) -> (Value, Duration) {
        self.preview_of(of_template(template)).await
    }

    /// Whether a template composes, and how long the answer took. `None` if the server was busy.
    pub(crate) async fn try_preview(&self, template: &str) -> (Option<bool>, Duration) {
        let since = Instant::now();
        let answer = self.ask(PREVIEW, json!({ "input": of_template(template) })).await;
        let took = since.elapsed();
        if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" {
            assert_eq!(answer["errors"][0]["extensions"]["retryAfter"], 1, "{answer}");
            return (None, took);
        }
        let preview = &answer["data"]["commandPreview"];
        assert!(preview["composed"].is_object() != preview["userErrors"][0].is_object(), "{answer}");
        (Some(preview["composed"].is_object()), took)
    }

    pub(crate) async fn preview_of(&self, input: Value) -> (Value, Duration) {
        let since = Instant::now();
        let mut data = self.data(PREVIEW, json!({ "input": input })).await;
        (data["commandPreview"].take(), since.elapsed())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.api.pid()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.api.is_running()
    }

    /// The children of the API, of all its threads.
    pub(crate) fn children(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap().flatten();
        let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
            .collect()
    }

    /// Processor time of the API and of all its children, also of those that have ended.
    pub(crate) fn processor_time(&self) -> Duration {
        let own = ticks(self.pid())
            .map_or(0, |[user, system, of_ended @ ..]| user + system + of_ended.iter().sum::<u64>());
        let of_children =
            self.children().into_iter().filter_map(ticks).map(|[user, system, ..]| user + system);
        Duration::from_millis((own + of_children.sum::<u64>()) * 10)
    }

    /// Resident memory, in MiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
    }
}

/// The input of a preview of a program with this one argument.
fn of_template(template: &str) -> Value {
    let spec = json!({ "program": { "program": "/bin/true", "arguments": [template] } });
    json!({ "spec": spec, "input": { "a": "x", "list": [1, 2, 3], "map": { "b": [{ "c": 1 }] } } })
}

/// Processor time of a process: in user mode, in the kernel, and both of its children that have
/// ended, in hundredths of a second. `None` if it is gone.
pub(crate) fn ticks(pid: u32) -> Option<[u64; 4]> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may have blanks: the state and the fields from the fourth on.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse().ok();
    Some([number(14)?, number(15)?, number(16)?, number(17)?])
}

/// The first message of a preview that is refused.
pub(crate) fn refused(preview: &Value) -> &str {
    assert_eq!(preview["composed"], Value::Null, "{preview}");
    preview["userErrors"][0]["message"].as_str().unwrap()
}
