//! A server on its own port and database, and a worker's steps as methods.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use callboard::{
    catalogue::{self, SessionLife},
    clock::{self, IdSource},
    evaluator::Evaluator,
    ids::{ArtifactId, AttemptId, JobId, WorkerId},
    job::{Outcome, Progress},
    policy::Policy,
    steps::{
        Done,
        finish::settle::{Settled, Settlement, settle},
        hand_out::{promote::promote, unblock::unblock},
        maintain::fold_counters::fold_counters,
        run::{
            append_log::append_log,
            claim::{ClaimRequest, Decision, claim},
            keep_artifact::keep_artifact,
            note_progress::note_progress,
            renew::register,
        },
    },
    store::{
        Planning, Store,
        jobs::{
            artifacts::ArtifactRecord,
            attempts::ExitRecord,
            logs::{Appended, Batch, LogStream, NewLine},
            progress::Report,
        },
        workers::NewWorker,
    },
    transport::Redis,
};
use callboard_api::{
    artifacts::ArtifactUrls,
    audit::AuditLog,
    auth::{Authenticator, KeyHash, StoredKeys},
    endpoint::Endpoint,
    graphql::{job::JobContext, loaders, proxy::ProxyProbe, reads::Reads, roots},
    operation::{Engine, WithLoaders},
    origin::Origins,
};
use callboard_test_support::{Database, redis_prefix, redis_url};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    client::Subscription,
    keys::Keys,
    parts::{self, keyring},
};

/// Long enough never to matter.
const SESSION_LIFE: SessionLife =
    SessionLife { idle: Duration::from_mins(10), whole: Duration::from_mins(10) };

pub(crate) struct Harness {
    pub(crate) store: Store,
    pub(crate) redis: Redis,
    pub(crate) worker: WorkerId,
    pub(crate) address: SocketAddr,
    /// The operations of keys and sessions, as those of `callboard-api keys`.
    pub(crate) keys: catalogue::Keys,
    pub(crate) audit: AuditLog,
    batches: AtomicI32,
    client: reqwest::Client,
    server_task: JoinHandle<()>,
    database: Database,
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.server_task.abort();
    }
}

impl Harness {
    /// Starts a server with the Redis that all tests share.
    pub(crate) async fn new() -> Self {
        Self::with_redis(&redis_url().await).await
    }

    /// Starts a server with the Redis at this URL.
    pub(crate) async fn with_redis(redis: &str) -> Self {
        Self::with(redis, SESSION_LIFE, u32::MAX).await
    }

    /// Starts a server with the Redis at this URL, whose sessions last so long, and where an
    /// address may fail to sign in so often.
    pub(crate) async fn with(redis: &str, life: SessionLife, failures_max: u32) -> Self {
        let database = Database::create().await;
        let store = Store::open(&database.url().into(), 8, "api-jobs-test", Planning::ByValue).unwrap();
        let redis = Redis::open(&redis.into(), &redis_prefix()).unwrap();
        let worker = IdSource.make();
        let evaluator = Evaluator::of_program(env!("CARGO_BIN_EXE_callboard-api").into());
        let catalogue = parts::catalogue(&store, evaluator.clone());
        let submit = parts::submit(&store, evaluator);
        let urls = ArtifactUrls::new(Arc::new(keyring()), "https://callboard.test/".parse().unwrap());
        let reads = Reads(store.clone());
        let submit = Arc::new(submit);
        let jobs = JobContext::start(Arc::clone(&submit), &reads, redis.clone());
        let keys = catalogue.keys();
        let configured = Some(KeyHash::of("cb_admin"));
        let stored = StoredKeys { keys: keys.clone(), life, configured };
        let authenticator =
            Authenticator::new(Keys(stored.clone())).with_failures(failures_max, Duration::from_mins(1));
        let audit = AuditLog::start(store.clone());
        let authenticator = Arc::new(authenticator.with_audit(audit.clone()));
        let (forgetting, mut ended) = (Arc::clone(&authenticator), jobs.feed.access_ended());
        tokio::spawn(async move {
            while ended.changed().await.is_ok() {
                forgetting.forget();
            }
        });
        let schema = roots::schema().data(catalogue).data(stored).data(urls).data(jobs);
        let schema = schema.data(ProxyProbe::new(None)).data(reads.clone()).finish();
        let add_loaders: WithLoaders = Arc::new(move |request, allowance, actor| {
            loaders::add(request, &reads.0, &submit, allowance, actor)
        });
        let engine = Engine::new(schema, authenticator, add_loaders);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Endpoint::new(engine, Origins::default()).router();
        let server_task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            store,
            redis,
            worker,
            address,
            keys,
            audit,
            batches: AtomicI32::new(0),
            client: callboard::startup::http_client!().build().unwrap(),
            server_task,
            database,
        }
    }

    /// Runs an operation with this key and returns the whole response.
    pub(crate) async fn execute(&self, key: &str, query: &str, variables: Value) -> Value {
        let url = format!("http://{}/graphql", self.address);
        let request = self.client.post(url).bearer_auth(key).header("accept", "application/json");
        let body = json!({ "query": query, "variables": variables }).to_string();
        let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
    }

    /// Opens a subscription as a stream of server-sent events.
    pub(crate) async fn event_stream(&self, key: &str, query: &str) -> reqwest::Response {
        let url = format!("http://{}/graphql", self.address);
        let request = self.client.post(url).bearer_auth(key).header("accept", "text/event-stream");
        let body = json!({ "query": query }).to_string();
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    }

    /// Runs an operation that must have no errors and returns its data.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut response = self.execute("cb_admin", query, variables).await;
        assert_eq!(response.get("errors"), None, "{response}");
        response["data"].take()
    }

    /// Runs an operation that must have one error and returns its code.
    pub(crate) async fn error(&self, query: &str, variables: Value) -> String {
        let response = self.execute("cb_admin", query, variables).await;
        let errors = response["errors"].as_array().cloned().unwrap_or_default();
        assert_eq!(errors.len(), 1, "{response}");
        errors[0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// Runs a mutation `name(input: NameInput!)` and returns its payload with these fields.
    pub(crate) async fn mutate(&self, name: &str, fields: &str, input: Value) -> Value {
        let input_type = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query = format!(
            "mutation($input: {input_type}!) {{ {name}(input: $input) {{ {fields} userErrors {{ code path message }} }} }}"
        );
        self.data(&query, json!({ "input": input })).await[name].take()
    }

    /// Runs a mutation of a job that must be refused and returns its [`reasons`].
    pub(crate) async fn refused(&self, name: &str, input: Value) -> Vec<String> {
        let field = if name == "jobsEnqueue" { "jobs { id }" } else { "job { id }" };
        let payload = self.mutate(name, field, input).await;
        assert!(
            payload["job"].is_null() && payload["jobs"].as_array().is_none_or(Vec::is_empty),
            "{payload}"
        );
        reasons(&payload)
    }

    /// Creates a command with the required fields and these in addition, and returns its id.
    pub(crate) async fn create_command(&self, name: &str, more: Value) -> String {
        let mut input = json!({ "name": name, "spec": { "program": { "program": "/bin/echo", "arguments": ["hello"] } } });
        input.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.create("commandCreate", "command", input).await
    }

    /// Creates a profile and returns its id.
    pub(crate) async fn create_profile(&self, name: &str) -> String {
        let input = json!({ "name": name, "chromeProfilePath": format!("p/{name}") });
        self.create("profileCreate", "profile", input).await
    }

    /// Runs a mutation that must succeed and returns the id of the payload's object.
    pub(crate) async fn create(&self, mutation: &str, field: &str, input: Value) -> String {
        let payload = self.mutate(mutation, &format!("{field} {{ id }}"), input).await;
        assert_eq!(payload["userErrors"], json!([]));
        payload[field]["id"].as_str().unwrap().to_owned()
    }

    /// Enqueues a job, which must be accepted.
    pub(crate) async fn enqueue(&self, input: Value) -> JobId {
        self.create("jobEnqueue", "job", input).await.parse().unwrap()
    }

    /// Returns these fields of a job.
    pub(crate) async fn read_job(&self, job: JobId, fields: &str) -> Value {
        let query = format!("query($id: ID!) {{ job(id: $id) {{ {fields} }} }}");
        self.data(&query, json!({ "id": job.to_string() })).await["job"].take()
    }

    /// Returns the fields of `JobFilter` as the schema has them, each with whether it is a list.
    pub(crate) async fn filter_fields(&self) -> Vec<(String, bool)> {
        let query = "{ __type(name: \"JobFilter\") { inputFields { name type { kind } } } }";
        let fields = self.data(query, json!({})).await["__type"]["inputFields"].take();
        let field =
            |field: &Value| (field["name"].as_str().unwrap().to_owned(), field["type"]["kind"] == "LIST");
        fields.as_array().unwrap().iter().map(field).collect()
    }

    /// Opens a subscription.
    pub(crate) async fn subscribe(&self, query: &str, variables: Value) -> Subscription {
        Subscription::open(self.address, "cb_viewer", query, variables).await
    }

    /// Opens a connection of its own to the database.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }

    /// Runs SQL statements directly.
    pub(crate) async fn sql(&self, statements: &'static str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Registers the worker for these queues.
    pub(crate) async fn register_worker(&self, queues: &[&str]) {
        let worker = NewWorker {
            id: self.worker,
            hostname: "test".into(),
            process_id: 1,
            software_version: "0.1.0".into(),
            queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
            kinds: vec!["program".into()],
            concurrency: 4,
        };
        register(&self.store, &worker).await.unwrap();
    }

    /// Claims a job and returns the decision.
    pub(crate) async fn claim(&self, job: JobId) -> (AttemptId, Decision) {
        let attempt = IdSource.make();
        let Done { value: decisions, after } =
            claim(&self.store, self.worker, &[ClaimRequest { job, attempt }]).await.unwrap();
        after.announce(&self.redis).await;
        (attempt, decisions.into_iter().next().unwrap())
    }

    /// Claims a job, which must be granted.
    pub(crate) async fn start(&self, job: JobId) -> AttemptId {
        let (attempt, decision) = self.claim(job).await;
        assert!(matches!(decision, Decision::Granted(_)), "{decision:?}");
        attempt
    }

    /// Claims jobs in one batch. Each must be granted.
    pub(crate) async fn start_all(&self, jobs: &[JobId]) -> Vec<AttemptId> {
        let request = |job: &JobId| ClaimRequest { job: *job, attempt: IdSource.make() };
        let requests: Vec<ClaimRequest> = jobs.iter().map(request).collect();
        let Done { value: decisions, .. } = claim(&self.store, self.worker, &requests).await.unwrap();
        assert!(decisions.iter().all(|decision| matches!(decision, Decision::Granted(_))));
        requests.iter().map(|request| request.attempt).collect()
    }

    /// Settles attempts in one batch.
    pub(crate) async fn settle_all(&self, jobs: &[JobId], attempts: &[AttemptId], outcome: &Outcome) {
        let settlements =
            jobs.iter().zip(attempts).map(|(job, attempt)| settlement(*job, *attempt, outcome.clone()));
        let Done { value: settled, after } = settle(&self.store, settlements.collect()).await.unwrap();
        assert!(settled.iter().all(|settled| *settled == Settled::Done));
        after.announce(&self.redis).await;
    }

    /// Appends lines of a running attempt.
    pub(crate) async fn log(&self, job: JobId, attempt: AttemptId, lines: &[&str]) {
        let at = clock::now();
        let line = |text: &&str| NewLine { stream: LogStream::Stdout, text: (*text).to_owned(), at };
        let number = self.batches.fetch_add(1, Ordering::SeqCst) + 1;
        let batch = Batch { job, attempt, number, lines: lines.iter().map(line).collect() };
        let Done { value: appended, after } = append_log(&self.store, &[batch]).await.unwrap();
        assert_eq!(appended, [Appended::Stored]);
        after.announce(&self.redis).await;
    }

    /// Reports the progress of an attempt.
    pub(crate) async fn progress(&self, job: JobId, attempt: AttemptId, fraction: f64) {
        let progress = Progress { fraction: Some(fraction), message: None };
        let done = note_progress(&self.store, &[Report { job, attempt, progress }]).await.unwrap();
        assert_eq!(done.value, [job]);
        done.after.announce(&self.redis).await;
    }

    /// Keeps a file of an attempt as an artifact.
    pub(crate) async fn keep_artifact(&self, job: JobId, attempt_id: AttemptId, name: &str) -> ArtifactId {
        let artifact = ArtifactRecord {
            id: IdSource.make(),
            job,
            attempt_id,
            attempt: 1,
            name: name.into(),
            content_type: "image/png".into(),
            size_bytes: 12,
            sha256: [7; 32],
            is_redacted: None,
            path: format!("{job}/{name}"),
            created_at: clock::now(),
            pruned_at: None,
        };
        assert!(keep_artifact(&self.store, &artifact).await.unwrap());
        artifact.id
    }

    /// Settles an attempt.
    pub(crate) async fn settle(&self, job: JobId, attempt: AttemptId, outcome: Outcome) {
        self.settle_all(&[job], &[attempt], &outcome).await;
    }

    /// Settles an attempt as succeeded.
    pub(crate) async fn succeed(&self, job: JobId, attempt: AttemptId) {
        self.settle(job, attempt, Outcome::Succeeded { result: json!({ "done": true }) }).await;
    }

    /// Runs the duties that promote jobs, unblock jobs and fold counters, once.
    pub(crate) async fn run_duties(&self) {
        let Done { after, .. } = promote(&self.store).await.unwrap();
        after.announce(&self.redis).await;
        loop {
            let Done { value: has_more, after } = unblock(&self.store).await.unwrap();
            after.announce(&self.redis).await;
            if !has_more {
                break;
            }
        }
        while fold_counters(&self.store).await.unwrap() {}
    }
}

fn settlement(job: JobId, attempt: AttemptId, outcome: Outcome) -> Settlement {
    let exit = ExitRecord { exit_code: Some(0), ..ExitRecord::default() };
    let policy = Policy::default();
    Settlement { job, attempt, outcome, policy, jitter: 0.0, composed: None, proxy: None, exit, used: None }
}

/// Returns `CODE path.below.input` for each user error of a payload.
pub(crate) fn reasons(payload: &Value) -> Vec<String> {
    let reason = |error: &Value| {
        let path: Vec<&str> =
            error["path"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        assert_eq!(path[0], "input", "{error}");
        format!("{} {}", error["code"].as_str().unwrap(), path[1..].join(".")).trim_end().to_owned()
    };
    payload["userErrors"].as_array().unwrap().iter().map(reason).collect()
}

/// The failure of a program that exited with 1.
pub(crate) fn failed(is_retryable: bool) -> Outcome {
    use callboard::job::{Failure, FailureCode};
    Outcome::Failed(Failure::new(FailureCode::EXIT_CODE, "It ended with 1.", is_retryable))
}
