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
        let spec = json!({ "program": { "program": "/bin/true", "arguments": [template] } });
        self.preview_of(
            json!({ "spec": spec, "input": { "a": "x", "list": [1, 2, 3], "map": { "b": [{ "c": 1 }] } } }),
        )
        .await
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

    /// Resident memory, in MiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
    }
}

/// The first message of a preview that is refused.
pub(crate) fn refused(preview: &Value) -> &str {
    assert_eq!(preview["composed"], Value::Null, "{preview}");
    preview["userErrors"][0]["message"].as_str().unwrap()
}
