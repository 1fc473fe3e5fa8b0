//! A worker's life: wait for Postgres and Redis, register, serve, drain, leave.
//!
//! Called by `main`. Order of the end: take nothing new; let attempts finish within the grace; stop and release the
//! rest; then the lease ends.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use callboard::{
    clock::IdSource,
    command_kind::Kind,
    ids::WorkerId,
    job::Outcome,
    steps::{
        finish::settle::{Settled, Settlement},
        run::renew,
    },
    store::{
        Planning, Store,
        workers::{HeldAttempt as Record, NewWorker},
    },
    transport::Redis,
};
use futures::future::join_all;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    duties, health,
    heartbeat::{Heartbeat, LeaseEvent, Liveness, begin_lease},
    intake,
    process::{self, ShimPool},
    running_attempts::StopReason,
    settings::WorkerSettings,
    shared::Shared,
};

/// Connections to Postgres for the steps and duties; the heartbeat has its own.
const CONNECTIONS_MAX: u32 = 12;
/// How often the runtime shows the heartbeat that it is alive.
const LIVENESS_EVERY: Duration = Duration::from_millis(200);
/// Pause after a leave that failed.
const LEAVE_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Runs a worker until it is told to stop.
pub(crate) async fn run(settings: WorkerSettings) -> anyhow::Result<()> {
    let queues = settings.queues()?;
    let paths = settings.paths()?;
    let keyring = settings.shared.keyring()?;
    let database_url = settings.shared.database_url()?;
    let store = Store::open(&database_url, CONNECTIONS_MAX, "callboard-worker", Planning::Once)?;
    let redis = Redis::open(&settings.shared.redis_url()?, &settings.shared.redis_prefix)?;
    callboard::startup::wait(&store, &redis, settings.shared.start_timeout()).await?;
    store.schema_is_current().await?;

    let shim_pool =
        ShimPool::new(process::Settings { idle: settings.idle_shims, ..process::Settings::default() })?;
    let worker = describe(&settings, &queues)?;
    let lease = Duration::from_secs(settings.lease);
    begin_lease(&store, &worker, &shim_pool, lease).await?;
    let (identity, identified) = watch::channel(worker.id);
    let shared =
        Arc::new(Shared::new(store.clone(), redis.clone(), keyring, shim_pool.clone(), paths, identified));
    let (draining, is_draining) = watch::channel(false);
    let drain_asked = Arc::new(Notify::new());
    let (events, lease_events) = mpsc::channel(16);
    let (renew_now, renewals) = mpsc::channel(1);
    let liveness = Liveness::default();
    liveness.mark();
    let id = identity.subscribe();
    let heartbeat = Heartbeat {
        store: Store::open(&database_url, 1, "callboard-worker heartbeat", Planning::Once)?,
        worker,
        lease,
        running: shared.running.clone(),
        shim_pool,
        liveness: liveness.clone(),
        identity,
        is_draining,
        events,
        renew_now: renewals,
        unknown_before: HashSet::new(),
    };
    heartbeat.start()?;
    tokio::spawn(keep_liveness(liveness));
    tokio::spawn(handle_lease_events(shared.clone(), lease_events, drain_asked.clone()));
    health::start(&settings, &shared).await?;

    let (stop, duties_stop, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    duties::start(&shared, lease, settings.retention(), id.clone(), renew_now, &duties_stop, &tasks);
    let concurrency = usize::from(settings.concurrency);
    let serving =
        tokio::spawn(intake::serve(shared.clone(), redis, queues.clone(), concurrency, stop.clone()));
    tracing::info!(worker = %*id.borrow(), ?queues, concurrency, "taking jobs");

    let grace = Duration::from_secs(settings.drain);
    drain(&shared, &draining, &drain_asked, &stop, grace, serving).await?;
    duties_stop.cancel();
    tasks.close();
    tasks.wait().await;
    leave(&store, *id.borrow(), lease).await;
    Ok(())
}

/// Ends the lease. Without Postgres it runs out by itself, and then this worker, which holds nothing, is told of as lost.
async fn leave(store: &Store, id: WorkerId, lease: Duration) {
    let leaving = async {
        while let Err(error) = renew::leave(store, id).await {
            tracing::debug!(%error, "could not leave; trying again");
            tokio::time::sleep(LEAVE_AGAIN_AFTER).await;
        }
    };
    if tokio::time::timeout(lease, leaving).await.is_ok() {
        tracing::info!("left in good order");
    } else {
        tracing::warn!("left without Postgres, which will tell of this worker as lost");
    }
}

/// Waits for a signal or for `workerDrain`, then for the attempts to end, within the grace; another signal ends the grace.
async fn drain(
    shared: &Shared,
    draining: &watch::Sender<bool>,
    drain_asked: &Notify,
    stop: &CancellationToken,
    grace: Duration,
    serving: tokio::task::JoinHandle<()>,
) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = drain_asked.notified() => {}
    }
    tracing::info!(running = shared.running.len(), grace = ?grace, "draining: nothing new is taken");
    draining.send_replace(true);
    stop.cancel();
    let mut serving = serving;
    tokio::select! {
        ended = &mut serving => return ended.context("the intake panicked"),
        () = tokio::time::sleep(grace) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!(running = shared.running.len(), "the rest is released");
    shared.running.stop_all(StopReason::Drained);
    serving.await.context("the intake panicked")
}

async fn keep_liveness(liveness: Liveness) {
    loop {
        liveness.mark();
        tokio::time::sleep(LIVENESS_EVERY).await;
    }
}

/// Does what the lease has brought back.
async fn handle_lease_events(
    shared: Arc<Shared>,
    mut lease_events: mpsc::Receiver<LeaseEvent>,
    drain_asked: Arc<Notify>,
) {
    while let Some(event) = lease_events.recv().await {
        match event {
            LeaseEvent::UnknownAttempts(records) => release_unknown(&shared, records).await,
            LeaseEvent::DrainAsked => drain_asked.notify_one(),
        }
    }
}

/// Gives back attempts that Postgres says are ours and that nobody here runs: claims whose answer was lost.
async fn release_unknown(shared: &Shared, records: Vec<Record>) {
    // All at once, so that they go in one batch.
    let releases = records.into_iter().map(|record| async move {
        let outcome = Outcome::Released { reason: "Its worker never learnt that it had won it.".into() };
        match shared.settles.ask(Settlement::bare(record.job, record.attempt, outcome)).await {
            Ok(Settled::Done) => tracing::warn!(job = %record.job, "an attempt that nobody ran was released"),
            // Somebody else has taken it meanwhile.
            Ok(Settled::Stale) => {}
            Err(error) => tracing::error!(%error, "an attempt that nobody runs could not be released"),
        }
    });
    join_all(releases).await;
}

fn describe(settings: &WorkerSettings, queues: &[String]) -> anyhow::Result<NewWorker> {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(NewWorker {
        id: IdSource.make::<WorkerId>(),
        hostname,
        process_id: i32::try_from(std::process::id())?,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: queues.to_vec(),
        kinds: Kind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect(),
        concurrency: i32::from(settings.concurrency),
    })
}
