//! An API over its own database, with methods for the operations that tests run often.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use callboard::{
    catalogue::{Catalogue, SessionLife},
    evaluator::Evaluator,
    steps::enqueue::context::SubmitContext,
    store::{Planning, Store},
    transport::Redis,
};
use callboard_api::{
    audit::AuditLog,
    auth::{Authenticator, StoredKeys},
    endpoint::Endpoint,
    graphql::{job::JobContext, loaders, proxy::ProxyProbe, reads::Reads, roots},
    operation::{Engine, WithLoaders},
    origin::Origins,
};
use callboard_test_support::{Database, redis_prefix, redis_url};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    keys::Keys,
    parts::{catalogue, submit},
};

const SESSION_LIFE: SessionLife = SessionLife { idle: Duration::from_mins(1), whole: Duration::from_mins(1) };

/// An API over its own database, which is dropped with it.
pub(crate) struct TestApi {
    router: Router,
    pub(crate) catalogue: Catalogue,
    pub(crate) audit: AuditLog,
    /// All response bodies so far.
    returned: Mutex<String>,
    _database: Database,
}

impl TestApi {
    pub(crate) async fn start() -> Self {
        Self::start_with(ProxyProbe::new(None)).await
    }

    pub(crate) async fn start_with(probe: ProxyProbe) -> Self {
        Self::with(probe, Evaluator::of_program(env!("CARGO_BIN_EXE_callboard-api").into())).await
    }

    pub(crate) async fn with_evaluator(evaluator: Evaluator) -> Self {
        Self::with(ProxyProbe::new(None), evaluator).await
    }

    async fn with(probe: ProxyProbe, evaluator: Evaluator) -> Self {
        let database = Database::create().await;
        let store = Store::open(&database.url().into(), 8, "api-catalogue-test", Planning::ByValue).unwrap();
        let catalogue = catalogue(&store, evaluator.clone());
        let redis = Redis::open(&redis_url().await.into(), &redis_prefix()).unwrap();
        let reads = Reads(store.clone());
        let submit = Arc::new(submit(&store, evaluator));
        let jobs = JobContext::start(Arc::clone(&submit), &reads, redis);
        let audit = AuditLog::start(store.clone());
        let schema = roots::schema().data(catalogue.clone()).data(jobs).data(probe).data(audit.clone());
        let schema = schema.data(reads.clone());
        let add_loaders: WithLoaders = Arc::new(move |request, allowance, actor| {
            loaders::add(request, &reads.0, &submit, allowance, actor)
        });
        let stored = StoredKeys { keys: catalogue.keys(), life: SESSION_LIFE, configured: None };
        let authenticator = Authenticator::new(Keys(stored));
        let engine = Engine::new(schema.finish(), authenticator, add_loaders).with_audit(audit.clone());
        let router = Endpoint::new(engine, Origins::default()).router();
        Self { router, catalogue, audit, returned: Mutex::default(), _database: database }
    }

    /// Returns a context for submitting jobs without the API.
    pub(crate) fn submit(&self) -> SubmitContext {
        submit(&self.catalogue.store, self.catalogue.evaluator.clone())
    }

    /// Runs an operation with this key and returns status and body.
    pub(crate) async fn execute(
        &self,
        key: Option<&str>,
        query: &str,
        variables: Value,
    ) -> (StatusCode, Value) {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut request = Request::post("/graphql")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/graphql-response+json");
        if let Some(key) = key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        self.returned.lock().unwrap().push_str(&text);
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Runs an operation as ADMIN that must have no errors and returns its data.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let (status, mut response) = self.execute(Some("cb_admin"), query, variables).await;
        assert_eq!((status, response.get("errors")), (StatusCode::OK, None), "{response}");
        response["data"].take()
    }

    /// Runs an operation as ADMIN that must have one error and returns its code.
    pub(crate) async fn error(&self, query: &str, variables: Value) -> String {
        let (_, response) = self.execute(Some("cb_admin"), query, variables).await;
        let errors = response["errors"].as_array().cloned().unwrap_or_default();
        assert_eq!(errors.len(), 1, "{response}");
        assert!(errors[0]["extensions"]["requestId"].is_string(), "{response}");
        errors[0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// Runs a mutation `name(input: NameInput!)` and returns its payload with these fields.
    pub(crate) async fn mutate(&self, name: &str, fields: &str, input: Value) -> Value {
        let input_type = format!("{}{}Input", name[..1].to_uppercase(), &name[1..]);
        let query = format!(
            "mutation($input: {input_type}!) {{
             {name}(input: $input) {{ {fields} userErrors {{ code path message }} }} }}"
        );
        self.data(&query, json!({ "input": input })).await[name].take()
    }

    /// Runs a mutation that must succeed and returns the payload's object.
    pub(crate) async fn mutate_ok(&self, name: &str, fields: &str, input: Value) -> Value {
        let field = noun(name);
        let mut payload = self.mutate(name, &format!("{field} {{ {fields} }}"), input).await;
        assert_eq!(payload["userErrors"], json!([]), "{name}");
        payload[field].take()
    }

    /// Runs a mutation that must be refused and returns its [`reasons`].
    pub(crate) async fn refused(&self, name: &str, input: Value) -> Vec<String> {
        let field = if name.ends_with("Delete") { "deletedId" } else { noun(name) };
        let selected = if name.ends_with("Delete") { field.to_owned() } else { format!("{field} {{ id }}") };
        let payload = self.mutate(name, &selected, input).await;
        assert_eq!(payload[field], Value::Null, "{payload}");
        reasons(&payload["userErrors"])
    }

    /// Creates an object with the required fields and returns its id.
    pub(crate) async fn create(&self, noun: &str, name: &str) -> String {
        let input = match noun {
            "profile" => json!({ "name": name, "chromeProfilePath": format!("p/{name}") }),
            "service" => json!({ "name": name }),
            "proxy" => json!({ "name": name, "protocol": "HTTP", "address": "127.0.0.1:3128" }),
            "command" => json!({ "name": name, "spec": { "http": { "url": "https://example.test" } } }),
            other => panic!("unknown noun {other}"),
        };
        let created = self.mutate_ok(&format!("{noun}Create"), "id", input).await;
        created["id"].as_str().unwrap().to_owned()
    }

    /// Asserts that no response so far contains any of these.
    pub(crate) fn assert_never_returned(&self, secrets: &[&str]) {
        let returned = self.returned.lock().unwrap();
        for secret in secrets {
            assert!(!returned.contains(secret), "a response contains {secret}");
        }
    }
}

/// Returns the noun of a mutation: `profile` for `profileCreate`.
fn noun(mutation: &str) -> &str {
    let end = mutation.find(|c: char| c.is_ascii_uppercase()).unwrap_or(mutation.len());
    &mutation[..end]
}

/// Returns `CODE path.below.input` for each user error. Each must have a message and a path that
/// begins with `input`.
pub(crate) fn reasons(errors: &Value) -> Vec<String> {
    let errors = errors.as_array().unwrap();
    assert!(!errors.is_empty(), "nothing was refused");
    let reason = |error: &Value| {
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
        let path: Vec<&str> =
            error["path"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        let (first, below) = path.split_first().unwrap();
        assert_eq!(*first, "input", "{error}");
        format!("{} {}", error["code"].as_str().unwrap(), below.join(".")).trim_end().to_owned()
    };
    errors.iter().map(reason).collect()
}

/// Collects texts into a set, to compare reasons regardless of their order.
pub(crate) fn set<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    texts.into_iter().map(str::to_owned).collect()
}
