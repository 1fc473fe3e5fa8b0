//! Why a job is not running: one exact reason, as of now.
//!
//! The reason is decided by [`reason`], from the job's record and what stands in its way; a park itself was decided by
//! the claim that wrote it.

use async_graphql::{Context, Enum, Result, SimpleObject};
use callboard::{
    clock::Time,
    ids::{JobId, ProfileId},
    job::JobState,
    store::{holds::profile_key, records::JobRecord},
};
use chrono::SecondsFormat;

use super::{JobContext, object};
use crate::graphql::{
    queue::{self, QueueId},
    roots::Node,
    scalars::DateTime,
};

/// Why a job is not running.
#[derive(Debug, SimpleObject)]
pub struct Waiting {
    /// The reason, for programs.
    pub reason: WaitReason,
    /// One sentence a person understands, naming what blocks.
    pub explanation: String,
    /// When that ends, if a time is known.
    pub until: Option<DateTime>,
    /// What blocks, if it is something with an id: of DEPENDENCY, the first
    /// job that it waits for; of PROFILE_BUSY, the job that runs on the profile; of QUEUE_PAUSED, the queue.
    pub blocker: Option<Node>,
}

/// Reasons why a job is not running. New ones may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum WaitReason {
    /// Its start time has not come.
    RunAt,
    /// An attempt failed, and the next one waits for its backoff.
    RetryBackoff,
    /// Jobs that it needs have not ended yet.
    Dependency,
    /// Another job runs on its profile; a profile is never open in two browsers.
    ProfileBusy,
    /// Its queue is paused.
    QueuePaused,
    /// No worker that takes jobs serves its queue.
    NoWorker,
    /// Nothing stands in its way but the jobs before it.
    NextInLine,
}

/// What the reason depends on beside the record.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    /// The job that holds what this one is parked on.
    holder: Option<JobId>,
    /// The first job that it waits for, and how many there are.
    waits_for: Option<(JobId, i64)>,
    /// Whether the queue is paused.
    is_paused: bool,
    /// Whether an active worker serves the queue.
    is_served: bool,
}

/// The reason; none for a job that runs or has ended.
fn reason(job: &JobRecord, around: Around) -> Option<WaitReason> {
    match (job.state, around) {
        (JobState::Blocked, _) => Some(WaitReason::Dependency),
        (JobState::Scheduled, _) if job.is_retry => Some(WaitReason::RetryBackoff),
        (JobState::Scheduled, _) => Some(WaitReason::RunAt),
        (JobState::Queued, Around { is_paused: true, .. }) => Some(WaitReason::QueuePaused),
        (JobState::Queued, Around { holder: Some(_), .. }) => Some(WaitReason::ProfileBusy),
        // Parked on what nobody holds any more: it is being woken.
        (JobState::Queued, Around { is_served: true, .. }) => Some(WaitReason::NextInLine),
        (JobState::Queued, Around { is_served: false, .. }) => Some(WaitReason::NoWorker),
        (JobState::Running | JobState::Succeeded | JobState::Failed | JobState::Cancelled, _) => None,
    }
}

impl Waiting {
    /// Why this job waits, with what is known now; batched.
    pub(super) async fn of(ctx: &Context<'_>, job: &JobRecord) -> Result<Option<Self>> {
        let around = look_around(ctx, job).await?;
        let Some(reason) = reason(job, around) else { return Ok(None) };
        let explanation = match (reason, around.holder) {
            (WaitReason::RunAt, _) => format!("It starts at {}.", written(job.run_at)),
            (WaitReason::RetryBackoff, _) => {
                format!("Attempt {} failed; the next one starts at {}.", job.attempt, written(job.run_at))
            }
            (WaitReason::Dependency, _) => match around.waits_for {
                Some((first, 1)) => format!("It needs {first}, which has not ended yet."),
                Some((first, count)) => {
                    let others =
                        if count >= 1000 { "999 or more".to_owned() } else { (count - 1).to_string() };
                    format!("It needs {first} and {others} others, which have not ended yet.")
                }
                None => "What it needs has ended; it is about to be decided on.".to_owned(),
            },
            (WaitReason::ProfileBusy, Some(holder)) => {
                format!("{} is in use by {holder}.", profile_of(ctx, job.profile_id).await?)
            }
            (WaitReason::QueuePaused, _) => format!("The queue {} is paused.", job.queue),
            (WaitReason::NoWorker, _) => format!("No active worker serves the queue {}.", job.queue),
            (WaitReason::NextInLine | WaitReason::ProfileBusy, _) => {
                format!(
                    "It is ready, and runs when the jobs before it in the queue {} leave a slot.",
                    job.queue
                )
            }
        };
        let until = match reason {
            WaitReason::RunAt | WaitReason::RetryBackoff => Some(DateTime(job.run_at)),
            WaitReason::Dependency
            | WaitReason::ProfileBusy
            | WaitReason::QueuePaused
            | WaitReason::NoWorker
            | WaitReason::NextInLine => None,
        };
        let blocker = match (reason, around.holder) {
            (WaitReason::QueuePaused, _) => queue::load(ctx, QueueId::of(&job.queue)).await?.map(Node::Queue),
            (WaitReason::Dependency, _) => match around.waits_for {
                Some((first, _)) => object::load(ctx, first).await?.map(Node::Job),
                None => None,
            },
            (_, Some(holder)) => object::load(ctx, holder).await?.map(Node::Job),
            (_, None) => None,
        };
        Ok(Some(Self { reason, explanation, until, blocker }))
    }
}

async fn look_around(ctx: &Context<'_>, job: &JobRecord) -> Result<Around> {
    let readers = &JobContext::of(ctx)?.readers;
    if job.state == JobState::Blocked {
        let blocked = readers.blocked(job.id).await?;
        let waits_for = blocked.and_then(|blocked| Some((blocked.waits_for?, blocked.open)));
        return Ok(Around { waits_for, ..Around::default() });
    }
    if job.state != JobState::Queued {
        return Ok(Around::default());
    }
    let is_paused = readers.paused(job.queue.clone()).await?.is_some();
    let is_served = readers.served(job.queue.clone()).await?.is_some();
    let holder = match &job.parked_on {
        Some(key) => readers.holder(key.clone()).await?,
        None => None,
    };
    Ok(Around { holder, is_paused, is_served, ..Around::default() })
}

async fn profile_of(ctx: &Context<'_>, id: Option<ProfileId>) -> Result<String> {
    let Some(id) = id else { return Ok("Its profile".into()) };
    let profile = JobContext::of(ctx)?.readers.profile(id).await?;
    Ok(profile.map_or_else(
        || format!("Its profile {}", profile_key(id)),
        |profile| format!("Its profile {}", profile.name),
    ))
}

fn written(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use callboard::{clock, command::Kind, ids::JobId, job::Progress, policy::Policy};
    use uuid::Uuid;

    use super::*;

    fn job(state: JobState, is_retry: bool, parked_on: Option<&str>) -> JobRecord {
        let id = Uuid::from_u128(1);
        JobRecord {
            id: id.into(),
            version_id: id.into(),
            command_id: id.into(),
            kind: Kind::Program,
            queue: "default".into(),
            priority: 4,
            profile_id: None,
            proxy_id: None,
            service_ids: Vec::new(),
            labels: Vec::new(),
            policy: Policy::default(),
            run_at: clock::now(),
            idempotency_key: None,
            created_at: clock::now(),
            state,
            version: 1,
            attempt: 0,
            counted: 0,
            started_at: None,
            finished_at: None,
            queued_at: None,
            is_retry,
            parked_on: parked_on.map(str::to_owned),
            running: None,
            progress: Progress { fraction: None, message: None },
            failure: None,
            log_lines: 0,
        }
    }

    #[test]
    fn every_waiting_job_has_one_reason_and_no_other_has_any() {
        let by = Some(JobId::from(Uuid::from_u128(2)));
        for (state, is_retry, holder, is_served, expected) in [
            (JobState::Blocked, false, None, true, Some(WaitReason::Dependency)),
            (JobState::Scheduled, false, None, false, Some(WaitReason::RunAt)),
            (JobState::Scheduled, true, None, true, Some(WaitReason::RetryBackoff)),
            (JobState::Queued, false, by, true, Some(WaitReason::ProfileBusy)),
            (JobState::Queued, false, by, false, Some(WaitReason::ProfileBusy)),
            (JobState::Queued, false, None, false, Some(WaitReason::NoWorker)),
            (JobState::Queued, false, None, true, Some(WaitReason::NextInLine)),
            (JobState::Running, false, None, false, None),
            (JobState::Succeeded, false, None, false, None),
            (JobState::Failed, false, None, false, None),
            (JobState::Cancelled, false, None, false, None),
        ] {
            let parked_on = holder.map(|_| "profile:x");
            let found =
                reason(&job(state, is_retry, parked_on), Around { holder, is_served, ..Around::default() });
            assert_eq!(found, expected, "{state:?} {is_retry} {is_served}");
            let found = reason(
                &job(state, is_retry, parked_on),
                Around { holder, is_paused: true, is_served, waits_for: None },
            );
            let expected = if state == JobState::Queued { Some(WaitReason::QueuePaused) } else { expected };
            assert_eq!(found, expected, "{state:?} {is_retry} {is_served}, in a paused queue");
        }
    }
}
