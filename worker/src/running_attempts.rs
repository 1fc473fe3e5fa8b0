//! The attempts that this worker runs, and how to stop each of them.
//!
//! An attempt is entered before its claim. The lease, a refused write and the drain stop it with a
//! reason, from which the attempt decides its outcome.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use callboard::{
    ids::{AttemptId, JobId},
    store::workers::HeldAttempt as Record,
};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::process::LeaseNumber;

/// Why an attempt is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The job was cancelled.
    Cancelled,
    /// The attempt does not hold its job any more.
    Lost,
    /// The worker is being drained, and the grace period has ended.
    Drained,
}

#[derive(Debug)]
struct Entry {
    job: JobId,
    stop: watch::Sender<Option<StopReason>>,
    /// Whether the claim has been granted. Before that, Postgres need not know the attempt.
    is_granted: bool,
}

/// The registry. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningAttempts(Arc<Mutex<HashMap<AttemptId, Entry>>>);

/// An attempt's entry in the registry, removed when dropped.
#[derive(Debug)]
pub(crate) struct AttemptGuard {
    registry: RunningAttempts,
    attempt: AttemptId,
    /// The worker's lease under which it may run.
    pub(crate) lease: LeaseNumber,
    stop: watch::Receiver<Option<StopReason>>,
}

impl RunningAttempts {
    fn entries(&self) -> MutexGuard<'_, HashMap<AttemptId, Entry>> {
        self.0.lock()
    }

    /// Enters an attempt that is about to be claimed.
    pub(crate) fn enter(&self, job: JobId, attempt: AttemptId, lease: LeaseNumber) -> AttemptGuard {
        let (stop, stopped) = watch::channel(None);
        self.entries().insert(attempt, Entry { job, stop, is_granted: false });
        AttemptGuard { registry: self.clone(), attempt, lease, stop: stopped }
    }

    /// Whether an attempt of any of these jobs is running.
    pub(crate) fn holds_any(&self, jobs: &[JobId]) -> bool {
        self.entries().values().any(|entry| jobs.contains(&entry.job))
    }

    /// The attempts whose claims have been granted.
    pub(crate) fn granted(&self) -> Vec<AttemptId> {
        self.entries().iter().filter(|(_, entry)| entry.is_granted).map(|(attempt, _)| *attempt).collect()
    }

    /// The number of attempts, those that wait for their claim included.
    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Stops every attempt.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for entry in self.entries().values() {
            entry.stop.send_if_modified(|stop| stop.replace(reason).is_none());
        }
    }

    /// Stops cancelled attempts, and attempts of `before` that Postgres does not list. Read
    /// `before` before asking Postgres. Returns records of attempts that this worker does not run.
    pub(crate) fn reconcile(&self, before: &[AttemptId], records: &[Record]) -> Vec<Record> {
        let recorded: HashSet<AttemptId> = records.iter().map(|record| record.attempt).collect();
        let entries = self.entries();
        let stop = |entry: &Entry, reason| entry.stop.send_if_modified(|stop| stop.replace(reason).is_none());
        for attempt in before {
            if let Some(entry) = entries.get(attempt).filter(|_| !recorded.contains(attempt)) {
                stop(entry, StopReason::Lost);
            }
        }
        let mut unknown = Vec::new();
        for record in records {
            match entries.get(&record.attempt) {
                Some(entry) if record.cancel_asked => {
                    stop(entry, StopReason::Cancelled);
                }
                Some(_) => {}
                None => unknown.push(*record),
            }
        }
        unknown
    }
}

impl AttemptGuard {
    /// Notes that the claim was granted.
    pub(crate) fn grant(&self) {
        if let Some(entry) = self.registry.entries().get_mut(&self.attempt) {
            entry.is_granted = true;
        }
    }

    /// Waits until the attempt is stopped. Returns the reason.
    pub(crate) async fn stopped(&self) -> StopReason {
        let mut stop = self.stop.clone();
        let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// A handle for tasks that write for the attempt.
    pub(crate) fn fence_handle(&self) -> FenceHandle {
        FenceHandle { registry: self.registry.clone(), attempt: self.attempt }
    }

    /// The reason, if the attempt has been stopped.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        *self.stop.borrow()
    }
}

impl Drop for AttemptGuard {
    fn drop(&mut self) {
        self.registry.entries().remove(&self.attempt);
    }
}

/// Stops an attempt from inside, when a fenced write was refused.
#[derive(Debug, Clone)]
pub(crate) struct FenceHandle {
    registry: RunningAttempts,
    attempt: AttemptId,
}

impl FenceHandle {
    /// Stops the attempt as lost.
    pub(crate) fn lose(&self) {
        if let Some(entry) = self.registry.entries().get(&self.attempt) {
            entry.stop.send_if_modified(|stop| stop.replace(StopReason::Lost).is_none());
        }
    }
}
