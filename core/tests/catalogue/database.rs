//! A database per test, dropped at its end even when it panics, and shorthands for what the tests say often.

use std::{str::FromStr as _, sync::Arc, time::Duration};

use callboard::{
    catalogue::{Catalogue, CatalogueError, CommandCreate, PolicyPatch, ProfileCreate, ProxyCreate, ServiceCreate, SpecInput},
    clock::IdSource,
    command::{AllowList, CommandSpec, PlaywrightSpec},
    ids::{ProfileId, ProxyId, ServiceId},
    proxy::ProxyProtocol,
    refusal::RefusalCode,
    secret::Keyring,
    store::{MIGRATIONS, Store, Transaction, commands::Command},
};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use uuid::Uuid;

/// A catalogue in a database of its own.
pub struct TestCatalogue {
    pub catalogue: Catalogue,
    database: String,
}

impl std::ops::Deref for TestCatalogue {
    type Target = Catalogue;

    fn deref(&self) -> &Catalogue {
        &self.catalogue
    }
}

fn options() -> PgConnectOptions {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a Postgres for the tests");
    PgConnectOptions::from_str(&url).expect("DATABASE_URL is a URL of Postgres")
}

/// A new database with the schema of this version. The template is made by the first test that needs it.
pub async fn catalogue() -> TestCatalogue {
    let checksum: u64 = MIGRATIONS
        .iter()
        .flat_map(|migration| migration.checksum.iter())
        .fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let template = format!("callboard_template_{checksum:016x}");
    let database = format!("callboard_test_{}", IdSource.make::<Uuid>().simple());
    let mut server = PgConnection::connect_with(&options()).await.expect("DATABASE_URL answers");
    sqlx::query("SELECT pg_advisory_lock(hashtext('callboard test template'))").execute(&mut server).await.unwrap();
    let made = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(&template);
    if made.fetch_optional(&mut server).await.unwrap().is_none() {
        let unfinished = format!("{template}_unfinished");
        run(&mut server, &format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
        run(&mut server, &format!("CREATE DATABASE {unfinished}")).await;
        let mut connection = PgConnection::connect_with(&options().database(&unfinished)).await.unwrap();
        MIGRATIONS.run(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        run(&mut server, &format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await;
    }
    run(&mut server, &format!("CREATE DATABASE {database} TEMPLATE {template}")).await;
    server.close().await.unwrap();

    let url = options().database(&database).to_url_lossy_with_password();
    let store = Store::open(&url.into(), 8, "catalogue-test").unwrap();
    let keyring = Keyring::parse(&"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".into()).unwrap();
    let allow_list = AllowList::parse("/usr/bin").unwrap();
    let catalogue = Catalogue { store, keyring: Arc::new(keyring), allow_list, ids: IdSource };
    TestCatalogue { catalogue, database }
}

/// The URL with its password, which `to_url_lossy` of the driver keeps or leaves out by version.
trait ToUrl {
    fn to_url_lossy_with_password(&self) -> String;
}

impl ToUrl for PgConnectOptions {
    fn to_url_lossy_with_password(&self) -> String {
        let given = std::env::var("DATABASE_URL").unwrap();
        let (before, query) = given.split_once('?').map_or((given.as_str(), None), |(url, query)| (url, Some(query)));
        let (server, _) = before.rsplit_once('/').unwrap();
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        format!("{server}/{}{query}", self.get_database().unwrap())
    }
}

async fn run(connection: &mut PgConnection, statement: &str) {
    sqlx::query(sqlx::AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap();
}

impl Drop for TestCatalogue {
    fn drop(&mut self) {
        let database = self.database.clone();
        let dropper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let mut server = PgConnection::connect_with(&options()).await.unwrap();
                run(&mut server, &format!("DROP DATABASE {database} WITH (FORCE)")).await;
            });
        });
        if dropper.join().is_err() {
            eprintln!("could not drop {}", self.database);
        }
    }
}

impl TestCatalogue {
    pub async fn begin(&self) -> Transaction {
        self.store.begin().await.unwrap()
    }

    /// Runs a statement outside the catalogue's verbs.
    pub async fn execute(&self, statement: &'static str, ids: &[Uuid]) {
        let mut transaction = self.begin().await;
        let query = ids.iter().fold(sqlx::query(statement), |query, id| query.bind(*id));
        query.execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// The one value that a statement answers.
    pub async fn value<T>(&self, statement: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(statement).fetch_one(&mut *self.begin().await).await.unwrap()
    }

    /// Waits until another connection to this database waits for a lock.
    pub async fn until_somebody_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        for _ in 0..1000 {
            if self.value::<i64>(waiting).await > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("nobody waits for a lock");
    }

    pub async fn profile(&self, name: &str) -> ProfileId {
        self.profile_create(a_profile(name)).await.unwrap().id
    }

    pub async fn service(&self, name: &str) -> ServiceId {
        self.service_create(ServiceCreate { name: name.into(), ..ServiceCreate::default() }).await.unwrap().id
    }

    pub async fn proxy(&self, name: &str) -> ProxyId {
        self.proxy_create(a_proxy(name)).await.unwrap().id
    }

    pub async fn command(&self, name: &str) -> Command {
        self.command_create(a_command(name)).await.unwrap()
    }

    /// A queued job of a command, with a profile, a proxy and a service. Answers its id.
    pub async fn live_job(
        &self,
        command: &Command,
        profile: Option<ProfileId>,
        proxy: Option<ProxyId>,
        service: Option<ServiceId>,
    ) -> Uuid {
        let id: Uuid = self.ids.make();
        let mut transaction = self.begin().await;
        sqlx::query(
            "INSERT INTO jobs (id, command_version_id, command_id, queue, priority, profile_id, proxy_id, input, run_at, created_at)
             VALUES ($1, $2, $3, 'default', 4, $4, $5, '{}', now(), now())",
        )
        .bind(id)
        .bind(command.version_id.uuid())
        .bind(command.id.uuid())
        .bind(profile.map(Uuid::from))
        .bind(proxy.map(Uuid::from))
        .execute(&mut *transaction)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, profile_id, proxy_id)
             VALUES ($1, 'default', 4, 'queued', 1, now(), now(), $2, $3)",
        )
        .bind(id)
        .bind(profile.map(Uuid::from))
        .bind(proxy.map(Uuid::from))
        .execute(&mut *transaction)
        .await
        .unwrap();
        if let Some(service) = service {
            sqlx::query("INSERT INTO live_job_services VALUES ($1, $2)")
                .bind(id)
                .bind(service.uuid())
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
        id
    }
}

pub fn a_profile(name: &str) -> ProfileCreate {
    ProfileCreate { name: name.into(), chrome_profile_path: format!("test/{name}"), ..ProfileCreate::default() }
}

pub fn a_proxy(name: &str) -> ProxyCreate {
    ProxyCreate {
        name: name.into(),
        protocol: ProxyProtocol::Http,
        address: "proxy.example:3128".into(),
        username: None,
        password: None,
    }
}

pub fn a_script(script: &str) -> SpecInput {
    SpecInput::Spec(CommandSpec::Playwright(PlaywrightSpec::builder(script).build().unwrap()))
}

pub fn a_command(name: &str) -> CommandCreate {
    CommandCreate {
        name: name.into(),
        description: None,
        spec: a_script("export default async () => 1"),
        input_schema: None,
        profile_id: None,
        proxy_id: None,
        service_ids: Vec::new(),
        queue: None,
        policy: PolicyPatch::default(),
    }
}

/// What a verb refused: codes and paths, in order.
pub fn refusals<T: std::fmt::Debug>(result: Result<T, CatalogueError>) -> Vec<(RefusalCode, String)> {
    match result {
        Err(CatalogueError::Refused(refusals)) => {
            assert!(refusals.iter().all(|refusal| !refusal.message.is_empty()));
            refusals.into_iter().map(|refusal| (refusal.code, refusal.path.join("/"))).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// The message of the one thing that a verb refused.
pub fn message<T: std::fmt::Debug>(result: Result<T, CatalogueError>) -> String {
    match result {
        Err(CatalogueError::Refused(refusals)) if refusals.len() == 1 => refusals[0].message.clone(),
        other => panic!("not one refusal: {other:?}"),
    }
}

/// What is expected of [`refusals`].
pub fn expected(list: &[(RefusalCode, &str)]) -> Vec<(RefusalCode, String)> {
    list.iter().map(|(code, path)| (*code, (*path).to_owned())).collect()
}
