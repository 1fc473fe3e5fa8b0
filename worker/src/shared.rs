//! What all attempts of this worker share: batched steps, the shim pool, the paths on this machine.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use callboard::{
    clock::{self, IdSource},
    compose::Sandbox,
    evaluator::Evaluator,
    ids::{JobId, WorkerId},
    recipes::Recipes,
    secret::Keyring,
    steps::{
        enqueue::context,
        finish::settle::{SETTLE_BATCH_MAX, Settled, Settlement, settle},
        limits::observe::{OBSERVE_BATCH_MAX, RateLimitObservation, observe},
        run::{
            append_log::append_log,
            claim::{self, CLAIM_BATCH_MAX, Decision, claim},
            fetch_work::{Work, fetch_work},
            note_progress::note_progress,
            note_start::note_start,
        },
    },
    store::{
        Store,
        jobs::{
            attempts::Start,
            logs::{Appended, Batch},
            progress::Report,
        },
    },
    transport::Redis,
};
use tokio::sync::watch;

use crate::{
    batcher::Batcher,
    paused_services::PausedServices,
    process::{RunAs, ShimPool},
    running_attempts::RunningAttempts,
};

/// Most starts, progress reports or log batches of one step.
const NOTES_MAX: usize = 200;

/// Paths and permissions on this machine.
#[derive(Debug, Clone)]
pub(crate) struct WorkerPaths {
    /// Root of browser profiles.
    pub(crate) profile_root: PathBuf,
    /// Root of stored artifacts.
    pub(crate) artifact_root: PathBuf,
    /// Root of the attempts' temporary directories.
    pub(crate) temp_root: PathBuf,
    /// The Playwright runner's main module.
    pub(crate) runner: PathBuf,
    pub(crate) node: PathBuf,
    pub(crate) chromium: PathBuf,
    /// Chromium's own sandbox.
    pub(crate) sandbox: Sandbox,
    /// The user that children run as; `None` for the worker's own.
    pub(crate) run_as: Option<RunAs>,
    /// Programs that may run, and directories of such programs.
    pub(crate) programs: Vec<PathBuf>,
    /// Whether HTTP commands may call private and loopback addresses.
    pub(crate) allow_private_targets: bool,
}

/// The result of a claim.
#[derive(Debug, Clone)]
pub(crate) enum Claimed {
    /// The attempt may run.
    Granted(Box<Work>),
    /// There is nothing to run.
    Refused,
}

/// Shared by all attempts and duties.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) redis: Redis,
    pub(crate) ids: IdSource,
    /// For the jobs of schedules. Holds the keyring.
    pub(crate) submit: context::SubmitContext,
    pub(crate) running: RunningAttempts,
    pub(crate) shim_pool: ShimPool,
    pub(crate) paths: WorkerPaths,
    pub(crate) claims: Batcher<claim::ClaimRequest, Claimed>,
    pub(crate) settles: Batcher<Settlement, Settled>,
    pub(crate) starts: Batcher<Start, bool>,
    pub(crate) logs: Batcher<Batch, Appended>,
    pub(crate) progress: Batcher<Report, bool>,
    pub(crate) observations: Batcher<RateLimitObservation, ()>,
    pub(crate) paused_services: PausedServices,
}

impl Shared {
    /// Starts the batchers. `identity` is the worker's id, which changes when a lease is lost.
    pub(crate) fn new(
        store: Store,
        redis: Redis,
        keyring: Keyring,
        shim_pool: ShimPool,
        paths: WorkerPaths,
        identity: watch::Receiver<WorkerId>,
    ) -> Self {
        let claims = claimer(store.clone(), redis.clone(), identity);
        let settles = settler(store.clone(), redis.clone());
        let (starts, logs, progress) = recorders(&store, &redis);
        let observations = observer(store.clone(), redis.clone());
        let submit = context::SubmitContext {
            store: store.clone(),
            keyring,
            recipes: Recipes::default(),
            evaluator: Evaluator::new(),
            ids: IdSource,
        };
        Self {
            store,
            redis,
            ids: IdSource,
            submit,
            running: RunningAttempts::default(),
            shim_pool,
            paths,
            claims,
            settles,
            starts,
            logs,
            progress,
            observations,
            paused_services: PausedServices::default(),
        }
    }

    /// A random number in `0.0..1.0`, for a backoff's jitter.
    pub(crate) fn jitter() -> f64 {
        clock::random_fraction()
    }
}

fn claimer(
    store: Store,
    redis: Redis,
    identity: watch::Receiver<WorkerId>,
) -> Batcher<claim::ClaimRequest, Claimed> {
    let recipes = Arc::new(Recipes::default());
    Batcher::start("claim", 2, CLAIM_BATCH_MAX, move |requests: Vec<claim::ClaimRequest>| {
        let (store, redis, recipes, worker) =
            (store.clone(), redis.clone(), recipes.clone(), *identity.borrow());
        async move {
            let answers = claim(&store, worker, &requests).await?.announce_soon(&redis);
            let granted = answers.iter().filter_map(|answer| match answer {
                Decision::Granted(grant) => Some((**grant).clone()),
                Decision::Parked { .. } | Decision::Paused | Decision::Gone => None,
            });
            let work = fetch_work(&store, &recipes, granted.collect()).await?;
            let mut work: HashMap<JobId, Work> = work.into_iter().map(|work| (work.live.job, work)).collect();
            let mut answer = |request: &claim::ClaimRequest| {
                work.remove(&request.job).map_or(Claimed::Refused, |work| Claimed::Granted(Box::new(work)))
            };
            Ok(requests
                .iter()
                .zip(&answers)
                .map(|(request, answered)| match answered {
                    Decision::Granted(_) => answer(request),
                    Decision::Parked { .. } | Decision::Paused | Decision::Gone => Claimed::Refused,
                })
                .collect())
        }
    })
}

fn settler(store: Store, redis: Redis) -> Batcher<Settlement, Settled> {
    Batcher::start("settle", 2, SETTLE_BATCH_MAX, move |settlements: Vec<Settlement>| {
        let (store, redis) = (store.clone(), redis.clone());
        async move {
            let settled = settle(&store, settlements).await?.announce_soon(&redis);
            Ok(settled)
        }
    })
}

fn observer(store: Store, redis: Redis) -> Batcher<RateLimitObservation, ()> {
    Batcher::start("observe", 1, OBSERVE_BATCH_MAX, move |observations: Vec<RateLimitObservation>| {
        let (store, redis) = (store.clone(), redis.clone());
        async move {
            let count = observations.len();
            observe(&store, observations).await?.announce_soon(&redis);
            Ok(vec![(); count])
        }
    })
}

type Recorders = (Batcher<Start, bool>, Batcher<Batch, Appended>, Batcher<Report, bool>);

fn recorders(store: &Store, redis: &Redis) -> Recorders {
    let of_starts = store.clone();
    let starts = Batcher::start("note start", 1, NOTES_MAX, move |starts: Vec<Start>| {
        let store = of_starts.clone();
        async move {
            let held = note_start(&store, &starts).await?;
            Ok(starts.iter().map(|start| held.contains(&start.attempt)).collect())
        }
    });
    let (of_logs, hints) = (store.clone(), redis.clone());
    let logs = Batcher::start("append log", 1, NOTES_MAX, move |batches: Vec<Batch>| {
        let (store, redis) = (of_logs.clone(), hints.clone());
        async move {
            let appended = append_log(&store, &batches).await?.announce_soon(&redis);
            Ok(appended)
        }
    });
    let (of_progress, hints) = (store.clone(), redis.clone());
    let progress = Batcher::start("note progress", 1, NOTES_MAX, move |reports: Vec<Report>| {
        let (store, redis) = (of_progress.clone(), hints.clone());
        async move {
            let held = note_progress(&store, &reports).await?.announce_soon(&redis);
            Ok(reports.iter().map(|report| held.contains(&report.job)).collect())
        }
    });
    (starts, logs, progress)
}
