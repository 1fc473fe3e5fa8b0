//! Calls the steps directly, for backlogs too large to enqueue through the API.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use callboard::{
    catalogue::{Catalogue, CommandCreate, ServiceCreate},
    clock::IdSource,
    command::{AllowList, CommandSpec, ProgramBuilder, ProgramSpec, SpecInput},
    duration::IsoDuration,
    evaluator::Evaluator,
    ids::{CommandId, JobId, ServiceId},
    job::JobRequest,
    limit::LIMIT_MAX,
    patch::{LimitsPatch, NewRateLimit, Patch, PolicyPatch},
    recipes::Recipes,
    settings::SharedSettings,
    steps::{
        Done,
        enqueue::{context::SubmitContext, submit},
    },
    store::{Planning, Store},
    transport::Redis,
};

/// The highest rate that may be declared, in jobs per second. Its burst outlasts a round.
const RATE: i32 = 10_000;

/// Handles to the store, Redis and the catalogue.
#[derive(Debug)]
pub(crate) struct Direct {
    pub(crate) context: SubmitContext,
    pub(crate) redis: Redis,
    catalogue: Catalogue,
}

impl Direct {
    /// Connects as a worker does.
    pub(crate) async fn open(shared: &SharedSettings) -> anyhow::Result<Self> {
        let store = Store::open(&shared.database_url()?, 8, "callboard-bench", Planning::ByValue)?;
        let redis = Redis::open(&shared.redis_url()?, &shared.redis_prefix)?;
        store.migrate().await?;
        let keyring = shared.keyring()?;
        let allow_list = AllowList::parse("/usr/bin:/bin:callboard:noop")?;
        let catalogue = Catalogue {
            store: store.clone(),
            keyring: Arc::new(shared.keyring()?),
            allow_list,
            evaluator: Evaluator::unbounded(),
            ids: IdSource,
            actor: Arc::default(),
        };
        let context = SubmitContext {
            store,
            keyring,
            recipes: Recipes::default(),
            evaluator: Evaluator::unbounded(),
            ids: IdSource,
        };
        Ok(Self { context, redis, catalogue })
    }

    /// Creates a PROGRAM command and returns its id.
    pub(crate) async fn command(&self, program: &str, arguments: &[String]) -> anyhow::Result<CommandId> {
        self.command_with(program, arguments, LimitsPatch::default(), Vec::new()).await
    }

    /// Creates a command with a service. If `limited`, both have limits that never bind: a
    /// concurrency limit on both, and a rate limit on the service.
    pub(crate) async fn served_command(&self, program: &str, limited: bool) -> anyhow::Result<CommandId> {
        let many = if limited { Patch::Set(LIMIT_MAX.cast_signed()) } else { Patch::Leave };
        let (per, burst) = (IsoDuration(Duration::from_secs(1)), Some(LIMIT_MAX.cast_signed()));
        let rate = NewRateLimit { name: "default".into(), limit: RATE, per, burst };
        let limits = LimitsPatch {
            max_concurrency: many,
            rate_limits: if limited { Patch::Set(vec![rate]) } else { Patch::Leave },
            ..LimitsPatch::default()
        };
        let id: uuid::Uuid = IdSource.make();
        let service =
            ServiceCreate { name: format!("bench_{}", id.simple()), limits, ..ServiceCreate::default() };
        let service = self.catalogue.service_create(service).await?.id;
        let limits = LimitsPatch { max_concurrency: many, ..LimitsPatch::default() };
        self.command_with(program, &[], limits, vec![service]).await
    }

    /// Creates a command that may start one job a day.
    pub(crate) async fn daily_command(&self, program: &str) -> anyhow::Result<CommandId> {
        let per = IsoDuration(Duration::from_hours(24));
        let rate = NewRateLimit { name: "default".into(), limit: 1, per, burst: None };
        let limits = LimitsPatch { rate_limits: Patch::Set(vec![rate]), ..LimitsPatch::default() };
        self.command_with(program, &[], limits, Vec::new()).await
    }

    async fn command_with(
        &self,
        program: &str,
        arguments: &[String],
        limits: LimitsPatch,
        service_ids: Vec<ServiceId>,
    ) -> anyhow::Result<CommandId> {
        let spec = arguments
            .iter()
            .fold(ProgramSpec::builder(program), ProgramBuilder::argument)
            .build(&self.catalogue.allow_list);
        let spec = spec.map_err(|refusals| anyhow::anyhow!("{refusals:?}"))?;
        let id: uuid::Uuid = IdSource.make();
        let create = CommandCreate::new(format!("bench {id}"), SpecInput::Spec(CommandSpec::Program(spec)));
        let policy = PolicyPatch { limits, ..PolicyPatch::default() };
        let create = CommandCreate { service_ids, policy, ..create };
        Ok(self.catalogue.command_create(create).await?.id)
    }

    /// Submits `count` jobs of a command to a queue, a thousand at a time. Dispatch makes their
    /// references.
    pub(crate) async fn submit(
        &self,
        command: CommandId,
        queue: &str,
        count: usize,
    ) -> anyhow::Result<Vec<JobId>> {
        let mut jobs = Vec::with_capacity(count);
        while jobs.len() < count {
            let order = JobRequest { queue: Some(queue.to_owned()), ..JobRequest::new(command) };
            let call = vec![order; submit::JOBS_MAX.min(count - jobs.len())];
            let Done { value: answers, after } = submit::submit(&self.context, &[call], false).await;
            let accepted = answers.into_iter().next().context("submit returned no result")??;
            jobs.extend(accepted.iter().map(|accepted| accepted.job));
            after.announce(&self.redis).await;
        }
        Ok(jobs)
    }
}
