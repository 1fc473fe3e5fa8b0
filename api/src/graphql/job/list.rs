//! Pages of jobs, and the job fields of profiles.

use async_graphql::{Context, Result};
use callboard::{
    clock::Time,
    ids::{JobId, ProfileId},
    store::jobs::{
        dependencies::NeedsPage,
        pages::{self, COUNT_MAX, JobPageRequest, Place},
    },
};
use chrono::Datelike as _;
use uuid::Uuid;

use super::{Job, JobContext, JobFilter, JobOrder, object};
use crate::{
    cursor::{Cursor, Keyset},
    error::{ApiError, Code},
    graphql::{
        page::{PAGE_MAX, Page, asks_for_total},
        reads,
    },
};

crate::connection!(
    /// A page of jobs.
    JobConnection,
    /// A job with its cursor.
    JobEdge,
    Job;
    /// Number of jobs on all pages. Exact below 10000. 10000 means that many or more.
    count_at_least: i32
);

/// A position as a cursor: a letter for the order, the value that the list is ordered by, and the
/// job.
type Written = Keyset<(char, Option<i64>, Uuid)>;

impl Cursor for Place {
    fn encode(&self) -> String {
        match *self {
            Self::Created(job) => Written::encode(&Keyset(('c', None, job.uuid()))),
            Self::Finished(at, job) => {
                Written::encode(&Keyset(('f', at.map(|at| at.timestamp_micros()), job.uuid())))
            }
            Self::Priority(priority, job) => {
                Written::encode(&Keyset(('p', Some(priority.into()), job.uuid())))
            }
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let Keyset((order, value, job)) = Written::decode(text)?;
        let job = JobId::from(job);
        match (order, value) {
            ('c', None) => Some(Self::Created(job)),
            ('f', None) => Some(Self::Finished(None, job)),
            ('f', Some(micros)) => {
                // Postgres stores no time that is much further away.
                let at = Time::from_timestamp_micros(micros).filter(|at| (0..=9999).contains(&at.year()))?;
                Some(Self::Finished(Some(at), job))
            }
            ('p', Some(priority)) => Some(Self::Priority(priority.try_into().ok()?, job)),
            _ => None,
        }
    }
}

/// A position among the dependencies of a job: `d`, that job, and the number in its input.
type PlaceNeeded = Keyset<(char, Uuid, i32)>;

/// Returns a page of jobs.
pub(super) async fn list(
    ctx: &Context<'_>,
    from_start: (Option<i32>, Option<String>),
    from_end: (Option<i32>, Option<String>),
    filter: JobFilter,
    order: Option<JobOrder>,
) -> Result<JobConnection> {
    let filter = filter.try_into().map_err(ApiError::from)?;
    read(ctx, from_start, from_end, filter, order.unwrap_or_default()).await
}

/// Returns the jobs of a profile, newest first.
pub async fn jobs_of_profile(
    ctx: &Context<'_>,
    profile: ProfileId,
    first: Option<i32>,
    after: Option<String>,
    filter: Option<JobFilter>,
) -> Result<JobConnection> {
    let mut filter: pages::JobFilter = filter.unwrap_or_default().try_into().map_err(ApiError::from)?;
    let is_meant = filter.profiles.is_none_or(|profiles| profiles.contains(&profile));
    filter.profiles = Some(if is_meant { vec![profile] } else { Vec::new() });
    read(ctx, (first, after), (None, None), filter, JobOrder::default()).await
}

/// Returns the job that currently runs on a profile. Batched.
pub async fn held_by(ctx: &Context<'_>, profile: ProfileId) -> Result<Option<Job>> {
    match JobContext::of(ctx)?.readers.holder_of(profile).await? {
        Some(job) => object::load(ctx, job).await,
        None => Ok(None),
    }
}

/// Returns the jobs that a job depends on, in the order of its input.
pub(super) async fn needed_by(
    ctx: &Context<'_>,
    job: JobId,
    from_start: (Option<i32>, Option<String>),
    from_end: (Option<i32>, Option<String>),
) -> Result<JobConnection> {
    let page: Page<PlaceNeeded> = Page::parse(from_start, from_end, PAGE_MAX)?;
    if [&page.after, &page.before].into_iter().flatten().any(|place| place.0.1 != job.uuid()) {
        let message = "The cursor belongs to the dependencies of another job.";
        return Err(ApiError::new(Code::BadCursor, message).into());
    }
    let readers = &JobContext::of(ctx)?.readers;
    let request = NeedsPage {
        job,
        after: page.after.as_ref().map_or(-1, |place| place.0.2),
        before: page.before.as_ref().map_or(i32::MAX, |place| place.0.2),
        is_from_end: page.is_from_end,
        rows: page.rows(),
    };
    let is_counted = is_counted(ctx);
    let count = async { if is_counted { readers.needs_count(job).await } else { Ok(None) } };
    let (rows, count) = futures::try_join!(readers.needs(request), count)?;
    let (rows, bounds) = page.cut(rows.unwrap_or_default());
    let items = rows
        .into_iter()
        .map(|(position, needed)| (Keyset(('d', job.uuid(), position)).encode(), Job::known(needed)));
    let count = count.unwrap_or(0);
    Ok(JobConnection::new(items, bounds, Some(count), i32::try_from(count).unwrap_or(i32::MAX)))
}

/// Whether the caller selected a count of the list that is being resolved.
fn is_counted(ctx: &Context<'_>) -> bool {
    asks_for_total(ctx) || ctx.look_ahead().field("countAtLeast").exists()
}

async fn read(
    ctx: &Context<'_>,
    from_start: (Option<i32>, Option<String>),
    from_end: (Option<i32>, Option<String>),
    filter: pages::JobFilter,
    order: JobOrder,
) -> Result<JobConnection> {
    let page: Page<Place> = Page::parse(from_start, from_end, PAGE_MAX)?;
    let (order, is_descending) = order.of_store();
    for (name, place) in [("after", page.after), ("before", page.before)] {
        if place.is_some_and(|place| place.order() != order) {
            let message = format!("`{name}` is a cursor of a list in another order.");
            return Err(ApiError::new(Code::BadCursor, message).into());
        }
    }
    let request = JobPageRequest {
        filter,
        order,
        is_descending,
        after: page.after,
        before: page.before,
        is_from_end: page.is_from_end,
        rows: page.rows(),
    };
    let is_counted = is_counted(ctx);
    let mut connection = reads::connection(ctx).await?;
    let places = pages::page(&mut connection, &request).await?;
    let count = if is_counted { pages::count(&mut connection, &request.filter).await? } else { 0 };
    drop(connection);
    let (places, bounds) = page.cut(places);
    let items = places.into_iter().map(|place| (place.encode(), Job::known(place.job())));
    Ok(JobConnection::new(items, bounds, (count < COUNT_MAX).then_some(count), count as i32))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_position_reads_back_from_its_cursor(id in any::<u128>(), micros in 0..4_000_000_000_000_000_i64, priority in 0..=9_i16) {
            let job = JobId::from(Uuid::from_u128(id));
            let time = Time::from_timestamp_micros(micros);
            for place in [Place::Created(job), Place::Finished(time, job), Place::Priority(priority, job)] {
                prop_assert_eq!(Place::decode(&place.encode()), Some(place));
            }
        }

        #[test]
        fn any_text_is_decoded_without_a_panic(text in ".{0,300}") {
            Place::decode(&text);
        }
    }

    #[test]
    fn a_position_reads_back_from_its_cursor() {
        let job = JobId::from(Uuid::from_u128(7));
        let time = Time::from_timestamp_micros(1_795_000_000_123_456);
        for place in [
            Place::Created(job),
            Place::Finished(None, job),
            Place::Finished(time, job),
            Place::Priority(9, job),
        ] {
            assert_eq!(Place::decode(&place.encode()), Some(place));
        }
        for bad in [
            Written::encode(&Keyset(('c', Some(1), job.uuid()))),
            Written::encode(&Keyset(('x', None, job.uuid()))),
            Written::encode(&Keyset(('f', Some(i64::MIN), job.uuid()))),
            Written::encode(&Keyset(('f', Some(i64::MAX), job.uuid()))),
        ] {
            assert_eq!(Place::decode(&bad), None);
        }
    }
}
