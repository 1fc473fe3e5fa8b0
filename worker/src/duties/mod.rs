//! Duties: what every worker does for the whole system, without a leader.
//!
//! A duty is a step that `repeat` runs again and again. Steps pass over rows that another worker
//! has locked, so it does no harm when several workers do the same duty at once.

mod dispatch;
mod hints;
mod promote;
mod prune;
mod repeat;
mod rescue;
mod schedules;
mod statistics;
mod temp_root;
mod unblock;
mod wake;

use std::{sync::Arc, time::Duration};

use callboard::{
    ids::WorkerId,
    steps::maintain::{fold_counters::keep_folded, prune::Retention},
};
use futures::{FutureExt as _, future::BoxFuture};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::shared::Shared;
use hints::Bells;
use repeat::repeat;

/// Starts all duties, as tasks that end when `stop` is cancelled. `renew_now` asks for a renewal of
/// the lease.
pub(crate) fn start(
    shared: &Arc<Shared>,
    lease: Duration,
    retention: Retention,
    identity: watch::Receiver<WorkerId>,
    renew_now: mpsc::Sender<()>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    let run = |duty: BoxFuture<'static, ()>| {
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(duty).await;
        });
    };
    let bells = Bells::default();
    let shared = || shared.clone();
    run(hints::listen(shared(), identity, bells.clone(), renew_now).boxed());
    run(repeat(dispatch::Refill(shared()), Some(bells.backlog)).boxed());
    run(repeat(dispatch::Compare::new(shared()), None).boxed());
    run(repeat(unblock::Unblock(shared()), Some(bells.dependents)).boxed());
    run(repeat(wake::WakeDue(shared()), Some(bells.parked)).boxed());
    run(repeat(wake::SweepStranded::new(shared()), None).boxed());
    run(repeat(promote::Promote(shared()), None).boxed());
    run(repeat(schedules::FireSchedules(shared()), None).boxed());
    run(repeat(rescue::Rescue::new(shared(), lease), None).boxed());
    run(repeat(statistics::RefreshStatistics::new(shared()), None).boxed());
    run(repeat(prune::Prune::new(shared(), retention), None).boxed());
    run(repeat(temp_root::Sweep(shared()), None).boxed());
    // A loop of the core's, because an API runs it too.
    let store = shared().store.clone();
    run(async move { match keep_folded(&store).await {} }.boxed());
}
