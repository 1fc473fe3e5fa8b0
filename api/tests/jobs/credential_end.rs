//! What still runs when its caller's key or session ends: it ends too, and nothing of it is stored.

use std::time::Duration;

use callboard::{catalogue::KeyCreate, clock, store::catalogue::api_keys::Role};
use callboard_test_support::eventually;
use futures::future::join_all;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    client::WAIT_MAX,
    harness::Harness,
    visitor::{Shown, Visitor},
};

/// What is promised, and a second more, because the machine may be busy.
const END_MAX: Duration = Duration::from_secs(2);
const MUTATION: &str = "mutation($input: CommandCreateInput!) {
    first: commandCreate(input: $input) { command { id } }
    second: apiKeyCreate(input: { name: \"second\", role: ADMIN }) { key } }";
const QUERY: &str = "query { commands { totalCount } }";
const ENQUEUE: &str = "mutation($input: JobEnqueueInput!) { jobEnqueue(input: $input) { job { id } } }";
/// Shows by a command that the enqueueing begins.
const MARK_AND_ENQUEUE: &str = "mutation($mark: CommandCreateInput!, $input: JobEnqueueInput!) {
    commandCreate(input: $mark) { command { id } } jobEnqueue(input: $input) { job { id } } }";
const JSON: &str = "application/json";
const GRAPHQL_JSON: &str = "application/graphql-response+json";
const EVENTS: &str = "text/event-stream";

/// A lock on a table. What needs the table waits until it is dropped.
struct Locked(PgConnection);

impl Locked {
    async fn table(harness: &Harness, lock: &'static str) -> Self {
        let mut connection = harness.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("BEGIN; LOCK TABLE {lock}")))
            .execute(&mut connection)
            .await
            .unwrap();
        Self(connection)
    }

    /// Waits until so many statements wait for the lock.
    async fn eventually_waiting(&mut self, count: i64) {
        let deadline = Instant::now() + WAIT_MAX;
        let query = "SELECT count(*) FROM pg_locks WHERE NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        while sqlx::query_scalar::<_, i64>(query).fetch_one(&mut self.0).await.unwrap() != count {
            assert!(Instant::now() < deadline, "{count} statements do not wait");
        }
    }

    /// Gives the lock back, and waits until all that has waited for it is over.
    async fn release(mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.unwrap();
        let deadline = Instant::now() + WAIT_MAX;
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'api-jobs-test' AND state <> 'idle'";
        while sqlx::query_scalar::<_, i64>(query).fetch_one(&mut self.0).await.unwrap() > 0 {
            assert!(Instant::now() < deadline, "a statement goes on");
        }
    }
}

/// Sends an operation, and returns its status and its answer, and when it came.
fn send(
    visitor: &Visitor,
    query: &str,
    variables: &Value,
    accept: &str,
) -> JoinHandle<(u16, String, Instant)> {
    let request = visitor.request(query, variables, accept);
    tokio::spawn(async move {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.text().await.unwrap(), Instant::now())
    })
}

async fn count(harness: &Harness, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&mut harness.connect().await).await.unwrap()
}

#[tokio::test]
async fn what_runs_ends_with_its_key_or_session_and_is_not_carried_out() {
    let harness = Harness::new().await;
    let variables = json!({ "input": {
        "name": "late", "spec": { "program": { "program": "/bin/true" } } } });
    for (way, life) in [("api", None), ("elsewhere", None), ("expiry", Some(3)), ("signOut", None)] {
        let expires_at = life.map(|seconds| clock::now() + chrono::Duration::seconds(seconds));
        let new = KeyCreate { name: way.into(), role: Role::Admin, expires_at };
        let (key, text) = harness.keys.key_create(new).await.unwrap();
        let shown = match way {
            "signOut" => Shown::Cookie(harness.open_session(text.expose_secret()).await),
            _ => Shown::Key(text.expose_secret().to_owned()),
        };
        let visitor = harness.visitor(shown);
        let mut locked = Locked::table(&harness, "commands IN ACCESS EXCLUSIVE MODE").await;
        let sent = [(MUTATION, JSON), (MUTATION, GRAPHQL_JSON), (MUTATION, EVENTS), (QUERY, JSON)]
            .map(|(query, accept)| send(&visitor, query, &variables, accept));
        locked.eventually_waiting(sent.len() as i64).await;
        let mut since = Instant::now();
        match way {
            "api" => {
                harness.mutate("apiKeyRevoke", "apiKey { id }", json!({ "id": key.id.to_string() })).await;
            }
            "elsewhere" => drop(harness.keys.key_revoke(key.id).await.unwrap()),
            "signOut" => {
                let query = "mutation { sessionDelete { userErrors { code } } }";
                let answer = visitor.respond(query, &json!({})).await;
                assert_eq!(answer["data"]["sessionDelete"]["userErrors"], json!([]), "{answer}");
            }
            _ => since += (expires_at.unwrap() - clock::now()).to_std().unwrap_or_default(),
        }
        for (number, answered) in join_all(sent).await.into_iter().enumerate() {
            let (status, text, at) = answered.unwrap();
            assert!(
                text.contains("UNAUTHENTICATED") && !text.contains("\"data\":{"),
                "{way} {number} {text}"
            );
            assert!(at < since + END_MAX, "{way} {number} {:?}", at - since);
            assert_eq!(status == 401, number == 1, "{way} {number} {text}");
            let says_more = text.contains("What it had done by then stands");
            assert!(says_more || number > 1, "{way} {number} {text}");
        }
        locked.release().await;
        let stored = "SELECT (SELECT count(*) FROM commands) + count(*) FROM api_keys WHERE name = 'second'";
        assert_eq!(count(&harness, stored).await, 0, "{way}");
    }
}

#[tokio::test]
async fn jobs_that_wait_to_be_written_are_left_out_when_their_caller_is_gone() {
    let harness = Harness::new().await;
    let command = harness.create_command("x", json!({})).await;
    let variables = |label: &str| json!({ "input": { "commandId": command, "labels": [label] } });
    let marked = |label: &str| {
        let spec = json!({ "program": { "program": "/bin/true" } });
        json!({ "mark": { "name": label, "spec": spec }, "input": variables(label)["input"] })
    };
    let (id, text) = harness.create_key("ci", Role::Admin).await;
    let revoked = harness.visitor(Shown::Key(text));
    let admin = harness.visitor(Shown::Key("cb_admin".into()));
    let mut locked = Locked::table(&harness, "live_jobs IN EXCLUSIVE MODE").await;
    // Each is a group of its own, and no more are written at a time.
    let mut kept = Vec::new();
    for number in 1..=2 {
        kept.push(send(&admin, ENQUEUE, &variables("kept"), JSON));
        locked.eventually_waiting(number).await;
    }
    let late = send(&revoked, MARK_AND_ENQUEUE, &marked("late"), JSON);
    let left = send(&admin, MARK_AND_ENQUEUE, &marked("left"), JSON);
    let is_marked = || async { count(&harness, "SELECT count(*) FROM commands").await == 3 };
    eventually(WAIT_MAX, is_marked).await;
    let after = send(&admin, ENQUEUE, &variables("kept"), JSON);
    left.abort();
    harness.keys.key_revoke(id).await.unwrap();
    let (_, answer, _) = late.await.unwrap();
    assert!(answer.contains("UNAUTHENTICATED"), "{answer}");
    locked.release().await;
    for kept in kept.into_iter().chain([after]) {
        let (_, answer, _) = kept.await.unwrap();
        assert!(answer.contains("job_"), "{answer}");
    }
    assert_eq!(count(&harness, "SELECT count(*) FROM jobs WHERE labels @> '{kept}'").await, 3);
    assert_eq!(count(&harness, "SELECT count(*) FROM jobs WHERE labels && '{late, left}'").await, 0);
}
