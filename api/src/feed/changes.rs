//! The changes of jobs that the tailer publishes and that subscriptions send to clients.

use std::{collections::HashMap, sync::Arc};

use callboard::{
    clock::Time,
    ids::JobId,
    job::JobState,
    store::{
        Store, StoreError,
        jobs::{
            events::EventRecord,
            records::{self, Origin},
        },
    },
};
use tokio::sync::OnceCell;

use super::ChangesCursor;

/// Maximum number of jobs in one statement.
const JOBS_MAX: usize = 1000;

/// A job that changed, as of its newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The job.
    pub job: JobId,
    /// Its state.
    pub state: JobState,
    /// Its version.
    pub version: i32,
    /// When the newest event happened.
    pub at: Time,
    /// The state before the first of these events. `None` when the first event enqueued the job.
    pub prior_state: Option<JobState>,
}

/// The changes within a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The position after all of these changes.
    pub cursor: ChangesCursor,
    /// The changes in order of their newest events, each with whether the job is within the
    /// selection now.
    pub changes: Vec<(Change, bool)>,
    /// Whether the list must be read again. There are no changes then.
    pub is_reset: bool,
}

impl Changes {
    pub(super) const fn reset(cursor: ChangesCursor) -> Self {
        Self { cursor, changes: Vec::new(), is_reset: true }
    }
}

/// The changes between two positions, shared by all subscriptions.
#[derive(Debug)]
pub(super) struct Batch {
    /// The position after all of these changes.
    pub(super) cursor: ChangesCursor,
    /// `None` when there were too many changes to list.
    pub(super) changes: Option<Vec<Change>>,
    /// Read when the first subscription needs them.
    origins: OnceCell<Result<HashMap<JobId, Origin>, Arc<StoreError>>>,
}

impl Batch {
    pub(super) const fn new(cursor: ChangesCursor, changes: Option<Vec<Change>>) -> Self {
        Self { cursor, changes, origins: OnceCell::const_new() }
    }

    /// Returns the origins of the batch's jobs.
    pub(super) async fn origins(&self, store: &Store) -> Result<&HashMap<JobId, Origin>, Arc<StoreError>> {
        let read = || async {
            let jobs: Vec<JobId> = self.changes.iter().flatten().map(|change| change.job).collect();
            read_origins(store, &jobs).await.map_err(Arc::new)
        };
        self.origins.get_or_init(read).await.as_ref().map_err(Arc::clone)
    }
}

async fn read_origins(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, Origin>, StoreError> {
    let mut origins = HashMap::with_capacity(jobs.len());
    for jobs in jobs.chunks(JOBS_MAX) {
        let found = records::origins(&mut *store.connection().await?, jobs).await?;
        origins.extend(found.into_iter().map(|origin| (origin.job, origin)));
    }
    Ok(origins)
}

/// Merges events to one change per job, in the order of their newest events. The events of one job
/// must be in order of version.
pub(super) fn merge(events: &[EventRecord]) -> Vec<Change> {
    let mut first_prior: HashMap<JobId, Option<JobState>> = HashMap::new();
    let mut newest: HashMap<JobId, usize> = HashMap::new();
    for (index, event) in events.iter().enumerate() {
        first_prior.entry(event.job).or_insert(event.prior_state);
        let known = newest.entry(event.job).or_insert(index);
        // Two transactions may change a job in a different order than they began in.
        if events.get(*known).is_none_or(|known| known.version < event.version) {
            *known = index;
        }
    }
    let mut indexes: Vec<usize> = newest.into_values().collect();
    indexes.sort_unstable();
    let change = |event: &EventRecord| Change {
        job: event.job,
        state: event.state,
        version: event.version,
        at: event.at,
        prior_state: first_prior.get(&event.job).copied().flatten(),
    };
    indexes.into_iter().filter_map(|index| events.get(index)).map(change).collect()
}

#[cfg(test)]
mod tests {
    use callboard::job::EventKind;
    use uuid::Uuid;

    use super::*;

    fn event(job: u128, version: i32, prior_state: Option<JobState>, state: JobState) -> EventRecord {
        EventRecord {
            job: Uuid::from_u128(job).into(),
            version,
            kind: EventKind::Queued,
            state,
            prior_state,
            attempt: None,
            message: String::new(),
            actor: None,
            at: Time::default(),
            txid: i64::from(version),
        }
    }

    #[test]
    fn each_job_is_reported_once_with_its_previous_state() {
        let events = [
            event(1, 1, None, JobState::Queued),
            event(2, 4, Some(JobState::Queued), JobState::Running),
            event(1, 2, Some(JobState::Queued), JobState::Running),
            event(2, 5, Some(JobState::Running), JobState::Succeeded),
            event(3, 9, Some(JobState::Failed), JobState::Queued),
        ];
        let merged: Vec<_> = merge(&events)
            .into_iter()
            .map(|change| (change.job.uuid().as_u128(), change.version, change.prior_state, change.state))
            .collect();
        assert_eq!(
            merged,
            [
                (1, 2, None, JobState::Running),
                (2, 5, Some(JobState::Queued), JobState::Succeeded),
                (3, 9, Some(JobState::Failed), JobState::Queued),
            ]
        );
    }
}
