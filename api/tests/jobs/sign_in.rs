//! Keys and sessions: how they begin, and that they end within a second everywhere.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard::{
    catalogue::{KeyCreate, SessionLife},
    clock,
    ids::ApiKeyId,
    store::catalogue::api_keys::Role,
};
use callboard_test_support::{eventually, private_redis, redis_url};
use futures::future::join_all;
use reqwest::header::{HeaderMap, SET_COOKIE};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    client::WAIT_MAX,
    harness::Harness,
    visitor::{Answer, Open, Shown, Visitor},
};

const SIGN_IN: &str = "mutation($input: SessionCreateInput!) { sessionCreate(input: $input) {
    viewer { name role expiresAt isSession } userErrors { code path message } } }";
pub(crate) const VIEWER: &str = "{ viewer { name role isSession } }";
pub(crate) const ENDLESS: &str = "subscription { jobsChanged { cursor } }";
/// What is promised, on a machine that is not busy.
const END_MAX: Duration = Duration::from_secs(1);

/// Measures by how much the timers of this process are late, all together.
struct Lateness(Arc<Mutex<Duration>>, tokio::task::JoinHandle<()>);

impl Lateness {
    fn measure() -> Self {
        const EVERY: Duration = Duration::from_millis(10);
        let total = Arc::<Mutex<Duration>>::default();
        let measured = Arc::clone(&total);
        let task = tokio::spawn(async move {
            loop {
                let began = Instant::now();
                tokio::time::sleep(EVERY).await;
                *measured.lock().unwrap() += began.elapsed().saturating_sub(EVERY);
            }
        });
        Self(total, task)
    }

    fn stop(self) -> Duration {
        self.1.abort();
        *self.0.lock().unwrap()
    }
}

impl Harness {
    /// Creates a key, as `callboard-api keys create` does.
    pub(crate) async fn create_key(&self, name: &str, role: Role) -> (ApiKeyId, String) {
        let new = KeyCreate { name: name.into(), role, expires_at: None };
        let (key, text) = self.keys.key_create(new).await.unwrap();
        (key.id, text.expose_secret().to_owned())
    }

    pub(crate) fn visitor(&self, shown: Shown) -> Visitor {
        Visitor::new(self.address, shown)
    }

    /// Trades a key for a session, and returns the text of its cookie.
    pub(crate) async fn open_session(&self, key: &str) -> String {
        let response = self.sign_in(Shown::Nothing, key, &[]).await;
        cookie(response.headers(), "callboard").expect("a cookie")
    }

    pub(crate) async fn sign_in(
        &self,
        shown: Shown,
        key: &str,
        headers: &[(&str, &str)],
    ) -> reqwest::Response {
        let variables = json!({ "input": { "key": key } });
        let mut request = self.visitor(shown).request(SIGN_IN, &variables, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// When a key was revoked, as the database has it.
    async fn revoked_at(&self, id: ApiKeyId) -> Instant {
        let statement = "SELECT revoked_at FROM api_keys WHERE id = $1";
        let found = sqlx::query_scalar(statement).bind(id.uuid()).fetch_one(&mut self.connect().await).await;
        let revoked_at: clock::Time = found.unwrap();
        Instant::now() - (clock::now() - revoked_at).to_std().unwrap()
    }

    /// Waits until a key is refused.
    pub(crate) async fn eventually_refused(&self, key: &str) {
        let visitor = self.visitor(Shown::Key(key.to_owned()));
        let refused = || async { visitor.over_http(VIEWER, &json!({})).await.has("UNAUTHENTICATED") };
        eventually(WAIT_MAX, refused).await;
    }
}

/// The value of the cookie of this name that a response sets.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let pairs = headers.get_all(SET_COOKIE).iter().filter_map(|value| {
        let (of, value) = value.to_str().unwrap().split(';').next().unwrap().split_once('=')?;
        (of == name).then(|| value.to_owned())
    });
    pairs.into_iter().next()
}

/// A socket and a stream of events that go on until they are ended.
async fn open_both(visitor: &Visitor) -> [Open; 2] {
    let none = json!({});
    let (mut events, mut socket) = tokio::join!(visitor.events(ENDLESS, &none), visitor.socket());
    socket.subscribe(ENDLESS, &none).await;
    for stream in [&mut events, &mut socket] {
        assert_eq!(stream.answer().await, Answer::Codes([].into()));
    }
    [events, socket]
}

/// That a caller's requests are refused, and its streams end, within a second.
async fn assert_ended(visitor: &Visitor, streams: [Open; 2], since: Instant, lateness: Lateness) {
    let [mut events, mut socket] = streams;
    let (events, socket) = tokio::join!(events.end(WAIT_MAX), socket.end(WAIT_MAX));
    assert!(events.has("UNAUTHENTICATED"), "{events:?}");
    assert!(socket.is_closed(4401), "{socket:?}");
    let is_refused =
        || async { visitor.over_http("{ queues { name } }", &json!({})).await.has("UNAUTHENTICATED") };
    eventually(WAIT_MAX, is_refused).await;
    let (took, late) = (since.elapsed(), lateness.stop());
    assert!(took < END_MAX + late, "{took:?}, timers were {late:?} late");
}

#[tokio::test]
async fn a_key_is_shown_once_and_only_its_hash_is_kept() {
    let harness = Harness::new().await;
    let input = json!({ "name": "ci", "role": "OPERATOR", "expiresAt": "2100-01-01T00:00:00Z" });
    let fields = "key apiKey { id name role createdAt lastUsedAt expiresAt revokedAt }";
    let payload = harness.mutate("apiKeyCreate", fields, input.clone()).await;
    let key = payload["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("cb_") && key.len() == 52, "{key}");
    let created = &payload["apiKey"];
    assert_eq!((&created["name"], &created["role"]), (&json!("ci"), &json!("OPERATOR")));
    assert_eq!(created["expiresAt"], "2100-01-01T00:00:00.000Z");
    assert_eq!((&created["lastUsedAt"], &created["revokedAt"]), (&Value::Null, &Value::Null));
    let viewer = harness.execute(&key, VIEWER, json!({})).await;
    let expected = json!({ "name": "ci", "role": "OPERATOR", "isSession": false });
    assert_eq!(viewer["data"]["viewer"], expected);

    let listed = harness.data("{ apiKeys { totalCount nodes { id name lastUsedAt } } }", json!({})).await;
    assert_eq!(listed["apiKeys"]["totalCount"], 1);
    assert_eq!(listed["apiKeys"]["nodes"][0]["id"], created["id"]);
    assert!(listed["apiKeys"]["nodes"][0]["lastUsedAt"].is_string());
    assert!(!listed.to_string().contains(&key));
    let cookie = harness.open_session(&key).await;
    let mut connection = harness.connect().await;
    for table in ["api_keys", "sessions"] {
        let query = format!("SELECT string_agg(x::text, ' ') FROM {table} x");
        let stored: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
        for secret in [&key, &cookie] {
            assert!(!stored.contains(secret.as_str()), "{table} holds a secret");
        }
    }

    let reasons = |payload: &Value| crate::harness::reasons(payload);
    let refused = harness.mutate("apiKeyCreate", "key", input).await;
    assert_eq!((&refused["key"], reasons(&refused)), (&Value::Null, vec!["TAKEN name".to_owned()]));
    for (input, reason) in [
        (json!({ "name": "", "role": "VIEWER" }), "INVALID name"),
        (json!({ "name": "x", "role": "VIEWER", "expiresAt": "2020-01-01T00:00:00Z" }), "INVALID expiresAt"),
    ] {
        let refused = harness.mutate("apiKeyCreate", "key", input).await;
        assert_eq!(reasons(&refused), [reason]);
    }
    let id = created["id"].clone();
    let revoke = || harness.mutate("apiKeyRevoke", "apiKey { id revokedAt }", json!({ "id": id }));
    let (first, second) = (revoke().await, revoke().await);
    assert!(first["apiKey"]["revokedAt"].is_string());
    assert_eq!(first, second, "a key that is revoked already stays as it is");
    let unknown = harness.mutate("apiKeyRevoke", "apiKey { id }", json!({ "id": "key_x" })).await;
    assert_eq!(reasons(&unknown), ["NOT_FOUND id"]);
    // The name of a revoked key is free.
    let again = harness.mutate("apiKeyCreate", "key", json!({ "name": "ci", "role": "VIEWER" })).await;
    assert!(again["key"].is_string(), "{again}");
}

#[tokio::test]
async fn what_ends_a_key_ends_its_requests_sockets_and_streams_within_a_second() {
    let harness = Harness::new().await;
    // Revoked through this process, by another one without a hint, and expired by itself.
    for (way, life) in [("api", None), ("elsewhere", None), ("expiry", Some(3))] {
        let expires_at = life.map(|seconds| clock::now() + chrono::Duration::seconds(seconds));
        let new = KeyCreate { name: way.into(), role: Role::Viewer, expires_at };
        let (key, text) = harness.keys.key_create(new).await.unwrap();
        let by_key = harness.visitor(Shown::Key(text.expose_secret().to_owned()));
        let by_session = harness.visitor(Shown::Cookie(harness.open_session(text.expose_secret()).await));
        let (of_key, of_session) = tokio::join!(open_both(&by_key), open_both(&by_session));
        let lateness = [Lateness::measure(), Lateness::measure()];
        let since = match way {
            "api" => {
                harness.mutate("apiKeyRevoke", "apiKey { id }", json!({ "id": key.id.to_string() })).await;
                harness.revoked_at(key.id).await
            }
            "elsewhere" => {
                harness.keys.key_revoke(key.id).await.unwrap();
                harness.revoked_at(key.id).await
            }
            _ => {
                let left = expires_at.unwrap() - clock::now();
                Instant::now() + left.to_std().unwrap_or_default()
            }
        };
        let [of_one, of_other] = lateness;
        assert_ended(&by_key, of_key, since, of_one).await;
        assert_ended(&by_session, of_session, since, of_other).await;
    }
}

#[tokio::test]
async fn a_revoked_key_ends_within_a_second_while_redis_is_down() {
    let redis = private_redis().await;
    let harness = Harness::with_redis(redis.url()).await;
    let (id, text) = harness.create_key("ci", Role::Viewer).await;
    let visitor = harness.visitor(Shown::Key(text));
    let streams = open_both(&visitor).await;
    redis.kill();
    let lateness = Lateness::measure();
    harness.keys.key_revoke(id).await.unwrap();
    assert_ended(&visitor, streams, harness.revoked_at(id).await, lateness).await;
}

#[tokio::test]
async fn signing_out_ends_the_session_and_its_streams_and_no_other() {
    let harness = Harness::new().await;
    let (_, key) = harness.create_key("ann", Role::Viewer).await;
    let sessions = [harness.open_session(&key).await, harness.open_session(&key).await];
    let [one, other] = sessions.map(|text| harness.visitor(Shown::Cookie(text)));
    let (streams, mut others) = tokio::join!(open_both(&one), open_both(&other));
    let query = "mutation { sessionDelete { viewer { name } userErrors { code } } }";
    let (lateness, since) = (Lateness::measure(), Instant::now());
    let response = one.request(query, &json!({}), "application/json").send().await.unwrap();
    assert_eq!(cookie(response.headers(), "callboard").as_deref(), Some(""));
    assert_eq!(cookie(response.headers(), "__Host-callboard").as_deref(), Some(""));
    assert_ended(&one, streams, since, lateness).await;
    let viewer = one.respond(VIEWER, &json!({})).await;
    assert_eq!(viewer["data"], json!({ "viewer": null }), "an old cookie is no credential");
    let viewer = other.respond(VIEWER, &json!({})).await;
    assert_eq!(viewer["data"]["viewer"]["name"], "ann");
    harness.enqueue(json!({ "commandId": harness.create_command("x", json!({})).await })).await;
    for stream in &mut others {
        assert_eq!(stream.answer().await, Answer::Codes([].into()), "the other session's streams go on");
    }
    // A key is no session, and nobody may sign out.
    for shown in [Shown::Key(key.clone()), Shown::Nothing] {
        let response = harness.visitor(shown).respond(query, &json!({})).await;
        assert_eq!(response["data"]["sessionDelete"]["userErrors"], json!([]));
    }
    // Signing in again replaces the session of the browser.
    let old = other.shown.clone();
    let new = harness.sign_in(old, &key, &[]).await;
    assert!(cookie(new.headers(), "callboard").is_some());
    let gone = || async { other.respond(VIEWER, &json!({})).await["data"]["viewer"].is_null() };
    eventually(WAIT_MAX, gone).await;
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_after_its_life() {
    for (idle, whole, is_used) in [(2, 600, false), (600, 2, true)] {
        let life = SessionLife { idle: Duration::from_secs(idle), whole: Duration::from_secs(whole) };
        let harness = Harness::with(&redis_url().await, life, u32::MAX).await;
        let (_, key) = harness.create_key("ann", Role::Viewer).await;
        let visitor = harness.visitor(Shown::Cookie(harness.open_session(&key).await));
        assert_eq!(visitor.respond(VIEWER, &json!({})).await["data"]["viewer"]["name"], "ann");
        // A socket is no use of the session.
        let mut socket = visitor.socket().await;
        if is_used {
            let ended = || async { visitor.respond(VIEWER, &json!({})).await["data"]["viewer"].is_null() };
            eventually(WAIT_MAX, ended).await;
        }
        let end = socket.end(WAIT_MAX).await;
        assert!(end.is_closed(4401), "{end:?}");
        assert_eq!(visitor.respond(VIEWER, &json!({})).await["data"]["viewer"], Value::Null);
    }
}

#[tokio::test]
async fn failed_sign_ins_are_slowed_and_aliases_do_not_multiply_them() {
    let harness = Harness::with(
        &redis_url().await,
        SessionLife { idle: Duration::from_mins(10), whole: Duration::from_mins(10) },
        5,
    )
    .await;
    let (_, known) = harness.create_key("known", Role::Viewer).await;
    let mut new = Vec::new();
    for number in 0..20 {
        new.push(harness.create_key(&format!("new{number}"), Role::Viewer).await.1);
    }
    let known = harness.visitor(Shown::Key(known));
    assert_eq!(known.over_http(VIEWER, &json!({})).await, Answer::Codes([].into()));
    let two = "mutation { a: sessionCreate(input: { key: \"a\" }) { viewer { name } }
        b: sessionCreate(input: { key: \"b\" }) { viewer { name } } }";
    let nobody = harness.visitor(Shown::Nothing);
    assert!(nobody.over_http(two, &json!({})).await.has("BAD_REQUEST"));
    for number in 0..2 {
        let response = harness.sign_in(Shown::Nothing, &format!("wrong{number}"), &[]).await;
        let payload: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        let error = &payload["data"]["sessionCreate"]["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!("INVALID"), &json!(["input", "key"])),
            "{payload}"
        );
    }
    for _ in 0..2 {
        let wrong = harness.visitor(Shown::Key("cb_wrong".into()));
        assert!(wrong.over_http(VIEWER, &json!({})).await.has("UNAUTHENTICATED"));
    }
    let wrong = harness.visitor(Shown::Key("cb_wrong".into()));
    let answer = wrong.over_socket(VIEWER, &json!({})).await;
    assert!(answer.is_closed(4401), "{answer:?}");
    // Now every further try waits, over every transport and whatever is asked for.
    for accept in ["application/json", "application/graphql-response+json", "text/event-stream"] {
        let response = wrong.request(VIEWER, &json!({}), accept).send().await.unwrap();
        assert_eq!(response.status(), 429, "{accept}");
        let wait: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
    }
    let response = harness.sign_in(Shown::Nothing, "wrong", &[]).await;
    assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (429, true));
    // A client of graphql-ws connects again after 1013 by itself.
    let answer = wrong.over_socket(VIEWER, &json!({})).await;
    assert!(matches!(&answer, Answer::Closed(1013, why) if why.contains("Try again in")), "{answer:?}");
    // Keys go on, and good ones can sign in, many at once.
    assert_eq!(known.over_http(VIEWER, &json!({})).await, Answer::Codes([].into()));
    let new: Vec<Visitor> = new.into_iter().map(|key| harness.visitor(Shown::Key(key))).collect();
    let none = json!({});
    for answer in join_all(new.iter().map(|new| new.over_http(VIEWER, &none))).await {
        assert_eq!(answer, Answer::Codes([].into()));
    }
}
