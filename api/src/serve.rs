//! The command `serve`: creates the parts from the settings, waits for Postgres and Redis, and runs
//! until a stop signal.
//!
//! The schema meets the store here. A noun's data for the process is added in [`serve`], its
//! DataLoaders in [`with_loaders`].

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use async_graphql::Executor;
use callboard::{
    api_key::TextKind,
    catalogue::Catalogue,
    clock::IdSource,
    evaluator::Evaluator,
    ids::ArtifactId,
    recipes::Recipes,
    secret::Keyring,
    settings::Environment,
    steps::{
        enqueue::context::SubmitContext,
        maintain::{
            fold_counters::{keep_folded, make_partitions},
            reseal::check_keys,
        },
    },
    store::{Planning, Store, StoreError, catalogue::api_keys, jobs::artifacts},
    transport::Redis,
};
use futures::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    artifacts::{ArtifactFile, ArtifactIndex, ArtifactUrls, Artifacts},
    audit::AuditLog,
    auth::{Authenticator, Caller, FixedKey, KeyHash, StoredKeys},
    demo,
    endpoint::Endpoint,
    graphql::{job::JobContext, loaders, proxy::ProxyProbe, reads::Reads, roots},
    health::Part,
    operation::{Engine, WithLoaders},
    prometheus,
    server::{self, ClientPolicy, Guarded},
    settings::Settings,
    shares::Shares,
};

/// Serves until SIGTERM or SIGINT.
pub async fn serve(settings: &Settings) -> anyhow::Result<()> {
    settings.check()?;
    let keyring = Arc::new(settings.shared.keyring()?);
    let configured = settings.api_key()?;
    let is_development = settings.shared.environment() == Environment::Development;
    let is_drawn = configured.is_none() && is_development;
    let key = configured.or_else(|| is_drawn.then(|| TextKind::Key.draw()));
    let (store, reads) = stores(settings)?;
    let redis = Redis::open(&settings.shared.redis_url()?, &settings.shared.redis_prefix)?;
    let health = parts_of(&store, &redis);
    prepare(&store, &redis, settings.shared.start_timeout()).await?;
    check_keys(&store, &keyring).await?;
    must_have_key(&store, key.is_some()).await?;

    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {} (CALLBOARD_LISTEN)", settings.listen))?;
    let own_url: Url = format!("http://{}/", listener.local_addr()?).parse()?;
    let public_url = settings.public_url.clone().unwrap_or_else(|| own_url.clone());
    let urls = ArtifactUrls::new(Arc::clone(&keyring), public_url);
    let evaluator = Evaluator::new();
    let catalogue = catalogue(settings, &store, keyring, evaluator.clone())?;
    let audit = AuditLog::start(store.clone());
    let configured = key.as_ref().map(|key| KeyHash::of(key.expose_secret()));
    let stored = StoredKeys { keys: catalogue.keys(), life: settings.session_life(), configured };
    let authenticator = Arc::new(authenticator(stored.clone()).with_audit(audit.clone()));
    let submit = Arc::new(submit(settings, &store, evaluator)?);
    let jobs = JobContext::start(Arc::clone(&submit), &reads, redis);
    tokio::spawn(forget_what_ended(Arc::clone(&authenticator), jobs.feed.access_ended()));
    let probe = ProxyProbe::new(settings.proxy_check_url(&own_url));
    let schema = roots::schema().data(catalogue).data(stored).data(urls.clone()).data(probe).data(jobs);
    let schema = schema.data(reads.clone()).data(audit.clone()).finish();
    let engine = Engine::new(schema, authenticator, with_loaders(reads.0.clone(), submit))
        .with_open_schema(settings.is_schema_open())
        .with_audit(audit.clone());
    let endpoint = endpoint(settings, engine)?;
    let policy = ClientPolicy { shares: endpoint.shares.clone(), proxies: endpoint.proxies.clone() };
    let listener = Guarded::new(listener, settings.patience(), policy);
    let (shutdown, sockets) = (endpoint.shutdown.clone(), endpoint.sockets.clone());
    let router = server::router(server::Parts {
        endpoint,
        health,
        artifacts: Artifacts {
            urls,
            index: Arc::new(Files(store.clone())),
            root: settings.shared.artifact_root.clone(),
        },
        metrics: prometheus::install()?,
        queues: Some(reads.0.clone()),
        demo: is_development.then(demo::site::router),
    });
    start_demo_proxy(settings, shutdown.clone()).await?;
    announce(&own_url, key.as_ref().filter(|_| is_drawn));
    // Counters must be folded even while no worker is running.
    let (rolled, rolls) = (store.clone(), shutdown.clone());
    tokio::spawn(async move { rolls.run_until_cancelled(Box::pin(keep_folded(&rolled))).await });
    tokio::spawn(stop_when_asked(shutdown.clone()));
    let ended = server::run(listener, router, shutdown, sockets).await;
    audit.flush().await;
    store.close().await;
    reads.0.close().await;
    Ok(ended?)
}

/// The connections of everything else, and half of them for queries.
fn stores(settings: &Settings) -> anyhow::Result<(Store, Reads)> {
    let open = |connections: u32| {
        Store::open(&settings.shared.database_url()?, connections, "callboard-api", Planning::ByValue)
            .map_err(anyhow::Error::from)
    };
    let of_queries = settings.database_connections / 2;
    Ok((open(settings.database_connections - of_queries)?, Reads(open(of_queries)?)))
}

/// Creates the state of `/graphql` with the configured limits.
fn endpoint<E: Executor>(settings: &Settings, engine: Engine<E>) -> anyhow::Result<Endpoint<E>> {
    Ok(Endpoint {
        shares: Shares::new(settings.shares()),
        proxies: settings.proxies()?,
        body_arrival_max: settings.patience().body,
        socket_limits: settings.socket_limits(),
        ..Endpoint::new(engine, settings.origins()?)
    })
}

/// Creates the catalogue.
fn catalogue(
    settings: &Settings,
    store: &Store,
    keyring: Arc<Keyring>,
    evaluator: Evaluator,
) -> anyhow::Result<Catalogue> {
    let allow_list = settings.shared.allow_list()?;
    Ok(Catalogue {
        store: store.clone(),
        keyring,
        allow_list,
        evaluator,
        ids: IdSource,
        actor: Arc::default(),
    })
}

/// Ends the server at SIGTERM or SIGINT.
async fn stop_when_asked(stop: CancellationToken) {
    if let Err(error) = server::asked_to_stop().await {
        tracing::error!(%error, "signals cannot be received");
    }
    tracing::info!("shutting down");
    stop.cancel();
}

/// Creates the submit context.
fn submit(settings: &Settings, store: &Store, evaluator: Evaluator) -> anyhow::Result<SubmitContext> {
    let keyring = settings.shared.keyring()?;
    Ok(SubmitContext { store: store.clone(), keyring, recipes: Recipes::default(), evaluator, ids: IdSource })
}

/// Authenticates with the configured key, if there is one, and those of the database.
fn authenticator(stored: StoredKeys) -> Authenticator {
    match stored.configured {
        Some(key) => Authenticator::new(FixedKey { key, caller: Caller::configured(), otherwise: stored }),
        None => Authenticator::new(stored),
    }
}

/// Looks up keys and sessions anew whenever any process has ended one. Ends with the feed.
async fn forget_what_ended(authenticator: Arc<Authenticator>, mut ended: watch::Receiver<()>) {
    while ended.changed().await.is_ok() {
        authenticator.forget();
    }
}

/// Refuses to start when nobody could sign in.
async fn must_have_key(store: &Store, is_configured: bool) -> anyhow::Result<()> {
    if is_configured {
        return Ok(());
    }
    let (_, has_admin) = api_keys::count(&mut *store.connection().await?).await?;
    if !has_admin {
        bail!(
            "there is no API key, so no client could sign in. Create one with `callboard-api keys create \
             --role admin NAME`, or set CALLBOARD_API_KEY or CALLBOARD_API_KEY_FILE to a long random text (`echo \
             cb_$(openssl rand -hex 24)`), or CALLBOARD_ENV=development on your own machine"
        );
    }
    Ok(())
}

/// Adds its loaders to each operation.
fn with_loaders(reads: Store, submit: Arc<SubmitContext>) -> WithLoaders {
    Arc::new(move |request, allowance, actor| loaders::add(request, &reads, &submit, allowance, actor))
}

/// The artifacts in the store.
#[derive(Debug)]
struct Files(Store);

impl ArtifactIndex for Files {
    fn find(&self, id: ArtifactId) -> BoxFuture<'_, Result<Option<ArtifactFile>, StoreError>> {
        Box::pin(async move {
            let record = artifacts::by_id(&mut *self.0.connection().await?, id).await?;
            Ok(record.filter(|record| record.pruned_at.is_none()).map(|record| ArtifactFile {
                name: record.name,
                content_type: record.content_type,
                path: record.path,
                sha256: record.sha256,
            }))
        })
    }
}

/// Waits for Postgres and Redis, migrates the schema, and creates the partitions of the coming
/// days. Retries if Postgres goes away meanwhile.
async fn prepare(store: &Store, redis: &Redis, limit: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + limit;
    loop {
        callboard::startup::wait(store, redis, limit).await?;
        let prepared = async {
            store.migrate().await?;
            // Enqueuing needs today's partition.
            make_partitions(store).await
        };
        match prepared.await {
            Err(error) if error.is_transient() && Instant::now() < until => {
                tracing::warn!(%error, "Postgres became unreachable during the migration, retrying");
            }
            done => return Ok(done?),
        }
    }
}

fn parts_of(store: &Store, redis: &Redis) -> Vec<Part> {
    let (store, redis) = (store.clone(), redis.clone());
    vec![
        Part::new("postgres", move || {
            let store = store.clone();
            async move { Ok(store.ping().await?) }
        }),
        Part::new("redis", move || {
            let redis = redis.clone();
            async move { Ok(redis.ping().await?) }
        }),
    ]
}

async fn start_demo_proxy(settings: &Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(address) = settings.demo_proxy_listen else { return Ok(()) };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} (CALLBOARD_DEMO_PROXY_LISTEN)"))?;
    let (user, password) = (settings.demo_proxy_user.clone(), settings.demo_proxy_password.clone());
    tokio::spawn(async move {
        if let Err(error) = demo::proxy::run(listener, &user, &password, stop).await {
            tracing::error!(error = %format!("{error:#}"), "the demo proxy ended");
        }
    });
    Ok(())
}

/// Logs the server's address. Also prints the key that was generated for this run in development,
/// which is shown nowhere else.
#[expect(clippy::print_stdout, reason = "output of the command for the person who started it")]
fn announce(url: &Url, drawn: Option<&SecretString>) {
    tracing::info!(%url, "listening");
    if let Some(key) = drawn {
        let key = key.expose_secret();
        println!("No API key is configured. For this run: {key}");
        println!("Playground, signed in: {url}playground#key={key}");
    }
}
