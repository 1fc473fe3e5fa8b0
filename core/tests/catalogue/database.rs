//! A catalogue in its own database, and shorthands for the tests.

use std::{sync::Arc, time::Duration};

use callboard::{
    catalogue::{Catalogue, CommandCreate, ProfileCreate, ProxyCreate, ServiceCreate},
    clock::IdSource,
    command::{AllowList, CommandSpec, PlaywrightSpec, SpecInput},
    evaluator::Evaluator,
    ids::{ProfileId, ProxyId, ServiceId},
    patch::LimitsPatch,
    proxy::ProxyProtocol,
    refusal::RefusalCode,
    secret::Keyring,
    steps::StepError,
    store::{Planning, Store, Transaction, catalogue::commands::Command},
};
use callboard_test_support::{Database, eventually};
use uuid::Uuid;

/// A catalogue in its own database.
pub(crate) struct TestCatalogue {
    pub(crate) catalogue: Catalogue,
    _database: Database,
}

impl std::ops::Deref for TestCatalogue {
    type Target = Catalogue;

    fn deref(&self) -> &Catalogue {
        &self.catalogue
    }
}

/// Creates an empty catalogue.
pub(crate) async fn catalogue() -> TestCatalogue {
    let database = Database::create().await;
    let store = Store::open(&database.url().into(), 8, "catalogue-test", Planning::ByValue).unwrap();
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let keyring = Arc::new(Keyring::parse(&key.into()).unwrap());
    let allow_list = AllowList::parse("/usr/bin").unwrap();
    let catalogue = Catalogue {
        store,
        keyring,
        allow_list,
        evaluator: Evaluator::unbounded(),
        ids: IdSource,
        actor: Arc::default(),
    };
    TestCatalogue { catalogue, _database: database }
}

impl TestCatalogue {
    pub(crate) async fn begin(&self) -> Transaction {
        self.store.begin().await.unwrap()
    }

    /// Runs a statement that bypasses the catalogue.
    pub(crate) async fn execute(&self, statement: &'static str, ids: &[Uuid]) {
        let mut transaction = self.begin().await;
        let query = ids.iter().fold(sqlx::query(statement), |query, id| query.bind(*id));
        query.execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// Returns the single value of a statement.
    pub(crate) async fn value<T>(&self, statement: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        sqlx::query_scalar(statement).fetch_one(&mut *self.begin().await).await.unwrap()
    }

    /// Waits until another connection to this database waits for a lock.
    pub(crate) async fn until_a_lock_is_awaited(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually(Duration::from_secs(10), || async { self.value::<i64>(waiting).await > 0 }).await;
    }

    pub(crate) async fn profile(&self, name: &str) -> ProfileId {
        self.profile_create(a_profile(name)).await.unwrap().id
    }

    pub(crate) async fn service(&self, name: &str) -> ServiceId {
        self.service_create(ServiceCreate { name: name.into(), ..ServiceCreate::default() }).await.unwrap().id
    }

    pub(crate) async fn proxy(&self, name: &str) -> ProxyId {
        self.proxy_create(a_proxy(name)).await.unwrap().id
    }

    pub(crate) async fn command(&self, name: &str) -> Command {
        self.command_create(a_command(name)).await.unwrap()
    }

    /// Inserts a queued job of a command, with an optional profile, proxy and service. Returns its
    /// id.
    pub(crate) async fn live_job(
        &self,
        command: &Command,
        profile: Option<ProfileId>,
        proxy: Option<ProxyId>,
        service: Option<ServiceId>,
    ) -> Uuid {
        let id: Uuid = self.ids.make();
        let mut transaction = self.begin().await;
        sqlx::query(
            "INSERT INTO jobs (id, command_version_id, command_id, queue, priority, profile_id, proxy_id,
                 input, run_at, created_at)
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
            "INSERT INTO live_jobs
                 (job_id, queue, priority, state, version, run_at, queued_at, profile_id, proxy_id)
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

pub(crate) fn a_profile(name: &str) -> ProfileCreate {
    ProfileCreate {
        name: name.into(),
        chrome_profile_path: format!("test/{name}"),
        ..ProfileCreate::default()
    }
}

pub(crate) fn a_proxy(name: &str) -> ProxyCreate {
    ProxyCreate {
        name: name.into(),
        protocol: ProxyProtocol::Http,
        address: "proxy.example:3128".into(),
        username: None,
        password: None,
        limits: LimitsPatch::default(),
    }
}

pub(crate) fn a_script(script: &str) -> SpecInput {
    SpecInput::Spec(CommandSpec::Playwright(PlaywrightSpec::builder(script).build().unwrap()))
}

pub(crate) fn a_command(name: &str) -> CommandCreate {
    CommandCreate::new(name, a_script("export default async () => 1"))
}

/// The codes and paths of a refused change, in order.
pub(crate) fn refusals<T: std::fmt::Debug>(result: Result<T, StepError>) -> Vec<(RefusalCode, String)> {
    match result {
        Err(StepError::Refused(refusals)) => {
            assert!(refusals.iter().all(|refusal| !refusal.message.is_empty()));
            refusals.into_iter().map(|refusal| (refusal.code, refusal.path.join("/"))).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// The message of the only refusal.
pub(crate) fn message<T: std::fmt::Debug>(result: Result<T, StepError>) -> String {
    match result {
        Err(StepError::Refused(refusals)) if refusals.len() == 1 => refusals[0].message.clone(),
        other => panic!("not one refusal: {other:?}"),
    }
}

/// The expected value for [`refusals`].
pub(crate) fn expected(list: &[(RefusalCode, &str)]) -> Vec<(RefusalCode, String)> {
    list.iter().map(|(code, path)| (*code, (*path).to_owned())).collect()
}
