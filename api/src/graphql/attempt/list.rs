//! Pages of a job's attempts, ordered by their contiguous numbers.

use async_graphql::{Context, Result};
use callboard::{ids::JobId, store::jobs::attempts};
use uuid::Uuid;

use super::Attempt;
use crate::{
    cursor::{Cursor as _, Keyset},
    error::{ApiError, Code},
    graphql::{
        page::{PAGE_MAX, Page},
        reads,
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

/// Returns a page of a job's attempts. `newest` is the number of the newest one.
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
    let after = page.after.as_ref().map_or(0, |place| place.0.1);
    let before = page.before.as_ref().map_or(i32::MAX, |place| place.0.1);
    let between = after.saturating_add(1)..=before.saturating_sub(1);
    let mut connection = reads::connection(ctx).await?;
    let rows = attempts::of_job(&mut connection, job, between, page.is_from_end, page.rows()).await?;
    drop(connection);
    let (rows, bounds) = page.cut(rows);
    let items = rows.into_iter().map(|row| (Keyset((job.uuid(), row.number)).encode(), Attempt::from(row)));
    Ok(AttemptConnection::new(items, bounds, Some(i64::from(newest))))
}
