//! Duties: what every worker does for all, without a leader. Each is a step, called again and again.
//!
//! Rows that another worker has locked are passed over, so doing a duty twice at once does no harm.

mod prune;
mod sweep;

use std::{sync::Arc, time::Duration};

use callboard::{
    clock,
    ids::WorkerId,
    steps::{
        enqueue::fire_schedules::fire_schedules,
        finish::rescue::{self, Watch},
        hand_out::{
            dispatch::{self, DispatchError, MARK_AGE},
            promote::promote,
            unblock::unblock,
        },
        limits::wake::{sweep_stranded, wake_due},
        maintain::{
            fold_counters::keep_folded,
            prune::Retention,
            refresh_statistics::{Refreshed, refresh_statistics},
        },
    },
    store::{Store, StoreError},
    transport::{Hint, Redis},
};
use futures::StreamExt as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{process::boottime_now, shared::Shared};

/// How often marks are compared with Redis; twice as often it is asked whether it has lost everything.
const COMPARE_EVERY: Duration = Duration::from_millis(500);
/// How often the window is looked after while there is a backlog, and while there is none.
const REFILL_EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// Longest pause of promotion.
const PROMOTE_EVERY: Duration = Duration::from_millis(500);
/// Longest pause between two looks at schedules.
const FIRE_EVERY: Duration = Duration::from_millis(500);
/// Longest pause of unblocking.
const UNBLOCK_EVERY: Duration = Duration::from_millis(500);
/// Longest pause between two looks at parked jobs whose moment has come, and how often all others are looked after.
const CALL_EVERY: Duration = Duration::from_millis(500);
const OVERLOOKED_EVERY: Duration = Duration::from_secs(1);
/// Longest time that a worker lets others go first when a moment has come.
const CALL_SPREAD: Duration = Duration::from_millis(5);
/// How often leases of others are looked at.
const RESCUE_EVERY: Duration = Duration::from_millis(500);
/// How often it is asked whether the planner knows how full the queue is; twice as long each time that Postgres does not let it know,
/// up to about a minute, after which autovacuum has come.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
const REFRESH_DOUBLINGS_MAX: u32 = 6;
/// So many times in a row are not somebody's passing lock.
const REFRESH_IS_STUCK: u32 = 3;
/// How often directories are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked for what is too old.
const PRUNE_EVERY: Duration = Duration::from_mins(1);
/// Pause after a failure.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Starts all duties.
pub(crate) fn start(
    shared: &Arc<Shared>,
    lease: Duration,
    retention: Retention,
    identity: watch::Receiver<WorkerId>,
    hurry: mpsc::Sender<()>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    let bells = Bells::default();
    let run = |duty: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(duty).await;
        });
    };
    let (store, redis) = (shared.store.clone(), shared.redis.clone());
    run(Box::pin(listen(shared.clone(), identity, bells.clone(), hurry)));
    run(Box::pin(refill(store.clone(), redis.clone(), bells.backlog)));
    run(Box::pin(compare(store.clone(), redis.clone())));
    run(Box::pin(unblock_dependents(store.clone(), redis.clone(), bells.dependents)));
    run(Box::pin(call_timed(store.clone(), redis.clone(), bells.parked)));
    run(Box::pin(call_overlooked(store.clone(), redis.clone())));
    run(Box::pin(promote_due(store.clone(), redis.clone())));
    run(Box::pin(fire_due(shared.clone())));
    run(Box::pin(rescue_lost(store.clone(), redis, lease)));
    run(Box::pin(keep_statistics(store.clone())));
    let rolled = store.clone();
    run(Box::pin(async move { match keep_folded(&rolled).await {} }));
    let disk = prune::FromDisk(shared.paths.artifact_root.clone());
    run(Box::pin(prune::prune(store, retention, disk, PRUNE_EVERY)));
    run(Box::pin(sweep::sweep(shared.clone(), SWEEP_EVERY)));
}

/// What hints ring for.
#[derive(Debug, Clone, Default)]
struct Bells {
    backlog: Arc<Notify>,
    dependents: Arc<Notify>,
    parked: Arc<Notify>,
}

/// A pause that differs from worker to worker.
async fn pause(around: Duration) {
    tokio::time::sleep(clock::jittered(around)).await;
}

/// Hears hints: a cancel or a drain makes the heartbeat look at once, a backlog makes the dispatcher look at once, and jobs of
/// a service that refuses do not begin.
async fn listen(
    shared: Arc<Shared>,
    identity: watch::Receiver<WorkerId>,
    bells: Bells,
    hurry: mpsc::Sender<()>,
) {
    loop {
        match shared.redis.hints().await {
            Ok(mut hints) => {
                while let Some(hint) = hints.next().await {
                    match hint {
                        // A full channel means that a look is about to happen anyway.
                        Hint::Cancel(jobs) if shared.held.holds_any(&jobs) => drop(hurry.try_send(())),
                        Hint::Drain(worker) if worker == *identity.borrow() => drop(hurry.try_send(())),
                        Hint::Backlog => bells.backlog.notify_one(),
                        Hint::Dependents => bells.dependents.notify_one(),
                        Hint::Parked => bells.parked.notify_one(),
                        Hint::HoldBack(service) => shared.paused_services.hear(service),
                        Hint::Reconnected => {
                            for bell in [&bells.backlog, &bells.dependents, &bells.parked] {
                                bell.notify_one();
                            }
                        }
                        Hint::Cancel(_)
                        | Hint::Drain(_)
                        | Hint::Changed(_)
                        | Hint::ManyChanged
                        | Hint::Logged(_) => {}
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "no hints from Redis"),
        }
        pause(RETRY_AFTER).await;
    }
}

async fn refill(store: Store, redis: Redis, backlog: Arc<Notify>) {
    loop {
        let until_next = match dispatch::refill(&store, &redis).await {
            Ok(true) => REFILL_EVERY.0,
            Ok(false) => REFILL_EVERY.1,
            Err(error) => {
                tracing::debug!(%error, "dispatch failed; trying again");
                RETRY_AFTER
            }
        };
        tokio::select! {
            () = pause(until_next) => {}
            () = backlog.notified() => {}
        }
    }
}

async fn compare(store: Store, redis: Redis) {
    let mut is_due = true;
    loop {
        match compare_once(&store, &redis, is_due).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "references that Redis had lost were pushed again"),
            Err(error) => tracing::debug!(%error, "marks could not be compared; trying again"),
        }
        is_due = !is_due;
        pause(COMPARE_EVERY / 2).await;
    }
}

/// When Redis has lost all that it had, even the newest marks are missing.
async fn compare_once(store: &Store, redis: &Redis, is_due: bool) -> Result<usize, DispatchError> {
    if redis.has_forgotten().await? {
        return dispatch::compare(store, redis, Duration::ZERO).await;
    }
    if is_due { dispatch::compare(store, redis, MARK_AGE).await } else { Ok(0) }
}

/// Fires schedules when they are due.
async fn fire_due(shared: Arc<Shared>) {
    loop {
        let next = match fire_schedules(&shared.submit).await {
            Ok((after, next)) => {
                after.announce(&shared.redis).await;
                next.unwrap_or(FIRE_EVERY).min(FIRE_EVERY)
            }
            Err(error) => {
                tracing::warn!(%error, "schedules were not fired; trying again");
                RETRY_AFTER
            }
        };
        // Others may be at those that are due: never without any pause.
        tokio::time::sleep(next.max(Duration::from_millis(5))).await;
    }
}

/// Decides what becomes of jobs whose dependencies have ended: at a hint, and now and then without any.
async fn unblock_dependents(store: Store, redis: Redis, dependents: Arc<Notify>) {
    loop {
        match unblock(&store).await {
            Ok((after, has_more)) => {
                after.announce(&redis).await;
                if has_more {
                    continue;
                }
            }
            Err(error) => tracing::warn!(%error, "dependent jobs were not unblocked; trying again"),
        }
        tokio::select! {
            () = pause(UNBLOCK_EVERY) => {}
            () = dependents.notified() => {}
        }
    }
}

async fn promote_due(store: Store, redis: Redis) {
    loop {
        let next = match promote(&store).await {
            Ok((after, next)) => {
                after.announce(&redis).await;
                next.unwrap_or(PROMOTE_EVERY).min(PROMOTE_EVERY)
            }
            Err(error) => {
                tracing::warn!(%error, "promotion failed; trying again");
                RETRY_AFTER
            }
        };
        // Jobs that others hold locked are due as well: never without any pause.
        tokio::time::sleep(next.max(Duration::from_millis(5))).await;
    }
}

/// Watches the leases of all workers, and gives back the jobs of those that ran out.
async fn rescue_lost(store: Store, redis: Redis, lease: Duration) {
    let mut watch = Watch::default();
    loop {
        if let Err(error) = rescue_round(&store, &redis, &mut watch, lease).await {
            tracing::warn!(%error, "contact with Postgres is broken: nobody is rescued");
            watch.lose_contact();
        }
        pause(RESCUE_EVERY).await;
    }
}

async fn rescue_round(
    store: &Store,
    redis: &Redis,
    watch: &mut Watch,
    length: Duration,
) -> Result<(), StoreError> {
    let leases = rescue::leases(store).await?;
    let over = watch.look(&leases, Duration::from_nanos(boottime_now()), length);
    for lease in over.iter().map(Some).chain([None]) {
        loop {
            let (rescued, after) = rescue::rescue(store, lease).await?;
            if let Some(lease) = lease.filter(|_| rescued.is_lost) {
                tracing::warn!(worker = %lease.worker, "a worker's lease ran out");
            }
            if rescued.jobs > 0 {
                tracing::warn!(jobs = rescued.jobs, "jobs of lost workers were given back");
            }
            after.announce(redis).await;
            if !rescued.has_more {
                break;
            }
        }
    }
    Ok(())
}

/// Calls parked jobs when their moment comes.
async fn call_timed(store: Store, redis: Redis, parked: Arc<Notify>) {
    loop {
        let next = match wake_due(&store).await {
            Ok((after, next)) => {
                after.announce(&redis).await;
                next.unwrap_or(CALL_EVERY).min(CALL_EVERY)
            }
            Err(error) => {
                tracing::warn!(%error, "parked jobs were not called; trying again");
                RETRY_AFTER
            }
        };
        // Never without any pause, and not all workers at once.
        let spread = CALL_SPREAD.mul_f64(clock::random_fraction());
        tokio::select! {
            () = tokio::time::sleep(next.max(Duration::from_millis(1)) + spread) => {}
            () = parked.notified() => {}
        }
    }
}

/// Looks after gates whose waiters nobody has called, should a call ever have been lost.
async fn call_overlooked(store: Store, redis: Redis) {
    let mut from = None;
    loop {
        match sweep_stranded(&store, from.take()).await {
            Ok((after, next)) => {
                after.announce(&redis).await;
                from = next;
            }
            Err(error) => tracing::warn!(%error, "gates were not looked after; trying again"),
        }
        pause(OVERLOOKED_EVERY).await;
    }
}

/// Has the jobs counted when there are many more than Postgres believes.
async fn keep_statistics(store: Store) {
    let mut skipped: u32 = 0;
    loop {
        match refresh_statistics(&store).await {
            Ok(Refreshed::UpToDate) => skipped = 0,
            Ok(Refreshed::Done) => {
                skipped = 0;
                tracing::info!("statistics were of an emptier queue, and have been taken again");
            }
            Ok(Refreshed::Skipped) => {
                skipped = skipped.saturating_add(1);
                if skipped == REFRESH_IS_STUCK {
                    tracing::warn!(
                        "statistics are of an emptier queue, and Postgres does not take them again: its tables are locked, or not \
                         owned by this role. Batches may be slow until autovacuum has come"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "statistics were not looked at; trying again"),
        }
        pause(REFRESH_EVERY * 2u32.pow(skipped.min(REFRESH_DOUBLINGS_MAX))).await;
    }
}
