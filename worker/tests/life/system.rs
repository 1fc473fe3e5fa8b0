//! One Callboard for one test: starts it, queries it over GraphQL, and ends it with the test.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use callboard_test_support::{Child, Database, Server, eventually, free_port, private_redis};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Longer than anything takes on a busy machine; a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
pub(crate) const API_KEY: &str = "cb_0123456789abcdef0123456789abcdef";
const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

pub(crate) struct System {
    pub(crate) redis: Server,
    pub(crate) workers: Vec<Child>,
    pub(crate) api: Child,
    pub(crate) settings: Settings,
    asker: Asker,
    // Dropped last.
    _database: Option<Database>,
}

/// A client of the API. Cheap to clone, and may outlive the API.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    client: reqwest::Client,
    port: u16,
}

impl Asker {
    /// The whole answer to an operation.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> reqwest::Result<Value> {
        let request = self.client.post(format!("http://127.0.0.1:{}/graphql", self.port));
        let request = request.bearer_auth(API_KEY).timeout(Duration::from_secs(30));
        request.json(&json!({ "query": query, "variables": variables })).send().await?.json().await
    }
}

/// Settings of the API and workers. Owns their directory.
pub(crate) struct Settings {
    home: tempfile::TempDir,
    pub(crate) port: u16,
    /// What workers are started from.
    pub(crate) worker_program: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Settings {
    pub(crate) fn new(database_url: &str, redis_url: &str) -> Self {
        // Short, because Chromium creates a socket below it. The run-as user may pass through.
        let home = tempfile::Builder::new().prefix("cb-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o711)).unwrap();
        let place = |name: &str| home.path().join(name).display().to_string();
        let port = free_port();
        let environment = vec![
            ("CALLBOARD_ENV", "development".to_owned()),
            ("DATABASE_URL", database_url.to_owned()),
            ("REDIS_URL", redis_url.to_owned()),
            ("CALLBOARD_MASTER_KEY", MASTER_KEY.to_owned()),
            ("CALLBOARD_API_KEY", API_KEY.to_owned()),
            ("CALLBOARD_LISTEN", format!("127.0.0.1:{port}")),
            ("CALLBOARD_ARTIFACT_ROOT", place("artifacts")),
            ("CALLBOARD_PROFILE_ROOT", place("profiles")),
            ("CALLBOARD_TEMP_ROOT", place("t")),
            ("CALLBOARD_RUNNER", place("runner")),
            ("CALLBOARD_NODE", std::env::var("CALLBOARD_NODE").unwrap_or_else(|_| found("node"))),
            ("CALLBOARD_CHROMIUM", std::env::var("CALLBOARD_CHROMIUM").unwrap_or_else(|_| found("chromium"))),
            ("CALLBOARD_START_TIMEOUT", "30".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ];
        Self { home, port, worker_program: built_worker().into(), environment }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.retain(|(other, _)| *other != name);
        self.environment.push((name, value.to_owned()));
    }

    /// The API's command, `callboard-api serve`.
    pub(crate) fn api(&self) -> Command {
        self.api_command(&["serve"])
    }

    /// A command of the API's program.
    pub(crate) fn api_command(&self, arguments: &[&str]) -> Command {
        // Cargo only names this package's programs. The API's is beside them.
        let program = built_worker().with_file_name("callboard-api");
        assert!(program.exists(), "build it first: cargo build -p callboard-api");
        self.command(&program, arguments)
    }

    pub(crate) fn worker(&self, arguments: &[&str]) -> Command {
        self.command(&self.worker_program, &[&["run"], arguments].concat())
    }

    /// A command whose output goes to the file `log` of the home.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        command.args(arguments).env_clear().envs(self.environment.iter().cloned());
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }
}

fn built_worker() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_callboard-worker"))
}

/// The path of a program.
fn found(program: &str) -> String {
    let output = Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    assert!(output.status.success(), "there is no {program}: run script/bootstrap");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl System {
    /// Starts the API and that many workers with four slots each.
    pub(crate) async fn start(workers: usize) -> Self {
        let (database, redis) = tokio::join!(Database::create(), private_redis());
        let settings = Settings::new(database.url(), redis.url());
        Self::with(settings, redis, Some(database), workers).await
    }

    pub(crate) async fn with(
        settings: Settings,
        redis: Server,
        database: Option<Database>,
        workers: usize,
    ) -> Self {
        let api = Child::spawn(&mut settings.api());
        let client = callboard::startup::http_client!().build().unwrap();
        let asker = Asker { client, port: settings.port };
        let mut system = Self { redis, workers: Vec::new(), api, settings, asker, _database: database };
        system.until_ready().await;
        for _ in 0..workers {
            system.add_worker(4).await;
        }
        system
    }

    pub(crate) async fn until_ready(&self) {
        let url = format!("http://127.0.0.1:{}/readyz", self.settings.port);
        eventually(PATIENCE, || async {
            self.asker.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
    }

    pub(crate) fn home(&self) -> &Path {
        self.settings.home()
    }

    /// Sets a variable for workers that are started from now on.
    #[allow(dead_code, reason = "tests/chaos sets variables before it starts")]
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.settings.set(name, value);
    }

    /// Starts a worker and waits until it is active. Returns its index in `workers`.
    pub(crate) async fn add_worker(&mut self, concurrency: u16) -> usize {
        let worker = self.spawn_worker(concurrency);
        let pid = worker.pid();
        self.workers.push(worker);
        eventually(PATIENCE, || async {
            let workers = self.data("{ workers { processId status } }", json!({})).await["workers"].take();
            workers.as_array().unwrap().contains(&json!({ "processId": pid, "status": "ACTIVE" }))
        })
        .await;
        self.workers.len() - 1
    }

    /// The whole answer to an operation.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> reqwest::Result<Value> {
        self.asker.ask(query, variables).await
    }

    /// A client for tasks.
    #[allow(dead_code, reason = "used by tests/chaos")]
    pub(crate) fn asker(&self) -> Asker {
        self.asker.clone()
    }

    #[allow(dead_code, reason = "used by tests/chaos")]
    pub(crate) fn kill_api(&mut self) {
        self.api.signal(Signal::KILL);
    }

    /// Starts the API again if it has ended, without waiting for it.
    #[allow(dead_code, reason = "used by tests/chaos")]
    pub(crate) fn keep_api(&mut self) {
        if !self.api.is_running() {
            self.api = Child::spawn(&mut self.settings.api());
        }
    }

    /// Writes a fault to the log.
    #[allow(dead_code, reason = "used by tests/chaos")]
    pub(crate) fn note(&self, what: &str) {
        use std::io::Write as _;
        let mut log = File::options().append(true).open(self.settings.log()).unwrap();
        writeln!(log, "{} STORM {what}", callboard::clock::now().format("%FT%T%.6fZ")).unwrap();
    }

    /// Copies the log out of the directory, for analysis.
    #[allow(dead_code, reason = "used by tests/chaos")]
    pub(crate) fn keep_log(&self, seed: u64) {
        let kept = std::env::temp_dir().join(format!("callboard-chaos-{seed}.log"));
        fs::copy(self.settings.log(), &kept).unwrap();
        println!("the whole log is in {}", kept.display());
    }

    /// Starts a worker without waiting for it.
    pub(crate) fn spawn_worker(&self, concurrency: u16) -> Child {
        Child::spawn(&mut self.settings.worker(&["--concurrency", &concurrency.to_string()]))
    }

    /// The data of an operation, which must have no errors.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(query, variables).await.unwrap();
        assert_eq!(answer.get("errors"), None, "{query}: {answer:#}");
        answer["data"].take()
    }

    /// Runs a mutation that takes one input. Returns the id of the object that it made.
    pub(crate) async fn make(&self, mutation: &str, kind: &str, input: Value) -> String {
        let type_name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($input: {type_name}!) {{ {mutation}(input: $input) {{
                {kind} {{ id }} userErrors {{ code message path }} }} }}"
        );
        let answer = self.data(&query, json!({ "input": input })).await[mutation].take();
        assert_eq!(answer["userErrors"], json!([]), "{mutation}: {input}");
        answer[kind]["id"].as_str().unwrap().to_owned()
    }

    /// A command that runs a line of shell, with the input's `word` as `$1`.
    pub(crate) async fn shell(&self, name: &str, script: &str, policy: Value) -> String {
        let arguments = ["-c", script, "sh", "{{ input.word | default('') }}"];
        let spec = json!({ "program": { "program": "/bin/sh", "arguments": arguments } });
        self.make("commandCreate", "command", json!({ "name": name, "spec": spec, "policy": policy })).await
    }

    /// A command that runs a script in Chromium. Copies the runner to where jobs can read it.
    pub(crate) async fn browser(&self, name: &str, script: &str, policy: Value) -> String {
        let runner = self.home().join("runner");
        if !runner.exists() {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runner");
            assert!(source.join("node_modules").exists(), "npm ci in runner/ first: script/test does");
            let copied = Command::new("cp").arg("-RL").arg(source).arg(&runner).status().unwrap();
            assert!(copied.success());
            let readable = Command::new("chmod").args(["-R", "go+rX"]).arg(runner).status().unwrap();
            assert!(readable.success());
        }
        let spec = json!({ "playwright": { "script": script, "screenshot": "OFF" } });
        self.make("commandCreate", "command", json!({ "name": name, "spec": spec, "policy": policy })).await
    }

    pub(crate) async fn profile(&self, name: &str) -> String {
        self.make("profileCreate", "profile", json!({ "name": name, "chromeProfilePath": name })).await
    }

    pub(crate) async fn enqueue(&self, input: Value) -> String {
        self.make("jobEnqueue", "job", input).await
    }

    pub(crate) async fn enqueue_all(&self, jobs: Vec<Value>) -> Vec<String> {
        let query = "mutation($input: JobsEnqueueInput!) { jobsEnqueue(input: $input) {
            jobs { id } userErrors { code message path } } }";
        let answer = self.data(query, json!({ "input": { "jobs": jobs } })).await["jobsEnqueue"].take();
        assert_eq!(answer["userErrors"], json!([]));
        let jobs = answer["jobs"].as_array().unwrap();
        jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    }

    /// State, failure and attempts of a job.
    pub(crate) async fn job(&self, id: &str) -> Value {
        let query =
            "query($id: ID!) { job(id: $id) { state createdAt startedAt result failure { code message }
            attempts(first: 100) { nodes { number outcome startedAt finishedAt worker { processId }
                failure { code message } } } } }";
        self.data(query, json!({ "id": id })).await["job"].take()
    }

    /// Waits until the job is in `state`, and returns it.
    pub(crate) async fn until(&self, id: &str, state: &str, patience: Duration) -> Value {
        eventually(patience, || async {
            let job = self.job(id).await;
            assert!(!has_ended(&job) || job["state"] == state, "wanted {state}: {job:#}");
            (job["state"] == state).then_some(job)
        })
        .await
    }

    /// The number of jobs in any of these states. One query counts all of them, because two would
    /// miss a job that moves between them.
    pub(crate) async fn count(&self, states: &[&str]) -> u64 {
        let query =
            "query($states: [JobState!]) { jobs(first: 0, filter: { states: $states }) { countAtLeast } }";
        let answer = self.data(query, json!({ "states": states })).await;
        answer["jobs"]["countAtLeast"].as_u64().unwrap()
    }

    /// Processes of attempts: all that have the home in their command line or environment, without
    /// the system's own. Also zombies below the workers.
    pub(crate) fn processes(&self) -> Vec<String> {
        let ours: Vec<u32> = [&self.api]
            .into_iter()
            .chain(&self.workers)
            .map(Child::pid)
            .chain([std::process::id()])
            .collect();
        let home = self.home().display().to_string();
        let mentions = |pid: &u32| {
            ["cmdline", "environ"].iter().any(|file| {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                text.windows(home.len()).any(|window| window == home.as_bytes())
            })
        };
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let described = |pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            format!("{pid} {}", line.replace('\0', " "))
        };
        let dead = self.workers.iter().flat_map(|worker| family(worker.pid())).filter(|pid| is_dead(*pid));
        let dead = dead.map(|pid| format!("{pid} is a zombie"));
        all.filter(|pid| !ours.contains(pid)).filter(mentions).map(described).chain(dead).collect()
    }

    /// Waits until no process and no file of an attempt is left.
    pub(crate) async fn until_clean(&self, patience: Duration) {
        let files = || fs::read_dir(self.home().join("t")).map_or(0, Iterator::count);
        eventually(patience, || async { self.processes().is_empty() && files() == 0 }).await;
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.settings.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("the end of the log:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// All descendants of a process, parents before their children.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut family = children(pid);
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(children(parent));
        next += 1;
    }
    family
}

/// The children of a process, of all its threads.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.trim().parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn is_dead(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

pub(crate) fn has_ended(job: &Value) -> bool {
    ["SUCCEEDED", "FAILED", "CANCELLED"].iter().any(|state| job["state"] == *state)
}

/// The time between two GraphQL timestamps.
pub(crate) fn between(from: &Value, to: &Value) -> Duration {
    let time = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    (time(to) - time(from)).to_std().unwrap()
}
