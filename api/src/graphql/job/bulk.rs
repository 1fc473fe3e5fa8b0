//! Changing many jobs by a filter: jobsCancel and jobsRetry, in batches that each commit for themselves.
//!
//! A bulk mutation reads ids page by page and hands each page to the core's step, which decides under
//! the rows' locks. What a batch has done stays done when a later one fails; the same call again does the rest.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use callboard::{
    ids::JobId,
    job::{JobState, state::Ending},
    refusal::{Refusal, RefusalCode},
    steps::{
        After,
        finish::{
            cancel::{CANCEL_BATCH_MAX, cancel_many},
            retry::{RETRY_BATCH_MAX, retry_many},
        },
    },
    store::{
        Store, StoreError,
        jobs::pages::{self, JobOrder, JobPageRequest, Place},
    },
};

use super::{JobContext, JobFilter, mutation::check_reason};
use crate::{
    auth::{Caller, Role},
    graphql::user_error::{UserError, user_errors},
};

/// Most jobs that one call changes, and what it changes when it does not say.
const LIMIT_MAX: i32 = 10_000;

/// Which jobs to cancel.
#[derive(Debug, InputObject)]
pub struct JobsCancelInput {
    /// Which jobs. Those that have ended are counted as skipped.
    pub filter: JobFilter,
    /// Most jobs to cancel, 1 to 10,000; the newest first. Null means 10,000.
    #[graphql(default = 10_000)]
    pub limit: Option<i32>,
    /// Counts only. Null means false.
    #[graphql(default_with = "Some(false)")]
    pub is_dry_run: Option<bool>,
    /// Why, for their history; at most 500 characters.
    pub reason: Option<String>,
}

/// Which jobs to run again.
#[derive(Debug, InputObject)]
pub struct JobsRetryInput {
    /// Which jobs. Those that have not ended are counted as skipped. So are those that SUCCEEDED, unless `states` names
    /// them: their work is done.
    pub filter: JobFilter,
    /// Most jobs to run again, 1 to 10,000; the oldest first, because others may need them. Null means 10,000.
    #[graphql(default = 10_000)]
    pub limit: Option<i32>,
    /// Counts only. Null means false.
    #[graphql(default_with = "Some(false)")]
    pub is_dry_run: Option<bool>,
}

/// The answer to a change of many jobs.
#[derive(Debug, Default, SimpleObject)]
pub struct BulkPayload {
    /// How many jobs were changed; with `isDryRun`, how many would be. When it is the limit, there may be more.
    pub affected_count: i32,
    /// How many jobs matched and were not in a state that allows it; exact up to 10,000, which then means that many or
    /// more.
    pub skipped_count: i32,
    /// Why nothing was changed; empty when the call was carried out.
    pub user_errors: Vec<UserError>,
}

/// The mutations of many jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct BulkMutation;

#[Object]
impl BulkMutation {
    /// Cancels all jobs of a filter that have not ended: those that have not started end at once, running ones as soon as
    /// their processes are gone. In batches: after an error some may be cancelled, and the same call again does the rest.
    /// Needs an OPERATOR key.
    async fn jobs_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which jobs, and why.")] input: JobsCancelInput,
    ) -> Result<BulkPayload> {
        Caller::require(ctx, Role::Operator)?;
        let reason = match check_reason(input.reason) {
            Ok(reason) => reason,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let filter = Split::of(input.filter.try_into()?, |state| Ending::of(state).is_none());
        let change = Change::Cancel { reason };
        carry_out(ctx, filter, input.limit, input.is_dry_run.unwrap_or_default(), &change).await
    }

    /// Runs all finished jobs of a filter again, under the same ids, with fresh attempts; their history stays. A job whose
    /// profile, proxy or service has been deleted since is skipped, and one that needs a job which did not succeed. In
    /// batches: after an error some may be revived, and the same call again does the rest. Needs an OPERATOR key.
    async fn jobs_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which jobs.")] input: JobsRetryInput,
    ) -> Result<BulkPayload> {
        Caller::require(ctx, Role::Operator)?;
        let filter: pages::JobFilter = input.filter.try_into()?;
        let is_named = filter.states.is_some();
        let filter = Split::of(filter, |state| match Ending::of(state) {
            Some(Ending::Failed | Ending::Cancelled) => true,
            Some(Ending::Succeeded) => is_named,
            None => false,
        });
        carry_out(ctx, filter, input.limit, input.is_dry_run.unwrap_or_default(), &Change::Retry).await
    }
}

/// A filter in two: the jobs that a change can be made to, and those that it skips.
struct Split {
    allowed: pages::JobFilter,
    skipped: pages::JobFilter,
}

impl Split {
    fn of(filter: pages::JobFilter, may: impl Fn(JobState) -> bool) -> Self {
        let states = filter.states.clone().unwrap_or_else(|| JobState::ALL.to_vec());
        let (allowed, skipped) = states.into_iter().partition(|state| may(*state));
        Self {
            allowed: pages::JobFilter { states: Some(allowed), ..filter.clone() },
            skipped: pages::JobFilter { states: Some(skipped), ..filter },
        }
    }
}

/// What is done to every job.
enum Change {
    Cancel { reason: Option<String> },
    Retry,
}

impl Change {
    const fn batch_max(&self) -> usize {
        match self {
            Self::Cancel { .. } => CANCEL_BATCH_MAX,
            Self::Retry => RETRY_BATCH_MAX,
        }
    }

    /// A job that needs others was made after them, and can only be revived when they are.
    const fn is_newest_first(&self) -> bool {
        match self {
            Self::Cancel { .. } => true,
            Self::Retry => false,
        }
    }

    async fn make(&self, store: &Store, jobs: &[JobId]) -> Result<After, StoreError> {
        match self {
            Self::Cancel { reason } => cancel_many(store, jobs, reason.as_deref()).await,
            Self::Retry => retry_many(store, jobs).await,
        }
    }
}

async fn carry_out(
    ctx: &Context<'_>,
    filter: Split,
    limit: Option<i32>,
    is_dry_run: bool,
    change: &Change,
) -> Result<BulkPayload> {
    let limit = limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let message = format!("must be 1 to {LIMIT_MAX}; call again for more");
        return Ok(refused(Refusal::new(RefusalCode::Invalid, "limit", message)));
    }
    let context = JobContext::of(ctx)?;
    let store = &context.desk.store;
    let mut connection = store.read().await?;
    let mut skipped = pages::count(&mut connection, &filter.skipped).await?;
    if is_dry_run {
        let affected = pages::count(&mut connection, &filter.allowed).await?.min(limit.into());
        return Ok(payload(affected, skipped));
    }
    drop(connection);

    let (mut affected, mut after) = (0, None);
    loop {
        let room = (i64::from(limit) - affected).min(change.batch_max() as i64);
        let request = JobPageRequest {
            filter: filter.allowed.clone(),
            order: JobOrder::Created,
            is_descending: change.is_newest_first(),
            after,
            before: None,
            is_from_end: false,
            rows: room,
        };
        let places = pages::page(&mut *store.read().await?, &request).await?;
        let Some(last) = places.last() else { break };
        after = Some(*last);
        let jobs: Vec<JobId> = places.iter().map(|place: &Place| place.job()).collect();
        let done = change.make(store, &jobs).await?;
        affected += done.changed.len() as i64;
        skipped += (jobs.len() - done.changed.len()) as i64;
        done.announce_soon(&context.redis);
        if affected >= i64::from(limit) || (jobs.len() as i64) < room {
            break;
        }
    }
    Ok(payload(affected, skipped))
}

fn payload(affected: i64, skipped: i64) -> BulkPayload {
    let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    BulkPayload { affected_count: count(affected), skipped_count: count(skipped), user_errors: Vec::new() }
}

fn refused(refusal: Refusal) -> BulkPayload {
    BulkPayload { user_errors: user_errors([refusal]), ..BulkPayload::default() }
}
