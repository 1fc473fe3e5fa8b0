//! Pages of a job's attempts, ordered by their contiguous numbers.

use async_graphql::{Context, Error, Result};
use callboard::{ids::JobId, store::jobs::attempts::AttemptsPage};
use futures::future::try_join_all;
use uuid::Uuid;

use super::Attempt;
use crate::{
    cursor::{Cursor as _, Keyset},
    error::{ApiError, Code},
    graphql::{
        job::JobContext,
        page::{PAGE_MAX, Page},
    },
};

crate::connection!(
    /// A page of a job's attempts, ordered by number.
    AttemptConnection,
    /// An attempt with its cursor.
    AttemptEdge,
    Attempt
);

/// The job and the attempt's number.
type AttemptKeyset = Keyset<(Uuid, i32)>;

/// Returns a page of a job's attempts. Batched. `newest` is the number of the newest one.
pub async fn list(
    ctx: &Context<'_>,
    job: JobId,
    newest: i32,
    from_start: (Option<i32>, Option<String>),
    from_end: (Option<i32>, Option<String>),
) -> Result<AttemptConnection> {
    let page: Page<AttemptKeyset> = Page::parse(from_start, from_end, PAGE_MAX)?;
    if [&page.after, &page.before].into_iter().flatten().any(|place| place.0.0 != job.uuid()) {
        return Err(
            ApiError::new(Code::BadCursor, "The cursor belongs to the attempts of another job.").into()
        );
    }
    let request = AttemptsPage {
        job,
        after: page.after.as_ref().map_or(0, |place| place.0.1),
        before: page.before.as_ref().map_or(i32::MAX, |place| place.0.1),
        is_from_end: page.is_from_end,
        rows: page.rows(),
    };
    let readers = &JobContext::of(ctx)?.readers;
    let (rows, bounds) = page.cut(readers.attempts_of(request).await?.unwrap_or_default());
    let attempt = |(number, id)| async move {
        // None if it was pruned meanwhile.
        let record = readers.attempt(id).await?;
        let cursor = Keyset((job.uuid(), number)).encode();
        Ok::<_, Error>(record.map(|record| (cursor, Attempt::from(record))))
    };
    let items = try_join_all(rows.into_iter().map(attempt)).await?;
    Ok(AttemptConnection::new(items.into_iter().flatten(), bounds, Some(i64::from(newest))))
}
