//! A worker's life: wait for Postgres and Redis, register, serve, drain, leave.
//!
//! A draining worker takes nothing new, lets attempts finish within the grace period, stops and
//! releases the others, and then ends its lease.

use std::{collections::HashSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use callboard::{
    clock::IdSource,
    command_kind::Kind,
    ids::WorkerId,
    job::Outcome,
    steps::{
        finish::settle::{Settled, Settlement},
        maintain::reseal::check_keys,
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

/// Most connections to Postgres, besides the heartbeat's own.
const CONNECTIONS_MAX: u32 = 12;
/// Most connections of the heartbeat. It uses one. Another may hang at a server that has vanished.
const HEARTBEAT_CONNECTIONS_MAX: u32 = 3;
/// How often the runtime shows the heartbeat that it makes progress.
const LIVENESS_EVERY: Duration = Duration::from_millis(200);
/// Pause after a failed attempt to leave.
const LEAVE_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Runs a worker until it has drained.
pub(crate) async fn run(settings: WorkerSettings) -> anyhow::Result<()> {
    let queues = settings.queues()?;
    let paths = settings.paths()?;
    let keyring = settings.shared.keyring()?;
    let database_url = settings.shared.database_url()?;
    let store = Store::open(&database_url, CONNECTIONS_MAX, "callboard-worker", Planning::Once)?;
    let redis = Redis::open(&settings.shared.redis_url()?, &settings.shared.redis_prefix)?;
    callboard::startup::wait(&store, &redis, settings.shared.start_timeout()).await?;
    store.schema_is_current().await?;
    check_keys(&store, &keyring).await?;

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
        store: Store::open(
            &database_url,
            HEARTBEAT_CONNECTIONS_MAX,
            "callboard-worker heartbeat",
            Planning::Once,
        )?,
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

/// Ends the lease. If Postgres is down for longer than the lease, the worker will be declared lost,
/// which does no harm because it runs nothing any more.
async fn leave(store: &Store, id: WorkerId, lease: Duration) {
    let leaving = async {
        while let Err(error) = renew::leave(store, id).await {
            tracing::debug!(%error, "could not end the lease, retrying");
            tokio::time::sleep(LEAVE_AGAIN_AFTER).await;
        }
    };
    if tokio::time::timeout(lease, leaving).await.is_ok() {
        tracing::info!("the worker has ended");
    } else {
        tracing::warn!("the worker has ended without Postgres and will be declared lost");
    }
}

/// Waits for a signal or for `workerDrain`, and then for the attempts to end. A second signal ends
/// the grace period.
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
    tracing::info!(running = shared.running.len(), grace = ?grace, "draining; taking no more jobs");
    draining.send_replace(true);
    stop.cancel();
    let mut serving = serving;
    tokio::select! {
        ended = &mut serving => return ended.context("the intake panicked"),
        () = tokio::time::sleep(grace) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!(running = shared.running.len(), "the grace period has ended; releasing the running jobs");
    shared.running.stop_all(StopReason::Drained);
    serving.await.context("the intake panicked")
}

async fn keep_liveness(liveness: Liveness) {
    loop {
        liveness.mark();
        tokio::time::sleep(LIVENESS_EVERY).await;
    }
}

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

/// Releases attempts whose claim was granted but whose reply never arrived.
async fn release_unknown(shared: &Shared, records: Vec<Record>) {
    // Concurrently, so that they are settled in one batch.
    let releases = records.into_iter().map(|record| async move {
        let outcome =
            Outcome::Released { reason: "The worker never received the reply to its claim.".into() };
        match shared.settles.ask(Settlement::bare(record.job, record.attempt, outcome)).await {
            Ok(Settled::Done) => {
                tracing::warn!(job = %record.job, "released an attempt whose claim got no reply");
            }
            // Another worker has claimed the job meanwhile.
            Ok(Settled::Stale) => {}
            Err(error) => {
                tracing::error!(%error, "could not release an attempt whose claim got no reply");
            }
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
