//! Claim: win jobs for a worker, all of a batch in one transaction, each with an answer that says why not.
//!
//! Called by the worker's claimer. The worker makes the attempt's id, so a claim whose answer was lost is
//! recognised when it is asked for again.

use std::collections::{HashMap, HashSet};

use crate::{
    clock::Time,
    ids::{AttemptId, JobId, ProfileId, WorkerId},
    job::{
        ReadyJob, Standing,
        transition::{Transition, apply},
    },
    mutant::Mutant,
    policy::Policy,
    steps::After,
    store::{
        Connection, Store, StoreError, backlog, commit,
        holds::{self, Hold, profile_key},
        live::{self, Change, LiveJob},
    },
};

/// Most jobs of one batch.
pub const CLAIM_BATCH_MAX: usize = 500;

/// "May I run this?"
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The job.
    pub job: JobId,
    /// The attempt that the worker would run.
    pub attempt: AttemptId,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The job is the attempt's: run it.
    Granted(Box<LiveJob>),
    /// Something else stands in the way; the job waits for it in Postgres.
    Parked {
        /// On which key.
        on: String,
    },
    /// Its queue is paused; the job waits in Postgres until it is resumed.
    Paused,
    /// Nothing to run: it runs elsewhere, has ended, or waits for its time. A reference came twice or late.
    Gone,
}

/// Decides a batch. Answers are in the order of the requests.
pub async fn claim(
    store: &Store,
    worker: WorkerId,
    requests: &[Request],
) -> Result<(Vec<Answer>, After), StoreError> {
    let mut transaction = store.begin().await?;
    let jobs: Vec<JobId> = requests.iter().map(|request| request.job).collect();
    let (rows, now) = live::lock(&mut transaction, &jobs).await?;
    let Some(now) = now else { return Ok((vec![Answer::Gone; requests.len()], After::default())) };
    let mut rows: HashMap<JobId, LiveJob> = rows.into_iter().map(|row| (row.job, row)).collect();
    // Whoever gave a profile back has done so before the time of this claim.
    let (mut occupied, locked_at) = occupied(&mut transaction, rows.values()).await?;
    let now = locked_at.map_or(now, |locked_at| locked_at.max(now));

    let policy = Policy::default();
    let (mut answers, mut changes, mut taken, mut paused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for request in requests {
        let Some(row) = rows.get(&request.job) else {
            answers.push(Answer::Gone);
            continue;
        };
        let blocked_by = row.profile.map(profile_key).and_then(|key| occupied.get(&key).map(|by| (key, *by)));
        let transition = match (&row.standing, blocked_by) {
            (Standing::Running { attempt, .. }, _) if *attempt == request.attempt => {
                answers.push(Answer::Granted(Box::new(row.clone())));
                continue;
            }
            (Standing::Queued { .. }, _) if row.is_paused => {
                paused.push(request.job);
                answers.push(Answer::Paused);
                continue;
            }
            (Standing::Queued { .. }, Some((on, by))) => {
                let reason = format!("Its profile is in use by {by}.");
                Transition::Parked { on, reason }
            }
            (_, _) => Transition::Claimed { attempt: request.attempt },
        };
        let facts = row.facts(&policy);
        let Ok(applied) = apply(&facts, transition.clone(), now) else {
            let parked = if let Transition::Parked { on, .. } = transition { Some(on) } else { None };
            answers.push(parked.map_or(Answer::Gone, |on| Answer::Parked { on }));
            continue;
        };
        let change = Change { before: row.clone(), applied, worker: Some(worker), is_dispatched: false };
        if let Transition::Parked { on, .. } = transition {
            answers.push(Answer::Parked { on });
        } else {
            let granted = granted(&change, request.attempt, worker, now);
            if let Some(profile) = granted.profile {
                occupied.insert(profile_key(profile), granted.job);
                taken.push(Hold { key: profile_key(profile), job: granted.job });
            }
            rows.insert(granted.job, granted.clone());
            answers.push(Answer::Granted(Box::new(granted)));
        }
        changes.push(change);
    }
    live::save(&mut transaction, &changes, now).await?;
    if !taken.is_empty() {
        holds::take(&mut transaction, &taken).await?;
    }
    if !paused.is_empty() {
        backlog::unmark(&mut transaction, &paused).await?;
    }
    commit(transaction).await?;
    let changed = changes.iter().map(|change| change.before.job).collect();
    Ok((answers, After { changed, ..After::default() }))
}

/// The row as it is after the grant.
fn granted(change: &Change, attempt: AttemptId, worker: WorkerId, now: Time) -> LiveJob {
    LiveJob {
        standing: Standing::Running { attempt, cancel_asked: false },
        version: change.before.version + 1,
        attempt: change.before.attempt + 1,
        worker: Some(worker),
        dispatched_at: None,
        attempt_at: Some(now),
        started_at: change.before.started_at.or(Some(now)),
        ..change.before.clone()
    }
}

/// Which keys of these jobs are held, and by whom; their profiles are locked until the commit. Also the time once they
/// were.
async fn occupied<'a>(
    connection: &mut Connection,
    rows: impl Iterator<Item = &'a LiveJob>,
) -> Result<(HashMap<String, JobId>, Option<Time>), StoreError> {
    let profiles: HashSet<ProfileId> = rows.filter_map(|row| row.profile).collect();
    if profiles.is_empty() || Mutant::ClaimWithoutExclusivity.is_on() {
        return Ok((HashMap::new(), None));
    }
    let profiles: Vec<ProfileId> = profiles.into_iter().collect();
    let locked_at = holds::lock_profiles(connection, &profiles).await?;
    let keys: Vec<String> = profiles.into_iter().map(profile_key).collect();
    let held = holds::held(connection, &keys).await?;
    Ok((held.into_iter().map(|hold| (hold.key, hold.job)).collect(), locked_at))
}

/// Wakes, for each key that has become free, the parked job that comes first. Its profile must be locked.
pub(super) async fn wake(connection: &mut Connection, keys: &[String]) -> Result<Vec<ReadyJob>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let jobs = holds::next_parked(connection, keys).await?;
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let (rows, Some(now)) = live::lock(connection, &jobs).await? else { return Ok(Vec::new()) };
    let policy = Policy::default();
    let mut changes = Vec::new();
    for before in rows {
        let facts = before.facts(&policy);
        if let Ok(applied) = apply(&facts, Transition::Woken, now) {
            changes.push(Change { before, applied, worker: None, is_dispatched: true });
        }
    }
    live::save(connection, &changes, now).await?;
    let ready = |row: &LiveJob| ReadyJob { job: row.job, queue: row.queue.clone(), priority: row.priority };
    Ok(changes.iter().map(|change| ready(&change.before)).collect())
}
