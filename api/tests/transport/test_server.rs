//! A schema with one unusual behaviour per field, and a server for it on its own port.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_graphql::{Context, ID, MergedObject, Object, Result, Schema, SimpleObject, Subscription};
use callboard::{
    ids::{JobId, ProfileId},
    secret::Keyring,
    store::StoreError,
};
use callboard_api::{
    artifacts::{ArtifactUrls, Artifacts},
    auth::{Authenticator, Caller},
    client_address::TrustedProxies,
    connection,
    cursor::{Cursor as _, Keyset},
    demo,
    endpoint::Endpoint,
    error::{ApiError, Code},
    graphql::{
        page::{PAGE_MAX, Page},
        query_limits::bounded,
        viewer::ViewerQuery,
    },
    health::Part,
    nodes,
    operation::Engine,
    origin::Origins,
    prometheus,
    server::{self, ClientPolicy, Guarded, Patience},
    shares::{ShareLimits, Shares},
};
use futures::{Stream, StreamExt as _, stream};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{artifacts::OneFile, keys::Keys};

/// A key with the role ADMIN.
pub const ADMIN: &str = "cb_test_admin";
/// A key with the role VIEWER.
pub const VIEWER: &str = "cb_test_viewer";

/// An item of a list.
#[derive(Debug, Clone)]
pub struct Job(pub i64);

#[Object]
impl Job {
    async fn id(&self) -> ID {
        JobId::from(uuid::Uuid::from_u128(self.0 as u128)).to_string().into()
    }
    async fn number(&self) -> i64 {
        self.0
    }
}

/// Another type with an id. Loading it fails.
#[derive(Debug, Clone)]
pub struct Profile;

#[Object]
impl Profile {
    async fn id(&self) -> ID {
        ProfileId::from(uuid::Uuid::nil()).to_string().into()
    }
}

async fn job(_: &Context<'_>, id: JobId) -> Result<Option<Job>> {
    let number = id.uuid().as_u128();
    Ok((number < 1000).then_some(Job(number as i64)))
}

async fn profile(_: &Context<'_>, _: ProfileId) -> Result<Option<Profile>> {
    Err(StoreError::corrupt("profiles", "name", &"secret detail").into())
}

nodes! {
    Job(Job), JobId, job;
    Profile(Profile), ProfileId, profile;
}

connection!(
    /// Jobs.
    JobConnection,
    /// A job in its list.
    JobEdge,
    Job;
    /// Not exact.
    count_at_least: i32
);

/// An object with failing fields.
#[derive(Debug, Default)]
pub struct Fragile;

#[Object]
impl Fragile {
    async fn fine(&self) -> i32 {
        1
    }
    async fn slow(&self) -> i32 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        2
    }
    async fn nullable(&self) -> Option<Result<i32>> {
        Some(Err("internal detail: password=hunter2".into()))
    }
    async fn not_null(&self) -> Result<i32> {
        Err(ApiError::new(Code::NotFound, "not there").into())
    }
    async fn deeper(&self) -> Self {
        Self
    }
}

#[derive(Debug, Default)]
pub struct TestQuery;

#[Object]
impl TestQuery {
    async fn hello(&self, name: Option<String>) -> String {
        format!("hello {}", name.as_deref().unwrap_or("world"))
    }
    async fn count(&self, value: i32) -> i32 {
        value
    }
    async fn at(
        &self,
        value: callboard_api::graphql::scalars::DateTime,
    ) -> callboard_api::graphql::scalars::DateTime {
        value
    }
    async fn fragile(&self) -> Option<Fragile> {
        Some(Fragile)
    }
    async fn many(&self) -> Vec<Fragile> {
        vec![Fragile, Fragile]
    }
    async fn sleep(&self, millis: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        millis
    }
    async fn panic(&self) -> i32 {
        std::hint::black_box(None).expect("on purpose")
    }
    async fn store_fails(&self, how: String) -> Option<Result<i32>> {
        let io = || std::io::Error::other("secret host 10.0.0.1").into();
        Some(Err(match how.as_str() {
            "unavailable" => StoreError::Unavailable(io()).into(),
            "commit" => StoreError::CommitUnknown(io()).into(),
            "shared" => Arc::new(StoreError::Contended(io())).into(),
            _ => StoreError::Unexpected(io()).into(),
        }))
    }
    #[graphql(name = "apiKeys")]
    async fn admin_only(&self, ctx: &Context<'_>) -> Result<String> {
        Ok(Caller::of(ctx).unwrap().name.clone())
    }
    async fn big(&self, kilobytes: usize) -> String {
        "x".repeat(kilobytes * 1024)
    }
    async fn jobs(
        &self,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<JobConnection> {
        let page = Page::<Keyset<i64>>::parse((first, after), (last, before), PAGE_MAX)?;
        let (low, high) = (
            page.after.as_ref().map_or(0, |cursor| cursor.0),
            page.before.as_ref().map_or(101, |cursor| cursor.0),
        );
        let all = low + 1..high;
        let rows: Vec<i64> = if page.is_from_end {
            all.rev().take(page.rows() as usize).collect()
        } else {
            all.take(page.rows() as usize).collect()
        };
        let (rows, bounds) = page.cut(rows);
        Ok(JobConnection::new(rows.into_iter().map(|n| (Keyset(n).encode(), Job(n))), bounds, Some(100), 100))
    }
}

#[derive(Debug, Default, MergedObject)]
pub struct Query(TestQuery, ViewerQuery, NodeQuery);

#[derive(Debug, Default)]
pub struct Mutation;

#[Object]
impl Mutation {
    async fn bump(&self, by: Option<i32>) -> i32 {
        1 + by.unwrap_or(0)
    }
    async fn session_create(&self) -> bool {
        true
    }
    async fn sleep(&self, millis: u64) -> u64 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        millis
    }
}

#[derive(Debug, Clone, SimpleObject)]
pub struct Tick {
    number: i32,
}

#[derive(Debug, Default)]
pub struct TestSubscription;

#[Subscription]
impl TestSubscription {
    /// Sends `to` ticks.
    async fn ticks(&self, to: i32, every_millis: Option<u64>) -> impl Stream<Item = Tick> {
        stream::iter(1..=to).then(move |number| async move {
            tokio::time::sleep(Duration::from_millis(every_millis.unwrap_or(1))).await;
            Tick { number }
        })
    }
    /// Sends large events as fast as they are read.
    async fn flood(&self, kilobytes: usize) -> impl Stream<Item = String> {
        let make = move || {
            FLOODED.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            "x".repeat(kilobytes * 1024)
        };
        stream::repeat_with(make).then(|text| async {
            tokio::task::yield_now().await;
            text
        })
    }
    /// Never sends anything. Counted by [`OPEN_STREAMS`] until it is dropped.
    async fn silence(&self) -> impl Stream<Item = i32> {
        let alive = OpenStream::new();
        stream::pending().map(move |()| {
            let _held = &alive;
            0
        })
    }
    /// Fails when it is opened.
    async fn missing(&self) -> Result<impl Stream<Item = i32>> {
        if true {
            return Err(ApiError::new(Code::NotFound, "There is no such job.").into());
        }
        Ok(stream::empty())
    }
    /// Fails after its first event.
    async fn breaks(&self) -> impl Stream<Item = Result<i32>> {
        stream::iter([Ok(1), Err(ApiError::new(Code::Unavailable, "later").into()), Ok(3)])
    }
}

/// The number of events that [`TestSubscription::flood`] has made, for all tests.
pub static FLOODED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// The number of open [`TestSubscription::silence`] streams.
pub static OPEN_STREAMS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

struct OpenStream;

impl OpenStream {
    fn new() -> Self {
        OPEN_STREAMS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Self
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        OPEN_STREAMS.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
    }
}

pub type TestSchema = Schema<Query, Mutation, TestSubscription>;

/// Builds the schema with the limits of the real one.
pub fn schema() -> TestSchema {
    bounded(Schema::build(Query::default(), Mutation, TestSubscription)).finish()
}

/// A running server with its handles.
pub struct TestServer {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub sockets: TaskTracker,
    pub urls: ArtifactUrls,
    pub served: JoinHandle<std::io::Result<()>>,
}

/// The origin of another site whose pages may use the server.
pub const ALLOWED_ORIGIN: &str = "https://friend.example";

/// Settings of a test server.
pub struct Setup {
    pub keys: Keys,
    pub limits: callboard_api::endpoint::SocketLimits,
    pub shares: ShareLimits,
    pub proxies: TrustedProxies,
    pub patience: Patience,
    pub is_schema_open: bool,
    pub time_max: Duration,
    pub artifact_root: PathBuf,
    pub parts: Vec<Part>,
    pub listen: SocketAddr,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            keys: Keys::default(),
            limits: callboard_api::endpoint::SocketLimits::default(),
            shares: ShareLimits::DEFAULT,
            proxies: TrustedProxies::none(),
            patience: Patience::default(),
            is_schema_open: false,
            time_max: Duration::from_secs(30),
            artifact_root: "/nonexistent".into(),
            parts: Vec::new(),
            listen: ([127, 0, 0, 1], 0).into(),
        }
    }
}

/// Starts a server.
pub async fn start(setup: Setup) -> TestServer {
    static METRICS: OnceLock<metrics_exporter_prometheus::PrometheusHandle> = OnceLock::new();
    let metrics = METRICS.get_or_init(|| prometheus::install().unwrap()).clone();
    let authenticator = Authenticator::new(setup.keys);
    let engine = Engine::new(schema(), authenticator, Arc::new(|request, _, _| request))
        .with_time_max(setup.time_max)
        .with_open_schema(setup.is_schema_open);
    let endpoint = Endpoint {
        shares: Shares::new(setup.shares),
        proxies: setup.proxies,
        body_arrival_max: setup.patience.body,
        socket_limits: setup.limits,
        ..Endpoint::new(engine, Origins::parse([ALLOWED_ORIGIN]).unwrap())
    };
    let policy = ClientPolicy { shares: endpoint.shares.clone(), proxies: endpoint.proxies.clone() };
    let (shutdown, sockets) = (endpoint.shutdown.clone(), endpoint.sockets.clone());
    let keyring = Keyring::parse(&"0123456789abcdef".repeat(4).into()).unwrap();
    let listener = TcpListener::bind(setup.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Guarded::new(listener, setup.patience, policy);
    let urls = ArtifactUrls::new(Arc::new(keyring), format!("http://{address}").parse().unwrap());
    let router = server::router(server::Parts {
        endpoint,
        health: setup.parts,
        artifacts: Artifacts { urls: urls.clone(), index: Arc::new(OneFile), root: setup.artifact_root },
        metrics,
        queues: None,
        demo: Some(demo::site::router()),
    });
    let served = tokio::spawn(server::run(listener, router, shutdown.clone(), sockets.clone()));
    TestServer { address, shutdown, sockets, urls, served }
}

impl TestServer {
    /// Returns a URL of this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Builds a request to `/graphql` with the key [`ADMIN`].
    pub fn graphql(&self, method: reqwest::Method) -> reqwest::RequestBuilder {
        client().request(method, self.url("/graphql")).bearer_auth(ADMIN)
    }

    /// Runs an operation and returns its JSON response.
    pub async fn execute(&self, query: &str) -> serde_json::Value {
        let body = serde_json::json!({ "query": query }).to_string();
        let request =
            self.graphql(reqwest::Method::POST).header("content-type", "application/json").body(body);
        request.send().await.unwrap().json().await.unwrap()
    }
}

/// Builds a client without proxies and redirects.
pub fn client() -> reqwest::Client {
    callboard::startup::http_client!().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// Starts a server with the default settings.
pub async fn start_default() -> TestServer {
    start(Setup::default()).await
}
