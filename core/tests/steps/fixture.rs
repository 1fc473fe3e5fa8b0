//! A database with one command, a prefix in Redis, and helpers that play the workers.

use std::{collections::BTreeMap, sync::Arc};

use callboard::{
    catalogue::{Catalogue, CommandCreate, ProfileCreate, ServiceChanges, ServiceCreate, ServiceUpdate},
    clock::{self, IdSource},
    command::{AllowList, CommandSpec, ProgramSpec, SpecInput},
    evaluator::Evaluator,
    ids::{AttemptId, CommandId, JobId, ProfileId, ServiceId, WorkerId},
    job::{Failure, FailureCode, JobRequest, Outcome},
    patch::{LimitsPatch, NewRateLimit, Patch, PolicyPatch},
    policy::Policy,
    recipes::Recipes,
    secret::Keyring,
    steps::{
        Done,
        enqueue::{context::SubmitContext, submit::submit},
        finish::settle::{Settled, Settlement, settle},
        limits::wake::wake_due,
        run::{
            append_log::append_log,
            claim::{ClaimRequest, Decision, claim},
            renew::register,
        },
    },
    store::{
        Planning, Store,
        jobs::{
            attempts::ExitRecord,
            logs::{Appended, Batch, LogStream, NewLine},
        },
        workers::NewWorker,
    },
    transport::Redis,
};
use callboard_test_support::{Database, redis_prefix, redis_url};
use serde_json::json;
use sqlx::{Decode, Postgres, Type};

/// One store and one Redis prefix with everything that the steps need.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) redis: Redis,
    pub(crate) command: CommandId,
    pub(crate) catalogue: Catalogue,
    pub(crate) context: SubmitContext,
    database: Database,
}

fn keyring() -> Keyring {
    Keyring::parse(&"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".into()).unwrap()
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with_connections(8).await
    }

    /// Plans statements once per connection, as a worker does.
    pub(crate) async fn with_connections(connections: u32) -> Self {
        Self::with(connections, Planning::Once).await
    }

    pub(crate) async fn with(connections: u32, planning: Planning) -> Self {
        let database = Database::create().await;
        let store = Store::open(&database.url().into(), connections, "steps-test", planning).unwrap();
        let redis = Redis::open(&redis_url().await.as_str().into(), &redis_prefix()).unwrap();
        let allow_list = AllowList::parse("/usr/bin").unwrap();
        let catalogue = Catalogue {
            store: store.clone(),
            keyring: Arc::new(keyring()),
            allow_list,
            evaluator: Evaluator::unbounded(),
            ids: IdSource,
            actor: Arc::default(),
        };
        let command = catalogue.command_create(command("true", PolicyPatch::default())).await.unwrap().id;
        let context = SubmitContext {
            store: store.clone(),
            keyring: keyring(),
            recipes: Recipes::default(),
            evaluator: Evaluator::unbounded(),
            ids: IdSource,
        };
        Self { store, redis, command, catalogue, context, database }
    }

    /// What submitting needs, with another evaluator.
    pub(crate) fn evaluating_with(&self, evaluator: Evaluator) -> SubmitContext {
        SubmitContext {
            store: self.store.clone(),
            keyring: keyring(),
            recipes: Recipes::default(),
            evaluator,
            ids: IdSource,
        }
    }

    /// The URL of its database, for a second store.
    pub(crate) fn url(&self) -> &str {
        self.database.url()
    }

    /// Returns the single value of a statement.
    pub(crate) async fn value<T>(&self, statement: &'static str) -> T
    where
        T: Send + Unpin + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        sqlx::query_scalar(statement).fetch_one(&mut *self.store.begin().await.unwrap()).await.unwrap()
    }

    /// Slots held at all gates, by the gates' counts. Asserts that the rows of the running jobs
    /// agree.
    pub(crate) async fn held_slots(&self) -> i64 {
        let counted: i64 = self
            .value("SELECT coalesce((SELECT sum(held) FROM gates), 0) + coalesce((SELECT sum(held) FROM gate_deltas), 0)")
            .await;
        let rows: i64 =
            self.value("SELECT coalesce(sum(cardinality(holds)), 0)::bigint FROM live_jobs").await;
        assert_eq!(counted, rows, "the gates' counts match the rows");
        counted
    }

    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut transaction = self.store.begin().await.unwrap();
        sqlx::query(statement).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn profile(&self) -> ProfileId {
        let profile =
            ProfileCreate { name: "p".into(), chrome_profile_path: "p".into(), ..ProfileCreate::default() };
        self.catalogue.profile_create(profile).await.unwrap().id
    }

    /// Creates a command with limits.
    pub(crate) async fn limited_command(&self, limits: LimitsPatch) -> CommandId {
        let policy = PolicyPatch { limits, ..PolicyPatch::default() };
        self.catalogue.command_create(command("limited", policy)).await.unwrap().id
    }

    /// Creates a service with limits.
    pub(crate) async fn service(&self, name: &str, limits: LimitsPatch) -> ServiceId {
        let service = ServiceCreate { name: name.into(), limits, ..ServiceCreate::default() };
        self.catalogue.service_create(service).await.unwrap().id
    }

    /// Changes the limits of a service.
    pub(crate) async fn set_limits(&self, id: ServiceId, limits: LimitsPatch) {
        let changes = ServiceChanges { limits, ..ServiceChanges::default() };
        self.catalogue.service_update(ServiceUpdate { id, version: None, changes }).await.unwrap();
    }

    /// Submits these requests, without pushing the jobs to Redis.
    pub(crate) async fn submit(&self, requests: Vec<JobRequest>) -> Vec<JobId> {
        let Done { value: results, .. } = submit(&self.context, &[requests], false).await;
        let accepted = results.into_iter().next().unwrap().unwrap();
        accepted.into_iter().map(|accepted| accepted.job).collect()
    }

    /// Claims these jobs in one batch. Returns the granted jobs and the jobs that the batch woke.
    pub(crate) async fn claim_all(
        &self,
        worker: WorkerId,
        jobs: &[JobId],
    ) -> (Vec<(JobId, AttemptId)>, Vec<JobId>) {
        let requests: Vec<ClaimRequest> =
            jobs.iter().map(|&job| ClaimRequest { job, attempt: IdSource.make() }).collect();
        let Done { value: decisions, after } = claim(&self.store, worker, &requests).await.unwrap();
        let granted =
            requests.iter().zip(&decisions).filter(|(_, decision)| matches!(decision, Decision::Granted(_)));
        let granted = granted.map(|(request, _)| (request.job, request.attempt)).collect();
        (granted, after.ready.iter().map(|ready| ready.job).collect())
    }

    /// Settles these attempts in one batch. Returns the jobs that it woke.
    pub(crate) async fn settle_all(&self, runs: &[(JobId, AttemptId)]) -> Vec<JobId> {
        let settlements =
            runs.iter().map(|(job, attempt)| settlement(*job, *attempt, succeeded("x"))).collect();
        let Done { after, .. } = settle(&self.store, settlements).await.unwrap();
        after.ready.iter().map(|ready| ready.job).collect()
    }

    /// Wakes the jobs at gates that are due, and returns them.
    pub(crate) async fn wake_due(&self) -> Vec<JobId> {
        let Done { after, .. } = wake_due(&self.store).await.unwrap();
        after.ready.iter().map(|ready| ready.job).collect()
    }

    /// Submits `count` ready jobs. None is pushed to Redis, but they are marked if `is_dispatched`.
    pub(crate) async fn jobs(
        &self,
        count: usize,
        profile: Option<ProfileId>,
        is_dispatched: bool,
    ) -> Vec<JobId> {
        let request = JobRequest { profile, ..JobRequest::new(self.command) };
        let Done { value: results, .. } = submit(&self.context, &[vec![request; count]], is_dispatched).await;
        let accepted = results.into_iter().next().unwrap().unwrap();
        accepted.into_iter().map(|accepted| accepted.job).collect()
    }

    pub(crate) async fn job(&self) -> JobId {
        self.jobs(1, None, false).await[0]
    }

    pub(crate) async fn worker(&self) -> WorkerId {
        let id = IdSource.make();
        let worker = NewWorker {
            id,
            hostname: "test".into(),
            process_id: 1,
            software_version: "0.1.0".into(),
            queues: vec!["default".into()],
            kinds: vec!["program".into()],
            concurrency: 4,
        };
        register(&self.store, &worker).await.unwrap();
        id
    }

    /// Claims one job for an attempt.
    pub(crate) async fn claim(&self, worker: WorkerId, job: JobId, attempt: AttemptId) -> Decision {
        let Done { value: decisions, .. } =
            claim(&self.store, worker, &[ClaimRequest { job, attempt }]).await.unwrap();
        decisions.into_iter().next().unwrap()
    }

    /// Claims one job and asserts that it was granted.
    pub(crate) async fn start(&self, worker: WorkerId, job: JobId) -> AttemptId {
        let attempt = IdSource.make();
        let decision = self.claim(worker, job, attempt).await;
        assert!(matches!(decision, Decision::Granted(_)), "{decision:?}");
        attempt
    }

    pub(crate) async fn settle(&self, job: JobId, attempt: AttemptId, outcome: Outcome) -> Settled {
        settle(&self.store, vec![settlement(job, attempt, outcome)]).await.unwrap().value[0]
    }

    pub(crate) async fn log(&self, job: JobId, attempt: AttemptId, number: i32, text: &str) -> Appended {
        let line = NewLine { stream: LogStream::Stdout, text: text.into(), at: clock::now() };
        let batch = Batch { job, attempt, number, lines: vec![line] };
        append_log(&self.store, &[batch]).await.unwrap().value[0]
    }
}

fn command(name: &str, policy: PolicyPatch) -> CommandCreate {
    let spec = SpecInput::Spec(CommandSpec::Program(ProgramSpec {
        program: "/usr/bin/true".into(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        stdin: None,
        tokens: Vec::new(),
    }));
    CommandCreate { policy, ..CommandCreate::new(name, spec) }
}

/// A concurrency limit, and rate limits as (limit, period, burst).
pub(crate) fn limits(max_concurrency: Option<i32>, rates: &[(i32, &str, i32)]) -> LimitsPatch {
    let rates = rates.iter().enumerate().map(|(number, (limit, per, burst))| NewRateLimit {
        name: format!("r{number}"),
        limit: *limit,
        per: per.parse().unwrap(),
        burst: Some(*burst),
    });
    LimitsPatch {
        max_concurrency: Patch::set_or_clear(max_concurrency),
        rate_limits: Patch::Set(rates.collect()),
        caps: Patch::Leave,
    }
}

pub(crate) fn settlement(job: JobId, attempt: AttemptId, outcome: Outcome) -> Settlement {
    let exit = ExitRecord { exit_code: Some(0), ..ExitRecord::default() };
    let policy = Policy::default();
    Settlement { job, attempt, outcome, policy, jitter: 0.0, composed: None, proxy: None, exit, used: None }
}

pub(crate) fn succeeded(word: &str) -> Outcome {
    Outcome::Succeeded { result: json!(word) }
}

pub(crate) fn failed() -> Outcome {
    Outcome::Failed(Failure::new(FailureCode::EXIT_CODE, "It ended with 1.", true))
}
