//! The GraphQL type `Waiting`: the one exact reason why a job is not running.
//!
//! [`reason`] decides from the job's record and the gate that blocks it, which
//! `callboard::steps::limits::explain` finds by the rules of the claim.

use std::sync::Arc;

use async_graphql::{Context, Enum, Result, SimpleObject};
use callboard::{
    clock::written,
    ids::JobId,
    job::JobState,
    limit::{GateKey, explain, gate::Block},
    steps::limits::explain::{Obstacle, PLACE_MAX},
    store::jobs::records::JobRecord,
};

use super::{JobContext, object};
use crate::graphql::{
    command::Command,
    profile::Profile,
    proxy::Proxy,
    queue::{self, QueueId},
    roots::Node,
    scalars::DateTime,
    service::Service,
};

/// Why a job is not running.
#[derive(Debug, SimpleObject)]
pub struct Waiting {
    /// The reason, for programs.
    pub reason: WaitReason,
    /// One sentence for people that names what blocks the job.
    pub explanation: String,
    /// For NEXT_IN_LINE, the position in the queue: 1 is next. Exact up to 1000. Null beyond that,
    /// while the job is being woken, and for every other reason.
    pub position: Option<i32>,
    /// When the reason ends, if a time is known.
    pub until: Option<DateTime>,
    /// The object that blocks the job. For DEPENDENCY the first job that it waits for, for
    /// PROFILE_BUSY the job that runs on the profile, for QUEUE_PAUSED the queue, for PROXY_DOWN
    /// the proxy. For RATE_LIMIT, CONCURRENCY and SERVICE_SUSPENDED the owner of the limit: a
    /// service, proxy, command, profile or queue. Null for every other reason.
    pub blocker: Option<Node>,
}

/// Reasons why a job is not running. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum WaitReason {
    /// The job's start time has not come.
    RunAt,
    /// An attempt failed, and the next one waits for its backoff.
    RetryBackoff,
    /// Jobs that it depends on have not finished.
    Dependency,
    /// A rate limit or cap of its command, service, proxy or profile is exhausted, or a service
    /// asked for no more requests.
    RateLimit,
    /// The concurrency limit of its command, queue, service or proxy is reached.
    Concurrency,
    /// Another job runs on its profile. A profile is never open in two browsers.
    ProfileBusy,
    /// Its proxy, or every proxy of its profile, could not be reached and is cooling down.
    ProxyDown,
    /// A service that it uses is suspended until serviceResume.
    ServiceSuspended,
    /// Its queue is paused.
    QueuePaused,
    /// No active worker serves its queue.
    NoWorker,
    /// It waits only for the jobs ahead of it in its queue.
    NextInLine,
}

impl WaitReason {
    /// What a person can do about it. Empty where nothing is needed.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::RunAt | Self::RetryBackoff => "jobRunNow starts it now.",
            // The refusal says it.
            Self::Dependency | Self::NextInLine => "",
            Self::RateLimit => "Wait, or have an ADMIN raise the limit.",
            Self::Concurrency => {
                "Wait for a job that runs there, cancel one, or have an ADMIN raise the limit."
            }
            Self::ProfileBusy => "Wait for that job, or cancel it.",
            Self::ProxyDown => "Wait, or have an ADMIN check the proxy with proxyCheck.",
            Self::ServiceSuspended => "An ADMIN resumes the service with serviceResume.",
            Self::QueuePaused => "An ADMIN resumes the queue with queueResume.",
            Self::NoWorker => "Start a worker for this queue.",
        }
    }
}

/// What the reason depends on in addition to the record.
#[derive(Debug, Clone, Default)]
struct Surroundings {
    /// The gate that blocks the job, if any.
    obstacle: Option<Arc<Obstacle>>,
    /// The first job that it waits for, and the number of unfinished dependencies.
    waits_for: Option<(JobId, i64)>,
    /// Whether the queue is paused.
    is_paused: bool,
    /// Whether an active worker serves the queue.
    is_served: bool,
}

/// Returns the reason, or `None` for a job that is running or finished.
fn reason(job: &JobRecord, surroundings: &Surroundings) -> Option<WaitReason> {
    match (job.state, surroundings) {
        (JobState::Blocked, _) => Some(WaitReason::Dependency),
        (JobState::Scheduled, _) if job.is_retry => Some(WaitReason::RetryBackoff),
        (JobState::Scheduled, _) => Some(WaitReason::RunAt),
        (JobState::Queued, Surroundings { is_paused: true, .. }) => Some(WaitReason::QueuePaused),
        (JobState::Queued, Surroundings { obstacle: Some(obstacle), .. }) => Some(at_gate(obstacle)),
        // A parked job whose gate has capacity again is being woken.
        (JobState::Queued, Surroundings { is_served: true, .. }) => Some(WaitReason::NextInLine),
        (JobState::Queued, Surroundings { is_served: false, .. }) => Some(WaitReason::NoWorker),
        (JobState::Running | JobState::Succeeded | JobState::Failed | JobState::Cancelled, _) => None,
    }
}

/// The reason for a job that this gate blocks.
fn at_gate(obstacle: &Obstacle) -> WaitReason {
    match (&obstacle.block, &obstacle.at.key) {
        (Block::Suspended { .. }, _) => WaitReason::ServiceSuspended,
        (Block::Capped { .. }, _) => WaitReason::RateLimit,
        (Block::RetryAfter { .. }, GateKey::Proxy(_)) => WaitReason::ProxyDown,
        (_, GateKey::Profile(_)) => WaitReason::ProfileBusy,
        (Block::NoSlots { .. }, _) => WaitReason::Concurrency,
        // Jobs ahead at this gate wait for a rate or a slot. At a gate with both, it is the rate
        // that makes them queue.
        (Block::BehindWaiters, _) if obstacle.at.limits.rate_limits.is_empty() => WaitReason::Concurrency,
        (
            Block::Rate { .. }
            | Block::QuotaExhausted { .. }
            | Block::RetryAfter { .. }
            | Block::BehindWaiters,
            _,
        ) => WaitReason::RateLimit,
    }
}

impl Waiting {
    /// Returns why this job waits, as of now. Batched.
    pub(super) async fn of(ctx: &Context<'_>, job: &JobRecord) -> Result<Option<Self>> {
        let surroundings = load_surroundings(ctx, job).await?;
        let Some(reason) = reason(job, &surroundings) else { return Ok(None) };
        let nothing = |explanation| Self { reason, explanation, position: None, until: None, blocker: None };
        let until = |explanation| Self { until: Some(DateTime(job.run_at)), ..nothing(explanation) };
        Ok(Some(match reason {
            WaitReason::RunAt => until(format!("The job is scheduled to start at {}.", written(job.run_at))),
            WaitReason::RetryBackoff => until(format!(
                "Attempt {} failed. The next attempt starts at {}.",
                job.attempt,
                written(job.run_at)
            )),
            WaitReason::Dependency => {
                let blocker = match surroundings.waits_for {
                    Some((first, _)) => object::load(ctx, first).await?.map(Node::Job),
                    None => None,
                };
                Self { blocker, ..nothing(needs(surroundings.waits_for)) }
            }
            WaitReason::QueuePaused => {
                let blocker = queue::load(ctx, QueueId::of(&job.queue)).await?.map(Node::Queue);
                Self { blocker, ..nothing(format!("The queue {} is paused.", job.queue)) }
            }
            WaitReason::RateLimit
            | WaitReason::Concurrency
            | WaitReason::ProfileBusy
            | WaitReason::ProxyDown
            | WaitReason::ServiceSuspended => match &surroundings.obstacle {
                Some(obstacle) => Self::before(ctx, reason, obstacle).await?,
                None => return Ok(None),
            },
            WaitReason::NoWorker => nothing(format!("No active worker serves the queue {}.", job.queue)),
            WaitReason::NextInLine => {
                let readers = &JobContext::of(ctx)?.readers;
                let place = readers.place(job.id).await?;
                let position =
                    place.filter(|place| *place <= PLACE_MAX).and_then(|place| i32::try_from(place).ok());
                // Either it is parked, or it is no longer as it was read.
                let is_gone = place.is_none()
                    && readers.record(job.id).await?.is_none_or(|now| now.state != JobState::Queued);
                let explanation = if is_gone { has_left(&job.queue) } else { in_line(&job.queue, place) };
                Self { position, ..nothing(explanation) }
            }
        }))
    }

    /// Explains a job that is blocked at a gate.
    async fn before(ctx: &Context<'_>, reason: WaitReason, obstacle: &Obstacle) -> Result<Self> {
        let Obstacle { at, block, by } = obstacle;
        let (name, owner) = match &at.key {
            GateKey::Queue(name) => {
                (name.clone(), queue::load(ctx, QueueId::of(name)).await?.map(Node::Queue))
            }
            GateKey::Service(id) => (at.name.to_string(), Service::load(ctx, *id).await?.map(Node::Service)),
            GateKey::Proxy(id) => (at.name.to_string(), Proxy::load(ctx, *id).await?.map(Node::Proxy)),
            GateKey::Command(id) => match Command::load(ctx, *id).await? {
                Some(command) => (command.name(ctx).await?.to_owned(), Some(Node::Command(command))),
                None => (String::new(), None),
            },
            GateKey::Profile(id) => {
                let profile = JobContext::of(ctx)?.readers.profile(*id).await?;
                let holder = match by {
                    _ if matches!(block, Block::Capped { .. }) => {
                        Profile::load(ctx, *id).await?.map(Node::Profile)
                    }
                    Some(by) => object::load(ctx, *by).await?.map(Node::Job),
                    None => None,
                };
                (profile.map(|profile| profile.name.clone()).unwrap_or_default(), holder)
            }
        };
        let by = by.map(|job| job.to_string());
        let explanation = explain(&at.key, &name, block, by.as_deref());
        let until = block.until().map(DateTime);
        Ok(Self { reason, explanation, position: None, until, blocker: owner })
    }
}

/// Explains a position in a queue. A job without one is being woken.
fn in_line(queue: &str, place: Option<i64>) -> String {
    match place {
        None => format!("The job is no longer blocked and is being returned to the queue {queue}."),
        Some(1) => format!("The job is next in the queue {queue} and starts once a worker has a free slot."),
        Some(2) => format!("One job is ahead in the queue {queue}."),
        Some(place) if place <= PLACE_MAX => {
            format!("{} jobs are ahead in the queue {queue}.", place - 1)
        }
        Some(_) => format!("{PLACE_MAX} or more jobs are ahead in the queue {queue}."),
    }
}

/// Explains a job that has started or ended since it was read.
fn has_left(queue: &str) -> String {
    format!("The job has just left the queue {queue}: a worker took it, or it was cancelled.")
}

fn needs(waits_for: Option<(JobId, i64)>) -> String {
    match waits_for {
        Some((first, 1)) => format!("The job depends on {first}, which has not finished yet."),
        Some((first, 2)) => {
            format!("The job depends on {first} and one other job, which have not finished yet.")
        }
        Some((first, count)) => {
            let others = if count >= 1000 { "999 or more".to_owned() } else { (count - 1).to_string() };
            format!("The job depends on {first} and {others} other jobs, which have not finished yet.")
        }
        None => "The jobs it depends on have finished. It is about to be unblocked or cancelled.".to_owned(),
    }
}

async fn load_surroundings(ctx: &Context<'_>, job: &JobRecord) -> Result<Surroundings> {
    let readers = &JobContext::of(ctx)?.readers;
    if job.state == JobState::Blocked {
        let blocked = readers.blocked(job.id).await?;
        let waits_for = blocked.and_then(|blocked| Some((blocked.waits_for?, blocked.open)));
        return Ok(Surroundings { waits_for, ..Surroundings::default() });
    }
    if job.state != JobState::Queued {
        return Ok(Surroundings::default());
    }
    let is_paused = readers.paused(job.queue.clone()).await?.is_some();
    let is_served = readers.slots(job.queue.clone()).await?.is_some();
    let obstacle = readers.obstacle(job.id).await?;
    Ok(Surroundings { obstacle, is_paused, is_served, ..Surroundings::default() })
}

#[cfg(test)]
mod tests {
    use callboard::{clock, command_kind::Kind, job::Progress, limit::gate::Demand, policy::Policy};
    use uuid::Uuid;

    use super::*;

    fn job(state: JobState, is_retry: bool) -> JobRecord {
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
            schedule: None,
            fairness_key: None,
            idempotency_key: None,
            created_by: None,
            created_at: clock::now(),
            state,
            version: 1,
            attempt: 0,
            counted: 0,
            started_at: None,
            finished_at: None,
            queued_at: None,
            is_retry,
            running: None,
            progress: Progress { fraction: None, message: None },
            failure: None,
            log_lines: 0,
        }
    }

    fn obstacle(key: GateKey, block: Block) -> Arc<Obstacle> {
        let at = Demand { key, name: "".into(), limits: Arc::default() };
        Arc::new(Obstacle { at, block, by: None })
    }

    #[test]
    fn every_waiting_job_has_one_reason_and_other_jobs_have_none() {
        let id = Uuid::from_u128(2);
        let busy = || obstacle(GateKey::Profile(id.into()), Block::NoSlots { max: 1 });
        let full = || obstacle(GateKey::Service(id.into()), Block::NoSlots { max: 3 });
        let rate = || {
            let block = Block::Rate { limit: "x".into(), until: clock::now() };
            obstacle(GateKey::Command(id.into()), block)
        };
        let suspended = || obstacle(GateKey::Service(id.into()), Block::Suspended { reason: "x".into() });
        let refusing = || Block::RetryAfter { until: clock::now() };
        let down = || obstacle(GateKey::Proxy(id.into()), refusing());
        let refused = || obstacle(GateKey::Service(id.into()), refusing());
        for (state, is_retry, obstacle, is_served, expected) in [
            (JobState::Blocked, false, None, true, Some(WaitReason::Dependency)),
            (JobState::Scheduled, false, None, false, Some(WaitReason::RunAt)),
            (JobState::Scheduled, true, None, true, Some(WaitReason::RetryBackoff)),
            (JobState::Queued, false, Some(busy()), true, Some(WaitReason::ProfileBusy)),
            (JobState::Queued, false, Some(busy()), false, Some(WaitReason::ProfileBusy)),
            (JobState::Queued, false, Some(full()), true, Some(WaitReason::Concurrency)),
            (JobState::Queued, false, Some(rate()), true, Some(WaitReason::RateLimit)),
            (JobState::Queued, false, Some(refused()), true, Some(WaitReason::RateLimit)),
            (JobState::Queued, false, Some(suspended()), true, Some(WaitReason::ServiceSuspended)),
            (JobState::Queued, false, Some(down()), true, Some(WaitReason::ProxyDown)),
            (JobState::Queued, false, None, false, Some(WaitReason::NoWorker)),
            (JobState::Queued, false, None, true, Some(WaitReason::NextInLine)),
            (JobState::Running, false, None, false, None),
            (JobState::Succeeded, false, None, false, None),
            (JobState::Failed, false, None, false, None),
            (JobState::Cancelled, false, None, false, None),
        ] {
            let job = job(state, is_retry);
            let surroundings = Surroundings { obstacle, is_served, ..Surroundings::default() };
            assert_eq!(reason(&job, &surroundings), expected, "{state:?} {is_retry} {is_served}");
            let found = reason(&job, &Surroundings { is_paused: true, ..surroundings });
            let expected = if state == JobState::Queued { Some(WaitReason::QueuePaused) } else { expected };
            assert_eq!(found, expected, "{state:?} {is_retry} {is_served}, in a paused queue");
        }
    }
}
