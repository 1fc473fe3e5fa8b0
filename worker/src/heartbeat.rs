//! Renews the worker's lease on a thread of its own, so that a busy runtime cannot delay it.
//!
//! Each renewal moves the deadline of all shims, counted from before it began, and returns which
//! attempts the worker holds and which it has to cancel. When the main runtime hangs, the lease is
//! not renewed, and the shims end the children in time.

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

/// Time between two renewals. Short enough that Postgres may stall for five seconds at any time
/// without ending an attempt (docs/adr/0010).
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// The children are dead this long before the end of the lease.
const SAFETY: Duration = Duration::from_millis(1500);
/// Pause after a renewal that failed.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Shows that the main runtime makes progress: when it last did, in milliseconds of CLOCK_BOOTTIME.
#[derive(Debug, Clone, Default)]
pub(crate) struct Liveness(Arc<AtomicU64>);

impl Liveness {
    /// The main runtime has to do this several times a second.
    pub(crate) fn mark(&self) {
        self.0.store(boottime_now() / 1_000_000, Ordering::Relaxed);
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        boottime_now() / 1_000_000 > last + age.as_millis() as u64
    }
}

/// Registers the worker, which begins its first lease.
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

/// When the children must be dead if the renewal that began at `began` is the last. Both are in
/// nanoseconds of CLOCK_BOOTTIME.
fn deadline(began: u64, lease: Duration) -> u64 {
    if Mutant::ShimWithoutDeadline.is_on() {
        return u64::MAX;
    }
    began + lease.saturating_sub(SAFETY).as_nanos() as u64
}

/// What a renewal has for the rest of the worker.
#[derive(Debug)]
pub(crate) enum LeaseEvent {
    /// Attempts that Postgres says are this worker's and that it does not run.
    UnknownAttempts(Vec<Record>),
    /// The worker was asked to drain.
    DrainAsked,
}

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
    /// Requests for a renewal at once, for example after the hint of a cancel.
    pub(crate) renew_now: mpsc::Receiver<()>,
    /// Attempts that Postgres had and this worker did not run, at the last renewal. Most of them
    /// ended during that renewal. If the next renewal names one again, its claim's reply was lost.
    pub(crate) unknown_before: HashSet<AttemptId>,
}

impl Heartbeat {
    /// Starts the thread, which ends when `renew_now` closes.
    pub(crate) fn start(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        std::thread::Builder::new().name("heartbeat".into()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(self.beat()),
                Err(error) => {
                    tracing::error!(%error, "no runtime for the heartbeat, so the lease will run out");
                }
            }
        })
    }

    async fn beat(mut self) {
        loop {
            if self.liveness.is_older_than(self.lease / 2) {
                tracing::error!("the runtime makes no progress, so the lease is not renewed");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            // A server that vanished without closing its connections would block the renewal for a
            // quarter of an hour. After a lease it comes too late anyway.
            let lease = self.lease;
            let pause = match tokio::time::timeout(lease, self.renew()).await {
                Ok(Ok(())) => RENEW_EVERY,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the lease was not renewed, retrying");
                    RETRY_AFTER
                }
                Err(_) => {
                    tracing::warn!("Postgres did not reply to the renewal of the lease, retrying");
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
                // Not `send`, because a renewal must not wait. What does not fit comes with the
                // next.
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

    /// The lease ran out, so other workers have this worker's jobs. Ends what runs and registers
    /// again under a new id.
    ///
    /// Claims under the old id may still be under way. The new id is published before the new
    /// lease, so everything that runs under the new lease was claimed under the new id. Everything
    /// else is killed or never started.
    async fn begin_again(&mut self) -> Result<(), StoreError> {
        tracing::error!("the lease was lost, stopping all attempts");
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
