//! The bulk mutations jobsCancel and jobsRetry, which change the jobs of a filter in batches.
//!
//! The ids are read first, with the connections of queries, so that nothing is done when they are
//! more than the limit. Each batch of
//! them is passed to the core's step, which decides under the rows' locks and commits on its own.
//! If a later batch fails, the earlier ones stay committed, and repeating the call does the rest.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use callboard::{
    audit::By,
    ids::JobId,
    job::{JobState, state::Ending},
    refusal::{Refusal, RefusalCode},
    steps::{
        After, Done,
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
    audit::by,
    graphql::{payload::refuse, reads, user_error::UserError},
};

/// Maximum and default number of jobs that one call changes.
const LIMIT_MAX: i32 = 10_000;
/// Fewest characters after `job_` in a search for the beginning of an id. That many are the
/// millisecond in which a job was accepted. The first few are the same for all jobs of a year.
const ID_CHARACTERS_MIN: usize = 10;

/// Input of jobsCancel.
#[derive(Debug, InputObject)]
pub struct JobsCancelInput {
    /// The jobs to cancel, newest first. Finished jobs are counted as skipped. A filter in which no
    /// field is set would match every job and is refused with INVALID. So is a `search` that is
    /// blank, or that has fewer than 10 characters after `job_`.
    pub filter: JobFilter,
    /// Maximum number of jobs to cancel, 1 to 10000. If more match that are not finished, none is
    /// cancelled, and TOO_MANY says how many they are. Null means 10000.
    #[graphql(default = 10_000)]
    pub limit: Option<i32>,
    /// Whether to count the jobs without changing them. Counts all that match, also above `limit`.
    /// Null means false.
    #[graphql(default_with = "Some(false)")]
    pub is_dry_run: Option<bool>,
    /// The reason, recorded in the jobs' history. At most 500 characters.
    pub reason: Option<String>,
}

/// Input of jobsRetry.
#[derive(Debug, InputObject)]
pub struct JobsRetryInput {
    /// The jobs to run again, oldest first because later jobs may depend on them. Unfinished jobs
    /// are counted as skipped. So are SUCCEEDED jobs unless `states` lists SUCCEEDED, because their
    /// work is done. A filter in which no field is set would match every job and is refused with
    /// INVALID. So is a `search` that is blank, or that has fewer than 10 characters after `job_`.
    pub filter: JobFilter,
    /// Maximum number of jobs to run again, 1 to 10000. If more match that may run again, none
    /// does, and TOO_MANY says how many they are. Null means 10000.
    #[graphql(default = 10_000)]
    pub limit: Option<i32>,
    /// Whether to count the jobs without changing them. Counts all that match, also above `limit`.
    /// Null means false.
    #[graphql(default_with = "Some(false)")]
    pub is_dry_run: Option<bool>,
}

/// Returned by jobsCancel and jobsRetry.
#[derive(Debug, Default, SimpleObject)]
pub struct BulkPayload {
    /// Number of jobs that were changed. With `isDryRun`, the number of matching jobs in a state
    /// that allows the change, exact also above `limit`.
    pub affected_count: i32,
    /// Number of matching jobs in a state that does not allow the change. Exact below 10000,
    /// otherwise at least that many.
    pub skipped_count: i32,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// The mutations of many jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct BulkMutation;

#[Object]
impl BulkMutation {
    /// Cancels all unfinished jobs that match the filter. Jobs that have not started are cancelled
    /// at once, running jobs as soon as their processes are gone. Works in batches. After an error
    /// some jobs may be cancelled, and repeating the call does the rest. Requires an OPERATOR key.
    async fn jobs_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The jobs to cancel, and the reason.")] input: JobsCancelInput,
    ) -> Result<BulkPayload> {
        let reason = match check_reason(input.reason) {
            Ok(reason) => reason,
            Err(refusal) => return Ok(refused(ctx, refusal)),
        };
        let filter = match named(input.filter) {
            Ok(filter) => Split::of(filter, |state| Ending::of(state).is_none()),
            Err(refusal) => return Ok(refused(ctx, refusal)),
        };
        let change = Change::Cancel { reason };
        Box::pin(carry_out(ctx, filter, input.limit, input.is_dry_run.unwrap_or_default(), &change)).await
    }

    /// Runs all finished jobs that match the filter again, under the same ids, with fresh attempts.
    /// Their history is kept. Jobs whose profile, proxy or service has been deleted are skipped, as
    /// are jobs that depend on a job that did not succeed, and jobs that run on what an OPERATOR
    /// may not choose for them now. Works in batches. After an error some
    /// jobs may be revived, and repeating the call does the rest. Requires an OPERATOR key.
    async fn jobs_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The jobs to run again.")] input: JobsRetryInput,
    ) -> Result<BulkPayload> {
        let filter = match named(input.filter) {
            Ok(filter) => filter,
            Err(refusal) => return Ok(refused(ctx, refusal)),
        };
        let is_named = filter.states.is_some();
        let filter = Split::of(filter, |state| match Ending::of(state) {
            Some(Ending::Failed | Ending::Cancelled) => true,
            Some(Ending::Succeeded) => is_named,
            None => false,
        });
        Box::pin(carry_out(ctx, filter, input.limit, input.is_dry_run.unwrap_or_default(), &Change::Retry))
            .await
    }
}

/// Reads a filter that names what it matches. One that matches every job is refused, because it is
/// more likely a variable without a value than what the caller wants.
fn named(filter: JobFilter) -> Result<pages::JobFilter, Refusal> {
    let has_search = filter.search.is_some();
    let filter = pages::JobFilter::try_from(filter)
        .map_err(|bad| Refusal::invalid(&format!("filter.{}", bad.field), bad.message))?;
    if has_search && filter.search.is_none() {
        let message = "would match every job. Write what to search for, or leave it out.";
        return Err(Refusal::invalid("filter.search", message));
    }
    let id_characters = filter.search.as_deref().and_then(pages::searched_id_characters);
    if id_characters.is_some_and(|count| count < ID_CHARACTERS_MIN) {
        let message = format!(
            "is the beginning of too many jobs' ids. Write at least {ID_CHARACTERS_MIN} characters after \
             `job_`, or list the `ids`."
        );
        return Err(Refusal::invalid("filter.search", message));
    }
    if filter.is_anything() {
        let message =
            "would match every job, because no field of it is set. Set one, for example all `states`.";
        return Err(Refusal::invalid("filter", message));
    }
    Ok(filter)
}

/// A filter split into the jobs that the change applies to and the jobs that it skips.
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

/// The change to make to every job.
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

    /// A job is cancelled before, and revived after, the older jobs that it depends on.
    const fn is_newest_first(&self) -> bool {
        match self {
            Self::Cancel { .. } => true,
            Self::Retry => false,
        }
    }

    /// What it does to a job, for people.
    const fn verb(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "be cancelled",
            Self::Retry => "run again",
        }
    }

    /// The mutation.
    const fn name(&self) -> &'static str {
        match self {
            Self::Cancel { .. } => "jobsCancel",
            Self::Retry => "jobsRetry",
        }
    }

    async fn make(&self, store: &Store, jobs: &[JobId], by: &By) -> Done<Result<(), StoreError>> {
        match self {
            Self::Cancel { reason } => match cancel_many(store, jobs, reason.as_deref(), by).await {
                Ok(after) => Done { value: Ok(()), after },
                Err(error) => Done { value: Err(error), after: After::default() },
            },
            Self::Retry => retry_many(store, jobs, by).await,
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
        let message = format!("must be 1 to {LIMIT_MAX} (repeat the call for more)");
        return Ok(refused(ctx, Refusal::new(RefusalCode::Invalid, "limit", message)));
    }
    let context = JobContext::of(ctx)?;
    let store = &context.submit.store;
    let mut connection = reads::connection(ctx).await?;
    let mut skipped = pages::count(&mut connection, &filter.skipped).await?;
    if is_dry_run {
        return Ok(payload(pages::count_all(&mut connection, &filter.allowed).await?, skipped));
    }
    let request = JobPageRequest {
        filter: filter.allowed,
        order: JobOrder::Created,
        is_descending: change.is_newest_first(),
        after: None,
        before: None,
        is_from_end: false,
        rows: i64::from(limit) + 1,
    };
    let places = pages::page(&mut connection, &request).await?;
    if places.len() as i64 > i64::from(limit) {
        let count = pages::count_all(&mut connection, &request.filter).await?;
        let message = format!(
            "is {limit}, but {count} jobs would {}. Nothing was done. Narrow the filter{}.",
            change.verb(),
            if limit < LIMIT_MAX { " or raise the limit" } else { "" }
        );
        return Ok(refused(ctx, Refusal::new(RefusalCode::TooMany, "limit", message)));
    }
    drop(connection);

    let by = by(ctx, change.name());
    let mut affected = 0;
    let jobs: Vec<JobId> = places.iter().map(|place: &Place| place.job()).collect();
    for jobs in jobs.chunks(change.batch_max()) {
        let done = change.make(store, jobs, &by).await;
        let changed = done.after.changed.len();
        done.announce_soon(&context.redis)?;
        affected += changed as i64;
        skipped += (jobs.len() - changed) as i64;
    }
    Ok(payload(affected, skipped))
}

fn payload(affected: i64, skipped: i64) -> BulkPayload {
    let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    BulkPayload { affected_count: count(affected), skipped_count: count(skipped), user_errors: Vec::new() }
}

fn refused(ctx: &Context<'_>, refusal: Refusal) -> BulkPayload {
    BulkPayload { user_errors: refuse(ctx, [refusal]), ..BulkPayload::default() }
}
