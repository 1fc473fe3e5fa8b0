//! Fire schedules: enqueues the jobs of due schedules and sets their next times.
//!
//! A duty of every worker. The jobs are prepared first, while nothing is locked, because that may
//! take longer than a transaction may be idle. Then they are written in one transaction with the
//! next times of their schedules, except for schedules that have changed meanwhile or that another
//! worker has locked. A time fires once: the schedule moves on in the transaction that inserts the
//! job, and a schedule has at most one job for each time. If the process dies right after,
//! everything is committed or nothing is, and the next round goes on.

use std::collections::{HashMap, HashSet};

use tokio::{
    task::yield_now,
    time::{Duration, Instant},
};

use super::{
    context::SubmitContext,
    prepare::{Prefetched, Prepared, Preparing},
    submit::SubmitResult,
    write::write_within,
};
use crate::{
    audit::By,
    clock::Time,
    compose::SecretInputs,
    evaluator::{Failure, Purpose},
    ids::{JobId, ScheduleId},
    job::JobRequest,
    patch::PolicyPatch,
    refusal::Refusal,
    schedule::Firing,
    secret::{Keyring, Owner},
    steps::{After, Done, StepError, finish::cancel::cancel_within},
    store::{
        Connection, StoreError, Transaction,
        catalogue::schedules::{self, Advance, Schedule},
        commit,
        jobs::live,
        queues::backlog,
    },
};

/// Most schedules of one transaction.
const BATCH_MAX: i64 = 100;
/// When this many jobs are prepared, they are written before others are prepared: another worker
/// may fire those meanwhile, and waits for the lanes of these until they are written.
const JOBS_MAX: usize = 200;
/// Longest time in which jobs are prepared before what is light gets its turn again.
const PREPARING_MAX: Duration = Duration::from_secs(1);
/// Time until schedules are looked at again of which none could be prepared.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// The reason given to jobs that are replaced.
const REPLACED: &str = "Replaced by the next run of its schedule.";

/// Fires due schedules. Returns the time until the next one is due: zero when there is more to do,
/// `None` when no schedule has a next time. What was written before an error is to be announced,
/// too.
///
/// Schedules whose jobs are light come first, so that they do not wait for the others. A schedule
/// whose job could not be evaluated for now stays due.
pub async fn fire_schedules(context: &SubmitContext) -> Done<Result<Option<Duration>, StoreError>> {
    let mut after = After::default();
    let next = fire(context, &mut after).await;
    Done::new(next, after)
}

async fn fire(context: &SubmitContext, after: &mut After) -> Result<Option<Duration>, StoreError> {
    let mut heavy = Vec::new();
    loop {
        let known = heavy.len();
        let mut connection = context.store.connection().await?;
        let (due, now) = schedules::due(&mut connection, BATCH_MAX, &heavy).await?;
        drop(connection);
        let prepared = Box::pin(prepare(context, Purpose::Light, due, now)).await?;
        Box::pin(write(context, prepared.ready, after)).await?;
        heavy.extend(prepared.unavailable);
        if heavy.len() == known {
            break;
        }
    }
    let is_stuck = !heavy.is_empty() && !fire_heavy(context, heavy, after).await?;
    let next = schedules::until_next(&mut *context.store.connection().await?).await?;
    Ok(if is_stuck { next.map(|next| next.max(RETRY_AFTER)) } else { next })
}

/// Fires schedules whose jobs are not light, each by itself. Returns whether any has moved on.
async fn fire_heavy(
    context: &SubmitContext,
    mut due: Vec<ScheduleId>,
    after: &mut After,
) -> Result<bool, StoreError> {
    let (until, mut has_moved) = (Instant::now() + PREPARING_MAX, false);
    // From another one on each time, so that those that fail do not hold up the rest.
    let now = backlog::clock(&mut *context.store.connection().await?).await?;
    let first = now.timestamp_millis().unsigned_abs() % (due.len() as u64).max(1);
    due.rotate_left(first as usize);
    for (index, id) in due.into_iter().enumerate() {
        if index > 0 && Instant::now() > until {
            break;
        }
        let mut connection = context.store.connection().await?;
        let schedules = schedules::load(&mut connection, &[id]).await?;
        let now = backlog::clock(&mut connection).await?;
        drop(connection);
        let is_due = |schedule: &Schedule| schedule.next_at.is_some_and(|next| next <= now);
        let due = schedules.into_iter().filter(is_due).collect();
        let prepared = Box::pin(prepare(context, Purpose::Fire, due, now)).await?;
        has_moved |= Box::pin(write(context, prepared.ready, after)).await? > 0;
    }
    Ok(has_moved)
}

/// A schedule with its jobs.
#[derive(Debug, Clone)]
struct Ready {
    schedule: Schedule,
    now: Time,
    /// Everything that was due.
    planned: Firing,
    /// The part of it for which there are jobs.
    firing: Firing,
    /// For each time its job. Each is a submission of its own, so that one that is refused fails no
    /// other.
    jobs: Vec<Prepared>,
    /// Why there are none.
    failure: Option<String>,
}

/// Due schedules after their jobs were prepared.
#[derive(Debug, Default)]
struct AllPrepared {
    ready: Vec<Ready>,
    /// Those whose jobs could not be evaluated for now.
    unavailable: Vec<ScheduleId>,
}

/// Prepares the jobs of due schedules.
async fn prepare(
    context: &SubmitContext,
    purpose: Purpose<'_>,
    due: Vec<Schedule>,
    now: Time,
) -> Result<AllPrepared, StoreError> {
    let mut all = AllPrepared::default();
    if due.is_empty() {
        return Ok(all);
    }
    let mut connection = context.store.connection().await?;
    let (_live, planned) = plan(&mut connection, &due, now).await?;
    let requests: Vec<Result<JobRequest, String>> =
        due.iter().map(|schedule| request_of(context, schedule)).collect();
    let good: Vec<&[JobRequest]> = requests.iter().flatten().map(std::slice::from_ref).collect();
    let prefetched = Prefetched::load(context, &mut connection, &good).await?;
    drop(connection);
    let preparing = Preparing { context, prefetched: &prefetched, is_dispatched: false, until: None };
    let until = Instant::now() + PREPARING_MAX;
    let mut count = 0;
    for ((schedule, planned), request) in due.into_iter().zip(planned).zip(requests) {
        if count >= JOBS_MAX {
            break;
        }
        let mut ready =
            Ready { schedule, now, firing: planned.clone(), planned, jobs: Vec::new(), failure: None };
        match request {
            Ok(request) => {
                if !ready.prepare(&preparing, purpose, request, until).await {
                    all.unavailable.push(ready.schedule.id);
                    continue;
                }
            }
            Err(failure) => {
                ready.firing.due.clear();
                ready.failure = Some(failure);
            }
        }
        count += ready.jobs.len();
        all.ready.push(ready);
    }
    Ok(all)
}

/// The live jobs of schedules, and what is due of each.
async fn plan(
    connection: &mut Connection,
    due: &[Schedule],
    now: Time,
) -> Result<(Vec<(ScheduleId, JobId)>, Vec<Firing>), StoreError> {
    let ids: Vec<ScheduleId> = due.iter().map(|schedule| schedule.id).collect();
    let live = schedules::live_jobs(connection, &ids).await?;
    let busy: HashSet<ScheduleId> = live.iter().map(|(schedule, _)| *schedule).collect();
    let firing = |schedule: &Schedule| {
        let from = schedule.next_at.unwrap_or(now);
        schedule.plan.timing.fire(from, now, busy.contains(&schedule.id))
    };
    Ok((live, due.iter().map(firing).collect()))
}

impl Ready {
    /// Prepares the job of each time, or of the first ones if the rest must wait. Returns whether
    /// there are any, or none is due.
    async fn prepare(
        &mut self,
        preparing: &Preparing<'_>,
        purpose: Purpose<'_>,
        request: JobRequest,
        until: Instant,
    ) -> bool {
        let mut turn = preparing.context.evaluator.turn(purpose);
        for (index, &at) in self.planned.due.iter().enumerate() {
            let request = JobRequest { schedule: Some((self.schedule.id, Some(at))), ..request.clone() };
            let is_late = index > 0 && Instant::now() > until;
            // What is light does not wait for anything by itself.
            yield_now().await;
            let job = if is_late { None } else { Some(preparing.submission(&[request], &mut turn).await) };
            match job {
                Some(job @ (Ok(_) | Err(Failure::Refused(_)))) => self.jobs.push(job),
                Some(Err(Failure::Unavailable(why))) if index == 0 => {
                    tracing::warn!(schedule = %self.schedule.id, %why, "the job of a schedule could not be evaluated, and the schedule stays due");
                    return false;
                }
                Some(Err(Failure::Unavailable(_))) | None => {
                    self.firing.due.truncate(index);
                    self.firing.next = Some(at);
                    return true;
                }
            }
        }
        true
    }
}

/// Writes the jobs of schedules and their next times. Returns how many have moved on: not those
/// that have changed since, or that somebody else has locked.
async fn write(context: &SubmitContext, ready: Vec<Ready>, after: &mut After) -> Result<usize, StoreError> {
    if ready.is_empty() {
        return Ok(0);
    }
    match write_together(context, &ready).await {
        Ok(Done { value: moved, after: written }) => {
            after.merge(written);
            Ok(moved)
        }
        Err(StoreError::Constraint { name, .. }) if ready.len() == 1 => {
            give_up(context, &ready[0].schedule, &name).await?;
            Ok(1)
        }
        // One job cannot be written. Firing each schedule alone finds it without holding up the
        // rest.
        Err(StoreError::Constraint { name, .. }) => {
            tracing::warn!(constraint = name, "could not fire schedules together, firing each alone");
            let mut moved = 0;
            for one in ready {
                moved += Box::pin(write(context, vec![one], after)).await?;
            }
            Ok(moved)
        }
        Err(error) => Err(error),
    }
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

/// Returns how many of them have moved on.
async fn write_together(context: &SubmitContext, ready: &[Ready]) -> Result<Done<usize>, StoreError> {
    let mut transaction = context.store.begin().await?;
    let (mut live, mut unchanged) = (Vec::new(), Vec::new());
    let ids: Vec<ScheduleId> = ready.iter().map(|ready| ready.schedule.id).collect();
    let locked = schedules::lock_free(&mut transaction, &ids).await?;
    let same = |locked: &&Schedule, ready: &Ready| {
        let before = &ready.schedule;
        (locked.id, locked.version, locked.next_at) == (before.id, before.version, before.next_at)
    };
    if let Some(now) = ready.first().map(|ready| ready.now) {
        let planned;
        (live, planned) = plan(&mut transaction, &locked, now).await?;
        for (locked, planned) in locked.iter().zip(planned) {
            // Without a change since its jobs were prepared. Otherwise it is still due.
            unchanged.extend(ready.iter().filter(|ready| same(&locked, ready) && ready.planned == planned));
        }
    }
    let after = write_locked(&mut transaction, &unchanged, &live).await?;
    commit(transaction).await?;
    Ok(Done::new(unchanged.len(), after))
}

async fn write_locked(
    transaction: &mut Transaction,
    ready: &[&Ready],
    live: &[(ScheduleId, JobId)],
) -> Result<After, StoreError> {
    let replaced = replaced(ready, live);
    // Locked before the lanes of the new jobs, in the usual lock order. Cancelled only once it is
    // certain that new jobs replace them.
    let ids: Vec<JobId> = replaced.iter().map(|(_, job)| *job).collect();
    let (_rows, _now) = live::lock(transaction, &ids).await?;
    let times = ready.iter().flat_map(|ready| ready.firing.due.iter().map(|at| (ready.schedule.id, *at)));
    let times: Vec<(ScheduleId, Time)> = times.collect();
    let jobs: Vec<Prepared> = ready.iter().flat_map(|ready| ready.jobs.iter().cloned()).collect();
    let Done { value: results, mut after } = write_within(transaction, jobs).await?;
    let mut outcomes: HashMap<ScheduleId, FiringResult> = HashMap::new();
    for ((id, due), result) in times.into_iter().zip(results) {
        outcomes.entry(id).or_default().note(due, &result);
    }
    let has_next = |id| outcomes.get(id).is_some_and(|outcome: &FiringResult| outcome.last_at.is_some());
    let replaced: Vec<JobId> =
        replaced.iter().filter(|(schedule, _)| has_next(schedule)).map(|(_, job)| *job).collect();
    after.merge(cancel_within(transaction, &replaced, Some(REPLACED), &By::worker()).await?);
    let advances: Vec<Advance> = ready
        .iter()
        .map(|ready| {
            let id = ready.schedule.id;
            let FiringResult { last_at, failure } = outcomes.remove(&id).unwrap_or_default();
            let failure = ready.failure.clone().or(failure);
            if let Some(failure) = &failure {
                tracing::warn!(schedule = %id, failure, "a schedule could not enqueue its job");
            }
            Advance { id, next_at: ready.firing.next, last_at, failure }
        })
        .collect();
    schedules::advance(transaction, &advances).await?;
    Ok(after)
}

/// The live jobs that a new firing of their schedule replaces.
fn replaced(ready: &[&Ready], live: &[(ScheduleId, JobId)]) -> Vec<(ScheduleId, JobId)> {
    let cancelling: HashSet<ScheduleId> =
        ready.iter().filter(|ready| ready.firing.cancels).map(|ready| ready.schedule.id).collect();
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
            Err(error @ (StepError::Store(_) | StepError::Evaluator(_))) => {
                self.failure = Some(error.to_string());
            }
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

/// The job request of a firing, or why there is none.
pub(super) fn request_of(context: &SubmitContext, schedule: &Schedule) -> Result<JobRequest, String> {
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
        let _kept = kept_secret.put_back(input);
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
