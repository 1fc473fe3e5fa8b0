//! The worker's lease: renewed from a thread of its own, so that a busy runtime cannot starve it.
//!
//! Each renewal moves the deadline of all shims (measured from before it began), and brings back what the worker
//! should hold and cancel. It stops renewing when the main runtime hangs: then the shims end the children in time.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use callboard::{
    ids::{AttemptId, WorkerId},
    mutant::Mutant,
    steps::run::renew::{Renewal, register, renew},
    store::{
        Store, StoreError,
        workers::{HeldAttempt as Record, NewWorker},
    },
};
use tokio::sync::{mpsc, watch};

use crate::{
    process::{ShimPool, boottime_now},
    running_attempts::{RunningAttempts, StopReason},
};

/// Time between two renewals: with it, a stall of Postgres of five seconds ends nothing, whenever it begins (docs/adr/0010).
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How much before the end of the lease the children are dead at the latest.
const SAFETY: Duration = Duration::from_millis(1500);
/// Pause after a renewal that failed.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Proof that the main runtime makes progress: a counter that it moves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Liveness(Arc<AtomicU64>);

impl Liveness {
    /// Called by the main runtime, several times a second. Milliseconds of CLOCK_BOOTTIME.
    pub(crate) fn mark(&self) {
        self.0.store(boottime_now() / 1_000_000, Ordering::Relaxed);
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        boottime_now() / 1_000_000 > last + age.as_millis() as u64
    }
}

/// Begins the first lease. Until its first renewal, what is started may run as long as the lease that begins here.
pub(crate) async fn begin_lease(
    store: &Store,
    worker: &NewWorker,
    shim_pool: &ShimPool,
    lease: Duration,
) -> Result<(), StoreError> {
    let began = boottime_now();
    register(store, worker).await?;
    shim_pool.extend_deadline(deadline(began, lease));
    Ok(())
}

/// When the children must be dead, if the lease is not renewed after `began`. Nanoseconds of CLOCK_BOOTTIME.
fn deadline(began: u64, lease: Duration) -> u64 {
    if Mutant::ShimWithoutDeadline.is_on() {
        return u64::MAX;
    }
    began + lease.saturating_sub(SAFETY).as_nanos() as u64
}

/// What the lease tells the rest of the worker.
#[derive(Debug)]
pub(crate) enum LeaseEvent {
    /// Postgres has attempts of ours that nobody here runs.
    UnknownAttempts(Vec<Record>),
    /// Somebody asked this worker to end.
    DrainAsked,
}

/// The lease and what it needs.
pub(crate) struct Heartbeat {
    pub(crate) store: Store,
    pub(crate) worker: NewWorker,
    pub(crate) lease: Duration,
    pub(crate) running: RunningAttempts,
    pub(crate) shim_pool: ShimPool,
    pub(crate) liveness: Liveness,
    pub(crate) identity: watch::Sender<WorkerId>,
    pub(crate) is_draining: watch::Receiver<bool>,
    pub(crate) events: mpsc::Sender<LeaseEvent>,
    /// Asks for a renewal at once, e.g. because a cancel was hinted at.
    pub(crate) renew_now: mpsc::Receiver<()>,
    /// What Postgres had and this worker did not, at the last renewal. Most of it ended while Postgres was being asked; what is told
    /// again by a question that was put later did not.
    pub(crate) unknown_before: HashSet<AttemptId>,
}

impl Heartbeat {
    /// Runs the heartbeat on a thread of its own until its channels close.
    pub(crate) fn start(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(self.beat()),
                Err(error) => tracing::error!(%error, "no runtime for the heartbeat: the lease will run out"),
            }
        })
    }

    async fn beat(mut self) {
        loop {
            if self.liveness.is_older_than(self.lease / 2) {
                tracing::error!("the runtime hangs: the lease is not renewed");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            let pause = match self.renew().await {
                Ok(()) => RENEW_EVERY,
                Err(error) => {
                    tracing::warn!(%error, "the lease was not renewed; trying again");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                hurried = self.renew_now.recv() => if hurried.is_none() { return },
            }
        }
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let began = boottime_now();
        let before: Vec<AttemptId> = self.running.granted();
        let id = *self.identity.borrow();
        let is_draining = *self.is_draining.borrow();
        match renew(&self.store, id, is_draining).await? {
            Renewal::Kept { held: records, is_draining: is_asked } => {
                self.shim_pool.extend_deadline(deadline(began, self.lease));
                let missing = self.running.reconcile(&before, &records);
                let missing_now = missing.iter().map(|record| record.attempt).collect();
                let unknown_before = std::mem::replace(&mut self.unknown_before, missing_now);
                let unknown: Vec<_> =
                    missing.into_iter().filter(|record| unknown_before.contains(&record.attempt)).collect();
                // Whatever the worker has no room for now is told again by the next renewal, which must not wait.
                if !unknown.is_empty() {
                    drop(self.events.try_send(LeaseEvent::UnknownAttempts(unknown)));
                }
                if is_asked && !is_draining {
                    drop(self.events.try_send(LeaseEvent::DrainAsked));
                }
            }
            Renewal::Lost => self.begin_again().await?,
        }
        Ok(())
    }

    /// The lease ran out and others have our jobs: end what runs, and take part again under a new id. Claims may be under way
    /// under the old one. The new id is there before the new lease, so that whatever is to run under this lease is claimed
    /// under the new id; and whatever is not, is killed or never started.
    async fn begin_again(&mut self) -> Result<(), StoreError> {
        tracing::error!("the lease was lost: all attempts are stopped");
        self.running.stop_all(StopReason::Lost);
        let worker = NewWorker { id: callboard::clock::IdSource.make(), ..self.worker.clone() };
        let began = boottime_now();
        register(&self.store, &worker).await?;
        self.identity.send_replace(worker.id);
        self.worker = worker;
        self.shim_pool.begin_another_lease(deadline(began, self.lease));
        self.running.stop_all(StopReason::Lost);
        Ok(())
    }
}
