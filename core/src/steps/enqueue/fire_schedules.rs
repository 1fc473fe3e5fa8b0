//! Fire schedules: enqueues the jobs of due schedules and sets their next times, in one
//! transaction.
//!
//! A duty of every worker, which skips schedules that another worker has locked. A time fires once:
//! the schedule moves on in the transaction that inserts the job, and a schedule has at most one
//! job for each time. If the process dies right after, everything is committed or nothing is, and
//! the next round goes on.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    context::SubmitContext,
    submit::{SubmitResult, submit_within},
};
use crate::{
    audit::By,
    clock::Time,
    compose::SecretInputs,
    ids::{JobId, ScheduleId},
    job::JobRequest,
    patch::PolicyPatch,
    refusal::Refusal,
    schedule::Firing,
    secret::{Keyring, Owner},
    steps::{After, Done, StepError, finish::cancel::cancel_within},
    store::{
        StoreError, Transaction,
        catalogue::schedules::{self, Advance, Schedule},
        commit,
        jobs::live,
    },
};

/// Most schedules of one transaction.
const BATCH_MAX: i64 = 100;
/// The reason given to jobs that are replaced.
const REPLACED: &str = "Replaced by the next run of its schedule.";

/// Fires one batch of due schedules. Returns what to announce, and the time until the next one is
/// due: zero when there is more to do, `None` when no schedule has a next time.
pub async fn fire_schedules(context: &SubmitContext) -> Result<Done<Option<Duration>>, StoreError> {
    match fire(context, BATCH_MAX).await {
        // One job cannot be written. Firing one schedule at a time finds it without holding up the
        // rest.
        Err(StoreError::Constraint { name, .. }) => {
            tracing::warn!(constraint = name, "could not fire schedules together, firing one alone");
            fire(context, 1).await
        }
        done => done,
    }
}

async fn fire(context: &SubmitContext, limit: i64) -> Result<Done<Option<Duration>>, StoreError> {
    let mut transaction = context.store.begin().await?;
    let (due, now) = schedules::lock_due(&mut transaction, limit).await?;
    let mut after = After::default();
    if !due.is_empty() {
        match fire_locked(context, &mut transaction, &due, now).await {
            Ok(told) => after = told,
            Err(StoreError::Constraint { name, .. }) if due.len() == 1 => {
                drop(transaction);
                give_up(context, &due[0], &name).await?;
                transaction = context.store.begin().await?;
            }
            Err(error) => return Err(error),
        }
    }
    let next = schedules::until_next(&mut transaction).await?;
    commit(transaction).await?;
    Ok(Done::new(next, after))
}

/// Skips the due times of a schedule whose job cannot be written, and records why.
async fn give_up(context: &SubmitContext, schedule: &Schedule, constraint: &str) -> Result<(), StoreError> {
    let mut transaction = context.store.begin().await?;
    if let Some(schedule) = schedules::lock(&mut transaction, schedule.id).await?
        && let Some(next_at) = schedule.next_at
    {
        let failure = Some(format!("The job could not be stored: {constraint}."));
        let next_at = schedule.plan.timing.next(next_at);
        let advance = Advance { id: schedule.id, next_at, last_at: None, failure };
        schedules::advance(&mut transaction, &[advance]).await?;
    }
    commit(transaction).await
}

async fn fire_locked(
    context: &SubmitContext,
    transaction: &mut Transaction,
    due: &[Schedule],
    now: Time,
) -> Result<After, StoreError> {
    let ids: Vec<ScheduleId> = due.iter().map(|schedule| schedule.id).collect();
    let live = schedules::live_jobs(transaction, &ids).await?;
    let busy: HashSet<ScheduleId> = live.iter().map(|(schedule, _)| *schedule).collect();
    let firings: Vec<Firing> = due
        .iter()
        .map(|schedule| {
            let from = schedule.next_at.unwrap_or(now);
            schedule.plan.timing.fire(from, now, busy.contains(&schedule.id))
        })
        .collect();

    let replaced = replaced(due, &firings, &live);
    // Locked before the lanes of the new jobs, in the usual lock order. Cancelled only once it is
    // certain that new jobs replace them.
    let ids: Vec<JobId> = replaced.iter().map(|(_, job)| *job).collect();
    let (_rows, _now) = live::lock(transaction, &ids).await?;
    let mut outcomes: HashMap<ScheduleId, FiringResult> = HashMap::new();
    // Each firing is a submission of its own, so that a refused job fails no other.
    let (mut owners, mut submissions) = (Vec::new(), Vec::new());
    for (schedule, firing) in due.iter().zip(&firings) {
        match request_of(context, schedule) {
            Ok(request) => {
                for &at in &firing.due {
                    owners.push((schedule.id, at));
                    submissions
                        .push(vec![JobRequest { schedule: Some((schedule.id, at)), ..request.clone() }]);
                }
            }
            Err(failure) => outcomes.entry(schedule.id).or_default().failure = Some(failure),
        }
    }
    let Done { value: results, mut after } = submit_within(context, transaction, &submissions).await?;
    for ((id, due), result) in owners.into_iter().zip(results) {
        outcomes.entry(id).or_default().note(due, &result);
    }
    let has_next = |id| outcomes.get(id).is_some_and(|outcome: &FiringResult| outcome.last_at.is_some());
    let replaced: Vec<JobId> =
        replaced.iter().filter(|(schedule, _)| has_next(schedule)).map(|(_, job)| *job).collect();
    after.merge(cancel_within(transaction, &replaced, Some(REPLACED), &By::worker()).await?);
    let advances: Vec<Advance> = due
        .iter()
        .zip(&firings)
        .map(|(schedule, firing)| {
            let FiringResult { last_at, failure } = outcomes.remove(&schedule.id).unwrap_or_default();
            if let Some(failure) = &failure {
                tracing::warn!(schedule = %schedule.id, failure, "a schedule could not enqueue its job");
            }
            Advance { id: schedule.id, next_at: firing.next, last_at, failure }
        })
        .collect();
    schedules::advance(transaction, &advances).await?;
    Ok(after)
}

/// The live jobs that a new firing of their schedule replaces.
fn replaced(due: &[Schedule], firings: &[Firing], live: &[(ScheduleId, JobId)]) -> Vec<(ScheduleId, JobId)> {
    let cancelling: HashSet<ScheduleId> = due
        .iter()
        .zip(firings)
        .filter(|(_, firing)| firing.cancels)
        .map(|(schedule, _)| schedule.id)
        .collect();
    live.iter().filter(|(schedule, _)| cancelling.contains(schedule)).copied().collect()
}

/// The result of one schedule's firings.
#[derive(Debug, Default)]
struct FiringResult {
    last_at: Option<Time>,
    failure: Option<String>,
}

impl FiringResult {
    /// The last firing decides what the schedule reports.
    fn note(&mut self, due: Time, result: &SubmitResult) {
        match result {
            Ok(_) => (self.last_at, self.failure) = (Some(due), None),
            Err(StepError::Refused(refusals)) => self.failure = Some(told(refusals)),
            Err(StepError::Store(error)) => self.failure = Some(error.to_string()),
        }
    }
}

/// Joins refusals, for example `input.user.age: is too small; queue: ...`.
fn told(refusals: &[Refusal]) -> String {
    let sentence = |refusal: &Refusal| match refusal.path.as_slice() {
        [] => refusal.message.clone(),
        path => format!("{}: {}", path.join("."), refusal.message),
    };
    refusals.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

/// The job request of every firing, or why there is none.
fn request_of(context: &SubmitContext, schedule: &Schedule) -> Result<JobRequest, String> {
    let template = &schedule.plan.template;
    let kept_secret = secrets_of(&context.keyring, schedule)?;
    let policy = match &template.policy {
        Some(policy) => Some(
            serde_json::from_value::<PolicyPatch>(policy.clone())
                .map_err(|error| format!("The stored policy cannot be read: {error}."))?,
        ),
        None => None,
    };
    let by = Some(By::schedule(&schedule.plan.name));
    let mut request = JobRequest { policy, by, ..template.request.clone() };
    if let Some(input) = &mut request.input {
        kept_secret.put_back(input);
    }
    Ok(JobRequest { kept_secret, ..request })
}

/// The decrypted secret inputs of a schedule, or why they cannot be decrypted.
pub(crate) fn secrets_of(keyring: &Keyring, schedule: &Schedule) -> Result<SecretInputs, String> {
    let Some(sealed) = &schedule.plan.template.input_sealed else { return Ok(SecretInputs::default()) };
    let opened = keyring.open(Owner::ScheduleInput(schedule.id), sealed);
    let opened =
        opened.map_err(|_| "The secret inputs cannot be decrypted with the keys of this process.")?;
    SecretInputs::from_text(&opened).map_err(|error| error.to_string())
}
